/* cli/lines.h: stdin line by line, worked on by several threads, answered on stdout in order.
 *
 *     qr__lines_map(&(qr__lines){.workers = workers, .threads = 2, .group = 32, .run = run});
 *
 * A line ends at \n and nowhere else (\r belongs to the text); a last line without \n counts. What
 * is there is worked on at once: a program that writes one line and waits gets its answer. Memory
 * is bounded: a block of groups is read, answered, written, forgotten.
 */
#ifndef QR_CLI_LINES_H
#define QR_CLI_LINES_H

#include "base/base.h"

typedef struct qr__line {
    qr_text text;  /* borrowed, without the \n; any bytes */
    size_t number; /* from 1 */
} qr__line;

typedef struct qr__lines {
    void *const *workers; /* [threads]: a worker is used by one thread at a time */
    size_t threads;
    size_t group; /* most lines of one call */
    /** Appends one line of output for each of lines[0..len). False, after a message on stderr, ends
     * the command. */
    bool (*run)(void *worker, const qr__line *lines, size_t len, qr_buf *out);
} qr__lines;

/** For a line that has no answer: says "querent COMMAND: line N: message" on stderr and appends
 * {"error":message}, so that output lines stay beside their input lines. */
void qr__line_refuse(const char *command, const qr__line *line, const char *message, qr_buf *out);

/** Reads stdin to its end. Returns the exit code: 0, or 1 after a message on stderr. */
QR_MUST_USE int qr__lines_map(const qr__lines *lines);

#endif
