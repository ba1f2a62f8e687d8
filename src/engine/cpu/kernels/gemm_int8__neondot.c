/* engine/cpu/kernels/gemm_int8__neondot.c: s8 activations x s8 weights by SDOT, 6 x 16 tiles. Sums
 * are exact, as gemm_int8__avx2vnni.c's.
 *
 * SDOT takes no unsigned factor, so that the row conversion gives each code 128 less, and the
 * row's offset makes up for it: x = scale * u8 + offset = scale * s8 + (offset + 128 * scale). */
#include "engine/cpu/kernels/vec_neon.h"

#include "engine/cpu/kernels/gemm_list.h"
#include "engine/cpu/kernels/quantize.h"

typedef struct sums8 {
    int32x4_t low, high;
} sums8;

typedef struct operand8 {
    int8x16_t low, high;
} operand8;

static inline operand8 load(const char *p) {
    const int8_t *codes = (const int8_t *)p;
    return (operand8){vld1q_s8(codes), vld1q_s8(codes + 16)};
}

static inline operand8 broadcast(const char *p) {
    const int8x16_t four = vreinterpretq_s8_s32(vld1q_dup_s32((const int32_t *)(const void *)p));
    return (operand8){four, four};
}

static inline sums8 dot(sums8 acc, operand8 a, operand8 w) {
    return (sums8){vdotq_s32(acc.low, w.low, a.low), vdotq_s32(acc.high, w.high, a.high)};
}

static inline void store(float *p, sums8 acc) {
    vst1q_s32((int32_t *)(void *)p, acc.low);
    vst1q_s32((int32_t *)(void *)p + 4, acc.high);
}

#define QR_GEMM_ROWS_MAX       6
#define QR_GEMM_STEP_BYTES     64
#define QR_GEMM_INT8           1
#define QR_GEMM_SUM            sums8
#define QR_GEMM_OPERAND        operand8
#define QR_GEMM_ZERO           ((sums8){vdupq_n_s32(0), vdupq_n_s32(0)})
#define QR_GEMM_LOAD(p)        load(p)
#define QR_GEMM_BROADCAST(p)   broadcast(p)
#define QR_GEMM_MAC(acc, a, w) dot(acc, a, w)
#define QR_GEMM_STORE(p, acc)  store(p, acc)
#define QR_GEMM_NAME           qr__gemm_int8__neondot
#include "engine/cpu/kernels/gemm_tile.h"

static void convert_row(const qr__gemm_shape *shape, const float *x, void *row) {
    quantize_row(shape, x, row);
    uint8_t *codes = row;
    const uint8x16_t half = vdupq_n_u8(128);
    for (size_t k = 0; k < shape->row_at; k += 16) /* whole cache lines */
        vst1q_u8(codes + k, veorq_u8(vld1q_u8(codes + k), half));
    qr__gemm_row constants;
    memcpy(&constants, codes + shape->row_at, sizeof constants);
    constants.offset += 128 * constants.scale;
    memcpy(codes + shape->row_at, &constants, sizeof constants);
}

void qr__quantize_int8__neondot(const qr__gemm_shape *shape, const float *x, size_t ldx,
                                size_t rows, void *operand) {
    qr__quantize_each(shape, x, ldx, rows, operand, convert_row);
}
