/* engine/cuda/module/gpu_context.c: a workspace's memory and graphs. */
#include "engine/cuda/module/gpu_context.h"

#include <stdlib.h>

#include "engine/cuda/module/gpu_cutter.h"
#include "engine/cuda/module/gpu_pass.h"
#include "engine/cuda/module/gpu_upload.h"
#include "engine/cuda/module/gpu_wait.h"

static const qr_model_info *info_of(const qr__gpu_context *c) {
    return &c->weights->base.bert->info;
}

static size_t rows_of(const qr__gpu_context *c) {
    return c->buckets[c->bucket_count - 1];
}

/* --- memory --- */

/* The largest partial sums of any bucket, in rows. */
static size_t partial_rows(const qr__gpu_context *c, const qr__gpu_linear *linear) {
    const qr__gpu_weights *w = c->weights;
    size_t most = 0;
    for (size_t i = 0; i < c->bucket_count; i++) {
        const qr__gpu_gemm gemm = qr__gpu_gemm_of(w->precision, c->buckets[i], linear->n, linear->k,
                                                  true, w->gpu->multiprocessors);
        const size_t splits = qr_max(gemm.splits, qr__gpu_encoder_splits(w, c->buckets[i]));
        most = qr_max(most, splits * c->buckets[i]);
    }
    return most;
}

/* Numbers of the widest vector of a sequence between pooling and result. */
static size_t widest_vector(const qr_model_info *info) {
    size_t widest = info->poolings * info->hidden;
    for (size_t i = 0; i < info->denses; i++)
        widest = qr_max(widest, info->dense[i].out);
    return qr_max(widest, info->hidden);
}

static void *place(qr__gpu_cutter *cutter, size_t count, size_t size) {
    return (void *)(uintptr_t)qr__gpu_cut(cutter, count, 1, size);
}

static void place_table(qr__gpu_cutter *cutter, size_t T, size_t B, qr_cuda_table *table) {
    table->counts = place(cutter, 1, sizeof *table->counts);
    table->ids = place(cutter, T, sizeof *table->ids);
    table->positions = place(cutter, T, sizeof *table->positions);
    table->types = place(cutter, T, sizeof *table->types);
    table->starts = place(cutter, B + 1, sizeof *table->starts);
    table->skip = place(cutter, B, sizeof *table->skip);
    table->tiles = place(cutter, qr__gpu_tiles_max(T, B), sizeof *table->tiles);
}

static void place_buffers(qr__gpu_context *c, qr__gpu_cutter *cutter) {
    const qr__gpu_weights *w = c->weights;
    const qr_model_info *info = info_of(c);
    const size_t T = rows_of(c), B = c->sequences_max;
    const size_t element = qr__gpu_element_bytes(w->precision);
    const qr__gpu_layer *layer = &w->layers[0];
    place_table(cutter, T, B, &c->staged);
    c->x = qr__gpu_cut(cutter, T, w->widths.hidden, element);
    c->residual = w->precision == QR_PRECISION_F32
                      ? c->x
                      : qr__gpu_cut(cutter, T, w->widths.hidden, sizeof(float));
    c->words = qr__gpu_cut(cutter, w->projection.n > 0 ? T : 0, w->widths.words, element);
    c->qkv = qr__gpu_cut(cutter, T, w->widths.qkv, element);
    c->attended = qr__gpu_cut(cutter, T, w->widths.attended, element);
    c->inner = qr__gpu_cut(cutter, T, w->widths.inner, element);
    c->partial =
        qr__gpu_cut(cutter, qr_max(partial_rows(c, &layer->output), partial_rows(c, &layer->down)),
                    w->widths.hidden, sizeof(float));
    c->lt_workspace = qr__gpu_cut(cutter, c->lt == NULL ? 0 : QR__LT_WORKSPACE_BYTES_MAX, 1, 1);
    for (size_t i = 0; i < sizeof c->vectors / sizeof c->vectors[0]; i++)
        c->vectors[i] = qr__gpu_cut(cutter, B, widest_vector(info), sizeof(float));
}

