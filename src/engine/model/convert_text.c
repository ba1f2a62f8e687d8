/* engine/model/convert_text.c: keys and values, one a line, as those files are usually written. */
#include "engine/model/convert_text.h"

#include "engine/model/modules_json.h"

/* One JSON object, being written. */
typedef struct object {
    qr_buf *out;
    bool begun;
} object;

static void key(object *o, const char *name) {
    qr_buf_text(o->out, qr_text_of(o->begun ? ",\n  " : "{\n  "));
    qr_json_text(o->out, qr_text_of(name));
    qr_buf_literal(o->out, ": ");
    o->begun = true;
}

static void put_text(object *o, const char *name, const char *value) {
    key(o, name);
    qr_json_text(o->out, qr_text_of(value));
}

static void put_size(object *o, const char *name, size_t value) {
    key(o, name);
    qr_buf_u64(o->out, value);
}

static void put_bool(object *o, const char *name, bool value) {
    key(o, name);
    qr_buf_text(o->out, qr_text_of(value ? "true" : "false"));
}

static void end(object *o) {
    qr_buf_literal(o->out, "\n}\n");
}

/* A name that an earlier label has too would be a key twice. */
static bool is_first(const qr_model_info *info, size_t label) {
    size_t i = 0;
    while (strcmp(info->label_names[i], info->label_names[label]) != 0)
        i++;
    return i == label;
}

static void put_labels(object *o, const qr_model_info *info) {
    key(o, "id2label");
    for (size_t i = 0; i < info->labels; i++) {
        qr_buf_printf(o->out, "%s\n    \"%zu\": ", i == 0 ? "{" : ",", i);
        qr_json_text(o->out, qr_text_of(info->label_names[i]));
    }
    qr_buf_literal(o->out, "\n  }");
    key(o, "label2id");
    for (size_t i = 0; i < info->labels; i++) {
        if (!is_first(info, i))
            continue;
        qr_buf_text(o->out, qr_text_of(i == 0 ? "{\n    " : ",\n    "));
        qr_json_text(o->out, qr_text_of(info->label_names[i]));
        qr_buf_printf(o->out, ": %zu", i);
    }
    qr_buf_literal(o->out, "\n  }");
}

static void put_scores(object *o, const qr_model_info *info) {
    if (info->problem != QR_PROBLEM_UNSTATED)
        put_text(o, "problem_type", qr__problem_name(info->problem));
    if (info->cross_encoder == QR_SCORES_DEFAULT)
        return;
    key(o, "sentence_transformers");
    qr_buf_printf(o->out, "{\"activation_fn\": \"torch.nn.modules.%s\"}",
                  info->cross_encoder == QR_SCORES_SIGMOID ? "activation.Sigmoid"
                                                           : "linear.Identity");
}

static void put_sizes(object *o, const qr_model_info *info, qr__family family) {
    static const char *const names[2][5] = {
        {"num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size",
         "hidden_act"},
        {"n_layers", "dim", "n_heads", "hidden_dim", "activation"}};
    const char *const *name = names[family == QR__FAMILY_DISTILBERT];
    put_size(o, name[0], info->layers);
    put_size(o, name[1], info->hidden);
    put_size(o, name[2], info->heads);
    put_size(o, name[3], info->feed_forward);
    put_text(o, name[4], qr_activation_name(info->activation));
    put_size(o, "vocab_size", info->vocab);
    put_size(o, "max_position_embeddings", info->positions);
    if (family == QR__FAMILY_ELECTRA)
        put_size(o, "embedding_size", info->word_size);
    if (family == QR__FAMILY_DISTILBERT)
        return;
    put_size(o, "type_vocab_size", info->types);
    key(o, "layer_norm_eps");
    qr_json_float(o->out, info->layer_norm_eps);
    put_text(o, "position_embedding_type", "absolute");
}

void qr__config_text(const qr_model_info *info, qr__family family, qr_buf *out) {
    object o = {out, false};
    key(&o, "architectures");
    qr_buf_printf(out, "[\"%s\"]", info->architecture);
    put_text(&o, "model_type", qr__config_type(family));
    put_text(&o, "torch_dtype", "float32");
    put_sizes(&o, info, family);
    if (info->head == QR_HEAD_LABELS || info->head == QR_HEAD_TOKENS)
        put_labels(&o, info);
    if (info->head == QR_HEAD_LABELS)
        put_scores(&o, info);
    end(&o);
}

void qr__modules_text(const qr_model_info *info, qr_buf *out) {
    const size_t count = 2 + info->denses + info->normalize;
    for (size_t i = 0; i < count; i++) {
        const bool dense = i >= 2 && i < 2 + info->denses;
        const char *kind = i == 0   ? "Transformer"
                           : i == 1 ? "Pooling"
                           : dense  ? "Dense"
                                    : "Normalize";
        qr_buf_printf(out, "%s\n  {\"idx\": %zu, \"name\": \"%zu\", \"path\": \"",
                      i == 0 ? "[" : ",", i, i);
        if (i > 0)
            qr_buf_printf(out, "%zu_%s", i, kind);
        qr_buf_printf(out, "\", \"type\": \"sentence_transformers.models.%s\"}", kind);
    }
    qr_buf_literal(out, "\n]\n");
}

static bool in_order(const qr_model_info *info) {
    size_t i = 1;
    while (i < info->poolings && info->pooling[i - 1] < info->pooling[i])
        i++;
    return i >= info->poolings;
}

/* Flags are what every version reads; they cannot say an order. */
static void put_pooling_flags(object *o, const qr_model_info *info) {
    for (size_t mode = 0; mode < QR_POOLINGS; mode++) {
        bool on = false;
        for (size_t i = 0; i < info->poolings; i++)
            on = on || info->pooling[i] == mode;
        put_bool(o, qr__pooling_flag((qr_pooling)mode), on);
    }
}

void qr__pooling_text(const qr_model_info *info, qr_buf *out) {
    object o = {out, false};
    put_size(&o, "word_embedding_dimension", info->hidden);
    if (in_order(info)) {
        put_pooling_flags(&o, info);
    } else {
        key(&o, "pooling_mode");
        for (size_t i = 0; i < info->poolings; i++)
            qr_buf_printf(out, "%s\"%s\"", i == 0 ? "[" : ", ", qr_pooling_name(info->pooling[i]));
        qr_buf_byte(out, ']');
    }
    put_bool(&o, "include_prompt", !info->leaves_out_prompt);
    end(&o);
}

void qr__dense_text(const qr_dense *dense, qr_buf *out) {
    object o = {out, false};
    put_size(&o, "in_features", dense->in);
    put_size(&o, "out_features", dense->out);
    put_bool(&o, "bias", dense->bias);
    key(&o, "activation_function");
    qr_buf_printf(out, "\"torch.nn.modules.%s.%s\"",
                  dense->activation == QR_DENSE_IDENTITY ? "linear" : "activation",
                  qr__dense_activation_name(dense->activation));
    if (dense->residual != QR_RESIDUAL_NONE)
        put_bool(&o, "use_residual", true);
    end(&o);
}

void qr__sentence_text(const qr_model_info *info, qr_buf *out) {
    object o = {out, false};
    if (info->max_seq_length > 0)
        put_size(&o, "max_seq_length", info->max_seq_length);
    put_bool(&o, "do_lower_case", info->lowers_texts);
    end(&o);
}
