/* engine/engine.c: from an open model to a plan that runs. */
#include "engine/engine.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/backend.h"
#include "engine/cpu/cpu.h"
#include "engine/plan/plan.h"
#include "engine/proven.h"
#include "engine/saved/saved.h"

/* Every device kind of this build, the fastest first: "auto" takes the first that opens. */
static const qr_backend *const backends[] = {&qr_backend_cpu};
#define BACKENDS (sizeof backends / sizeof backends[0])

struct qr_engine {
    qr_bert *bert; /* info, and the weights that the packing reads where they are */
    qr_device *device;
    qr_packed *packed;
    qr_plan_info plan;
};

/* "kind" or "kind:target"; *target is NULL without one. */
static const qr_backend *find_backend(const char *device, const char **target) {
    size_t len = strcspn(device, ":");
    *target = device[len] == ':' ? device + len + 1 : NULL;
    if (*target != NULL && **target == '\0')
        return NULL;
    for (size_t i = 0; i < BACKENDS; i++)
        if (qr_text_is((qr_text){device, len}, backends[i]->name))
            return backends[i];
    return NULL;
}

/* The fastest kind that is there. The last refusal is what the caller sees: the CPU is always
 * the last, and always there. */
static qr_status open_any(qr_device **out, qr_error *error) {
    qr_status status = QR_BAD_OPTION;
    for (size_t i = 0; i < BACKENDS && status != QR_OK; i++)
        status = backends[i]->open(NULL, out, error);
    return status;
}

static qr_status open_device(const char *device, qr_device **out, qr_error *error) {
    const char *target;
    if (device == NULL || strcmp(device, "auto") == 0)
        return open_any(out, error);
    const qr_backend *backend = find_backend(device, &target);
    if (backend != NULL)
        return backend->open(target, out, error);
    bool cuda = strncmp(device, "cuda", 4) == 0 && (device[4] == '\0' || device[4] == ':');
    return qr_error_set(error, QR_BAD_OPTION, "device %.64s: %s; use cpu or auto", device,
                        cuda ? "this build has no GPU part" : "there is no such device");
}

qr_status qr_device_check(const char *device, qr_error *error) {
    qr_device *opened = NULL;
    qr_status status = open_device(device, &opened, error);
    if (status == QR_OK)
        opened->backend->close(opened);
    return status;
}

static double ms_since(uint64_t begin_ns) {
    return (double)(qr_clock_ns() - begin_ns) / (double)QR_NS_PER_MS;
}

static int threads_of(const qr_engine_options *options) {
    return options->threads > 0 ? options->threads : qr_cores_find().usable;
}

/* A model from ONNX is proven before anything else is made of it. The originals are given back only
 * at the end: until the plan is chosen, any candidate may still be packed from them. */
static qr_status plan_and_pack(qr_engine *engine, const qr_model *model,
                               const qr_engine_options *options, qr_saved_plan *chosen,
                               qr_error *error) {
    const qr__proven_options proven = {.model = model,
                                       .bert = engine->bert,
                                       .device = engine->device,
                                       .cache_dir = options->cache_dir,
                                       .threads = threads_of(options)};
    qr_trial trial = {.bert = engine->bert,
                      .device = engine->device,
                      .asked = options->precision,
                      .probes = options->probes,
                      .calibration = options->calibration,
                      .threads = threads_of(options)};
    qr_trial_result result;
    qr_status status = qr__proven(&proven, &trial.f32, &engine->plan, error);
    if (status == QR_OK)
        status = qr_trial_run(&trial, &result, error);
    if (status != QR_OK)
        return status;
    engine->packed = result.packed;
    engine->device->backend->release(engine->packed, engine->bert);
    engine->plan.pack_ms = result.pack_ms;
    engine->plan.gate_ms = result.gate_ms;
    *chosen = (qr_saved_plan){.precision = result.precision,
                              .proof = engine->plan.proof,
                              .bert = engine->bert,
                              .packed = engine->packed};
    memcpy(chosen->fallback, result.fallback, sizeof chosen->fallback);
    snprintf(chosen->reason, sizeof chosen->reason, "%s", result.reason);
    return QR_OK;
}

