/* engine/cuda/kernels/row_kernels.cu: a block a token: embeddings, residual sums with their layer
 * norms, activations, and hidden states as f32.
 *
 * A thread has groups of 4 elements, one in each round, from the load to the store; a layer norm
 * takes the variance from the differences to the mean, as the CPU does, so nothing cancels. What no
 * earlier kernel wrote (gamma, beta, bias) is on its way before grid_wait(). */
#include "engine/cuda/kernels/elements_body.h"

namespace row_kernels {

constexpr uint32_t THREADS = QR_CUDA_ROW_THREADS, WARPS = THREADS / 32, ROUNDS_MOST = 8;
static_assert(2 * WARPS * sizeof(float) == QR_CUDA_ROW_SHARED, "two sums");

/* Rows of one round have code of their own: less to issue than of rounds that are passed over. */
#define QR_BY_WIDTH(kernel, T)                                                                     \
    if (args.pitch <= THREADS * 4)                                                                 \
        kernel<T, 1>(args);                                                                        \
    else                                                                                           \
        kernel<T, ROUNDS_MOST>(args)

/* What a layer norm multiplies and adds in the first round. */
struct norm_group {
    float gamma[4], beta[4];
};

QR_DEVICE uint32_t column_of(uint32_t round) {
    return (round * THREADS + threadIdx.x) * 4;
}

QR_DEVICE void load_norm(const float *gamma, const float *beta, uint32_t column, norm_group &norm) {
    load4(gamma + column, norm.gamma);
    load4(beta + column, norm.beta);
}

/* The sum of (v - mean)^2 over the thread's real columns. */
template <uint32_t ROUNDS>
QR_DEVICE float squares(const float (&v)[ROUNDS][4], float mean, uint32_t width) {
    float sum = 0;
    QR_UNROLL
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (uint32_t i = 0; i < 4; i++) {
            const float difference = v[round][i] - mean;
            sum += column_of(round) + i < width ? difference * difference : 0.0f;
        }
    }
    return sum;
}

/* y[pitch] = (v - mean) / sqrt(variance + epsilon) * gamma + beta, and the same in f32 unless that
 * is what y is, or `residual` is NULL. Padded columns of v are 0, so the sum needs no mask; gamma
 * and beta are 0 there. */
template <class T, uint32_t ROUNDS>
QR_DEVICE void normalise(const float (&v)[ROUNDS][4], const float *gamma, const float *beta,
                         const norm_group &first, uint32_t width, uint32_t pitch, float epsilon,
                         T *y, float *residual) {
    float *scratch = shared_memory<float>(), sum = 0;
    QR_UNROLL
    for (uint32_t round = 0; round < ROUNDS; round++)
        sum += (v[round][0] + v[round][1]) + (v[round][2] + v[round][3]);
    const float mean = block_sum<WARPS>(sum, scratch) / (float)width;
    const float variance =
        block_sum<WARPS>(squares(v, mean, width), scratch + WARPS) / (float)width;
    const float scale = 1.0f / sqrtf(variance + epsilon);
    QR_UNROLL
    for (uint32_t round = 0; round < ROUNDS; round++) {
        const uint32_t column = column_of(round);
        if (column >= pitch)
            break;
        norm_group norm = first;
        if (round > 0)
            load_norm(gamma, beta, column, norm);
        float out[4];
        for (int i = 0; i < 4; i++)
            out[i] = (v[round][i] - mean) * scale * norm.gamma[i] + norm.beta[i];
        store4(y + column, out);
        if (sizeof(T) < sizeof(float) && residual != nullptr)
            store4(residual + column, out);
    }
}

/* A row of what may be NULL. */
QR_DEVICE float *row_of(float *rows, size_t row, uint32_t pitch) {
    return rows == nullptr ? nullptr : rows + row * pitch;
}

QR_DEVICE void copy_words(const void *from, void *to, uint32_t words) {
    const uint32_t *source = static_cast<const uint32_t *>(from);
    uint32_t *target = static_cast<uint32_t *>(to);
    for (uint32_t i = blockIdx.x * THREADS + threadIdx.x; i < words; i += gridDim.x * THREADS)
        target[i] = source[i];
}

