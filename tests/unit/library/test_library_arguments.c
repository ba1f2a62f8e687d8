/* Whatever a caller passes to libquerent is checked: each fault has its status and a message that
 * names the argument. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "base/base.h"
#include "engine/model_maker.h"
#include "library/library_fixture.h"

static qr_lib_error error;

static void expect(qr_lib_status status, qr_lib_status want, const char *part) {
    cr_assert_eq(status, want, "%d: %s", (int)status, error.message);
    cr_assert(strstr(error.message, part) != NULL, "%s", error.message);
    memset(&error, 'x', sizeof error);
    error.message[sizeof error.message - 1] = '\0';
}

Test(library_arguments, loading) {
    qr_lib_model *model = (qr_lib_model *)&error;
    char dir[64];
    tiny_write(dir, NULL, 0);
    qr_lib_load_options options = {.struct_size = sizeof options};
    expect(qr_lib_model_load(dir, &options, NULL, &error), QR_LIB_BAD_ARGUMENT, "model is NULL");
    expect(qr_lib_model_load(NULL, &options, &model, &error), QR_LIB_BAD_ARGUMENT, "dir");
    cr_assert(model == NULL);
    expect(qr_lib_model_load("/nowhere", &options, &model, &error), QR_LIB_BAD_MODEL, "/nowhere");
    options.precision = 5;
    expect(qr_lib_model_load(dir, &options, &model, &error), QR_LIB_BAD_ARGUMENT, "precision is 5");
    options.precision = QR_LIB_PRECISION_F16;
    expect(qr_lib_model_load(dir, &options, &model, &error), QR_LIB_BAD_DEVICE, "precision f16");
    options = (qr_lib_load_options){.struct_size = sizeof options, .threads = -1};
    expect(qr_lib_model_load(dir, &options, &model, &error), QR_LIB_BAD_ARGUMENT, "threads is -1");
    options = (qr_lib_load_options){.struct_size = sizeof options, .calls_most = 257};
    expect(qr_lib_model_load(dir, &options, &model, &error), QR_LIB_BAD_ARGUMENT, "calls_most");
    options = (qr_lib_load_options){.struct_size = sizeof options, .reserved = 1};
    expect(qr_lib_model_load(dir, &options, &model, &error), QR_LIB_BAD_ARGUMENT, "reserved");
    options = (qr_lib_load_options){.struct_size = sizeof options, .device = "abacus"};
    expect(qr_lib_model_load(dir, &options, &model, &error), QR_LIB_BAD_DEVICE, "abacus");
    cr_assert_eq(qr_lib_model_load(dir, NULL, &model, NULL), QR_LIB_OK);
    qr_lib_model_destroy(model);
    qr_lib_model_destroy(NULL);
    temp_dir_remove(dir);
}

/* What a path holds forges no line, and no terminal that shows the message obeys it. */
Test(library_arguments, messages_are_one_line) {
    qr_lib_model *model;
    expect(qr_lib_model_load("/no\nwhere\x1b[31m\x7f/gr\xc3\xbc\xc3\x9f", NULL, &model, &error),
           QR_LIB_BAD_MODEL, "/no?where?[31m?/gr\xc3\xbc\xc3\x9f: No such");
}

