/* cli/chart.h: a sweep as a picture: latency percentiles (logarithmic) and goodput over offered
 * load, as one plain SVG without scripts, fonts or links.
 *
 *     const qr__chart chart = {.title = "minilm", .note = "2 workers", .budget_ms = 100,
 *                              .runs = {{"simulated", &sweep}}};
 *     qr__chart_svg(&chart, &out);
 *     written = qr__cli_write_file("sweep.svg", &out);
 */
#ifndef QR_CLI_CHART_H
#define QR_CLI_CHART_H

#include "cli/sweep.h"

#define QR_CHART_RUNS 2

typedef struct qr__chart {
    const char *title, *note; /* the second is a line below the first */
    double budget_ms;         /* a line to stay below; 0: none */
    struct {
        const char *name;       /* for the legend, when there are two */
        const qr__sweep *sweep; /* borrowed; NULL: no such run */
    } runs[QR_CHART_RUNS];
} qr__chart;

/** Appends the picture. */
void qr__chart_svg(const qr__chart *chart, qr_buf *out);

#endif
