/* base/file.h: whole files read once, at load. */
#ifndef QR_BASE_FILE_H
#define QR_BASE_FILE_H

#include "base/status.h"
#include "base/text.h"

/** Reads the regular file at `path` (symlinks resolved) into memory of its own, so that a later
 * change of the file cannot be seen. *data gets the contents with a NUL behind them (returns owned:
 * free()). QR_IO: missing, not a regular file, unreadable, changed while read; QR_TOO_LARGE: above
 * `max_bytes`; QR_NO_MEMORY. `error` names the file. */
QR_MUST_USE qr_status qr_file_read(const char *path, size_t max_bytes, char **data, size_t *len,
                                   qr_error *error);

/** For files too large to hold twice: opens the regular file at `path` and says its size. Errors as
 * qr_file_read; the caller closes *fd. */
QR_MUST_USE qr_status qr_file_open(const char *path, size_t max_bytes, int *fd, size_t *bytes,
                                   qr_error *error);

/** Why a file or folder could not be opened: strerror(`why`), an errno; and where something that is
 * no matter of its mode keeps us from reading it, what does. Static text. */
const char *qr_file_fault(const char *path, int why);

/** From now on that is this one (static text): a sandbox of our own. Before the first thread. */
void qr_file_denied_by(const char *what);

/** Reads exactly `len` bytes at `offset` of an open file. QR_IO: it cannot be read, or ends before
 * (it was truncated after it was opened). */
QR_MUST_USE qr_status qr_file_read_at(int fd, size_t offset, void *to, size_t len);

/** Reads the start of a small kernel file (/proc, /sys) into out[bytes], with a NUL behind it.
 * These say that they have no bytes, so qr_file_read finds none. False when it is missing or
 * empty. */
bool qr_file_read_small(const char *path, char *out, size_t bytes);

/** True when there is something of the name `dir`/`name`: also a link that leads nowhere, and where
 * we may not look. Who then opens it says what is wrong; taken for absent, a file that says how a
 * model is to be used would be passed over in silence. */
bool qr_file_exists(const char *dir, const char *name);

/** Writes "dir/name" into out; false when it does not fit. */
bool qr_file_join(const char *dir, const char *name, char *out, size_t out_bytes);

/** Writes the folder that `path` stands in, by its text, as the user sees it: what a link in it
 * leads to does not matter. Of a bare name ".", of "." and ".." themselves with "/.." behind. False
 * when it does not fit. */
bool qr_file_parent(const char *path, char *out, size_t out_bytes);

#define QR_PATH_BYTES 4096

#endif
