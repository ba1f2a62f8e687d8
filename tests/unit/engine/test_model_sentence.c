/* sentence-transformers' files: pooling, normalisation, longest input. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "model_patch.h"

static char dir[64];

static void set_up(void) {
    struct model_options options = tiny_model;
    options.positions = 10;
    temp_dir_create(dir);
    make_model(dir, &options);
}
static void tear_down(void) {
    temp_dir_remove(dir);
}

TestSuite(model_sentence, .init = set_up, .fini = tear_down);

#define MODULE(path, type)                                                                         \
    "{\"path\":\"" path "\",\"type\":\"sentence_transformers.models." type "\"}"
#define TRANSFORMER MODULE("", "Transformer")
#define POOLING     MODULE("1_Pooling", "Pooling")
#define NORMALIZE   MODULE("2_Normalize", "Normalize")

static void write_modules(const char *modules, const char *pooling) {
    char path[128];
    if (modules != NULL)
        write_text(dir, "modules.json", modules);
    if (pooling == NULL)
        return;
    snprintf(path, sizeof path, "%s/1_Pooling", dir);
    mkdir(path, 0700);
    write_text(path, "config.json", pooling);
}

static void check(qr_pooling pooling, bool normalize) {
    qr_bert *bert = load_good(dir);
    cr_assert_eq(bert->info.pooling[0], pooling);
    cr_assert_eq(bert->info.poolings, 1);
    cr_assert_eq(bert->info.normalize, normalize);
    qr_bert_destroy(bert);
}

Test(model_sentence, nothing_means_mean_and_normalised) {
    check(QR_POOLING_MEAN, true);
}

Test(model_sentence, pooling_without_modules) {
    write_modules(NULL, "{\"pooling_mode_cls_token\":true}");
    check(QR_POOLING_CLS, true);
}

Test(model_sentence, modules_say_whether_vectors_are_normalised) {
    write_modules("[" TRANSFORMER "," POOLING "]",
                  "{\"pooling_mode_cls_token\":true,\"pooling_mode_mean_tokens\":false}");
    check(QR_POOLING_CLS, false);
    write_modules("[" TRANSFORMER "," POOLING "," NORMALIZE "]", NULL);
    check(QR_POOLING_CLS, true);
    write_modules(NULL, "{\"word_embedding_dimension\":4,\"pooling_mode_mean_tokens\":true,"
                        "\"pooling_mode_max_tokens\":false}");
    check(QR_POOLING_MEAN, true);
    write_modules("[" TRANSFORMER "]", NULL);
    check(QR_POOLING_MEAN, false);
    write_modules("[" TRANSFORMER "," POOLING "]", "{\"pooling_mode\":\"cls\"}");
    check(QR_POOLING_CLS, false);
}

/* The poolings' names with "+" between them, and the floats of a vector. */
static void check_text(const char *pooling, const char *expected, size_t modes) {
    char text[QR_POOLING_TEXT_BYTES];
    write_modules("[" TRANSFORMER "," POOLING "]", pooling);
    qr_bert *bert = load_good(dir);
    cr_assert_str_eq(qr_model_pooling_text(&bert->info, text), expected);
    cr_assert_eq(bert->info.poolings, modes);
    cr_assert_eq(bert->info.embedding, modes * bert->info.hidden);
    qr_bert_destroy(bert);
}

/* Old files' flags have one order, whatever the file's; new files' lists have their own. */
Test(model_sentence, poolings_of_both_forms) {
    check_text("{}", "mean", 1);
    check_text("{\"pooling_mode_mean_tokens\":false}", "mean", 1);
    check_text("{\"pooling_mode_max_tokens\":true}", "max", 1);
    check_text("{\"pooling_mode_mean_sqrt_len_tokens\":true}", "mean_sqrt_len_tokens", 1);
    check_text("{\"pooling_mode_weightedmean_tokens\":true}", "weightedmean", 1);
    check_text("{\"pooling_mode_lasttoken\":true}", "lasttoken", 1);
    check_text("{\"pooling_mode_lasttoken\":true,\"pooling_mode_weightedmean_tokens\":true,"
               "\"pooling_mode_mean_sqrt_len_tokens\":true,\"pooling_mode_mean_tokens\":true,"
               "\"pooling_mode_max_tokens\":true,\"pooling_mode_cls_token\":true}",
               "cls+max+mean+mean_sqrt_len_tokens+weightedmean+lasttoken", 6);
    check_text("{\"pooling_mode\":\"max\",\"embedding_dimension\":4}", "max", 1);
    check_text("{\"pooling_mode\":[\"weightedmean\",\"cls\"]}", "weightedmean+cls", 2);
    check_text("{\"pooling_mode\":\"mean\",\"pooling_mode_cls_token\":true}", "mean", 1);
    check_text("{\"pooling_mode\":null,\"pooling_mode_cls_token\":true}", "cls", 1);
    check_text("{\"pooling_mode_later_tokens\":false}", "mean", 1);
}

