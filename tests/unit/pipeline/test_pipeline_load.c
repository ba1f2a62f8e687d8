/* tests: a tokenizer and an engine become a pipeline, or an error that says why not. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "pipeline/pipeline.h"
#include "pipeline/probe_texts.h"

#define SQUAD QR_SOURCE_DIR "/models/squad-3l"

static qr_status load(const char *dir, qr_pipeline **out, qr_error *error) {
    const qr_pipeline_options options = {.precision = QR_PRECISION_F32, .threads = 1};
    return qr_pipeline_load(dir, &options, out, error);
}

/* A directory whose config and weights are squad-3l's and whose other files are the test's. */
static char *borrow_model(const char *tokenizer_file) {
    char *dir = strdup("/tmp/querent-pipeline-XXXXXX"), path[256];
    cr_assert_not_null(mkdtemp(dir));
    const char *names[] = {"config.json", "model.safetensors", tokenizer_file};
    for (size_t i = 0; i < 3; i++) {
        char target[512];
        if (names[i] == NULL)
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        snprintf(target, sizeof target, SQUAD "/%s", names[i]);
        cr_assert_eq(symlink(target, path), 0);
    }
    return dir;
}

static void write_file(const char *dir, const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
}

static void discard(char *dir) {
    const char *names[] = {"config.json", "model.safetensors",         "tokenizer.json",
                           "vocab.txt",   "sentence_bert_config.json", "tokenizer_config.json"};
    char path[256];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    rmdir(dir);
    free(dir);
}

Test(pipeline, loads_the_span_model) {
    qr_pipeline *pipeline;
    qr_error error = {0};
    cr_assert_eq(load(SQUAD "/", &pipeline, &error), QR_OK, "%s", error.message);
    cr_assert_str_eq(qr_pipeline_name(pipeline), "squad-3l");
    cr_assert_eq(qr_pipeline_kind(pipeline), QR_KIND_SPAN);
    cr_assert_eq(qr_pipeline_output(pipeline), QR_OUTPUT_SPAN);
    cr_assert_eq(qr_pipeline_output_floats(pipeline, 7), 14);
    cr_assert_eq(qr_pipeline_max_tokens(pipeline), 512);
    qr_pipeline_destroy(pipeline);
}

Test(pipeline, missing_directory_is_named) {
    qr_pipeline *pipeline;
    qr_error error = {0};
    cr_assert_neq(load("/nonexistent/model", &pipeline, &error), QR_OK);
    cr_assert_null(pipeline);
    cr_assert_not_null(strstr(error.message, "/nonexistent/model"));
}

/* What is wrong with the file, not what else its folder lacks. */
Test(pipeline, a_file_that_is_no_graph_is_named) {
    char *dir = borrow_model(NULL), path[256];
    write_file(dir, "config.json.onnx", "no graph");
    snprintf(path, sizeof path, "%s/config.json.onnx", dir);
    qr_pipeline *pipeline;
    qr_error error = {0};
    cr_expect_eq(load(path, &pipeline, &error), QR_BAD_MODEL);
    cr_expect_not_null(strstr(error.message, "config.json.onnx: "), "%s", error.message);
    cr_expect_not_null(strstr(error.message, "is it an ONNX file"), "%s", error.message);
    unlink(path);
    cr_expect_neq(load(path, &pipeline, &error), QR_OK);
    cr_expect_not_null(strstr(error.message, "config.json.onnx: No such file"), "%s",
                       error.message);
    discard(dir);
}

Test(pipeline, a_vocabulary_beyond_the_model_is_refused) {
    char *dir = borrow_model(NULL), path[256];
    snprintf(path, sizeof path, "%s/vocab.txt", dir);
    FILE *file = fopen(path, "w");
    fputs("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n", file);
    for (int i = 5; i <= 30522; i++) /* one more than the model's 30522 rows */
        fprintf(file, "w%d\n", i);
    fclose(file);
    qr_pipeline *pipeline;
    qr_error error = {0};
    cr_assert_eq(load(dir, &pipeline, &error), QR_BAD_MODEL);
    cr_assert_not_null(strstr(error.message, "vocab.txt"), "%s", error.message);
    cr_assert_not_null(strstr(error.message, "config.json"), "%s", error.message);
    discard(dir);
}

