/* server/ops/request_log.c: one line a request: what, how long, and where the time went. Never
 * text. */
#include "server/ops/ops.h"

#define LINES_A_SECOND 10

static double ms(uint64_t ns) {
    return (double)ns / 1e6;
}

void qr_ops_log_request(const qr_record *record, uint64_t slow_ns) {
    static qr_rate rate;
    uint64_t took = record->end_ns > record->head_ns ? record->end_ns - record->head_ns : 0,
             dropped = 0;
    bool failed = record->code >= 500 || record->code == 429;
    qr_log_level level = QR_LOG_DEBUG;
    if ((failed || took > slow_ns) &&
        qr_rate_allow(&rate, LINES_A_SECOND, record->end_ns, &dropped))
        level = QR_LOG_INFO;
    if (!qr_log_enabled(level))
        return;
    const qr_log_field fields[] = {
        {"trace", 0, qr_text_of(record->trace)},
        {"route", 0, qr_text_of(record->route == NULL ? "other" : record->route)},
        {"status", 0, qr_text_of(qr_status_name(record->status))},
        {"code", record->code, {0}},
        {"sequences", (double)record->sequences, {0}},
        {"total_ms", ms(took), {0}},
        {"tokenize_ms", ms(record->stages.tokenize_ns), {0}},
        {"queue_ms", ms(record->stages.queue_ns), {0}},
        {"compute_ms", ms(record->stages.compute_ns), {0}},
        {"encode_ms", ms(record->stages.encode_ns), {0}},
        {"dropped_lines", (double)dropped, {0}},
    };
    size_t count = sizeof fields / sizeof fields[0] - (dropped == 0 ? 1 : 0);
    qr_log_fields(level, "request", fields, count);
}
