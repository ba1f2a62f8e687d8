/* cli/bench_engine_run.h: the measurements of `querent bench engine`, apart from how they are asked
 * for and printed.
 *
 *     qr__engine_bench *bench;
 *     qr__engine_bench_create(pipeline, threads, &queries, batch_tokens, &bench, &error);
 *     qr__engine_bench_latency(bench, 9, 1.0, &latency, &error);
 *     qr__engine_bench_throughput(bench, 2.0, &throughput, &error);
 *     qr__engine_bench_destroy(bench);
 *
 * Threads: one caller at a time; it is one of the `threads` that work.
 */
#ifndef QR_CLI_BENCH_ENGINE_RUN_H
#define QR_CLI_BENCH_ENGINE_RUN_H

#include "cli/bench_queries.h"
#include "pipeline/pipeline.h"

typedef struct qr__engine_bench qr__engine_bench;

/** One sequence at a time, split over all threads. */
typedef struct qr__engine_latency {
    size_t tokens, calls;
    double min_ms, p50_ms, p99_ms, mean_ms;
} qr__engine_latency;

/** Many sequences, each thread on its own. */
typedef struct qr__engine_throughput {
    size_t queries, tokens; /* done within `seconds` */
    double seconds, qps;
} qr__engine_throughput;

/** Tokenizes all queries (cut to the model's longest input) and makes the workspaces. `pipeline`
 * is borrowed. QR_TOO_LONG names the query that cannot be tokenized; QR_NO_MEMORY. *out: returns
 * owned. */
QR_MUST_USE qr_status qr__engine_bench_create(const qr_pipeline *pipeline, size_t threads,
                                              const qr__queries *queries, size_t batch_tokens,
                                              qr__engine_bench **out, qr_error *error);

/** NULL is allowed. */
void qr__engine_bench_destroy(qr__engine_bench *bench);

/** One query of `tokens` tokens, again and again for about `seconds` (at least 20 times), after a
 * few that do not count. QR_TOO_LONG: not in 1..P. */
QR_MUST_USE qr_status qr__engine_bench_latency(qr__engine_bench *bench, size_t tokens,
                                               double seconds, qr__engine_latency *out,
                                               qr_error *error);

/** All queries in the order of the file, at least once and until `seconds` are over. */
QR_MUST_USE qr_status qr__engine_bench_throughput(qr__engine_bench *bench, double seconds,
                                                  qr__engine_throughput *out, qr_error *error);

#endif
