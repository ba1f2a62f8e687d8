/* server/ops/histogram.h: counts between fixed edges, filled by any thread, printed as Prometheus
 * text.
 *
 *     static const qr__edge edges[] = {{1000000, "0.001"}, ...};      // ns, and as text in seconds
 *     qr__histogram h = {0};
 *     qr__histogram_count(&h, &qr__scale_seconds, ns);
 *     qr__histogram_render(&h, &qr__scale_seconds, "querent_x_seconds", labels, out);
 *
 * Edges are integers in the unit that is counted, with their text beside them, so that "0.005" is
 * exactly 5 ms on both sides. Threads: any may count; a page may be rendered meanwhile.
 */
#ifndef QR_SERVER_OPS_HISTOGRAM_H
#define QR_SERVER_OPS_HISTOGRAM_H

#include <stdatomic.h>

#include "base/base.h"

#define QR__EDGES_MAX 20

typedef struct qr__edge {
    uint64_t value; /* the bucket holds what is at most this */
    const char *label;
} qr__edge;

/** A ladder of edges and the unit of its sums. */
typedef struct qr__scale {
    const qr__edge *edges;
    size_t len;      /* at most QR__EDGES_MAX */
    bool billionths; /* counted in these: ns, printed in seconds, or a ratio's */
} qr__scale;

extern const qr__scale qr__scale_seconds; /* 100 us .. 10 s, with edges at 5, 10, 20 and 50 ms */
extern const qr__scale qr__scale_ratio;   /* 0.25 .. 8, close about 1; in billionths */
extern const qr__scale qr__scale_tokens;  /* 1 .. 65536, doubling */
extern const qr__scale qr__scale_items;   /* 1 .. 2048, doubling */

typedef struct qr__histogram {
    _Atomic uint64_t buckets[QR__EDGES_MAX + 1]; /* the last one is above all edges */
    _Atomic uint64_t sum;
} qr__histogram;

/** Counts a value, in the unit of the scale's edges. */
void qr__histogram_count(qr__histogram *histogram, const qr__scale *scale, uint64_t value);

/** Whether it has counted anything. */
bool qr__histogram_used(const qr__histogram *histogram);

/** The series of one histogram; `labels` without braces, may be empty. */
void qr__histogram_render(const qr__histogram *histogram, const qr__scale *scale, const char *name,
                          qr_text labels, qr_buf *out);

#endif