/* An older program's struct is shorter, a newer one's longer. */
Test(library_arguments, structs_of_other_versions) {
    qr_lib_model *model = tiny_load(NULL, 0, 1, 1);
    qr_lib_text text = text_of("w5");
    float vector[HIDDEN];
    struct {
        qr_lib_embed_options known;
        size_t later[2];
    } newer = {.known = {.struct_size = sizeof newer, .dimensions = 3}};
    const qr_lib_embed_options *options = &newer.known;
    cr_assert_eq(qr_lib_embed(model, &text, 1, options, vector, 3, &error), QR_LIB_OK);
    newer.later[1] = 1;
    expect(qr_lib_embed(model, &text, 1, options, vector, 3, &error), QR_LIB_BAD_ARGUMENT,
           "does not know");
    newer.known.struct_size = 0;
    expect(qr_lib_embed(model, &text, 1, options, vector, 3, &error), QR_LIB_BAD_ARGUMENT,
           "struct_size is 0");
    newer.known.struct_size = sizeof newer.known - 1;
    expect(qr_lib_embed(model, &text, 1, options, vector, 3, &error), QR_LIB_BAD_ARGUMENT,
           "struct_size is 23");
    newer.known.struct_size = SIZE_MAX;
    expect(qr_lib_embed(model, &text, 1, options, vector, 3, &error), QR_LIB_BAD_ARGUMENT,
           "struct_size");
    struct {
        qr_lib_info known;
        size_t later;
    } info = {.known = {.struct_size = sizeof info}, .later = 5};
    cr_assert_eq(qr_lib_model_get_info(model, &info.known, &error), QR_LIB_OK);
    cr_assert_eq(info.later, 0);
    cr_assert_eq(info.known.dimensions, HIDDEN);
    cr_assert_eq(info.known.max_tokens, LONGEST);
    cr_assert_eq(info.known.kind, QR_LIB_KIND_EMBEDDING);
    cr_assert_str_eq(info.known.precision, "f32");
    info.known.struct_size = 8;
    expect(qr_lib_model_get_info(model, &info.known, &error), QR_LIB_BAD_ARGUMENT, "struct_size");
    qr_lib_model_destroy(model);
}

Test(library_arguments, embedding) {
    qr_lib_model *model = tiny_load(NULL, 0, 1, 1);
    qr_lib_text texts[] = {text_of("w5"), {NULL, 3}, {NULL, 0}, {"w", SIZE_MAX}};
    float vectors[2 * HIDDEN];
    qr_lib_embed_options options = {.struct_size = sizeof options, .dimensions = HIDDEN + 1};
    expect(qr_lib_embed(NULL, texts, 1, NULL, vectors, HIDDEN, &error), QR_LIB_BAD_ARGUMENT,
           "model is NULL");
    expect(qr_lib_embed(model, NULL, 1, NULL, vectors, HIDDEN, &error), QR_LIB_BAD_ARGUMENT,
           "texts is NULL");
    expect(qr_lib_embed(model, texts, 2, NULL, vectors, 2 * HIDDEN, &error), QR_LIB_BAD_ARGUMENT,
           "texts[1].data is NULL");
    expect(qr_lib_embed(model, texts + 2, 2, NULL, vectors, 2 * HIDDEN, &error), QR_LIB_TOO_LONG,
           "texts[1] has");
    expect(qr_lib_embed(model, texts, 1, &options, vectors, HIDDEN, &error), QR_LIB_BAD_ARGUMENT,
           "dimensions is 33");
    expect(qr_lib_embed(model, texts, 1, NULL, vectors, HIDDEN - 1, &error), QR_LIB_NO_ROOM,
           "vectors has room for 31");
    expect(qr_lib_embed(model, texts, 1, NULL, NULL, HIDDEN, &error), QR_LIB_BAD_ARGUMENT,
           "vectors is NULL");
    options = (qr_lib_embed_options){.struct_size = sizeof options, .normalize = 3};
    expect(qr_lib_embed(model, texts, 1, &options, vectors, HIDDEN, &error), QR_LIB_BAD_ARGUMENT,
           "normalize is 3");
    options = (qr_lib_embed_options){.struct_size = sizeof options, .long_text = -1};
    expect(qr_lib_embed(model, texts, 1, &options, vectors, HIDDEN, &error), QR_LIB_BAD_ARGUMENT,
           "long_text is -1");
    options.long_text = QR_LIB_LONG_REFUSE;
    qr_lib_text longer = text_make(1, LONGEST);
    expect(qr_lib_embed(model, &longer, 1, &options, vectors, HIDDEN, &error), QR_LIB_TOO_LONG,
           "66 tokens, more than the 64");
    free((char *)longer.data);
    cr_assert_eq(qr_lib_embed(model, NULL, 0, NULL, NULL, 0, &error), QR_LIB_OK);
    cr_assert_str_eq(error.message, "");
    cr_assert_eq(qr_lib_embed(model, texts + 2, 1, NULL, vectors, HIDDEN, NULL), QR_LIB_OK);
    qr_lib_model_destroy(model);
}

