/* base/checked.h: arithmetic on numbers from outside, and small helpers for sizes.
 *
 *     size_t bytes;
 *     if (!qr_checked_mul(count, size, &bytes))
 *         return QR_TOO_LARGE;
 */
#ifndef QR_BASE_CHECKED_H
#define QR_BASE_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** *out = a + b. False when it does not fit; *out is then wrapped and must not be used. */
static inline bool qr_checked_add(size_t a, size_t b, size_t *out) {
    return !__builtin_add_overflow(a, b, out);
}

/** *out = a * b, as qr_checked_add. */
static inline bool qr_checked_mul(size_t a, size_t b, size_t *out) {
    return !__builtin_mul_overflow(a, b, out);
}

/** a + b, or the largest number: for sums that are only compared. */
static inline uint64_t qr_saturating_add(uint64_t a, uint64_t b) {
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/** a * b, as qr_saturating_add. */
static inline uint64_t qr_saturating_mul(uint64_t a, uint64_t b) {
    return b != 0 && a > UINT64_MAX / b ? UINT64_MAX : a * b;
}

/** The lesser of two sizes. */
static inline size_t qr_min(size_t a, size_t b) {
    return a < b ? a : b;
}

/** The greater of two sizes. */
static inline size_t qr_max(size_t a, size_t b) {
    return a > b ? a : b;
}

/** `n` rounded up to a multiple of `unit` (a power of two); the caller knows that it fits. */
static inline size_t qr_round_up(size_t n, size_t unit) {
    return (n + unit - 1) & ~(unit - 1);
}

#endif