static qr_status allocate_buffers(qr__gpu_context *c, qr_error *error) {
    const qr__gpu *gpu = c->weights->gpu;
    qr__gpu_cutter cutter = {0};
    place_buffers(c, &cutter);
    if (cutter.overflow)
        return qr_error_set(error, QR_NO_MEMORY, "device cuda: a workspace too large to count");
    qr__cu_pointer memory = 0;
    int result = gpu->driver.mem_alloc(&memory, cutter.used);
    if (result != QR__CU_OK) {
        qr_status status = qr__gpu_fault(gpu, result, "a workspace", error);
        return status != QR_NO_MEMORY
                   ? status
                   : qr_error_set(
                         error, status,
                         "device cuda:%d: no %zu MB are free for a workspace of %zu tokens",
                         gpu->ordinal, (cutter.used >> 20) + 1, rows_of(c));
    }
    c->memory = memory;
    cutter = (qr__gpu_cutter){.base = memory};
    place_buffers(c, &cutter);
    return QR_OK;
}

static qr_status map(const qr__gpu *gpu, size_t bytes, qr__gpu_mapped *out, qr_error *error) {
    void *host = NULL;
    int result = gpu->driver.host_alloc(&host, bytes, QR__CU_HOST_DEVICE_MAP);
    if (result == QR__CU_OK) {
        result = gpu->driver.host_pointer(&out->device, host, 0);
        if (result == QR__CU_OK)
            out->host = host;
        else
            (void)gpu->driver.host_free(host);
    }
    return result == QR__CU_OK ? QR_OK : qr__gpu_fault(gpu, result, "memory of the host", error);
}

static qr_status map_table(qr__gpu_context *c, qr_error *error) {
    qr__gpu_cutter cutter = {0};
    place_table(&cutter, rows_of(c), c->sequences_max, &c->table);
    qr_status status = map(c->weights->gpu, cutter.used, &c->batch, error);
    if (status != QR_OK)
        return status;
    cutter = (qr__gpu_cutter){.base = (uintptr_t)c->batch.host};
    place_table(&cutter, rows_of(c), c->sequences_max, &c->table);
    cutter = (qr__gpu_cutter){.base = c->batch.device};
    place_table(&cutter, rows_of(c), c->sequences_max, &c->mapped);
    return QR_OK;
}

/* --- captures --- */

/* Also a capture that failed must end, or nothing can be done on the stream any more; an end that
 * failed is tried again. */
static qr__cu_result end_capture(const qr__gpu_context *c, qr__cu_graph *graph) {
    const qr__driver *driver = &c->weights->gpu->driver;
    qr__cu_result result = driver->end_capture(c->stream, graph);
    if (result == QR__CU_OK)
        return result;
    *graph = NULL;
    if (driver->end_capture(c->stream, graph) != QR__CU_OK)
        *graph = NULL;
    return result;
}

/* --- cuBLASLt --- */

static void plan_lt(qr__gpu_context *c) {
    const qr__gpu_layer *layer = &c->weights->layers[0];
    const qr__gpu_linear *const linears[QR__LT_KINDS] = {[QR__LT_QKV] = &layer->qkv,
                                                         [QR__LT_OUTPUT] = &layer->output,
                                                         [QR__LT_UP] = &layer->up,
                                                         [QR__LT_DOWN] = &layer->down};
    if (rows_of(c) < qr__lt_tokens())
        return;
    c->lt = qr__lt_create(c->weights->precision);
    for (size_t b = 0; b < c->bucket_count; b++)
        for (unsigned kind = 0; kind < QR__LT_KINDS; kind++)
            qr__lt_plan(c->lt, (qr__lt_kind)kind, c->buckets[b], linears[kind]->n,
                        linears[kind]->k);
}

