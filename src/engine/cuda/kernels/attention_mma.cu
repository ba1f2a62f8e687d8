/* engine/cuda/kernels/attention_mma.cu: softmax(q * k') * v on tensor cores, over packed sequences.
 *
 * A block has one head of QR_CUDA_TILE queries of one sequence, a warp 16 of them. Keys and values
 * come in chunks of as many, the next one under way while one is worked at; a short sequence is one
 * chunk, of which only its keys, rounded up to 16, are loaded and multiplied. Scores stay in
 * registers: the fragments that mma leaves of q * k' are those that it takes for p * v.
 *
 *     for each chunk:  s = q * k'          [16][keys]
 *                      m' = max(m, s), p = 2^(s - m'), l = l * 2^(m - m') + sum p
 *                      o = o * 2^(m - m') + p * v
 *     y = o / l
 *
 * q has log2(e) / sqrt(D) in it. Every chunk has a real key, so m is a number from the first one
 * on. Rows behind a sequence are zeros in shared memory: 0 * v is 0 there, whatever its neighbour
 * is. */
#include "engine/cuda/kernels/elements_body.h"

namespace attention_mma {

constexpr uint32_t QUERIES = QR_CUDA_TILE, WARPS = QUERIES / 16, THREADS = 32 * WARPS;
constexpr uint32_t KEYS = 64, STEPS = KEYS / 16; /* of a chunk */

/* Where a block is. */
template <class T> struct place {
    const T *q, *k, *v; /* of the head, at token 0 */
    uint32_t pitch;
    qr_cuda_tile tile;
    uint32_t queries, keys; /* of the tile, of the sequence */
};

/* What a lane has of its warp's 16 queries: rows lane / 4 and that + 8. */
template <int D> struct attended {
    float o[D / 8][4];
    float m[2], l[2];
};

/* Shared memory: q [QUERIES][D], then k and v [2][KEYS][D] of two chunks in turn. */
template <class T, int D> QR_DEVICE T *keys_of(uint32_t chunk) {
    return shared_memory<T>() + (QUERIES + chunk % 2 * KEYS) * D;
}
template <class T, int D> QR_DEVICE T *values_of(uint32_t chunk) {
    return keys_of<T, D>(chunk) + 2 * KEYS * D;
}

/* Rows [0, real) of `from`, and zeros up to a multiple of 16. */
template <class T, int D>
QR_DEVICE void load_rows(T *to, const T *from, uint32_t pitch, uint32_t real) {
    constexpr uint32_t pieces = D / 8;
    const uint32_t rows = (real + 15) / 16 * 16, piece = threadIdx.x % pieces;
    static_assert(THREADS % pieces == 0, "");
    for (uint32_t row = threadIdx.x / pieces; row < rows; row += THREADS / pieces) {
        const T *at = from + (row < real ? (size_t)row * pitch + piece * 8 : 0);
        copy16_async(to + swizzled<pieces>(row, piece), at, row < real);
    }
}

template <class T, int D> QR_DEVICE void load_chunk(const place<T> &p, uint32_t chunk) {
    if (chunk * KEYS >= p.keys)
        return;
    const uint32_t left = p.keys - chunk * KEYS, real = left < KEYS ? left : KEYS;
    const size_t at = (size_t)(p.tile.begin + chunk * KEYS) * p.pitch;
    load_rows<T, D>(keys_of<T, D>(chunk), p.k + at, p.pitch, real);
    load_rows<T, D>(values_of<T, D>(chunk), p.v + at, p.pitch, real);
}

/* s[keys] = q * k' in steps of 16 keys, as far as there are any; -infinity where there are none. */
template <class T, int D>
QR_DEVICE void score(const T *k, uint32_t keys, float (&s)[2 * STEPS][4]) {
    constexpr uint32_t pieces = D / 8;
    const uint32_t lane = threadIdx.x % 32;
    const T *q = shared_memory<T>();
    QR_UNROLL
    for (uint32_t piece = 0; piece < pieces; piece += 2) {
        uint32_t a[4], b[4];
        ldmatrix_x4(a, q + swizzled<pieces>(threadIdx.x / 32 * 16 + lane % 16, piece + lane / 16));
        QR_UNROLL
        for (uint32_t step = 0; step < STEPS; step++) {
            if (step * 16 >= keys)
                break;
            const uint32_t key = step * 16 + lane % 8 + lane / 16 * 8;
            ldmatrix_x4(b, k + swizzled<pieces>(key, piece + lane / 8 % 2));
            mma<T>(s[2 * step], a, {b[0], b[1]});
            mma<T>(s[2 * step + 1], a, {b[2], b[3]});
        }
    }
    QR_UNROLL
    for (uint32_t i = 0; i < 2 * STEPS; i++) {
        for (uint32_t j = 0; j < 4; j++)
            s[i][j] = i * 8 + lane % 4 * 2 + j % 2 < keys ? s[i][j] : -INFINITY;
    }
}

/* s becomes p; m, l and o go along. Row r of a lane's two is at s[..][2 * r] and the one behind. */
template <int D> QR_DEVICE void exponents(float (&s)[2 * STEPS][4], attended<D> &all) {
    QR_UNROLL
    for (int r = 0; r < 2; r++) {
        float greatest = all.m[r], sum = 0;
        QR_UNROLL
        for (uint32_t i = 0; i < 2 * STEPS; i++)
            greatest = fmaxf(greatest, fmaxf(s[i][2 * r], s[i][2 * r + 1]));
        greatest = fmaxf(greatest, shuffle_xor(greatest, 1)); /* 4 lanes have a row */
        greatest = fmaxf(greatest, shuffle_xor(greatest, 2));
        const float scale = exp2_fast(all.m[r] - greatest);
        QR_UNROLL
        for (uint32_t i = 0; i < 2 * STEPS; i++) {
            s[i][2 * r] = exp2_fast(s[i][2 * r] - greatest);
            s[i][2 * r + 1] = exp2_fast(s[i][2 * r + 1] - greatest);
            sum += s[i][2 * r] + s[i][2 * r + 1];
        }
        all.m[r] = greatest;
        all.l[r] = all.l[r] * scale + sum;
        QR_UNROLL
        for (int i = 0; i < D / 8; i++) {
            all.o[i][2 * r] *= scale;
            all.o[i][2 * r + 1] *= scale;
        }
    }
}

/* o += p * v */
template <class T, int D>
QR_DEVICE void mix(const T *v, uint32_t keys, const float (&p)[2 * STEPS][4], attended<D> &all) {
    constexpr uint32_t pieces = D / 8;
    const uint32_t lane = threadIdx.x % 32;
    QR_UNROLL
    for (uint32_t step = 0; step < STEPS; step++) {
        if (step * 16 >= keys)
            break;
        const float(&left)[4] = p[2 * step], (&right)[4] = p[2 * step + 1];
        const uint32_t a[4] = {pack2<T>(left[0], left[1]), pack2<T>(left[2], left[3]),
                               pack2<T>(right[0], right[1]), pack2<T>(right[2], right[3])};
        QR_UNROLL
        for (uint32_t piece = 0; piece < pieces; piece += 2) {
            uint32_t b[4];
            ldmatrix_x4_trans(b, v + swizzled<pieces>(step * 16 + lane % 16, piece + lane / 16));
            mma<T>(all.o[piece], a, {b[0], b[1]});
            mma<T>(all.o[piece + 1], a, {b[2], b[3]});
        }
    }
}

/* The warp's rows of y, through its own rows of q in shared memory, which are done with. */
template <class T, int D>
QR_DEVICE void store(const place<T> &p, attended<D> &all, T *y, uint32_t pitch) {
    constexpr uint32_t pieces = D / 8;
    const uint32_t lane = threadIdx.x % 32, first = threadIdx.x / 32 * 16;
    T *q = shared_memory<T>();
    QR_UNROLL
    for (uint32_t r = 0; r < 2; r++) {
        float l = all.l[r];
        l += shuffle_xor(l, 1);
        l += shuffle_xor(l, 2);
        QR_UNROLL
        for (uint32_t i = 0; i < pieces; i++) {
            T *to = q + swizzled<pieces>(first + lane / 4 + r * 8, i) + lane % 4 * 2;
            *reinterpret_cast<uint32_t *>(to) =
                pack2<T>(all.o[i][2 * r] / l, all.o[i][2 * r + 1] / l);
        }
    }
    warp_sync();
    for (uint32_t i = lane; i < 16 * pieces; i += 32) {
        const uint32_t row = first + i / pieces, piece = i % pieces;
        if (row < p.queries)
            *reinterpret_cast<words4 *>(y + (size_t)(p.tile.first + row) * pitch + piece * 8) =
                *reinterpret_cast<const words4 *>(q + swizzled<pieces>(row, piece));
    }
}

/* Zeros from column `from` of the tile's rows up to the pitch. */
template <class T> QR_DEVICE void pad_rows(const place<T> &p, T *y, uint32_t from, uint32_t pitch) {
    const uint32_t pieces = (pitch - from) / 8;
    for (uint32_t i = threadIdx.x; i < p.queries * pieces; i += THREADS) {
        T *row = y + (size_t)(p.tile.first + i / pieces) * pitch;
        *reinterpret_cast<words4 *>(row + from + i % pieces * 8) = words4{};
    }
}

template <class T, int D> QR_DEVICE void attend_tile(const place<T> &p, T *y, uint32_t pitch) {
    const bool has_queries = threadIdx.x / 32 * 16 < p.queries; /* the warp; else it only loads */
    attended<D> all = {};
    all.m[0] = all.m[1] = -INFINITY;
    load_rows<T, D>(shared_memory<T>(), p.q + (size_t)p.tile.first * p.pitch, p.pitch, p.queries);
    load_chunk<T, D>(p, 0);
    copy_commit();
    for (uint32_t chunk = 0; chunk * KEYS < p.keys; chunk++) {
        load_chunk<T, D>(p, chunk + 1);
        copy_commit();
        copy_wait<1>();
        block_sync();
        const uint32_t keys = p.keys - chunk * KEYS;
        if (has_queries) {
            float s[2 * STEPS][4] = {};
            score<T, D>(keys_of<T, D>(chunk), keys, s);
            exponents<D>(s, all);
            mix<T, D>(values_of<T, D>(chunk), keys, s, all);
        }
        block_sync(); /* the next round loads over this chunk */
    }
    if (has_queries)
        store<T, D>(p, all, y, pitch);
}

template <class T, int D> QR_DEVICE void attend(const qr_cuda_attention_args &args) {
    place<T> p;
    p.pitch = args.qkv_pitch;
    p.q = static_cast<const T *>(args.qkv) + blockIdx.y * D;
    p.k = p.q + (size_t)args.heads * D;
    p.v = p.k + (size_t)args.heads * D;
    T *y = static_cast<T *>(args.y);
    grid_release();
    grid_wait();
    const uint32_t tiles = args.counts->tiles;
    p.tile = args.tiles[blockIdx.x]; /* there is a place, so it does not wait for the count */
    for (uint32_t i = blockIdx.x; i < tiles; i += gridDim.x) {
        if (i != blockIdx.x)
            p.tile = args.tiles[i];
        p.keys = p.tile.end - p.tile.begin;
        const uint32_t left = p.tile.end - p.tile.first;
        p.queries = left < QUERIES ? left : QUERIES;
        attend_tile<T, D>(p, y + blockIdx.y * D, args.pitch);
        if (blockIdx.y + 1 == args.heads)
            pad_rows(p, y, args.heads * D, args.pitch);
        block_sync(); /* the next tile loads over this one's q */
    }
}

#define QR_CUDA_ATTENTION(type, size)                                                              \
    QR_KERNEL(qr_cuda_attention_##type##_##size, qr_cuda_attention_args,                           \
              attention_##type##_##size##_threads) {                                               \
        static_assert(THREADS == attention_##type##_##size##_threads, "");                         \
        static_assert((QUERIES + 4 * KEYS) * size * 2 == attention_##type##_##size##_shared, "");  \
        attend<qr_##type, size>(args);                                                             \
    }
QR_CUDA_ATTENTION(f16, 16)
QR_CUDA_ATTENTION(f16, 32)
QR_CUDA_ATTENTION(f16, 64)
QR_CUDA_ATTENTION(f16, 128)
QR_CUDA_ATTENTION(bf16, 16)
QR_CUDA_ATTENTION(bf16, 32)
QR_CUDA_ATTENTION(bf16, 64)
QR_CUDA_ATTENTION(bf16, 128)

} // namespace attention_mma
