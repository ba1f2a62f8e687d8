/* engine/cuda/kernels/encoder_parts_body.h: the persistent encoder's shared memory, and how its
 * blocks share its work (encoder_mma.cu).
 *
 *     T *operand = operand_of<T, S>();
 *     store4(operand + operand_place(row, column / 8, pitch / 8) + column % 8, v);
 *     for (place at = begin_place(); at.layer < args.layers; next_product(args, at))
 *         if (at.unit < args.product[at.product].units)
 *             ... corner_of(args.product[at.product], at.unit) ...     // the block has it
 *
 * No state. S is a shape of encoder_mma.cu: the sizes for a tile of tokens.
 */
#ifndef QR_ENGINE_CUDA_ENCODER_PARTS_BODY_H
#define QR_ENGINE_CUDA_ENCODER_PARTS_BODY_H

#include "engine/cuda/kernels/elements_body.h"

namespace encoder_mma {

constexpr uint32_t COLUMNS = QR_CUDA_ENCODER_COLUMNS, PART = QR_CUDA_PAD; /* of K, in a slot */
constexpr uint32_t SLOT = COLUMNS * PART;                                 /* elements */
constexpr uint32_t WARPS = 8, THREADS = 32 * WARPS;
constexpr uint32_t SUM_PITCH = COLUMNS + 4;              /* floats: 2 rows begin 8 banks apart */
constexpr uint32_t GROUPS = QR_CUDA_ENCODER_WIDTH / 128; /* of 4 columns a lane has of a row */
constexpr uint32_t BATCH = 6; /* pieces that a thread asks for before it waits for the first */

template <uint32_t TOKENS_, uint32_t SLOTS_> struct shape {
    static constexpr uint32_t TOKENS = TOKENS_, SLOTS = SLOTS_;
    static constexpr uint32_t N = TOKENS / 16; /* pairs of fragments of tokens */
    /* Rows that a warp normalises at once, so that all they ask for is under way together: as many
     * as registers hold beside what the rest needs. */
    static constexpr uint32_t ROWS = 32 / TOKENS;
    static constexpr uint32_t RING = WARPS * SLOTS * SLOT * 2;
    static constexpr uint32_t OPERAND = TOKENS * QR_CUDA_ENCODER_DEPTH(TOKENS) * 2;
    static constexpr uint32_t SUMS = WARPS * TOKENS * SUM_PITCH * 4;
    static constexpr uint32_t FACTORS = 2 * QR_CUDA_ENCODER_WIDTH * 4;
    static constexpr uint32_t SHARED = RING + OPERAND + SUMS + FACTORS + 2 * TOKENS * 4; /* bytes */
    static_assert(TOKENS % (ROWS * WARPS) == 0, "warps share the rows");
};
using shape_16 = shape<16, 6>; /* 96 KB of weights on their way */
using shape_32 = shape<32, 4>; /* 64 KB */

template <class T> QR_DEVICE T *shared_at(uint32_t byte) {
    return reinterpret_cast<T *>(shared_memory<unsigned char>() + byte);
}
template <class T, class S> QR_DEVICE T *operand_of() {
    return shared_at<T>(S::RING);
}
template <class S> QR_DEVICE float *sums_of() {
    return shared_at<float>(S::RING + S::OPERAND);
}
template <class S> QR_DEVICE float *factors_of() {
    return shared_at<float>(S::RING + S::OPERAND + S::SUMS);
}
template <class S> QR_DEVICE uint32_t *keys_of() {
    return shared_at<uint32_t>(S::RING + S::OPERAND + S::SUMS + S::FACTORS);
}

/* Where piece `piece` of a row of the operand lies, in elements; rows have `pieces`, a multiple of
 * 8. As swizzled(). */
QR_DEVICE uint32_t operand_place(uint32_t row, uint32_t piece, uint32_t pieces) {
    return (row * pieces + (piece ^ row % 8)) * 8;
}

/* A tensor of a layer, by that of the first. */
template <class P>
QR_DEVICE P *of_layer(P *first, const qr_cuda_encoder_args &args, uint32_t layer) {
    typedef const unsigned char bytes;
    return reinterpret_cast<P *>(reinterpret_cast<bytes *>(first) + layer * args.layer_bytes);
}

/* --- units --- */

/* A unit of the block's, or that there is none left in this product (unit >= units). The blocks'
 * turns go on from product to product, so that each has as many units as the others. */
struct place {
    uint32_t layer, product, unit;
    uint32_t first; /* the block's first unit in this product */
};

QR_DEVICE place begin_place() {
    return {0, 0, blockIdx.x, blockIdx.x};
}

QR_DEVICE void next_product(const qr_cuda_encoder_args &args, place &at) {
    const uint32_t turn = args.product[at.product].units % gridDim.x;
    at.first = at.first >= turn ? at.first - turn : at.first + gridDim.x - turn;
    at.unit = at.first;
    at.product++;
    if (at.product == QR_CUDA_ENCODER_PRODUCTS) {
        at.product = 0;
        at.layer++;
    }
}

/* The first column of a unit, and its first of K. */
struct corner {
    uint32_t column, k, split;
};
QR_DEVICE corner corner_of(const qr_cuda_encoder_product &product, uint32_t unit) {
    const uint32_t tiles = product.n / COLUMNS, split = unit / tiles;
    return {(unit - split * tiles) * COLUMNS, split * product.depth, split};
}

} // namespace encoder_mma

#endif