Test(pipeline, sentence_bert_config_sets_the_longest_input) {
    const struct {
        const char *text;
        size_t expected;
    } cases[] = {{"{\"max_seq_length\": 64}", 64}, {"{\"max_seq_length\": 4000}", 512}};
    for (size_t i = 0; i < 2; i++) {
        char *dir = borrow_model("tokenizer.json");
        write_file(dir, "sentence_bert_config.json", cases[i].text);
        qr_pipeline *pipeline;
        qr_error error = {0};
        cr_assert_eq(load(dir, &pipeline, &error), QR_OK, "%s", error.message);
        cr_assert_eq(qr_pipeline_max_tokens(pipeline), cases[i].expected);
        qr_pipeline_destroy(pipeline);
        discard(dir);
    }
}

/* Only a tokenizer that keeps capitals contradicts a model that wants none. */
Test(pipeline, lower_case_that_the_tokenizer_does_not_do_is_refused) {
    static const char *const flags[] = {"{\"do_lower_case\":false}", "{\"do_lower_case\":true}"};
    for (size_t i = 0; i < 4; i++) {
        const bool asked = i % 2 != 0, lowers = i / 2 != 0;
        char *dir = borrow_model("vocab.txt");
        write_file(dir, "sentence_bert_config.json", flags[asked]);
        write_file(dir, "tokenizer_config.json", flags[lowers]);
        qr_pipeline *pipeline;
        qr_error error = {0};
        qr_status status = load(dir, &pipeline, &error);
        cr_expect_eq(status, asked && !lowers ? QR_BAD_MODEL : QR_OK, "%zu: %s", i, error.message);
        if (status == QR_BAD_MODEL) {
            cr_expect_not_null(strstr(error.message, "do_lower_case"), "%s", error.message);
            cr_expect_not_null(strstr(error.message, "vocab.txt"), "%s", error.message);
        }
        qr_pipeline_destroy(pipeline);
        discard(dir);
    }
}

Test(span_encode, refuses_what_it_cannot_do) {
    qr_pipeline *pipeline;
    qr_error error = {0};
    qr_windows windows = {0};
    qr_span_options options = QR_SPAN_OPTIONS_DEFAULT;
    qr_text question = qr_text_of("who?"), context = qr_text_of("a b c"), nothing = {0};
    cr_assert_eq(load(SQUAD, &pipeline, &error), QR_OK, "%s", error.message);
    cr_assert_eq(qr_span_encode(pipeline, nothing, context, &options, &windows), QR_EMPTY_INPUT);
    cr_assert_eq(qr_span_encode(pipeline, question, nothing, &options, &windows), QR_EMPTY_INPUT);
    options.max_seq_len = 513;
    cr_assert_eq(qr_span_encode(pipeline, question, context, &options, &windows), QR_BAD_REQUEST);
    options.max_seq_len = 64;
    options.doc_stride = 65;
    cr_assert_eq(qr_span_encode(pipeline, question, context, &options, &windows), QR_BAD_REQUEST);
    options = QR_SPAN_OPTIONS_DEFAULT;
    options.max_seq_len = 5; /* [CLS] who ? [SEP] [SEP] leave no room */
    cr_assert_eq(qr_span_encode(pipeline, question, context, &options, &windows), QR_TOO_LONG);
    cr_assert_eq(windows.len, 0);
    options = QR_SPAN_OPTIONS_DEFAULT;
    cr_assert_eq(qr_span_encode(pipeline, question, context, &options, &windows), QR_OK);
    cr_assert_eq(windows.len, 1);
    cr_assert_eq(windows.items[0].len, 8);
    qr_windows_deinit(&windows);
    qr_pipeline_destroy(pipeline);
}