/* Whether its products can be captured: a library may allocate or wait, which ends a capture. */
static bool captures_lt(const qr__gpu_context *c) {
    const qr__driver *driver = &c->weights->gpu->driver;
    qr__cu_graph graph = NULL;
    if (driver->begin_capture(c->stream, QR__CU_CAPTURE_THREAD_LOCAL) != QR__CU_OK)
        return false;
    bool runs = qr__gpu_try_lt(c);
    runs = end_capture(c, &graph) == QR__CU_OK && runs;
    if (graph != NULL)
        (void)driver->graph_destroy(graph);
    return runs;
}

/* What does not run now, or not into a graph, would not later: then all products are our own. */
static qr_status try_lt(qr__gpu_context *c, qr_error *error) {
    const qr__gpu *gpu = c->weights->gpu;
    if (c->lt == NULL)
        return QR_OK;
    bool runs = qr__gpu_try_lt(c);
    qr__cu_result result = qr__gpu_wait(gpu, c->stream, 0);
    if (result != QR__CU_OK)
        return qr__gpu_fault(gpu, result, "trying cuBLASLt", error);
    if (!runs || !captures_lt(c)) {
        qr__lt_destroy(c->lt);
        c->lt = NULL;
    }
    return QR_OK;
}

/* --- outputs and their graphs --- */

static size_t result_floats(const qr__gpu_context *c, qr_output wanted) {
    const qr_model_info *info = info_of(c);
    const size_t T = rows_of(c), B = c->sequences_max;
    switch (wanted) {
    case QR_OUTPUT_HIDDEN:
        return T * info->hidden;
    case QR_OUTPUT_POOLED:
        return B * info->embedding;
    case QR_OUTPUT_SPAN:
        return T * 2;
    case QR_OUTPUT_LABELS:
        return B * info->labels;
    case QR_OUTPUT_TOKEN_LABELS:
        break;
    }
    return T * info->labels;
}

static qr_output natural_output(const qr_model_info *info) {
    switch (info->head) {
    case QR_HEAD_SPAN:
        return QR_OUTPUT_SPAN;
    case QR_HEAD_LABELS:
        return QR_OUTPUT_LABELS;
    case QR_HEAD_TOKENS:
        return QR_OUTPUT_TOKEN_LABELS;
    case QR_HEAD_NONE:
        break;
    }
    return QR_OUTPUT_POOLED;
}

static qr__cu_result capture(const qr__gpu_context *c, uint32_t bucket, qr_output wanted,
                             qr__cu_exec *out) {
    const qr__driver *driver = &c->weights->gpu->driver;
    qr__cu_graph graph = NULL;
    qr__cu_exec exec = NULL;
    qr__cu_result result = driver->begin_capture(c->stream, QR__CU_CAPTURE_THREAD_LOCAL);
    if (result != QR__CU_OK)
        return result;
    result = qr__gpu_pass(c, bucket, wanted);
    qr__cu_result ended = end_capture(c, &graph);
    if (result == QR__CU_OK)
        result = ended;
    if (result == QR__CU_OK)
        result = driver->graph_make(&exec, graph, 0);
    if (graph != NULL)
        (void)driver->graph_destroy(graph);
    if (result == QR__CU_OK)
        *out = exec;
    return result;
}

qr_status qr__gpu_context_prepare(qr__gpu_context *c, qr_output wanted, qr_error *error) {
    const qr__gpu *gpu = c->weights->gpu;
    qr__cu_result result = QR__CU_OK;
    qr_status status = QR_OK;
    if (c->results[wanted].host == NULL)
        status = map(gpu, result_floats(c, wanted) * sizeof(float), &c->results[wanted], error);
    if (status != QR_OK)
        return status;
    for (size_t i = 0; i < c->bucket_count && result == QR__CU_OK; i++) {
        qr__cu_exec *graph = &c->graphs[wanted][i];
        if (*graph != NULL)
            continue;
        result = capture(c, c->buckets[i], wanted, graph);
        if (result == QR__CU_OK)
            result = gpu->driver.graph_upload(*graph, c->stream);
    }
    if (result == QR__CU_OK)
        result = qr__gpu_wait(gpu, c->stream, 0);
    return result == QR__CU_OK ? QR_OK : qr__gpu_fault(gpu, result, "making graphs", error);
}

