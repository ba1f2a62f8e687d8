/* engine/cuda/kernels/elements_body.h: what several kernels do with elements and rows.
 *
 *     float v[4];
 *     load4(row + column, v);                        // of f16, bf16 or f32
 *     v[0] = finished(v[0], args.epilogue);
 *     store4(row + column, v);
 *     float mean = block_sum<8>(v[0] + v[1], scratch) / width;
 *     ldmatrix_x4(a, tile + swizzled<16>(row, piece)); // rows of 16 pieces, without bank conflicts
 *
 * Rows are cut into groups of 4 elements or pieces of 8, which are aligned to their size: pitches
 * are multiples of QR_CUDA_PAD. No state.
 */
#ifndef QR_ENGINE_CUDA_ELEMENTS_BODY_H
#define QR_ENGINE_CUDA_ELEMENTS_BODY_H

#include "engine/cuda/kernels/cuda_kernel_list.h"
#include "engine/cuda/kernels/gpu.h"

#include <math.h>

/* Loops whose rounds are written out, and whose rounds are not, for code that stays in the
 * instruction cache. */
#define QR_UNROLL _Pragma("GCC unroll 16")
#define QR_ROLLED _Pragma("GCC unroll 1")
#ifdef __CUDACC__
#undef QR_UNROLL
#undef QR_ROLLED
#define QR_UNROLL _Pragma("unroll")
#define QR_ROLLED _Pragma("unroll 1")
#endif

/* The threads and bytes of the list, as the kernels' files take them. */
#define QR_CUDA_LISTED(name, args, block, bytes)                                                   \
    constexpr uint32_t name##_threads = block;                                                     \
    constexpr uint32_t name##_shared = bytes;
QR_CUDA_KERNEL_LIST(QR_CUDA_LISTED)
#undef QR_CUDA_LISTED

struct alignas(16) words4 {
    uint32_t at[4];
};
struct alignas(8) words2 {
    uint32_t at[2];
};
struct alignas(16) floats4 {
    float at[4];
};

/* The two elements of a word. */
template <class T> QR_DEVICE void unpack2(uint32_t word, float &lo, float &hi) {
    lo = to_float(T{(uint16_t)(word & 0xffffu)});
    hi = to_float(T{(uint16_t)(word >> 16)});
}

template <class T> QR_DEVICE void load4(const T *from, float (&v)[4]) {
    const words2 words = *reinterpret_cast<const words2 *>(from);
    unpack2<T>(words.at[0], v[0], v[1]);
    unpack2<T>(words.at[1], v[2], v[3]);
}
QR_DEVICE void load4(const float *from, float (&v)[4]) {
    const floats4 floats = *reinterpret_cast<const floats4 *>(from);
    for (int i = 0; i < 4; i++)
        v[i] = floats.at[i];
}

template <class T> QR_DEVICE void store4(T *to, const float (&v)[4]) {
    *reinterpret_cast<words2 *>(to) = words2{{pack2<T>(v[0], v[1]), pack2<T>(v[2], v[3])}};
}
QR_DEVICE void store4(float *to, const float (&v)[4]) {
    *reinterpret_cast<floats4 *>(to) = floats4{{v[0], v[1], v[2], v[3]}};
}

QR_DEVICE float warp_sum(float x) {
    QR_UNROLL
    for (int mask = 16; mask > 0; mask /= 2)
        x += shuffle_xor(x, mask);
    return x;
}
QR_DEVICE float warp_max(float x) {
    QR_UNROLL
    for (int mask = 16; mask > 0; mask /= 2)
        x = fmaxf(x, shuffle_xor(x, mask));
    return x;
}

/* The block's sum, to all its threads; scratch [WARPS] is used no second time without a
 * block_sync() between. */
template <uint32_t WARPS> QR_DEVICE float block_sum(float x, float *scratch) {
    x = warp_sum(x);
    if (threadIdx.x % 32 == 0)
        scratch[threadIdx.x / 32] = x;
    block_sync();
    float sum = 0;
    QR_UNROLL
    for (uint32_t i = 0; i < WARPS; i++)
        sum += scratch[i];
    return sum;
}

/* Exact to a few units in the last place: erff is. */
QR_DEVICE float gelu(float x) {
    return 0.5f * x * (1.0f + erff(x * 0.70710678118654752f));
}
QR_DEVICE float gelu_new(float x) {
    return 0.5f * x * (1.0f + tanhf(0.79788456080286536f * (x + 0.044715f * x * x * x)));
}

QR_DEVICE float finished(float x, qr_cuda_epilogue epilogue) {
    switch (epilogue) {
    case QR_CUDA_GELU:
        return gelu(x);
    case QR_CUDA_GELU_NEW:
        return gelu_new(x);
    case QR_CUDA_RELU:
        return x < 0 ? 0.0f : x; /* NaN stays NaN */
    default:
        return x;
    }
}

/* Where piece `piece` (8 elements, 16 bytes) of row `row` lies in a tile whose rows have PIECES,
 * in elements. Pieces of a row trade places so that 8 rows of one column, which ldmatrix takes at
 * once, lie in 8 different groups of banks. */
template <uint32_t PIECES> QR_DEVICE uint32_t swizzled(uint32_t row, uint32_t piece) {
    const uint32_t turn = PIECES >= 8 ? row % 8 : row / (8 / PIECES) % PIECES;
    return (row * PIECES + (piece ^ turn)) * 8;
}

#endif
