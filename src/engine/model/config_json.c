/* engine/model/config_json.c: config.json -> qr_model_info.
 *
 * Only what changes a number of the forward pass is read. What would change one in a way that the
 * engine does not follow (relative positions, decoders, other activations) is refused rather than
 * ignored.
 */
#include "engine/model/config_json.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/model/model_json.h"
#include "engine/model/modules_json.h"

/* The architectures that load; those of pre-training lose their head and serve as encoders. */
static const struct {
    const char *name;
    qr__family family;
    qr_head head;
} architectures[] = {
    {"BertModel", QR__FAMILY_BERT, QR_HEAD_NONE},
    {"BertForMaskedLM", QR__FAMILY_BERT, QR_HEAD_NONE},
    {"BertForPreTraining", QR__FAMILY_BERT, QR_HEAD_NONE},
    {"BertForQuestionAnswering", QR__FAMILY_BERT, QR_HEAD_SPAN},
    {"BertForSequenceClassification", QR__FAMILY_BERT, QR_HEAD_LABELS},
    {"BertForTokenClassification", QR__FAMILY_BERT, QR_HEAD_TOKENS},
    {"DistilBertModel", QR__FAMILY_DISTILBERT, QR_HEAD_NONE},
    {"DistilBertForMaskedLM", QR__FAMILY_DISTILBERT, QR_HEAD_NONE},
    {"DistilBertForQuestionAnswering", QR__FAMILY_DISTILBERT, QR_HEAD_SPAN},
    {"DistilBertForSequenceClassification", QR__FAMILY_DISTILBERT, QR_HEAD_LABELS},
    {"DistilBertForTokenClassification", QR__FAMILY_DISTILBERT, QR_HEAD_TOKENS},
    {"ElectraModel", QR__FAMILY_ELECTRA, QR_HEAD_NONE},
    {"ElectraForMaskedLM", QR__FAMILY_ELECTRA, QR_HEAD_NONE},
    {"ElectraForPreTraining", QR__FAMILY_ELECTRA, QR_HEAD_NONE},
    {"ElectraForQuestionAnswering", QR__FAMILY_ELECTRA, QR_HEAD_SPAN},
    {"ElectraForSequenceClassification", QR__FAMILY_ELECTRA, QR_HEAD_LABELS},
    {"ElectraForTokenClassification", QR__FAMILY_ELECTRA, QR_HEAD_TOKENS},
};

/* By qr__family: `model_type`, and what AutoModel makes of a file without `architectures`. */
static const struct {
    const char *type, *bare;
} families[QR__FAMILIES] = {
    {"bert", "BertModel"}, {"distilbert", "DistilBertModel"}, {"electra", "ElectraModel"}};

static const struct {
    const char *name;
    qr_activation activation;
} activations[] = {
    {"gelu", QR_GELU},
    {"gelu_new", QR_GELU_NEW},
    {"gelu_pytorch_tanh", QR_GELU_NEW},
    {"relu", QR_RELU},
};

/* The families' names for the same sizes; each row is one member of qr_model_info. */
typedef struct size_row {
    const char *names[2]; /* BERT's and ELECTRA's, DistilBERT's; NULL: not a key of that family */
    size_t offset, max;
    size_t fallback; /* 0: the key is required */
} size_row;
static const size_row sizes[] = {
    {{"num_hidden_layers", "n_layers"}, offsetof(qr_model_info, layers), QR_LIMIT_LAYERS, 0},
    {{"hidden_size", "dim"}, offsetof(qr_model_info, hidden), QR_LIMIT_HIDDEN, 0},
    {{"num_attention_heads", "n_heads"}, offsetof(qr_model_info, heads), QR_LIMIT_HIDDEN, 0},
    {{"intermediate_size", "hidden_dim"},
     offsetof(qr_model_info, feed_forward),
     QR_LIMIT_FEED_FORWARD,
     0},
    {{"vocab_size", "vocab_size"}, offsetof(qr_model_info, vocab), QR_LIMIT_VOCAB, 0},
    {{"max_position_embeddings", "max_position_embeddings"},
     offsetof(qr_model_info, positions),
     QR_LIMIT_POSITIONS,
     0},
    {{"type_vocab_size", NULL}, offsetof(qr_model_info, types), 256, 2},
};

/* Files of 2019 and TinyBERT's have no `model_type`: BERT's, when they name no other architecture
 * and have its sizes, and none of those that its descendants added. */
static bool is_unsaid_bert(const json_t *root) {
    const char *name = json_string_value(json_array_get(json_object_get(root, "architectures"), 0));
    const json_t *hidden = json_object_get(root, "hidden_size"),
                 *embedding = json_object_get(root, "embedding_size");
    if (name != NULL && strncmp(name, "Bert", 4) != 0)
        return false;
    if (embedding != NULL && !json_equal(embedding, hidden))
        return false;
    return hidden != NULL && json_object_get(root, "num_hidden_layers") != NULL &&
           json_object_get(root, "intermediate_size") != NULL &&
           json_object_get(root, "num_hidden_groups") == NULL;
}

