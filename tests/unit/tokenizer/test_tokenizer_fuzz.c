/* Random bytes through every path: nothing crashes, and what comes out keeps the promises of
 * tokenizer.h. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "fuzz.h"
#include "tokenizer_fixture.h"

TestSuite(tokenizer_fuzz, .timeout = 3600);

static uint64_t state = 0x853C49E6748FEA9Bull;

static uint32_t random_below(uint32_t n) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)((state >> 33) % n);
}

/* Bytes that meet: raw ones, pieces of words, broken and whole characters, special tokens. */
static size_t random_text(char *out, size_t room) {
    static const char *const parts[] = {"the ",
                                        "cats",
                                        "unaffable",
                                        "[MASK]",
                                        " <l> ",
                                        "<r>",
                                        "\xc3\xa9",
                                        "\xe3\x80\xaf",
                                        "\xcc\x81",
                                        "\xcd\x84",
                                        "\xe4\xb8\xad",
                                        "\xed\x95\x9c",
                                        "\xf0\x9d\x85\x9e",
                                        "\xe2\x80",
                                        "\xf0\x9f",
                                        "\xed\xa0\x80",
                                        "\xc4\xb0",
                                        " ",
                                        "\n",
                                        "b",
                                        "."};
    size_t len = 0, pieces = random_below(24);
    for (size_t i = 0; i < pieces; i++) {
        if (random_below(3) == 0) {
            out[len++] = (char)random_below(256);
        } else {
            const char *part = parts[random_below(sizeof parts / sizeof *parts)];
            size_t n = strlen(part);
            memcpy(out + len, part, n);
            len += n;
        }
        if (len + 16 > room)
            break;
    }
    return len;
}

static bool is_boundary(qr_text text, size_t at) {
    for (size_t i = 0, bytes; i < text.len; i += bytes) {
        if (i == at)
            return true;
        qr_utf8_decode(text, i, &bytes);
    }
    return at == text.len;
}

static void check_promises(const qr_tokenizer *tokenizer, qr_text text, qr_text pair,
                           const qr_encoding *encoding) {
    uint32_t last_begin[2] = {0, 0}, last_word[2] = {0, 0};
    for (size_t i = 0; i < encoding->len; i++) {
        unsigned type = encoding->types[i];
        cr_assert_leq(type, 1);
        cr_assert(encoding->ids[i] >= 0 &&
                  (size_t)encoding->ids[i] < qr_tokenizer_get_info(tokenizer)->vocab);
        cr_assert_gt(qr_tokenizer_token(tokenizer, encoding->ids[i]).len, 0);
        if (encoding->special[i] != 0) {
            cr_assert(encoding->begin[i] == 0 && encoding->end[i] == 0 &&
                      encoding->word[i] == QR_NO_WORD);
            continue;
        }
        qr_text from = type == 0 ? text : pair;
        cr_assert_lt(encoding->begin[i], encoding->end[i]);
        cr_assert_leq(encoding->end[i], from.len);
        cr_assert(is_boundary(from, encoding->begin[i]) && is_boundary(from, encoding->end[i]));
        cr_assert_geq(encoding->begin[i], last_begin[type]);
        cr_assert(encoding->word[i] != QR_NO_WORD && encoding->word[i] >= last_word[type]);
        last_begin[type] = encoding->begin[i];
        last_word[type] = encoding->word[i];
    }
}

