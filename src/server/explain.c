/* server/explain.c: numbers as header fields. Times are milliseconds. */
#include "server/explain.h"

#include <stdio.h>

#include "server/api/api.h"

#define VALUE_BYTES sizeof(((qr_http_header *)NULL)->value)

static double ms(uint64_t ns) {
    return (double)ns / (double)QR_NS_PER_MS;
}

static void add_number(qr_http_request *request, const char *name, uint64_t number) {
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)number);
    qr_http_header_add(request, name, text);
}

/* What OpenAI's clients look for before they try again. A budget that is spent, or that was never
 * enough, will not be enough the next time. */
void qr__explain_retry(qr_http_request *request, qr_status status, uint32_t wait_ms) {
    if (status == QR_LATE || status == QR_IMPOSSIBLE) {
        qr_http_header_add(request, "x-should-retry", "false");
        return;
    }
    if (request->code != 429 && request->code != 503)
        return;
    add_number(request, "Retry-After", (wait_ms + 999) / 1000);
    add_number(request, "retry-after-ms", wait_ms);
    qr_http_header_add(request, "x-should-retry", "true");
}

/* As text-embeddings-inference sends them: whole milliseconds, and the type is a fixed text. */
static void add_compute(qr_http_request *request, const qr_exchange *x, uint64_t total_ns) {
    qr_http_header_add(request, "x-compute-type", "gpu+optimized");
    add_number(request, "x-compute-time", total_ns / QR_NS_PER_MS);
    add_number(request, "x-compute-characters", x->characters);
    add_number(request, "x-compute-tokens", x->tokens);
    add_number(request, "x-total-time", total_ns / QR_NS_PER_MS);
    add_number(request, "x-tokenization-time", x->stages.tokenize_ns / QR_NS_PER_MS);
    add_number(request, "x-queue-time", x->stages.queue_ns / QR_NS_PER_MS);
    add_number(request, "x-inference-time", x->stages.compute_ns / QR_NS_PER_MS);
}

/* Of the batch, if one was run, and whose results these are. */
static void add_trace(qr_http_request *request, const qr_exchange *x) {
    static const char *const sharing[] = {[QR_SHARING_NONE] = "",
                                          [QR_SHARING_MISS] = "cache=miss",
                                          [QR_SHARING_HIT] = "cache=hit",
                                          [QR_SHARING_JOIN] = "cache=join"};
    char text[VALUE_BYTES];
    const qr_ticket *ticket = &x->ticket;
    int len = 0;
    if (ticket->batch_jobs > 0)
        len = snprintf(
            text, sizeof text, "batch=%zu; tokens=%zu; predicted=%.3f; actual=%.3f; slack=%.3f%s",
            ticket->batch_jobs, ticket->batch_tokens, ms(ticket->cost_ns), ms(x->stages.compute_ns),
            ms(x->deadline_ns) - ms(ticket->started_ns), x->sharing == QR_SHARING_NONE ? "" : "; ");
    if (len >= 0 && (size_t)len < sizeof text)
        snprintf(text + len, sizeof text - (size_t)len, "%s", sharing[x->sharing]);
    if (text[0] != '\0')
        qr_http_header_add(request, "X-Querent-Trace", text);
}

void qr__explain_answer(qr_http_request *request, const qr_exchange *x, uint64_t now_ns) {
    char text[VALUE_BYTES];
    const qr_stages *stages = &x->stages;
    uint64_t total_ns = now_ns - x->received_ns;
    snprintf(text, sizeof text,
             "tokenize;dur=%.3f, queue;dur=%.3f, compute;dur=%.3f, encode;dur=%.3f, total;dur=%.3f",
             ms(stages->tokenize_ns), ms(stages->queue_ns), ms(stages->compute_ns),
             ms(stages->encode_ns), ms(total_ns));
    qr_http_header_add(request, "Server-Timing", text);
    add_trace(request, x);
    if (qr_api_reports_compute(x->route))
        add_compute(request, x, total_ns);
}
