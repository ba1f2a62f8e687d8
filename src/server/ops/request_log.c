/* server/ops/request_log.c: one line a request: what, how long, and where the time went. Never
 * text. */
#include "server/api/api.h"
#include "server/ops/ops.h"

#define LINES_A_SECOND 10

static double ms(uint64_t ns) {
    return (double)ns / 1e6;
}

void qr_ops_log_exchange(const qr_exchange *exchange, uint64_t now_ns, uint64_t slow_ns) {
    static qr_rate rate;
    uint64_t total = now_ns > exchange->received_ns ? now_ns - exchange->received_ns : 0,
             dropped = 0;
    bool failed = exchange->http_code >= 500 || exchange->http_code == 429;
    qr_log_level level = QR_LOG_DEBUG;
    if ((failed || total > slow_ns) && qr_rate_allow(&rate, LINES_A_SECOND, now_ns, &dropped))
        level = QR_LOG_INFO;
    if (!qr_log_enabled(level))
        return;
    const qr_log_field fields[] = {
        {"trace", 0, qr_text_of(exchange->trace_id)},
        {"route", 0, qr_text_of(exchange->route == NULL ? "other" : exchange->route->name)},
        {"status", 0, qr_text_of(qr_status_name(exchange->status))},
        {"code", exchange->http_code, {0}},
        {"sequences", (double)exchange->ticket.jobs_len, {0}},
        {"total_ms", ms(total), {0}},
        {"tokenize_ms", ms(exchange->stages.tokenize_ns), {0}},
        {"queue_ms", ms(exchange->stages.queue_ns), {0}},
        {"compute_ms", ms(exchange->stages.compute_ns), {0}},
        {"encode_ms", ms(exchange->stages.encode_ns), {0}},
        {"dropped_lines", (double)dropped, {0}},
    };
    size_t count = sizeof fields / sizeof fields[0] - (dropped == 0 ? 1 : 0);
    qr_log_fields(level, "request", fields, count);
}
