/* cli/latencies.c: percentiles as JSON and as text. */
#include "cli/latencies.h"

static const double percents[] = {50, 90, 99, 99.9};

void qr__latencies_json(const qr__hdr *hdr, qr_buf *out) {
    qr_buf_byte(out, '{');
    for (size_t i = 0; i < sizeof percents / sizeof *percents; i++)
        qr_buf_printf(out, "\"p%g\":%.4f,", percents[i],
                      qr__hdr_percentile(hdr, percents[i]) / 1e6);
    qr_buf_printf(out, "\"max\":%.4f,\"mean\":%.4f,\"count\":%llu}", (double)hdr->max / 1e6,
                  qr__hdr_mean(hdr) / 1e6, (unsigned long long)hdr->total);
}

void qr__latencies_text(const char *what, const qr__hdr *hdr, qr_buf *out) {
    qr_buf_printf(out, "%-14s", what);
    for (size_t i = 0; i < sizeof percents / sizeof *percents; i++)
        qr_buf_printf(out, "  p%g %.3f", percents[i], qr__hdr_percentile(hdr, percents[i]) / 1e6);
    qr_buf_printf(out, "  max %.3f  mean %.3f ms\n", (double)hdr->max / 1e6,
                  qr__hdr_mean(hdr) / 1e6);
}
