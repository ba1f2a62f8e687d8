/* Specials, pairs, truncation, windows, decoding; expectations are what `tokenizers` 0.22.2 gives.
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "tokenizer_fixture.h"

static const qr_text first = {"the cats sat on", 15}, second = {"a mat.", 6};

static qr_tokenizer *tokenizer;
static qr_encoding encoding;

static void load(void) {
    tokenizer = fixture_load((tokenizer_sections){0});
}

static void unload(void) {
    qr_encoding_deinit(&encoding);
    qr_tokenizer_destroy(tokenizer);
}

TestSuite(tokenizer_truncation, .init = load, .fini = unload);

static void expect(bool pair, qr_encode_options options, const char *ids) {
    qr_status status =
        qr_tokenizer_encode(tokenizer, first, pair ? &second : NULL, &options, &encoding);
    if (ids == NULL) {
        cr_expect_eq(status, QR_TOO_LONG);
        cr_expect_eq(encoding.len, 0);
        return;
    }
    cr_assert_eq(status, QR_OK, "%s", ids);
    cr_expect_str_eq(fixture_ids(&encoding), ids);
}

Test(tokenizer_truncation, whole) {
    expect(false, (qr_encode_options){0}, "5 6 7 8 12");
    expect(false, (qr_encode_options){.special = true}, "2 5 6 7 8 12 3");
    expect(true, (qr_encode_options){.special = true}, "2 5 6 7 8 12 3 15 13 14 3");
    cr_expect_str_eq(fixture_offsets(&encoding), "0-0 0-3 4-7 7-8 9-12 13-15 0-0 0-1 2-5 5-6 0-0");
    static const uint8_t types[] = {0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1};
    static const uint8_t special[] = {1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1};
    static const uint32_t words[] = {QR_NO_WORD, 0, 1, 1, 2, 3, QR_NO_WORD, 0, 1, 2, QR_NO_WORD};
    cr_expect_arr_eq(encoding.types, types, sizeof types);
    cr_expect_arr_eq(encoding.special, special, sizeof special);
    cr_expect_arr_eq(encoding.word, words, sizeof words);
    cr_expect_not(encoding.truncated);
}

Test(tokenizer_truncation, exact_fit) {
    expect(false, (qr_encode_options){.special = true, .max_tokens = 7}, "2 5 6 7 8 12 3");
    cr_expect_not(encoding.truncated);
    expect(false, (qr_encode_options){.special = true, .max_tokens = 6}, "2 5 6 7 8 3");
    cr_expect(encoding.truncated);
    expect(true, (qr_encode_options){.special = true, .max_tokens = 11},
           "2 5 6 7 8 12 3 15 13 14 3");
    cr_expect_not(encoding.truncated);
}

Test(tokenizer_truncation, single) {
    expect(false, (qr_encode_options){.special = true, .max_tokens = 3}, "2 5 3");
    expect(false, (qr_encode_options){.special = true, .max_tokens = 3, .truncate_left = true},
           "2 12 3");
    cr_expect_str_eq(fixture_offsets(&encoding), "0-0 13-15 0-0");
    expect(false, (qr_encode_options){.special = true, .max_tokens = 2}, "2 3");
    cr_expect(encoding.truncated);
    expect(false, (qr_encode_options){.special = true, .max_tokens = 1}, NULL);
    expect(false, (qr_encode_options){.max_tokens = 1}, "5");
    expect(false, (qr_encode_options){.max_tokens = 2, .truncation = QR_TRUNCATE_ONLY_FIRST},
           "5 6");
    expect(false, (qr_encode_options){.max_tokens = 2, .truncation = QR_TRUNCATE_ONLY_SECOND},
           NULL);
}

Test(tokenizer_truncation, pairs) {
    const qr_encode_options left9 = {.special = true, .max_tokens = 9, .truncate_left = true};
    expect(true, (qr_encode_options){.special = true, .max_tokens = 8}, "2 5 6 7 3 15 13 3");
    expect(true, left9, "2 7 8 12 3 15 13 14 3");
    expect(true, (qr_encode_options){.special = true, .max_tokens = 4}, "2 5 3 3");
    expect(true, (qr_encode_options){.special = true, .max_tokens = 3}, "2 3 3");
    expect(true, (qr_encode_options){.special = true, .max_tokens = 2}, NULL);
    expect(
        true,
        (qr_encode_options){.special = true, .max_tokens = 7, .truncation = QR_TRUNCATE_ONLY_FIRST},
        "2 5 3 15 13 14 3");
    expect(
        true,
        (qr_encode_options){.special = true, .max_tokens = 6, .truncation = QR_TRUNCATE_ONLY_FIRST},
        NULL);
    expect(true,
           (qr_encode_options){
               .special = true, .max_tokens = 8, .truncation = QR_TRUNCATE_ONLY_SECOND},
           NULL);
    expect(true,
           (qr_encode_options){
               .special = true, .max_tokens = 9, .truncation = QR_TRUNCATE_ONLY_SECOND},
           "2 5 6 7 8 12 3 15 3");
}

Test(tokenizer_truncation, stops_early_with_the_same_result) {
    /* 30,000 words: a prefix of what is needed gives the tokens that the whole gives. */
    static char text[60000];
    for (size_t i = 0; i < sizeof text; i += 2)
        memcpy(text + i, i % 3 == 0 ? "a " : "b ", 2);
    qr_text huge = {text, sizeof text};
    qr_encoding all = {0};
    cr_assert_eq(qr_tokenizer_encode(tokenizer, huge, NULL, &(qr_encode_options){0}, &all), QR_OK);
    cr_assert_eq(all.len, sizeof text / 2);
    for (size_t max = 1; max < 400; max = max * 3 + 1) {
        cr_assert_eq(qr_tokenizer_encode(tokenizer, huge, NULL,
                                         &(qr_encode_options){.max_tokens = max}, &encoding),
                     QR_OK);
        cr_expect_eq(encoding.len, max);
        cr_expect(encoding.truncated);
        cr_expect_arr_eq(encoding.ids, all.ids, max * sizeof(int32_t));
        cr_expect_leq(encoding.capacity, 1024, "the rest was not tokenized");
    }
    qr_encoding_deinit(&all);
}

