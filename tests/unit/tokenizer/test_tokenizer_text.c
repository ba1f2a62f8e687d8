/* Normalization, words and pieces on a small vocabulary; expectations are what `tokenizers` 0.22.2
 * gives. */
#include <criterion/criterion.h>

#include "tokenizer_fixture.h"

typedef struct text_case {
    qr_text text;
    const char *ids, *offsets;
} text_case;

static void expect_all(tokenizer_sections sections, const text_case *cases, size_t count) {
    qr_tokenizer *tokenizer = fixture_load(sections);
    qr_encoding encoding = {0};
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(
            qr_tokenizer_encode(tokenizer, cases[i].text, NULL, &(qr_encode_options){0}, &encoding),
            QR_OK);
        cr_expect_str_eq(fixture_ids(&encoding), cases[i].ids, "case %zu", i);
        cr_expect_str_eq(fixture_offsets(&encoding), cases[i].offsets, "case %zu", i);
        cr_expect_not(encoding.truncated);
    }
    qr_encoding_deinit(&encoding);
    qr_tokenizer_destroy(tokenizer);
}

#define EXPECT_ALL(sections, ...)                                                                  \
    expect_all(sections, (text_case[]){__VA_ARGS__},                                               \
               sizeof((text_case[]){__VA_ARGS__}) / sizeof(text_case))

Test(tokenizer_text, uncased) {
    EXPECT_ALL((tokenizer_sections){0},
               {TEXT("The cats sat."), "5 6 7 8 14", "0-3 4-7 7-8 9-12 12-13"},
               {TEXT("don't"), "23 22 24", "0-3 3-4 4-5"},
               {TEXT("THE\x00 ca\xcc\x81ts"), "5 6 7", "0-3 5-10 10-11"},
               {TEXT("a\xe4\xb8\xad"
                     "b"),
                "15 21 16", "0-1 1-4 4-5"},
               {TEXT("\xc2\xa0"
                     "cat\xe3\x80\x80sat\xe2\x80\xa8on"),
                "6 8 12", "2-5 8-11 14-16"},
               {TEXT("un\xef\xbf\xbd"
                     "aff"),
                "9 10", "0-2 5-8"},
               {TEXT("a\xe2\x80\x8d"
                     "b"),
                "15 17", "0-1 4-5"},
               {TEXT("UnAffable unaffablex"), "9 10 11 1", "0-2 2-5 5-9 10-20"});
}

Test(tokenizer_text, canonical_order) {
    /* U+302F is a mark that is not stripped: its run is sorted, and sorting moves the offsets. */
    EXPECT_ALL((tokenizer_sections){0},
               {TEXT("a\xe3\x80\xaf\xcc\x81"
                     "b"),
                "15 19 17", "0-1 1-4 6-7"},
               {TEXT("a\xcc\x81\xe3\x80\xaf"
                     "b"),
                "15 19 17", "0-1 1-3 6-7"},
               {TEXT("a\xcd\x84\xe3\x80\xaf"
                     "b"),
                "15 19 17", "0-1 1-3 6-7"},
               {TEXT("a\xe3\x80\xaf\xe3\x80\xaf"
                     "b"),
                "15 19 19 17", "0-1 1-4 4-7 7-8"},
               {TEXT("\xe3\x80\xaf"
                     "a"),
                "1", "0-4"},
               {TEXT("\xf0\x9d\x85\x9e"), "1", "0-4"});
}

Test(tokenizer_text, accents_kept) {
    EXPECT_ALL(
        ((tokenizer_sections){.normalizer = TEST_NORMALIZER("true", "true", "false", "true")}),
        {TEXT("\xc4\xb0"), "18 20", "0-2 0-2"}, {TEXT("ca\xcc\x81ts"), "1", "0-6"},
        {TEXT("a\xe3\x80\xaf"), "15 19", "0-1 1-4"});
}

