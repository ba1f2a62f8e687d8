/* server/http/socket_file.h: the file under which clients find a UNIX socket.
 *
 *     qr__socket_file file = {.path = path, .path_source = "--uds", .mode = 0660};
 *     qr__socket_file_check(&file, NULL, NULL, &error);         // before models are read
 *     qr__socket_file_open(&file, 1024, &fd, &error);           // now clients can connect
 *     qr__socket_file_remove(&file);                            // before fd is closed
 *
 * The socket is bound and listens under another name first and is then renamed: whoever finds the
 * path finds a server behind it, and a file that a dead server left is replaced in one step.
 * Threads: one at a time.
 */
#ifndef QR_SERVER_HTTP_SOCKET_FILE_H
#define QR_SERVER_HTTP_SOCKET_FILE_H

#include <sys/types.h>

#include "base/base.h"

typedef struct qr__socket_file {
    const char *path, *path_source; /* borrowed; the second for messages */
    mode_t mode;
    gid_t group; /* (gid_t)-1: stays the process's */
    bool ours;   /* opened: the file is the one below, or somebody else's */
    dev_t device;
    ino_t inode;
} qr__socket_file;

/** Looks whether the path can be taken, and for the group (NULL: the process's). QR_BAD_OPTION: too
 * long, no such group; QR_IO: its directory is none or cannot be written to, something there is no
 * socket, or a server answers on it. */
QR_MUST_USE qr_status qr__socket_file_check(qr__socket_file *file, const char *group,
                                            const char *group_source, qr_error *error);

/** Makes a listening socket there. QR_IO: as above, or the system refuses. *fd: returns owned. */
QR_MUST_USE qr_status qr__socket_file_open(qr__socket_file *file, int backlog, int *fd,
                                           qr_error *error);

/** Removes the file if it is still the one that was opened; else does nothing. */
void qr__socket_file_remove(qr__socket_file *file);

#endif