Test(tokenizer_truncation, windows) {
    qr_windows windows = {0};
    qr_text question = TEXT("a cat"), context = TEXT("the cats sat on a mat.");
    static const char *const ids[] = {"2 15 6 3 5 6 3",  "2 15 6 3 6 7 3",   "2 15 6 3 7 8 3",
                                      "2 15 6 3 8 12 3", "2 15 6 3 12 15 3", "2 15 6 3 15 13 3",
                                      "2 15 6 3 13 14 3"};
    cr_assert_eq(qr_tokenizer_encode_windows(tokenizer, question, context, 7, 1, &windows), QR_OK);
    cr_assert_eq(windows.len, 7);
    for (size_t i = 0; i < 7; i++) {
        cr_expect_str_eq(fixture_ids(&windows.items[i]), ids[i]);
        cr_expect(windows.items[i].truncated);
    }
    cr_expect_str_eq(fixture_offsets(&windows.items[3]), "0-0 0-1 2-5 0-0 9-12 13-15 0-0");
    cr_expect_eq(windows.items[3].word[4], 2);
    cr_expect_eq(windows.items[3].types[4], 1);
    cr_assert_eq(qr_tokenizer_encode_windows(tokenizer, question, context, 100, 50, &windows),
                 QR_OK);
    cr_expect_eq(windows.len, 1);
    cr_expect_not(windows.items[0].truncated);
    cr_assert_eq(qr_tokenizer_encode_windows(tokenizer, question, context, 8, 0, &windows), QR_OK);
    cr_expect_eq(windows.len, 3);
    cr_assert_eq(qr_tokenizer_encode_windows(tokenizer, question, TEXT(""), 8, 0, &windows), QR_OK);
    cr_expect_eq(windows.len, 1);
    cr_expect_eq(qr_tokenizer_encode_windows(tokenizer, question, context, 7, 2, &windows),
                 QR_TOO_LONG);
    cr_expect_eq(windows.len, 0);
    cr_expect_eq(qr_tokenizer_encode_windows(tokenizer, question, context, 5, 0, &windows),
                 QR_TOO_LONG);
    cr_expect_eq(qr_tokenizer_encode_windows(tokenizer, question, context, 2, 0, &windows),
                 QR_TOO_LONG);
    qr_windows_deinit(&windows);
    qr_windows_deinit(NULL);
}

