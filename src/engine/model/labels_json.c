/* engine/model/labels_json.c: what config.json says of a classifier's labels. */
#include "engine/model/config_json.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/model/modules_json.h"

/* Names of `info->labels` labels: `id2label` where the file has it, else LABEL_0, LABEL_1, ... as
 * transformers does. */
static qr_status read_label_names(const qr__model_json *file, const json_t *names,
                                  qr_model_info *info, qr_error *error) {
    info->label_names = calloc(info->labels, sizeof *info->label_names);
    if (info->label_names == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "%s: no memory for the labels", file->path);
    for (size_t i = 0; i < info->labels; i++) {
        char key[32];
        char fallback[32];
        snprintf(key, sizeof key, "%zu", i);
        snprintf(fallback, sizeof fallback, "LABEL_%zu", i);
        const char *name =
            names == NULL ? fallback : json_string_value(json_object_get(names, key));
        if (name == NULL)
            return qr_error_set(error, QR_BAD_MODEL,
                                "%s: `id2label` has %zu entries but no text for \"%s\"", file->path,
                                info->labels, key);
        info->label_names[i] = strdup(name);
        if (info->label_names[i] == NULL)
            return qr_error_set(error, QR_NO_MEMORY, "%s: no memory for the labels", file->path);
    }
    return QR_OK;
}

/* Labels that the file tells of; `otherwise` where it does not. */
static qr_status count_labels(const qr__model_json *file, const json_t *names, size_t otherwise,
                              size_t *out, qr_error *error) {
    if (names == NULL)
        return qr__json_size(file, "num_labels", 1, QR_LIMIT_LABELS, &otherwise, out, error);
    *out = json_object_size(names);
    if (*out == 0 || *out > QR_LIMIT_LABELS)
        return qr_error_set(error, QR_BAD_MODEL,
                            "%s: `id2label` is not an object of 1 to %u entries", file->path,
                            QR_LIMIT_LABELS);
    return QR_OK;
}

/* `info->labels` of the graph are held against the file's. */
static qr_status read_names(const qr__model_json *file, qr_model_info *info, qr_error *error) {
    const size_t two = 2; /* transformers' default */
    const json_t *names = json_object_get(file->root, "id2label");
    const size_t of_graph = info->labels;
    size_t labels = 0;
    if (json_is_null(names))
        names = NULL;
    qr_status status = count_labels(file, names, of_graph > 0 ? of_graph : two, &labels, error);
    if (status == QR_OK && of_graph > 0 && labels != of_graph)
        status =
            qr_error_set(error, QR_BAD_MODEL,
                         "%s: `%s` tells of %zu labels, but the ONNX graph gives %zu (do they "
                         "belong together?)",
                         file->path, names == NULL ? "num_labels" : "id2label", labels, of_graph);
    if (status != QR_OK)
        return status;
    info->labels = labels;
    return read_label_names(file, names, info, error);
}

const char *qr__problem_name(qr_problem problem) {
    static const char *const names[] = {[QR_PROBLEM_REGRESSION] = "regression",
                                        [QR_PROBLEM_SINGLE_LABEL] = "single_label_classification",
                                        [QR_PROBLEM_MULTI_LABEL] = "multi_label_classification"};
    return names[problem];
}

static qr_status read_problem(const qr__model_json *file, qr_model_info *info, qr_error *error) {
    const char *name;
    qr_status status = qr__json_text(file, "problem_type", NULL, &name, error);
    if (status != QR_OK || name == NULL)
        return status;
    for (size_t i = QR_PROBLEM_REGRESSION; i <= QR_PROBLEM_MULTI_LABEL; i++)
        if (strcmp(name, qr__problem_name((qr_problem)i)) == 0) {
            info->problem = (qr_problem)i;
            return QR_OK;
        }
    return qr_error_set(error, QR_BAD_MODEL,
                        "%s: `problem_type` is `%.100s`, which is not supported (regression, "
                        "single_label_classification and multi_label_classification are)",
                        file->path, name);
}

/* sentence-transformers' cross-encoders say here what their scores are; before version 4 under
 * another key. */
static qr_status read_cross_encoder(const qr__model_json *file, qr_model_info *info,
                                    qr_error *error) {
    static const char old_key[] = "sbert_ce_default_activation_function";
    const json_t *about = json_object_get(file->root, "sentence_transformers");
    const json_t *name = json_object_get(about, "activation_fn");
    const char *key = "sentence_transformers.activation_fn";
    if (name == NULL || json_is_null(name)) {
        name = json_object_get(file->root, old_key);
        key = old_key;
    }
    if (name == NULL || json_is_null(name))
        return QR_OK;
    const char *class = json_is_string(name) ? json_string_value(name) : "(not a text)";
    const char *last = qr__last_component(class);
    bool of_torch = strncmp(class, "torch.nn.", 9) == 0;
    if (of_torch && strcmp(last, "Sigmoid") == 0)
        info->cross_encoder = QR_SCORES_SIGMOID;
    else if (of_torch && strcmp(last, "Identity") == 0)
        info->cross_encoder = QR_SCORES_NONE;
    else
        return qr_error_set(error, QR_BAD_MODEL,
                            "%s: `%s` is `%.100s`, which is not supported (torch.nn's Identity and "
                            "Sigmoid are)",
                            file->path, key, class);
    return QR_OK;
}

qr_status qr__labels_read(const qr__model_json *file, qr_model_info *info, qr_error *error) {
    if (info->head != QR_HEAD_LABELS && info->head != QR_HEAD_TOKENS)
        return QR_OK;
    qr_status status = read_names(file, info, error);
    if (status != QR_OK || info->head == QR_HEAD_TOKENS) /* a token has always one of many */
        return status;
    status = read_problem(file, info, error);
    return status == QR_OK ? read_cross_encoder(file, info, error) : status;
}
