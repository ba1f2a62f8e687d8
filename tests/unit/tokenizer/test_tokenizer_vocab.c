/* The vocabulary's table, vocab.txt, and the Unicode tables. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tokenizer/unicode.h"
#include "tokenizer/vocab.h"
#include "tokenizer_fixture.h"

static uint64_t hash_of(uint64_t hash, const char *text) {
    for (; *text != '\0'; text++)
        hash = qr__hash_byte(hash, *text);
    return hash;
}

Test(tokenizer_vocab, finds_what_was_added) {
    qr__vocab vocab;
    char text[32];
    cr_assert(qr__vocab_init(&vocab, TEXT("##"), 10)); /* grows many times */
    for (size_t i = 0; i < 20000; i++) {
        int len = snprintf(text, sizeof text, "%s%zu", i % 3 == 0 ? "##" : "w", i);
        cr_assert_eq(qr__vocab_add(&vocab, (qr_text){text, (size_t)len}, i), QR_OK);
    }
    cr_expect_eq(vocab.entries, 20000);
    for (size_t i = 0; i < 20000; i++) {
        int len = snprintf(text, sizeof text, "%s%zu", i % 3 == 0 ? "##" : "w", i);
        cr_assert_eq(qr__vocab_find(&vocab, (qr_text){text, (size_t)len}), (int32_t)i);
        cr_assert(qr_text_is(qr__vocab_text(&vocab, (int32_t)i), text));
        if (i % 3 == 0)
            cr_assert_eq(qr__vocab_find_piece(&vocab, hash_of(vocab.prefix_hash, text + 2),
                                              text + 2, (size_t)len - 2, true),
                         (int32_t)i);
        else
            cr_assert_eq(qr__vocab_find_piece(&vocab, hash_of(vocab.prefix_hash, text), text,
                                              (size_t)len, true),
                         QR__NO_ID);
    }
    cr_expect_eq(qr__vocab_find(&vocab, TEXT("w20000")), QR__NO_ID);
    cr_expect_eq(qr__vocab_find(&vocab, TEXT("")), QR__NO_ID);
    qr__vocab_deinit(&vocab);
}

Test(tokenizer_vocab, ids) {
    static char long_text[QR__TOKEN_BYTES + 1];
    qr__vocab vocab;
    memset(long_text, 'x', sizeof long_text);
    cr_assert(qr__vocab_init(&vocab, TEXT("##"), 10));
    cr_expect_eq(qr__vocab_add(&vocab, TEXT("a"), 5), QR_OK);
    cr_expect_eq(qr__vocab_add(&vocab, TEXT("a"), 5), QR_OK);
    cr_expect_eq(qr__vocab_add(&vocab, TEXT("b"), 5), QR_BAD_MODEL);
    cr_expect_eq(qr__vocab_add(&vocab, TEXT("a"), 7), QR_OK); /* as in a map: the last holds */
    cr_expect_eq(qr__vocab_find(&vocab, TEXT("a")), 7);
    cr_expect_eq(qr__vocab_text(&vocab, 5).len, 0);
    cr_expect_eq(vocab.entries, 1);
    cr_expect_eq(qr__vocab_add(&vocab, TEXT("c"), QR_LIMIT_VOCAB), QR_BAD_MODEL);
    cr_expect_eq(qr__vocab_add(&vocab, TEXT("c"), QR_LIMIT_VOCAB - 1), QR_OK);
    cr_expect_eq(qr__vocab_add(&vocab, TEXT(""), 9), QR_BAD_MODEL);
    cr_expect_eq(qr__vocab_add(&vocab, (qr_text){long_text, QR__TOKEN_BYTES}, 9), QR_OK);
    cr_expect_eq(qr__vocab_add(&vocab, (qr_text){long_text, QR__TOKEN_BYTES + 1}, 10),
                 QR_BAD_MODEL);
    cr_expect_eq(qr__vocab_find(&vocab, (qr_text){long_text, QR__TOKEN_BYTES}), 9);
    cr_expect_eq(qr__vocab_find(&vocab, (qr_text){long_text, QR__TOKEN_BYTES + 1}), QR__NO_ID);
    qr__vocab_deinit(&vocab);
}