Test(library_arguments, scores_and_kinds) {
    qr_lib_model *classes = tiny_load("labels", 3, 1, 1), *ranks = tiny_load("labels", 1, 1, 1);
    qr_lib_text texts[] = {text_of("w5"), text_of("w6")}, query = text_of("w7");
    qr_lib_text nothing[] = {{NULL, 1}, {NULL, 0}};
    float scores[6];
    qr_lib_score_options options = {.struct_size = sizeof options, .raw = 2};
    qr_lib_info info = {.struct_size = sizeof info};
    cr_assert_eq(qr_lib_model_get_info(ranks, &info, &error), QR_LIB_OK);
    cr_assert(info.dimensions == 0 && info.labels == 1 && info.kind == QR_LIB_KIND_RERANKER);
    expect(qr_lib_embed(ranks, texts, 1, NULL, scores, 6, &error), QR_LIB_WRONG_KIND,
           "needs a model of kind embedding");
    expect(qr_lib_rerank(classes, query, texts, 2, NULL, scores, 6, &error), QR_LIB_WRONG_KIND,
           "kind classifier");
    expect(qr_lib_rerank(ranks, nothing[1], texts, 2, NULL, scores, 2, &error), QR_LIB_EMPTY_INPUT,
           "query");
    expect(qr_lib_rerank(ranks, nothing[0], texts, 2, NULL, scores, 2, &error), QR_LIB_BAD_ARGUMENT,
           "query.data is NULL");
    expect(qr_lib_rerank(ranks, query, texts, 2, NULL, scores, 1, &error), QR_LIB_NO_ROOM,
           "2 are needed");
    expect(qr_lib_rerank(ranks, query, texts, 2, &options, scores, 2, &error), QR_LIB_BAD_ARGUMENT,
           "raw is 2");
    expect(qr_lib_predict(classes, texts, NULL, 2, NULL, scores, 5, &error), QR_LIB_NO_ROOM,
           "6 are needed");
    expect(qr_lib_predict(classes, texts, nothing, 2, NULL, scores, 6, &error), QR_LIB_BAD_ARGUMENT,
           "pairs[0].data is NULL");
    expect(qr_lib_predict(classes, texts, NULL, SIZE_MAX / 2, NULL, scores, 6, NULL),
           QR_LIB_BAD_ARGUMENT, "x");
    qr_lib_model_destroy(classes);
    qr_lib_model_destroy(ranks);
}

