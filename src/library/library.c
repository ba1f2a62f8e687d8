/* library/library.c: libquerent's models: load, what they are, the end. */
#include <signal.h>
#include <stdlib.h>

#include "library/library_internal.h"

static const qr_precision precisions[] = {
    [QR_LIB_PRECISION_F32] = QR_PRECISION_F32,   [QR_LIB_PRECISION_BF16] = QR_PRECISION_BF16,
    [QR_LIB_PRECISION_INT8] = QR_PRECISION_INT8, [QR_LIB_PRECISION_AUTO] = QR_PRECISION_AUTO,
    [QR_LIB_PRECISION_F16] = QR_PRECISION_F16,
};

static qr_lib_kind kind_of(qr_kind kind) {
    switch (kind) {
    case QR_KIND_SPAN:
        return QR_LIB_KIND_SPAN;
    case QR_KIND_CLASSIFIER:
        return QR_LIB_KIND_CLASSIFIER;
    case QR_KIND_RERANKER:
        return QR_LIB_KIND_RERANKER;
    case QR_KIND_TOKENS:
        return QR_LIB_KIND_TOKENS;
    case QR_KIND_EMBEDDING:
        break;
    }
    return QR_LIB_KIND_EMBEDDING;
}

static qr_lib_status read_options(const qr_lib_load_options *given, qr_lib_load_options *own,
                                  qr_lib_error *error) {
    qr_lib_status status = qr__lib_options_read(given, own, sizeof *own, QR__LIB_FIRST_LOAD_OPTIONS,
                                                "qr_lib_load_options", error);
    if (status == QR_LIB_OK)
        status = qr__lib_choice_check("precision", own->precision, QR_LIB_PRECISION_F16, error);
    if (status == QR_LIB_OK)
        status = qr__lib_choice_check("threads", own->threads, QR_LIMIT_THREADS, error);
    if (status == QR_LIB_OK)
        status = qr__lib_choice_check("calls_most", own->calls_most, QR_LIMIT_THREADS, error);
    if (status == QR_LIB_OK)
        status = qr__lib_choice_check("reserved", own->reserved, 0, error);
    if (own->device == NULL)
        own->device = "cpu";
    if (own->threads == 0)
        own->threads = qr_cores_find().usable;
    if (own->calls_most == 0)
        own->calls_most = qr_cores_find().usable;
    return status;
}

/* The caller's signals are for the caller's threads. */
static void start_helpers(qr_lib_model *model, int threads) {
    sigset_t all, before;
    qr_status status = QR_OK;
    if (threads < 2)
        return;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    status = qr_pool_create(threads, &model->pool);
    if (status == QR_OK)
        status = qr_pool_start_helpers(model->pool);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (status != QR_OK)
        qr_log(QR_LOG_WARN, "fewer than %d threads could be started", threads);
}

static qr_lib_status load(const char *dir, const qr_lib_load_options *options, qr_lib_model **out,
                          qr_lib_error *error) {
    qr_lib_load_options own;
    qr_lib_status status = read_options(options, &own, error);
    if (status != QR_LIB_OK)
        return status;
    qr_lib_model *model = calloc(1, sizeof *model);
    if (model == NULL)
        return qr__lib_fault(error, QR_LIB_NO_MEMORY, "out of memory");
    qr__seats_init(model, own.calls_most);
    const qr_pipeline_options as = {.name = own.name,
                                    .precision = precisions[own.precision],
                                    .device = own.device,
                                    .threads = own.threads,
                                    .cache_dir = own.cache_dir};
    qr_error fault = {0};
    qr_status loaded = qr_pipeline_load(dir, &as, &model->pipeline, &fault);
    if (loaded != QR_OK) {
        qr_lib_model_destroy(model);
        return qr__lib_fault(error, qr__lib_status_of(loaded), "%s", fault.message);
    }
    start_helpers(model, own.threads);
    *out = model;
    return QR_LIB_OK;
}

/* Files are read and threads joined: a thread that is cancelled there would leave them behind. */
qr_lib_status qr_lib_model_load(const char *dir, const qr_lib_load_options *options,
                                qr_lib_model **out, qr_lib_error *error) {
    int cancel_before;
    qr_lib_status status = qr__lib_begin(out, "model", error);
    if (status != QR_LIB_OK)
        return status;
    *out = NULL;
    if (dir == NULL || dir[0] == '\0')
        return qr__lib_fault(error, QR_LIB_BAD_ARGUMENT, "dir is NULL or empty");
    qr__lib_log_start();
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_before);
    status = load(dir, options, out, error);
    pthread_setcancelstate(cancel_before, NULL);
    return status;
}

void qr_lib_model_destroy(qr_lib_model *model) {
    int cancel_before;
    if (model == NULL)
        return;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_before);
    qr__seats_deinit(model);
    qr_pool_destroy(model->pool);
    qr_pipeline_destroy(model->pipeline);
    free(model);
    pthread_setcancelstate(cancel_before, NULL);
}

qr_lib_status qr_lib_model_get_info(const qr_lib_model *model, qr_lib_info *info,
                                    qr_lib_error *error) {
    qr_lib_info full;
    qr_lib_status status = qr__lib_begin(model, "model", error);
    if (status == QR_LIB_OK)
        status = qr__lib_begin(info, "info", error);
    if (status != QR_LIB_OK)
        return status;
    /* What comes in is overwritten: only its size counts. */
    size_t size = info->struct_size;
    status = qr__lib_size_check("qr_lib_info", size, QR__LIB_FIRST_INFO, error);
    if (status != QR_LIB_OK)
        return status;
    const qr_engine *engine = qr_pipeline_engine(model->pipeline);
    const qr_model_info *about = qr_engine_model(engine);
    const qr_plan_info *plan = qr_engine_plan(engine);
    full = (qr_lib_info){.struct_size = size,
                         .name = qr_pipeline_name(model->pipeline),
                         .architecture = about->architecture,
                         .precision = qr_precision_name(plan->precision),
                         .device = plan->device,
                         .target = plan->target,
                         .reason = plan->reason,
                         .dimensions = qr__lib_dimensions(model),
                         .max_tokens = qr_pipeline_max_tokens(model->pipeline),
                         .labels = about->labels,
                         .weight_bytes = plan->weight_bytes,
                         .load_ms = plan->load_ms,
                         .kind = (int)kind_of(qr_pipeline_kind(model->pipeline)),
                         .normalizes = about->normalize};
    memset(info, 0, size);
    memcpy(info, &full, qr_min(size, sizeof full));
    return QR_LIB_OK;
}

const char *qr_lib_model_get_label(const qr_lib_model *model, size_t label) {
    if (model == NULL)
        return NULL;
    const qr_model_info *about = qr_engine_model(qr_pipeline_engine(model->pipeline));
    return label < about->labels ? about->label_names[label] : NULL;
}

size_t qr__lib_dimensions(const qr_lib_model *model) {
    bool embedder = qr_pipeline_kind(model->pipeline) == QR_KIND_EMBEDDING;
    return embedder ? qr_pipeline_output_floats(model->pipeline, 1) : 0;
}

qr_lib_status qr__lib_kind_check(const qr_lib_model *model, qr_kind kind, qr_kind other,
                                 const char *call, qr_lib_error *error) {
    qr_kind have = qr_pipeline_kind(model->pipeline);
    if (have == kind || have == other)
        return QR_LIB_OK;
    return qr__lib_fault(error, QR_LIB_WRONG_KIND,
                         "%s needs a model of kind %s, and %.200s is of kind %s", call,
                         qr_kind_name(kind), qr_pipeline_name(model->pipeline), qr_kind_name(have));
}