static void expect_vocab_txt(qr_text vocab, qr_text config, qr_text text, const char *ids) {
    char *dir = fixture_dir();
    qr_tokenizer *tokenizer;
    qr_error error = {0};
    qr_encoding encoding = {0};
    fixture_write(dir, "vocab.txt", vocab);
    if (config.len > 0)
        fixture_write(dir, "tokenizer_config.json", config);
    cr_assert_eq(qr_tokenizer_load(dir, &tokenizer, &error), QR_OK, "%s", error.message);
    cr_expect_str_eq(qr_tokenizer_get_info(tokenizer)->source, "vocab.txt");
    cr_assert_eq(qr_tokenizer_encode(tokenizer, text, NULL, &(qr_encode_options){.special = true},
                                     &encoding),
                 QR_OK);
    cr_expect_str_eq(fixture_ids(&encoding), ids);
    qr_encoding_deinit(&encoding);
    qr_tokenizer_destroy(tokenizer);
    fixture_remove(dir);
}

Test(tokenizer_vocab, vocab_txt) {
    static const char lines[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nCafe "
                                "\xc2\xa0\r\ncafe\n##s\xe3\x80\x80\n\ncaf\xc3\xa9\n"
                                "\xe4\xb8\xad\n\xe4\xb8\xad##x\ncafe";
    qr_text vocab = {lines, sizeof lines - 1};
    expect_vocab_txt(vocab, TEXT(""), TEXT("Cafes CAF\xc3\x89 [MASK] \xe4\xb8\xad"),
                     "2 12 7 12 4 10 3");
    expect_vocab_txt(vocab,
                     TEXT("{\"do_lower_case\": false, \"tokenizer_class\": \"BertTokenizerFast\"}"),
                     TEXT("Cafes caf\xc3\xa9"), "2 5 7 9 3");
    expect_vocab_txt(vocab, TEXT("{\"strip_accents\": false, \"tokenize_chinese_chars\": null}"),
                     TEXT("CAF\xc3\x89"), "2 9 3");
    expect_vocab_txt(
        vocab,
        TEXT("{\"tokenize_chinese_chars\": false, \"tokenizer_class\": \"DistilBertTokenizer\"}"),
        TEXT("\xe4\xb8\xad\xe4\xb8\xad"), "2 1 3");
    expect_vocab_txt(vocab,
                     TEXT("{\"cls_token\": {\"content\": \"cafe\"}, \"sep_token\": \"[MASK]\", "
                          "\"model_max_length\": 9}"),
                     TEXT("caf\xc3\x89"), "12 12 4");
    /* added_tokens_decoder: in the order of their ids, behind the lines, of which one is empty. */
    expect_vocab_txt(TEXT("[UNK]\n[CLS]\n[SEP]\n\na\n"),
                     TEXT("{\"added_tokens_decoder\": {\"6\": {\"content\": \"<y>\", "
                          "\"single_word\": false, \"lstrip\": "
                          "false, \"rstrip\": false, \"normalized\": false, \"special\": true}, "
                          "\"5\": {\"content\": \"<x>\", "
                          "\"single_word\": false, \"lstrip\": false, \"rstrip\": false, "
                          "\"normalized\": false, \"special\": "
                          "true}}}"),
                     TEXT("<x>a<y>"), "1 5 4 6 2");
}

Test(tokenizer_vocab, unicode_flags) {
    static const struct {
        uint32_t code;
        unsigned flags;
    } rows[] = {
        {0, QR__REMOVED},
        {'\t', QR__BLANK | QR__SPACE},
        {0x0B, QR__REMOVED | QR__SPACE},
        {' ', QR__BLANK | QR__SPACE},
        {'$', QR__PUNCTUATION},
        {'_', QR__PUNCTUATION | QR__WORD},
        {'A', QR__WORD | QR__LOWER},
        {0x301, QR__MARK | QR__WORD},
        {0x302F, QR__WORD},
        {0x4E2D, QR__CHINESE | QR__WORD},
        {0x200D, QR__REMOVED | QR__WORD},
        {0xFFFD, QR__REMOVED},
        {0x3000, QR__BLANK | QR__SPACE},
        {0x1F600, 0},
        {0x10FFFF, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_eq(qr__unicode_flags(rows[i].code), rows[i].flags, "U+%04X: %x",
                     (unsigned)rows[i].code, qr__unicode_flags(rows[i].code));
    cr_expect_eq(qr__unicode_of(0x302F).combining_class, 224);
    cr_expect_eq(qr__unicode_of(0x301).combining_class, 230);
}

Test(tokenizer_vocab, unicode_mappings) {
    uint32_t out[QR__DECOMPOSITION_MAX];
    cr_expect(qr__unicode_to_lower('A', out) == 1 && out[0] == 'a');
    cr_expect(qr__unicode_to_lower('[', out) == 1 && out[0] == '[');
    cr_expect(qr__unicode_to_lower(0x130, out) == 2 && out[0] == 'i' && out[1] == 0x307);
    cr_expect(qr__unicode_to_lower(0x100, out) == 1 && out[0] == 0x101);
    cr_expect(qr__unicode_to_lower(0x101, out) == 1 && out[0] == 0x101);
    cr_expect(qr__unicode_to_lower(0x1E9E, out) == 1 && out[0] == 0xDF);
    cr_expect(qr__unicode_to_lower(0x10400, out) == 1 && out[0] == 0x10428);
    cr_expect(qr__unicode_decompose('a', out) == 1 && out[0] == 'a');
    cr_expect(qr__unicode_decompose(0xE9, out) == 2 && out[0] == 'e' && out[1] == 0x301);
    cr_expect(qr__unicode_decompose(0x1F82, out) == 4 && out[0] == 0x3B1 && out[3] == 0x345);
    cr_expect(qr__unicode_decompose(0xAC00, out) == 2 && out[0] == 0x1100 && out[1] == 0x1161);
    cr_expect(qr__unicode_decompose(0xD7A3, out) == 3 && out[0] == 0x1112 && out[1] == 0x1175 &&
              out[2] == 0x11C2);
    cr_expect(qr__unicode_decompose(0x2FA1D, out) == 1 && out[0] == 0x2A600);
}

/* As Python's str.lower() writes them: the sigma at a word's end is another one. */
Test(tokenizer_vocab, whole_texts_in_lower_case) {
    static const struct {
        const char *text, *lower;
    } rows[] = {
        {"Grace HOPPER", "grace hopper"},
        {"\xc3\x89T\xc3\x89", "\xc3\xa9t\xc3\xa9"},
        {"\xc4\xb0", "i\xcc\x87"},
        {"\xce\x91\xce\xa3", "\xce\xb1\xcf\x82"},
        {"\xce\xa3", "\xcf\x83"},
        {"\xce\x91\xce\xa3\xce\x91\xce\xa3 \xce\xa3.",
         "\xce\xb1\xcf\x83\xce\xb1\xcf\x82 \xcf\x83."},
        {"\xce\x91\xcc\x81\xce\xa3\xcc\x81", "\xce\xb1\xcc\x81\xcf\x82\xcc\x81"},
    };
    qr_buf out;
    qr_buf_init(&out, 256);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        qr_buf_reset(&out);
        qr_unicode_lower(qr_text_of(rows[i].text), &out);
        cr_expect(qr_text_is((qr_text){out.data, out.len}, rows[i].lower), "row %zu", i);
    }
    qr_buf_deinit(&out);
}

Test(tokenizer_vocab, unicode_tables_are_consistent) {
    /* A flag and its table entry go together, at every code point. */
    uint32_t out[QR__DECOMPOSITION_MAX];
    for (uint32_t code = 0; code <= 0x10FFFF; code++) {
        unsigned flags = qr__unicode_flags(code);
        size_t n = qr__unicode_to_lower(code, out);
        cr_assert_eq((flags & QR__LOWER) != 0, n != 1 || out[0] != code, "U+%04X", (unsigned)code);
        n = qr__unicode_decompose(code, out);
        bool hangul = code >= 0xAC00 && code < 0xAC00 + 11172;
        cr_assert_eq((flags & QR__DECOMPOSES) != 0 || hangul, n != 1 || out[0] != code, "U+%04X",
                     (unsigned)code);
        for (size_t i = 0; i < n; i++)
            cr_assert_leq(out[i], 0x10FFFFu);
    }
}
