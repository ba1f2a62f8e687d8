/* engine/model/model_convert.c: a canonical BERT -> the family's directory that has its parts.
 *
 * The tables of tensors that two families ask for have one order (bert_slots.c): the model's own
 * says where the numbers are, the family's how they are called there.
 */
#include "engine/convert.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/model/convert_text.h"
#include "engine/model/open_model.h"
#include "engine/model/safetensors_write.h"

#define EXTRAS     3u /* segment embeddings; a pooler's weight and bias */
#define NAME_BYTES 128u
#define ZERO_TYPES 2u /* segments: a question's and a context's */

/* What a conversion has on its way. */
typedef struct conversion {
    const qr_model *model;
    qr_bert *bert;  /* owned: the numbers */
    qr_bert target; /* as the directory will have it; label names are bert's */
    qr__family family;
    const char *prefix;
    qr__bert_slot *slots; /* owned: the target's */
    size_t count;
    qr__tensor_out *tensors; /* owned; [count + EXTRAS] */
    float *pooler;           /* owned: weight [C][C], then bias [C]; NULL: none, or of zeros */
    char extra_names[EXTRAS][NAME_BYTES];
    qr__new_dir dir;
    qr_converted *out;
    qr_error *error;
} conversion;

/* What the family lacks of the model; NULL: nothing. */
static const char *lacks(const qr_bert *bert, qr__family family) {
    static const qr_pooler_activation activations[QR__FAMILIES] = {QR_POOLER_TANH, QR_POOLER_RELU,
                                                                   QR_POOLER_GELU};
    static const char *const names[] = {[QR_POOLER_TANH] = "a tanh in its head",
                                        [QR_POOLER_RELU] = "a relu in its head",
                                        [QR_POOLER_GELU] = "a gelu in its head"};
    const qr_model_info *info = &bert->info;
    if (info->head == QR_HEAD_LABELS && bert->pooler_activation != activations[family])
        return names[bert->pooler_activation];
    if (family != QR__FAMILY_ELECTRA && info->word_size != info->hidden)
        return "word embeddings of another size than the hidden states";
    if (family == QR__FAMILY_DISTILBERT && info->types > 0)
        return "segment embeddings";
    if (family == QR__FAMILY_DISTILBERT && info->layer_norm_eps != 1e-12f)
        return "an epsilon other than 1e-12";
    return NULL;
}

/* The family that config.json names, a graph's too; without one BERT. A file that cannot be read
 * was refused when the model was opened. */
static qr__family named_family(const qr_model *model) {
    qr__family family = model->names.family;
    qr__model_json file;
    const char *type;
    if (model->import == NULL || !qr_file_exists(model->files.config_dir, "config.json"))
        return family;
    if (qr__json_load(model->files.config_dir, "config.json", &file, NULL) == QR_OK &&
        (qr__json_text(&file, "model_type", "bert", &type, NULL) != QR_OK ||
         !qr__config_family(type, &family)))
        family = QR__FAMILY_BERT;
    qr__json_deinit(&file);
    return family;
}

/* The model's own if that has all its parts, else the first that has. BERT goes first: it takes
 * segment embeddings of zeros, and any tokenizer. */
static qr_status choose_family(conversion *c) {
    const qr__family order[] = {named_family(c->model), QR__FAMILY_BERT, QR__FAMILY_DISTILBERT,
                                QR__FAMILY_ELECTRA};
    const size_t most = sizeof order / sizeof *order;
    qr_model_info *info = &c->target.info;
    size_t i = 0;
    while (i < most && lacks(c->bert, order[i]) != NULL)
        i++;
    if (i == most)
        return qr_error_set(c->error, QR_BAD_MODEL,
                            "%s: no family of models is made like this one: bert lacks %s, "
                            "distilbert %s, electra %s",
                            c->model->weights[0].path, lacks(c->bert, QR__FAMILY_BERT),
                            lacks(c->bert, QR__FAMILY_DISTILBERT),
                            lacks(c->bert, QR__FAMILY_ELECTRA));
    c->family = order[i];
    c->prefix = info->head == QR_HEAD_NONE ? "" : qr__family_prefix(c->family);
    snprintf(info->architecture, sizeof info->architecture, "%s",
             qr__config_architecture(c->family, info->head));
    for (size_t d = 0; d < info->denses; d++)
        snprintf(info->dense[d].folder, sizeof info->dense[d].folder, "%zu_Dense", 2 + d);
    return QR_OK;
}

/* Tensors */

