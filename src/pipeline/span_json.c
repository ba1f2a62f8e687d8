/* pipeline/span_json.c: answers as JSON text, for the command line and the server alike. */
#include "pipeline/pipeline.h"

void qr_span_to_members(const qr_span *span, qr_text context, bool bytes, qr_buf *out) {
    qr_buf_literal(out, "\"score\":");
    qr_json_double(out, span->score);
    qr_buf_literal(out, ",\"start\":");
    qr_buf_u64(out, span->begin);
    qr_buf_literal(out, ",\"end\":");
    qr_buf_u64(out, span->end);
    if (bytes)
        qr_buf_printf(out, ",\"start_byte\":%zu,\"end_byte\":%zu", span->begin_byte,
                      span->end_byte);
    qr_buf_literal(out, ",\"answer\":");
    qr_json_text(out,
                 (qr_text){context.data + span->begin_byte, span->end_byte - span->begin_byte});
}

void qr_span_to_json(const qr_span *spans, size_t count, qr_text context, bool bytes, qr_buf *out) {
    if (count != 1)
        qr_buf_byte(out, '[');
    for (size_t i = 0; i < count; i++) {
        qr_buf_append(out, ",{", i > 0 ? 2 : 0);
        qr_buf_append(out, "{", i == 0);
        qr_span_to_members(&spans[i], context, bytes, out);
        qr_buf_byte(out, '}');
    }
    if (count != 1)
        qr_buf_byte(out, ']');
}
