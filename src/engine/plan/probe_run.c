/* engine/plan/probe_run.c: pieces of the probe texts, taken by whichever thread is free. */
#include "engine/plan/probe_run.h"

#include <stdlib.h>

/* Tokens of a piece; a longer text is one alone. From 64 on a core is compute-bound, and MiniLM's
 * rows of 128 tokens in f32 (the widest: 768 KB) stay in its L2. */
#define PIECE_TOKENS 128u

struct qr__probe_run {
    qr__gate_probes probes;
    float *outputs; /* [qr__gate_floats] */
    size_t tokens_max;
    int threads;
    qr_pool *pool;
    qr_context *contexts[QR_LIMIT_THREADS]; /* one a thread */
    int contexts_len;
    size_t sequences;    /* of the forward that runs */
    _Atomic size_t next; /* the first that nobody took */
    _Atomic int status;  /* of the first piece that failed */
};

/* The texts [begin, end) fit into a piece together. */
static size_t piece_end(const qr__probe_run *run, size_t begin) {
    const uint32_t *starts = run->probes.batch->starts;
    size_t end = begin + 1;
    while (end < run->sequences && end - begin < PIECE_TOKENS &&
           starts[end + 1] - starts[begin] <= PIECE_TOKENS)
        end++;
    return end;
}

/* Every thread takes its pieces here. What it reads of `run` was written before qr_pool_call,
 * which hands it over; each piece has one taker (the exchange), and pieces' outputs lie apart. */
static bool take_piece(qr__probe_run *run, size_t *begin, size_t *end) {
    *begin = atomic_load_explicit(&run->next, memory_order_relaxed);
    do {
        if (*begin >= run->sequences)
            return false;
        *end = piece_end(run, *begin);
    } while (!atomic_compare_exchange_weak_explicit(&run->next, begin, *end, memory_order_relaxed,
                                                    memory_order_relaxed));
    QR_CHAOS_DELAY();
    return true;
}

static qr_status run_piece(qr__probe_run *run, qr_context *context, size_t begin, size_t end) {
    static const qr_output outputs[] = {[QR_HEAD_NONE] = QR_OUTPUT_POOLED,
                                        [QR_HEAD_SPAN] = QR_OUTPUT_SPAN,
                                        [QR_HEAD_LABELS] = QR_OUTPUT_LABELS,
                                        [QR_HEAD_TOKENS] = QR_OUTPUT_TOKEN_LABELS};
    const qr_batch *all = run->probes.batch;
    size_t first = all->starts[begin], tokens = all->starts[end] - first;
    bool by_token = qr__gate_by_token(&run->probes);
    size_t width = qr__gate_width(&run->probes);
    uint32_t starts[PIECE_TOKENS + 1];
    for (size_t i = 0; i <= end - begin; i++)
        starts[i] = all->starts[begin + i] - all->starts[begin];
    const qr_batch piece = {.ids = all->ids + first,
                            .types = all->types == NULL ? NULL : all->types + first,
                            .starts = starts,
                            .sequences = end - begin};
    const float *out;
    qr_status status = qr_context_forward(context, &piece, outputs[run->probes.head], &out);
    if (status == QR_OK)
        memcpy(run->outputs + (by_token ? first : begin) * width, out,
               (by_token ? tokens : end - begin) * width * sizeof *out);
    return status;
}

static void run_pieces(qr__probe_run *run, qr_context *context) {
    size_t begin;
    size_t end;
    while (take_piece(run, &begin, &end)) {
        qr_status status = run_piece(run, context, begin, end);
        if (status != QR_OK)
            atomic_store_explicit(&run->status, (int)status, memory_order_relaxed);
    }
}

/* The leader has the first workspace; who comes takes the next by its ticket. */
static void help(void *argument, int ticket) {
    qr__probe_run *run = argument;
    QR_CHAOS_DELAY();
    run_pieces(run, run->contexts[1 + ticket]);
}

/* qr_pool_close returns when all who came have left, so their outputs and status are there. */
qr_status qr__probe_run_forward(qr__probe_run *run, size_t sequences, const float **out,
                                qr_error *error) {
    qr_calls calls;
    run->sequences = sequences;
    atomic_store_explicit(&run->next, 0, memory_order_relaxed);
    atomic_store_explicit(&run->status, (int)QR_OK, memory_order_relaxed);
    qr_pool_call(run->pool, run->contexts_len - 1, help, run, &calls);
    run_pieces(run, run->contexts[0]);
    qr_pool_close(&calls);
    qr_status status = (qr_status)atomic_load_explicit(&run->status, memory_order_relaxed);
    *out = run->outputs;
    return status == QR_OK
               ? QR_OK
               : qr_error_set(error, status, "the accuracy gate's texts do not fit the model");
}

void qr__probe_run_drop(qr__probe_run *run) {
    while (run->contexts_len > 0)
        qr_context_destroy(run->contexts[--run->contexts_len]);
}

/* Workspaces are as small as a piece: pages that are never touched cost nothing, but these are. */
qr_status qr__probe_run_take(qr__probe_run *run, const qr_packed *packed, qr_error *error) {
    const qr_context_options options = {.tokens_max = run->tokens_max,
                                        .sequences_max = run->tokens_max};
    qr_status status = QR_OK;
    qr__probe_run_drop(run);
    while (status == QR_OK && run->contexts_len < run->threads) {
        status = qr_packed_context(packed, &options, &run->contexts[run->contexts_len], error);
        run->contexts_len += status == QR_OK;
    }
    return status;
}

qr_status qr__probe_run_create(const qr__gate_probes *probes, int threads, qr__probe_run **out,
                               qr_error *error) {
    const uint32_t *starts = probes->batch->starts;
    const size_t texts = probes->batch->sequences;
    qr__probe_run *run = calloc(1, sizeof *run);
    *out = NULL;
    if (run == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "no memory for the accuracy gate");
    run->probes = *probes;
    run->tokens_max = PIECE_TOKENS;
    for (size_t i = 0; i < texts; i++)
        run->tokens_max = qr_max(run->tokens_max, starts[i + 1] - starts[i]);
    const size_t pieces = (starts[texts] + PIECE_TOKENS - 1) / PIECE_TOKENS; /* about so many */
    run->threads = (int)qr_min((size_t)threads, qr_max(pieces, 1));
    run->outputs = calloc(qr__gate_floats(probes) + 1, sizeof *run->outputs);
    qr_status status = run->outputs == NULL ? QR_NO_MEMORY : QR_OK;
    if (status == QR_OK)
        status = qr_pool_create(run->threads, &run->pool);
    if (status == QR_OK)
        status = qr_pool_start_helpers(run->pool);
    if (status != QR_OK) {
        qr__probe_run_destroy(run);
        return qr_error_set(error, status, "the accuracy gate cannot start %d threads", threads);
    }
    *out = run;
    return QR_OK;
}

void qr__probe_run_destroy(qr__probe_run *run) {
    if (run == NULL)
        return;
    qr__probe_run_drop(run);
    qr_pool_destroy(run->pool);
    free(run->outputs);
    free(run);
}
