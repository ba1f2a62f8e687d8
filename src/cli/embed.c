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
    qr_ragged group; /* lines to run together */
    float *vector;   /* [C] */
    bool normalize, bad_line;
} embedder;

static void embedder_destroy(embedder *self) {
    if (self == NULL)
        return;
    qr_context_destroy(self->context);
    qr_encoding_deinit(&self->encoding);
    qr_ragged_deinit(&self->group);
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
    const qr_context_options options = {.tokens_max =
                                            qr_max(qr_pipeline_max_tokens(pipeline), BATCH_TOKENS),
                                        .sequences_max = GROUP_LINES};
    self->vector = calloc(qr_engine_model(engine)->embedding, sizeof *self->vector);
    if (self->vector == NULL ||
        !qr_ragged_init(&self->group, options.tokens_max, options.sequences_max) ||
        qr_context_create(engine, &options, &self->context, error) != QR_OK) {
        embedder_destroy(self);
        return NULL;
    }
    return self;
}

/* Runs the sequences gathered so far and prints their vectors. */
static bool flush(embedder *self, qr_buf *out) {
    size_t width = qr_engine_model(qr_pipeline_engine(self->pipeline))->embedding;
    const qr_batch *batch = &self->group.batch;
    const float *vectors;
    if (batch->sequences == 0)
        return true;
    qr_status status = qr_context_forward(self->context, batch, QR_OUTPUT_POOLED, &vectors);
    if (status != QR_OK) {
        fprintf(stderr, "querent embed: %s\n", qr_status_sentence(status));
        return false;
    }
    for (size_t i = 0; i < batch->sequences; i++) {
        qr_embed_finish(vectors + i * width, width, 0, self->normalize, self->vector);
        qr_json_floats(out, self->vector, width);
        qr_buf_byte(out, '\n');
    }
    qr_ragged_clear(&self->group);
    return true;
}

/* Gathers lines into a batch until the next one does not fit; the order of output is that of
 * input. */
static bool embed_lines(void *worker, const qr__line *lines, size_t len, qr_buf *out) {
    embedder *self = worker;
    const qr_encode_options options = {.special = true,
                                       .max_tokens = qr_pipeline_max_tokens(self->pipeline)};
    const qr_tokenizer *tokenizer = qr_pipeline_tokenizer(self->pipeline);
    for (size_t i = 0; i < len; i++) {
        qr_encoding *encoding = &self->encoding;
        qr_status status = qr_tokenizer_encode(tokenizer, lines[i].text, NULL, &options, encoding);
        if (status != QR_OK) {
            if (!flush(self, out)) /* lines come out in their order */
                return false;
            qr__line_refuse("embed", &lines[i], qr_status_sentence(status), out);
            self->bad_line = true;
            continue;
        }
        if (!qr_ragged_add(&self->group, encoding->ids, NULL, encoding->len)) {
            if (!flush(self, out))
                return false;
            (void)qr_ragged_add(&self->group, encoding->ids, NULL,
                                encoding->len); /* alone it fits */
        }
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
        code = qr__lines_map(&(qr__lines){workers, threads, GROUP_LINES, embed_lines});
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
    qr__cli_model model = {0};
    bool no_normalize = false;
    const qr__flag flags[] = {
        QR_CLI_MODEL_FLAGS(model),
        {"no-normalize", QR_FLAG_BOOL, &no_normalize, .help = "keep the pooled vectors' lengths"},
        {0}};
    const qr__command command = {
        "embed",
        "Reads lines from stdin and prints the embedding of each as a JSON array, one a line, in "
        "order.\n"
        "Texts longer than the model takes are cut; an empty line is an empty text.",
        flags, NULL};
    qr_pipeline *pipeline = NULL;
    int code = qr__flags_parse(&command, argc, argv, NULL);
    if (code == QR_FLAGS_GO)
        code = qr__cli_model_load_kind(&command, &model, QR_KIND_EMBEDDING, &pipeline);
    if (code == QR_FLAGS_GO) {
        bool normalize = !no_normalize && qr_engine_model(qr_pipeline_engine(pipeline))->normalize;
        code = embed(pipeline, model.threads.number, normalize);
    }
    qr_pipeline_destroy(pipeline);
    return code;
}
