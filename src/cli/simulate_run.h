/* cli/simulate_run.h: one load of `querent simulate`, apart from how it is asked for and printed.
 *
 *     size_t *lengths;
 *     qr__simulate_lengths(pipeline, &queries, &lengths, &error);
 *     qr__simulate_rate(&load, 500, &result, &error);
 *     printf("%f ms\n", qr__hdr_percentile(&result.succeeded, 99) / 1e6);
 *     qr__simulate_result_deinit(&result);
 */
#ifndef QR_CLI_SIMULATE_RUN_H
#define QR_CLI_SIMULATE_RUN_H

#include "cli/bench_queries.h"
#include "cli/delays.h"
#include "cli/hdr_histogram.h"
#include "server/costs.h"

#define QR_SIMULATE_REQUESTS 4000000u /* most of one load, warm-up included */

typedef struct qr__simulate_load {
    qr_simulation machine;
    const size_t *lengths; /* tokens of the queries, which come in turn; borrowed */
    size_t lengths_len;
    bool uniform; /* these as qr__load_options has them */
    uint64_t seed;
    qr__delays way; /* from a request's arrival until the scheduler has it */
    double warmup_s, seconds;
    uint64_t budget_ns;
} qr__simulate_load;

/** Of the requests that came within the measured seconds: each is one of ok, refused, late. */
typedef struct qr__simulate_result {
    qr__hdr succeeded; /* latencies of the good answers, ns */
    uint64_t offered, ok, refused, late;
    double goodput; /* good answers a second that were there within these seconds */
} qr__simulate_result;

/** Tokenizes the queries as a request's text is: cut to the model's longest input. *out: returns
 * owned (free()), an entry a query. QR_TOO_LONG names the query; QR_NO_MEMORY. */
QR_MUST_USE qr_status qr__simulate_lengths(const qr_pipeline *pipeline, const qr__queries *queries,
                                           size_t **out, qr_error *error);

/** Simulates `rate` requests a second, above 0. QR_BAD_OPTION: more than QR_SIMULATE_REQUESTS in
 * all; QR_NO_MEMORY. Deinit `out` also then. */
QR_MUST_USE qr_status qr__simulate_rate(const qr__simulate_load *load, double rate,
                                        qr__simulate_result *out, qr_error *error);

/** Frees the histogram; NULL is allowed. */
void qr__simulate_result_deinit(qr__simulate_result *result);

#endif
