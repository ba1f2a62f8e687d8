/* Prompts of a model directory: which there are, the default, and how many of a text's tokens are
 * its prompt's. Skips of whole texts are what sentence-transformers 6.2.0 counts for these. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pipeline/pipeline.h"

#define SQUAD  QR_SOURCE_DIR "/models/squad-3l"
#define CONFIG "config_sentence_transformers.json"

static char dir[64];

static void write_file(const char *name, const char *text) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "w");
    cr_assert(file != NULL);
    fputs(text, file);
    fclose(file);
}

/* squad-3l's files: what its head is does not matter here. */
static void set_up(void) {
    static const char *const names[] = {"config.json", "model.safetensors", "tokenizer.json"};
    char path[128], target[512];
    snprintf(dir, sizeof dir, "/tmp/querent-prompts-XXXXXX");
    cr_assert(mkdtemp(dir) != NULL);
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        snprintf(target, sizeof target, SQUAD "/%s", names[i]);
        cr_assert_eq(symlink(target, path), 0);
    }
    snprintf(path, sizeof path, "%s/1_Pooling", dir);
    cr_assert_eq(mkdir(path, 0700), 0);
}

static void tear_down(void) {
    static const char *const names[] = {"config.json", "model.safetensors", "tokenizer.json",
                                        CONFIG, "1_Pooling/config.json"};
    char path[128];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/1_Pooling", dir);
    rmdir(path);
    rmdir(dir);
}

TestSuite(prompts, .init = set_up, .fini = tear_down);

static qr_pipeline *load(const char *prompt) {
    const qr_pipeline_options options = {
        .precision = QR_PRECISION_F32, .threads = 1, .prompt = prompt};
    qr_pipeline *pipeline = NULL;
    qr_error error = {0};
    cr_assert_eq(qr_pipeline_load(dir, &options, &pipeline, &error), QR_OK, "%s", error.message);
    return pipeline;
}

static void refused(const char *prompt, qr_status expected, const char *word) {
    const qr_pipeline_options options = {
        .precision = QR_PRECISION_F32, .threads = 1, .prompt = prompt};
    qr_pipeline *pipeline = NULL;
    qr_error error = {0};
    cr_assert_eq(qr_pipeline_load(dir, &options, &pipeline, &error), expected);
    cr_assert(strstr(error.message, word) != NULL, "%s", error.message);
}

#define TWO                                                                                        \
    "{\"prompts\":{\"query\":\"query: \",\"passage\":\"Passage, at length: \",\"none\":null}}"

Test(prompts, no_file_no_prompts) {
    size_t len = 9;
    qr_pipeline *pipeline = load(NULL);
    qr_pipeline_prompts(pipeline, &len);
    cr_assert_eq(len, 0);
    cr_assert(qr_pipeline_prompt(pipeline, qr_text_of("query")) == NULL);
    cr_assert(qr_pipeline_default_prompt(pipeline) == NULL);
    qr_pipeline_destroy(pipeline);
    refused("query", QR_BAD_OPTION, "it has: none");
}

Test(prompts, by_name_and_in_order) {
    size_t len = 0;
    write_file(CONFIG, TWO);
    qr_pipeline *pipeline = load("passage");
    const qr_prompt *all = qr_pipeline_prompts(pipeline, &len);
    cr_assert_eq(len, 3);
    cr_assert(qr_text_is(all[0].name, "query") && qr_text_is(all[0].text, "query: "));
    cr_assert(qr_text_is(all[2].name, "none") && all[2].text.len == 0);
    cr_assert(qr_pipeline_prompt(pipeline, qr_text_of("passage")) == &all[1]);
    cr_assert(qr_pipeline_prompt(pipeline, qr_text_of("Query")) == NULL);
    cr_assert(qr_pipeline_default_prompt(pipeline) == &all[1]);
    for (size_t i = 0; i < len; i++)
        cr_assert_eq(all[i].skip, 0, "pooling looks at prompts");
    qr_pipeline_destroy(pipeline);
    refused("question", QR_BAD_OPTION, "it has: query, passage, none");
}

/* The model's own default is for sentence-transformers. */
Test(prompts, default_prompt_name_is_not_taken) {
    write_file(CONFIG, "{\"prompts\":{\"a\":\"A\"},\"default_prompt_name\":\"a\"}");
    qr_pipeline *pipeline = load("");
    cr_assert(qr_pipeline_default_prompt(pipeline) == NULL);
    qr_pipeline_destroy(pipeline);
}

static size_t skip_of(const qr_pipeline *pipeline, const char *name, const char *text, size_t most,
                      bool left) {
    const qr_prompt *prompt = qr_pipeline_prompt(pipeline, qr_text_of(name));
    const qr_encode_options options = {.special = true, .max_tokens = most, .truncate_left = left};
    char both[200];
    qr_encoding encoding = {0};
    snprintf(both, sizeof both, "%s%s", prompt->text.data, text);
    cr_assert_eq(qr_tokenizer_encode(qr_pipeline_tokenizer(pipeline), qr_text_of(both), NULL,
                                     &options, &encoding),
                 QR_OK);
    size_t skip = qr_prompt_skip(prompt, &encoding, left);
    cr_assert_eq(qr_prompt_skip(NULL, &encoding, left), 0);
    cr_assert(skip < encoding.len);
    qr_encoding_deinit(&encoding);
    return skip;
}

Test(prompts, tokens_that_are_left_out) {
    write_file(CONFIG, TWO);
    write_file("1_Pooling/config.json", "{\"include_prompt\":false}");
    qr_pipeline *pipeline = load(NULL);
    /* [CLS] query : | how tall [SEP] */
    cr_assert_eq(skip_of(pipeline, "query", "how tall", 0, false), 3);
    cr_assert_eq(skip_of(pipeline, "query", "how tall", 4, false), 3);
    cr_assert_eq(skip_of(pipeline, "query", "", 0, false), 3);
    /* [CLS] passage , at length : | ... */
    cr_assert_eq(skip_of(pipeline, "passage", "how tall", 0, false), 6);
    cr_assert_eq(skip_of(pipeline, "passage", "how tall", 5, false), 4, "[SEP] is always left");
    cr_assert_eq(skip_of(pipeline, "none", "how tall", 0, false), 0);
    /* cut from the left: [CLS] : | how tall [SEP], then without any of the prompt */
    cr_assert_eq(skip_of(pipeline, "query", "how tall", 5, true), 2);
    cr_assert_eq(skip_of(pipeline, "query", "how tall", 4, true), 1);
    cr_assert_eq(skip_of(pipeline, "query", "how tall", 0, true), 3);
    qr_pipeline_destroy(pipeline);
}

Test(prompts, what_is_refused) {
    static const char *const rows[][2] = {
        {"{\"prompts\":[]}", "not an object"},
        {"{\"prompts\":{\"a\":7}}", "`a` is not a text"},
        {"[]", "not an object"},
        {"{", "not valid JSON"},
        {"{\"prompts\":{\"a\":\"\",\"a\":\"\"}}", "not valid JSON"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        write_file(CONFIG, rows[i][0]);
        refused(NULL, QR_BAD_MODEL, rows[i][1]);
    }
}
