/* bench/tokenizer.c: how fast texts become tokens, and the tokenizer behind a pipe for
 * tools/tokenizer_check.py.
 *
 *     build/bench/tokenizer --model DIR --queries FILE [--repeats N] [--json]
 *     build/bench/tokenizer --model DIR --serve
 *
 * --serve: batches of requests on stdin, batches of answers on stdout. All numbers are
 * little-endian u32 unless said otherwise. A batch is its length in bytes, then requests back to
 * back; the answers come in the same form:
 *
 *     'e'(u8) flags(u8: 1 special, 2 pair, 4 left) truncation(u8) max_tokens len text [len pair]
 *         -> status truncated n ids[n] begin[n] end[n] word[n] types(u8)[n] special(u8)[n]
 *     'w' max_tokens stride len question len context
 *         -> status windows, then each as above without its status
 *     'd' skip_special(u8) n ids[n]
 *         -> len text
 */
#include <stdio.h>
#include <stdlib.h>

#include "tokenizer/tokenizer.h"

#define MAX_BATCH_BYTES ((size_t)256 << 20)

typedef struct reader {
    const char *data;
    size_t len, at;
} reader;

static uint32_t read_number(reader *in, size_t bytes) {
    uint32_t number = 0;
    if (in->len - in->at < bytes) {
        fputs("tokenizer: a request is cut off\n", stderr);
        exit(1);
    }
    memcpy(&number, in->data + in->at, bytes);
    in->at += bytes;
    return number;
}

static const char *read_bytes(reader *in, size_t bytes) {
    const char *at = in->data + in->at;
    if (in->len - in->at < bytes) {
        fputs("tokenizer: a request is cut off\n", stderr);
        exit(1);
    }
    in->at += bytes;
    return at;
}

static qr_text read_text(reader *in) {
    size_t len = read_number(in, 4);
    return (qr_text){read_bytes(in, len), len};
}

static void write_number(qr_buf *out, size_t number) {
    uint32_t word = (uint32_t)number;
    qr_buf_append(out, &word, sizeof word);
}

static void write_encoding(qr_buf *out, const qr_encoding *encoding) {
    size_t n = encoding->len;
    write_number(out, encoding->truncated);
    write_number(out, n);
    qr_buf_append(out, encoding->ids, n * sizeof *encoding->ids);
    qr_buf_append(out, encoding->begin, n * sizeof *encoding->begin);
    qr_buf_append(out, encoding->end, n * sizeof *encoding->end);
    qr_buf_append(out, encoding->word, n * sizeof *encoding->word);
    qr_buf_append(out, encoding->types, n);
    qr_buf_append(out, encoding->special, n);
}

static void answer_encode(const qr_tokenizer *tokenizer, reader *in, qr_encoding *encoding,
                          qr_buf *out) {
    uint32_t flags = read_number(in, 1), truncation = read_number(in, 1),
             max_tokens = read_number(in, 4);
    qr_encode_options options = {.special = (flags & 1) != 0,
                                 .truncate_left = (flags & 4) != 0,
                                 .truncation = (qr_truncation)truncation,
                                 .max_tokens = max_tokens};
    qr_text text = read_text(in), pair = {0};
    if ((flags & 2) != 0)
        pair = read_text(in);
    qr_status status =
        qr_tokenizer_encode(tokenizer, text, (flags & 2) != 0 ? &pair : NULL, &options, encoding);
    write_number(out, status);
    write_encoding(out, encoding);
}

static void answer_windows(const qr_tokenizer *tokenizer, reader *in, qr_windows *windows,
                           qr_buf *out) {
    size_t max_tokens = read_number(in, 4), stride = read_number(in, 4);
    qr_text question = read_text(in), context = read_text(in);
    write_number(out, qr_tokenizer_encode_windows(tokenizer, question, context, max_tokens, stride,
                                                  windows));
    write_number(out, windows->len);
    for (size_t i = 0; i < windows->len; i++)
        write_encoding(out, &windows->items[i]);
}

static void answer_decode(const qr_tokenizer *tokenizer, reader *in, qr_buf *text, qr_buf *out) {
    bool skip_special = read_number(in, 1) != 0;
    size_t n = read_number(in, 4);
    const char *bytes = read_bytes(in, n * sizeof(int32_t));
    int32_t *ids = malloc((n + 1) * sizeof *ids); /* the request is not aligned */
    if (ids == NULL)
        exit(1);
    memcpy(ids, bytes, n * sizeof *ids);
    qr_buf_reset(text);
    qr_tokenizer_decode(tokenizer, ids, n, skip_special, text);
    free(ids);
    write_number(out, text->len);
    qr_buf_append(out, text->data, text->len);
}

