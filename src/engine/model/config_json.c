/* engine/model/config_json.c: config.json -> qr_model_info.
 *
 * Only what changes a number of the forward pass is read. What would change one in a way that the
 * engine does not follow (relative positions, decoders, other activations) is refused rather than
 * ignored.
 */
#include "engine/model/config_json.h"

#include <stdio.h>

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

static const char *const types[QR__FAMILIES] = {"bert", "distilbert", "electra"};

static const struct {
    const char *name;
    qr_activation activation;
} activations[] = {
    {"gelu", QR_GELU},
    {"gelu_new", QR_GELU_NEW},
    {"gelu_pytorch_tanh", QR_GELU_NEW},
    {"relu", QR_RELU},
};

const qr__config_size qr__config_sizes[QR__CONFIG_SIZES] = {
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

bool qr__config_family(const char *type, qr__family *family) {
    for (qr__family i = 0; i < QR__FAMILIES; i++)
        if (strcmp(type, types[i]) == 0) {
            *family = i;
            return true;
        }
    return false;
}

const char *qr__config_type(qr__family family) {
    return types[family];
}

/* The first is the plain one. */
const char *qr__config_architecture(qr__family family, qr_head head) {
    size_t i = 0;
    while (architectures[i].family != family || architectures[i].head != head)
        i++;
    return architectures[i].name;
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
    if (qr__config_family(type, family))
        return QR_OK;
    return qr_error_set(
        error, QR_BAD_MODEL,
        "%s: `model_type` is `%.100s`, which is not supported (bert, distilbert and electra are)",
        file->path, type);
}

bool qr__config_head(const char *architecture, qr__family family, qr_head *head) {
    for (size_t i = 0; i < sizeof architectures / sizeof architectures[0]; i++)
        if (strcmp(architecture, architectures[i].name) == 0 && architectures[i].family == family) {
            *head = architectures[i].head;
            return true;
        }
    return false;
}

static qr_status read_architecture(const qr__model_json *file, qr__family family,
                                   qr_model_info *info, qr_error *error) {
    const json_t *list = json_object_get(file->root, "architectures");
    const char *name = json_string_value(json_array_get(list, 0));
    if (list == NULL || json_is_null(list)) /* as AutoModel does: the family's bare encoder */
        name = qr__config_architecture(family, QR_HEAD_NONE);
    if (name == NULL)
        return qr_error_set(error, QR_BAD_MODEL, "%s: `architectures` is not a list of names",
                            file->path);
    if (qr__config_head(name, family, &info->head)) {
        snprintf(info->architecture, sizeof info->architecture, "%s", name);
        return QR_OK;
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
    for (size_t i = 0; i < QR__CONFIG_SIZES; i++) {
        const qr__config_size *row = &qr__config_sizes[i];
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
            qr__config_sizes[1].names[family == QR__FAMILY_DISTILBERT], info->hidden,
            qr__config_sizes[2].names[family == QR__FAMILY_DISTILBERT], info->heads);
    const size_t small = 128; /* transformers' default */
    info->word_size = info->hidden;
    if (family == QR__FAMILY_ELECTRA)
        return qr__json_size(file, "embedding_size", 1, QR_LIMIT_HIDDEN, &small, &info->word_size,
                             error);
    return QR_OK;
}

bool qr__config_activation(const char *name, qr_activation *activation) {
    for (size_t i = 0; i < sizeof activations / sizeof activations[0]; i++)
        if (strcmp(name, activations[i].name) == 0) {
            *activation = activations[i].activation;
            return true;
        }
    return false;
}

/* All families default to gelu when the key is missing, as transformers does. */
static qr_status read_activation(const qr__model_json *file, qr__family family, qr_model_info *info,
                                 qr_error *error) {
    const char *key = family == QR__FAMILY_DISTILBERT ? "activation" : "hidden_act";
    const char *name;
    qr_status status = qr__json_text(file, key, "gelu", &name, error);
    if (status != QR_OK)
        return status;
    if (qr__config_activation(name, &info->activation))
        return QR_OK;
    return qr_error_set(error, QR_BAD_MODEL,
                        "%s: `%s` is `%.100s`, which is not supported (gelu, gelu_new, "
                        "gelu_pytorch_tanh and relu are)",
                        file->path, key, name);
}

static qr_status read_norm_and_positions(const qr__model_json *file, qr__family family,
                                         qr_model_info *info, qr_error *error) {
    info->layer_norm_eps = 1e-12f; /* all families' default; DistilBERT has no key for it */
    const json_t *eps = json_object_get(file->root, "layer_norm_eps");
    if (family != QR__FAMILY_DISTILBERT && eps != NULL && !json_is_null(eps)) {
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

/* What else a directory may be that somebody took for a model's. */
static qr_status refuse_absent(const char *dir, qr_error *error) {
    static const struct {
        const char *name, *hint;
    } others[] = {
        {"snapshots", "this is a folder of Hugging Face's cache: give the one in its `snapshots`"},
        {"adapter_config.json", "this is an adapter alone: merge it into the model that it is for, "
                                "with peft's merge_and_unload, and save that"},
        {"modules.json", "has the transformer a folder of its own? move its files up beside "
                         "modules.json, and make its `path` there empty"},
    };
    const char *hint = "give the directory of a Hugging Face model, or a .onnx file";
    for (size_t i = sizeof others / sizeof others[0]; i > 0; i--)
        if (qr_file_exists(dir, others[i - 1].name))
            hint = others[i - 1].hint;
    return qr_error_set(error, QR_BAD_MODEL, "%s/config.json: missing (%s)", dir, hint);
}

qr_status qr__config_read(const char *dir, qr_model_info *info, qr__family *family,
                          qr_error *error) {
    qr__model_json file;
    if (!qr_file_exists(dir, "config.json"))
        return refuse_absent(dir, error);
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
        status = qr__labels_read(&file, info, error);
    qr__json_deinit(&file);
    return status;
}
