/* engine/model/dense_json.c: the config.json of a Dense module, and what the modules' readers
 * share. */
#include "engine/model/model_json.h"
#include "engine/model/modules_json.h"

#include <stdio.h>

const char *qr__last_component(const char *dotted) {
    const char *dot = strrchr(dotted, '.');
    return dot == NULL ? dotted : dot + 1;
}

size_t qr__sentence_width(const qr_model_info *info) {
    return info->denses > 0 ? info->dense[info->denses - 1].out : info->poolings * info->hidden;
}

qr_status qr__module_load(const char *dir, const char *folder, qr__model_json *file,
                          qr_error *error) {
    char name[300];
    snprintf(name, sizeof name, "%s%sconfig.json", folder, folder[0] == '\0' ? "" : "/");
    qr_status status = qr__json_load(dir, name, file, error);
    if (status == QR_OK && !json_is_object(file->root))
        status = qr_error_set(error, QR_BAD_MODEL, "%s: not a JSON object", file->path);
    return status;
}

/* torch's classes: the last component of `activation_function`. */
static const char *const dense_activations[] = {[QR_DENSE_IDENTITY] = "Identity",
                                                [QR_DENSE_TANH] = "Tanh",
                                                [QR_DENSE_RELU] = "ReLU",
                                                [QR_DENSE_GELU] = "GELU",
                                                [QR_DENSE_SIGMOID] = "Sigmoid"};

const char *qr__dense_activation_name(qr_dense_activation activation) {
    return dense_activations[activation];
}

/* Absent: Tanh, as the class has it. */
static qr_status read_dense_activation(const qr__model_json *file, qr_dense *dense,
                                       qr_error *error) {
    const char *name;
    qr_status status = qr__json_text(file, "activation_function",
                                     "torch.nn.modules.activation.Tanh", &name, error);
    if (status != QR_OK)
        return status;
    bool of_torch = strncmp(name, "torch.nn.", 9) == 0;
    for (size_t i = 0; of_torch && i < sizeof dense_activations / sizeof dense_activations[0]; i++)
        if (strcmp(qr__last_component(name), dense_activations[i]) == 0) {
            dense->activation = (qr_dense_activation)i;
            return QR_OK;
        }
    return qr_error_set(error, QR_BAD_MODEL,
                        "%s: `activation_function` is `%.100s`, which is not supported (torch.nn's "
                        "Identity, Tanh, ReLU, GELU and Sigmoid are)",
                        file->path, name);
}

/* The vector is the one thing that a Dense module may read and write. */
static qr_status check_dense_names(const qr__model_json *file, qr_error *error) {
    static const char *const keys[] = {"module_input_name", "module_output_name"};
    static const char vector[] = "sentence_embedding";
    for (size_t i = 0; i < 2; i++) {
        const char *name;
        qr_status status = qr__json_text(file, keys[i], vector, &name, error);
        if (status == QR_OK && strcmp(name, vector) != 0)
            status = qr_error_set(error, QR_BAD_MODEL,
                                  "%s: `%s` is `%.100s`, which is not supported (%s is)",
                                  file->path, keys[i], name, vector);
        if (status != QR_OK)
            return status;
    }
    return QR_OK;
}

static qr_status read_dense_members(const qr__model_json *file, size_t width, qr_dense *dense,
                                    qr_error *error) {
    const size_t most = QR_LIMIT_HIDDEN * QR_POOLINGS;
    bool residual;
    qr_status status = qr__json_size(file, "in_features", 1, most, NULL, &dense->in, error);
    if (status == QR_OK)
        status = qr__json_size(file, "out_features", 1, QR_LIMIT_HIDDEN, NULL, &dense->out, error);
    if (status == QR_OK && dense->in != width)
        status = qr_error_set(error, QR_BAD_MODEL,
                              "%s: `in_features` is %zu, but the vector that comes has %zu numbers",
                              file->path, dense->in, width);
    const json_t *bias = json_object_get(file->root, "bias");
    if (status == QR_OK)
        status = qr__json_bool(file, "bias", &dense->bias, error);
    dense->bias = dense->bias || bias == NULL || json_is_null(bias); /* absent: there is one */
    if (status == QR_OK)
        status = qr__json_bool(file, "use_residual", &residual, error);
    if (status == QR_OK && residual)
        dense->residual = dense->in == dense->out ? QR_RESIDUAL_INPUT : QR_RESIDUAL_MATRIX;
    if (status == QR_OK)
        status = check_dense_names(file, error);
    return status == QR_OK ? read_dense_activation(file, dense, error) : status;
}

qr_status qr__dense_read(const char *dir, const char *folder, qr_model_info *info,
                         qr_error *error) {
    qr__model_json file;
    qr_status status = qr__module_load(dir, folder, &file, error);
    if (status == QR_OK && info->denses == QR_LIMIT_DENSES)
        status = qr_error_set(error, QR_BAD_MODEL, "%s: more than %u Dense modules", file.path,
                              QR_LIMIT_DENSES);
    if (status == QR_OK) {
        qr_dense *dense = &info->dense[info->denses];
        snprintf(dense->folder, sizeof dense->folder, "%s", folder);
        status = read_dense_members(&file, qr__sentence_width(info), dense, error);
        info->denses += status == QR_OK;
    }
    qr__json_deinit(&file);
    return status;
}
