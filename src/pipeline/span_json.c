/* pipeline/span_json.c: answers as JSON text, for the command line and the server alike. */
#include "pipeline/pipeline.h"

static void put_span(const qr_span *span, qr_text context, qr_buf *out) {
    qr_buf_literal(out, "{\"score\":");
    qr_json_double(out, span->score);
    qr_buf_literal(out, ",\"start\":");
    qr_buf_u64(out, span->begin);
    qr_buf_literal(out, ",\"end\":");
    qr_buf_u64(out, span->end);
    qr_buf_literal(out, ",\"answer\":");
    qr_json_text(out,
                 (qr_text){context.data + span->begin_byte, span->end_byte - span->begin_byte});
    qr_buf_byte(out, '}');
}

void qr_span_to_json(const qr_span *spans, size_t count, qr_text context, qr_buf *out) {
    if (count != 1)
        qr_buf_byte(out, '[');
    for (size_t i = 0; i < count; i++) {
        qr_buf_append(out, ",", i > 0);
        put_span(&spans[i], context, out);
    }
    if (count != 1)
        qr_buf_byte(out, ']');
}
