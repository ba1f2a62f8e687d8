/* tests: model directories from a seed. The rule stands in tools/make_model.py's head. */
#include "model_maker.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct maker {
    const struct model_options *o;
    const char *prefix;
    size_t types;
    const char *drawn_under; /* NULL: numbers are drawn by a tensor's name alone */
    qr_buf header;           /* without its last brace */
    qr_buf data;
};

void temp_dir_create(char out[64]) {
    snprintf(out, 64, "/tmp/querent-test-XXXXXX");
    cr_assert_not_null(mkdtemp(out));
}

static void remove_entries(const char *dir, bool deeper) {
    DIR *open_dir = opendir(dir);
    struct dirent *entry;
    while (open_dir != NULL && (entry = readdir(open_dir)) != NULL) {
        char path[512];
        snprintf(path, sizeof path, "%.255s/%.255s", dir, entry->d_name);
        if (entry->d_name[0] == '.' || unlink(path) == 0 || !deeper)
            continue;
        remove_entries(path, false);
    }
    if (open_dir != NULL)
        closedir(open_dir);
    rmdir(dir);
}

void temp_dir_remove(const char *dir) {
    remove_entries(dir, true);
}

void write_file(const char *dir, const char *name, const void *data, size_t len) {
    char path[512];
    cr_assert(qr_file_join(dir, name, path, sizeof path));
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file, "%s", path);
    cr_assert_eq(fwrite(data, 1, len, file), len);
    cr_assert_eq(fclose(file), 0);
}

void write_text(const char *dir, const char *name, const char *text) {
    write_file(dir, name, text, strlen(text));
}

char *read_file(const char *dir, const char *name, size_t *len) {
    char path[512];
    char *data = NULL;
    qr_error error = {0};
    cr_assert(qr_file_join(dir, name, path, sizeof path));
    cr_assert_eq(qr_file_read(path, (size_t)1 << 30, &data, len, &error), QR_OK, "%s",
                 error.message);
    return data;
}

static uint64_t fnv1a64(const char *text) {
    uint64_t value = 0xcbf29ce484222325u;
    for (; *text != '\0'; text++)
        value = (value ^ (unsigned char)*text) * 0x100000001b3u;
    return value;
}

static float draw_from(uint64_t state, uint64_t i) {
    uint64_t z = state + 0x9e3779b97f4a7c15u * (i + 1);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    z ^= z >> 31;
    return (float)(z >> 40) * 0x1p-23f - 1.0f;
}

float draw(const char *name, uint64_t seed, uint64_t i) {
    return draw_from(fnv1a64(name) ^ seed, i);
}

static void store(qr_buf *data, const char *dtype, float number) {
    uint32_t bits;
    memcpy(&bits, &number, sizeof bits);
    if (strcmp(dtype, "f32") == 0) {
        qr_buf_append(data, &bits, 4);
        return;
    }
    uint16_t stored = (uint16_t)(bits >> 16);
    if (strcmp(dtype, "f16") == 0) {
        int32_t half = (int32_t)((bits & 0x7fffffff) >> 13) - (112 << 10);
        stored = (uint16_t)((uint32_t)(half < (1 << 10) ? 0 : half) | ((bits >> 16) & 0x8000));
    }
    qr_buf_append(data, &stored, 2);
}

/* One tensor: rows 0 means a vector. The file need not be sorted: every tensor's numbers depend on
 * its name only. */