Test(library_arguments, spans_and_tokens) {
    qr_lib_model *model = tiny_load("span", 0, 1, 1);
    qr_lib_text question = text_of("w5"), context = text_of("w6 w7"), none = {NULL, 0};
    qr_lib_answer answers[2];
    size_t count = 7;
    qr_lib_span_options options = {.struct_size = sizeof options, .top_k = 1025};
    expect(qr_lib_span(model, question, context, NULL, answers, 2, NULL, &error),
           QR_LIB_BAD_ARGUMENT, "count is NULL");
    expect(qr_lib_span(model, none, context, NULL, answers, 2, &count, &error), QR_LIB_EMPTY_INPUT,
           "question is empty");
    expect(qr_lib_span(model, question, none, NULL, answers, 2, &count, &error), QR_LIB_EMPTY_INPUT,
           "context is empty");
    expect(qr_lib_span(model, question, context, &options, answers, 2, &count, &error),
           QR_LIB_BAD_ARGUMENT, "top_k is 1025");
    options.top_k = 3;
    expect(qr_lib_span(model, question, context, &options, answers, 2, &count, &error),
           QR_LIB_NO_ROOM, "3 are needed");
    options = (qr_lib_span_options){.struct_size = sizeof options, .max_seq_len = LONGEST + 1};
    expect(qr_lib_span(model, question, context, &options, answers, 2, &count, &error),
           QR_LIB_BAD_ARGUMENT, "max_seq_len is 65");
    options =
        (qr_lib_span_options){.struct_size = sizeof options, .max_seq_len = 20, .doc_stride = 21};
    expect(qr_lib_span(model, question, context, &options, answers, 2, &count, &error),
           QR_LIB_BAD_ARGUMENT, "doc_stride is 21");
    options = (qr_lib_span_options){.struct_size = sizeof options, .keep_word_parts = 2};
    expect(qr_lib_span(model, question, context, &options, answers, 2, &count, &error),
           QR_LIB_BAD_ARGUMENT, "keep_word_parts");
    qr_lib_text longer = text_make(3, LONGEST);
    expect(qr_lib_span(model, longer, context, NULL, answers, 2, &count, &error), QR_LIB_TOO_LONG,
           "the question leaves no room");
    free((char *)longer.data);
    expect(qr_lib_tokenize(model, question, NULL, NULL, 1, &count, &error), QR_LIB_BAD_ARGUMENT,
           "tokens is NULL");
    expect(qr_lib_tokenize(model, question, NULL, NULL, 0, NULL, &error), QR_LIB_BAD_ARGUMENT,
           "count is NULL");
    qr_lib_model_destroy(model);
}

Test(library_arguments, statuses_have_texts) {
    for (int status = QR_LIB_OK; status <= QR_LIB_DEVICE; status++)
        cr_assert(strcmp(qr_lib_status_text((qr_lib_status)status), "unknown status") != 0);
    cr_assert_str_eq(qr_lib_status_text((qr_lib_status)12), "unknown status");
    cr_assert_str_eq(qr_lib_status_text((qr_lib_status)-1), "unknown status");
    cr_assert_eq(qr_lib_log_to(NULL, NULL, (qr_lib_log_level)4), QR_LIB_BAD_ARGUMENT);
}

static void keep(void *state, qr_lib_log_level level, const char *message) {
    int *levels = state;
    levels[level] += message[0] != '\0';
}

Test(library_arguments, the_sink_gets_what_it_asks_for) {
    int levels[4] = {0};
    qr_lib_model *model;
    char dir[64];
    tiny_write(dir, NULL, 0);
    const qr_lib_load_options options = {.struct_size = sizeof options,
                                         .precision = QR_LIB_PRECISION_BF16,
                                         .cache_dir = "/nowhere/at/all"};
    cr_assert_eq(qr_lib_log_to(keep, levels, QR_LIB_LOG_WARN), QR_LIB_OK);
    cr_assert_eq(qr_lib_model_load(dir, &options, &model, NULL), QR_LIB_OK);
    qr_lib_model_destroy(model);
    cr_assert(levels[QR_LIB_LOG_WARN] > 0);
    levels[QR_LIB_LOG_WARN] = 0;
    cr_assert_eq(qr_lib_log_to(keep, levels, QR_LIB_LOG_ERROR), QR_LIB_OK);
    cr_assert_eq(qr_lib_model_load(dir, &options, &model, NULL), QR_LIB_OK);
    qr_lib_model_destroy(model);
    cr_assert_eq(levels[QR_LIB_LOG_WARN], 0);
    cr_assert_eq(qr_lib_log_to(NULL, NULL, QR_LIB_LOG_DEBUG), QR_LIB_OK);
    cr_assert_eq(qr_lib_model_load(dir, &options, &model, NULL), QR_LIB_OK);
    qr_lib_model_destroy(model);
    cr_assert_eq(levels[QR_LIB_LOG_WARN], 0);
    temp_dir_remove(dir);
}
