/* cli/sweep.c: rates in, a table out; and the sweep of a file. */
#include "cli/sweep.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#define FILE_MAX_BYTES (16u << 20)

int qr__sweep_parse(const qr__command *command, double one, const char *text, qr__sweep *out) {
    double before = 0;
    *out = (qr__sweep){.points = {{.rate = one}}, .len = text == NULL};
    if (text == NULL)
        return QR_FLAGS_GO;
    for (const char *at = text;; at++) {
        char *end;
        int len = (int)strcspn(at, ",");
        errno = 0;
        double rate = strtod(at, &end);
        if (len == 0 || end != at + len || errno != 0 || !(rate > 0 && rate <= QR_RATE_MOST))
            return qr__flags_refuse(command, "--sweep %s: %.*s: must be a rate above 0, at most %u",
                                    text, len, at, QR_RATE_MOST);
        if (rate <= before)
            return qr__flags_refuse(command, "--sweep %s: %.*s: rates must rise", text, len, at);
        if (out->len == QR_SWEEP_RATES)
            return qr__flags_refuse(command, "--sweep: more than %u rates", QR_SWEEP_RATES);
        out->points[out->len++] = (qr__sweep_point){.rate = before = rate};
        at += len;
        if (*at == '\0')
            return QR_FLAGS_GO;
    }
}

qr__sweep_point qr__sweep_point_of(double rate, const qr__hdr *succeeded, uint64_t requests,
                                   double goodput) {
    double good = (double)succeeded->total;
    return (qr__sweep_point){.rate = rate,
                             .p50_ms = qr__hdr_percentile(succeeded, 50) / 1e6,
                             .p90_ms = qr__hdr_percentile(succeeded, 90) / 1e6,
                             .p99_ms = qr__hdr_percentile(succeeded, 99) / 1e6,
                             .p999_ms = qr__hdr_percentile(succeeded, 99.9) / 1e6,
                             .goodput = goodput,
                             .miss_share = requests == 0 ? 0 : 1 - good / (double)requests};
}

void qr__sweep_table_head(qr_buf *out) {
    qr_buf_literal(out, "  offered/s  goodput/s   missed     p50 ms     p90 ms     p99 ms   "
                        "p99.9 ms\n");
}

void qr__sweep_table_row(const qr__sweep_point *p, qr_buf *out) {
    qr_buf_printf(out, "%11.1f %10.1f %7.2f%% %10.3f %10.3f %10.3f %10.3f\n", p->rate, p->goodput,
                  100 * p->miss_share, p->p50_ms, p->p90_ms, p->p99_ms, p->p999_ms);
}

static double number(const json_t *object, const char *key) {
    return json_number_value(json_object_get(object, key));
}

/* One object of `bench http --json`, of an open loop. */
static bool read_point(const json_t *line, qr__sweep_point *out) {
    const json_t *latency = json_object_get(line, "latency_ms");
    double requests = number(line, "requests");
    *out = (qr__sweep_point){.rate = number(line, "rate"),
                             .p50_ms = number(latency, "p50"),
                             .p90_ms = number(latency, "p90"),
                             .p99_ms = number(latency, "p99"),
                             .p999_ms = number(latency, "p99.9"),
                             .goodput = number(line, "achieved_rps")};
    if (!(out->rate > 0) || !(requests > 0) || !json_is_object(latency))
        return false;
    out->miss_share = 1 - number(latency, "count") / requests;
    return out->p50_ms >= 0 && out->p99_ms >= 0 && out->goodput >= 0;
}

qr_status qr__sweep_read(const char *path, qr__sweep *out, qr_error *error) {
    char *data = NULL;
    size_t bytes = 0, number_of_line = 1;
    qr_status status = qr_file_read(path, FILE_MAX_BYTES, &data, &bytes, error);
    out->len = 0;
    for (size_t at = 0; status == QR_OK && at < bytes; number_of_line++) {
        const char *end = memchr(data + at, '\n', bytes - at);
        size_t len = end == NULL ? bytes - at : (size_t)(end - data) - at;
        json_t *line;
        json_error_t fault;
        if (qr_json_parse((qr_text){data + at, len}, 0, &line, &fault) != QR_OK ||
            out->len == QR_SWEEP_RATES || !read_point(line, &out->points[out->len]))
            status = qr_error_set(error, QR_BAD_REQUEST,
                                  "%s, line %zu: is no rate of `querent bench http --sweep --json`",
                                  path, number_of_line);
        else
            out->len++;
        json_decref(line);
        at += len + 1;
    }
    free(data);
    return status;
}