Test(tokenizer_text, not_cleaned) {
    EXPECT_ALL(
        ((tokenizer_sections){.normalizer = TEST_NORMALIZER("false", "true", "null", "true")}),
        {TEXT("a\x00"
              "b"),
         "1", "0-3"},
        {TEXT("a\x0b"
              "b"),
         "15 16", "0-1 2-3"},
        {TEXT("un\xef\xbf\xbd"
              "aff"),
         "1", "0-8"},
        {TEXT("a\tb"), "15 16", "0-1 2-3"});
}

Test(tokenizer_text, chinese_not_split) {
    EXPECT_ALL(
        ((tokenizer_sections){.normalizer = TEST_NORMALIZER("true", "false", "null", "true")}),
        {TEXT("a\xe4\xb8\xad"
              "b"),
         "1", "0-5"},
        {TEXT("\xe4\xb8\xad"), "21", "0-3"});
}

Test(tokenizer_text, cased) {
    EXPECT_ALL(
        ((tokenizer_sections){.normalizer = TEST_NORMALIZER("true", "true", "null", "false")}),
        {TEXT("The the ca\xcc\x81t"), "1 5 1", "0-3 4-7 8-13"});
    EXPECT_ALL(
        ((tokenizer_sections){.normalizer = TEST_NORMALIZER("true", "true", "true", "false")}),
        {TEXT("The the ca\xcc\x81t"), "1 5 6", "0-3 4-7 8-13"});
    EXPECT_ALL(((tokenizer_sections){.normalizer = "null"}), {TEXT("The the"), "1 5", "0-3 4-7"});
}

Test(tokenizer_text, invalid_utf8) {
    /* Each maximal subpart is one U+FFFD: cleaned away, or a letter of an unknown word. */
    EXPECT_ALL((tokenizer_sections){0},
               {TEXT("un\xff"
                     "aff\xf0\x9f\x98"
                     "able"),
                "9 10 11", "0-2 3-6 9-13"},
               {TEXT("cat\xc3"), "6", "0-3"}, {TEXT("\x80\x80\x80"), "", ""});
    EXPECT_ALL(
        ((tokenizer_sections){.normalizer = TEST_NORMALIZER("false", "true", "null", "true")}),
        {TEXT("cat\xc3 on"), "1 12", "0-4 5-7"});
}

Test(tokenizer_text, long_words) {
    static char word[4 * 101 + 1];
    qr_tokenizer *tokenizer = fixture_load((tokenizer_sections){0});
    qr_encoding encoding = {0};
    for (size_t chars = 99; chars <= 101; chars++) { /* ASCII: a##b##b... */
        memset(word, 'b', sizeof word);
        cr_assert_eq(qr_tokenizer_encode(tokenizer, (qr_text){word, chars}, NULL,
                                         &(qr_encode_options){0}, &encoding),
                     QR_OK);
        cr_expect_eq(encoding.len, chars <= 100 ? chars : 1);
        cr_expect_eq(encoding.ids[0], chars <= 100 ? 16 : 1);
        cr_expect_eq(encoding.end[encoding.len - 1], chars);
        for (size_t i = 0; i < chars; i++) /* characters of four bytes */
            memcpy(word + 4 * i, "\xf0\x9d\x90\x80", 4);
        cr_assert_eq(qr_tokenizer_encode(tokenizer, (qr_text){word, 4 * chars}, NULL,
                                         &(qr_encode_options){0}, &encoding),
                     QR_OK);
        cr_expect_eq(encoding.len, 1);
        cr_expect_eq(encoding.end[0], 4 * chars);
    }
    qr_encoding_deinit(&encoding);
    qr_tokenizer_destroy(tokenizer);
}

Test(tokenizer_text, other_prefix_and_word_length) {
    tokenizer_sections sections = {
        .model =
            "{\"type\":\"WordPiece\",\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"\","
            "\"max_input_chars_per_word\":4,\"vocab\":{\"[UNK]\":1,\"[CLS]\":2,\"[SEP]\":3,\"ca\":"
            "0,\"t\":4,"
            "\"\\u00e9\\ud83d\\ude00\":5,\"a\\\\\\\"\":6,\"\":7}}",
        .added = "[]"};
    EXPECT_ALL(sections, {TEXT("catt catca c"), "0 4 4 1 1", "0-2 2-3 3-4 5-10 11-12"});
}
