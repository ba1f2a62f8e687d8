/* engine/model/model_open.c: a model's path -> qr_model: what its files say, and that its weights
 * are those that are asked for.
 *
 * From safetensors: config.json says which tensors there must be (bert_slots.c), the weights files'
 * headers say which there are, and all of them must match. From ONNX: the graph says both, and the
 * files beside it must agree (graph_config_json.c). The numbers are read later (bert_load.c), so
 * memory is bounded by the files' own size.
 */
#include <stdio.h>
#include <stdlib.h>

#include "engine/model/config_json.h"
#include "engine/model/graph_config.h"
#include "engine/model/modules_json.h"
#include "engine/model/open_import.h"
#include "engine/model/open_model.h"
#include "engine/model/weights_file.h"

qr_status qr__model_match(const qr_model *model, qr_bert *bert, qr__bert_slot **slots,
                          size_t *count, qr_error *error) {
    qr_status status =
        qr__bert_slots(bert, &model->names, model->weights[0].path, slots, count, error);
    for (size_t i = 0; status == QR_OK && i < *count; i++) {
        const qr__weight_source *from = &model->weights[(*slots)[i].file];
        status = from->kind->check(from, &(*slots)[i], error);
    }
    return status;
}

/* Holds the weights against the model's facts on a bert that is made for this only, and completes
 * the info. */
static qr_status check_weights(qr_model *model, qr_error *error) {
    qr_bert bert = {.info = model->info};
    qr__bert_slot *slots = NULL;
    size_t count = 0;
    qr_status status = qr__model_match(model, &bert, &slots, &count, error);
    if (status == QR_OK) {
        qr_model_info *info = &model->info;
        const qr__weight_source *own = &model->weights[0];
        const size_t tensors = own->kind->tensors(own);
        size_t of_own = 0;
        snprintf(info->dtype, sizeof info->dtype, "%s", own->kind->dtype(own, &slots[0]));
        info->parameters = 0;
        for (size_t i = 0; i < count; i++) {
            info->parameters += qr__bert_slot_elements(&slots[i]);
            of_own += slots[i].file == 0;
        }
        if (tensors > of_own)
            qr_log(QR_LOG_DEBUG, "%s: %zu tensors that the model does not need are skipped",
                   own->path, tensors - of_own);
    }
    free(slots);
    free(bert.layers);
    return status;
}

/* One file of each Dense module, behind the model's own weights. */
static qr_status open_denses(qr_model *model, qr_error *error) {
    const char *dir = model->files.sentence_dir;
    qr_status status = QR_OK;
    for (size_t i = 0; status == QR_OK && i < model->info.denses; i++) {
        char folder[QR_PATH_BYTES];
        if (!qr_file_join(dir, model->info.dense[i].folder, folder, sizeof folder))
            return qr_error_set(error, QR_BAD_MODEL, "%.200s...: the path is too long", dir);
        status = qr__weights_file_open(folder, &model->weights[model->weights_len++], error);
    }
    return status;
}

/* An operator's word comes before the files'. */
static qr_status refuse_pooling(const char *path, const char *pooling, const char *why,
                                qr_error *error) {
    return qr_error_set(error, QR_BAD_OPTION, "%s: pooling %.100s: %s", path, pooling, why);
}

static qr_status set_pooling(const char *path, const char *pooling, qr_model *model,
                             qr_error *error) {
    qr_model_info *info = &model->info;
    if (pooling == NULL || pooling[0] == '\0')
        return QR_OK;
    if (info->head != QR_HEAD_NONE)
        return refuse_pooling(path, pooling, "this is no embedding model, it has a head", error);
    if (info->denses > 0 && info->dense[0].in != info->hidden)
        return refuse_pooling(path, pooling, "the model's Dense module takes other vectors", error);
    for (qr_pooling mode = 0; mode < QR_POOLINGS; mode++)
        if (strcmp(pooling, qr_pooling_name(mode)) == 0) {
            if (model->import != NULL && (info->poolings != 1 || info->pooling[0] != mode))
                qr__import_pools_otherwise(model->import);
            info->pooling[0] = mode;
            info->poolings = 1;
            info->embedding = qr__sentence_width(info);
            return QR_OK;
        }
    return refuse_pooling(path, pooling,
                          "there is none of that name (cls, max, mean, mean_sqrt_len_tokens, "
                          "weightedmean and lasttoken are)",
                          error);
}

