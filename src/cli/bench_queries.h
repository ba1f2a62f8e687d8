/* cli/bench_queries.h: the file of queries that both benches run: one a line, blank lines skipped.
 */
#ifndef QR_CLI_BENCH_QUERIES_H
#define QR_CLI_BENCH_QUERIES_H

#include "base/base.h"

typedef struct qr_queries {
    char *data;     /* owned */
    qr_text *items; /* owned; they point into data */
    size_t len;
} qr_queries;

/** Reads at least one query, or fails with an error that names the file: QR_IO, QR_TOO_LARGE,
 * QR_NO_MEMORY. Zero-initialise `out`; deinit it also after a failure. */
QR_MUST_USE qr_status qr_queries_read(const char *path, qr_queries *out, qr_error *error);

/** Frees the file's text and the list; NULL is allowed. */
void qr_queries_deinit(qr_queries *queries);

#endif
