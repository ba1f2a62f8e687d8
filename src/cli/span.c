/* cli/span.c: `querent span`: JSON lines {"question","context"} in, answers out. A line that cannot
 * be answered becomes {"error":...} and is named on stderr; the others are answered all the same,
 * and the exit code is 1. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/lines.h"
#include "cli/model_options.h"

#define GROUP_LINES 4u

typedef struct reader {
    const qr_pipeline *pipeline;
    const qr_span_options *options;
    qr_context *context;
    qr_windows windows;
    float *logits;        /* [sum of S][2], of all windows of one line */
    size_t logits_room;   /* floats */
    const float **starts; /* [windows] */
    size_t starts_room;
    qr_span *spans; /* [top_k] */
    bool bad_line;
} reader;

static void reader_destroy(reader *self) {
    if (self == NULL)
        return;
    qr_context_destroy(self->context);
    qr_windows_deinit(&self->windows);
    free(self->logits);
    free(self->starts);
    free(self->spans);
    free(self);
}

static reader *reader_create(const qr_pipeline *pipeline, const qr_span_options *options,
                             qr_error *error) {
    reader *self = calloc(1, sizeof *self);
    if (self == NULL)
        return NULL;
    self->pipeline = pipeline;
    self->options = options;
    self->spans = calloc(options->top_k, sizeof *self->spans);
    if (self->spans == NULL ||
        qr_context_create(qr_pipeline_engine(pipeline),
                          &(qr_context_options){.tokens_max = qr_pipeline_max_tokens(pipeline),
                                                .sequences_max = 1},
                          &self->context, error) != QR_OK) {
        reader_destroy(self);
        return NULL;
    }
    return self;
}

/* Makes room for `floats` logits and `windows` pointers. */
static bool make_room(reader *self, size_t floats, size_t windows) {
    if (floats > self->logits_room) {
        float *logits = realloc(self->logits, floats * sizeof *logits);
        if (logits == NULL)
            return false;
        self->logits = logits;
        self->logits_room = floats;
    }
    if (windows > self->starts_room) {
        const float **starts = realloc(self->starts, windows * sizeof *starts);
        if (starts == NULL)
            return false;
        self->starts = starts;
        self->starts_room = windows;
    }
    return true;
}

/* Runs the model on every window, one at a time: windows are long, more of them in a batch would
 * gain nothing. */
static qr_status forward(reader *self) {
    const qr_windows *windows = &self->windows;
    bool types = qr_engine_model(qr_pipeline_engine(self->pipeline))->types > 1;
    size_t floats = 0;
    for (size_t w = 0; w < windows->len; w++)
        floats += 2 * windows->items[w].len;
    if (!make_room(self, floats, windows->len))
        return QR_NO_MEMORY;
    float *to = self->logits;
    for (size_t w = 0; w < windows->len; w++) {
        const qr_encoding *window = &windows->items[w];
        const uint32_t starts[] = {0, (uint32_t)window->len};
        const qr_batch batch = {window->ids, types ? window->types : NULL, starts, 1, NULL};
        const float *logits;
        qr_status status = qr_context_forward(self->context, &batch, QR_OUTPUT_SPAN, &logits);
        if (status != QR_OK)
            return status;
        memcpy(to, logits, 2 * window->len * sizeof *to);
        self->starts[w] = to;
        to += 2 * window->len;
    }
    return QR_OK;
}

static qr_status answer(reader *self, qr_text question, qr_text context, size_t *count) {
    qr_status status =
        qr_span_encode(self->pipeline, question, context, self->options, &self->windows);
    if (status == QR_OK)
        status = forward(self);
    if (status == QR_OK)
        status = qr_span_decode(&self->windows, self->starts, context, self->options, self->spans,
                                count);
    return status;
}

static qr_text text_of(const json_t *value) {
    return (qr_text){json_string_value(value), json_string_length(value)};
}

/* NULL when the line was answered, else what is wrong with it. */
static const char *answer_line(reader *self, const json_t *line, qr_buf *out) {
    const json_t *question = json_object_get(line, "question");
    const json_t *context = json_object_get(line, "context");
    if (!json_is_string(question) || !json_is_string(context))
        return "must be a JSON object with the texts `question` and `context`";
    size_t count = 0;
    switch (answer(self, text_of(question), text_of(context), &count)) {
    case QR_OK:
        qr_span_to_json(self->spans, count, text_of(context), false, out);
        qr_buf_byte(out, '\n');
        return NULL;
    case QR_EMPTY_INPUT:
        return "`question` and `context` must not be empty";
    case QR_TOO_LONG:
        return "the question leaves no room for the context (see --max-seq-len, --doc-stride), or "
               "the context is too long";
    case QR_NO_MEMORY:
        return "out of memory";
    default:
        return "the model could not answer";
    }
}

