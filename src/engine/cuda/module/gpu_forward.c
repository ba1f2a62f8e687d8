/* engine/cuda/module/gpu_forward.c: one batch: fill the table, launch a graph, wait. */
#include "engine/cuda/module/gpu_context.h"
#include "engine/cuda/module/gpu_wait.h"

static qr__cu_result make_events(qr__gpu_context *c) {
    const qr__driver *driver = &c->weights->gpu->driver;
    qr__cu_event begin = NULL, end = NULL;
    qr__cu_result result = QR__CU_OK;
    if (c->begin == NULL && (result = driver->event_create(&begin, 0)) == QR__CU_OK)
        c->begin = begin;
    if (result == QR__CU_OK && c->end == NULL &&
        (result = driver->event_create(&end, 0)) == QR__CU_OK)
        c->end = end;
    return result;
}

static size_t bucket_of(const qr__gpu_context *c, size_t tokens) {
    size_t i = 0;
    while (c->buckets[i] < tokens)
        i++;
    return i;
}

/* Nothing may still read the table when the next batch is written there: a device that cannot be
 * waited for twice is not waited for again, whatever it says. What it says is told as it is. */
static qr__cu_result wait(const qr__gpu_context *c, const qr_batch *batch) {
    const qr__gpu *gpu = c->weights->gpu;
    const double operations =
        qr_model_operations(&c->weights->base.bert->info, batch->starts, batch->sequences);
    qr__cu_result result = qr__gpu_wait(gpu, c->stream, operations);
    if (result == QR__CU_OK || result == QR__GPU_ENDLESS ||
        qr__gpu_wait(gpu, c->stream, operations) == QR__CU_OK)
        return result;
    return qr__gpu_is_passing(result) ? QR__CU_UNKNOWN : result;
}

/* A pass that is timed follows another of the same batch, so that the GPU is at work while the host
 * launches it: an idle one would take the first event's time at once, and count the launch too. */
static qr__cu_result launch_timed(const qr__gpu_context *c, qr__cu_exec graph) {
    const qr__driver *driver = &c->weights->gpu->driver;
    qr__cu_result result = driver->graph_launch(graph, c->stream);
    if (result == QR__CU_OK)
        result = driver->event_record(c->begin, c->stream);
    if (result == QR__CU_OK)
        result = driver->graph_launch(graph, c->stream);
    if (result == QR__CU_OK)
        result = driver->event_record(c->end, c->stream);
    return result;
}

/* Waits also when a launch failed. */
static qr__cu_result run(const qr__gpu_context *c, const qr_batch *batch, qr__cu_exec graph,
                         bool timed) {
    qr__cu_result result =
        timed ? launch_timed(c, graph) : c->weights->gpu->driver.graph_launch(graph, c->stream);
    qr__cu_result waited = wait(c, batch);
    return waited != QR__CU_OK ? waited : result;
}

/* A loss is logged where it is found; what fails this batch alone is logged here. */
static void log_failure(const qr__gpu *gpu, const qr_error *error) {
    if (!qr__gpu_is_lost(gpu))
        gpu->host->tell(error->message);
}

static qr_status failed(const qr__gpu_context *c, qr__cu_result result) {
    qr_error error = {0};
    qr__gpu_fault(c->weights->gpu, result, "a batch", &error);
    log_failure(c->weights->gpu, &error);
    return QR_DEVICE;
}

/* An output that this context was not made for: its place and graphs are made now. */
static qr_status prepare(qr__gpu_context *c, qr_output wanted) {
    qr_error error = {0};
    qr_status status = qr__gpu_context_prepare(c, wanted, &error);
    if (status != QR_OK)
        log_failure(c->weights->gpu, &error);
    return status;
}

qr_status qr__gpu_forward(qr__gpu_context *c, const qr_batch *batch, qr_output wanted,
                          const float **out, float *gpu_us) {
    const qr__gpu *gpu = c->weights->gpu;
    const size_t bucket = bucket_of(c, batch->starts[batch->sequences]);
    float ms = 0;
    if (qr__gpu_is_lost(gpu))
        return QR_DEVICE;
    qr__cu_result result = qr__gpu_enter(gpu);
    if (result == QR__CU_OK && gpu_us != NULL)
        result = make_events(c);
    if (result != QR__CU_OK)
        return failed(c, result);
    qr_status status = c->graphs[wanted][bucket] == NULL ? prepare(c, wanted) : QR_OK;
    if (status != QR_OK)
        return status;
    qr__gpu_table_fill(&c->table, batch, c->weights->type != 0, wanted == QR_OUTPUT_POOLED);
    result = run(c, batch, c->graphs[wanted][bucket], gpu_us != NULL);
    if (result == QR__CU_OK && gpu_us != NULL)
        result = gpu->driver.event_elapsed(&ms, c->begin, c->end);
    if (result != QR__CU_OK)
        return failed(c, result);
    if (gpu_us != NULL)
        *gpu_us = ms * 1000;
    *out = c->results[wanted].host;
    return QR_OK;
}
