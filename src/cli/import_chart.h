/* cli/import_chart.h: an ONNX graph as a picture: its nodes gathered into the fused steps that they
 * became, as one plain SVG without scripts, fonts or links.
 *
 *     const qr__import_chart chart = {.found = found, .note = "proven: largest difference 2e-6"};
 *     status = qr__import_chart_svg(&chart, &out, &error);
 *     written = qr__cli_write_file("model.svg", &out);
 *
 * A box is a step, with the operators of its nodes. Layers of one making share a row. An arrow is
 * drawn where the graph itself leads from one box to the other, in every layer of the row.
 */
#ifndef QR_CLI_IMPORT_CHART_H
#define QR_CLI_IMPORT_CHART_H

#include "engine/engine.h"

typedef struct qr__import_chart {
    const qr_import_info *found; /* borrowed */
    const char *note;            /* the last line of the head; "": none */
} qr__import_chart;

/** Appends the picture. QR_NO_MEMORY. */
QR_MUST_USE qr_status qr__import_chart_svg(const qr__import_chart *chart, qr_buf *out,
                                           qr_error *error);

#endif
