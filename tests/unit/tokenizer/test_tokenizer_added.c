/* Added tokens in raw and normalized text; expectations are what `tokenizers` 0.22.2 gives. */
#include <criterion/criterion.h>

#include "tokenizer/added.h"
#include "tokenizer_fixture.h"

/* clang-format off */
#define FLAGS(single, left, right, normalized, special) \
    "\"single_word\":" single ",\"lstrip\":" left ",\"rstrip\":" right \
    ",\"normalized\":" normalized ",\"special\":" special
#define ROWS \
    "[" TEST_ADDED("4", "[MASK]", FLAGS("false", "false", "false", "false", "true")) \
    "," TEST_ADDED("26", "<l>", FLAGS("false", "true", "false", "false", "false")) \
    "," TEST_ADDED("27", "<r>", FLAGS("false", "false", "true", "false", "false")) \
    "," TEST_ADDED("28", "<w>", FLAGS("true", "false", "false", "false", "false")) \
    "," TEST_ADDED("29", "<ww>", FLAGS("false", "false", "false", "false", "false"))
#define NORMALIZED_ROWS \
    "," TEST_ADDED("30", "Caf\xc3\xa9", FLAGS("false", "false", "false", "true", "false")) \
    "," TEST_ADDED("31", "cats", FLAGS("true", "false", "false", "true", "false")) "]"
/* clang-format on */

static const struct {
    qr_text text;
    const char *ids, *offsets;
    bool needs_normalized;
} cases[] = {
    {TEXT("a  <l>  b"), "15 26 16", "0-1 1-6 8-9", false},
    {TEXT("a  <r>  b"), "15 27 16", "0-1 3-8 8-9", false},
    {TEXT("a<w>"), "15 1 1 1", "0-1 1-2 2-3 3-4", false},
    {TEXT("a <w> b"), "15 28 16", "0-1 2-5 6-7", false},
    {TEXT("_<w>"), "1 1 1 1", "0-1 1-2 2-3 3-4", false},
    {TEXT("\xc3\xa9<w>."), "1 1 1 1 14", "0-2 2-3 3-4 4-5 5-6", false},
    {TEXT("<w>\xcc\x81"), "1 1 1", "0-1 1-2 2-3", false},
    {TEXT("\xff<w>\xff"), "28", "1-4", false},
    {TEXT("<ww><w>"), "29 28", "0-4 4-7", false},
    {TEXT("<w"), "1 1", "0-1 1-2", false},
    {TEXT("<r>  <l>"), "27 26", "0-5 5-8", false},
    {TEXT("[MASK][MASK]x"), "4 4 1", "0-6 6-12 12-13", false},
    {TEXT("\xe4\xb8\xad<w>"), "21 1 1 1", "0-3 3-4 4-5 5-6", false},
    {TEXT("<l><l> <l>"), "26 26 26", "0-3 3-6 6-10", false},
    {TEXT("the CAFE\xcc\x81 on"), "5 30 12", "0-3 4-8 11-13", true},
    {TEXT("caf\xc3\xa9s"), "30 1", "0-5 5-6", true},
    {TEXT("cats"), "31", "0-4", true},
    {TEXT("catss"), "6 7 7", "0-3 3-4 4-5", true},
    {TEXT("the cats."), "5 31 14", "0-3 4-8 8-9", true},
};

static void expect_cases(const char *rows, bool normalized) {
    qr_tokenizer *tokenizer = fixture_load((tokenizer_sections){.added = rows});
    qr_encoding encoding = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (cases[i].needs_normalized && !normalized)
            continue;
        cr_assert_eq(
            qr_tokenizer_encode(tokenizer, cases[i].text, NULL, &(qr_encode_options){0}, &encoding),
            QR_OK);
        cr_expect_str_eq(fixture_ids(&encoding), cases[i].ids, "case %zu", i);
        cr_expect_str_eq(fixture_offsets(&encoding), cases[i].offsets, "case %zu", i);
        for (size_t t = 0; t < encoding.len; t++)
            cr_expect(encoding.special[t] == 0, "only the post-processor's tokens are special");
    }
    qr_encoding_deinit(&encoding);
    qr_tokenizer_destroy(tokenizer);
}