Test(tokenizer_truncation, windows_have_a_maximum) {
    static char text[2 * (QR_LIMIT_WINDOWS + 2)];
    for (size_t i = 0; i < sizeof text; i += 2)
        memcpy(text + i, "a ", 2);
    qr_windows windows = {0};
    qr_text question = TEXT("a"), fits = {text, 2 * QR_LIMIT_WINDOWS};
    cr_assert_eq(qr_tokenizer_encode_windows(tokenizer, question, fits, 5, 0, &windows), QR_OK);
    cr_expect_eq(windows.len, QR_LIMIT_WINDOWS);
    cr_expect_eq(qr_tokenizer_encode_windows(tokenizer, question, (qr_text){text, sizeof text}, 5,
                                             0, &windows),
                 QR_TOO_LONG);
    qr_windows_deinit(&windows);
}

/* Whose length is known before any is made: one token of stride less, and they fit. */
Test(tokenizer_truncation, windows_tokens_have_a_maximum) {
    enum { WORDS = 4300, LONGEST = 512, ROOM = LONGEST - 4 };
    static char text[2 * WORDS];
    for (size_t i = 0; i < sizeof text; i += 2)
        memcpy(text + i, "a ", 2);
    qr_windows windows = {0};
    const qr_text question = TEXT("a"), context = {text, sizeof text};
    cr_expect_eq(
        qr_tokenizer_encode_windows(tokenizer, question, context, LONGEST, ROOM - 1, &windows),
        QR_TOO_LONG); /* 3793 windows */
    cr_expect_eq(windows.capacity, 0);
    cr_expect_eq(
        qr_tokenizer_encode_parts(tokenizer, context, LONGEST, LONGEST - 3, SIZE_MAX, &windows),
        QR_TOO_LONG);
    cr_expect_eq(windows.capacity, 0);
    cr_assert_eq(
        qr_tokenizer_encode_windows(tokenizer, question, context, LONGEST, ROOM - 2, &windows),
        QR_OK);
    cr_expect_eq(windows.len, 1 + (WORDS - ROOM + 1) / 2);
    cr_assert_eq(qr_tokenizer_encode_parts(tokenizer, context, LONGEST, LONGEST - 3, 1, &windows),
                 QR_OK);
    cr_expect_eq(windows.len, 1);
    qr_windows_deinit(&windows);
}

/* A question that is said to be the last one is not tokenized again, and only once. */
Test(tokenizer_truncation, windows_of_the_same_question) {
    qr_windows windows = {0};
    const qr_text question = TEXT("a cat"), other = TEXT("the cats");
    cr_assert_eq(qr_tokenizer_encode_windows(tokenizer, question, TEXT("sat"), 9, 0, &windows),
                 QR_OK);
    cr_expect_str_eq(fixture_ids(&windows.items[0]), "2 15 6 3 8 3");
    windows.same_question = true;
    cr_assert_eq(qr_tokenizer_encode_windows(tokenizer, other, TEXT("mat"), 9, 0, &windows), QR_OK);
    cr_expect_str_eq(fixture_ids(&windows.items[0]), "2 15 6 3 13 3");
    cr_assert_eq(qr_tokenizer_encode_windows(tokenizer, other, TEXT("mat"), 9, 0, &windows), QR_OK);
    cr_expect_str_eq(fixture_ids(&windows.items[0]), "2 5 6 7 3 13 3");
    qr_windows_deinit(&windows);
}

Test(tokenizer_truncation, too_many_tokens) {
    size_t bytes = (size_t)2 * QR_LIMIT_TEXT_TOKENS + 2;
    char *text = malloc(bytes);
    cr_assert_not_null(text);
    for (size_t i = 0; i < bytes; i += 2)
        memcpy(text + i, "a ", 2);
    cr_expect_eq(qr_tokenizer_encode(tokenizer, (qr_text){text, bytes}, NULL,
                                     &(qr_encode_options){0}, &encoding),
                 QR_TOO_LONG);
    cr_expect_eq(encoding.len, 0);
    cr_expect_eq(qr_tokenizer_encode(tokenizer, (qr_text){text, bytes}, NULL,
                                     &(qr_encode_options){.max_tokens = 5}, &encoding),
                 QR_OK);
    cr_expect_eq(encoding.len, 5);
    free(text);
}

Test(tokenizer_truncation, memory_is_reused) {
    expect(true, (qr_encode_options){.special = true}, "2 5 6 7 8 12 3 15 13 14 3");
    const int32_t *ids = encoding.ids;
    size_t capacity = encoding.capacity;
    for (size_t i = 0; i < 100; i++)
        expect(true, (qr_encode_options){.special = true}, "2 5 6 7 8 12 3 15 13 14 3");
    cr_expect_eq(encoding.ids, ids);
    cr_expect_eq(encoding.capacity, capacity);
    qr_encoding_deinit(NULL);
    qr_tokenizer_destroy(NULL);
}

