/* What `tokenizers` 0.22.2 gives for models/squad-3l (the usual uncased vocabulary), written down
 * once. */
#include <criterion/criterion.h>

#include "tokenizer_fixture.h"

static const struct {
    qr_text text;
    const char *ids, *offsets, *words;
} goldens[] = {
    {TEXT("What is the capital of Australia?"), "2054 2003 1996 3007 1997 2660 1029",
     "0-4 5-7 8-11 12-19 20-22 23-32 32-33", "0 1 2 3 4 5 6"},
    {TEXT("Z\xc3\xbcrich, S\xc3\xa3o Paulo: 3\xc2\xb0"
          "C"),
     "10204 1010 7509 9094 1024 1017 7737 2278", "0-7 7-8 9-13 14-19 19-20 21-22 22-24 24-25",
     "0 1 2 3 4 5 5 5"},
    {TEXT("don't UNAFFABLE embeddings"), "2123 1005 1056 14477 20961 3468 7861 8270 4667 2015",
     "0-3 3-4 4-5 6-9 9-12 12-15 16-18 18-21 21-25 25-26", "0 1 2 3 3 3 4 4 4 4"},
    {TEXT("\xe5\x8c\x97\xe4\xba\xac is \xe4\xb8\xad"), "1781 1755 2003 1746", "0-3 3-6 7-9 10-13",
     "0 1 2 3"},
    {TEXT("\xed\x95\x9c\xea\xb5\xad\xec\x96\xb4 text"),
     "1469 30006 30021 29991 30014 30020 29999 30008 3793", "0-3 0-3 0-3 3-6 3-6 3-6 6-9 6-9 10-14",
     "0 0 0 0 0 0 0 0 1"},
    {TEXT("e\xcc\x81\xcc\x96 \xc4\xb0I \xc3\x9f"), "1041 2462 1096", "0-1 6-9 10-12", "0 1 2"},
    {TEXT("[MASK] and [mask]"), "103 1998 1031 7308 1033", "0-6 7-10 11-12 12-16 16-17",
     "0 1 2 3 4"},
    {TEXT("tab\x09here\xc2\xa0\xe2\x80\x8bzero\x00null"), "21628 2182 5717 11231 3363",
     "0-3 4-8 13-17 18-20 20-22", "0 1 2 2 2"},
    {TEXT("\xf0\x9f\x98\x80 ok \xf0\x9f\x91\x8d\xf0\x9f\x8f\xbd"), "100 7929 100", "0-4 5-7 8-16",
     "0 1 2"},
    {TEXT("a\xe3\x80\xaf\xcc\x81"
          "b \xf0\x9d\x85\x9e"),
     "100 100", "0-7 8-12", "0 1"},
    {TEXT("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
          "xxxxxxxxxxxxx"),
     "100", "0-101", "0"},
    {TEXT(""), "", "", ""},
    {TEXT(" \x0a "), "", "", ""},
};

Test(tokenizer_goldens, squad) {
    qr_tokenizer *tokenizer;
    qr_error error = {0};
    cr_assert_eq(qr_tokenizer_load(QR_SOURCE_DIR "/models/squad-3l", &tokenizer, &error), QR_OK,
                 "%s", error.message);
    qr_encoding encoding = {0}, words = {0};
    for (size_t i = 0; i < sizeof goldens / sizeof *goldens; i++) {
        cr_assert_eq(qr_tokenizer_encode(tokenizer, goldens[i].text, NULL, &(qr_encode_options){0},
                                         &encoding),
                     QR_OK);
        cr_expect_str_eq(fixture_ids(&encoding), goldens[i].ids, "text %zu", i);
        cr_expect_str_eq(fixture_offsets(&encoding), goldens[i].offsets, "text %zu", i);
        words.ids = (int32_t *)encoding.word;
        words.len = encoding.len;
        cr_expect_str_eq(fixture_ids(&words), goldens[i].words, "text %zu", i);
    }
    qr_encoding_deinit(&encoding);
    qr_tokenizer_destroy(tokenizer);
}

Test(tokenizer_goldens, info) {
    qr_tokenizer *tokenizer;
    qr_error error = {0};
    cr_assert_eq(qr_tokenizer_load(QR_SOURCE_DIR "/models/squad-3l", &tokenizer, &error), QR_OK,
                 "%s", error.message);
    const qr_tokenizer_info *info = qr_tokenizer_get_info(tokenizer);
    cr_expect_eq(info->vocab, 30522);
    cr_expect(info->lowercase && info->strip_accents && info->clean_text &&
              info->handle_chinese_chars);
    cr_expect_eq(info->cls_id, 101);
    cr_expect_eq(info->sep_id, 102);
    cr_expect_eq(info->pad_id, 0);
    cr_expect_eq(info->unk_id, 100);
    cr_expect_eq(info->model_max_length, 512);
    cr_expect_str_eq(info->source, "tokenizer.json");
    cr_expect(qr_text_is(qr_tokenizer_token(tokenizer, 2015), "##s"));
    cr_expect_eq(qr_tokenizer_token(tokenizer, -1).len, 0);
    cr_expect_eq(qr_tokenizer_token(tokenizer, 30522).len, 0);
    qr_tokenizer_destroy(tokenizer);
}
