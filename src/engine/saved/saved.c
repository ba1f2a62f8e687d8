/* engine/saved/saved.c: what is in a saved plan's file, in order: the precision, how many layers,
 * their fallbacks, the reason, the proof; the bert's tensors; the packed weights as their device
 * writes them.
 */
#include "engine/saved/saved.h"

#include <stdlib.h>
#include <unistd.h>

#include "engine/saved/saved_file.h"
#include "engine/saved/saved_key.h"
#include "engine/saved/saved_proof.h"

struct qr_saved {
    qr_saved_options options;
    int dir;
    qr__saved_digest key;
    char path[QR_PATH_BYTES]; /* for the log */
};

qr_saved *qr_saved_open(const qr_saved_options *options) {
    qr_error error = {.message = "no memory"};
    char name[QR__SAVED_NAME_BYTES];
    qr_saved *saved = calloc(1, sizeof *saved);
    qr_status status = QR_NO_MEMORY;
    if (saved != NULL) {
        saved->options = *options;
        saved->dir = -1;
        status = qr__saved_dir_open(options->dir, &saved->dir, &error);
    }
    if (status == QR_OK)
        status = qr__saved_key(options, &saved->key, &error);
    if (status != QR_OK) {
        qr_log(QR_LOG_WARN, "no plan is kept: %s", error.message);
        qr_saved_close(saved);
        return NULL;
    }
    qr__saved_name(QR__SAVED_PLAN, &saved->key, name);
    if (!qr_file_join(options->dir, name, saved->path, sizeof saved->path))
        saved->path[0] = '\0';
    return saved;
}

void qr_saved_close(qr_saved *saved) {
    if (saved != NULL && saved->dir >= 0)
        close(saved->dir);
    free(saved);
}

static qr_status write_plan(const qr_saved_plan *plan, uint32_t layers, const qr_sink *sink) {
    const uint32_t precision = plan->precision;
    qr_status status = qr_sink_write(sink, &precision, sizeof precision);
    if (status == QR_OK)
        status = qr_sink_write(sink, &layers, sizeof layers);
    if (status == QR_OK)
        status = qr_sink_write(sink, plan->fallback, layers);
    if (status == QR_OK)
        status = qr_sink_write(sink, plan->reason, sizeof plan->reason);
    return status == QR_OK ? qr__saved_proof_put(&plan->proof, sink) : status;
}

/* Every number is checked as what it is before anything follows from it: the checksum comes last.
 */
static qr_status read_plan(const qr_saved *saved, const qr_source *source, qr_saved_plan *out,
                           qr_error *error) {
    const size_t expected = qr_model_get_info(saved->options.model)->layers;
    uint32_t precision = 0;
    uint32_t layers = 0;
    qr_status status = qr_source_read(source, &precision, sizeof precision);
    if (status == QR_OK)
        status = qr_source_read(source, &layers, sizeof layers);
    if (status != QR_OK || layers != expected || layers > QR_LIMIT_LAYERS ||
        precision == QR_PRECISION_AUTO || precision >= QR_PRECISIONS ||
        !saved->options.device->runs[precision])
        return qr_error_set(error, QR_IO, "holds no plan for this model and device");
    out->precision = (qr_precision)precision;
    status = qr_source_read(source, out->fallback, layers);
    if (status == QR_OK)
        status = qr_source_read(source, out->reason, sizeof out->reason);
    if (status != QR_OK || memchr(out->reason, '\0', sizeof out->reason) == NULL)
        return qr_error_set(error, QR_IO, "holds no plan that can be told");
    if (!qr__saved_proof_get(source, &out->proof))
        return qr_error_set(error, QR_IO, "holds no proof that can be told");
    for (size_t l = 0; l < layers; l++)
        if (out->fallback[l] != 0 && !saved->options.device->runs[QR_PRECISION_BF16])
            return qr_error_set(error, QR_IO, "holds matrices that this device cannot run");
    return QR_OK;
}

static qr_status read_contents(const qr_saved *saved, qr__saved_reader *reader, qr_saved_plan *out,
                               qr_error *error) {
    const qr_device *device = saved->options.device;
    qr_status status = read_plan(saved, &reader->source, out, error);
    if (status == QR_OK)
        status = qr_bert_load(saved->options.model, &reader->source, &out->bert, error);
    if (status == QR_OK) {
        const qr_plan plan = {.precision = out->precision, .fallback = out->fallback};
        status =
            device->backend->load(device, out->bert, &plan, &reader->source, &out->packed, error);
    }
    return status == QR_OK ? qr__saved_reader_end(reader, error) : status;
}

bool qr_saved_load(const qr_saved *saved, qr_saved_plan *out) {
    qr_error error = {0};
    qr__saved_reader reader;
    *out = (qr_saved_plan){0};
    if (saved == NULL)
        return false;
    qr_status status =
        qr__saved_reader_open(&reader, saved->dir, QR__SAVED_PLAN, &saved->key, &error);
    if (status == QR_OK) {
        status = read_contents(saved, &reader, out, &error);
        qr__saved_reader_close(&reader);
    }
    if (status == QR_OK)
        return true;
    if (status != QR_NO_MODEL)
        qr_log(QR_LOG_WARN, "%s is not used: %s", saved->path, error.message);
    if (out->packed != NULL)
        saved->options.device->backend->packed_destroy(out->packed);
    qr_bert_destroy(out->bert);
    *out = (qr_saved_plan){0};
    return false;
}

static qr_status write_contents(const qr_saved *saved, const qr_saved_plan *plan,
                                const qr_sink *sink) {
    const size_t layers = qr_model_get_info(saved->options.model)->layers;
    qr_status status = write_plan(plan, (uint32_t)layers, sink);
    if (status == QR_OK)
        status = qr_bert_save(plan->bert, sink);
    return status == QR_OK ? saved->options.device->backend->save(plan->packed, sink) : status;
}

void qr_saved_write(const qr_saved *saved, const qr_saved_plan *plan) {
    qr_error error = {0};
    qr__saved_writer writer;
    if (saved == NULL)
        return;
    if (!qr_model_unchanged(saved->options.model)) {
        qr_log(QR_LOG_WARN, "%s is not written: the model's weights changed while they were read",
               saved->path);
        return;
    }
    qr_status status =
        qr__saved_writer_open(&writer, saved->dir, QR__SAVED_PLAN, &saved->key, &error);
    if (status == QR_OK)
        status = qr__saved_writer_close(&writer, write_contents(saved, plan, &writer.sink), &error);
    if (status == QR_OK)
        qr__saved_dir_trim(saved->dir, QR__SAVED_PLAN, QR_LIMIT_SAVED_PLANS);
    else
        qr_log(QR_LOG_WARN, "%s is not written: %s", saved->path, error.message);
}
