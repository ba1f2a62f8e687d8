/* pipeline/pipeline.c: a tokenizer and an engine of one model, checked against each other. */
#include "pipeline/pipeline.h"

#include <stdlib.h>

#include "pipeline/probes.h"
#include "pipeline/prompts.h"

struct qr_pipeline {
    qr_tokenizer *tokenizer;
    qr_engine *engine;
    char *name, *dir;
    qr_kind kind;
    size_t max_tokens;
    qr__samples samples;
    qr__prompts prompts;
    const qr_prompt *default_prompt; /* one of them, or NULL */
};

const char *qr_kind_name(qr_kind kind) {
    switch (kind) {
    case QR_KIND_EMBEDDING:
        return "embedding";
    case QR_KIND_SPAN:
        return "span";
    case QR_KIND_CLASSIFIER:
        return "classifier";
    case QR_KIND_RERANKER:
        return "reranker";
    case QR_KIND_TOKENS:
        return "tokens";
    }
    return "unknown";
}

/* One label is a score of relevance, as cross-encoders have it; several are classes. */
static qr_kind kind_of(const qr_model_info *model) {
    if (model->head == QR_HEAD_SPAN)
        return QR_KIND_SPAN;
    if (model->head == QR_HEAD_TOKENS)
        return QR_KIND_TOKENS;
    if (model->head == QR_HEAD_LABELS)
        return model->labels == 1 ? QR_KIND_RERANKER : QR_KIND_CLASSIFIER;
    return QR_KIND_EMBEDDING;
}

/* The model's own limit comes first: sentence-transformers trained with it, and longer inputs would
 * be cut there too. */
static size_t max_tokens_of(const qr_model_info *model, const qr_tokenizer_info *tokenizer) {
    size_t asked = model->max_seq_length;
    if (asked == 0)
        asked = tokenizer->model_max_length;
    return asked == 0 ? model->positions : qr_min(asked, model->positions);
}

/* An operator may ask for less, never for more than the model was made for. */
static qr_status lower_max_tokens(const char *dir, size_t asked, size_t *max_tokens,
                                  qr_error *error) {
    if (asked > *max_tokens)
        return qr_error_set(error, QR_BAD_OPTION,
                            "%s: max-tokens %zu: its longest input has %zu tokens", dir, asked,
                            *max_tokens);
    if (asked > 0)
        *max_tokens = asked;
    return QR_OK;
}

/* The last component of a path, without the slashes behind it; "models" for "/models//". */
static char *last_component(const char *dir) {
    char *resolved = realpath(dir, NULL);
    const char *path = resolved == NULL ? dir : resolved;
    const char *slash = strrchr(path, '/');
    char *name = strdup(slash == NULL || slash[1] == '\0' ? path : slash + 1);
    free(resolved);
    return name;
}

/* Every id that the tokenizer can give must have a row in the word embeddings. */
static qr_status check_vocabulary(const char *dir, const qr_tokenizer_info *tokenizer,
                                  const qr_model_info *model, qr_error *error) {
    if (tokenizer->vocab <= model->vocab)
        return QR_OK;
    return qr_error_set(error, QR_BAD_MODEL,
                        "%s: %s gives ids up to %zu, but the model's word embeddings "
                        "(config.json's vocab_size) end at %zu; take the tokenizer files that "
                        "belong to this model",
                        dir, tokenizer->source, tokenizer->vocab - 1, model->vocab - 1);
}

/* sentence-transformers then puts a normalizer that lower-cases in front of the tokenizer's own,
 * unless that does it already. A vector of texts with capitals would be another one. */
static qr_status check_case(const qr_model_files *files, const qr_tokenizer_info *tokenizer,
                            const qr_model_info *model, qr_error *error) {
    if (!model->lowers_texts || tokenizer->lowercase)
        return QR_OK;
    return qr_error_set(error, QR_BAD_MODEL,
                        "%s/sentence_bert_config.json: `do_lower_case` is true, but %s keeps "
                        "capitals (have tokenizer.json's normalizer lower-case: `lowercase` true "
                        "and `strip_accents` false)",
                        files->sentence_dir, tokenizer->source);
}

static void tell_passed_over(const char *dir, const qr_plan_info *plan) {
    if (plan->passed_over[0] != '\0')
        qr_log(plan->is_absent ? QR_LOG_INFO : QR_LOG_WARN, "%s: runs on %s, %s", dir, plan->device,
               plan->passed_over);
}