static qr_status read_family(const qr__model_json *file, qr__family *family, qr_error *error) {
    const char *type;
    qr_status status = qr__json_text(file, "model_type", NULL, &type, error);
    if (status != QR_OK)
        return status;
    *family = QR__FAMILY_BERT;
    if (type == NULL && is_unsaid_bert(file->root))
        return QR_OK;
    if (type == NULL)
        return qr_error_set(error, QR_BAD_MODEL,
                            "%s: `model_type` is missing (expected bert, distilbert or electra)",
                            file->path);
    for (*family = 0; *family < QR__FAMILIES; (*family)++)
        if (strcmp(type, families[*family].type) == 0)
            return QR_OK;
    return qr_error_set(
        error, QR_BAD_MODEL,
        "%s: `model_type` is `%.100s`, which is not supported (bert, distilbert and electra are)",
        file->path, type);
}

static qr_status read_architecture(const qr__model_json *file, qr__family family,
                                   qr_model_info *info, qr_error *error) {
    const json_t *list = json_object_get(file->root, "architectures");
    const char *name = json_string_value(json_array_get(list, 0));
    if (list == NULL || json_is_null(list)) /* as AutoModel does: the family's bare encoder */
        name = families[family].bare;
    if (name == NULL)
        return qr_error_set(error, QR_BAD_MODEL, "%s: `architectures` is not a list of names",
                            file->path);
    for (size_t i = 0; i < sizeof architectures / sizeof architectures[0]; i++) {
        if (strcmp(name, architectures[i].name) == 0 && architectures[i].family == family) {
            snprintf(info->architecture, sizeof info->architecture, "%s", name);
            info->head = architectures[i].head;
            return QR_OK;
        }
    }
    return qr_error_set(
        error, QR_BAD_MODEL,
        "%s: architecture `%.100s` is not supported for this `model_type` (Bert, DistilBert and "
        "Electra: Model, ForMaskedLM, ForQuestionAnswering, ForSequenceClassification, "
        "ForTokenClassification; Bert and Electra: ForPreTraining)",
        file->path, name);
}

/* Every size has a maximum here (base/limits.h); what follows may multiply them without fear. */
static qr_status read_sizes(const qr__model_json *file, qr__family family, qr_model_info *info,
                            qr_error *error) {
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const size_row *row = &sizes[i];
        const char *key = row->names[family == QR__FAMILY_DISTILBERT];
        if (key == NULL)
            continue;
        size_t value = 0;
        qr_status status = qr__json_size(file, key, 1, row->max,
                                         row->fallback == 0 ? NULL : &row->fallback, &value, error);
        if (status != QR_OK)
            return status;
        memcpy((char *)info + row->offset, &value, sizeof value);
    }
    if (info->hidden % info->heads != 0)
        return qr_error_set(
            error, QR_BAD_MODEL,
            "%s: `%s` %zu is not a multiple of `%s` %zu (the head size must be whole)", file->path,
            sizes[1].names[family == QR__FAMILY_DISTILBERT], info->hidden,
            sizes[2].names[family == QR__FAMILY_DISTILBERT], info->heads);
    const size_t small = 128; /* transformers' default */
    info->word_size = info->hidden;
    if (family == QR__FAMILY_ELECTRA)
        return qr__json_size(file, "embedding_size", 1, QR_LIMIT_HIDDEN, &small, &info->word_size,
                             error);
    return QR_OK;
}

/* All families default to gelu when the key is missing, as transformers does. */
static qr_status read_activation(const qr__model_json *file, qr__family family, qr_model_info *info,
                                 qr_error *error) {
    const char *key = family == QR__FAMILY_DISTILBERT ? "activation" : "hidden_act";
    const char *name;
    qr_status status = qr__json_text(file, key, "gelu", &name, error);
    if (status != QR_OK)
        return status;
    for (size_t i = 0; i < sizeof activations / sizeof activations[0]; i++) {
        if (strcmp(name, activations[i].name) == 0) {
            info->activation = activations[i].activation;
            return QR_OK;
        }
    }
    return qr_error_set(error, QR_BAD_MODEL,
                        "%s: `%s` is `%.100s`, which is not supported (gelu, gelu_new, "
                        "gelu_pytorch_tanh and relu are)",
                        file->path, key, name);
}

