/* engine/byte_stream.h: bytes that are written to, or read from, a place that the writer or reader
 * does not know: a file, a hash, a test's buffer.
 *
 *     status = qr_sink_write(sink, panels, bytes);         // who saves
 *     status = qr_source_read(source, panels, bytes);      // who loads, in the same order
 *
 * Numbers are stored as the machine has them: what was saved is read by the same program.
 */
#ifndef QR_ENGINE_BYTE_STREAM_H
#define QR_ENGINE_BYTE_STREAM_H

#include "base/base.h"

/** Takes bytes. */
typedef struct qr_sink {
    qr_status (*write)(void *user, const void *data, size_t bytes); /* all of them, or a status */
    void *user;
} qr_sink;

/** Gives bytes. They are from outside: a reader checks them, or waits for the word of whoever made
 * the source that they are what was saved. */
typedef struct qr_source {
    qr_status (*read)(void *user, void *to, size_t bytes); /* all of them, or a status */
    void *user;
} qr_source;

/** Writes `bytes` bytes. A status is the sink's. */
QR_MUST_USE static inline qr_status qr_sink_write(const qr_sink *sink, const void *data,
                                                  size_t bytes) {
    return sink->write(sink->user, data, bytes);
}

/** Writes the first `bytes` bytes of an open file, a piece at a time. A status is the sink's;
 * QR_IO: the file cannot be read, or ends before; QR_NO_MEMORY. */
QR_MUST_USE qr_status qr_sink_write_file(const qr_sink *sink, int fd, size_t bytes);

/** Reads exactly `bytes` bytes. A status is the source's; *to is then undefined. */
QR_MUST_USE static inline qr_status qr_source_read(const qr_source *source, void *to,
                                                   size_t bytes) {
    return source->read(source->user, to, bytes);
}

#endif
