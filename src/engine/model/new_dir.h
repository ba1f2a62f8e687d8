/* engine/model/new_dir.h: a directory that appears whole or not at all. Private to model/.
 *
 *     qr__new_dir fresh;
 *     status = qr__new_dir_open(&fresh, "out", error);
 *     status = qr__new_dir_folder(&fresh, "1_Pooling", error);
 *     status = qr__new_dir_write(&fresh, "1_Pooling/config.json", contents, error);
 *     status = qr__new_dir_commit(&fresh, error);      // now it is "out"
 *     qr__new_dir_close(&fresh);                       // what was not committed is removed
 */
#ifndef QR_ENGINE_MODEL_NEW_DIR_H
#define QR_ENGINE_MODEL_NEW_DIR_H

#include "base/base.h"

#define QR__NEW_DIR_ENTRIES 64u

typedef struct qr__new_dir {
    char path[QR_PATH_BYTES];           /* the name it will have */
    char fresh[QR_PATH_BYTES];          /* the one it has until then, beside it; "": none */
    int fd;                             /* -1: not open */
    char made[QR__NEW_DIR_ENTRIES][64]; /* files and folders in it, in the order of making */
    size_t len;
} qr__new_dir;

/** Makes the directory under another name. QR_BAD_OPTION: `path` is there already and is no empty
 * directory; QR_IO. To be closed also when this fails. */
QR_MUST_USE qr_status qr__new_dir_open(qr__new_dir *dir, const char *path, qr_error *error);

/** A folder in it. QR_IO. */
QR_MUST_USE qr_status qr__new_dir_folder(qr__new_dir *dir, const char *name, qr_error *error);

/** A new file in it, open for writing. QR_IO. *fd: the caller hands it to qr__new_dir_end. */
QR_MUST_USE qr_status qr__new_dir_begin(qr__new_dir *dir, const char *name, int *fd,
                                        qr_error *error);

/** Brings a file's contents to the disk and closes it. QR_IO. */
QR_MUST_USE qr_status qr__new_dir_end(qr__new_dir *dir, int fd, qr_error *error);

/** Writes `bytes` bytes to a file that was begun. QR_IO. */
QR_MUST_USE qr_status qr__new_dir_put(qr__new_dir *dir, int fd, const void *data, size_t bytes,
                                      qr_error *error);

/** A whole file in it; a buffer that failed is QR_NO_MEMORY. QR_IO. */
QR_MUST_USE qr_status qr__new_dir_write(qr__new_dir *dir, const char *name, const qr_buf *contents,
                                        qr_error *error);

/** Copies from/name where there is such a file; *copied: there was. QR_IO, QR_TOO_LARGE,
 * QR_NO_MEMORY. */
QR_MUST_USE qr_status qr__new_dir_copy(qr__new_dir *dir, const char *name, const char *from,
                                       bool *copied, qr_error *error);

/** Gives it its name. QR_BAD_OPTION: somebody else has taken it; QR_IO. */
QR_MUST_USE qr_status qr__new_dir_commit(qr__new_dir *dir, qr_error *error);

/** Removes what was not committed. */
void qr__new_dir_close(qr__new_dir *dir);

#endif