static qr_status read_norm_and_positions(const qr__model_json *file, qr__family family,
                                         qr_model_info *info, qr_error *error) {
    info->layer_norm_eps = 1e-12f; /* all families' default; DistilBERT has no key for it */
    const json_t *eps = json_object_get(file->root, "layer_norm_eps");
    if (family != QR__FAMILY_DISTILBERT && eps != NULL) {
        double value = json_number_value(eps);
        if (!json_is_number(eps) || !(value >= 1e-30 && value <= 0.1))
            return qr_error_set(error, QR_BAD_MODEL,
                                "%s: `layer_norm_eps` is not a number from 1e-30 to 0.1",
                                file->path);
        info->layer_norm_eps = (float)value;
    }
    const char *kind;
    qr_status status = qr__json_text(file, "position_embedding_type", "absolute", &kind, error);
    if (status != QR_OK)
        return status;
    if (strcmp(kind, "absolute") != 0)
        return qr_error_set(
            error, QR_BAD_MODEL,
            "%s: `position_embedding_type` is `%.100s` (only absolute is supported)", file->path,
            kind);
    bool decoder;
    status = qr__json_bool(file, "is_decoder", &decoder, error);
    if (status == QR_OK && decoder)
        status = qr_error_set(error, QR_BAD_MODEL,
                              "%s: `is_decoder` is true (only encoders are supported)", file->path);
    return status;
}

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

static qr_status read_labels(const qr__model_json *file, qr_model_info *info, qr_error *error) {
    const size_t two = 2; /* transformers' default */
    const json_t *names = json_object_get(file->root, "id2label");
    if (info->head != QR_HEAD_LABELS && info->head != QR_HEAD_TOKENS)
        return QR_OK;
    if (names == NULL || json_is_null(names)) {
        names = NULL;
        qr_status status =
            qr__json_size(file, "num_labels", 1, QR_LIMIT_LABELS, &two, &info->labels, error);
        if (status != QR_OK)
            return status;
    } else {
        info->labels = json_object_size(names);
        if (info->labels == 0 || info->labels > QR_LIMIT_LABELS)
            return qr_error_set(error, QR_BAD_MODEL,
                                "%s: `id2label` is not an object of 1 to %u entries", file->path,
                                QR_LIMIT_LABELS);
    }
    return read_label_names(file, names, info, error);
}

static qr_status read_problem(const qr__model_json *file, qr_model_info *info, qr_error *error) {
    static const char *const names[] = {[QR_PROBLEM_REGRESSION] = "regression",
                                        [QR_PROBLEM_SINGLE_LABEL] = "single_label_classification",
                                        [QR_PROBLEM_MULTI_LABEL] = "multi_label_classification"};
    const char *name;
    qr_status status = qr__json_text(file, "problem_type", NULL, &name, error);
    if (status != QR_OK || name == NULL)
        return status;
    for (size_t i = QR_PROBLEM_REGRESSION; i <= QR_PROBLEM_MULTI_LABEL; i++)
        if (strcmp(name, names[i]) == 0) {
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

/* Of a text's labels; those of tokens are always one of many. */
static qr_status read_scores(const qr__model_json *file, qr_model_info *info, qr_error *error) {
    if (info->head != QR_HEAD_LABELS)
        return QR_OK;
    qr_status status = read_problem(file, info, error);
    return status == QR_OK ? read_cross_encoder(file, info, error) : status;
}

qr_status qr__config_read(const char *dir, qr_model_info *info, qr__family *family,
                          qr_error *error) {
    qr__model_json file;
    if (!qr_file_exists(dir, "config.json"))
        return qr_error_set(error, QR_BAD_MODEL,
                            "%s/config.json: missing (give the directory of a Hugging Face model)",
                            dir);
    qr_status status = qr__json_load(dir, "config.json", &file, error);
    if (status != QR_OK)
        return status;
    if (!json_is_object(file.root))
        status = qr_error_set(error, QR_BAD_MODEL, "%s: not a JSON object", file.path);
    if (status == QR_OK)
        status = read_family(&file, family, error);
    if (status == QR_OK)
        status = read_architecture(&file, *family, info, error);
    if (status == QR_OK)
        status = read_sizes(&file, *family, info, error);
    if (status == QR_OK)
        status = read_activation(&file, *family, info, error);
    if (status == QR_OK)
        status = read_norm_and_positions(&file, *family, info, error);
    if (status == QR_OK)
        status = read_labels(&file, info, error);
    if (status == QR_OK)
        status = read_scores(&file, info, error);
    qr__json_deinit(&file);
    return status;
}

bool qr__model_info_copy(const qr_model_info *from, qr_model_info *to) {
    *to = *from;
    if (from->label_names == NULL)
        return true;
    to->label_names = calloc(from->labels, sizeof *to->label_names);
    bool copied = to->label_names != NULL;
    for (size_t i = 0; copied && i < from->labels; i++)
        copied = (to->label_names[i] = strdup(from->label_names[i])) != NULL;
    if (!copied)
        qr__model_info_deinit(to);
    return copied;
}

void qr__model_info_deinit(qr_model_info *info) {
    for (size_t i = 0; info->label_names != NULL && i < info->labels; i++)
        free(info->label_names[i]);
    free(info->label_names);
    info->label_names = NULL;
    info->labels = 0;
}
