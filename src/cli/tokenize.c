/* cli/tokenize.c: `querent tokenize`: lines in, JSON lines {"ids","tokens","offsets"} out, as
 * `tokenizers` would give them. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/lines.h"
#include "cli/model_options.h"

#define GROUP_LINES 256u

typedef struct worker {
    const qr_tokenizer *tokenizer;
    qr_encoding encoding;
    bool bad_line;
} worker;

/* Turns byte offsets into code points. Tokens come in order, so one walk over the text serves them
 * all. */
typedef struct walk {
    qr_text text;
    size_t byte, code_points;
} walk;

static size_t code_points_until(walk *at, size_t byte) {
    if (byte < at->byte)
        at->byte = at->code_points = 0;
    for (size_t bytes; at->byte < byte; at->byte += bytes, at->code_points++)
        qr_utf8_decode(at->text, at->byte, &bytes);
    return at->code_points;
}

static void print_encoding(const qr_tokenizer *tokenizer, const qr_encoding *encoding, qr_text text,
                           qr_buf *out) {
    walk at = {text, 0, 0};
    qr_buf_literal(out, "{\"ids\":[");
    for (size_t t = 0; t < encoding->len; t++) {
        qr_buf_append(out, ",", t > 0);
        qr_buf_u64(out, (uint64_t)encoding->ids[t]);
    }
    qr_buf_literal(out, "],\"tokens\":[");
    for (size_t t = 0; t < encoding->len; t++) {
        qr_buf_append(out, ",", t > 0);
        qr_json_text(out, qr_tokenizer_token(tokenizer, encoding->ids[t]));
    }
    qr_buf_literal(out, "],\"offsets\":[");
    for (size_t t = 0; t < encoding->len; t++) {
        bool special = encoding->special[t] != 0;
        size_t begin = special ? 0 : code_points_until(&at, encoding->begin[t]);
        size_t end = special ? 0 : code_points_until(&at, encoding->end[t]);
        qr_buf_append(out, ",[", t > 0 ? 2 : 0);
        qr_buf_append(out, "[", t == 0);
        qr_buf_u64(out, begin);
        qr_buf_byte(out, ',');
        qr_buf_u64(out, end);
        qr_buf_byte(out, ']');
    }
    qr_buf_literal(out, "]}\n");
}

/* No model has a part in it. */
static const char *fault_text(qr_status status) {
    _Static_assert(QR_LIMIT_TEXT_TOKENS == 2097152, "the sentence names the limit");
    return status == QR_TOO_LONG ? "the text has more than 2097152 tokens"
                                 : qr_status_sentence(status);
}

static bool tokenize_lines(void *state, const qr__line *lines, size_t len, qr_buf *out) {
    worker *self = state;
    const qr_encode_options options = {.special = true};
    for (size_t i = 0; i < len; i++) {
        qr_status status =
            qr_tokenizer_encode(self->tokenizer, lines[i].text, NULL, &options, &self->encoding);
        if (status == QR_OK) {
            print_encoding(self->tokenizer, &self->encoding, lines[i].text, out);
            continue;
        }
        qr__line_refuse("tokenize", &lines[i], fault_text(status), out);
        self->bad_line = true;
    }
    return true;
}

static int tokenize(const qr_tokenizer *tokenizer, size_t threads) {
    int code = QR_EXIT_FAULT;
    worker *all = calloc(threads, sizeof *all);
    void **workers = calloc(threads, sizeof *workers);
    if (all != NULL && workers != NULL) {
        for (size_t i = 0; i < threads; i++) {
            all[i].tokenizer = tokenizer;
            workers[i] = &all[i];
        }
        code = qr__lines_map(&(qr__lines){workers, threads, GROUP_LINES, tokenize_lines});
    } else {
        fprintf(stderr, "querent tokenize: no memory\n");
    }
    for (size_t i = 0; all != NULL && i < threads; i++) {
        if (all[i].bad_line)
            code = QR_EXIT_FAULT;
        qr_encoding_deinit(&all[i].encoding);
    }
    free(workers);
    free(all);
    return code;
}

int qr_cli_tokenize(int argc, char **argv) {
    qr__cli_model model = {0};
    const qr__flag flags[] = {QR_CLI_DIR_FLAG(model), QR_CLI_THREADS_FLAG(model), {0}};
    const qr__command command = {
        "tokenize",
        "Reads lines from stdin and prints {\"ids\",\"tokens\",\"offsets\"} of each, one a line, "
        "in order.\n"
        "[CLS] and [SEP] are added; nothing is cut or padded; offsets count code points.",
        flags, NULL};
    qr_tokenizer *tokenizer = NULL;
    qr_model_files files;
    qr_error error = {0};
    int code = qr__flags_parse(&command, argc, argv, NULL);
    if (code != QR_FLAGS_GO)
        return code;
    if (qr_model_files_find(model.dir, &files, &error) == QR_OK &&
        qr_tokenizer_load(files.tokenizer_dir, &tokenizer, &error) == QR_OK) {
        code = tokenize(tokenizer, model.threads.number);
    } else {
        fprintf(stderr, "querent tokenize: %s\n", error.message);
        code = QR_EXIT_FAULT;
    }
    qr_tokenizer_destroy(tokenizer);
    return code;
}
