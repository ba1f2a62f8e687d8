/* engine/model/bert_load.c: a model directory -> qr_model -> qr_bert.
 *
 * Opening: config.json says which tensors there must be (bert_slots.c), the weights files' headers
 * say which there are, and all of them must match. Reading: only then is memory taken and the data
 * read. So memory is bounded by the files' own size.
 */
#include <stdio.h>
#include <stdlib.h>

#include "engine/model/bert_slots.h"
#include "engine/model/bert_store.h"
#include "engine/model/config_json.h"
#include "engine/model/modules_json.h"
#include "engine/model/weights_file.h"

struct qr_model {
    qr_model_info info;
    qr__family family;
    qr__weights_file weights[1 + QR_LIMIT_DENSES]; /* its own, then the Dense modules' */
};

/* The table of tensors that the model is made of, each of them there and of the right shape.
 * *slots: returns owned, also after a fault. */
static qr_status match_slots(const qr_model *model, qr_bert *bert, qr__bert_slot **slots,
                             size_t *count, qr_error *error) {
    const qr__weights_file *own = &model->weights[0];
    qr_status status =
        qr__bert_slots(bert, model->family, &own->tensors, own->path, slots, count, error);
    for (size_t i = 0; status == QR_OK && i < *count; i++)
        status = qr__weights_file_check(&model->weights[(*slots)[i].file], &(*slots)[i], error);
    return status;
}

static qr_status read_slots(const qr_model *model, qr_bert *bert, qr_error *error) {
    qr_status status = QR_OK;
    for (size_t i = 0; status == QR_OK && i < bert->store->count; i++) {
        const qr__bert_slot *slot = &bert->store->slots[i];
        float *to = (float *)(void *)(bert->store->base + slot->at);
        status = qr__weights_file_read(&model->weights[slot->file], slot, to, error);
        if (status == QR_OK)
            *slot->to = to;
    }
    return status;
}

/* Checks the weights' table against config.json on a bert that is made for this only, and
 * completes the info. */
static qr_status check_weights(qr_model *model, qr_error *error) {
    static const char *const dtypes[] = {[QR__F32] = "f32", [QR__F16] = "f16", [QR__BF16] = "bf16"};
    qr_bert bert = {.info = model->info};
    qr__bert_slot *slots = NULL;
    size_t count = 0;
    qr_status status = match_slots(model, &bert, &slots, &count, error);
    if (status == QR_OK) {
        qr_model_info *info = &model->info;
        const qr__weights_file *own = &model->weights[0];
        const qr__tensor *word = qr__weights_file_find(own, &slots[0]);
        size_t of_own = 0;
        snprintf(info->dtype, sizeof info->dtype, "%s", dtypes[word->dtype]);
        for (size_t i = 0; i < count; i++) {
            info->parameters += qr__bert_slot_elements(&slots[i]);
            of_own += slots[i].file == 0;
        }
        if (own->tensors.count > of_own)
            qr_log(QR_LOG_DEBUG, "%s: %zu tensors that the model does not need are skipped",
                   own->path, own->tensors.count - of_own);
    }
    free(slots);
    free(bert.layers);
    return status;
}

/* The model's own file, then one of each Dense module. */
static qr_status open_weights(const char *dir, qr_model *model, qr_error *error) {
    qr_status status = qr__weights_file_open(dir, &model->weights[0], error);
    for (size_t i = 0; status == QR_OK && i < model->info.denses; i++) {
        char folder[QR_PATH_BYTES];
        if (!qr_file_join(dir, model->info.dense[i].folder, folder, sizeof folder))
            return qr_error_set(error, QR_BAD_MODEL, "%.200s...: the path is too long", dir);
        status = qr__weights_file_open(folder, &model->weights[1 + i], error);
    }
    return status;
}

static qr_status refuse_pooling(const char *dir, const char *pooling, const char *why,
                                qr_error *error) {
    return qr_error_set(error, QR_BAD_OPTION, "%s: pooling %.100s: %s", dir, pooling, why);
}

static qr_status set_pooling(const char *dir, const char *pooling, qr_model_info *info,
                             qr_error *error) {
    if (pooling == NULL || pooling[0] == '\0')
        return QR_OK;
    if (info->head != QR_HEAD_NONE)
        return refuse_pooling(dir, pooling, "this is no embedding model, it has a head", error);
    if (info->denses > 0 && info->dense[0].in != info->hidden)
        return refuse_pooling(dir, pooling, "the model's Dense module takes other vectors", error);
    for (qr_pooling mode = 0; mode < QR_POOLINGS; mode++)
        if (strcmp(pooling, qr_pooling_name(mode)) == 0) {
            info->pooling[0] = mode;
            info->poolings = 1;
            info->embedding = qr__sentence_width(info);
            return QR_OK;
        }
    return refuse_pooling(dir, pooling,
                          "there is none of that name (cls, max, mean, mean_sqrt_len_tokens, "
                          "weightedmean and lasttoken are)",
                          error);
}

