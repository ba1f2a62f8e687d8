/* cli/bench_queries.h: the file of queries that both benches run: one a line, blank lines skipped.
 */
#ifndef QR_CLI_BENCH_QUERIES_H
#define QR_CLI_BENCH_QUERIES_H

#include "base/base.h"

typedef struct qr__queries {
    char *data;     /* owned */
    qr_text *items; /* owned; they point into data */
    size_t len;
} qr__queries;

/** Reads at least one query, or fails with an error that names the file: QR_IO, QR_TOO_LARGE,
 * QR_NO_MEMORY. Zero-initialise `out`; deinit it also after a failure. */
QR_MUST_USE qr_status qr__queries_read(const char *path, qr__queries *out, qr_error *error);

/** Frees the file's text and the list; NULL is allowed. */
void qr__queries_deinit(qr__queries *queries);

#endif
