/* server/ops/metrics_text.c: heads, labels and samples. */
#include "server/ops/metrics_text.h"

void qr__metric_head(qr_buf *out, const char *name, const char *type, const char *help) {
    qr_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* Model names are the operator's, but may hold anything. */
void qr__metric_label(qr_buf *labels, const char *name, const char *value) {
    qr_text text = qr_text_of(value);
    qr_buf_printf(labels, "%s%s=\"", labels->len == 0 ? "" : ",", name);
    for (size_t at = 0, bytes; at < text.len; at += bytes) {
        char utf8[4];
        uint32_t letter = qr_utf8_decode(text, at, &bytes);
        if (letter == '\\' || letter == '"')
            qr_buf_byte(labels, '\\');
        if (letter == '\n') {
            qr_buf_literal(labels, "\\n");
        } else {
            const size_t len = qr_utf8_encode(letter, utf8);
            qr_buf_append(labels, utf8, len);
        }
    }
    qr_buf_byte(labels, '"');
}

void qr__metric_sample(qr_buf *out, const char *name, qr_text labels, uint64_t value) {
    qr_buf_text(out, qr_text_of(name));
    if (labels.len > 0) {
        qr_buf_byte(out, '{');
        qr_buf_text(out, labels);
        qr_buf_byte(out, '}');
    }
    qr_buf_byte(out, ' ');
    qr_buf_u64(out, value);
    qr_buf_byte(out, '\n');
}

void qr__metric_alone(qr_buf *out, const char *name, const char *type, const char *help,
                      uint64_t value) {
    qr__metric_head(out, name, type, help);
    qr__metric_sample(out, name, (qr_text){0}, value);
}

void qr__metric_amount(qr_buf *out, uint64_t amount, bool billionths) {
    qr_buf_u64(out, billionths ? amount / QR_NS_PER_S : amount);
    if (billionths)
        qr_buf_printf(out, ".%09u", (unsigned)(amount % QR_NS_PER_S));
}
