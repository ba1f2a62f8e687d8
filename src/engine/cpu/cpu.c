/* engine/cpu/cpu.c: what engine/backend.h asks of a device, answered by the CPU. */
#include "engine/cpu/cpu.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/cpu/forward.h"
#include "engine/cpu/rates.h"
#include "engine/cpu/target.h"

/* One more thread is called for each so many operations of a batch: about 20 us of a core. Waking
 * and meeting it costs nearly as much, so for less it would not pay. */
#define MEMBER_OPERATIONS 4e6

/* A target is an instruction set; what it runs follows from which matrix products there are
 * for it. */
static qr_status cpu_open(const char *target, qr_device **out, qr_error *error) {
    qr__isa isa;
    qr_status status = qr__target_choose(target, &isa, error);
    if (status != QR_OK)
        return status;
    qr__cpu *cpu = calloc(1, sizeof *cpu);
    if (cpu == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "no memory for a device");
    cpu->isa = isa;
    cpu->base.backend = &qr_backend_cpu;
    snprintf(cpu->base.target, sizeof cpu->base.target, "%s", qr__isa_name(isa));
    for (unsigned p = QR_PRECISION_F32; p < QR_PRECISIONS; p++)
        cpu->base.runs[p] = qr__gemm_find((qr_precision)p, isa) != NULL;
    const qr__cpu_id id = qr__isa_cpu();
    qr__rates_describe(qr__rates_find(qr__rates_table, qr__rates_table_len, &id, isa), &id,
                       &cpu->base.rates);
    qr__rates_order(&cpu->base.rates, cpu->base.runs, cpu->base.order);
    cpu->base.varies[QR_PRECISION_F32] = isa == QR_ISA_REF; /* OpenBLAS's kernels go by the rows */
    *out = &cpu->base;
    return QR_OK;
}

static void cpu_close(qr_device *device) {
    free(device);
}

static qr_status cpu_pack(const qr_device *device, const qr_bert *bert, const qr_plan *plan,
                          const qr_packed *like, qr_packed **out, qr_error *error) {
    qr__weights *weights = NULL;
    qr_status status = qr__weights_pack((const qr__cpu *)device, bert, plan,
                                        (const qr__weights *)like, &weights, error);
    *out = status == QR_OK ? &weights->base : NULL;
    return status;
}

static qr_status cpu_mix(const qr_packed *int8, const qr_packed *bf16, const uint8_t *fallback,
                         qr_packed **out, qr_error *error) {
    qr__weights *weights = NULL;
    qr_status status = qr__weights_mix((const qr__weights *)int8, (const qr__weights *)bf16,
                                       fallback, &weights, error);
    *out = status == QR_OK ? &weights->base : NULL;
    return status;
}

static qr_status cpu_save(const qr_packed *packed, const qr_sink *sink) {
    return qr__weights_save((const qr__weights *)packed, sink);
}

static qr_status cpu_load(const qr_device *device, const qr_bert *bert, const qr_plan *plan,
                          const qr_source *source, qr_packed **out, qr_error *error) {
    qr__weights *weights = NULL;
    qr_status status =
        qr__weights_load((const qr__cpu *)device, bert, plan, source, &weights, error);
    *out = status == QR_OK ? &weights->base : NULL;
    return status;
}

static void cpu_packed_destroy(qr_packed *packed) {
    qr__weights_destroy((qr__weights *)packed);
}

static void cpu_release(const qr_packed *packed, qr_bert *bert) {
    qr__weights_release_originals((const qr__weights *)packed, bert);
}

static qr_status cpu_context_create(const qr_packed *packed, const qr_context_options *options,
                                    qr_context **out, qr_error *error) {
    qr__context *context = NULL;
    qr_status status = qr__context_create((const qr__weights *)packed, options, &context, error);
    *out = status == QR_OK ? &context->base : NULL;
    return status;
}

static void cpu_context_destroy(qr_context *context) {
    qr__context_destroy((qr__context *)context);
}

/* The threads that a batch is worth. */
static int members_for(const qr__context *c, const qr_batch *batch) {
    double operations =
        qr_model_operations(&c->weights->base.bert->info, batch->starts, batch->sequences);
    return (int)fmin(c->members, 1 + operations / MEMBER_OPERATIONS);
}

/* The batch is the context's while it runs: every member of the team reads it from there. */
static qr_status cpu_forward(qr_context *context, const qr_batch *batch, qr_output wanted,
                             const float **out) {
    qr__context *c = (qr__context *)context;
    const qr_model_info *info = &c->weights->base.bert->info;
    c->batch = batch;
    c->tokens = batch->starts[batch->sequences];
    qr__context_cut(c, c->tokens, batch->sequences);
    c->skip = wanted == QR_OUTPUT_POOLED ? batch->skip : NULL;
    c->first_only =
        c->weights->layers[info->layers - 1].q[0] != NULL && qr__reads_first_tokens(info, wanted);
    *out = qr__head(c, qr__encode(c, members_for(c, batch)), wanted);
    c->batch = NULL;
    return QR_OK;
}

/* All rows of all layers, whatever the model's own output reads. */
static qr_status cpu_calibrate(qr_context *context, const qr_batch *batch, float *ranges) {
    qr__context *c = (qr__context *)context;
    const float *hidden;
    c->ranges = ranges;
    qr_status status = cpu_forward(context, batch, QR_OUTPUT_HIDDEN, &hidden);
    c->ranges = NULL;
    return status;
}

const qr_backend qr_backend_cpu = {
    .name = "cpu",
    .open = cpu_open,
    .close = cpu_close,
    .pack = cpu_pack,
    .mix = cpu_mix,
    .packed_destroy = cpu_packed_destroy,
    .save = cpu_save,
    .load = cpu_load,
    .release = cpu_release,
    .context_create = cpu_context_create,
    .context_destroy = cpu_context_destroy,
    .forward = cpu_forward,
    .calibrate = cpu_calibrate,
};