QR_DEVICE void stage_table(const qr_cuda_table &from, const qr_cuda_table &to,
                           const qr_cuda_counts &counts) {
    copy_words(from.counts, to.counts, sizeof counts / 4);
    copy_words(from.starts, to.starts, counts.sequences + 1);
    copy_words(from.skip, to.skip, counts.sequences);
    copy_words(from.tiles, to.tiles, counts.tiles * (uint32_t)(sizeof(qr_cuda_tile) / 4));
}

/* v += row[pitch], in the thread's places */
template <class T, uint32_t ROUNDS>
QR_DEVICE void add_row(const void *table, size_t row, uint32_t pitch, float (&v)[ROUNDS][4]) {
    const T *from = static_cast<const T *>(table) + row * pitch;
    QR_UNROLL
    for (uint32_t round = 0; round < ROUNDS; round++) {
        const uint32_t column = column_of(round);
        if (column >= pitch)
            break;
        float more[4];
        load4(from + column, more);
        for (int i = 0; i < 4; i++)
            v[round][i] += more[i];
    }
}

template <class T, uint32_t ROUNDS> QR_DEVICE void embed(const qr_cuda_embed_args &args) {
    norm_group first = {};
    if (column_of(0) < args.pitch)
        load_norm(args.gamma, args.beta, column_of(0), first);
    grid_release();
    grid_wait();
    const uint32_t row = blockIdx.x;
    /* The table is in the host's memory, a microsecond away: all of a row's in one go. A bucket's
     * arrays have all its rows, so that reading does not wait for the counts. */
    const int32_t id = args.from.ids[row];
    const uint32_t position = args.from.positions[row], type = args.from.types[row];
    const qr_cuda_counts counts = *args.from.counts;
    stage_table(args.from, args.to, counts);
    if (row >= counts.tokens)
        return;
    float v[ROUNDS][4] = {};
    add_row<T, ROUNDS>(args.word, (size_t)id, args.pitch, v);
    add_row<T, ROUNDS>(args.position, position, args.pitch, v);
    if (args.type != nullptr)
        add_row<T, ROUNDS>(args.type, type, args.pitch, v);
    normalise(v, args.gamma, args.beta, first, args.width, args.pitch, args.epsilon,
              static_cast<T *>(args.x) + (size_t)row * args.pitch,
              row_of(args.residual, row, args.pitch));
}

QR_KERNEL(qr_cuda_embed_f16, qr_cuda_embed_args, embed_f16_threads) {
    QR_BY_WIDTH(embed, qr_f16);
}
QR_KERNEL(qr_cuda_embed_bf16, qr_cuda_embed_args, embed_bf16_threads) {
    QR_BY_WIDTH(embed, qr_bf16);
}
QR_KERNEL(qr_cuda_embed_f32, qr_cuda_embed_args, embed_f32_threads) {
    QR_BY_WIDTH(embed, float);
}

/* Splits from `first` on, as many as are asked for before the first is waited for; zeros behind the
 * last. */
constexpr uint32_t SPLITS_AT_ONCE = 4;
QR_DEVICE void load_splits(const qr_cuda_add_norm_args &args, uint32_t first, size_t at,
                           float (&parts)[SPLITS_AT_ONCE][4]) {
    const float *from = args.partial + (size_t)first * args.rows * args.pitch + at;
    QR_UNROLL
    for (uint32_t i = 0; i < SPLITS_AT_ONCE; i++) {
        for (int j = 0; j < 4; j++)
            parts[i][j] = 0;
        if (first + i < args.splits)
            load4(from + (size_t)i * args.rows * args.pitch, parts[i]);
    }
}

QR_DEVICE void add_splits(const float (&parts)[SPLITS_AT_ONCE][4], float (&v)[4]) {
    QR_UNROLL
    for (uint32_t i = 0; i < SPLITS_AT_ONCE; i++)
        for (int j = 0; j < 4; j++)
            v[j] += parts[i][j];
}