qr_status qr_model_open_pooled(const char *dir, const char *pooling, qr_model **out,
                               qr_error *error) {
    *out = NULL;
    qr_model *model = calloc(1, sizeof *model);
    if (model == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "%s: no memory for a model", dir);
    for (size_t i = 0; i <= QR_LIMIT_DENSES; i++)
        model->weights[i].fd = -1;
    qr_status status = qr__config_read(dir, &model->info, &model->family, error);
    if (status == QR_OK)
        status = qr__sentence_read(dir, &model->info, error);
    if (status == QR_OK)
        status = set_pooling(dir, pooling, &model->info, error);
    if (status == QR_OK)
        status = open_weights(dir, model, error);
    if (status == QR_OK)
        status = check_weights(model, error);
    if (status != QR_OK) {
        qr_model_close(model);
        return status;
    }
    *out = model;
    return QR_OK;
}

qr_status qr_model_open(const char *dir, qr_model **out, qr_error *error) {
    return qr_model_open_pooled(dir, NULL, out, error);
}

const qr_model_info *qr_model_get_info(const qr_model *model) {
    return &model->info;
}

void qr_model_close(qr_model *model) {
    if (model == NULL)
        return;
    for (size_t i = 0; i <= QR_LIMIT_DENSES; i++)
        qr__weights_file_close(&model->weights[i]);
    qr__model_info_deinit(&model->info);
    free(model);
}

/* A bert without tensors: the facts alone. */
static qr_status create_bert(const qr_model *model, qr_bert **out, qr_error *error) {
    qr_bert *bert = calloc(1, sizeof *bert);
    *out = NULL;
    if (bert == NULL || !qr__model_info_copy(&model->info, &bert->info)) {
        free(bert);
        return qr_error_set(error, QR_NO_MEMORY, "%s: no memory for a model",
                            model->weights[0].path);
    }
    *out = bert;
    return QR_OK;
}

qr_status qr_bert_read(const qr_model *model, qr_bert **out, qr_error *error) {
    qr__bert_slot *slots = NULL;
    size_t count = 0;
    qr_bert *bert;
    *out = NULL;
    qr_status status = create_bert(model, &bert, error);
    if (status != QR_OK)
        return status;
    status = match_slots(model, bert, &slots, &count, error);
    if (status != QR_OK) {
        free(slots);
    } else if ((bert->store = qr__bert_store_create(slots, count)) == NULL) { /* takes the slots */
        status = qr_error_set(error, QR_NO_MEMORY, "%s: no memory for the weights",
                              model->weights[0].path);
    } else {
        status = read_slots(model, bert, error);
    }
    if (status != QR_OK) {
        qr_bert_destroy(bert);
        return status;
    }
    *out = bert;
    return QR_OK;
}

/* Only slots whose tensor follows take memory. *slots and *count become those. */
static qr_status keep_saved(const qr_source *source, qr__bert_slot *slots, size_t *count) {
    uint8_t *kept = malloc(*count);
    if (kept == NULL)
        return QR_NO_MEMORY;
    qr_status status = qr_source_read(source, kept, *count);
    size_t len = 0;
    for (size_t i = 0; status == QR_OK && i < *count; i++) {
        if (kept[i] > 1)
            status = QR_IO;
        else if (kept[i] == 1)
            slots[len++] = slots[i];
    }
    free(kept);
    *count = len;
    return status;
}

static qr_status load_slots(const qr_source *source, qr_bert *bert) {
    qr_status status = QR_OK;
    for (size_t i = 0; status == QR_OK && i < bert->store->count; i++) {
        const qr__bert_slot *slot = &bert->store->slots[i];
        float *to = (float *)(void *)(bert->store->base + slot->at);
        status = qr_source_read(source, to, qr__bert_slot_elements(slot) * sizeof *to);
        *slot->to = to;
    }
    return status;
}

qr_status qr_bert_load(const qr_model *model, const qr_source *source, qr_bert **out,
                       qr_error *error) {
    qr__bert_slot *slots = NULL;
    size_t count = 0;
    qr_bert *bert;
    *out = NULL;
    qr_status status = create_bert(model, &bert, error);
    if (status != QR_OK)
        return status;
    status = match_slots(model, bert, &slots, &count, error);
    if (status == QR_OK)
        status = keep_saved(source, slots, &count);
    if (status != QR_OK || count == 0)
        free(slots);
    else if ((bert->store = qr__bert_store_create(slots, count)) == NULL) /* takes the slots */
        status = QR_NO_MEMORY;
    else
        status = load_slots(source, bert);
    if (status != QR_OK || count == 0) {
        qr_bert_destroy(bert);
        return qr_error_set(error, status == QR_OK ? QR_IO : status,
                            "the saved tensors do not fit the model");
    }
    *out = bert;
    return QR_OK;
}

qr_status qr_model_write_files(const qr_model *model, const qr_sink *sink) {
    qr_status status = QR_OK;
    for (size_t i = 0; status == QR_OK && i <= model->info.denses; i++)
        status = qr_sink_write_file(sink, model->weights[i].fd, model->weights[i].bytes);
    return status;
}

bool qr_model_unchanged(const qr_model *model) {
    bool unchanged = true;
    for (size_t i = 0; i <= model->info.denses; i++)
        unchanged = unchanged && qr__weights_file_unchanged(&model->weights[i]);
    return unchanged;
}

void qr_bert_destroy(qr_bert *bert) {
    if (bert == NULL)
        return;
    qr__bert_store_destroy(bert->store);
    qr__model_info_deinit(&bert->info);
    free(bert->layers);
    free(bert);
}
