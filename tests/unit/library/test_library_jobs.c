/* libquerent's calls give what the pipeline gives, alone and from many threads at once. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "library/library_fixture.h"
#include "pipeline/pipeline.h"

#define TEXTS   150 /* more than a batch takes */
#define CALLERS 6

static void make_texts(qr_lib_text *texts) {
    for (unsigned i = 0; i < TEXTS; i++)
        texts[i] = text_make(i, i % 90); /* an empty one, and some that are cut */
}

static void free_texts(qr_lib_text *texts) {
    for (size_t i = 0; i < TEXTS; i++)
        free((char *)texts[i].data);
}

Test(library_jobs, many_texts_are_what_each_is_alone) {
    static float together[TEXTS * HIDDEN], alone[HIDDEN];
    qr_lib_text texts[TEXTS];
    qr_lib_error error;
    qr_lib_model *model = tiny_load(NULL, 0, 2, 2);
    make_texts(texts);
    cr_assert_eq(qr_lib_embed(model, texts, TEXTS, NULL, together, TEXTS * HIDDEN, &error),
                 QR_LIB_OK, "%s", error.message);
    for (size_t i = 0; i < TEXTS; i++) {
        cr_assert_eq(qr_lib_embed(model, &texts[i], 1, NULL, alone, HIDDEN, &error), QR_LIB_OK);
        cr_assert(memcmp(alone, together + i * HIDDEN, sizeof alone) == 0, "text %zu", i);
    }
    free_texts(texts);
    qr_lib_model_destroy(model);
}

Test(library_jobs, dimensions_and_length_are_as_asked) {
    static float raw[2 * HIDDEN], cut[2 * 8], want[8];
    qr_lib_model *model = tiny_load(NULL, 0, 1, 1);
    qr_lib_text texts[] = {text_of("w7 w8 w9"), text_of("w100")};
    qr_lib_embed_options options = {.struct_size = sizeof options,
                                    .normalize = QR_LIB_NORMALIZE_NO};
    cr_assert_eq(qr_lib_embed(model, texts, 2, &options, raw, 2 * HIDDEN, NULL), QR_LIB_OK);
    options.normalize = QR_LIB_NORMALIZE_YES;
    options.dimensions = 8;
    cr_assert_eq(qr_lib_embed(model, texts, 2, &options, cut, 2 * 8, NULL), QR_LIB_OK);
    for (size_t i = 0; i < 2; i++) {
        cr_assert_eq(qr_embed_finish(raw + i * HIDDEN, HIDDEN, 8, true, want), 8);
        cr_assert(memcmp(cut + i * 8, want, sizeof want) == 0);
    }
    qr_lib_model_destroy(model);
}

static float first_float_of(qr_lib_model *model, const char *begin, const char *end,
                            int long_text) {
    char text[1024] = "";
    float vector[HIDDEN];
    qr_lib_embed_options options = {.struct_size = sizeof options, .long_text = long_text};
    size_t len = (size_t)snprintf(text, sizeof text, "%s", begin);
    for (int i = 0; i < 2 * LONGEST; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, " w9");
    snprintf(text + len, sizeof text - len, " %s", end);
    qr_lib_text whole = text_of(text);
    cr_assert_eq(qr_lib_embed(model, &whole, 1, &options, vector, HIDDEN, NULL), QR_LIB_OK);
    return vector[0];
}

Test(library_jobs, a_long_text_is_cut_where_it_is_asked) {
    qr_lib_model *model = tiny_load(NULL, 0, 1, 1);
    float at_end = first_float_of(model, "w20", "w30", QR_LIB_LONG_CUT_END);
    float at_begin = first_float_of(model, "w20", "w30", QR_LIB_LONG_CUT_BEGIN);
    cr_assert(at_end == first_float_of(model, "w20", "w40", QR_LIB_LONG_CUT_END));
    cr_assert(at_end != first_float_of(model, "w21", "w30", QR_LIB_LONG_CUT_END));
    cr_assert(at_begin == first_float_of(model, "w21", "w30", QR_LIB_LONG_CUT_BEGIN));
    cr_assert(at_begin != first_float_of(model, "w20", "w40", QR_LIB_LONG_CUT_BEGIN));
    qr_lib_model_destroy(model);
}

Test(library_jobs, rankings_are_predictions_of_pairs) {
    float ranked[TEXTS], predicted[TEXTS], raw[TEXTS];
    qr_lib_text texts[TEXTS], queries[TEXTS];
    qr_lib_model *model = tiny_load("labels", 1, 1, 1);
    qr_lib_score_options options = {.struct_size = sizeof options, .raw = 1};
    make_texts(texts);
    for (size_t i = 0; i < TEXTS; i++)
        queries[i] = text_of("w11 w12");
    cr_assert_eq(qr_lib_rerank(model, queries[0], texts, TEXTS, NULL, ranked, TEXTS, NULL),
                 QR_LIB_OK);
    cr_assert_eq(qr_lib_predict(model, queries, texts, TEXTS, NULL, predicted, TEXTS, NULL),
                 QR_LIB_OK);
    cr_assert_eq(qr_lib_rerank(model, queries[0], texts, TEXTS, &options, raw, TEXTS, NULL),
                 QR_LIB_OK);
    cr_assert(memcmp(ranked, predicted, sizeof ranked) == 0);
    for (size_t i = 0; i < TEXTS; i++) {
        float finished;
        qr_labels_finish(&(qr_model_info){.labels = 1}, &raw[i], &finished);
        cr_assert(finished == ranked[i] && ranked[i] > 0 && ranked[i] < 1);
    }
    free_texts(texts);
    qr_lib_model_destroy(model);
}

