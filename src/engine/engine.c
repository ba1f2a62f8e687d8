/* engine/engine.c: from an open model to a plan that runs. */
#include "engine/engine.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/backend.h"
#include "engine/devices.h"
#include "engine/plan/plan.h"
#include "engine/proven.h"
#include "engine/saved/saved.h"

#define PASSED_OVER ((int)sizeof((qr_plan_info *)0)->passed_over)

struct qr_engine {
    qr_bert *bert; /* info, and the weights that the packing reads where they are */
    qr_device *device;
    qr_packed *packed;
    qr_plan_info plan;
};

bool qr_engine_cache_dir(const char *cache_dir, bool from_onnx, char out[QR_PATH_BYTES]) {
    qr_error unread;
    if (cache_dir == NULL || cache_dir[0] == '\0')
        return from_onnx && qr_saved_home(out, &unread) == QR_OK;
    return strcmp(cache_dir, QR_SAVED_NOTHING) != 0 &&
           qr_file_join(cache_dir, "", out, QR_PATH_BYTES);
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
    plan->number = engine->device->number;
    plan->rates = engine->device->rates;
    plan->varies = engine->device->varies[chosen->precision];
    plan->streams = engine->device->streams;
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

/* Back to an engine without a device. */
static void clear(qr_engine *engine) {
    if (engine->packed != NULL)
        engine->device->backend->packed_destroy(engine->packed);
    if (engine->device != NULL)
        engine->device->backend->close(engine->device);
    qr_bert_destroy(engine->bert);
    *engine = (qr_engine){.bert = NULL};
}

/* Takes the device. */
static qr_status create_on(qr_engine *engine, qr_device *device, const qr_model *model,
                           const qr_engine_options *options, qr_error *error) {
    engine->device = device;
    return take_plan(engine, model, options, error);
}

/* "not on cuda: there is no NVIDIA driver": messages that begin with the device need not name it
 * twice. */
static void say_passed_over(const char *kind, const qr_error *refusal, char out[PASSED_OVER]) {
    char prefix[64];
    int len = snprintf(prefix, sizeof prefix, "device %s: ", kind);
    bool named = strncmp(refusal->message, prefix, (size_t)len) == 0;
    snprintf(out, PASSED_OVER, "not on %s: %.*s", kind, PASSED_OVER - 32,
             refusal->message + (named ? len : 0));
}

/* The fastest kind that opens and takes the model. What a faster one said is in the plan, but
 * for that this build has none of its kind. The last refusal is the caller's. */
static qr_status create_on_any(qr_engine *engine, const qr_model *model,
                               const qr_engine_options *options, qr_error *error) {
    char passed_over[PASSED_OVER] = "";
    bool is_absent = false;
    qr_status status = QR_BAD_OPTION;
    for (size_t i = 0; qr__device_kind(i) != NULL; i++) {
        qr_device *device = NULL;
        qr_error refusal = {0};
        clear(engine);
        qr_status opened = qr__device_kind(i)->open(NULL, &device, &refusal);
        status = opened == QR_OK ? create_on(engine, device, model, options, &refusal) : opened;
        if (status == QR_OK)
            break;
        is_absent = opened == QR_IO;
        if (opened != QR_NOT_IMPLEMENTED)
            say_passed_over(qr__device_kind(i)->name, &refusal, passed_over);
        if (error != NULL)
            *error = refusal;
    }
    memcpy(engine->plan.passed_over, passed_over, sizeof passed_over);
    engine->plan.is_absent = is_absent;
    return status;
}

qr_status qr_engine_create(const qr_model *model, const qr_engine_options *options, qr_engine **out,
                           qr_error *error) {
    uint64_t begin = qr_clock_ns();
    qr_device *device;
    qr_status status;
    *out = NULL;
    qr_engine *engine = calloc(1, sizeof *engine);
    if (engine == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "no memory for an engine");
    if (qr_device_is_auto(options->device)) {
        status = create_on_any(engine, model, options, error);
    } else {
        status = qr__device_open(options->device, &device, error);
        if (status == QR_OK)
            status = create_on(engine, device, model, options, error);
    }
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
    clear(engine);
    free(engine);
}

bool qr_engine_lost(const qr_engine *engine) {
    const qr_backend *backend = engine->device->backend;
    return backend->lost != NULL && backend->lost(engine->device);
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