static void expect_text(const qr_tokenizer *with, const int32_t *ids, size_t len, bool skip,
                        const char *text) {
    qr_buf out;
    qr_buf_init(&out, 1024);
    qr_tokenizer_decode(with, ids, len, skip, &out);
    cr_expect(qr_text_is((qr_text){out.data, out.len}, text), "%.*s is not %s", (int)out.len,
              out.data == NULL ? "" : out.data, text);
    qr_buf_deinit(&out);
}

#define EXPECT_TEXT(with, skip, text, ...)                                                         \
    expect_text(with, (int32_t[]){__VA_ARGS__},                                                    \
                sizeof((int32_t[]){__VA_ARGS__}) / sizeof(int32_t), skip, text)

Test(tokenizer_truncation, decode) {
    EXPECT_TEXT(tokenizer, false, "[CLS] the cats. [SEP]", 2, 5, 6, 7, 14, 3);
    EXPECT_TEXT(tokenizer, true, "the cat", 4, 5, 6, 4);
    EXPECT_TEXT(tokenizer, false, "##ss", 7, 7);
    EXPECT_TEXT(tokenizer, false, "don ' t?", 23, 22, 24, 25);
    EXPECT_TEXT(tokenizer, false, "the cat", 5, 99, -7, 1 << 30, 6);
    expect_text(tokenizer, NULL, 0, false, "");
    qr_tokenizer *joined = fixture_load((tokenizer_sections){.decoder = "null"});
    EXPECT_TEXT(joined, false, "cat ##s .", 6, 7, 14);
    qr_tokenizer_destroy(joined);
    qr_tokenizer *dirty = fixture_load((tokenizer_sections){
        .decoder = "{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":false}"});
    EXPECT_TEXT(dirty, false, "cats .", 6, 7, 14);
    qr_tokenizer_destroy(dirty);
}

Test(tokenizer_truncation, decode_into_a_full_buffer) {
    qr_buf out;
    qr_buf_init(&out, 5);
    qr_tokenizer_decode(tokenizer, (int32_t[]){5, 6, 13}, 3, false, &out);
    cr_expect(qr_buf_failed(&out));
    qr_buf_deinit(&out);
}

Test(tokenizer_truncation, templates) {
    static const char post[] = "{\"type\":\"TemplateProcessing\","
                               "\"single\":[{\"SpecialToken\":{\"id\":\"x\",\"type_id\":1}},{"
                               "\"Sequence\":{\"id\":\"A\",\"type_id\":0}}],"
                               "\"pair\":[{\"Sequence\":{\"id\":\"A\",\"type_id\":1}},{"
                               "\"SpecialToken\":{\"id\":\"x\",\"type_id\":0}},"
                               "{\"Sequence\":{\"id\":\"B\",\"type_id\":0}}],"
                               "\"special_tokens\":{\"x\":{\"id\":\"x\",\"ids\":[2,4],\"tokens\":["
                               "\"[CLS]\",\"[MASK]\"]}}}";
    qr_tokenizer *other = fixture_load((tokenizer_sections){.post_processor = post});
    const qr_encode_options options = {.special = true, .max_tokens = 7};
    cr_assert_eq(qr_tokenizer_encode(other, first, NULL, &options, &encoding), QR_OK);
    cr_expect_str_eq(fixture_ids(&encoding), "2 4 5 6 7 8 12");
    cr_expect_eq(encoding.types[1], 1);
    cr_assert_eq(qr_tokenizer_encode(other, first, &second, &options, &encoding), QR_OK);
    cr_expect_str_eq(fixture_ids(&encoding), "5 6 7 2 4 15 13");
    cr_expect_eq(encoding.types[0], 1);
    cr_expect_eq(encoding.types[5], 0);
    qr_tokenizer_destroy(other);
    other = fixture_load((tokenizer_sections){.post_processor = "null"});
    cr_assert_eq(qr_tokenizer_encode(other, first, &second, &(qr_encode_options){.special = true},
                                     &encoding),
                 QR_OK);
    cr_expect_str_eq(fixture_ids(&encoding), "5 6 7 8 12 15 13 14");
    cr_expect_eq(qr_tokenizer_get_info(other)->cls_id, 2);
    qr_tokenizer_destroy(other);
}
