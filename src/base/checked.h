/* base/checked.h: arithmetic on numbers from outside. True means that the result fits. */
#ifndef QR_BASE_CHECKED_H
#define QR_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>

static inline bool qr_checked_add(size_t a, size_t b, size_t *out) {
    return !__builtin_add_overflow(a, b, out);
}

static inline bool qr_checked_mul(size_t a, size_t b, size_t *out) {
    return !__builtin_mul_overflow(a, b, out);
}

static inline size_t qr_min(size_t a, size_t b) {
    return a < b ? a : b;
}
static inline size_t qr_max(size_t a, size_t b) {
    return a > b ? a : b;
}

/** `n` rounded up to a multiple of `unit` (a power of two); the caller knows that it fits. */
static inline size_t qr_round_up(size_t n, size_t unit) {
    return (n + unit - 1) & ~(unit - 1);
}

#endif