/* One set for one kind of model, whole and cut to 8 tokens. */
static void check_probes(const qr_tokenizer *tokenizer, qr__probe_use use, qr_kind kind,
                         size_t least_sequences, size_t least_tokens) {
    qr_ragged probes;
    cr_assert_eq(qr__probes_init(tokenizer, use, kind, 512, true, &probes), QR_OK);
    size_t sequences = probes.batch.sequences;
    cr_assert_geq(sequences, least_sequences);
    cr_assert_geq(probes.batch.starts[sequences], least_tokens);
    cr_assert_leq(probes.batch.starts[sequences], QR_LIMIT_PROBE_TOKENS);
    for (size_t s = 0; s < sequences; s++) {
        cr_assert_gt(probes.batch.starts[s + 1], probes.batch.starts[s] + 2);
        cr_assert_eq(probes.batch.ids[probes.batch.starts[s]], 101);
    }
    qr_ragged_deinit(&probes);
    cr_assert_eq(qr__probes_init(tokenizer, use, kind, 8, false, &probes), QR_OK);
    cr_assert_null(probes.batch.types);
    for (size_t s = 0; s < probes.batch.sequences; s++)
        cr_assert_leq(probes.batch.starts[s + 1] - probes.batch.starts[s], 8);
    qr_ragged_deinit(&probes);
}

Test(probes, fit_their_budget_and_the_model) {
    qr_tokenizer *tokenizer;
    qr_error error = {0};
    cr_assert_eq(qr_tokenizer_load(SQUAD, &tokenizer, &error), QR_OK, "%s", error.message);
    const struct {
        qr_kind kind;
        size_t gate, calibration; /* sequences, at least */
    } cases[] = {{QR_KIND_EMBEDDING, 50, 12},
                 {QR_KIND_SPAN, 25, 4},
                 {QR_KIND_CLASSIFIER, 50, 12},
                 {QR_KIND_RERANKER, 25, 4}};
    for (size_t i = 0; i < 4; i++) {
        check_probes(tokenizer, QR_PROBES_GATE, cases[i].kind, cases[i].gate, 600);
        check_probes(tokenizer, QR_PROBES_CALIBRATION, cases[i].kind, cases[i].calibration, 100);
    }
    qr_tokenizer_destroy(tokenizer);
}

/* What a plan was fitted to says nothing about how it does elsewhere. */
Test(probes, no_text_calibrates_and_judges) {
    const qr__probe_set *gate = &qr__probe_sets[QR_PROBES_GATE],
                        *calibration = &qr__probe_sets[QR_PROBES_CALIBRATION];
    for (size_t i = 0; i < gate->queries_len; i++)
        for (size_t j = 0; j < calibration->queries_len; j++)
            cr_assert(strcmp(gate->queries[i], calibration->queries[j]) != 0);
    for (size_t i = 0; i < gate->pairs_len; i++)
        for (size_t j = 0; j < calibration->pairs_len; j++) {
            cr_assert(strcmp(gate->pairs[i].question, calibration->pairs[j].question) != 0);
            cr_assert(strcmp(gate->pairs[i].passage, calibration->pairs[j].passage) != 0);
        }
}

static qr_status load_with(const qr_pipeline_options *options, qr_pipeline **out, qr_error *error) {
    return qr_pipeline_load(SQUAD, options, out, error);
}

Test(pipeline, the_longest_input_can_be_lowered_but_not_raised) {
    qr_pipeline *pipeline;
    qr_error error = {0};
    qr_pipeline_options options = {.precision = QR_PRECISION_F32, .threads = 1};
    cr_assert_eq(load_with(&options, &pipeline, &error), QR_OK, "%s", error.message);
    size_t own = qr_pipeline_max_tokens(pipeline);
    qr_pipeline_destroy(pipeline);
    options.max_tokens = own;
    cr_assert_eq(load_with(&options, &pipeline, &error), QR_OK, "%s", error.message);
    qr_pipeline_destroy(pipeline);
    options.max_tokens = 17;
    cr_assert_eq(load_with(&options, &pipeline, &error), QR_OK, "%s", error.message);
    cr_assert_eq(qr_pipeline_max_tokens(pipeline), 17);
    qr_pipeline_destroy(pipeline);
    options.max_tokens = own + 1;
    cr_assert_eq(load_with(&options, &pipeline, &error), QR_BAD_OPTION);
    cr_assert(strstr(error.message, "its longest input has") != NULL, "%s", error.message);
}

Test(pipeline, a_model_with_a_head_pools_nothing) {
    qr_pipeline *pipeline;
    qr_error error = {0};
    const qr_pipeline_options options = {
        .precision = QR_PRECISION_F32, .threads = 1, .pooling = "cls"};
    cr_assert_eq(load_with(&options, &pipeline, &error), QR_BAD_OPTION);
    cr_assert(strstr(error.message, "it has a head") != NULL, "%s", error.message);
}
