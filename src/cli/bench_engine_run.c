/* cli/bench_engine_run.c: one lonely query on the whole team, and a stream of queries with a core
 * each.
 *
 * Throughput is run as the server runs it: every thread has its own context and takes the next few
 * queries of the file, in their order, up to a budget of tokens; no thread waits for another. No
 * cache, no joins of equal queries, nothing sorted by length. */
#include "cli/bench_engine_run.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "cli/hdr_histogram.h"

#define PROBE_ID        2000 /* any id will do: no kernel looks at values */
#define WARM_CALLS      10u
#define CALLS_MIN       20u
#define BATCH_SEQUENCES 64u

struct qr__engine_bench {
    const qr_pipeline *pipeline;
    size_t threads, batch_tokens;
    size_t positions; /* P */
    qr_pool *pool;    /* of the lonely query; NULL for one thread */
    qr_context *lonely;
    int32_t *probe;   /* [P] */
    int32_t *ids;     /* all queries end to end */
    uint32_t *starts; /* [queries + 1] */
    size_t queries;
    struct worker *workers; /* [threads] */
    atomic_size_t next;     /* query to take, counted on over the file's end */
    atomic_bool failed;
    uint64_t until_ns;
};

typedef struct worker {
    qr__engine_bench *bench;
    qr_context *context;
    uint32_t starts[BATCH_SEQUENCES + 1];
    size_t queries, tokens;
    uint64_t ended_ns;
} worker;

/* All queries end to end in one array: a batch is then a range of it, and nothing is copied while
 * the clock runs. */
static qr_status tokenize(qr__engine_bench *bench, const qr__queries *queries, qr_error *error) {
    const qr_encode_options options = {.special = true,
                                       .max_tokens = qr_pipeline_max_tokens(bench->pipeline)};
    qr_encoding encoding = {0};
    size_t capacity = 0, len = 0;
    qr_status status = QR_OK;
    bench->starts = calloc(queries->len + 1, sizeof *bench->starts);
    if (bench->starts == NULL)
        status = QR_NO_MEMORY;
    for (size_t i = 0; i < queries->len && status == QR_OK; i++) {
        status = qr_tokenizer_encode(qr_pipeline_tokenizer(bench->pipeline), queries->items[i],
                                     NULL, &options, &encoding);
        if (status == QR_OK && len + encoding.len > capacity) {
            capacity = 2 * (len + encoding.len);
            int32_t *grown = realloc(bench->ids, capacity * sizeof *grown);
            bench->ids = grown == NULL ? bench->ids : grown;
            status = grown == NULL || capacity > UINT32_MAX ? QR_NO_MEMORY : QR_OK;
        }
        if (status != QR_OK)
            break;
        memcpy(bench->ids + len, encoding.ids, encoding.len * sizeof *bench->ids);
        len += encoding.len;
        bench->starts[++bench->queries] = (uint32_t)len;
    }
    qr_encoding_deinit(&encoding);
    if (status != QR_OK)
        return qr_error_set(error, status, "query %zu: %s", bench->queries + 1,
                            qr_status_sentence(status));
    return QR_OK;
}

/* One workspace for the lonely query with everyone's help, and one a thread for the stream. */
static qr_status create_contexts(qr__engine_bench *bench, qr_error *error) {
    const qr_engine *engine = qr_pipeline_engine(bench->pipeline);
    size_t tokens = qr_max(bench->batch_tokens, qr_pipeline_max_tokens(bench->pipeline));
    qr_status status = QR_OK;
    bench->workers = calloc(bench->threads, sizeof *bench->workers);
    bench->probe = calloc(bench->positions, sizeof *bench->probe);
    if (bench->workers == NULL || bench->probe == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "no memory for %zu threads", bench->threads);
    for (size_t i = 0; i < bench->positions; i++)
        bench->probe[i] = (int32_t)qr_min(PROBE_ID, qr_engine_model(engine)->vocab - 1);
    if (bench->threads > 1)
        status = qr_pool_create((int)bench->threads, &bench->pool);
    if (bench->pool != NULL)
        status = qr_pool_start_helpers(bench->pool);
    if (status != QR_OK)
        return qr_error_set(error, status, "cannot start %zu threads", bench->threads);
    qr_context_options options = {
        .tokens_max = bench->positions, .sequences_max = 1, .pool = bench->pool};
    status = qr_context_create(engine, &options, &bench->lonely, error);
    options = (qr_context_options){.tokens_max = tokens, .sequences_max = BATCH_SEQUENCES};
    for (size_t i = 0; i < bench->threads && status == QR_OK; i++) {
        bench->workers[i].bench = bench;
        status = qr_context_create(engine, &options, &bench->workers[i].context, error);
    }
    return status;
}

qr_status qr__engine_bench_create(const qr_pipeline *pipeline, size_t threads,
                                  const qr__queries *queries, size_t batch_tokens,
                                  qr__engine_bench **out, qr_error *error) {
    qr__engine_bench *bench = calloc(1, sizeof *bench);
    *out = NULL;
    if (bench == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "no memory");
    bench->pipeline = pipeline;
    bench->threads = threads;
    bench->batch_tokens = batch_tokens;
    bench->positions = qr_engine_model(qr_pipeline_engine(pipeline))->positions;
    qr_status status = tokenize(bench, queries, error);
    if (status == QR_OK)
        status = create_contexts(bench, error);
    if (status != QR_OK) {
        qr__engine_bench_destroy(bench);
        return status;
    }
    *out = bench;
    return QR_OK;
}

