/* Every way in which tokenizer files can be wrong, and what the user is told. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tokenizer_fixture.h"

static void refused(tokenizer_sections sections, const char *part) {
    char *dir = fixture_dir();
    fixture_write_json(dir, sections);
    fixture_refused(dir, part);
    fixture_remove(dir);
}

static void refused_text(const char *name, qr_text text, const char *part) {
    char *dir = fixture_dir();
    if (strcmp(name, "tokenizer.json") != 0)
        fixture_write(dir, "vocab.txt", TEXT("[UNK]\n[CLS]\n[SEP]\na\n"));
    fixture_write(dir, name, text);
    fixture_refused(dir, part);
    fixture_remove(dir);
}

Test(tokenizer_faults, no_files) {
    char *dir = fixture_dir();
    fixture_refused(dir, "neither tokenizer.json nor vocab.txt");
    fixture_remove(dir);
}

Test(tokenizer_faults, not_json) {
    refused_text("tokenizer.json", TEXT(""), "line 1 column");
    refused_text("tokenizer.json", TEXT("[]"), "not a JSON object");
    refused_text("tokenizer.json", TEXT("{\n\"model\": {\"vocab\": {\"a\": 0,\n\"b\": 1}, x}}"),
                 "line 3 column");
    refused_text("tokenizer.json", TEXT("{\"model\": {\"vocab\": {\"a\": 0"), "line 1 column");
    refused_text("tokenizer.json", TEXT("{\"a\": \"\xff\"}"), "unable to decode byte 0xff");
    refused_text("tokenizer.json", TEXT("{}"), "model: missing");
}

Test(tokenizer_faults, whole_file_cut_anywhere) {
    /* Every prefix of a good file is refused, and none crashes. */
    char *dir = fixture_dir(), path[QR_PATH_BYTES], *data;
    size_t len;
    fixture_write_json(dir, (tokenizer_sections){0});
    cr_assert(qr_file_join(dir, "tokenizer.json", path, sizeof path));
    cr_assert_eq(qr_file_read(path, 1 << 20, &data, &len, NULL), QR_OK);
    for (size_t cut = 0; cut < len; cut++) {
        fixture_write(dir, "tokenizer.json", (qr_text){data, cut});
        fixture_refused(dir, "tokenizer.json");
    }
    free(data);
    fixture_remove(dir);
}

Test(tokenizer_faults, model) {
    refused((tokenizer_sections){.model = "null"}, "model: missing or no object");
    refused((tokenizer_sections){.model = "{\"type\":\"BPE\"}"}, "type is BPE, only WordPiece");
    refused((tokenizer_sections){.model = "{\"type\":\"WordPiece\"}"},
            "model: \"unk_token\" is missing");
    refused((tokenizer_sections){.model = "{\"unk_token\":\"[UNK]\"}"},
            "\"continuing_subword_prefix\" is missing");
    refused(
        (tokenizer_sections){.model =
                                 "{\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\"}"},
        "\"max_input_chars_per_word\" is missing");
    refused(
        (tokenizer_sections){.model =
                                 "{\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\","
                                 "\"max_input_chars_per_word\":-1}"},
        "of the wrong type or range");
    refused(
        (tokenizer_sections){.model =
                                 "{\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":\"##\","
                                 "\"max_input_chars_per_word\":100}"},
        "model.vocab: missing");
    refused(
        (tokenizer_sections){
            .model = "{\"unk_token\":\"[UNK]\",\"continuing_subword_prefix\":"
                     "\"0123456789012345678901234567890123456789012345678901234567890123456789\","
                     "\"max_input_chars_per_word\":100,\"vocab\":{\"a\":1}}"},
        "continuing_subword_prefix: too long");
}

