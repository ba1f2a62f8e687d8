/* server/api/rank.c: sorted by score, then by index, so that equal scores have one order. */
#include "server/api/rank.h"

#include <stdlib.h>

static int by_score_fall(const void *a, const void *b) {
    const qr__ranked *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->index > y->index ? -1 : x->index < y->index;
}

static int by_score_rise(const void *a, const void *b) {
    const qr__ranked *x = a, *y = b;
    if (x->score != y->score)
        return x->score > y->score ? -1 : 1;
    return x->index < y->index ? -1 : x->index > y->index;
}

void qr__rank(qr__ranked *items, size_t len, qr__ties ties) {
    qsort(items, len, sizeof *items, ties == QR__TIES_FALL ? by_score_fall : by_score_rise);
}

qr__ranked *qr__rank_scores(qr_exchange *x, bool raw, qr__ties ties) {
    size_t count = x->jobs_len;
    qr__ranked *ranked = qr_arena_array(&x->arena, count, sizeof *ranked);
    if (ranked == NULL) {
        x->status = QR_NO_MEMORY;
        return NULL;
    }
    const qr_model_info *about = qr_engine_model(qr_pipeline_engine(x->model->pipeline));
    QR_ASSERT(about->labels == 1);
    for (size_t i = 0; i < count; i++) {
        float score = x->jobs[i].result[0];
        if (!raw)
            qr_labels_finish(about, x->jobs[i].result, &score);
        ranked[i] = (qr__ranked){score, (uint32_t)i};
    }
    qr__rank(ranked, count, ties);
    return ranked;
}
