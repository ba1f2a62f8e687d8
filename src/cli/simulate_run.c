/* cli/simulate_run.c: arrivals drawn as `bench http` draws them, served by the simulation, counted
 * as `bench http` counts. */
#include "cli/simulate_run.h"

#include <stdlib.h>

#include "cli/arrivals.h"

qr_status qr__simulate_lengths(const qr_pipeline *pipeline, const qr__queries *queries,
                               size_t **out, qr_error *error) {
    const qr_encode_options options = {.special = true,
                                       .max_tokens = qr_pipeline_max_tokens(pipeline)};
    qr_encoding encoding = {0};
    qr_status status = QR_OK;
    *out = calloc(queries->len, sizeof **out);
    if (*out == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "no memory for %zu queries", queries->len);
    for (size_t i = 0; i < queries->len && status == QR_OK; i++) {
        status = qr_tokenizer_encode(qr_pipeline_tokenizer(pipeline), queries->items[i], NULL,
                                     &options, &encoding);
        (*out)[i] = encoding.len;
        if (status != QR_OK)
            qr_error_set(error, status, "query %zu: %s", i + 1, qr_status_sentence(status));
    }
    qr_encoding_deinit(&encoding);
    if (status != QR_OK) {
        free(*out);
        *out = NULL;
    }
    return status;
}

/* Draws the arrivals, into `out` unless it is NULL; returns how many there are, or, when they are
 * too many, a number above QR_SIMULATE_REQUESTS. */
static size_t draw(const qr__simulate_load *load, double rate, qr_simulated *out) {
    qr__arrivals arrivals = qr__arrivals_of(rate, load->uniform, load->seed);
    qr__delays way = load->way;
    uint64_t until_ns = (uint64_t)((load->warmup_s + load->seconds) * 1e9), at_ns = 0;
    size_t len = 0;
    qr__delays_seed(&way, load->seed);
    for (; at_ns < until_ns && len <= QR_SIMULATE_REQUESTS;
         at_ns += qr__arrivals_gap_ns(&arrivals), len++)
        if (out != NULL)
            out[len] = (qr_simulated){.at_ns = at_ns,
                                      .budget_ns = load->budget_ns,
                                      .way_ns = qr__delays_next_ns(&way),
                                      .tokens = load->lengths[len % load->lengths_len]};
    return len;
}

/* By the moment of the submit. Of two at one moment who came first is first; no two come at one
 * moment and have the same way but are alike. */
static int compare_submits(const void *left, const void *right) {
    const qr_simulated *a = left, *b = right;
    uint64_t at = a->at_ns + a->way_ns, other = b->at_ns + b->way_ns;
    if (at != other)
        return at < other ? -1 : 1;
    return a->at_ns < b->at_ns ? -1 : a->at_ns > b->at_ns;
}

/* As bench_load.c counts: by the time of the request, whenever its answer came. */
static void count(const qr__simulate_load *load, const qr_simulated *requests, size_t len,
                  qr__simulate_result *out) {
    uint64_t from_ns = (uint64_t)(load->warmup_s * 1e9), in_time = 0;
    uint64_t until_ns = from_ns + (uint64_t)(load->seconds * 1e9);
    for (size_t i = 0; i < len; i++) {
        const qr_simulated *request = &requests[i];
        if (request->at_ns < from_ns)
            continue;
        out->offered++;
        if (request->status == QR_OK) {
            out->ok++;
            in_time += request->done_ns < until_ns;
            qr__hdr_record(&out->succeeded, request->done_ns - request->at_ns);
        } else if (request->status == QR_LATE) {
            out->late++;
        } else {
            out->refused++;
        }
    }
    out->goodput = (double)in_time / load->seconds;
}

qr_status qr__simulate_rate(const qr__simulate_load *load, double rate, qr__simulate_result *out,
                            qr_error *error) {
    *out = (qr__simulate_result){0};
    size_t len = draw(load, rate, NULL);
    if (len > QR_SIMULATE_REQUESTS)
        return qr_error_set(error, QR_BAD_OPTION,
                            "%g requests a second for %g s are more than %u requests; simulate "
                            "fewer seconds",
                            rate, load->warmup_s + load->seconds, QR_SIMULATE_REQUESTS);
    qr_simulated *requests = calloc(len, sizeof *requests);
    qr_status status = QR_NO_MEMORY;
    if (requests != NULL && qr__hdr_init(&out->succeeded)) {
        draw(load, rate, requests);
        qsort(requests, len, sizeof *requests, compare_submits);
        status = qr_simulate(&load->machine, requests, len);
    }
    if (status == QR_OK)
        count(load, requests, len, out);
    else
        qr_error_set(error, status, "no memory for %zu requests", len);
    free(requests);
    return status;
}

void qr__simulate_result_deinit(qr__simulate_result *result) {
    if (result != NULL)
        qr__hdr_deinit(&result->succeeded);
}