Test(tokenizer_added, raw) {
    expect_cases(ROWS "]", false);
}

/* The general path must give what the ASCII path gives. */
Test(tokenizer_added, normalized) {
    expect_cases(ROWS NORMALIZED_ROWS, true);
}

Test(tokenizer_added, ids_go_on_behind_the_vocabulary) {
    /* The file's ids are not asked, as in the package; the token is no piece of words. */
    qr_tokenizer *tokenizer =
        fixture_load((tokenizer_sections){.added = "[" TEST_ADDED("99", "big", PLAIN_FLAGS) "]"});
    qr_encoding encoding = {0};
    cr_expect(qr_text_is(qr_tokenizer_token(tokenizer, 26), "big"));
    cr_expect_eq(qr_tokenizer_get_info(tokenizer)->vocab, 27);
    cr_assert_eq(
        qr_tokenizer_encode(tokenizer, TEXT("BIG big"), NULL, &(qr_encode_options){0}, &encoding),
        QR_OK);
    cr_expect_str_eq(fixture_ids(&encoding), "1 26");
    qr_encoding_deinit(&encoding);
    qr_tokenizer_destroy(tokenizer);
}

Test(tokenizer_added, given_twice) {
    /* The later row's flags hold. */
    qr_tokenizer *tokenizer = fixture_load((tokenizer_sections){
        .added = "[" TEST_ADDED("26", "<x>", PLAIN_FLAGS) "," TEST_ADDED(
            "26", "<x>", FLAGS("true", "false", "false", "false", "false")) "]"});
    qr_encoding encoding = {0};
    cr_assert_eq(
        qr_tokenizer_encode(tokenizer, TEXT("a<x> <x>"), NULL, &(qr_encode_options){0}, &encoding),
        QR_OK);
    cr_expect_str_eq(fixture_ids(&encoding), "15 1 1 1 26");
    qr_encoding_deinit(&encoding);
    qr_tokenizer_destroy(tokenizer);
}

Test(tokenizer_added, search_agrees_with_a_slow_one) {
    /* Leftmost, then longest, over random texts of few letters and all patterns of up to three of
     * them. */
    static const char *const texts[] = {"a", "ab", "abc", "b", "bca", "ca", "cab", "cc"};
    qr__patterns patterns = {0};
    const qr__added_token plain = {0};
    for (size_t i = 0; i < 8; i++)
        cr_assert(qr__patterns_add(&patterns, qr_text_of(texts[i]), (int32_t)i, &plain));
    cr_assert(
        qr__patterns_add(&patterns, qr_text_of("cab"), 99, &plain)); /* dropped: the first stays */
    qr__patterns_seal(&patterns);
    uint32_t seed = 1;
    for (size_t round = 0; round < 20000; round++) {
        char text[12];
        for (size_t i = 0; i < sizeof text; i++) {
            seed = seed * 1664525 + 1013904223;
            text[i] = "abcd"[seed >> 24 & 3];
        }
        qr__pattern_search search = {.patterns = &patterns, .text = {text, sizeof text}};
        qr__match match;
        for (size_t at = 0; at < sizeof text;) {
            size_t best = 8;
            for (size_t i = 0; i < 8; i++)
                if (strlen(texts[i]) <= sizeof text - at &&
                    memcmp(text + at, texts[i], strlen(texts[i])) == 0 &&
                    (best == 8 || strlen(texts[i]) > strlen(texts[best])))
                    best = i;
            if (best == 8) {
                at++;
                continue;
            }
            cr_assert(qr__pattern_search_next(&search, &match));
            cr_assert_eq(match.id, (int32_t)best);
            cr_assert_eq(match.begin, at);
            at = match.end;
        }
        cr_assert_not(qr__pattern_search_next(&search, &match));
    }
    qr__patterns_deinit(&patterns);
}