/* --- all of it --- */

qr_status qr__gpu_context_create(const qr__gpu_weights *weights, const qr_context_options *options,
                                 qr__gpu_context **out, qr_error *error) {
    const qr__gpu *gpu = weights->gpu;
    *out = NULL;
    qr__gpu_context *c = calloc(1, sizeof *c);
    if (c == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "no memory for a context");
    c->weights = weights;
    c->sequences_max = options->sequences_max;
    c->bucket_count = qr__gpu_buckets(options->tokens_max, c->buckets);
    qr__cu_stream stream = NULL;
    int result = gpu->driver.stream_create(&stream, QR__CU_STREAM_NON_BLOCKING);
    c->stream = result == QR__CU_OK ? stream : NULL;
    qr_status status =
        result == QR__CU_OK ? QR_OK : qr__gpu_fault(gpu, result, "making a stream", error);
    if (status == QR_OK) {
        plan_lt(c);
        status = allocate_buffers(c, error);
    }
    if (status == QR_OK)
        status = map_table(c, error);
    if (status == QR_OK)
        status = try_lt(c, error);
    if (status == QR_OK)
        status = qr__gpu_context_prepare(c, natural_output(info_of(c)), error);
    if (status == QR_OK)
        *out = c;
    else
        qr__gpu_context_destroy(c);
    return status;
}

static void unmap(const qr__driver *driver, const qr__gpu_mapped *mapped) {
    if (mapped->host != NULL)
        (void)driver->host_free(mapped->host);
}

/* Whether the stream is at its end, so that nothing reads or writes what is given back. Of a hung
 * device nobody knows. */
static bool comes_to_rest(const qr__gpu_context *c) {
    const qr__gpu *gpu = c->weights->gpu;
    if (qr__gpu_is_hung(gpu))
        return false;
    (void)!qr__gpu_enter(gpu);
    qr__cu_result result = c->stream == NULL ? QR__CU_OK : qr__gpu_wait(gpu, c->stream, 0);
    if (result == QR__GPU_ENDLESS)
        qr__gpu_fault(gpu, result, "the end of a workspace", NULL);
    return result != QR__GPU_ENDLESS;
}

/* What the driver says is not looked at: of a lost device it says the same at each call, and there
 * is nothing that could be done. */
static void give_back(qr__gpu_context *c) {
    const qr__driver *driver = &c->weights->gpu->driver;
    for (size_t i = 0; i < QR__GPU_OUTPUTS; i++) {
        for (size_t b = 0; b < c->bucket_count; b++)
            if (c->graphs[i][b] != NULL)
                (void)driver->exec_destroy(c->graphs[i][b]);
        unmap(driver, &c->results[i]);
    }
    unmap(driver, &c->batch);
    qr__lt_destroy(c->lt);
    if (c->memory != 0)
        (void)driver->mem_free(c->memory);
    if (c->begin != NULL)
        (void)driver->event_destroy(c->begin);
    if (c->end != NULL)
        (void)driver->event_destroy(c->end);
    if (c->stream != NULL)
        (void)driver->stream_destroy(c->stream);
}

/* What the device may know of is left where it is when it hangs, for the rest of the process's
 * life: its memory and the host's that it sees, graphs, and cuBLASLt, whose end waits too. */
void qr__gpu_context_destroy(qr__gpu_context *c) {
    if (c == NULL)
        return;
    if (comes_to_rest(c))
        give_back(c);
    free(c);
}
