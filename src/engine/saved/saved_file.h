/* engine/saved/saved_file.h: files that are read only if nobody else can have written them, and
 * that appear whole or not at all. Private to saved/.
 *
 *     status = qr__saved_dir_open("/var/cache/querent", &dir, &error);
 *     status = qr__saved_reader_open(&reader, dir, kind, &key, &error);   // QR_NO_MODEL: no file
 *     ... qr_source_read(&reader.source, ...) ...
 *     status = qr__saved_reader_end(&reader, &error);          // now the bytes may be believed
 *     qr__saved_reader_close(&reader);
 *
 *     status = qr__saved_writer_open(&writer, dir, kind, &key, &error);
 *     status = qr_sink_write(&writer.sink, ...) ...
 *     status = qr__saved_writer_close(&writer, status, &error);    // not OK: nothing remains
 *
 * A file: 8 bytes "querentP", its key (16), the contents, and XXH3 of all before (16).
 */
#ifndef QR_ENGINE_SAVED_FILE_H
#define QR_ENGINE_SAVED_FILE_H

#include <stdio.h>

#include "engine/byte_stream.h"
#include "engine/saved/saved_hash.h"

#define QR__SAVED_NAME_BYTES 64 /* of a finished file; a writer's has up to 17 more */

/** What a file keeps, by the end of its name. */
typedef enum qr__saved_kind {
    QR__SAVED_PLAN, /* ".plan" */
    QR__SAVED_PROOF /* ".proof" */
} qr__saved_kind;

/** "plan", "proof". */
const char *qr__saved_kind_name(qr__saved_kind kind);

/** Writes the name of a key's file. */
void qr__saved_name(qr__saved_kind kind, const qr__saved_digest *key,
                    char out[QR__SAVED_NAME_BYTES]);

/** Opens a directory that is the process's user's or root's, and that no others may write to.
 * QR_IO. The caller closes *fd. */
QR_MUST_USE qr_status qr__saved_dir_open(const char *path, int *fd, qr_error *error);

/** Lives where it is until it is closed; all members but `source` are saved_file.c's. */
typedef struct qr__saved_reader {
    qr_source source;
    int fd;
    size_t at, end; /* of the contents: what was read, where they end */
    qr__saved_hash *hash;
} qr__saved_reader;

/** Opens a key's file: a regular file, no link, of the user or of root, writable for no others, and
 * beginning as it must. QR_NO_MODEL: there is none; QR_IO: it is not such a file; QR_NO_MEMORY. */
QR_MUST_USE qr_status qr__saved_reader_open(qr__saved_reader *reader, int dir, qr__saved_kind kind,
                                            const qr__saved_digest *key, qr_error *error);

/** QR_OK: all was read, and it is what was written. QR_IO: it is not. Marks the file as used. */
QR_MUST_USE qr_status qr__saved_reader_end(qr__saved_reader *reader, qr_error *error);

/** After an open that succeeded. */
void qr__saved_reader_close(qr__saved_reader *reader);

/** As qr__saved_reader: all but `sink` is saved_file.c's. */
typedef struct qr__saved_writer {
    qr_sink sink;
    int dir;
    FILE *file;
    char name[QR__SAVED_NAME_BYTES], temporary[QR__SAVED_NAME_BYTES + 17];
    qr__saved_hash *hash;
    int fault; /* errno of a write that failed; 0: none did */
} qr__saved_writer;

/** Makes a new file (mode 0600) under a name that nobody looks for. QR_IO, QR_NO_MEMORY. */
QR_MUST_USE qr_status qr__saved_writer_open(qr__saved_writer *writer, int dir, qr__saved_kind kind,
                                            const qr__saved_digest *key, qr_error *error);

/** Of contents that were written with this status: if that is OK, brings them to the disk, then
 * gives the file its key's name, in place of any older one. That status, or QR_IO, with the reason:
 * nothing remains. Closes the writer. */
QR_MUST_USE qr_status qr__saved_writer_close(qr__saved_writer *writer, qr_status status,
                                             qr_error *error);

/** Removes the files of a kind used longest ago until `keep` remain, and what a writer that died
 * left more than an hour before the newest. Looks only at names that qr__saved_name and a writer
 * give. */
void qr__saved_dir_trim(int dir, qr__saved_kind kind, size_t keep);

#endif