static void add(struct maker *m, const char *prefix, const char *name, size_t rows, size_t cols) {
    static const char *const upper[] = {"f32", "F32", "f16", "F16", "bf16", "BF16"};
    char full[160];
    snprintf(full, sizeof full, "%s%s", prefix, name);
    bool norm = strstr(full, "LayerNorm") != NULL || strstr(full, "layer_norm") != NULL;
    bool one = norm && strstr(full, ".weight") != NULL;
    float scale = norm ? 0.25f : strstr(full, "embeddings") != NULL ? 1.0f : 0.0625f;
    const char *dtype = m->o->dtype == NULL ? "f32" : m->o->dtype;
    size_t begin = m->data.len;
    size_t count = (rows == 0 ? 1 : rows) * cols;
    char drawn[200];
    snprintf(drawn, sizeof drawn, "%s%s%s", m->drawn_under == NULL ? "" : m->drawn_under,
             m->drawn_under == NULL ? "" : "/", full);
    uint64_t state = fnv1a64(drawn) ^ m->o->seed;
    for (size_t i = 0; i < count; i++)
        store(&m->data, dtype, draw_from(state, i) * scale + (one ? 1.0f : 0.0f));

    char *old = strstr(full, "LayerNorm.");
    if (m->o->old_names && old != NULL)
        snprintf(old, 17, "LayerNorm.%s", one ? "gamma" : "beta");
    for (size_t i = 0; i < 6; i += 2)
        if (strcmp(upper[i], dtype) == 0)
            dtype = upper[i + 1];
    qr_buf_printf(&m->header, "%s\"%s\":{\"dtype\":\"%s\",\"shape\":[",
                  m->header.len == 1 ? "" : ",", full, dtype);
    if (rows != 0)
        qr_buf_printf(&m->header, "%zu,", rows);
    qr_buf_printf(&m->header, "%zu],\"data_offsets\":[%zu,%zu]}", cols, begin, m->data.len);
}

static void add_pair(struct maker *m, const char *prefix, const char *name, size_t out, size_t in) {
    char full[128];
    snprintf(full, sizeof full, "%s.weight", name);
    add(m, prefix, full, in == 0 ? 0 : out, in == 0 ? out : in);
    snprintf(full, sizeof full, "%s.bias", name);
    add(m, prefix, full, 0, out);
}

static void add_layer(struct maker *m, size_t number) {
    static const char *const bert[] = {"attention.self.query",       "attention.self.key",
                                       "attention.self.value",       "attention.output.dense",
                                       "intermediate.dense",         "output.dense",
                                       "attention.output.LayerNorm", "output.LayerNorm"};
    static const char *const distil[] = {"attention.q_lin",   "attention.k_lin",  "attention.v_lin",
                                         "attention.out_lin", "ffn.lin1",         "ffn.lin2",
                                         "sa_layer_norm",     "output_layer_norm"};
    const char *const *names = m->o->distilbert ? distil : bert;
    size_t C = m->o->hidden;
    size_t F = m->o->feed_forward;
    char before[64];
    snprintf(before, sizeof before, "%s%s.layer.%zu.", m->prefix,
             m->o->distilbert ? "transformer" : "encoder", number);
    for (size_t i = 0; i < 4; i++)
        add_pair(m, before, names[i], C, C);
    add_pair(m, before, names[4], F, C);
    add_pair(m, before, names[5], C, F);
    add_pair(m, before, names[6], C, 0);
    add_pair(m, before, names[7], C, 0);
}

static void add_tensors(struct maker *m, const char *head) {
    size_t C = m->o->hidden, E = m->o->embedding == 0 ? C : m->o->embedding;
    add(m, m->prefix, "embeddings.word_embeddings.weight", m->o->vocab, E);
    add(m, m->prefix, "embeddings.position_embeddings.weight", m->o->positions, E);
    if (!m->o->distilbert)
        add(m, m->prefix, "embeddings.token_type_embeddings.weight", m->types, E);
    add_pair(m, m->prefix, "embeddings.LayerNorm", E, 0);
    if (E != C)
        add_pair(m, m->prefix, "embeddings_project", C, E);
    for (size_t i = 0; i < m->o->layers; i++)
        add_layer(m, i);
    if (strcmp(head, "span") == 0)
        add_pair(m, "", "qa_outputs", 2, C);
    if (strcmp(head, "labels") == 0) {
        bool inside = !m->o->distilbert && !m->o->electra; /* only BERT's pooler has the prefix */
        add_pair(m, inside ? m->prefix : "",
                 m->o->distilbert ? "pre_classifier"
                 : m->o->electra  ? "classifier.dense"
                                  : "pooler.dense",
                 C, C);
        add_pair(m, "", m->o->electra ? "classifier.out_proj" : "classifier", m->o->labels, C);
    }
    if (strcmp(head, "tokens") == 0)
        add_pair(m, "", "classifier", m->o->labels, C);
}