static qr_status name_tensors(conversion *c) {
    const qr__slot_names names = {.family = c->family, .prefix = c->prefix};
    const qr__bert_store *store = c->bert->store;
    qr_status status =
        qr__bert_slots(&c->target, &names, c->dir.path, &c->slots, &c->count, c->error);
    if (status != QR_OK)
        return status;
    c->tensors = calloc(c->count + EXTRAS, sizeof *c->tensors);
    if (c->tensors == NULL)
        return qr_error_set(c->error, QR_NO_MEMORY, "%s: no memory for names", c->dir.path);
    bool same = store->count == c->count;
    for (size_t i = 0; same && i < c->count; i++) {
        const qr__bert_slot *slot = &c->slots[i];
        same = slot->rows == store->slots[i].rows && slot->cols == store->slots[i].cols;
        c->tensors[i] = (qr__tensor_out){slot->name, slot->rows, slot->cols, *store->slots[i].to};
    }
    if (!same) /* the two tables have one order, or nothing here is right */
        return qr_error_set(c->error, QR_INTERNAL, "%s: two tables of tensors differ", c->dir.path);
    return QR_OK;
}

/* BERT's pooler, which no vector of ours needs but BertModel has: the model's own, if it is there
 * and is what it should be. */
static qr_status read_pooler(conversion *c) {
    const size_t C = c->target.info.hidden;
    const qr__weight_source *own = &c->model->weights[0];
    qr__bert_slot slots[2] = {{.rows = C, .cols = C}, {.rows = 0, .cols = C}};
    const char *prefix = c->model->names.prefix;
    snprintf(slots[0].name, sizeof slots[0].name, "%spooler.dense.weight", prefix);
    snprintf(slots[1].name, sizeof slots[1].name, "%spooler.dense.bias", prefix);
    if (own->kind->check(own, &slots[0], NULL) != QR_OK ||
        own->kind->check(own, &slots[1], NULL) != QR_OK)
        return QR_OK;
    c->pooler = malloc((C * C + C) * sizeof *c->pooler);
    if (c->pooler == NULL)
        return qr_error_set(c->error, QR_NO_MEMORY, "%s: no memory for a pooler", c->dir.path);
    qr_status status = own->kind->read(own, &slots[0], c->pooler, c->error);
    return status == QR_OK ? own->kind->read(own, &slots[1], c->pooler + C * C, c->error) : status;
}

static void add_extra(conversion *c, size_t extra, const char *name, size_t rows, size_t cols,
                      const float *data) {
    char *full = c->extra_names[extra];
    snprintf(full, NAME_BYTES, "%s%s", c->prefix, name);
    c->tensors[c->count++] = (qr__tensor_out){full, rows, cols, data};
}

/* What the family asks for and the model has not, or keeps aside. */
static qr_status add_extras(conversion *c) {
    qr_model_info *info = &c->target.info;
    qr_status status = QR_OK;
    if (info->types == 0 && c->family != QR__FAMILY_DISTILBERT) {
        info->types = ZERO_TYPES;
        c->out->zero_types = true;
        add_extra(c, 0, "embeddings.token_type_embeddings.weight", ZERO_TYPES, info->word_size,
                  NULL);
    }
    if (info->head == QR_HEAD_NONE && c->family == QR__FAMILY_BERT) {
        const size_t C = info->hidden;
        status = read_pooler(c);
        c->out->zero_pooler = c->pooler == NULL;
        add_extra(c, 1, "pooler.dense.weight", C, C, c->pooler);
        add_extra(c, 2, "pooler.dense.bias", 0, C, c->pooler == NULL ? NULL : c->pooler + C * C);
    }
    return status;
}

/* The tensors of one file: 0 the model's, from 1 on a Dense module's. The extras are the
 * model's. */
static qr_status write_tensors(conversion *c, size_t file, size_t with_slots, const char *name) {
    qr__tensor_out *chosen = calloc(c->count, sizeof *chosen);
    size_t len = 0;
    if (chosen == NULL)
        return qr_error_set(c->error, QR_NO_MEMORY, "%s: no memory for names", c->dir.path);
    for (size_t i = 0; i < c->count; i++)
        if ((i < with_slots ? c->slots[i].file : 0) == file)
            chosen[len++] = c->tensors[i];
    for (size_t i = 0; i < len; i++)
        c->out->parameters += qr_max(chosen[i].rows, 1) * chosen[i].cols;
    qr_status status = qr__safetensors_write(&c->dir, name, chosen, len, c->error);
    free(chosen);
    return status;
}

/* Files */

static qr_status write_text(conversion *c, const char *name,
                            void (*text)(const qr_model_info *info, qr_buf *out)) {
    qr_buf out;
    qr_buf_init(&out, QR_LIMIT_JSON_FILE_BYTES);
    text(&c->target.info, &out);
    qr_status status = qr__new_dir_write(&c->dir, name, &out, c->error);
    qr_buf_deinit(&out);
    return status;
}

