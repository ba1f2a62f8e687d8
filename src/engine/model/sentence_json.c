/* engine/model/sentence_json.c: sentence-transformers' files: how hidden states become one vector.
 *
 * Rules (docs/MODELS.md): without modules.json vectors are normalised, with it only where it lists
 * Normalize; without a pooling module the mean is taken. A module that would change the vector in a
 * way that the engine does not follow is refused.
 */
#include "engine/model/config_json.h"
#include "engine/model/model_json.h"
#include "engine/model/modules_json.h"

#include <stdio.h>

/* A folder of the model directory: one plain relative name, so that modules.json cannot lead
 * elsewhere. */
static bool folder_is_plain(const char *path) {
    return strlen(path) < 256 && strchr(path, '/') == NULL && strchr(path, '\\') == NULL &&
           strcmp(path, "..") != 0;
}

/* What modules.json lists, as it is walked. */
typedef struct modules {
    const char *dir;
    const qr__model_json *file;
    qr_model_info *info;
    bool pooled;
} modules;

static qr_status refuse_order(const modules *m, const char *type, const char *why,
                              qr_error *error) {
    return qr_error_set(error, QR_BAD_MODEL,
                        "%s: module `%.100s` %s (supported are Transformer, Pooling, Dense any "
                        "number of times, Normalize, in this order)",
                        m->file->path, type, why);
}

/* Transformer, Pooling, Dense and Normalize are what we compute, and in this order; anything else
 * (Dropout, LayerNorm, Router, CLIP...) would make the vector something that we do not. */
static qr_status read_module(modules *m, const json_t *module, qr_error *error) {
    const char *type = json_string_value(json_object_get(module, "type"));
    const char *path = json_string_value(json_object_get(module, "path"));
    if (type == NULL || path == NULL || !folder_is_plain(path))
        return qr_error_set(error, QR_BAD_MODEL,
                            "%s: a module has no `type` or no `path` that is a plain folder name",
                            m->file->path);
    const char *kind = qr__last_component(type);
    if (strcmp(kind, "Transformer") == 0) {
        if (path[0] != '\0')
            return qr_error_set(error, QR_BAD_MODEL,
                                "%s: the transformer lies in the folder `%s` (move its files up "
                                "beside modules.json "
                                "and make its `path` empty)",
                                m->file->path, path);
        return QR_OK;
    }
    if (strcmp(kind, "Pooling") == 0) {
        if (m->pooled || m->info->normalize)
            return refuse_order(m, type, "comes too late", error);
        m->pooled = true;
        return qr__pooling_read(m->dir, path, m->info, error);
    }
    if (strcmp(kind, "Dense") == 0) {
        if (!m->pooled || m->info->normalize)
            return refuse_order(m, type, "does not stand right behind the pooling", error);
        return qr__dense_read(m->dir, path, m->info, error);
    }
    if (strcmp(kind, "Normalize") == 0) {
        m->info->normalize = true;
        return QR_OK;
    }
    return refuse_order(m, type, "is not supported", error);
}

/* With modules.json the list says it all: no Normalize in it means no normalisation. */
static qr_status read_modules(const char *dir, qr_model_info *info, qr_error *error) {
    qr__model_json file;
    qr_status status = qr__json_load(dir, "modules.json", &file, error);
    if (status != QR_OK)
        return status;
    if (!json_is_array(file.root))
        status = qr_error_set(error, QR_BAD_MODEL, "%s: not a list of modules", file.path);
    info->normalize = false;
    modules m = {.dir = dir, .file = &file, .info = info};
    for (size_t i = 0; status == QR_OK && i < json_array_size(file.root); i++)
        status = read_module(&m, json_array_get(file.root, i), error);
    qr__json_deinit(&file);
    return status;
}

static qr_status read_texts(const char *dir, qr_model_info *info, qr_error *error) {
    qr__model_json file;
    const size_t absent = 0;
    qr_status status = qr__json_load(dir, "sentence_bert_config.json", &file, error);
    if (status != QR_OK)
        return status;
    if (!json_is_object(file.root))
        status = qr_error_set(error, QR_BAD_MODEL, "%s: not a JSON object", file.path);
    if (status == QR_OK) /* 3: [CLS], one token, [SEP] */
        status = qr__json_size(&file, "max_seq_length", 3, 1u << 30, &absent, &info->max_seq_length,
                               error);
    if (status == QR_OK)
        status = qr__json_bool(&file, "do_lower_case", &info->lowers_texts, error);
    if (status == QR_OK && info->max_seq_length > info->positions)
        info->max_seq_length = info->positions;
    qr__json_deinit(&file);
    return status;
}

bool qr__sentence_pools(const char *dir) {
    return qr_file_exists(dir, "modules.json") || qr_file_exists(dir, "1_Pooling/config.json");
}

qr_status qr__sentence_read_texts(const char *dir, qr_model_info *info, qr_error *error) {
    info->max_seq_length = 0;
    info->lowers_texts = false;
    if (!qr_file_exists(dir, "sentence_bert_config.json"))
        return QR_OK;
    return read_texts(dir, info, error);
}

qr_status qr__sentence_read(const char *dir, qr_model_info *info, qr_error *error) {
    qr_status status = QR_OK;
    info->pooling[0] = QR_POOLING_MEAN;
    info->poolings = 1;
    info->normalize = true;
    if (qr_file_exists(dir, "modules.json"))
        status = read_modules(dir, info, error);
    else if (qr__sentence_pools(dir))
        status = qr__pooling_read(dir, "1_Pooling", info, error);
    if (status == QR_OK)
        status = qr__sentence_read_texts(dir, info, error);
    info->embedding = qr__sentence_width(info);
    return status;
}