Test(library_jobs, labels_have_names_and_scores_that_sum_to_one) {
    float scores[2 * 3];
    qr_lib_model *model = tiny_load("labels", 3, 1, 1);
    qr_lib_text texts[] = {text_of("w5 w6"), text_of("w100 w150 w180")};
    cr_assert_eq(qr_lib_predict(model, texts, NULL, 2, NULL, scores, 6, NULL), QR_LIB_OK);
    for (size_t i = 0; i < 2; i++)
        cr_assert(scores[3 * i] + scores[3 * i + 1] + scores[3 * i + 2] > 0.9999f);
    cr_assert(memcmp(scores, scores + 3, 3 * sizeof *scores) != 0);
    cr_assert_str_eq(qr_lib_model_get_label(model, 2), "LABEL_2");
    cr_assert(qr_lib_model_get_label(model, 3) == NULL);
    qr_lib_model_destroy(model);
}

Test(library_jobs, answers_lie_in_the_context_in_bytes_and_code_points) {
    qr_lib_answer answers[4];
    size_t count = 9;
    qr_lib_error error;
    qr_lib_model *model = tiny_load("span", 0, 2, 1);
    char context[4096];
    size_t len = 0;
    for (int i = 0; i < 200; i++) /* several windows; two bytes and one code point a word more */
        len += (size_t)snprintf(context + len, sizeof context - len, "\xC3\xA4 w%d ", 5 + i % 190);
    qr_lib_span_options options = {.struct_size = sizeof options, .top_k = 4};
    qr_lib_text text = text_of(context);
    cr_assert_eq(qr_lib_span(model, text_of("w7 w8"), text, &options, answers, 4, &count, &error),
                 QR_LIB_OK, "%s", error.message);
    cr_assert_eq(count, 4);
    for (size_t i = 0; i < count; i++) {
        size_t points = 0;
        cr_assert(answers[i].begin_byte < answers[i].end_byte && answers[i].end_byte <= len);
        for (size_t at = 0, bytes; at < answers[i].begin_byte; at += bytes, points++)
            qr_utf8_decode((qr_text){context, len}, at, &bytes);
        cr_assert_eq(points, answers[i].begin);
        cr_assert(i == 0 || answers[i - 1].score >= answers[i].score);
    }
    qr_lib_model_destroy(model);
}

Test(library_jobs, tokens_are_counted_and_given) {
    qr_lib_token tokens[3];
    size_t count = 0;
    qr_lib_model *model = tiny_load(NULL, 0, 1, 1);
    qr_lib_tokenize_options options = {.struct_size = sizeof options, .without_special = 1};
    cr_assert_eq(qr_lib_tokenize(model, text_of("w7 w8"), NULL, NULL, 0, &count, NULL), QR_LIB_OK);
    cr_assert_eq(count, 4);
    cr_assert_eq(qr_lib_tokenize(model, text_of("w7 w8"), NULL, tokens, 3, &count, NULL),
                 QR_LIB_OK);
    cr_assert_eq(count, 4);
    cr_assert(tokens[0].special == 1 && tokens[1].special == 0);
    cr_assert(tokens[1].id == 7 && tokens[2].begin_byte == 3 && tokens[2].end_byte == 5);
    cr_assert_eq(qr_lib_tokenize(model, text_of("w7 w8"), &options, NULL, 0, &count, NULL),
                 QR_LIB_OK);
    cr_assert_eq(count, 2);
    qr_lib_model_destroy(model);
}

typedef struct caller {
    qr_lib_model *model;
    const qr_lib_text *texts;
    const float *want;
    int wrong;
} caller;

static void *call(void *state) {
    caller *c = state;
    float *vectors = calloc(TEXTS * HIDDEN, sizeof *vectors);
    for (int turn = 0; turn < 3; turn++) {
        size_t count;
        c->wrong += qr_lib_embed(c->model, c->texts, TEXTS, NULL, vectors, TEXTS * HIDDEN, NULL) !=
                    QR_LIB_OK;
        c->wrong += memcmp(vectors, c->want, TEXTS * HIDDEN * sizeof *vectors) != 0;
        c->wrong +=
            qr_lib_tokenize(c->model, c->texts[9], NULL, NULL, 0, &count, NULL) != QR_LIB_OK;
    }
    free(vectors);
    return NULL;
}

/* More callers than seats: some wait. */
Test(library_jobs, callers_at_once_get_the_same_bits) {
    static float want[TEXTS * HIDDEN];
    qr_lib_text texts[TEXTS];
    pthread_t threads[CALLERS];
    caller callers[CALLERS];
    qr_lib_model *model = tiny_load(NULL, 0, 3, 2);
    make_texts(texts);
    cr_assert_eq(qr_lib_embed(model, texts, TEXTS, NULL, want, TEXTS * HIDDEN, NULL), QR_LIB_OK);
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = (caller){model, texts, want, 0};
        cr_assert_eq(pthread_create(&threads[i], NULL, call, &callers[i]), 0);
    }
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(threads[i], NULL);
        cr_assert_eq(callers[i].wrong, 0);
    }
    free_texts(texts);
    qr_lib_model_destroy(model);
}
