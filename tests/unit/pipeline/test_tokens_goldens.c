/* Labels of tokens against transformers 4.57.6's pipeline, over tests/golden/tokens.json (made by
 * tools/make_token_goldens.py) or the file that QR_TOKENS_GOLDEN names: everything equal, scores
 * within 1e-5. */
#include <criterion/criterion.h>
#include <criterion/logging.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "../engine/model_maker.h"
#include "pipeline/pipeline.h"

#define SQUAD QR_SOURCE_DIR "/models/squad-3l"

static char dir[64];
static qr_pipeline *pipeline;
static double largest; /* difference of a score */

/* make_model writes no label names: they go in behind its last member. */
static void name_labels(const json_t *labels) {
    size_t len;
    char *config = read_file(dir, "config.json", &len);
    json_t *root = json_loads(config, 0, NULL), *names = json_object();
    for (size_t i = 0; i < json_array_size(labels); i++) {
        char key[32];
        snprintf(key, sizeof key, "%zu", i);
        json_object_set(names, key, json_array_get(labels, i));
    }
    json_object_set_new(root, "id2label", names);
    free(config);
    config = json_dumps(root, 0);
    write_text(dir, "config.json", config);
    free(config);
    json_decref(root);
}

static void make_pipeline(const json_t *labels) {
    const struct model_options options = {.layers = 1,
                                          .hidden = 16,
                                          .heads = 2,
                                          .feed_forward = 32,
                                          .vocab = 30522,
                                          .positions = 40,
                                          .head = "tokens",
                                          .labels = json_array_size(labels),
                                          .seed = 41};
    const qr_pipeline_options how = {.precision = QR_PRECISION_F32, .threads = 1};
    char path[128];
    qr_error error = {0};
    temp_dir_create(dir);
    make_model(dir, &options);
    name_labels(labels);
    snprintf(path, sizeof path, "%s/tokenizer.json", dir);
    cr_assert_eq(symlink(SQUAD "/tokenizer.json", path), 0);
    cr_assert_eq(qr_pipeline_load(dir, &how, &pipeline, &error), QR_OK, "%s", error.message);
    cr_assert_eq(qr_pipeline_kind(pipeline), QR_KIND_TOKENS);
}

/* All windows, one after the other. */
static float **forward(qr_context *context, const qr_windows *windows) {
    float **logits = calloc(windows->len, sizeof *logits);
    for (size_t w = 0; w < windows->len; w++) {
        const qr_encoding *window = &windows->items[w];
        const uint32_t starts[] = {0, (uint32_t)window->len};
        const qr_batch batch = {window->ids, window->types, starts, 1, NULL};
        const size_t floats = qr_pipeline_output_floats(pipeline, window->len);
        const float *out;
        cr_assert_eq(qr_context_forward(context, &batch, qr_pipeline_output(pipeline), &out),
                     QR_OK);
        logits[w] = malloc(floats * sizeof **logits);
        memcpy(logits[w], out, floats * sizeof *out);
    }
    return logits;
}

static qr_tokens_options options_of(const json_t *test, qr_text ignored[8]) {
    const json_t *stride = json_object_get(test, "stride"), *list = json_object_get(test, "ignore");
    bool simple = strcmp(json_string_value(json_object_get(test, "aggregation")), "simple") == 0;
    qr_tokens_options options = {.aggregation =
                                     simple ? QR_AGGREGATION_SIMPLE : QR_AGGREGATION_NONE,
                                 .windows = json_is_integer(stride),
                                 .stride = (size_t)json_integer_value(stride)};
    if (json_is_array(list))
        options.ignored = ignored;
    options.ignored_len = json_array_size(list);
    for (size_t i = 0; i < options.ignored_len; i++)
        ignored[i] = qr_text_of(json_string_value(json_array_get(list, i)));
    return options;
}

/* Everything but the scores, as text; those on their own. */
static void compare(const char *text, json_t *expected, const char *made) {
    (void)text; /* the plain runner shows no messages */
    json_t *actual = json_loads(made, 0, NULL);
    cr_assert(actual != NULL, "%s", made);
    cr_assert_eq(json_array_size(actual), json_array_size(expected), "%s: %s", text, made);
    for (size_t i = 0; i < json_array_size(actual); i++) {
        json_t *a = json_array_get(actual, i), *e = json_array_get(expected, i);
        double difference = fabs(json_number_value(json_object_get(a, "score")) -
                                 json_number_value(json_object_get(e, "score")));
        largest = fmax(largest, difference);
        cr_assert(difference < 1e-5, "%s: entity %zu, score %g away", text, i, difference);
        json_object_del(a, "score");
        json_object_del(e, "score");
        char *one = json_dumps(a, JSON_SORT_KEYS), *other = json_dumps(e, JSON_SORT_KEYS);
        cr_assert_str_eq(one, other, "%s", text);
        free(one);
        free(other);
    }
    json_decref(actual);
}

static void check(qr_context *context, const json_t *test) {
    const qr_tokenizer *tokenizer = qr_pipeline_tokenizer(pipeline);
    const json_t *string = json_object_get(test, "text");
    const qr_text text = {json_string_value(string), json_string_length(string)};
    qr_text ignored[8];
    const qr_tokens_options options = options_of(test, ignored);
    qr_windows windows = {0};
    size_t count;
    qr_buf out;
    cr_assert_eq(qr_tokens_encode(pipeline, text, &options, &windows), QR_OK);
    float **logits = forward(context, &windows);
    qr_entity *entities = calloc(qr_tokens_most(&windows) + 1, sizeof *entities);
    cr_assert_eq(qr_tokens_decode(qr_engine_model(qr_pipeline_engine(pipeline)), &windows,
                                  (const float *const *)logits, text, &options, entities, &count),
                 QR_OK);
    qr_buf_init(&out, 1 << 20);
    qr_tokens_to_json(tokenizer, &windows, text, options.aggregation, entities, count, &out);
    qr_buf_byte(&out, '\0');
    cr_assert(!qr_buf_failed(&out));
    compare(text.data, json_object_get(test, "entities"), out.data);
    qr_buf_deinit(&out);
    free(entities);
    for (size_t w = 0; w < windows.len; w++)
        free(logits[w]);
    free(logits);
    qr_windows_deinit(&windows);
}

Test(tokens_goldens, all_texts, .timeout = 300) {
    const char *named = getenv("QR_TOKENS_GOLDEN");
    const qr_context_options sizes = {.tokens_max = 64, .sequences_max = 1};
    qr_context *context;
    json_error_t at;
    json_t *golden =
        json_load_file(named != NULL ? named : QR_SOURCE_DIR "/tests/golden/tokens.json", 0, &at);
    cr_assert(golden != NULL, "%s", at.text);
    const json_t *cases = json_object_get(golden, "cases");
    make_pipeline(json_object_get(golden, "labels"));
    cr_assert_eq(qr_context_create(qr_pipeline_engine(pipeline), &sizes, &context, NULL), QR_OK);
    for (size_t i = 0; i < json_array_size(cases); i++)
        check(context, json_array_get(cases, i));
    cr_log_info("%zu texts equal, scores within %g", json_array_size(cases), largest);
    qr_context_destroy(context);
    qr_pipeline_destroy(pipeline);
    json_decref(golden);
    temp_dir_remove(dir);
}
