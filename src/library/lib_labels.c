/* library/lib_labels.c: texts and pairs to scores: labels, and how well texts fit a query. */
#include "library/library_internal.h"

typedef struct job {
    const qr_model_info *about;
    size_t labels;
    bool raw;
    float *scores; /* [count][labels], the caller's */
} job;

/* Where the first text of each pair is: in an array, or one for all. */
typedef struct pairs {
    const qr_lib_text *query; /* NULL: texts stand first, and seconds, if any, behind them */
    const qr_lib_text *texts, *seconds;
    size_t count;
} pairs;

static void take(void *state, size_t index, const float *floats, size_t tokens) {
    const job *j = state;
    float *scores = j->scores + index * j->labels;
    (void)tokens;
    if (j->raw)
        memcpy(scores, floats, j->labels * sizeof *scores);
    else
        qr_labels_finish(j->about, floats, scores);
}

static qr_lib_status add(qr__batches *run, const pairs *all, size_t i, int long_text,
                         qr_lib_error *error) {
    qr_text first = qr__lib_text(all->query != NULL ? *all->query : all->texts[i]);
    qr_text second = {0};
    const qr_lib_text *pair = all->query != NULL     ? &all->texts[i]
                              : all->seconds != NULL ? &all->seconds[i]
                                                     : NULL;
    if (pair != NULL)
        second = qr__lib_text(*pair);
    return qr__batches_add_text(run, first, pair == NULL ? NULL : &second, long_text, i, error);
}

static qr_lib_status score(qr_lib_model *model, const pairs *all,
                           const qr_lib_score_options *options, float *scores,
                           qr_lib_error *error) {
    const qr_model_info *about = qr_engine_model(qr_pipeline_engine(model->pipeline));
    job j = {.about = about, .labels = about->labels, .raw = options->raw == 1, .scores = scores};
    qr__seat *seat;
    qr__batches run;
    qr_lib_status status = qr__seat_take(model, &seat, error);
    if (status == QR_LIB_OK)
        status = qr__batches_init(&run, model, seat, take, &j, error);
    for (size_t i = 0; status == QR_LIB_OK && i < all->count; i++)
        status = add(&run, all, i, options->long_text, error);
    if (status == QR_LIB_OK)
        status = qr__batches_finish(&run, error);
    qr__seat_give(model, seat);
    return status;
}

/* The room comes before the texts: a wrong count is seen there before it is believed. */
static qr_lib_status check(const qr_lib_model *model, const qr_lib_score_options *given,
                           qr_lib_score_options *own, const pairs *all, const float *scores,
                           size_t room, qr_lib_error *error) {
    size_t labels = qr_engine_model(qr_pipeline_engine(model->pipeline))->labels;
    qr_lib_status status = qr__lib_options_read(
        given, own, sizeof *own, QR__LIB_FIRST_SCORE_OPTIONS, "qr_lib_score_options", error);
    if (status == QR_LIB_OK)
        status = qr__lib_choice_check("raw", own->raw, 1, error);
    if (status == QR_LIB_OK)
        status = qr__lib_choice_check("long_text", own->long_text, QR_LIB_LONG_REFUSE, error);
    if (status == QR_LIB_OK)
        status = qr__lib_room_check("scores", scores, room, all->count, labels, error);
    if (status == QR_LIB_OK)
        status = qr__lib_texts_check("texts", all->texts, all->count, error);
    if (status == QR_LIB_OK && all->seconds != NULL)
        status = qr__lib_texts_check("pairs", all->seconds, all->count, error);
    return status;
}

qr_lib_status qr_lib_rerank(qr_lib_model *model, qr_lib_text query, const qr_lib_text *texts,
                            size_t count, const qr_lib_score_options *options, float *scores,
                            size_t room, qr_lib_error *error) {
    qr_lib_score_options own = {0};
    const pairs all = {.query = &query, .texts = texts, .count = count};
    qr_lib_status status = qr__lib_begin(model, "model", error);
    if (status == QR_LIB_OK)
        status =
            qr__lib_kind_check(model, QR_KIND_RERANKER, QR_KIND_RERANKER, "qr_lib_rerank", error);
    if (status == QR_LIB_OK)
        status = check(model, options, &own, &all, scores, room, error);
    if (status == QR_LIB_OK)
        status = qr__lib_text_check("query", query, error);
    if (status == QR_LIB_OK && query.size == 0)
        status = qr__lib_fault(error, QR_LIB_EMPTY_INPUT, "query is empty");
    return status == QR_LIB_OK && count > 0 ? score(model, &all, &own, scores, error) : status;
}

qr_lib_status qr_lib_predict(qr_lib_model *model, const qr_lib_text *texts,
                             const qr_lib_text *pairs_or_null, size_t count,
                             const qr_lib_score_options *options, float *scores, size_t room,
                             qr_lib_error *error) {
    qr_lib_score_options own = {0};
    const pairs all = {.texts = texts, .seconds = pairs_or_null, .count = count};
    qr_lib_status status = qr__lib_begin(model, "model", error);
    if (status == QR_LIB_OK)
        status = qr__lib_kind_check(model, QR_KIND_CLASSIFIER, QR_KIND_RERANKER, "qr_lib_predict",
                                    error);
    if (status == QR_LIB_OK)
        status = check(model, options, &own, &all, scores, room, error);
    return status == QR_LIB_OK && count > 0 ? score(model, &all, &own, scores, error) : status;
}
