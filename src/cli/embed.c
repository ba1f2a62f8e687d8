/* cli/embed.c: `querent embed`: lines in, one JSON array a line out. A line that is too long to be
 * tokenized at all (2 million tokens) becomes {"error":...}, so that output lines stay beside their
 * input lines; the exit code is then 1. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/lines.h"
#include "cli/model_options.h"

#define GROUP_LINES  32u
#define BATCH_TOKENS 256u /* enough to fill the kernels; more only leaves the caches */

typedef struct embedder {
    const qr_pipeline *pipeline;
    qr_context *context;
    qr_encoding encoding;
    int32_t *ids;     /* [tokens_max] */
    uint32_t *starts; /* [GROUP_LINES + 1] */
    float *vector;    /* [C] */
    size_t sequences, tokens_max;
    bool normalize, bad_line;
} embedder;

static void embedder_destroy(embedder *self) {
    if (self == NULL)
        return;
    qr_context_destroy(self->context);
    qr_encoding_deinit(&self->encoding);
    free(self->ids);
    free(self->starts);
    free(self->vector);
    free(self);
}

static embedder *embedder_create(const qr_pipeline *pipeline, bool normalize, qr_error *error) {
    const qr_engine *engine = qr_pipeline_engine(pipeline);
    embedder *self = calloc(1, sizeof *self);
    if (self == NULL)
        return NULL;
    self->pipeline = pipeline;
    self->normalize = normalize;
    self->tokens_max = qr_max(qr_pipeline_max_tokens(pipeline), BATCH_TOKENS);
    self->ids = calloc(self->tokens_max, sizeof *self->ids);
    self->starts = calloc(GROUP_LINES + 1, sizeof *self->starts);
    self->vector = calloc(qr_engine_model(engine)->hidden, sizeof *self->vector);
    if (self->ids == NULL || self->starts == NULL || self->vector == NULL ||
        qr_context_create(engine, NULL, self->tokens_max, GROUP_LINES, &self->context, error) !=
            QR_OK) {
        embedder_destroy(self);
        return NULL;
    }
    return self;
}

/* Runs the sequences gathered so far and prints their vectors. */
static bool flush(embedder *self, qr_buf *out) {
    size_t hidden = qr_engine_model(qr_pipeline_engine(self->pipeline))->hidden;
    const qr_batch batch = {self->ids, NULL, self->starts, self->sequences};
    const float *vectors;
    if (self->sequences == 0)
        return true;
    qr_status status = qr_context_forward(self->context, &batch, QR_OUTPUT_POOLED, &vectors);
    if (status != QR_OK) {
        fprintf(stderr, "querent embed: %s\n", qr_status_sentence(status));
        return false;
    }
    for (size_t i = 0; i < self->sequences; i++) {
        qr_embed_finish(vectors + i * hidden, hidden, 0, self->normalize, self->vector);
        qr_json_floats(out, self->vector, hidden);
        qr_buf_byte(out, '\n');
    }
    self->sequences = 0;
    return true;
}

static bool embed_lines(void *worker, const qr_line *lines, size_t len, qr_buf *out) {
    embedder *self = worker;
    const qr_encode_options options = {.special = true,
                                       .max_tokens = qr_pipeline_max_tokens(self->pipeline)};
    const qr_tokenizer *tokenizer = qr_pipeline_tokenizer(self->pipeline);
    for (size_t i = 0; i < len; i++) {
        qr_encoding *encoding = &self->encoding;
        qr_status status = qr_tokenizer_encode(tokenizer, lines[i].text, NULL, &options, encoding);
        size_t at = self->starts[self->sequences];
        if (status != QR_OK || encoding->len > self->tokens_max - at) {
            if (!flush(self, out))
                return false;
            at = 0;
        }
        if (status != QR_OK) {
            qr_line_refuse("embed", &lines[i], qr_status_sentence(status), out);
            self->bad_line = true;
            continue;
        }
        memcpy(self->ids + at, encoding->ids, encoding->len * sizeof *self->ids);
        self->starts[++self->sequences] = (uint32_t)(at + encoding->len);
    }
    return flush(self, out);
}

static int embed(const qr_pipeline *pipeline, size_t threads, bool normalize) {
    int code = QR_EXIT_FAULT;
    qr_error error = {.message = "no memory"};
    void **workers = calloc(threads, sizeof *workers);
    size_t made = 0;
    while (workers != NULL && made < threads &&
           (workers[made] = embedder_create(pipeline, normalize, &error)) != NULL)
        made++;
    if (made == threads)
        code = qr_lines_map(&(qr_lines){workers, threads, GROUP_LINES, embed_lines});
    else
        fprintf(stderr, "querent embed: %s\n", error.message);
    for (size_t i = 0; i < made; i++) {
        if (((embedder *)workers[i])->bad_line)
            code = QR_EXIT_FAULT;
        embedder_destroy(workers[i]);
    }
    free(workers);
    return code;
}

int qr_cli_embed(int argc, char **argv) {
    qr_cli_model model = QR_CLI_MODEL_DEFAULT;
    bool no_normalize = false;
    const qr_flag flags[] = {
        QR_CLI_MODEL_FLAGS(model),
        {"no-normalize", QR_FLAG_BOOL, &no_normalize, .help = "keep the pooled vectors' lengths"},
        {0}};
    const qr_command command = {
        "embed",
        "Reads lines from stdin and prints the embedding of each as a JSON array, one a line, in "
        "order.\n"
        "Texts longer than the model takes are cut; an empty line is an empty text.",
        flags, NULL};
    qr_pipeline *pipeline = NULL;
    int code = qr_flags_parse(&command, argc, argv, NULL);
    if (code == QR_FLAGS_GO)
        code = qr_cli_model_load_kind(&command, &model, QR_KIND_EMBEDDING, &pipeline);
    if (code == QR_FLAGS_GO) {
        bool normalize = !no_normalize && qr_engine_model(qr_pipeline_engine(pipeline))->normalize;
        code = embed(pipeline, qr_cli_model_threads(&model), normalize);
    }
    qr_pipeline_destroy(pipeline);
    return code;
}
