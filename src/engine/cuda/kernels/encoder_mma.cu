/* engine/cuda/kernels/encoder_mma.cu: all layers of the encoder in one launch, for a query or two.
 *
 * So few tokens are bound by what lies between kernels, and by how soon weights are asked for. Here
 * blocks stay, one on each multiprocessor, and meet four times a layer:
 *
 *     qkv     = x * Wqkv + b
 *     partial = attention(qkv) * Wo + b + x      each block attends for itself: no meeting
 *     f       = activation(m * Wup + b)          m = LN(partial), each block for itself
 *     partial = f * Wdown + b + m                in parts of K
 *                                                x = LN(sum of partial), each block for itself
 *
 * What each block does for itself is to read some ten KB from the L2 cache, and next to no
 * arithmetic, in place of a meeting more and a phase in which few blocks have work.
 *
 * Weights are nobody's output: each warp asks for those of its next units, whatever product or
 * layer they belong to, as soon as it has multiplied by others, and waits for nobody to do so. So
 * memory streams while blocks meet. A warp's ring is its own, and only its lanes meet at it:
 *
 *     ring[warp][slot]: w [COLUMNS][PART]                 rows' pieces swizzled
 *     operand: [TOKENS][depth of the unit]                rows' pieces swizzled
 *     sums: [WARPS][TOKENS][SUM_PITCH]                    f32
 *     factors: gamma, beta [WIDTH]                        of the next layer norm
 *     keys: begin, end [TOKENS]                           of each token's sequence
 *
 * Rows behind the last token hold whatever was there, reach no other row, and are written nowhere.
 * Every order is fixed: a sum's parts are added warp by warp, then part by part of K. */
#include "engine/cuda/kernels/encoder_attention_body.h"