/* v = x + bias + the sum over splits of partial, first to last, in one group's place */
QR_DEVICE void add_partials(const qr_cuda_add_norm_args &args, const float (&bias)[4],
                            uint32_t column, float (&v)[4]) {
    const size_t at = (size_t)blockIdx.x * args.pitch + column;
    float parts[SPLITS_AT_ONCE][4];
    load4(args.x + at, v);
    load_splits(args, 0, at, parts);
    for (int i = 0; i < 4; i++)
        v[i] += bias[i];
    add_splits(parts, v);
    for (uint32_t first = SPLITS_AT_ONCE; first < args.splits; first += SPLITS_AT_ONCE) {
        load_splits(args, first, at, parts);
        add_splits(parts, v);
    }
}

template <class T, uint32_t ROUNDS> QR_DEVICE void add_norm(const qr_cuda_add_norm_args &args) {
    norm_group first = {};
    float bias[4] = {};
    if (column_of(0) < args.pitch) {
        load_norm(args.gamma, args.beta, column_of(0), first);
        load4(args.bias + column_of(0), bias);
    }
    grid_release();
    grid_wait();
    const uint32_t tokens = args.counts->tokens;
    float v[ROUNDS][4] = {};
    QR_UNROLL
    for (uint32_t round = 0; round < ROUNDS; round++) {
        const uint32_t column = column_of(round);
        if (column >= args.pitch)
            break;
        if (round > 0)
            load4(args.bias + column, bias);
        add_partials(args, bias, column, v[round]);
    }
    if (blockIdx.x >= tokens)
        return; /* the bucket has the row, so that reading did not wait for the count */
    normalise(v, args.gamma, args.beta, first, args.width, args.pitch, args.epsilon,
              static_cast<T *>(args.y) + (size_t)blockIdx.x * args.pitch,
              row_of(args.residual, blockIdx.x, args.pitch));
}

QR_KERNEL(qr_cuda_add_norm_f16, qr_cuda_add_norm_args, add_norm_f16_threads) {
    QR_BY_WIDTH(add_norm, qr_f16);
}
QR_KERNEL(qr_cuda_add_norm_bf16, qr_cuda_add_norm_args, add_norm_bf16_threads) {
    QR_BY_WIDTH(add_norm, qr_bf16);
}
QR_KERNEL(qr_cuda_add_norm_f32, qr_cuda_add_norm_args, add_norm_f32_threads) {
    QR_BY_WIDTH(add_norm, float);
}

template <class T> QR_DEVICE void activate(const qr_cuda_activate_args &args) {
    grid_release();
    grid_wait();
    if (blockIdx.x >= args.counts->tokens)
        return;
    T *row = static_cast<T *>(args.y) + (size_t)blockIdx.x * args.n;
    for (uint32_t column = threadIdx.x * 4; column < args.n; column += THREADS * 4) {
        float v[4];
        load4(row + column, v);
        for (int i = 0; i < 4; i++)
            v[i] = finished(v[i], args.epilogue);
        store4(row + column, v);
    }
}

QR_KERNEL(qr_cuda_activate_f16, qr_cuda_activate_args, activate_f16_threads) {
    activate<qr_f16>(args);
}
QR_KERNEL(qr_cuda_activate_bf16, qr_cuda_activate_args, activate_bf16_threads) {
    activate<qr_bf16>(args);
}

template <class T> QR_DEVICE void widen(const qr_cuda_widen_args &args) {
    grid_release();
    grid_wait();
    if (blockIdx.x >= args.counts->tokens)
        return;
    const T *x = static_cast<const T *>(args.x) + (size_t)blockIdx.x * args.pitch;
    float *y = args.y + (size_t)blockIdx.x * args.width;
    for (uint32_t column = threadIdx.x; column < args.width; column += THREADS)
        y[column] = to_float(x[column]);
}

QR_KERNEL(qr_cuda_widen_f16, qr_cuda_widen_args, widen_f16_threads) {
    widen<qr_f16>(args);
}
QR_KERNEL(qr_cuda_widen_bf16, qr_cuda_widen_args, widen_bf16_threads) {
    widen<qr_bf16>(args);
}
QR_KERNEL(qr_cuda_widen_f32, qr_cuda_widen_args, widen_f32_threads) {
    widen<float>(args);
}

} // namespace row_kernels