static int serve(const qr_tokenizer *tokenizer) {
    qr_encoding encoding = {0};
    qr_windows windows = {0};
    qr_buf in, out, text;
    int rc = 0;
    uint32_t bytes;
    qr_buf_init(&in, MAX_BATCH_BYTES);
    qr_buf_init(&out, MAX_BATCH_BYTES);
    qr_buf_init(&text, MAX_BATCH_BYTES);
    while (rc == 0 && fread(&bytes, sizeof bytes, 1, stdin) == 1) {
        qr_buf_reset(&in);
        qr_buf_reset(&out);
        char *to = qr_buf_reserve(&in, bytes);
        if (to == NULL || fread(to, 1, bytes, stdin) != bytes) {
            rc = 1;
            break;
        }
        write_number(&out, 0);
        for (reader requests = {to, bytes, 0}; requests.at < requests.len;) {
            switch (read_number(&requests, 1)) {
            case 'e':
                answer_encode(tokenizer, &requests, &encoding, &out);
                break;
            case 'w':
                answer_windows(tokenizer, &requests, &windows, &out);
                break;
            case 'd':
                answer_decode(tokenizer, &requests, &text, &out);
                break;
            default:
                fputs("tokenizer: unknown request\n", stderr);
                exit(1);
            }
        }
        uint32_t answered = (uint32_t)(out.len - sizeof answered);
        if (qr_buf_failed(&out))
            rc = 1;
        else {
            memcpy(out.data, &answered, sizeof answered);
            rc = fwrite(out.data, 1, out.len, stdout) != out.len || fflush(stdout) != 0;
        }
    }
    qr_encoding_deinit(&encoding);
    qr_windows_deinit(&windows);
    qr_buf_deinit(&in);
    qr_buf_deinit(&out);
    qr_buf_deinit(&text);
    return rc;
}

typedef struct lines {
    char *data;
    qr_text *items;
    size_t len;
} lines;

static lines read_lines(const char *path) {
    lines out = {0};
    qr_error error = {0};
    size_t bytes;
    if (qr_file_read(path, (size_t)1 << 30, &out.data, &bytes, &error) != QR_OK) {
        fprintf(stderr, "tokenizer: %s\n", error.message);
        exit(1);
    }
    out.items = malloc((bytes + 1) * sizeof *out.items);
    if (out.items == NULL)
        exit(1);
    for (size_t at = 0; at < bytes;) {
        const char *newline = memchr(out.data + at, '\n', bytes - at);
        size_t end = newline == NULL ? bytes : (size_t)(newline - out.data);
        out.items[out.len++] = (qr_text){out.data + at, end - at};
        at = end + 1;
    }
    return out;
}

static int by_number(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Passes over the whole file; the fastest and the median pass are told. */
static int bench(const qr_tokenizer *tokenizer, const char *path, size_t repeats, double load_ms,
                 bool json) {
    lines texts = read_lines(path);
    qr_encoding encoding = {0};
    double *ns = malloc(repeats * sizeof *ns);
    size_t tokens = 0, bytes = 0;
    if (ns == NULL || texts.len == 0)
        exit(1);
    for (size_t pass = 0; pass < repeats; pass++) {
        uint64_t begin = qr_clock_ns();
        tokens = bytes = 0;
        for (size_t i = 0; i < texts.len; i++) {
            if (qr_tokenizer_encode(tokenizer, texts.items[i], NULL,
                                    &(qr_encode_options){.special = true}, &encoding) != QR_OK)
                exit(1);
            tokens += encoding.len;
            bytes += texts.items[i].len;
        }
        ns[pass] = (double)(qr_clock_ns() - begin) / (double)texts.len;
    }
    qsort(ns, repeats, sizeof *ns, by_number);
    if (json)
        printf("{\"texts\":%zu,\"bytes\":%zu,\"tokens\":%zu,\"best_ns_per_text\":%.1f,"
               "\"median_ns_per_text\":%.1f,\"load_ms\":%.2f}\n",
               texts.len, bytes, tokens, ns[0], ns[repeats / 2], load_ms);
    else
        printf("%zu texts, %zu bytes, %zu tokens: %.0f ns a text (median %.0f), %.1f ns a token, "
               "%.0f MB/s; "
               "loaded in %.1f ms\n",
               texts.len, bytes, tokens, ns[0], ns[repeats / 2],
               ns[0] * (double)texts.len / (double)tokens,
               (double)bytes / (ns[0] * (double)texts.len) * 1e3, load_ms);
    qr_encoding_deinit(&encoding);
    free(ns);
    free(texts.items);
    free(texts.data);
    return 0;
}

int main(int argc, char **argv) {
    const char *model = NULL, *queries = NULL;
    bool json = false, serving = false;
    uint64_t repeats = 50;
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--json") == 0)
            json = true;
        else if (strcmp(argv[i], "--serve") == 0)
            serving = true;
        else if (strcmp(argv[i], "--model") == 0 && value != NULL)
            model = argv[++i];
        else if (strcmp(argv[i], "--queries") == 0 && value != NULL)
            queries = argv[++i];
        else if (strcmp(argv[i], "--repeats") == 0 && value != NULL &&
                 qr_text_to_u64(qr_text_of(value), 1000000, &repeats) && repeats > 0)
            i++;
        else
            model = NULL, i = argc;
    }
    if (model == NULL || (queries == NULL) == !serving) {
        fputs("usage: tokenizer --model DIR (--queries FILE [--repeats N] [--json] | --serve)\n",
              stderr);
        return 2;
    }
    qr_error error = {0};
    qr_tokenizer *tokenizer;
    uint64_t begin = qr_clock_ns();
    if (qr_tokenizer_load(model, &tokenizer, &error) != QR_OK) {
        fprintf(stderr, "tokenizer: %s\n", error.message);
        return 1;
    }
    double load_ms = (double)(qr_clock_ns() - begin) / 1e6;
    int rc = serving ? serve(tokenizer) : bench(tokenizer, queries, (size_t)repeats, load_ms, json);
    qr_tokenizer_destroy(tokenizer);
    return rc;
}
