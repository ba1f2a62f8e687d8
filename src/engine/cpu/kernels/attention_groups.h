/* engine/cpu/kernels/attention_groups.h: what all vector attention kernels share: blocks of 16
 * queries, and groups of keys or queries whose size is a constant within the inner loops. */
#ifndef QR_ENGINE_CPU_ATTENTION_GROUPS_H
#define QR_ENGINE_CPU_ATTENTION_GROUPS_H

#include <stddef.h>

#define ALWAYS_INLINE static inline __attribute__((always_inline))

/* Queries of a block, one a lane. */
#define QR_ATTENTION_LANES 16u

/* Kernels of int8 and of tiles round the number of keys up to a multiple of it. */
#define QR_ATTENTION_TILE_KEYS 64u

/* Powers of 2 sum up to less than this (2^100), or their reference is too small. */
#define QR_ATTENTION_POWERS_MAX 0x1p100f

/* The size of groups of at most `most` that share `count` evenly: 16 by at most 12 are 8 and 8. */
static inline size_t qr__attention_group(size_t count, size_t most) {
    size_t groups = (count + most - 1) / most;
    return (count + groups - 1) / groups;
}

/* Before a loop over a group, or over the vectors of a block: gcc unrolls it anyway, but too late
 * for sums in an array to become registers. */
#if defined(__clang__)
#define QR_ATTENTION_UNROLL _Pragma("clang loop unroll(full)")
#else
#define QR_ATTENTION_UNROLL _Pragma("GCC unroll 12")
#endif

#define QR_CASE(count, call)                                                                       \
    case count:                                                                                    \
        call(count);                                                                               \
        break;

/* Runs `call` with the constant n, 1 to 12, so that its sums stay in registers. */
#define WITH_CONSTANT(n, call)                                                                     \
    switch (n) {                                                                                   \
        QR_CASE(1, call)                                                                           \
        QR_CASE(2, call)                                                                           \
        QR_CASE(3, call)                                                                           \
        QR_CASE(4, call)                                                                           \
        QR_CASE(5, call)                                                                           \
        QR_CASE(6, call)                                                                           \
        QR_CASE(7, call)                                                                           \
        QR_CASE(8, call)                                                                           \
        QR_CASE(9, call)                                                                           \
        QR_CASE(10, call)                                                                          \
        QR_CASE(11, call)                                                                          \
        QR_CASE(12, call)                                                                          \
    }

#endif
