/* engine/cuda/module/gpu_shapes.c: buckets, tiles, splits. */
#include "engine/cuda/module/gpu_shapes.h"

#define KINDS(t)                                                                                   \
    {                                                                                              \
        .embed = QR__GPU_embed_##t,                                                                \
        .add_norm = QR__GPU_add_norm_##t,                                                          \
        .activate = QR__GPU_activate_##t,                                                          \
        .widen = QR__GPU_widen_##t,                                                                \
        .gemm = {QR__GPU_gemm_##t##_16, QR__GPU_gemm_##t##_32, QR__GPU_gemm_##t##_64,              \
                 QR__GPU_gemm_##t##_128},                                                          \
        .attention = {QR__GPU_attention_##t##_16, QR__GPU_attention_##t##_32,                      \
                      QR__GPU_attention_##t##_64, QR__GPU_attention_##t##_128},                    \
    }

const qr__gpu_kinds *qr__gpu_kinds_of(qr_precision precision) {
    static const qr__gpu_kinds f16 = KINDS(f16), bf16 = KINDS(bf16);
    static const qr__gpu_kinds f32 = {
        .embed = QR__GPU_embed_f32,
        .add_norm = QR__GPU_add_norm_f32,
        .activate = QR__GPU_KERNELS, /* own products activate themselves */
        .widen = QR__GPU_widen_f32,
        .gemm = {QR__GPU_gemm_f32, QR__GPU_gemm_f32, QR__GPU_gemm_f32, QR__GPU_gemm_f32},
        .attention = {QR__GPU_attention_f32, QR__GPU_attention_f32, QR__GPU_attention_f32,
                      QR__GPU_attention_f32},
    };
    return precision == QR_PRECISION_F16 ? &f16 : precision == QR_PRECISION_BF16 ? &bf16 : &f32;
}

/* 16, 32, 64, 128: 0, 1, 2, 3 */
static size_t step_of(uint32_t size) {
    return size <= 16 ? 0 : size <= 32 ? 1 : size <= 64 ? 2 : 3;
}

qr__gpu_kernel qr__gpu_attention_of(qr_precision precision, uint32_t head) {
    return qr__gpu_kinds_of(precision)->attention[step_of(head)];
}

static uint32_t ceil_div(uint32_t a, uint32_t b) {
    return (a + b - 1) / b;
}

static uint32_t columns_of(qr_precision precision, uint32_t tile) {
    return QR_CUDA_GEMM_COLUMNS(precision == QR_PRECISION_F32 ? QR_CUDA_GEMM_F32_TILE : tile);
}

/* The bucket's own tile up to 64 tokens: one block reads each weight once. Beyond, the largest with
 * which there is a block for each multiprocessor. */
static uint32_t tile_of(qr_precision precision, uint32_t bucket, uint32_t n,
                        unsigned multiprocessors) {
    if (precision == QR_PRECISION_F32)
        return QR_CUDA_GEMM_F32_TILE;
    if (bucket <= 64)
        return bucket <= 16 ? 16 : bucket <= 32 ? 32 : 64;
    return n / columns_of(precision, 128) * ceil_div(bucket, 128) >= multiprocessors ? 128 : 64;
}

/* The fewest equal parts of K with which there is a block for each multiprocessor. f32 is the
 * measure of the gate: one order of sums for all batches. */
static uint32_t splits_of(qr_precision precision, uint32_t blocks, uint32_t k,
                          unsigned multiprocessors) {
    uint32_t best = 1, units = k / QR_CUDA_PAD;
    if (precision == QR_PRECISION_F32)
        return 1;
    for (uint32_t splits = 1; splits <= qr_min(units, QR__GPU_SPLITS_MAX); splits++) {
        if (units % splits != 0)
            continue;
        best = splits;
        if (blocks * splits >= multiprocessors)
            break;
    }
    return best;
}

qr__gpu_gemm qr__gpu_gemm_of(qr_precision precision, uint32_t bucket, uint32_t n, uint32_t k,
                             bool partial, unsigned multiprocessors) {
    uint32_t tile = tile_of(precision, bucket, n, multiprocessors);
    uint32_t across = n / columns_of(precision, tile), along = ceil_div(bucket, tile);
    uint32_t splits = partial ? splits_of(precision, across * along, k, multiprocessors) : 1;
    return (qr__gpu_gemm){.kernel = qr__gpu_kinds_of(precision)->gemm[step_of(tile)],
                          .grid = {across, along, splits},
                          .splits = splits};
}

/* The last one is as large as the context's batches, so that its rows bound all buffers. */
size_t qr__gpu_buckets(size_t tokens_max, uint32_t out[QR__GPU_BUCKETS_MAX]) {
    size_t count = 0, bucket = 16;
    for (; bucket < tokens_max; bucket *= 2)
        out[count++] = (uint32_t)bucket;
    out[count++] = (uint32_t)qr_round_up(tokens_max, 16);
    return count;
}

uint32_t qr__gpu_tiles_max(size_t tokens, size_t sequences) {
    return (uint32_t)qr_min(tokens, tokens / QR_CUDA_TILE + qr_min(sequences, tokens));
}

/* A sequence's tokens and tiles. */
static void fill_sequence(const qr_cuda_table *table, uint32_t begin, uint32_t end) {
    for (uint32_t t = begin; t < end; t++)
        table->positions[t] = t - begin;
    for (uint32_t first = begin; first < end; first += QR_CUDA_TILE)
        table->tiles[table->counts->tiles++] =
            (qr_cuda_tile){.begin = begin, .end = end, .first = first};
}

void qr__gpu_table_fill(const qr_cuda_table *table, const qr_batch *batch, bool types, bool skip) {
    const size_t B = batch->sequences, T = batch->starts[B];
    *table->counts = (qr_cuda_counts){.tokens = (uint32_t)T, .sequences = (uint32_t)B};
    memcpy(table->ids, batch->ids, T * sizeof *table->ids);
    memcpy(table->starts, batch->starts, (B + 1) * sizeof *table->starts);
    for (size_t t = 0; t < T; t++)
        table->types[t] = types && batch->types != NULL ? batch->types[t] : 0;
    for (size_t b = 0; b < B; b++) {
        table->skip[b] = skip && batch->skip != NULL ? batch->skip[b] : 0;
        fill_sequence(table, batch->starts[b], batch->starts[b + 1]);
    }
}
