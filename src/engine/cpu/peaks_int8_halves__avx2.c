/* engine/cpu/peaks_int8_halves__avx2.c: the rate of int8 where one unit multiplies integers: for
 * each 8 values of k VPMADDUBSW twice on 32 bytes, and five instructions that other units take
 * (gemm_int8_halves__avx2.c).
 *
 * A step needs what the two before it made, not its own products: these CPUs' scheduler is too
 * small to find so much that is independent by itself. `asm volatile`, or the compiler would
 * compute equal products once, and in an order of its own. */
#include "engine/cpu/peaks.h"

#include <immintrin.h>

static inline __attribute__((always_inline)) void step(__m256i *now, __m256i *more, __m256i before,
                                                       __m256i more_before, __m256i *all,
                                                       __m256i *high, __m256i codes) {
    __m256i upper;
    __asm__ volatile("vpmaddubsw %[codes], %[codes], %[now]\n\t"
                     "vpxor %[codes], %[before], %[upper]\n\t"
                     "vpmaddubsw %[codes], %[codes], %[more]\n\t"
                     "vpaddw %[more_before], %[upper], %[upper]\n\t"
                     "vpaddd %[upper], %[all], %[all]\n\t"
                     "vpsrld $16, %[upper], %[upper]\n\t"
                     "vpaddd %[upper], %[high], %[high]"
                     : [now] "=&x"(*now), [more] "=&x"(*more), [upper] "=&x"(upper),
                       [all] "+x"(*all), [high] "+x"(*high)
                     : [codes] "x"(codes), [before] "x"(before), [more_before] "x"(more_before));
}

float qr__peak_int8_halves__avx2(size_t turns) {
    const __m256i codes = _mm256_set1_epi8(3);
    __m256i all[2] = {codes, codes}, high[2] = {codes, codes};
    __m256i first[3] = {codes, codes, codes}, second[3] = {codes, codes, codes};
    for (; turns > 0; turns--) {
        QR_PEAK_UNROLL
        for (size_t i = 0; i < QR_PEAK_SUMS; i++)
            step(&first[i % 3], &second[i % 3], first[(i + 1) % 3], second[(i + 1) % 3],
                 &all[i % 2], &high[i % 2], codes);
    }
    const __m256i sum =
        _mm256_add_epi32(_mm256_add_epi32(all[0], all[1]), _mm256_add_epi32(high[0], high[1]));
    return (float)_mm_cvtsi128_si32(_mm256_castsi256_si128(sum));
}