/* The built-in texts are tokenized for this model before its weights are read. */
static qr_status create_engine(const qr_model *model, const char *dir,
                               const qr_pipeline_options *options, qr_pipeline *pipeline,
                               qr_error *error) {
    qr_ragged probes[QR_PROBE_SETS] = {0};
    qr_engine_options engine_options = {.precision = options->precision,
                                        .device = options->device,
                                        .threads = options->threads,
                                        .cache_dir = options->cache_dir};
    qr_status status = QR_OK;
    if (options->precision != QR_PRECISION_F32) {
        for (qr__probe_use use = 0; use < QR_PROBE_SETS && status == QR_OK; use++)
            status = qr__probes_init(pipeline->tokenizer, use, pipeline->kind, pipeline->max_tokens,
                                     qr_model_get_info(model)->types > 1, &probes[use]);
        engine_options.probes = &probes[QR_PROBES_GATE].batch;
        engine_options.calibration = &probes[QR_PROBES_CALIBRATION].batch;
    }
    if (status == QR_OK)
        status = qr_engine_create(model, &engine_options, &pipeline->engine, error);
    else
        qr_error_set(error, status, "%s: the built-in probe texts could not be tokenized: %s", dir,
                     qr_status_sentence(status));
    for (qr__probe_use use = 0; use < QR_PROBE_SETS; use++)
        qr_ragged_deinit(&probes[use]);
    if (status == QR_OK)
        tell_passed_over(dir, qr_engine_plan(pipeline->engine));
    return status;
}

/* "query, passage" */
static void list_names(const qr__prompts *prompts, qr_buf *out) {
    for (size_t i = 0; i < prompts->len; i++) {
        qr_buf_append(out, ", ", i == 0 ? 0 : 2);
        qr_buf_text(out, prompts->items[i].name);
    }
}

static qr_status take_default(const char *dir, const char *name, qr_pipeline *pipeline,
                              qr_error *error) {
    if (name == NULL || name[0] == '\0')
        return QR_OK;
    pipeline->default_prompt = qr_pipeline_prompt(pipeline, qr_text_of(name));
    if (pipeline->default_prompt != NULL)
        return QR_OK;
    qr_buf names;
    qr_buf_init(&names, QR_LIMIT_PROMPT_BYTES);
    list_names(&pipeline->prompts, &names);
    qr_error_set(error, QR_BAD_OPTION, "%s: the model has no prompt `%.100s` (it has: %.*s)", dir,
                 name, names.len == 0 ? 4 : (int)names.len, names.len == 0 ? "none" : names.data);
    qr_buf_deinit(&names);
    return QR_BAD_OPTION;
}

/* Counted only for a model that leaves them out: for the others their skip is 0. */
static qr_status load_prompts(const char *dir, const qr_model_info *model, const char *name,
                              qr_pipeline *pipeline, qr_error *error) {
    qr_status status = qr__prompts_load(dir, &pipeline->prompts, error);
    if (status == QR_OK && model->leaves_out_prompt) {
        status = qr__prompts_count(&pipeline->prompts, pipeline->tokenizer, pipeline->max_tokens);
        if (status != QR_OK)
            qr_error_set(error, status, "%s: the prompts could not be tokenized: %s", dir,
                         qr_status_sentence(status));
    }
    return status == QR_OK ? take_default(dir, name, pipeline, error) : status;
}

/* What follows from model and tokenizer together. */
static qr_status join(const char *path, const qr_model_files *files,
                      const qr_pipeline_options *options, const qr_model_info *model,
                      qr_pipeline *pipeline, qr_error *error) {
    const qr_tokenizer_info *tokenizer = qr_tokenizer_get_info(pipeline->tokenizer);
    qr_status status = check_vocabulary(path, tokenizer, model, error);
    if (status == QR_OK)
        status = check_case(files, tokenizer, model, error);
    if (status != QR_OK)
        return status;
    pipeline->kind = kind_of(model);
    pipeline->max_tokens = max_tokens_of(model, tokenizer);
    status = load_prompts(files->sentence_dir, model, options->prompt, pipeline, error);
    return status == QR_OK
               ? lower_max_tokens(path, options->max_tokens, &pipeline->max_tokens, error)
               : status;
}

/* The model comes first: where it is none, its tokenizer is not what is missing. */
static qr_status load(const char *path, const qr_model_files *files,
                      const qr_pipeline_options *options, qr_pipeline *pipeline, qr_error *error) {
    qr_model *model = NULL;
    qr_status status = qr_model_open_pooled(path, options->pooling, &model, error);
    if (status == QR_OK)
        status = qr_tokenizer_load(files->tokenizer_dir, &pipeline->tokenizer, error);
    if (status == QR_OK)
        status = join(path, files, options, qr_model_get_info(model), pipeline, error);
    if (status == QR_OK)
        status = create_engine(model, path, options, pipeline, error);
    qr_model_close(model);
    return status;
}

/* A graph is called after the folder of its tokenizer: "model.onnx" is no name. */
static char *own_name(const char *path, const qr_model_files *files) {
    return last_component(qr_model_path_is_onnx(path) ? files->tokenizer_dir : path);
}

qr_status qr_pipeline_own_name(const char *path, char **out, qr_error *error) {
    qr_model_files files;
    qr_status status = qr_model_files_find(path, &files, error);
    *out = status == QR_OK ? own_name(path, &files) : NULL;
    return status != QR_OK || *out != NULL
               ? status
               : qr_error_set(error, QR_NO_MEMORY, "%s: no memory", path);
}

