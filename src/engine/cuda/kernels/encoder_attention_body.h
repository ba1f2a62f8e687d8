/* engine/cuda/kernels/encoder_attention_body.h: the persistent encoder's attention: a warp has all
 * of a head, and attends to all sequences of the tile at once.
 *
 *     find_keys<S>(args);                       // whom each token attends to; then block_sync()
 *     attend<T, S, 64>(args, tokens);           // operand = attention's heads; then block_sync()
 *
 * Numbers come from memory into mma's fragments as they are: the order of K within a product is
 * free, so a lane takes 8 numbers side by side where mma would have 2 and 2; and so is the order of
 * columns, which leaves 2 * D / 8 numbers of a row side by side in a lane for the result.
 *
 * No state. Attention of larger batches: attention_mma.cu.
 */
#ifndef QR_ENGINE_CUDA_ENCODER_ATTENTION_BODY_H
#define QR_ENGINE_CUDA_ENCODER_ATTENTION_BODY_H

#include "engine/cuda/kernels/encoder_parts_body.h"

namespace encoder_mma {

/* One head's queries of 16 rows, all keys: whoever is in another sequence has no weight. */
template <class T, class S, int D> struct attended {
    static constexpr uint32_t KEYS = S::TOKENS / 8; /* fragments of 8 keys */
    static constexpr uint32_t V = D / 8;            /* numbers of a row of v in a lane */
    float s[KEYS][4], o[V][4], l[2];
};

template <class T>
QR_DEVICE words4 load_piece(const T *rows, uint32_t row, uint32_t pitch, uint32_t column,
                            uint32_t tokens) {
    return row < tokens ? *reinterpret_cast<const words4 *>(rows + (size_t)row * pitch + column)
                        : words4{};
}

/* s = q * k' */
template <class T, class S, int D>
QR_DEVICE void score(const T *q, const T *k, uint32_t pitch, uint32_t first, uint32_t tokens,
                     attended<T, S, D> &all) {
    const uint32_t g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    QR_UNROLL
    for (uint32_t column = 0; column < D; column += 32) {
        const words4 upper = load_piece(q, first + g, pitch, column + t * 8, tokens);
        const words4 lower = load_piece(q, first + g + 8, pitch, column + t * 8, tokens);
        QR_UNROLL
        for (uint32_t i = 0; i < all.KEYS; i++) {
            const words4 key = load_piece(k, i * 8 + g, pitch, column + t * 8, tokens);
            QR_UNROLL
            for (uint32_t half = 0; half < 4; half += 2)
                mma<T>(all.s[i],
                       {upper.at[half], lower.at[half], upper.at[half + 1], lower.at[half + 1]},
                       {key.at[half], key.at[half + 1]});
        }
    }
}

/* s becomes 2^(s - greatest), and l its sums; of what is outside of a row's sequence, 0. Row r of a
 * lane's two is at s[..][2 * r] and the one behind. A row behind the last token has no keys: its l
 * is 0. */
template <class T, class S, int D> QR_DEVICE void weigh(uint32_t first, attended<T, S, D> &all) {
    const uint32_t g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    const uint32_t *keys = keys_of<S>();
    QR_UNROLL
    for (uint32_t r = 0; r < 2; r++) {
        const uint32_t row = first + g + r * 8, begin = keys[2 * row], end = keys[2 * row + 1];
        float greatest = -INFINITY, sum = 0;
        QR_UNROLL
        for (uint32_t i = 0; i < all.KEYS * 2; i++) {
            const uint32_t key = i / 2 * 8 + t * 2 + i % 2;
            float &s = all.s[i / 2][2 * r + i % 2];
            s = key >= begin && key < end ? s : -INFINITY;
            greatest = fmaxf(greatest, s);
        }
        greatest = fmaxf(greatest, shuffle_xor(greatest, 1)); /* 4 lanes have a row */
        greatest = fmaxf(greatest, shuffle_xor(greatest, 2));
        QR_UNROLL
        for (uint32_t i = 0; i < all.KEYS * 2; i++) {
            float &s = all.s[i / 2][2 * r + i % 2];
            s = begin < end ? exp2_fast(s - greatest) : 0.0f;
            sum += s;
        }
        sum += shuffle_xor(sum, 1);
        all.l[r] = sum + shuffle_xor(sum, 2);
    }
}

/* Numbers 2 * i and the one behind of two rows of v, as pairs of the rows. */
QR_DEVICE uint32_t low_halves(uint32_t first, uint32_t second) {
    return (first & 0xffffu) | second << 16;
}
QR_DEVICE uint32_t high_halves(uint32_t first, uint32_t second) {
    return first >> 16 | (second & 0xffff0000u);
}

/* V numbers of a row from `column` on, zeros behind the last token. */
template <class T, uint32_t V>
QR_DEVICE void load_values(const T *v, uint32_t row, uint32_t pitch, uint32_t column,
                           uint32_t tokens, uint32_t (&words)[V / 2]) {
    QR_UNROLL
    for (uint32_t i = 0; i < V / 2; i += 2) {
        words2 pair = {};
        if (row < tokens)
            pair = *reinterpret_cast<const words2 *>(v + (size_t)row * pitch + column + i * 2);
        words[i] = pair.at[0];
        words[i + 1] = pair.at[1];
    }
}

/* o = s * v */
template <class T, class S, int D>
QR_DEVICE void mix(const T *v, uint32_t pitch, uint32_t tokens, attended<T, S, D> &all) {
    constexpr uint32_t V = attended<T, S, D>::V;
    const uint32_t g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    QR_UNROLL
    for (uint32_t i = 0; i < all.KEYS; i += 2) {
        const float(&left)[4] = all.s[i], (&right)[4] = all.s[i + 1];
        const uint32_t a[4] = {pack2<T>(left[0], left[1]), pack2<T>(left[2], left[3]),
                               pack2<T>(right[0], right[1]), pack2<T>(right[2], right[3])};
        uint32_t rows[4][V / 2]; /* keys 2 t, that and 1, 8, 9 */
        QR_UNROLL
        for (uint32_t j = 0; j < 4; j++)
            load_values<T, V>(v, i * 8 + t * 2 + j % 2 + j / 2 * 8, pitch, g * V, tokens, rows[j]);
        QR_UNROLL
        for (uint32_t j = 0; j < V / 2; j++) {
            mma<T>(all.o[2 * j], a,
                   {low_halves(rows[0][j], rows[1][j]), low_halves(rows[2][j], rows[3][j])});
            mma<T>(all.o[2 * j + 1], a,
                   {high_halves(rows[0][j], rows[1][j]), high_halves(rows[2][j], rows[3][j])});
        }
    }
}

/* A lane has, of its two rows, 2 * V numbers from 2 * V * t on: its column 2 * t of each fragment,
 * then the one behind. */
template <class T, class S, int D>
QR_DEVICE void store_head(uint32_t first, uint32_t column, uint32_t pieces,
                          const attended<T, S, D> &all) {
    constexpr uint32_t V = attended<T, S, D>::V;
    const uint32_t g = threadIdx.x % 32 / 4, t = threadIdx.x % 4;
    T *operand = operand_of<T, S>();
    QR_UNROLL
    for (uint32_t r = 0; r < 2; r++) {
        const float scale = all.l[r] > 0 ? 1.0f / all.l[r] : 0.0f;
        QR_UNROLL
        for (uint32_t i = 0; i < 2 * V; i += 8) {
            words4 piece;
            QR_UNROLL
            for (uint32_t j = 0; j < 4; j++) {
                const uint32_t number = (i + 2 * j) % V, half = 2 * r + (i + 2 * j) / V;
                piece.at[j] =
                    pack2<T>(all.o[number][half] * scale, all.o[number + 1][half] * scale);
            }
            const uint32_t at = (column + t * 2 * V + i) / 8;
            *reinterpret_cast<words4 *>(operand + operand_place(first + g + r * 8, at, pieces)) =
                piece;
        }
    }
}

/* operand = attention's heads, a warp one at a time. */
template <class T, class S, int D>
QR_DEVICE void attend(const qr_cuda_encoder_args &args, uint32_t tokens) {
    const uint32_t width = args.heads * D, pitch = args.product[QR_CUDA_ENCODER_QKV].n;
    for (uint32_t i = threadIdx.x / 32; i < args.heads * S::N; i += WARPS) {
        const uint32_t head = i / S::N, first = i % S::N * 16;
        const T *q = static_cast<const T *>(args.qkv) + head * D;
        attended<T, S, D> all = {};
        score<T, S, D>(q, q + width, pitch, first, tokens, all);
        weigh<T, S, D>(first, all);
        mix<T, S, D>(q + 2 * width, pitch, tokens, all);
        store_head<T, S, D>(first, head * D, width / 8, all);
    }
}

/* The tokens of each token's sequence; none of those behind the last. */
template <class S> QR_DEVICE void find_keys(const qr_cuda_encoder_args &args) {
    const uint32_t token = threadIdx.x, sequences = args.counts->sequences;
    uint32_t begin = 0, end = 0;
    if (token >= S::TOKENS)
        return;
    for (uint32_t i = 0; i < sequences; i++) {
        const uint32_t from = args.starts[i], to = args.starts[i + 1];
        begin = token >= from && token < to ? from : begin;
        end = token >= from && token < to ? to : end;
    }
    keys_of<S>()[2 * token] = begin;
    keys_of<S>()[2 * token + 1] = end;
}

} // namespace encoder_mma

#endif