static void write_config(const char *dir, const struct maker *m, const char *head) {
    static const char *const keys[2][5] = {
        {"num_hidden_layers", "hidden_size", "num_attention_heads", "intermediate_size",
         "hidden_act"},
        {"n_layers", "dim", "n_heads", "hidden_dim", "activation"}};
    const char *const *key = keys[m->o->distilbert];
    const char *kind = strcmp(head, "span") == 0     ? "ForQuestionAnswering"
                       : strcmp(head, "labels") == 0 ? "ForSequenceClassification"
                       : strcmp(head, "tokens") == 0 ? "ForTokenClassification"
                                                     : "Model";
    qr_buf text;
    qr_buf_init(&text, 1 << 16);
    qr_buf_printf(&text,
                  "{\"architectures\":[\"%s%s\"],\"model_type\":\"%s\",\"vocab_size\":%zu,"
                  "\"max_position_embeddings\":%zu,\"type_vocab_size\":%zu,\"layer_norm_eps\":%g,",
                  m->o->distilbert ? "DistilBert"
                  : m->o->electra  ? "Electra"
                                   : "Bert",
                  kind,
                  m->o->distilbert ? "distilbert"
                  : m->o->electra  ? "electra"
                                   : "bert",
                  m->o->vocab, m->o->positions, m->types, m->o->eps == 0 ? 1e-12 : m->o->eps);
    qr_buf_printf(&text,
                  "\"%s\":%zu,\"%s\":%zu,\"%s\":%zu,\"%s\":%zu,\"%s\":\"%s\",\"num_labels\":%zu,"
                  "\"embedding_size\":%zu}",
                  key[0], m->o->layers, key[1], m->o->hidden, key[2], m->o->heads, key[3],
                  m->o->feed_forward, key[4], m->o->activation == NULL ? "gelu" : m->o->activation,
                  m->o->labels == 0 ? 2 : m->o->labels,
                  m->o->embedding == 0 ? m->o->hidden : m->o->embedding);
    write_file(dir, "config.json", text.data, text.len);
    qr_buf_deinit(&text);
}

static qr_buf safetensors_of(struct maker *m) {
    qr_buf file;
    uint64_t length = m->header.len;
    qr_buf_init(&file, (size_t)1 << 30);
    qr_buf_append(&file, &length, 8);
    qr_buf_append(&file, m->header.data, m->header.len);
    qr_buf_append(&file, m->data.data, m->data.len);
    cr_assert(!qr_buf_failed(&file));
    return file;
}

static void maker_begin(struct maker *m) {
    qr_buf_init(&m->header, 1 << 20);
    qr_buf_init(&m->data, (size_t)1 << 30);
    qr_buf_literal(&m->header, "{");
}

/* Writes dir/model.safetensors. */
static void maker_end(struct maker *m, const char *dir) {
    qr_buf_literal(&m->header, "}");
    cr_assert(!qr_buf_failed(&m->header) && !qr_buf_failed(&m->data));
    qr_buf file = safetensors_of(m);
    write_file(dir, "model.safetensors", file.data, file.len);
    qr_buf_deinit(&file);
    qr_buf_deinit(&m->header);
    qr_buf_deinit(&m->data);
}

static void make_folder(const char *dir, const char *name, char path[512]) {
    cr_assert(qr_file_join(dir, name, path, 512));
    mkdir(path, 0700);
}

/* One module of options.dense; returns what it gives. */
static size_t write_dense(const char *dir, const struct model_options *o, size_t number,
                          const char *spec, size_t in) {
    struct maker m = {.o = o};
    char path[512], folder[32], text[400], activation[32] = "";
    size_t out = strtoul(spec, NULL, 10), len = strcspn(spec, ",");
    const char *colon = strchr(spec, ':');
    char flags[64] = "";
    snprintf(activation, sizeof activation, "%.*s", (int)strcspn(colon + 1, ":,"), colon + 1);
    snprintf(flags, sizeof flags, "%.*s", (int)len, spec);
    bool bias = strstr(flags, ":nobias") == NULL, residual = strstr(flags, ":residual") != NULL;
    snprintf(folder, sizeof folder, "%zu_Dense", number + 2);
    make_folder(dir, folder, path);
    snprintf(text, sizeof text,
             "{\"in_features\":%zu,\"out_features\":%zu,\"bias\":%s,\"use_residual\":%s,"
             "\"activation_function\":\"torch.nn.modules.%s.%s\"}",
             in, out, bias ? "true" : "false", residual ? "true" : "false",
             strcmp(activation, "Identity") == 0 ? "linear" : "activation", activation);
    write_text(path, "config.json", text);
    maker_begin(&m);
    m.drawn_under = folder;
    add(&m, "", "linear.weight", out, in);
    if (bias)
        add(&m, "", "linear.bias", 0, out);
    if (residual && in != out)
        add(&m, "", "residual.weight", out, in);
    maker_end(&m, path);
    return out;
}

