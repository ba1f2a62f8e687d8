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
    cr_assert_eq(bert->info.pooling, pooling);
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

Test(model_sentence, poolings_that_are_refused) {
    static const char *const rows[][2] = {
        {"{\"pooling_mode_max_tokens\":true}", "pooling_mode_max_tokens"},
        {"{\"pooling_mode_mean_sqrt_len_tokens\":true}", "pooling_mode_mean_sqrt_len_tokens"},
        {"{\"pooling_mode_weightedmean_tokens\":true}", "pooling_mode_weightedmean_tokens"},
        {"{\"pooling_mode_lasttoken\":true}", "pooling_mode_lasttoken"},
        {"{\"pooling_mode_mean_tokens\":true,\"pooling_mode_max_tokens\":true}",
         "pooling_mode_max_tokens"},
        {"{\"pooling_mode_mean_tokens\":true,\"pooling_mode_cls_token\":true}", "exactly one"},
        {"{}", "exactly one"},
        {"{\"pooling_mode_mean_tokens\":1}", "pooling_mode_mean_tokens"},
        {"{\"pooling_mode\":\"max\"}", "`max`"},
        {"{\"pooling_mode_mean_tokens\":true,\"word_embedding_dimension\":5}", "hidden size is 4"},
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
        {"[" TRANSFORMER "," MODULE("2_Dense", "Dense") "]", "models.Dense"},
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

static size_t max_seq_length(const char *text) {
    write_text(dir, "sentence_bert_config.json", text);
    qr_bert *bert = load_good(dir);
    size_t length = bert->info.max_seq_length;
    qr_bert_destroy(bert);
    return length;
}

Test(model_sentence, longest_input) {
    cr_assert_eq(max_seq_length("{\"max_seq_length\":7}"), 7);
    cr_assert_eq(max_seq_length("{\"max_seq_length\":514}"), 10); /* positions bound it */
    cr_assert_eq(max_seq_length("{\"max_seq_length\":null}"), 0);
    cr_assert_eq(max_seq_length("{\"do_lower_case\":false}"), 0);
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
