/* cli/output.h: stdout and files, with their faults: a closed pipe or a full disk ends a command
 * with a message and exit code 1. */
#ifndef QR_CLI_OUTPUT_H
#define QR_CLI_OUTPUT_H

#include "base/base.h"

/** Writes all of `out` to stdout (unbuffered: do not mix with stdio). False, after a message on
 * stderr, when it cannot, or when the buffer itself had failed. */
QR_MUST_USE bool qr__cli_write(const qr_buf *out);

/** Writes all of `out` into the file at `path`, which is replaced as a whole or stays as it was.
 * False, after a message on stderr that names it, as above. */
QR_MUST_USE bool qr__cli_write_file(const char *path, const qr_buf *out);

#endif
