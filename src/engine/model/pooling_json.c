/* engine/model/pooling_json.c: the config.json of a Pooling module. */
#include "engine/model/model_json.h"
#include "engine/model/modules_json.h"

/* Old files have a boolean a mode, whose vectors stand in this order; newer ones one key. */
static const char *const flags[QR_POOLINGS] = {
    [QR_POOLING_CLS] = "pooling_mode_cls_token",
    [QR_POOLING_MAX] = "pooling_mode_max_tokens",
    [QR_POOLING_MEAN] = "pooling_mode_mean_tokens",
    [QR_POOLING_MEAN_SQRT_LEN] = "pooling_mode_mean_sqrt_len_tokens",
    [QR_POOLING_WEIGHTED_MEAN] = "pooling_mode_weightedmean_tokens",
    [QR_POOLING_LAST] = "pooling_mode_lasttoken",
};

const char *qr__pooling_flag(qr_pooling pooling) {
    return flags[pooling];
}

static qr_status add_mode(const qr__model_json *file, const json_t *value, qr_model_info *info,
                          qr_error *error) {
    const char *name = json_string_value(value);
    size_t mode = 0, before = 0;
    while (name != NULL && mode < QR_POOLINGS &&
           strcmp(name, qr_pooling_name((qr_pooling)mode)) != 0)
        mode++;
    if (name == NULL)
        return qr_error_set(error, QR_BAD_MODEL,
                            "%s: `pooling_mode` is neither a name nor a list of names", file->path);
    if (mode == QR_POOLINGS)
        return qr_error_set(error, QR_BAD_MODEL,
                            "%s: pooling mode `%.100s` is not supported (cls, max, mean, "
                            "mean_sqrt_len_tokens, weightedmean and lasttoken are)",
                            file->path, name);
    while (before < info->poolings && info->pooling[before] != mode)
        before++;
    if (before < info->poolings)
        return qr_error_set(error, QR_BAD_MODEL, "%s: pooling mode `%s` stands there twice",
                            file->path, name);
    info->pooling[info->poolings++] = (qr_pooling)mode;
    return QR_OK;
}

/* One name, or a list of them, whose order is the vectors'. */
static qr_status read_pooling_mode(const qr__model_json *file, const json_t *value,
                                   qr_model_info *info, qr_error *error) {
    if (!json_is_array(value))
        return add_mode(file, value, info, error);
    qr_status status = QR_OK;
    for (size_t i = 0; status == QR_OK && i < json_array_size(value); i++)
        status = add_mode(file, json_array_get(value, i), info, error);
    if (status == QR_OK && info->poolings == 0)
        status =
            qr_error_set(error, QR_BAD_MODEL, "%s: `pooling_mode` is an empty list", file->path);
    return status;
}

/* A mode that came after this program would be left out of the vector unseen. */
static qr_status refuse_other_flags(const qr__model_json *file, qr_error *error) {
    const char *key;
    json_t *value;
    json_object_foreach(file->root, key, value) {
        size_t mode = 0;
        while (mode < QR_POOLINGS && strcmp(key, flags[mode]) != 0)
            mode++;
        if (strncmp(key, "pooling_mode_", 13) == 0 && mode == QR_POOLINGS && json_is_true(value))
            return qr_error_set(error, QR_BAD_MODEL,
                                "%s: `%.100s` is not supported (pooling_mode_cls_token, "
                                "..._max_tokens, ..._mean_tokens, ..._mean_sqrt_len_tokens, "
                                "..._weightedmean_tokens and ..._lasttoken are)",
                                file->path, key);
    }
    return QR_OK;
}

/* No flag at all: the mean. */
static qr_status read_pooling_flags(const qr__model_json *file, qr_model_info *info,
                                    qr_error *error) {
    qr_status status = refuse_other_flags(file, error);
    for (size_t mode = 0; status == QR_OK && mode < QR_POOLINGS; mode++) {
        bool on;
        status = qr__json_bool(file, flags[mode], &on, error);
        if (status == QR_OK && on)
            info->pooling[info->poolings++] = (qr_pooling)mode;
    }
    if (status == QR_OK && info->poolings == 0)
        info->pooling[info->poolings++] = QR_POOLING_MEAN;
    return status;
}

/* The width of what is pooled stands under its old name or its new one. */
static qr_status check_width(const qr__model_json *file, const qr_model_info *info,
                             qr_error *error) {
    static const char *const keys[] = {"word_embedding_dimension", "embedding_dimension"};
    for (size_t i = 0; i < 2; i++) {
        size_t width = 0;
        qr_status status =
            qr__json_size(file, keys[i], 1, QR_LIMIT_HIDDEN, &info->hidden, &width, error);
        if (status == QR_OK && width != info->hidden)
            status =
                qr_error_set(error, QR_BAD_MODEL, "%s: `%s` is %zu, but the hidden size is %zu",
                             file->path, keys[i], width, info->hidden);
        if (status != QR_OK)
            return status;
    }
    return QR_OK;
}

qr_status qr__pooling_read(const char *dir, const char *folder, qr_model_info *info,
                           qr_error *error) {
    qr__model_json file;
    qr_status status = qr__module_load(dir, folder, &file, error);
    const json_t *mode = json_object_get(file.root, "pooling_mode");
    const json_t *included = json_object_get(file.root, "include_prompt");
    bool includes;
    info->poolings = 0;
    if (status == QR_OK)
        status = check_width(&file, info, error);
    if (status == QR_OK)
        status = mode != NULL && !json_is_null(mode) ? read_pooling_mode(&file, mode, info, error)
                                                     : read_pooling_flags(&file, info, error);
    if (status == QR_OK)
        status = qr__json_bool(&file, "include_prompt", &includes, error);
    info->leaves_out_prompt = json_is_false(included);
    qr__json_deinit(&file);
    return status;
}