static void describe(qr_engine *engine, qr_precision asked, const qr_saved_plan *chosen) {
    qr_plan_info *plan = &engine->plan;
    plan->precision = chosen->precision;
    plan->fell_back = asked == QR_PRECISION_AUTO && chosen->precision != engine->device->order[0];
    plan->fallbacks = qr_fallbacks(chosen->fallback, engine->bert->info.layers);
    plan->weight_bytes = engine->packed->bytes;
    snprintf(plan->device, sizeof plan->device, "%s", engine->device->backend->name);
    snprintf(plan->target, sizeof plan->target, "%s", engine->device->target);
    snprintf(plan->reason, sizeof plan->reason, "%s", chosen->reason);
    plan->rates = engine->device->rates;
}

/* f32 by name has no gate, and packing it takes no longer than reading it back. */
static qr_saved *open_saved(const qr_engine *engine, const qr_model *model,
                            const qr_engine_options *options) {
    bool pays = options->precision != QR_PRECISION_F32 && engine->device->backend->save != NULL;
    if (options->cache_dir == NULL || options->cache_dir[0] == '\0' || !pays ||
        strcmp(options->cache_dir, QR_SAVED_NOTHING) == 0)
        return NULL;
    return qr_saved_open(&(qr_saved_options){.dir = options->cache_dir,
                                             .model = model,
                                             .device = engine->device,
                                             .asked = options->precision,
                                             .probes = options->probes,
                                             .calibration = options->calibration});
}

/* The plan that an earlier start kept, or a new one, which is kept for the next. */
static qr_status take_plan(qr_engine *engine, const qr_model *model,
                           const qr_engine_options *options, qr_error *error) {
    qr_saved *saved = open_saved(engine, model, options);
    qr_saved_plan chosen;
    qr_status status = QR_OK;
    engine->plan.from_cache = qr_saved_load(saved, &chosen);
    if (engine->plan.from_cache) {
        engine->bert = chosen.bert;
        engine->packed = chosen.packed;
        qr__proven_by_plan(model, &chosen.proof, &engine->plan);
    } else {
        status = qr_bert_read(model, &engine->bert, error);
        if (status == QR_OK)
            status = plan_and_pack(engine, model, options, &chosen, error);
        if (status == QR_OK)
            qr_saved_write(saved, &chosen);
    }
    qr_saved_close(saved);
    if (status == QR_OK)
        describe(engine, options->precision, &chosen);
    return status;
}

qr_status qr_engine_create(const qr_model *model, const qr_engine_options *options, qr_engine **out,
                           qr_error *error) {
    uint64_t begin = qr_clock_ns();
    *out = NULL;
    qr_engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "no memory for an engine");
    qr_status status = open_device(options->device, &engine->device, error);
    if (status == QR_OK)
        status = take_plan(engine, model, options, error);
    if (status != QR_OK) {
        qr_engine_destroy(engine);
        return status;
    }
    engine->plan.load_ms = ms_since(begin);
    *out = engine;
    return QR_OK;
}

void qr_engine_destroy(qr_engine *engine) {
    if (engine == NULL)
        return;
    if (engine->packed != NULL)
        engine->device->backend->packed_destroy(engine->packed);
    if (engine->device != NULL)
        engine->device->backend->close(engine->device);
    qr_bert_destroy(engine->bert);
    free(engine);
}

const qr_model_info *qr_engine_model(const qr_engine *engine) {
    return &engine->bert->info;
}

const qr_plan_info *qr_engine_plan(const qr_engine *engine) {
    return &engine->plan;
}

qr_status qr_context_create(const qr_engine *engine, const qr_context_options *options,
                            qr_context **out, qr_error *error) {
    return qr_packed_context(engine->packed, options, out, error);
}