Test(tokenizer_faults, vocab) {
    static const struct {
        const char *vocab, *part;
    } rows[] = {
        {TEST_MODEL("[]"), "model.vocab: missing or no object"},
        {TEST_MODEL("{}"), "the vocabulary is empty"},
        {TEST_MODEL("{\"a\":0}"), "model.unk_token: not in the vocabulary"},
        {TEST_MODEL("{\"[UNK]\":0,\"a\":0}"), "the id is given to two tokens"},
        {TEST_MODEL("{\"[UNK]\":-1}"), "not an id"},
        {TEST_MODEL("{\"[UNK]\":\"1\"}"), "not an id"},
        {TEST_MODEL("{\"[UNK]\":1000000}"), "not an id"},
        {TEST_MODEL("{\"[UNK]\":01}"), "not an id"},
        {TEST_MODEL("{\"[UNK]\":1.0}"), "neither , nor }"},
        {TEST_MODEL("{\"[UNK]\":1,}"), "not a string"},
        {TEST_MODEL("{[UNK]:1}"), "not a string"},
        {TEST_MODEL("{\"[UNK]\" 1}"), "not an id"},
        {TEST_MODEL("{\"[UNK]\":1 \"a\":2}"), "neither , nor }"},
        {TEST_MODEL("{\"\\ud800\":1}"), "not a string"},
        {TEST_MODEL("{\"\\ud800\\u0041\":1}"), "not a string"},
        {TEST_MODEL("{\"\\udc00\":1}"), "not a string"},
        {TEST_MODEL("{\"\\u00\":1}"), "not a string"},
        {TEST_MODEL("{\"\\x\":1}"), "not a string"},
        {TEST_MODEL("{\"\\u0000\":1}"), "not a string"},
        {TEST_MODEL("{\"a\tb\":1}"), "not a string"},
        {TEST_MODEL("{\"a\xff\":1}"), "not a string"},
        {TEST_MODEL("{\"[UNK]\":1},\"vocab\":{\"a\":2}"), "given twice"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        refused((tokenizer_sections){.model = rows[i].vocab}, rows[i].part);
}

Test(tokenizer_faults, long_tokens) {
    qr_buf model;
    for (size_t escaped = 0; escaped < 2; escaped++) {
        qr_buf_init(&model, 1 << 16);
        qr_buf_literal(&model, "{\"unk_token\":\"u\",\"continuing_subword_prefix\":\"##\",\"max_"
                               "input_chars_per_word\":"
                               "100,\"vocab\":{\"u\":0,\"");
        for (size_t i = 0; i < 1025; i++)
            qr_buf_byte(&model, 'x');
        if (escaped == 1)
            qr_buf_literal(&model, "\\n");
        qr_buf_literal(&model, "\":1}}");
        qr_buf_byte(&model, '\0');
        refused((tokenizer_sections){.model = model.data}, "over 1024 bytes");
        qr_buf_deinit(&model);
    }
}

Test(tokenizer_faults, sections) {
    static const struct {
        tokenizer_sections sections;
        const char *part;
    } rows[] = {
        {{.normalizer = "{\"type\":\"NFC\"}"}, "normalizer: type is NFC, only BertNormalizer"},
        {{.normalizer = "{\"type\":\"BertNormalizer\"}"}, "normalizer: \"clean_text\" is missing"},
        {{.normalizer = TEST_NORMALIZER("1", "true", "null", "true")},
         "\"clean_text\" is of the wrong type"},
        {{.normalizer = TEST_NORMALIZER("true", "0", "null", "true")},
         "\"handle_chinese_chars\" is of the wrong"},
        {{.normalizer = TEST_NORMALIZER("true", "true", "\"no\"", "true")},
         "\"strip_accents\" is of the wrong type"},
        {{.normalizer = TEST_NORMALIZER("true", "true", "null", "null")},
         "\"lowercase\" is of the wrong type"},
        {{.pre_tokenizer = "null"}, "pre_tokenizer: type is missing"},
        {{.pre_tokenizer = "{\"type\":\"ByteLevel\"}"}, "pre_tokenizer: type is ByteLevel"},
        {{.decoder = "{\"type\":\"BPEDecoder\"}"}, "decoder: type is BPEDecoder"},
        {{.decoder = "{\"type\":\"WordPiece\"}"}, "decoder: \"prefix\" is missing"},
        {{.decoder = "{\"type\":\"WordPiece\",\"prefix\":\"##\"}"},
         "decoder: \"cleanup\" is missing"},
        {{.decoder = "{\"type\":\"WordPiece\",\"cleanup\":true,\"prefix\":"
                     "\"0123456789012345678901234567890123456789012345678901234567890123456789\"}"},
         "decoder.prefix: too long"},
        {{.post_processor = "{\"type\":\"RobertaProcessing\"}"}, "type is RobertaProcessing"},
        {{.post_processor = "{\"type\":\"BertProcessing\",\"sep\":[\"[SEP]\",3]}"},
         "has no id of the vocabulary"},
        {{.post_processor =
              "{\"type\":\"BertProcessing\",\"cls\":[\"[CLS]\",2],\"sep\":[\"[SEP]\",77]}"},
         "has no id of the vocabulary"},
        {{.post_processor = "{\"type\":\"TemplateProcessing\"}"},
         "post_processor.single: the texts are missing"},
        {{.post_processor = "{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":"
                            "\"A\",\"type_id\":0}}]}"},
         "post_processor.pair: the texts are missing"},
        {{.post_processor = "{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":"
                            "\"C\",\"type_id\":0}}]}"},
         "neither A nor B"},
        {{.post_processor =
              "{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":\"A\"}}]}"},
         "\"type_id\" is missing"},
        {{.post_processor = "{\"type\":\"TemplateProcessing\",\"single\":[{\"Sequence\":{\"id\":"
                            "\"A\",\"type_id\":256}}]}"},
         "\"type_id\" is of the wrong type or range"},
        {{.post_processor = "{\"type\":\"TemplateProcessing\",\"single\":[7]}"},
         "neither Sequence nor SpecialToken"},
        {{.post_processor = "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{"
                            "\"id\":\"x\",\"type_id\":0}}]}"},
         "not among special_tokens"},
        {{.post_processor =
              "{\"type\":\"TemplateProcessing\",\"special_tokens\":{\"x\":{\"ids\":[77]}},"
              "\"single\":[{\"SpecialToken\":{\"id\":\"x\",\"type_id\":0}}]}"},
         "id is not in the vocabulary"},
        {{.post_processor = "{\"type\":\"TemplateProcessing\",\"special_tokens\":{\"x\":{\"ids\":["
                            "2,2,2,2,2,2,2,2,2,2,2,2,"
                            "2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2,2]}},"
                            "\"single\":[{\"SpecialToken\":{\"id\":\"x\",\"type_id\":0}}]}"},
         "more than 32 pieces"},
        {{.added = "{}"}, "added_tokens: not a list"},
        {{.added = "[1]"}, "added_tokens[0]: not an object"},
        {{.added = "[{\"id\":0}]"}, "added_tokens[0]: \"content\" is missing"},
        {{.added = "[{\"id\":0,\"content\":\"x\"}]"},
         "added_tokens[0]: \"single_word\" is missing"},
        {{.added = "[" TEST_ADDED("0", "", PLAIN_FLAGS) "]"},
         "added_tokens[0]: the content is empty"},
        {{.added = "[" TEST_ADDED("-1", "x", PLAIN_FLAGS) "]"},
         "added_tokens[0]: \"id\" is of the wrong type or range"},
        {{.added = "[" TEST_ADDED(
              "26", "\\u0001",
              "\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":true,"
              "\"special\":false") "]"},
         "added_tokens[0]: nothing is left of it after normalization"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        refused(rows[i].sections, rows[i].part);
    /* The id that the token would get belongs to another. */
    refused((tokenizer_sections){.model = TEST_MODEL("{\"[UNK]\":0,\"[CLS]\":2,\"[SEP]\":3}"),
                                 .added = "[" TEST_ADDED("3", "x", PLAIN_FLAGS) "]"},
            "added_tokens[0]: is empty or too long, or its id is taken");
}

Test(tokenizer_faults, too_many_added_tokens) {
    static char rows[2 * 65537 + 2] = "[0";
    for (size_t i = 2; i + 2 < sizeof rows; i += 2)
        memcpy(rows + i, ",0", 2);
    memcpy(rows + sizeof rows - 2, "]", 2);
    refused((tokenizer_sections){.added = rows}, "added_tokens: more than 65536 tokens");
}

Test(tokenizer_faults, config) {
    refused_text("tokenizer_config.json", TEXT("{"), "line 1 column");
    refused_text("tokenizer_config.json", TEXT("{\"do_lower_case\": 1}"),
                 "\"do_lower_case\" is of the wrong type");
    refused_text("tokenizer_config.json", TEXT("{\"strip_accents\": 1}"),
                 "\"strip_accents\" is of the wrong type");
    refused_text("tokenizer_config.json", TEXT("{\"tokenize_chinese_chars\": 1}"),
                 "\"tokenize_chinese_chars\"");
    refused_text("tokenizer_config.json", TEXT("{\"model_max_length\": 0}"),
                 "model_max_length: not a positive number");
    refused_text("tokenizer_config.json", TEXT("{\"model_max_length\": \"x\"}"),
                 "model_max_length");
    refused_text("tokenizer_config.json", TEXT("{\"cls_token\": 7}"),
                 "\"cls_token\" is of the wrong type");
    refused_text("tokenizer_config.json", TEXT("{\"cls_token\": {}}"),
                 "cls_token: \"content\" is missing");
    refused_text("tokenizer_config.json", TEXT("{\"tokenizer_class\": \"RobertaTokenizer\"}"),
                 "RobertaTokenizer is not BERT");
    refused_text("tokenizer_config.json", TEXT("{\"tokenizer_class\": \"BertJapaneseTokenizer\"}"),
                 "is not BERT");
    refused_text("tokenizer_config.json", TEXT("{\"added_tokens_decoder\": {\"x\": {}}}"),
                 "a key is no id");
    refused_text("tokenizer_config.json", TEXT("{\"added_tokens_decoder\": {\"9\": {}}}"),
                 "added_tokens_decoder[\"9\"]: \"content\" is missing");
    refused_text("special_tokens_map.json", TEXT("[]"), "not a JSON object");
    refused_text("special_tokens_map.json", TEXT("{\"sep_token\": \"<s>\"}"),
                 "the special token \"<s>\" is not in it");
}

Test(tokenizer_faults, vocab_txt) {
    refused_text("vocab.txt", TEXT(""), "the special token \"[UNK]\" is not in it");
    refused_text("vocab.txt", TEXT("[UNK]\n[SEP]\n"), "\"[CLS]\" is not in it");
    refused_text("vocab.txt", TEXT("[UNK]\n[CLS]\n"), "\"[SEP]\" is not in it");
    refused_text("vocab.txt", TEXT("[UNK]\n\xff\n"), "line 2: not UTF-8");
    static char text[2048];
    memset(text, 'x', sizeof text);
    refused_text("vocab.txt", (qr_text){text, sizeof text}, "line 1: over 1024 bytes");
}

Test(tokenizer_faults, unreadable) {
    char *dir = fixture_dir(), path[QR_PATH_BYTES];
    qr_tokenizer *tokenizer;
    qr_error error = {0};
    cr_assert(qr_file_join(dir, "tokenizer.json", path, sizeof path));
    cr_assert_eq(symlink("/dev/null", path), 0);
    cr_expect_eq(qr_tokenizer_load(dir, &tokenizer, &error), QR_IO);
    cr_expect_not_null(strstr(error.message, path));
    fixture_remove(dir);
    char *deep = malloc(QR_PATH_BYTES + 1);
    memset(deep, 'x', QR_PATH_BYTES);
    deep[QR_PATH_BYTES] = '\0';
    cr_expect_eq(qr_tokenizer_load(deep, &tokenizer, &error), QR_BAD_MODEL);
    free(deep);
}

static char logged[2000];

static void keep(void *state, qr_log_level level, qr_text message) {
    (void)state;
    (void)level;
    const size_t len = strlen(logged);
    snprintf(logged + len, sizeof logged - len, "%s\n", message.data);
}

/* tokenizer.json has the say (lower case, Chinese apart, accents as the case), and whoever compares
 * tokens with transformers, which asks the other file, is told. */
Test(tokenizer_faults, a_config_that_says_otherwise_is_told_of) {
    static const struct {
        qr_text config;
        const char *key, *has; /* NULL: nothing to tell */
    } rows[] = {
        {TEXT("{}"), NULL, NULL},
        {TEXT("{\"do_lower_case\": null, \"strip_accents\": null}"), NULL, NULL},
        {TEXT("{\"do_lower_case\": true, \"tokenize_chinese_chars\": true}"), NULL, NULL},
        {TEXT("{\"strip_accents\": true}"), NULL, NULL},
        {TEXT("{\"do_lower_case\": false}"), "`do_lower_case` is false", "has true"},
        {TEXT("{\"strip_accents\": false}"), "`strip_accents` is false", "has true"},
        {TEXT("{\"tokenize_chinese_chars\": false}"), "`tokenize_chinese_chars` is false",
         "has true"},
    };
    char *dir = fixture_dir();
    qr_log_set_sink(keep, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        qr_tokenizer *tokenizer;
        qr_error error = {0};
        fixture_write_json(dir, (tokenizer_sections){0});
        fixture_write(dir, "tokenizer_config.json", rows[i].config);
        logged[0] = '\0';
        cr_assert_eq(qr_tokenizer_load(dir, &tokenizer, &error), QR_OK, "%s", error.message);
        cr_expect(qr_tokenizer_get_info(tokenizer)->lowercase);
        qr_tokenizer_destroy(tokenizer);
        if (rows[i].key == NULL)
            cr_expect_str_eq(logged, "", "%zu: %s", i, logged);
        else
            cr_expect(strstr(logged, rows[i].key) != NULL && strstr(logged, rows[i].has) != NULL &&
                          strchr(logged, '\n') == logged + strlen(logged) - 1,
                      "%zu: %s", i, logged);
    }
    qr_log_set_sink(NULL, NULL);
    fixture_remove(dir);
}

Test(tokenizer_faults, config_is_read_beside_either) {
    char *dir = fixture_dir();
    qr_tokenizer *tokenizer;
    qr_error error = {0};
    fixture_write_json(dir, (tokenizer_sections){0});
    fixture_write(dir, "tokenizer_config.json",
                  TEXT("{\"model_max_length\": 128, \"do_lower_case\": false}"));
    cr_assert_eq(qr_tokenizer_load(dir, &tokenizer, &error), QR_OK, "%s", error.message);
    cr_expect_eq(qr_tokenizer_get_info(tokenizer)->model_max_length, 128);
    cr_expect(qr_tokenizer_get_info(tokenizer)->lowercase, "tokenizer.json has the say");
    qr_tokenizer_destroy(tokenizer);
    fixture_write(dir, "tokenizer_config.json",
                  TEXT("{\"model_max_length\": 1000000000000000019884624838656}"));
    cr_assert_eq(qr_tokenizer_load(dir, &tokenizer, &error), QR_OK, "%s", error.message);
    cr_expect_eq(qr_tokenizer_get_info(tokenizer)->model_max_length, 0);
    qr_tokenizer_destroy(tokenizer);
    fixture_remove(dir);
}