namespace encoder_mma {

/* --- weights --- */

/* The parts of a warp's units, in the order in which it multiplies by them. */
struct feed {
    place at;
    uint32_t part; /* of the unit's K: the warp's number, and every 8th from there */
    uint32_t slot; /* that it is loaded to, which is the one that is multiplied by next */
};

/* Goes on to the next part that there is, unless this is one. */
QR_DEVICE void settle(const qr_cuda_encoder_args &args, feed &f) {
    while (f.at.layer < args.layers) {
        const qr_cuda_encoder_product &product = args.product[f.at.product];
        if (f.at.unit < product.units && f.part * PART < product.depth)
            return;
        if (f.at.unit >= product.units)
            next_product(args, f.at);
        else
            f.at.unit += gridDim.x;
        f.part = threadIdx.x / 32;
    }
}

template <class T, class S> QR_DEVICE T *slot_of(uint32_t slot) {
    return shared_memory<T>() + (threadIdx.x / 32 * S::SLOTS + slot) * SLOT;
}

/* Warp: asks for the next part, if there is one: a group of copies in any case. */
template <class T, class S> QR_DEVICE void load_part(const qr_cuda_encoder_args &args, feed &f) {
    const uint32_t lane = threadIdx.x % 32, row = lane / 8, piece = lane % 8;
    settle(args, f);
    if (f.at.layer < args.layers) {
        const qr_cuda_encoder_product &product = args.product[f.at.product];
        const corner at = corner_of(product, f.at.unit);
        const T *w = static_cast<const T *>(of_layer(product.w, args, f.at.layer)) +
                     (size_t)(at.column + row) * product.k + at.k + f.part * PART + piece * 8;
        T *to = slot_of<T, S>(f.slot);
        QR_UNROLL
        for (uint32_t i = 0; i < COLUMNS; i += 4)
            copy16_async(to + swizzled<8>(row + i, piece), w + (size_t)i * product.k, true);
        f.part += WARPS;
    }
    copy_commit();
    f.slot = f.slot + 1 == S::SLOTS ? 0 : f.slot + 1;
}

/* --- operands --- */

/* operand = `depth` columns of the rows [0, tokens) of `from`. */
template <class T, class S>
QR_DEVICE void load_operand(const T *from, uint32_t pitch, uint32_t depth, uint32_t tokens) {
    const uint32_t pieces = depth / 8, all = S::TOKENS * pieces;
    T *operand = operand_of<T, S>();
    for (uint32_t first = threadIdx.x; first < all; first += BATCH * THREADS) {
        words4 piece[BATCH];
        QR_UNROLL
        for (uint32_t i = 0; i < BATCH; i++) {
            const uint32_t at = first + i * THREADS, row = at / pieces;
            piece[i] = words4{};
            if (at < all && row < tokens)
                piece[i] = *reinterpret_cast<const words4 *>(from + (size_t)row * pitch +
                                                             (at - row * pieces) * 8);
        }
        QR_UNROLL
        for (uint32_t i = 0; i < BATCH; i++) {
            const uint32_t at = first + i * THREADS, row = at / pieces;
            if (at < all)
                *reinterpret_cast<words4 *>(
                    operand + operand_place(row, at - row * pieces, pieces)) = piece[i];
        }
    }
}

/* What a layer norm of the pass is like. */
struct norm {
    uint32_t splits; /* of what it normalises */
    bool needed;     /* the operand: else only rows that are the block's own to write */
    bool last;       /* of the pass: x is written, too */
};

/* Each row has one block that writes it for all. */
QR_DEVICE bool is_own(uint32_t row) {
    return row % gridDim.x == blockIdx.x;
}

QR_DEVICE uint32_t group_column(uint32_t group) {
    return group * 128 + threadIdx.x % 32 * 4;
}

/* A warp's rows, as many as it normalises at once. */
template <class S> struct rows {
    float v[S::ROWS][GROUPS][4];
    bool wanted[S::ROWS];
};

/* v += a part of the rows, all of which is asked for before any is waited for. */
template <class S>
QR_DEVICE void add_part(const qr_cuda_encoder_args &args, uint32_t first, uint32_t split,
                        rows<S> &r) {
    const float *from = args.partial + ((size_t)split * S::TOKENS + first) * args.pitch;
    float more[S::ROWS][GROUPS][4] = {};
    QR_UNROLL
    for (uint32_t i = 0; i < S::ROWS; i++) {
        QR_UNROLL
        for (uint32_t group = 0; group < GROUPS; group++)
            if (r.wanted[i] && group_column(group) < args.pitch)
                load4(from + i * args.pitch + group_column(group), more[i][group]);
    }
    QR_UNROLL
    for (uint32_t i = 0; i < S::ROWS; i++) {
        QR_UNROLL
        for (uint32_t group = 0; group < GROUPS; group++)
            for (int j = 0; j < 4; j++)
                r.v[i][group][j] += more[i][group][j];
    }
}

/* v = (v - mean) / sqrt(variance + epsilon). Padded columns of v are 0: the sum needs no mask. */
QR_DEVICE void centre_row(const qr_cuda_encoder_args &args, float (&v)[GROUPS][4]) {
    float sum = 0, squares = 0;
    QR_UNROLL
    for (uint32_t group = 0; group < GROUPS; group++)
        sum += (v[group][0] + v[group][1]) + (v[group][2] + v[group][3]);
    const float mean = warp_sum(sum) / (float)args.width;
    QR_UNROLL
    for (uint32_t group = 0; group < GROUPS; group++) {
        for (uint32_t i = 0; i < 4; i++) {
            v[group][i] -= mean;
            squares += group_column(group) + i < args.width ? v[group][i] * v[group][i] : 0.0f;
        }
    }
    const float scale = 1.0f / sqrtf(warp_sum(squares) / (float)args.width + args.epsilon);
    QR_UNROLL
    for (uint32_t group = 0; group < GROUPS; group++)
        for (int i = 0; i < 4; i++)
            v[group][i] *= scale;
}

/* The lane's place in a row of the operand of the layer norm; group g's is g * 128 elements on. */
template <class T, class S> QR_DEVICE T *row_place(uint32_t row, uint32_t pitch) {
    const uint32_t lane = threadIdx.x % 32;
    return operand_of<T, S>() + operand_place(row, lane / 2, pitch / 8) + lane % 2 * 4;
}

/* A row to the operand, and to where it is the block's own to write; gamma and beta are 0 in padded
 * columns, and so is the row. */
template <class T, class S>
QR_DEVICE void store_row(const qr_cuda_encoder_args &args, const norm &n, uint32_t row,
                         const float (&v)[GROUPS][4]) {
    T *to = row_place<T, S>(row, args.pitch), *x = static_cast<T *>(args.x) + row * args.pitch;
    const float *gammas = factors_of<S>(), *betas = gammas + QR_CUDA_ENCODER_WIDTH;
    float *residual = args.residual + row * args.pitch;
    QR_UNROLL
    for (uint32_t group = 0; group < GROUPS; group++) {
        const uint32_t column = group_column(group);
        if (column >= args.pitch)
            break;
        float gamma[4], beta[4], out[4];
        load4(gammas + column, gamma);
        load4(betas + column, beta);
        for (int i = 0; i < 4; i++)
            out[i] = v[group][i] * gamma[i] + beta[i];
        if (n.needed)
            store4(to + group * 128, out);
        if (is_own(row))
            store4(residual + column, out);
        if (n.last && is_own(row))
            store4(x + column, out);
    }
}

/* operand = LN(the sum of partial), a warp ROWS rows at a time. */
template <class T, class S>
QR_DEVICE void normalise(const qr_cuda_encoder_args &args, const norm &n, uint32_t tokens) {
    for (uint32_t first = threadIdx.x / 32 * S::ROWS; first < S::TOKENS; first += WARPS * S::ROWS) {
        rows<S> r = {};
        QR_UNROLL
        for (uint32_t i = 0; i < S::ROWS; i++)
            r.wanted[i] = first + i < tokens && (n.needed || is_own(first + i));
        for (uint32_t split = 0; split < n.splits; split++)
            add_part<S>(args, first, split, r);
        QR_UNROLL
        for (uint32_t i = 0; i < S::ROWS; i++) {
            if (!r.wanted[i])
                continue;
            centre_row(args, r.v[i]);
            store_row<T, S>(args, n, first + i, r.v[i]);
        }
    }
}

/* --- products --- */

/* sums = the unit's columns of the operand's rows, over the warp's parts of K. */
template <class T, class S>
QR_DEVICE void multiply(const qr_cuda_encoder_args &args, uint32_t depth, feed &f,
                        float (&sums)[2 * S::N][4]) {
    const uint32_t lane = threadIdx.x % 32, token = lane % 8 + lane / 16 * 8;
    const T *operand = operand_of<T, S>();
    for (uint32_t part = threadIdx.x / 32; part * PART < depth; part += WARPS) {
        copy_wait<S::SLOTS - 1>();
        warp_sync(); /* the part is there */
        const T *w = slot_of<T, S>(f.slot);
        QR_UNROLL
        for (uint32_t piece = 0; piece < PART / 8; piece += 2) {
            uint32_t a[4];
            ldmatrix_x4(a, w + swizzled<8>(lane % 16, piece + lane / 16));
            QR_UNROLL
            for (uint32_t n = 0; n < S::N; n++) {
                uint32_t b[4];
                ldmatrix_x4(b, operand + operand_place(token + n * 16,
                                                       part * 8 + piece + lane / 8 % 2, depth / 8));
                mma<T>(sums[2 * n], a, {b[0], b[1]});
                mma<T>(sums[2 * n + 1], a, {b[2], b[3]});
            }
        }
        warp_sync(); /* and is done with */
        load_part<T, S>(args, f);
    }
}

/* The warp's sums to shared memory. */
template <class S> QR_DEVICE void spread(const float (&sums)[2 * S::N][4]) {
    const uint32_t lane = threadIdx.x % 32, column = lane / 4, token = lane % 4 * 2;
    float *to = sums_of<S>() + (threadIdx.x / 32 * S::TOKENS + token) * SUM_PITCH + column;
    QR_UNROLL
    for (uint32_t n = 0; n < 2 * S::N; n++) {
        float *at = to + n * 8 * SUM_PITCH;
        at[0] = sums[n][0];
        at[SUM_PITCH] = sums[n][1];
        at[8] = sums[n][2];
        at[SUM_PITCH + 8] = sums[n][3];
    }
}

/* A unit's end: one column a thread, of N tokens. */
struct ending {
    uint32_t column, split;
    float bias;
};

QR_DEVICE bool leaves_partial(uint32_t product) {
    return product == QR_CUDA_ENCODER_OUTPUT || product == QR_CUDA_ENCODER_DOWN;
}

/* The token of 16 whose column a thread ends. A warp has two, 4 apart, for then their sums are 80
 * floats apart and lie in other banks. */
QR_DEVICE uint32_t own_token() {
    const uint32_t i = threadIdx.x / COLUMNS;
    return (i & 8) | (i & 1) << 2 | (i >> 1 & 3);
}

/* What the first part of K adds besides its sum. */
template <class S>
QR_DEVICE void load_residual(const qr_cuda_encoder_args &args, const ending &end, uint32_t tokens,
                             float (&residual)[S::N]) {
    QR_UNROLL
    for (uint32_t n = 0; n < S::N; n++) {
        const uint32_t token = n * 16 + own_token();
        if (token < tokens)
            residual[n] = args.residual[(size_t)token * args.pitch + end.column];
    }
}

template <class T, class S>
QR_DEVICE void finish(const qr_cuda_encoder_args &args, uint32_t product, const ending &end,
                      const float (&residual)[S::N], uint32_t tokens) {
    const uint32_t n_columns = args.product[product].n;
    const float *sums = sums_of<S>() + threadIdx.x % COLUMNS;
    QR_UNROLL
    for (uint32_t n = 0; n < S::N; n++) {
        const uint32_t token = n * 16 + own_token();
        const size_t at = (size_t)token * n_columns + end.column;
        if (token >= tokens)
            break;
        float sum = 0;
        QR_UNROLL
        for (uint32_t warp = 0; warp < WARPS; warp++)
            sum += sums[(warp * S::TOKENS + token) * SUM_PITCH];
        sum += end.bias;
        if (product == QR_CUDA_ENCODER_QKV)
            static_cast<T *>(args.qkv)[at] = from_float<T>(sum);
        else if (product == QR_CUDA_ENCODER_UP)
            static_cast<T *>(args.inner)[at] = from_float<T>(finished(sum, args.activation));
        else
            args.partial[(size_t)end.split * S::TOKENS * n_columns + at] = sum + residual[n];
    }
}

/* --- the pass --- */

/* The blocks' counter, by which all of them meet: what any wrote before, all see behind it. Thread
 * 0's release takes along what block_sync() showed it, and its acquire comes before what the others
 * do behind the second one (PTX ISA, memory consistency model: causality order). */
QR_DEVICE void meet_all(uint32_t *arrived, uint32_t expected) {
    block_sync();
    if (threadIdx.x == 0) {
        add_release(arrived, 1);
        while (load_acquire(arrived) < expected) {
        }
    }
    block_sync();
}

/* The layer norm in front of a product that has one. */
QR_DEVICE norm norm_before(const qr_cuda_encoder_args &args, const place &at) {
    const qr_cuda_encoder_product &down = args.product[QR_CUDA_ENCODER_DOWN];
    return {at.product == QR_CUDA_ENCODER_UP ? 1 : down.k / down.depth,
            at.layer < args.layers && at.unit < args.product[at.product].units,
            at.layer == args.layers};
}

/* The thread's share of the next layer norm's gamma and beta, on its way while the product in front
 * of it is computed. */
struct share {
    floats4 gamma, beta;
};
QR_DEVICE share load_factors(const qr_cuda_encoder_args &args, const place &at) {
    const qr_cuda_encoder_norm &from =
        at.product == QR_CUDA_ENCODER_OUTPUT ? args.attention_norm : args.output_norm;
    const uint32_t column = threadIdx.x * 4;
    share part = {};
    if (leaves_partial(at.product) && column < args.pitch) {
        part.gamma =
            *reinterpret_cast<const floats4 *>(of_layer(from.gamma, args, at.layer) + column);
        part.beta =
            *reinterpret_cast<const floats4 *>(of_layer(from.beta, args, at.layer) + column);
    }
    return part;
}
template <class S> QR_DEVICE void store_factors(const place &at, const share &part) {
    float *gamma = factors_of<S>() + threadIdx.x * 4;
    static_assert(THREADS * 4 == QR_CUDA_ENCODER_WIDTH, "a thread has 4 columns");
    if (leaves_partial(at.product)) {
        *reinterpret_cast<floats4 *>(gamma) = part.gamma;
        *reinterpret_cast<floats4 *>(gamma + QR_CUDA_ENCODER_WIDTH) = part.beta;
    }
}

/* The operand of a product's units: of DOWN's the part of K that the unit has. */
template <class T, class S>
QR_DEVICE void make_operand(const qr_cuda_encoder_args &args, const place &at, uint32_t tokens) {
    const qr_cuda_encoder_product &product = args.product[at.product];
    const bool needed = at.unit < product.units;
    if (at.product == QR_CUDA_ENCODER_UP || (at.product == QR_CUDA_ENCODER_QKV && at.layer > 0)) {
        if (at.unit == at.first)
            normalise<T, S>(args, norm_before(args, at), tokens);
    } else if (!needed) {
        return;
    } else if (at.product == QR_CUDA_ENCODER_DOWN) {
        load_operand<T, S>(static_cast<const T *>(args.inner) + corner_of(product, at.unit).k,
                           product.k, product.depth, tokens);
    } else if (at.unit != at.first) {
        return;
    } else if (at.product == QR_CUDA_ENCODER_QKV) {
        load_operand<T, S>(static_cast<const T *>(args.x), args.pitch, args.pitch, tokens);
    } else if (args.head == 64) {
        attend<T, S, 64>(args, tokens);
    } else {
        attend<T, S, 32>(args, tokens);
    }
}

template <class T, class S>
QR_DEVICE void run_unit(const qr_cuda_encoder_args &args, const place &at, feed &f,
                        uint32_t tokens) {
    const qr_cuda_encoder_product &product = args.product[at.product];
    const corner from = corner_of(product, at.unit);
    ending end = {from.column + threadIdx.x % COLUMNS, from.split, 0};
    float residual[S::N] = {}, sums[2 * S::N][4] = {};
    if (from.split == 0)
        end.bias = of_layer(product.bias, args, at.layer)[end.column];
    if (from.split == 0 && leaves_partial(at.product))
        load_residual<S>(args, end, tokens, residual);
    block_sync(); /* the operand is there, and the sums of the unit before are done with */
    multiply<T, S>(args, product.depth, f, sums);
    spread<S>(sums);
    block_sync();
    finish<T, S>(args, at.product, end, residual, tokens);
}

template <class T, class S> QR_DEVICE void encode(const qr_cuda_encoder_args &args) {
    feed f = {begin_place(), threadIdx.x / 32, 0};
    QR_ROLLED
    for (uint32_t i = 0; i < S::SLOTS; i++)
        load_part<T, S>(args, f);
    grid_wait();
    const uint32_t tokens = args.counts->tokens;
    uint32_t expected = 0;
    find_keys<S>(args);
    for (place at = begin_place();;) {
        const share part = load_factors(args, at);
        do {
            make_operand<T, S>(args, at, tokens);
            if (at.layer == args.layers)
                return; /* it was the last layer's norm */
            if (at.unit < args.product[at.product].units)
                run_unit<T, S>(args, at, f, tokens);
            at.unit += gridDim.x;
        } while (at.unit < args.product[at.product].units);
        store_factors<S>(at, part);
        next_product(args, at);
        expected += gridDim.x;
        meet_all(&args.counts->arrived, expected);
    }
}

#define QR_CUDA_ENCODER(type, tile)                                                                \
    QR_KERNEL(qr_cuda_encoder_##type##_##tile, qr_cuda_encoder_args,                               \
              encoder_##type##_##tile##_threads) {                                                 \
        static_assert(THREADS == encoder_##type##_##tile##_threads, "");                           \
        static_assert(shape_##tile::SHARED == encoder_##type##_##tile##_shared, "");               \
        encode<qr_##type, shape_##tile>(args);                                                     \
    }
QR_CUDA_ENCODER(f16, 16)
QR_CUDA_ENCODER(f16, 32)
QR_CUDA_ENCODER(bf16, 16)
QR_CUDA_ENCODER(bf16, 32)

} // namespace encoder_mma