static qr_status write_dense(conversion *c, size_t at, size_t with_slots) {
    const qr_dense *dense = &c->target.info.dense[at];
    char name[sizeof dense->folder + 32];
    qr_buf out;
    qr_status status = qr__new_dir_folder(&c->dir, dense->folder, c->error);
    if (status != QR_OK)
        return status;
    qr_buf_init(&out, QR_LIMIT_JSON_FILE_BYTES);
    qr__dense_text(dense, &out);
    snprintf(name, sizeof name, "%s/config.json", dense->folder);
    status = qr__new_dir_write(&c->dir, name, &out, c->error);
    qr_buf_deinit(&out);
    snprintf(name, sizeof name, "%s/model.safetensors", dense->folder);
    return status == QR_OK ? write_tensors(c, 1 + at, with_slots, name) : status;
}

/* sentence-transformers' own: how states become a vector. */
static qr_status write_modules(conversion *c, size_t with_slots) {
    const qr_model_info *info = &c->target.info;
    char name[32];
    qr_status status = write_text(c, "modules.json", qr__modules_text);
    if (status == QR_OK)
        status = qr__new_dir_folder(&c->dir, "1_Pooling", c->error);
    if (status == QR_OK)
        status = write_text(c, "1_Pooling/config.json", qr__pooling_text);
    for (size_t i = 0; status == QR_OK && i < info->denses; i++)
        status = write_dense(c, i, with_slots);
    snprintf(name, sizeof name, "%zu_Normalize", 2 + info->denses);
    if (status == QR_OK && info->normalize) /* has nothing to say, and is there all the same */
        status = qr__new_dir_folder(&c->dir, name, c->error);
    return status;
}

/* What is read of a tokenizer, and what only other programs read. */
static qr_status copy_files(conversion *c) {
    static const char *const tokenizer[] = {"tokenizer.json", "vocab.txt", "tokenizer_config.json",
                                            "special_tokens_map.json", "added_tokens.json"};
    const qr_model_files *files = &c->model->files;
    qr_status status = QR_OK;
    bool copied;
    for (size_t i = 0; status == QR_OK && i < sizeof tokenizer / sizeof *tokenizer; i++) {
        status = qr__new_dir_copy(&c->dir, tokenizer[i], files->tokenizer_dir, &copied, c->error);
        c->out->tokenizer = c->out->tokenizer || (copied && i < 2);
    }
    if (status == QR_OK && c->target.info.head == QR_HEAD_NONE) /* prompts */
        status = qr__new_dir_copy(&c->dir, "config_sentence_transformers.json", files->sentence_dir,
                                  &copied, c->error);
    return status;
}

static qr_status write_config(conversion *c) {
    qr_buf out;
    qr_buf_init(&out, QR_LIMIT_JSON_FILE_BYTES);
    qr__config_text(&c->target.info, c->family, &out);
    qr_status status = qr__new_dir_write(&c->dir, "config.json", &out, c->error);
    qr_buf_deinit(&out);
    return status;
}

static qr_status write_all(conversion *c) {
    qr_status status = name_tensors(c);
    const size_t with_slots = c->count;
    if (status == QR_OK)
        status = add_extras(c);
    if (status == QR_OK)
        status = write_tensors(c, 0, with_slots, "model.safetensors");
    if (status == QR_OK)
        status = write_config(c);
    if (status == QR_OK && c->target.info.head == QR_HEAD_NONE)
        status = write_modules(c, with_slots);
    if (status == QR_OK && (c->target.info.max_seq_length > 0 || c->target.info.lowers_texts))
        status = write_text(c, "sentence_bert_config.json", qr__sentence_text);
    return status == QR_OK ? copy_files(c) : status;
}

/* What was written is a model of ours again, before anybody may take it for one. */
static qr_status check_written(const conversion *c) {
    qr_model *again = NULL;
    qr_status status = qr_model_open(c->dir.fresh, &again, c->error);
    qr_model_close(again);
    return status;
}

qr_status qr_model_convert(const qr_model *model, const char *dir, qr_converted *out,
                           qr_error *error) {
    conversion c = {.model = model, .dir = {.fd = -1}, .out = out, .error = error};
    *out = (qr_converted){.parameters = 0};
    qr_status status = qr__new_dir_open(&c.dir, dir, error);
    if (status == QR_OK)
        status = qr_bert_read(model, &c.bert, error);
    if (status == QR_OK) {
        c.target.info = c.bert->info;
        status = choose_family(&c);
    }
    if (status == QR_OK)
        status = write_all(&c);
    if (status == QR_OK)
        status = check_written(&c);
    if (status == QR_OK)
        status = qr__new_dir_commit(&c.dir, error);
    snprintf(out->architecture, sizeof out->architecture, "%s", c.target.info.architecture);
    qr__new_dir_close(&c.dir);
    free(c.target.layers);
    free(c.slots);
    free(c.tensors);
    free(c.pooler);
    qr_bert_destroy(c.bert);
    return status;
}
