/* engine/model/sentence_json.c: sentence-transformers' files: how hidden states become one vector.
 *
 * Rules (docs/MODELS.md): without modules.json vectors are normalised, with it only where it lists
 * Normalize; without a pooling module the mean is taken. A module that would change the vector in a
 * way that the engine does not follow is refused.
 */
#include "engine/model/config_json.h"
#include "engine/model/model_json.h"

#include <stdio.h>

static const char *const pooling_unsupported[] = {
    "pooling_mode_max_tokens", "pooling_mode_mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens", "pooling_mode_lasttoken"};

/* Newer files say "pooling_mode": "mean" instead of one boolean a mode. */
static qr_status read_pooling_mode(const qr__model_json *file, const char *mode,
                                   qr_model_info *info, qr_error *error) {
    if (strcmp(mode, "mean") != 0 && strcmp(mode, "cls") != 0)
        return qr_error_set(error, QR_BAD_MODEL,
                            "%s: pooling mode `%.100s` is not supported (mean and cls are)",
                            file->path, mode);
    info->pooling = strcmp(mode, "cls") == 0 ? QR_POOLING_CLS : QR_POOLING_MEAN;
    return QR_OK;
}

static qr_status read_pooling_flags(const qr__model_json *file, qr_model_info *info,
                                    qr_error *error) {
    bool on;
    for (size_t i = 0; i < sizeof pooling_unsupported / sizeof pooling_unsupported[0]; i++) {
        qr_status status = qr__json_bool(file, pooling_unsupported[i], &on, error);
        if (status == QR_OK && on)
            status = qr_error_set(error, QR_BAD_MODEL,
                                  "%s: `%s` is not supported (pooling_mode_mean_tokens and "
                                  "pooling_mode_cls_token are)",
                                  file->path, pooling_unsupported[i]);
        if (status != QR_OK)
            return status;
    }
    bool mean;
    bool cls;
    qr_status status = qr__json_bool(file, "pooling_mode_mean_tokens", &mean, error);
    if (status == QR_OK)
        status = qr__json_bool(file, "pooling_mode_cls_token", &cls, error);
    if (status != QR_OK)
        return status;
    if (mean == cls)
        return qr_error_set(error, QR_BAD_MODEL,
                            "%s: exactly one of `pooling_mode_mean_tokens` and "
                            "`pooling_mode_cls_token` must be true",
                            file->path);
    info->pooling = cls ? QR_POOLING_CLS : QR_POOLING_MEAN;
    return QR_OK;
}

static qr_status read_pooling(const char *dir, const char *folder, qr_model_info *info,
                              qr_error *error) {
    qr__model_json file;
    char name[300];
    snprintf(name, sizeof name, "%s%sconfig.json", folder, folder[0] == '\0' ? "" : "/");
    qr_status status = qr__json_load(dir, name, &file, error);
    if (status != QR_OK)
        return status;
    const char *mode = NULL;
    size_t width = 0;
    if (!json_is_object(file.root))
        status = qr_error_set(error, QR_BAD_MODEL, "%s: not a JSON object", file.path);
    if (status == QR_OK)
        status = qr__json_size(&file, "word_embedding_dimension", 1, QR_LIMIT_HIDDEN, &info->hidden,
                               &width, error);
    if (status == QR_OK && width != info->hidden)
        status = qr_error_set(
            error, QR_BAD_MODEL,
            "%s: `word_embedding_dimension` is %zu, but config.json's hidden size is %zu",
            file.path, width, info->hidden);
    if (status == QR_OK)
        status = qr__json_text(&file, "pooling_mode", NULL, &mode, error);
    if (status == QR_OK)
        status = mode != NULL ? read_pooling_mode(&file, mode, info, error)
                              : read_pooling_flags(&file, info, error);
    qr__json_deinit(&file);
    return status;
}

/* A folder of the model directory: one plain relative name, so that modules.json cannot lead
 * elsewhere. */
static bool folder_is_plain(const char *path) {
    return strlen(path) < 256 && strchr(path, '/') == NULL && strchr(path, '\\') == NULL &&
           strcmp(path, "..") != 0;
}

/* Transformer, Pooling and Normalize are what we compute; anything else (Dense, CLIP...) would
 * make the vector something that we do not. */
static qr_status read_module(const char *dir, const qr__model_json *file, const json_t *module,
                             qr_model_info *info, qr_error *error) {
    const char *type = json_string_value(json_object_get(module, "type"));
    const char *path = json_string_value(json_object_get(module, "path"));
    if (type == NULL || path == NULL || !folder_is_plain(path))
        return qr_error_set(error, QR_BAD_MODEL,
                            "%s: a module has no `type` or no `path` that is a plain folder name",
                            file->path);
    const char *dot = strrchr(type, '.');
    const char *kind = dot == NULL ? type : dot + 1;
    if (strcmp(kind, "Transformer") == 0) {
        if (path[0] != '\0')
            return qr_error_set(error, QR_BAD_MODEL,
                                "%s: the transformer lies in the folder `%s` (move its files up "
                                "beside modules.json "
                                "and make its `path` empty)",
                                file->path, path);
        return QR_OK;
    }
    if (strcmp(kind, "Pooling") == 0)
        return read_pooling(dir, path, info, error);
    if (strcmp(kind, "Normalize") == 0) {
        info->normalize = true;
        return QR_OK;
    }
    return qr_error_set(
        error, QR_BAD_MODEL,
        "%s: module `%.100s` is not supported (Transformer, Pooling and Normalize are; use a "
        "model without it)",
        file->path, type);
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
    for (size_t i = 0; status == QR_OK && i < json_array_size(file.root); i++)
        status = read_module(dir, &file, json_array_get(file.root, i), info, error);
    qr__json_deinit(&file);
    return status;
}

static qr_status read_max_seq_length(const char *dir, qr_model_info *info, qr_error *error) {
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
    if (status == QR_OK && info->max_seq_length > info->positions)
        info->max_seq_length = info->positions;
    qr__json_deinit(&file);
    return status;
}

qr_status qr__sentence_read(const char *dir, qr_model_info *info, qr_error *error) {
    qr_status status = QR_OK;
    info->pooling = QR_POOLING_MEAN;
    info->normalize = true;
    info->max_seq_length = 0;
    if (qr_file_exists(dir, "modules.json"))
        status = read_modules(dir, info, error);
    else if (qr_file_exists(dir, "1_Pooling/config.json"))
        status = read_pooling(dir, "1_Pooling", info, error);
    if (status == QR_OK && qr_file_exists(dir, "sentence_bert_config.json"))
        status = read_max_seq_length(dir, info, error);
    return status;
}