static void fuzz(tokenizer_sections sections, size_t rounds) {
    qr_tokenizer *tokenizer = fixture_load(sections);
    qr_encoding encoding = {0}, again = {0};
    qr_windows windows = {0};
    qr_buf decoded;
    qr_buf_init(&decoded, 1 << 20);
    char *bytes[2] = {malloc(512), malloc(512)};
    for (size_t round = 0; round < rounds; round++) {
        qr_text texts[2];
        for (size_t i = 0; i < 2;
             i++) { /* blocks of the exact size, so that a sanitizer sees a byte too far */
            size_t len = random_text(bytes[i], 512);
            texts[i] = (qr_text){memcpy(malloc(len + 1), bytes[i], len), len};
        }
        bool pair = random_below(2) == 0;
        qr_encode_options options = {.special = random_below(2) == 0,
                                     .truncation = (qr_truncation)random_below(3),
                                     .truncate_left = random_below(2) == 0,
                                     .max_tokens = random_below(3) == 0 ? random_below(20) : 0};
        qr_status status =
            qr_tokenizer_encode(tokenizer, texts[0], pair ? &texts[1] : NULL, &options, &encoding);
        cr_assert(status == QR_OK ||
                  (status == QR_TOO_LONG && options.max_tokens > 0 && encoding.len == 0));
        cr_assert(options.max_tokens == 0 || encoding.len <= options.max_tokens);
        check_promises(tokenizer, texts[0], texts[1], &encoding);
        /* A fresh encoding gives the same: nothing is left over from the text before. */
        qr_encoding fresh = {0};
        qr_encoding *other = random_below(64) == 0 ? &fresh : &again;
        cr_assert_eq(
            qr_tokenizer_encode(tokenizer, texts[0], pair ? &texts[1] : NULL, &options, other),
            status);
        cr_assert_eq(other->len, encoding.len);
        cr_assert(encoding.len == 0 ||
                  memcmp(other->ids, encoding.ids, encoding.len * sizeof *encoding.ids) == 0);
        qr_encoding_deinit(&fresh);
        if (qr_tokenizer_encode_windows(tokenizer, texts[0], texts[1], 3 + random_below(30),
                                        random_below(6), &windows) == QR_OK)
            for (size_t i = 0; i < windows.len; i++)
                check_promises(tokenizer, texts[0], texts[1], &windows.items[i]);
        qr_buf_reset(&decoded);
        qr_tokenizer_decode(tokenizer, encoding.ids, encoding.len, random_below(2) == 0, &decoded);
        cr_assert(!qr_buf_failed(&decoded) && qr_utf8_valid((qr_text){decoded.data, decoded.len}));
        free((char *)texts[0].data);
        free((char *)texts[1].data);
    }
    free(bytes[0]);
    free(bytes[1]);
    qr_buf_deinit(&decoded);
    qr_windows_deinit(&windows);
    qr_encoding_deinit(&encoding);
    qr_encoding_deinit(&again);
    qr_tokenizer_destroy(tokenizer);
}

Test(tokenizer_fuzz, uncased) {
    fuzz((tokenizer_sections){0}, fuzz_runs(200000));
}

Test(tokenizer_fuzz, nothing_normalized) {
    fuzz((tokenizer_sections){.normalizer = "null"}, fuzz_runs(200000) / 4);
}

Test(tokenizer_fuzz, accents_kept) {
    fuzz((tokenizer_sections){.normalizer = TEST_NORMALIZER("false", "true", "false", "true")},
         fuzz_runs(200000) / 4);
}

Test(tokenizer_fuzz, added_tokens) {
    fuzz(
        (tokenizer_sections){
            .added = "[" TEST_ADDED(
                "26", "<l>",
                "\"single_word\":true,\"lstrip\":true,\"rstrip\":false,\"normalized\":false,"
                "\"special\":true") "," TEST_ADDED("27", "cat",
                                                   "\"single_word\":false,\"lstrip\":true,"
                                                   "\"rstrip\":true,\"normalized\":true,"
                                                   "\"special\":false") "]"},
        fuzz_runs(200000) / 4);
}

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* The least CPU time of three for a run of `bytes` bytes of marks that must be sorted into
 * canonical order: without memory, and a pass for each class that survives. */
static double sort_marks(const qr_tokenizer *tokenizer, size_t bytes) {
    char *text = malloc(bytes);
    double least = INFINITY;
    for (size_t i = 0; i + 5 <= bytes; i += 5)
        memcpy(text + i, "\xe3\x80\xaf\xcc\x81", 5);
    for (int run = 0; run < 3; run++) {
        qr_encoding encoding = {0};
        double begin = cpu_seconds();
        cr_assert_eq(qr_tokenizer_encode(tokenizer, (qr_text){text, bytes}, NULL,
                                         &(qr_encode_options){0}, &encoding),
                     QR_OK);
        least = fmin(least, cpu_seconds() - begin);
        cr_expect_eq(encoding.len, 1);
        qr_encoding_deinit(&encoding);
    }
    free(text);
    return least;
}

/* Sixteen times as long, about sixteen times the time and not 256 times, on any machine. */
Test(tokenizer_fuzz, long_runs_of_marks_take_linear_time) {
    qr_tokenizer *tokenizer = fixture_load((tokenizer_sections){0});
    double shorter = sort_marks(tokenizer, 125000), longer = sort_marks(tokenizer, 2000000);
    cr_expect_lt(longer, 64 * shorter, "%g s and %g s", shorter, longer);
    qr_tokenizer_destroy(tokenizer);
}