void qr__engine_bench_destroy(qr__engine_bench *bench) {
    if (bench == NULL)
        return;
    qr_context_destroy(bench->lonely);
    for (size_t i = 0; bench->workers != NULL && i < bench->threads; i++)
        qr_context_destroy(bench->workers[i].context);
    qr_pool_destroy(bench->pool);
    free(bench->workers);
    free(bench->probe);
    free(bench->ids);
    free(bench->starts);
    free(bench);
}

qr_status qr__engine_bench_latency(qr__engine_bench *bench, size_t tokens, double seconds,
                                   qr__engine_latency *out, qr_error *error) {
    const uint32_t starts[2] = {0, (uint32_t)tokens};
    const qr_batch batch = {bench->probe, NULL, starts, 1, NULL};
    const qr_output wanted = qr_pipeline_output(bench->pipeline);
    const float *floats;
    qr__hdr hdr;
    if (tokens == 0 || tokens > bench->positions)
        return qr_error_set(error, QR_TOO_LONG, "length %zu: the model takes 1..%zu tokens", tokens,
                            bench->positions);
    if (!qr__hdr_init(&hdr))
        return qr_error_set(error, QR_NO_MEMORY, "no memory for the histogram");
    qr_status status = QR_OK;
    for (size_t i = 0; i < WARM_CALLS && status == QR_OK; i++)
        status = qr_context_forward(bench->lonely, &batch, wanted, &floats);
    uint64_t until = qr_clock_ns() + (uint64_t)(seconds * 1e9);
    for (uint64_t now = qr_clock_ns(); status == QR_OK && (now < until || hdr.total < CALLS_MIN);) {
        uint64_t begin = now;
        status = qr_context_forward(bench->lonely, &batch, wanted, &floats);
        now = qr_clock_ns();
        qr__hdr_record(&hdr, now - begin);
    }
    *out = (qr__engine_latency){tokens,
                                (size_t)hdr.total,
                                (double)hdr.min / 1e6,
                                qr__hdr_percentile(&hdr, 50) / 1e6,
                                qr__hdr_percentile(&hdr, 99) / 1e6,
                                qr__hdr_mean(&hdr) / 1e6};
    qr__hdr_deinit(&hdr);
    if (status != QR_OK)
        return qr_error_set(error, status, "length %zu: %s", tokens, qr_status_sentence(status));
    return QR_OK;
}

/* Claims the next queries up to the budget (at least one): [*first, *first + count) within the
 * file. */
static size_t take(qr__engine_bench *bench, size_t *first) {
    size_t at = atomic_load_explicit(&bench->next, memory_order_relaxed);
    size_t count;
    do {
        *first = at % bench->queries;
        for (count = 1; count < BATCH_SEQUENCES && *first + count < bench->queries; count++)
            if (bench->starts[*first + count + 1] - bench->starts[*first] > bench->batch_tokens)
                break;
    } while (!atomic_compare_exchange_weak_explicit(&bench->next, &at, at + count,
                                                    memory_order_relaxed, memory_order_relaxed));
    /* The file has been through once and the time is up. */
    if (at >= bench->queries && qr_clock_ns() >= bench->until_ns)
        return 0;
    return count;
}

static void *work(void *argument) {
    worker *self = argument;
    qr__engine_bench *bench = self->bench;
    const qr_output wanted = qr_pipeline_output(bench->pipeline);
    size_t first, count;
    self->queries = self->tokens = 0;
    while (!atomic_load(&bench->failed) && (count = take(bench, &first)) > 0) {
        uint32_t base = bench->starts[first];
        for (size_t i = 0; i <= count; i++)
            self->starts[i] = bench->starts[first + i] - base;
        const qr_batch batch = {bench->ids + base, NULL, self->starts, count, NULL};
        const float *floats;
        if (qr_context_forward(self->context, &batch, wanted, &floats) != QR_OK)
            atomic_store(&bench->failed, true);
        self->queries += count;
        self->tokens += self->starts[count];
    }
    self->ended_ns = qr_clock_ns();
    return NULL;
}

qr_status qr__engine_bench_throughput(qr__engine_bench *bench, double seconds,
                                      qr__engine_throughput *out, qr_error *error) {
    pthread_t threads[QR_LIMIT_THREADS];
    size_t started = 0;
    uint64_t begin = qr_clock_ns(), end = begin;
    *out = (qr__engine_throughput){0};
    atomic_store(&bench->next, 0);
    atomic_store(&bench->failed, false);
    bench->until_ns = begin + (uint64_t)(seconds * 1e9);
    while (started + 1 < bench->threads &&
           pthread_create(&threads[started], NULL, work, &bench->workers[started + 1]) == 0)
        started++;
    bool all = started + 1 == bench->threads;
    if (!all)
        atomic_store(&bench->failed, true);
    work(&bench->workers[0]);
    for (size_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    if (!all)
        return qr_error_set(error, QR_NO_MEMORY, "cannot start %zu threads", bench->threads);
    if (atomic_load(&bench->failed))
        return qr_error_set(error, QR_INTERNAL, "a forward pass failed");
    for (size_t i = 0; i < bench->threads; i++) {
        out->queries += bench->workers[i].queries;
        out->tokens += bench->workers[i].tokens;
        end = bench->workers[i].ended_ns > end ? bench->workers[i].ended_ns : end;
    }
    out->seconds = (double)(end - begin) / 1e9;
    out->qps = (double)out->queries / out->seconds;
    return QR_OK;
}