static qr_status name_pipeline(const char *path, const qr_model_files *files, const char *name,
                               qr_pipeline *pipeline, qr_error *error) {
    pipeline->name = name == NULL ? own_name(path, files) : strdup(name);
    pipeline->dir = strdup(path);
    if (pipeline->name == NULL || pipeline->dir == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "%s: no memory", path);
    return QR_OK;
}

qr_status qr_pipeline_load(const char *path, const qr_pipeline_options *options, qr_pipeline **out,
                           qr_error *error) {
    qr_model_files files;
    *out = NULL;
    qr_status status = qr_device_check(options->device, error);
    if (status == QR_OK)
        status = qr_model_files_find(path, &files, error);
    if (status != QR_OK)
        return status;
    qr_pipeline *pipeline = calloc(1, sizeof *pipeline);
    if (pipeline == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "%s: no memory", path);
    status = name_pipeline(path, &files, options->name, pipeline, error);
    if (status == QR_OK)
        status = load(path, &files, options, pipeline, error);
    if (status == QR_OK && options->samples && pipeline->kind == QR_KIND_EMBEDDING) {
        status = qr__samples_make(pipeline->engine, pipeline->tokenizer, pipeline->max_tokens,
                                  &pipeline->samples);
        if (status != QR_OK)
            qr_error_set(error, status, "%s: vectors of the built-in texts: %s", path,
                         qr_status_sentence(status));
    }
    if (status != QR_OK) {
        qr_pipeline_destroy(pipeline);
        return status;
    }
    *out = pipeline;
    return QR_OK;
}

void qr_pipeline_destroy(qr_pipeline *pipeline) {
    if (pipeline == NULL)
        return;
    qr_engine_destroy(pipeline->engine);
    qr_tokenizer_destroy(pipeline->tokenizer);
    qr__prompts_deinit(&pipeline->prompts);
    free(pipeline->name);
    free(pipeline->dir);
    free(pipeline->samples.vectors);
    free(pipeline);
}

const char *qr_pipeline_name(const qr_pipeline *pipeline) {
    return pipeline->name;
}

const char *qr_pipeline_dir(const qr_pipeline *pipeline) {
    return pipeline->dir;
}

size_t qr_pipeline_samples(const qr_pipeline *pipeline, const float **vectors) {
    if (vectors != NULL)
        *vectors = pipeline->samples.vectors;
    return pipeline->samples.len;
}

qr_kind qr_pipeline_kind(const qr_pipeline *pipeline) {
    return pipeline->kind;
}

const qr_tokenizer *qr_pipeline_tokenizer(const qr_pipeline *pipeline) {
    return pipeline->tokenizer;
}

const qr_engine *qr_pipeline_engine(const qr_pipeline *pipeline) {
    return pipeline->engine;
}

size_t qr_pipeline_max_tokens(const qr_pipeline *pipeline) {
    return pipeline->max_tokens;
}

const qr_prompt *qr_pipeline_prompts(const qr_pipeline *pipeline, size_t *len) {
    *len = pipeline->prompts.len;
    return pipeline->prompts.items;
}

const qr_prompt *qr_pipeline_prompt(const qr_pipeline *pipeline, qr_text name) {
    for (size_t i = 0; i < pipeline->prompts.len; i++)
        if (qr_text_equal(pipeline->prompts.items[i].name, name))
            return &pipeline->prompts.items[i];
    return NULL;
}

const qr_prompt *qr_pipeline_default_prompt(const qr_pipeline *pipeline) {
    return pipeline->default_prompt;
}

qr_output qr_pipeline_output(const qr_pipeline *pipeline) {
    switch (pipeline->kind) {
    case QR_KIND_SPAN:
        return QR_OUTPUT_SPAN;
    case QR_KIND_CLASSIFIER:
    case QR_KIND_RERANKER:
        return QR_OUTPUT_LABELS;
    case QR_KIND_TOKENS:
        return QR_OUTPUT_TOKEN_LABELS;
    case QR_KIND_EMBEDDING:
        break;
    }
    return QR_OUTPUT_POOLED;
}

size_t qr_pipeline_output_floats(const qr_pipeline *pipeline, size_t tokens) {
    const qr_model_info *model = qr_engine_model(pipeline->engine);
    switch (qr_pipeline_output(pipeline)) {
    case QR_OUTPUT_SPAN:
        return 2 * tokens;
    case QR_OUTPUT_LABELS:
        return model->labels;
    case QR_OUTPUT_TOKEN_LABELS:
        return model->labels * tokens;
    case QR_OUTPUT_HIDDEN:
        return model->hidden * tokens;
    case QR_OUTPUT_POOLED:
        break;
    }
    return model->embedding;
}
