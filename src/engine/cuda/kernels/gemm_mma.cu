/* engine/cuda/kernels/gemm_mma.cu: y = epilogue(x * w' + bias) on tensor cores, for few tokens.
 *
 * A block computes COLUMNS of y for TOKENS tokens, transposed: weights are the 16-row operand of
 * mma, tokens its 8-column operand, so that 16 tokens waste nothing, and both lie in memory as mma
 * wants them, K side by side. Stages of DEPTH of K go through a ring in shared memory:
 *
 *     ring[stage]: w [COLUMNS][DEPTH], x [TOKENS][DEPTH]     rows' pieces swizzled
 *
 * Weights are nobody's output: all stages but one of them are on their way before grid_wait(),
 * while the kernel before still runs. For 16 tokens of a K up to 896 that is the block's whole
 * share.
 *
 * Few tokens leave a block few columns (so that all multiprocessors stream) and nothing to share
 * between warps but K: K_WARPS of them take parts of every stage, and their sums are added warp by
 * warp at the end. Splits over blockIdx.z write f32 sums for add_norm. Every order is fixed. */
#include "engine/cuda/kernels/elements_body.h"

namespace gemm_mma {

/* A tile's sizes: warps share its tokens, its columns, and the K of each stage. */
template <uint32_t TOKENS_, uint32_t COLUMNS_, uint32_t TOKEN_WARPS_, uint32_t COLUMN_WARPS_,
          uint32_t K_WARPS_, uint32_t STAGES_, uint32_t DEPTH_>
struct shape {
    static constexpr uint32_t TOKENS = TOKENS_, COLUMNS = COLUMNS_;
    static constexpr uint32_t TOKEN_WARPS = TOKEN_WARPS_, COLUMN_WARPS = COLUMN_WARPS_;
    static constexpr uint32_t K_WARPS = K_WARPS_, STAGES = STAGES_, DEPTH = DEPTH_;
    static constexpr uint32_t THREADS = 32 * TOKEN_WARPS * COLUMN_WARPS * K_WARPS;
    static constexpr uint32_t PIECES = DEPTH / 8;
    static constexpr uint32_t ROW_STEP = THREADS / PIECES;     /* rows that are copied at once */
    static constexpr uint32_t STEPS = DEPTH / 16 / K_WARPS;    /* of a warp in a stage */
    static constexpr uint32_t M = COLUMNS / COLUMN_WARPS / 16; /* a warp's fragments of columns */
    static constexpr uint32_t N = TOKENS / TOKEN_WARPS / 16;   /* and pairs of those of tokens */
    static constexpr uint32_t STAGE = (COLUMNS + TOKENS) * DEPTH; /* elements */
    static constexpr uint32_t SHARED = STAGES * STAGE * 2;        /* bytes */
    static constexpr uint32_t SUM_PITCH = COLUMNS + 4; /* floats: 2 rows begin 8 banks apart */
    static constexpr uint32_t GROUPS = COLUMNS / 4;    /* that threads finish */
    static_assert(K_WARPS * TOKENS * SUM_PITCH * 4 <= SHARED, "sums take the ring's place");
    static_assert(THREADS % GROUPS == 0, "a thread keeps its columns at the end");
    static_assert(ROW_STEP % 8 == 0, "its rows are swizzled alike");
    static_assert(COLUMNS % ROW_STEP == 0 && TOKENS % ROW_STEP == 0, "");
    static_assert(COLUMNS == QR_CUDA_GEMM_COLUMNS(TOKENS), "");
    static_assert(STEPS >= 1 && M >= 1 && N >= 1, "");
};

/*                  tokens, columns; warps: tokens, columns, K; stages of depth */
using shape_16 = shape<16, 16, 1, 1, 4, 8, 128>;  /* 28 KB of weights on their way */
using shape_32 = shape<32, 32, 1, 1, 4, 5, 128>;  /* 32 KB */
using shape_64 = shape<64, 32, 2, 2, 1, 7, 64>;   /* 24 KB */
using shape_128 = shape<128, 64, 4, 2, 1, 3, 64>; /* compute-bound: more blocks instead */

/* What a block works at. A thread copies the same piece of every ROW_STEP-th row of a stage, of
 * weights and of tokens; where its first ones stand, and how far they are real, is found once. */
template <class T> struct product {
    const T *w, *x;         /* the thread's first piece: of the block's columns, of its tokens */
    uint32_t pitch, depth;  /* K; the split's part of it */
    uint32_t token, column; /* the first ones */
    uint32_t place;         /* of the thread's first piece in a stage, in elements */
    uint32_t k_left;        /* columns of K from its first piece on */
    uint32_t rows_left;     /* rows of x from its first one on */
};

/* a - b, but not below 0 */
QR_DEVICE uint32_t less(uint32_t a, uint32_t b) {
    return a > b ? a - b : 0;
}

template <class T, class S> QR_DEVICE T *ring_stage(uint32_t i) {
    return shared_memory<T>() + i % S::STAGES * S::STAGE;
}

/* The thread's pieces of a stage's ROWS x DEPTH; zeros where K or the real rows end. */
template <class T, class S, uint32_t ROWS>
QR_DEVICE void load_rows(T *to, const T *from, uint32_t pitch, bool in_k, uint32_t rows_left) {
    QR_UNROLL
    for (uint32_t row = 0; row < ROWS; row += S::ROW_STEP)
        copy16_async(to + row * S::DEPTH, from + (size_t)row * pitch, in_k && row < rows_left);
}
template <class T, class S> QR_DEVICE void load_weights(const product<T> &p, uint32_t stage) {
    const uint32_t k = stage * S::DEPTH;
    load_rows<T, S, S::COLUMNS>(ring_stage<T, S>(stage) + p.place, p.w + k, p.pitch, k < p.k_left,
                                S::COLUMNS);
}
template <class T, class S> QR_DEVICE void load_tokens(const product<T> &p, uint32_t stage) {
    const uint32_t k = stage * S::DEPTH;
    load_rows<T, S, S::TOKENS>(ring_stage<T, S>(stage) + S::COLUMNS * S::DEPTH + p.place, p.x + k,
                               p.pitch, k < p.k_left, p.rows_left);
}

/* A warp's place among the block's: in tokens, columns and K. */
template <class S> QR_DEVICE uint32_t token_warp() {
    return threadIdx.x / 32 % S::TOKEN_WARPS;
}
template <class S> QR_DEVICE uint32_t column_warp() {
    return threadIdx.x / 32 / S::TOKEN_WARPS % S::COLUMN_WARPS;
}
template <class S> QR_DEVICE uint32_t k_warp() {
    return threadIdx.x / 32 / (S::TOKEN_WARPS * S::COLUMN_WARPS);
}

/* sums += a stage's product, of the warp's part of the tile and of K. */
template <class T, class S>
QR_DEVICE void multiply_stage(const T *stage, float (&sums)[S::M][2 * S::N][4]) {
    const uint32_t lane = threadIdx.x % 32;
    const uint32_t column = column_warp<S>() * S::M * 16 + lane % 16;
    const uint32_t token = token_warp<S>() * S::N * 16 + lane % 8 + lane / 16 * 8;
    const T *x = stage + S::COLUMNS * S::DEPTH;
    QR_UNROLL
    for (uint32_t step = 0; step < S::STEPS; step++) {
        const uint32_t piece = (k_warp<S>() * S::STEPS + step) * 2;
        uint32_t a[S::M][4];
        QR_UNROLL
        for (uint32_t m = 0; m < S::M; m++)
            ldmatrix_x4(a[m], stage + swizzled<S::PIECES>(column + m * 16, piece + lane / 16));
        QR_UNROLL
        for (uint32_t n = 0; n < S::N; n++) {
            uint32_t b[4];
            ldmatrix_x4(b, x + swizzled<S::PIECES>(token + n * 16, piece + lane / 8 % 2));
            QR_UNROLL
            for (uint32_t m = 0; m < S::M; m++) {
                mma<T>(sums[m][2 * n], a[m], {b[0], b[1]});
                mma<T>(sums[m][2 * n + 1], a[m], {b[2], b[3]});
            }
        }
    }
}

/* The warps' sums to shared memory, [K_WARPS][TOKENS][SUM_PITCH]. */
template <class S> QR_DEVICE void spread(const float (&sums)[S::M][2 * S::N][4], float *shared) {
    const uint32_t lane = threadIdx.x % 32;
    const uint32_t column = column_warp<S>() * S::M * 16 + lane / 4;
    const uint32_t token = token_warp<S>() * S::N * 16 + lane % 4 * 2;
    float *to = shared + (k_warp<S>() * S::TOKENS + token) * S::SUM_PITCH + column;
    QR_UNROLL
    for (uint32_t m = 0; m < S::M; m++) {
        QR_UNROLL
        for (uint32_t n = 0; n < 2 * S::N; n++) {
            float *at = to + n * 8 * S::SUM_PITCH + m * 16;
            at[0] = sums[m][n][0];
            at[S::SUM_PITCH] = sums[m][n][1];
            at[8] = sums[m][n][2];
            at[S::SUM_PITCH + 8] = sums[m][n][3];
        }
    }
}

/* The thread's 4 columns of one token, finished. */
template <class T, class S>
QR_DEVICE void finish_group(const qr_cuda_gemm_args &args, const product<T> &p, const float *shared,
                            const float (&bias)[4], uint32_t token, uint32_t group) {
    float v[4];
    load4(shared + token * S::SUM_PITCH + group * 4, v);
    QR_UNROLL
    for (uint32_t warp = 1; warp < S::K_WARPS; warp++) {
        float more[4];
        load4(shared + (warp * S::TOKENS + token) * S::SUM_PITCH + group * 4, more);
        for (int i = 0; i < 4; i++)
            v[i] += more[i];
    }
    const size_t row = p.token + token, column = p.column + group * 4;
    if (args.epilogue == QR_CUDA_PARTIAL) {
        float *partial = static_cast<float *>(args.y) + (size_t)blockIdx.z * args.rows * args.n;
        store4(partial + row * args.n + column, v);
        return;
    }
    for (int i = 0; i < 4; i++)
        v[i] = finished(v[i] + bias[i], args.epilogue);
    store4(static_cast<T *>(args.y) + row * args.n + column, v);
}

template <class T, class S>
QR_DEVICE void finish(const qr_cuda_gemm_args &args, const product<T> &p, const float (&bias)[4],
                      const float (&sums)[S::M][2 * S::N][4], uint32_t tokens) {
    block_sync(); /* the ring is free */
    float *shared = shared_memory<float>();
    spread<S>(sums, shared);
    block_sync();
    const uint32_t group = threadIdx.x % S::GROUPS;
    for (uint32_t token = threadIdx.x / S::GROUPS; token < S::TOKENS && token < tokens;
         token += S::THREADS / S::GROUPS)
        finish_group<T, S>(args, p, shared, bias, token, group);
}

template <class T, class S> QR_DEVICE product<T> block_product(const qr_cuda_gemm_args &args) {
    const uint32_t row = threadIdx.x / S::PIECES, piece = threadIdx.x % S::PIECES;
    product<T> p;
    p.pitch = args.k;
    p.depth = args.depth;
    p.token = blockIdx.y * S::TOKENS;
    p.column = blockIdx.x * S::COLUMNS;
    p.place = swizzled<S::PIECES>(row, piece);
    p.k_left = less(p.depth, piece * 8);
    p.rows_left = less(args.rows, p.token + row);
    const size_t k = blockIdx.z * p.depth + piece * 8;
    p.w = static_cast<const T *>(args.w) + (size_t)(p.column + row) * args.k + k;
    p.x = static_cast<const T *>(args.x) + (size_t)(p.token + row) * args.k + k;
    return p;
}

/* sums += a stage's product, once it is there. MORE: K goes on beyond what the ring has, and the
 * stage before this one is loaded over. (A loop of its own, else nvcc makes loads of predicates,
 * which cost the last stages as much as the first.) */
template <class T, class S, bool MORE>
QR_DEVICE void add_stage(const product<T> &p, uint32_t stage, float (&sums)[S::M][2 * S::N][4]) {
    copy_wait<S::STAGES - 2>();
    block_sync(); /* the stage is there, and the one before is done with */
    if (MORE) {
        load_weights<T, S>(p, stage + S::STAGES - 1);
        load_tokens<T, S>(p, stage + S::STAGES - 1);
    }
    copy_commit();
    multiply_stage<T, S>(ring_stage<T, S>(stage), sums);
}

template <class T, class S> QR_DEVICE void multiply(const qr_cuda_gemm_args &args) {
    const product<T> p = block_product<T, S>(args);
    QR_UNROLL
    for (uint32_t stage = 0; stage < S::STAGES - 1; stage++)
        load_weights<T, S>(p, stage);
    float bias[4] = {};
    if (args.epilogue != QR_CUDA_PARTIAL)
        load4(args.bias + p.column + threadIdx.x % S::GROUPS * 4, bias);
    grid_release();
    grid_wait();
    QR_UNROLL
    for (uint32_t stage = 0; stage < S::STAGES - 1; stage++) {
        load_tokens<T, S>(p, stage);
        copy_commit(); /* the first group has all these stages' weights */
    }
    const uint32_t tokens = less(args.counts->tokens, p.token);
    if (tokens == 0) {
        copy_wait<0>();
        return;
    }
    float sums[S::M][2 * S::N][4] = {};
    uint32_t stage = 0;
    for (; (stage + S::STAGES - 1) * S::DEPTH < p.depth; stage++)
        add_stage<T, S, true>(p, stage, sums);
    for (; stage * S::DEPTH < p.depth; stage++)
        add_stage<T, S, false>(p, stage, sums);
    copy_wait<0>(); /* zeros of stages that K does not reach */
    finish<T, S>(args, p, bias, sums, tokens);
}

#define QR_CUDA_GEMM(type, tile)                                                                   \
    QR_KERNEL(qr_cuda_gemm_##type##_##tile, qr_cuda_gemm_args, gemm_##type##_##tile##_threads) {   \
        static_assert(shape_##tile::THREADS == gemm_##type##_##tile##_threads, "");                \
        static_assert(shape_##tile::SHARED == gemm_##type##_##tile##_shared, "");                  \
        multiply<qr_##type, shape_##tile>(args);                                                   \
    }
QR_CUDA_GEMM(f16, 16)
QR_CUDA_GEMM(f16, 32)
QR_CUDA_GEMM(f16, 64)
QR_CUDA_GEMM(f16, 128)
QR_CUDA_GEMM(bf16, 16)
QR_CUDA_GEMM(bf16, 32)
QR_CUDA_GEMM(bf16, 64)
QR_CUDA_GEMM(bf16, 128)

} // namespace gemm_mma