/* A line that is refused keeps its place in the output, and the rest of the group goes on. */
static bool span_lines(void *worker, const qr__line *lines, size_t len, qr_buf *out) {
    reader *self = worker;
    for (size_t i = 0; i < len; i++) {
        json_error_t error;
        char message[JSON_ERROR_TEXT_LENGTH + 64];
        const char *fault = message;
        json_t *line;
        qr_status status = qr_json_parse(lines[i].text, JSON_ALLOW_NUL, &line, &error);
        if (status == QR_NO_MEMORY)
            fault = "out of memory";
        else if (status != QR_OK)
            snprintf(message, sizeof message, "not JSON (byte %d: %s)", error.position, error.text);
        else
            fault = answer_line(self, line, out);
        json_decref(line);
        if (fault != NULL) {
            qr__line_refuse("span", &lines[i], fault, out);
            self->bad_line = true;
        }
    }
    return true;
}

static int answer_all(const qr_pipeline *pipeline, const qr_span_options *options, size_t threads) {
    int code = QR_EXIT_FAULT;
    qr_error error = {.message = "no memory"};
    void **workers = calloc(threads, sizeof *workers);
    size_t made = 0;
    while (workers != NULL && made < threads &&
           (workers[made] = reader_create(pipeline, options, &error)) != NULL)
        made++;
    if (made == threads)
        code = qr__lines_map(&(qr__lines){workers, threads, GROUP_LINES, span_lines});
    else
        fprintf(stderr, "querent span: %s\n", error.message);
    for (size_t i = 0; i < made; i++) {
        if (((reader *)workers[i])->bad_line)
            code = QR_EXIT_FAULT;
        reader_destroy(workers[i]);
    }
    free(workers);
    return code;
}

/* What holds for every line is said once, before any is read. */
static int check(const qr__command *command, const qr_pipeline *pipeline,
                 const qr_span_options *options) {
    size_t longest = qr_pipeline_max_tokens(pipeline);
    if (options->max_seq_len > longest)
        return qr__flags_refuse(command, "--max-seq-len %zu: the model takes %zu tokens at most",
                                options->max_seq_len, longest);
    size_t window =
        options->max_seq_len > 0 ? options->max_seq_len : qr_min(longest, QR_SPAN_DEFAULT_SEQ_LEN);
    if (options->doc_stride > window)
        return qr__flags_refuse(command, "--doc-stride %zu: must not be above --max-seq-len (%zu)",
                                options->doc_stride, window);
    return QR_FLAGS_GO;
}

int qr_cli_span(int argc, char **argv) {
    qr__cli_model model = {0};
    qr_span_options options = QR_SPAN_OPTIONS_DEFAULT;
    bool no_align = false;
    const qr__flag flags[] = {
        QR_CLI_MODEL_FLAGS(model),
        {"top-k", QR_FLAG_NUMBER, &options.top_k, .min = 1, .max = QR_LIMIT_TOP_K, .value = "N",
         .help = "most answers [default 1]"},
        {"max-answer-len", QR_FLAG_NUMBER, &options.max_answer_len, .min = 1,
         .max = QR_LIMIT_POSITIONS, .value = "N", .help = "longest answer in tokens [default 15]"},
        {"doc-stride", QR_FLAG_NUMBER, &options.doc_stride, .min = 1, .max = QR_LIMIT_POSITIONS,
         .value = "N", .help = "tokens that windows share [default half a window, at most 128]"},
        {"max-seq-len", QR_FLAG_NUMBER, &options.max_seq_len, .min = 1, .max = QR_LIMIT_POSITIONS,
         .value = "N", .help = "longest window in tokens [default 384, or what the model takes]"},
        {"handle-impossible", QR_FLAG_BOOL, &options.handle_impossible,
         .help = "let \"no answer\" compete, as an empty one"},
        {"no-align-to-words", QR_FLAG_BOOL, &no_align,
         .help = "let answers begin and end in words"},
        {0}};
    const qr__command command = {
        "span",
        "Reads JSON lines {\"question\":...,\"context\":...} from stdin and prints the answer\n"
        "{\"score\",\"start\",\"end\",\"answer\"} of each (a list where there are none or "
        "several), one a line.\n"
        "A line that cannot be answered becomes {\"error\":...}; the exit code is then 1.",
        flags, NULL};
    qr_pipeline *pipeline = NULL;
    int code = qr__flags_parse(&command, argc, argv, NULL);
    options.align_to_words = !no_align;
    if (code == QR_FLAGS_GO)
        code = qr__cli_model_load_kind(&command, &model, QR_KIND_SPAN, &pipeline);
    if (code == QR_FLAGS_GO)
        code = check(&command, pipeline, &options);
    if (code == QR_FLAGS_GO)
        code = answer_all(pipeline, &options, model.threads.number);
    qr_pipeline_destroy(pipeline);
    return code;
}