static qr_status open_safetensors(qr_model *model, const char *path, const char *pooling,
                                  qr_error *error) {
    const char *dir = model->files.config_dir;
    qr__weight_source *own = &model->weights[0];
    qr_status status = qr__config_read(dir, &model->info, &model->names.family, error);
    if (status == QR_OK)
        status = qr__sentence_read(dir, &model->info, error);
    if (status == QR_OK)
        status = set_pooling(path, pooling, model, error);
    if (status == QR_OK)
        status = qr__weights_file_open(dir, own, error);
    if (status == QR_OK)
        status = open_denses(model, error);
    if (status != QR_OK)
        return status;
    const char *prefix = qr__family_prefix(model->names.family);
    model->names.prefix = qr__weights_file_prefix(own, prefix);
    if (model->names.prefix == NULL)
        return qr_error_set(error, QR_BAD_MODEL,
                            "%s: tensor `embeddings.word_embeddings.weight` is missing, with and "
                            "without `%s` before it (are these the weights of a %s?)",
                            own->path, prefix, model->info.architecture);
    if (model->files.onnx_unread)
        qr_log(QR_LOG_INFO,
               "%s is read, and the ONNX files beside it are not (name one to have it read)",
               own->path);
    return QR_OK;
}

static qr_status open_graph(qr_model *model, const char *path, const char *pooling,
                            qr_error *error) {
    qr_status status = qr__import_open(model->files.onnx, &model->import, error);
    if (status != QR_OK)
        return status;
    const qr__recognised *found = qr_import_recognised(model->import);
    model->weights[0] = qr__weight_source_of_import(model->import);
    model->names = (qr__slot_names){.family = QR__FAMILY_BERT, .prefix = "", .graph = found};
    status = qr__graph_info(&model->files, found, &model->info, error);
    if (status == QR_OK)
        status = set_pooling(path, pooling, model, error);
    return status == QR_OK && !found->pools ? open_denses(model, error) : status;
}

qr_status qr_model_open_pooled(const char *path, const char *pooling, qr_model **out,
                               qr_error *error) {
    *out = NULL;
    qr_model *model = calloc(1, sizeof *model);
    if (model == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "%s: no memory for a model", path);
    model->weights_len = 1;
    qr_status status = qr_model_files_find(path, &model->files, error);
    if (status == QR_OK)
        status = (model->files.onnx[0] == '\0' ? open_safetensors : open_graph)(model, path,
                                                                                pooling, error);
    if (status == QR_OK)
        status = check_weights(model, error);
    if (status != QR_OK) {
        qr_model_close(model);
        return status;
    }
    *out = model;
    return QR_OK;
}

qr_status qr_model_open(const char *path, qr_model **out, qr_error *error) {
    return qr_model_open_pooled(path, NULL, out, error);
}

const qr_model_info *qr_model_get_info(const qr_model *model) {
    return &model->info;
}

const qr_import *qr_model_import(const qr_model *model) {
    return model->import;
}

qr_status qr_model_write_files(const qr_model *model, const qr_sink *sink) {
    qr_status status = QR_OK;
    for (size_t i = 0; status == QR_OK && i < model->weights_len; i++)
        status = model->weights[i].kind->write_files(&model->weights[i], sink);
    return status;
}

bool qr_model_unchanged(const qr_model *model) {
    bool unchanged = true;
    for (size_t i = 0; i < model->weights_len; i++)
        unchanged = unchanged && model->weights[i].kind->unchanged(&model->weights[i]);
    return unchanged;
}

void qr_model_close(qr_model *model) {
    if (model == NULL)
        return;
    for (size_t i = 0; i < model->weights_len; i++)
        qr__weight_source_close(&model->weights[i]);
    qr__import_close(model->import);
    qr__model_info_deinit(&model->info);
    free(model);
}