Test(model_sentence, include_prompt) {
    static const struct {
        const char *pooling;
        bool leaves_out;
    } rows[] = {{"{\"include_prompt\":false}", true},
                {"{\"include_prompt\":true}", false},
                {"{\"include_prompt\":null}", false},
                {"{}", false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        write_modules("[" TRANSFORMER "," POOLING "]", rows[i].pooling);
        qr_bert *bert = load_good(dir);
        cr_assert_eq(bert->info.leaves_out_prompt, rows[i].leaves_out);
        qr_bert_destroy(bert);
    }
}

Test(model_sentence, poolings_that_are_refused) {
    static const char *const rows[][2] = {
        {"{\"pooling_mode_later_tokens\":true}", "pooling_mode_later_tokens"},
        {"{\"pooling_mode_mean_tokens\":1}", "pooling_mode_mean_tokens"},
        {"{\"pooling_mode\":\"best\"}", "`best`"},
        {"{\"pooling_mode\":[\"cls\",\"best\"]}", "mean_sqrt_len_tokens, weightedmean"},
        {"{\"pooling_mode\":[\"cls\",\"max\",\"cls\"]}", "twice"},
        {"{\"pooling_mode\":[]}", "empty list"},
        {"{\"pooling_mode\":[7]}", "list of names"},
        {"{\"pooling_mode\":true}", "list of names"},
        {"{\"include_prompt\":\"no\"}", "include_prompt"},
        {"{\"pooling_mode_mean_tokens\":true,\"word_embedding_dimension\":5}", "hidden size is 4"},
        {"{\"embedding_dimension\":5}", "hidden size is 4"},
        {"[]", "not a JSON object"},
        {"{", "not valid JSON"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        write_modules("[" TRANSFORMER "," POOLING "]", rows[i][0]);
        load_refused(dir, (const char *const[3]){"1_Pooling/config.json", rows[i][1]});
    }
}

Test(model_sentence, modules_that_are_refused) {
    static const char *const rows[][2] = {
        {"[" TRANSFORMER "," MODULE("2_Dense", "Dense") "]", "right behind the pooling"},
        {"[" TRANSFORMER "," MODULE("2_Dropout", "Dropout") "]",
         "models.Dropout` is not supported (supported are Transformer, Pooling, Dense"},
        {"[" TRANSFORMER "," MODULE("2_LayerNorm", "LayerNorm") "]", "models.LayerNorm"},
        {"[" TRANSFORMER "," NORMALIZE "," MODULE("1_Pooling", "Pooling") "]", "too late"},
        {"[" MODULE("0_Transformer", "Transformer") "]", "`0_Transformer`"},
        {"[" TRANSFORMER "," MODULE("..", "Pooling") "]", "plain folder"},
        {"[" TRANSFORMER "," MODULE("a/b", "Pooling") "]", "plain folder"},
        {"[" TRANSFORMER "," MODULE("/etc", "Pooling") "]", "plain folder"},
        {"[{\"path\":\"\"}]", "`type`"},
        {"[7]", "`type`"},
        {"{}", "not a list"},
        {"[" TRANSFORMER "," MODULE("absent", "Pooling") "]", "absent/config.json"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        write_text(dir, "modules.json", rows[i][0]);
        load_refused(dir, (const char *const[3]){dir, rows[i][1]});
    }
}

/* Its numbers and flags alone: what it points to is freed. */
static qr_model_info info_with(const char *text) {
    write_text(dir, "sentence_bert_config.json", text);
    qr_bert *bert = load_good(dir);
    qr_model_info info = bert->info;
    qr_bert_destroy(bert);
    return info;
}

Test(model_sentence, lower_case) {
    cr_expect(!info_with("{}").lowers_texts);
    cr_expect(!info_with("{\"do_lower_case\":null}").lowers_texts);
    cr_expect(!info_with("{\"do_lower_case\":false}").lowers_texts);
    cr_expect(info_with("{\"do_lower_case\":true}").lowers_texts);
    write_text(dir, "sentence_bert_config.json", "{\"do_lower_case\":1}");
    load_refused(dir, (const char *const[3]){"sentence_bert_config.json", "do_lower_case"});
}

Test(model_sentence, longest_input) {
    cr_assert_eq(info_with("{\"max_seq_length\":7}").max_seq_length, 7);
    cr_assert_eq(info_with("{\"max_seq_length\":514}").max_seq_length, 10); /* positions bound it */
    cr_assert_eq(info_with("{\"max_seq_length\":null}").max_seq_length, 0);
    cr_assert_eq(info_with("{\"do_lower_case\":false}").max_seq_length, 0);
    static const char *const refused[] = {"{\"max_seq_length\":2}",
                                          "{\"max_seq_length\":-1}",
                                          "{\"max_seq_length\":\"7\"}",
                                          "{\"max_seq_length\":7.5}",
                                          "[]",
                                          "{"};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        write_text(dir, "sentence_bert_config.json", refused[i]);
        load_refused(dir, (const char *const[3]){"sentence_bert_config.json"});
    }
}

/* Whatever the files say. */
Test(model_sentence, pooling_as_the_operator_says) {
    static const struct {
        const char *asked;
        qr_pooling pooling;
    } cases[] = {{NULL, QR_POOLING_MEAN},
                 {"", QR_POOLING_MEAN},
                 {"mean", QR_POOLING_MEAN},
                 {"lasttoken", QR_POOLING_LAST},
                 {"cls", QR_POOLING_CLS}};
    qr_model *model;
    qr_error error = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_assert_eq(qr_model_open_pooled(dir, cases[i].asked, &model, &error), QR_OK);
        cr_assert_eq(qr_model_get_info(model)->pooling[0], cases[i].pooling);
        qr_model_close(model);
    }
    cr_assert_eq(qr_model_open_pooled(dir, "max pooling", &model, &error), QR_BAD_OPTION);
    cr_assert(strstr(error.message, "(cls, max, mean, ") != NULL, "%s", error.message);
}
