/* engine/cpu/kernels/vec_transpose.h: square blocks of 4-byte values, turned over in registers
 * (include vec_math.h first). */
#ifndef QR_ENGINE_CPU_VEC_TRANSPOSE_H
#define QR_ENGINE_CPU_VEC_TRANSPOSE_H

#if defined(__aarch64__)

/* rows[4] of 4 values become columns: 8 shuffles. */
static inline __attribute__((always_inline)) void qr__vec_transpose4(float32x4_t r[4]) {
    const float64x2_t t[4] = {vreinterpretq_f64_f32(vtrn1q_f32(r[0], r[1])),
                              vreinterpretq_f64_f32(vtrn2q_f32(r[0], r[1])),
                              vreinterpretq_f64_f32(vtrn1q_f32(r[2], r[3])),
                              vreinterpretq_f64_f32(vtrn2q_f32(r[2], r[3]))};
    for (int c = 0; c < 2; c++) { /* t[c] holds columns c and c + 2 of two rows */
        r[c] = vreinterpretq_f32_f64(vtrn1q_f64(t[c], t[c + 2]));
        r[c + 2] = vreinterpretq_f32_f64(vtrn2q_f64(t[c], t[c + 2]));
    }
}

/* rows[8] of 8 values become columns: four blocks of 4 x 4, two of which change places. */
static inline __attribute__((always_inline)) void qr__vec_transpose(qr__vec r[8]) {
    float32x4_t block[4][4]; /* top left, top right, bottom left, bottom right */
    for (int i = 0; i < 4; i++) {
        block[0][i] = r[i].low;
        block[1][i] = r[i].high;
        block[2][i] = r[i + 4].low;
        block[3][i] = r[i + 4].high;
    }
    for (int b = 0; b < 4; b++)
        qr__vec_transpose4(block[b]);
    for (int i = 0; i < 4; i++) {
        r[i] = (qr__vec){block[0][i], block[2][i]};
        r[i + 4] = (qr__vec){block[1][i], block[3][i]};
    }
}

#elif defined(__AVX512F__)

/* rows[16] of 16 values become columns: 64 shuffles. */
static inline __attribute__((always_inline)) void qr__vec_transpose(qr__vec r[16]) {
    __m512 t[16];
    for (int i = 0; i < 16; i += 2) { /* pairs of rows */
        t[i] = _mm512_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 16;
         i += 4) { /* fours: r[i + c] holds columns c, c + 4, c + 8, c + 12 of rows i..i + 3 */
        for (int h = 0; h < 2; h++) {
            __m512d a = _mm512_castps_pd(t[i + h]), b = _mm512_castps_pd(t[i + 2 + h]);
            r[i + 2 * h] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, b));
            r[i + 2 * h + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, b));
        }
    }
    for (int c = 0; c < 4; c++) {
        __m512 low02 = _mm512_shuffle_f32x4(r[c], r[4 + c], 0x88),
               low13 = _mm512_shuffle_f32x4(r[c], r[4 + c], 0xdd);
        __m512 high02 = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0x88);
        __m512 high13 = _mm512_shuffle_f32x4(r[8 + c], r[12 + c], 0xdd);
        t[c] = _mm512_shuffle_f32x4(low02, high02, 0x88);
        t[c + 8] = _mm512_shuffle_f32x4(low02, high02, 0xdd);
        t[c + 4] = _mm512_shuffle_f32x4(low13, high13, 0x88);
        t[c + 12] = _mm512_shuffle_f32x4(low13, high13, 0xdd);
    }
    for (int i = 0; i < 16; i++)
        r[i] = t[i];
}

#else

/* rows[8] of 8 values become columns: 24 shuffles. */
static inline __attribute__((always_inline)) void qr__vec_transpose(qr__vec r[8]) {
    __m256 t[8];
    for (int i = 0; i < 8; i += 2) {
        t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
        t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) { /* r[i + c] holds columns c and c + 4 of rows i..i + 3 */
        for (int h = 0; h < 2; h++) {
            r[i + 2 * h] = _mm256_shuffle_ps(t[i + h], t[i + 2 + h], 0x44);
            r[i + 2 * h + 1] = _mm256_shuffle_ps(t[i + h], t[i + 2 + h], 0xee);
        }
    }
    for (int c = 0; c < 4; c++) {
        t[c] = _mm256_permute2f128_ps(r[c], r[4 + c], 0x20);
        t[c + 4] = _mm256_permute2f128_ps(r[c], r[4 + c], 0x31);
    }
    for (int i = 0; i < 8; i++)
        r[i] = t[i];
}

#endif
#endif
