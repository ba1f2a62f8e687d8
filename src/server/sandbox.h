/* server/sandbox.h: what serving does not need is taken from the process, so that whoever gets into
 * it by a request gets little. docs/SERVER.md says what is left.
 *
 *     qr__sandbox_files(server, &error);     // before the first thread
 *     ...                                    // models are loaded, sockets listen
 *     qr__sandbox_calls(server, &error);     // and say in the log what was taken
 *
 * With --sandbox auto what the kernel lacks is a line of the log; with `on` it is a fault.
 */
#ifndef QR_SERVER_SANDBOX_H
#define QR_SERVER_SANDBOX_H

#include "base/base.h"

struct qr__server;

/** What was decided at the start, and became of it. */
typedef struct qr__sandbox {
    bool on;           /* else nothing is taken */
    int rings_why;     /* errno for which rings are not forbidden; then no call is */
    int files_version; /* of Landlock; 0: files are not restricted */
    size_t paths;      /* that can be opened */
    char lacks[160];   /* what is not taken, and why; "": nothing */
} qr__sandbox;

/** Leaves files to be read that models and the system's libraries are in, and to be written those
 * below --cache-dir. QR_BAD_OPTION: --sandbox on, and this kernel cannot, or a GPU is in use. */
QR_MUST_USE qr_status qr__sandbox_files(struct qr__server *server, qr_error *error);

/** Leaves a list of system calls, and logs what became of all of it: not before, when a log that
 * nobody reads would keep the loop from its start. QR_BAD_OPTION: as above. */
QR_MUST_USE qr_status qr__sandbox_calls(struct qr__server *server, qr_error *error);

#endif