static void write_pooling_config(const char *dir, const struct model_options *o, size_t *modes) {
    char path[512], text[512] = "";
    size_t at = 0;
    *modes = 1;
    make_folder(dir, "1_Pooling", path);
    if (strcmp(o->pooling, "cls") == 0 || strcmp(o->pooling, "mean") == 0) {
        snprintf(text, sizeof text,
                 "{\"word_embedding_dimension\":%zu,\"pooling_mode_cls_token\":%s,"
                 "\"pooling_mode_mean_tokens\":%s,\"include_prompt\":%s}",
                 o->hidden, strcmp(o->pooling, "cls") == 0 ? "true" : "false",
                 strcmp(o->pooling, "mean") == 0 ? "true" : "false",
                 o->leaves_out_prompt ? "false" : "true");
        write_text(path, "config.json", text);
        return;
    }
    at += (size_t)snprintf(text, sizeof text,
                           "{\"embedding_dimension\":%zu,\"include_prompt\":%s,"
                           "\"pooling_mode\":[\"",
                           o->hidden, o->leaves_out_prompt ? "false" : "true");
    for (const char *c = o->pooling; *c != '\0'; c++) {
        *modes += *c == '+';
        at += (size_t)snprintf(text + at, sizeof text - at, *c == '+' ? "\",\"" : "%c", *c);
    }
    snprintf(text + at, sizeof text - at, "\"]}");
    write_text(path, "config.json", text);
}

static void write_modules(const char *dir, const struct model_options *o) {
    qr_buf text;
    size_t width, number = 0;
    write_pooling_config(dir, o, &width);
    width *= o->hidden;
    qr_buf_init(&text, 1 << 16);
    qr_buf_literal(&text,
                   "[{\"path\":\"\",\"type\":\"sentence_transformers.models.Transformer\"},"
                   "{\"path\":\"1_Pooling\",\"type\":"
                   "\"sentence_transformers.sentence_transformer.modules.pooling.Pooling\"},");
    for (const char *spec = o->dense; spec != NULL; number++) {
        width = write_dense(dir, o, number, spec, width);
        qr_buf_printf(&text,
                      "{\"path\":\"%zu_Dense\",\"type\":"
                      "\"sentence_transformers.base.modules.dense.Dense\"},",
                      number + 2);
        spec = strchr(spec, ',') == NULL ? NULL : strchr(spec, ',') + 1;
    }
    qr_buf_literal(&text, "{\"path\":\"2_Normalize\","
                          "\"type\":\"sentence_transformers.models.Normalize\"}]");
    write_file(dir, "modules.json", text.data, text.len);
    qr_buf_deinit(&text);
}

void make_model(const char *dir, const struct model_options *options) {
    const char *head = options->head == NULL ? "none" : options->head;
    struct maker m = {.o = options, .types = options->types == 0 ? 2 : options->types};
    m.prefix = options->prefix != NULL     ? options->prefix
               : strcmp(head, "none") == 0 ? ""
               : options->distilbert       ? "distilbert."
               : options->electra          ? "electra."
                                           : "bert.";
    maker_begin(&m);
    add_tensors(&m, head);
    maker_end(&m, dir);
    write_config(dir, &m, head);
    if (options->pooling != NULL)
        write_modules(dir, options);
}

qr_status read_model(const char *dir, qr_bert **out, qr_error *error) {
    qr_model *model = NULL;
    qr_status status = qr_model_open(dir, &model, error);
    if (status == QR_OK)
        status = qr_bert_read(model, out, error);
    qr_model_close(model);
    return status;
}
