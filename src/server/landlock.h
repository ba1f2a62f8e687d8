/* server/landlock.h: which files a process may still open (Landlock, Linux 5.13 and later).
 *
 *     qr__landlock lock;
 *     if (qr__landlock_begin(&lock)) {
 *         qr__landlock_allow(&lock, "/models", QR__LANDLOCK_READ);
 *         if (!qr__landlock_enforce(&lock)) ...          // errno
 *     }
 *
 * What is open already stays so. There is no way back, and threads that are made later inherit it;
 * those that were made before do not, so it comes before them. Source: the kernel's
 * Documentation/userspace-api/landlock.rst; nobody wraps these calls in a library of Debian's.
 */
#ifndef QR_SERVER_LANDLOCK_H
#define QR_SERVER_LANDLOCK_H

#include "base/base.h"

/** What may be done with a path, and with all below it. */
typedef enum qr__landlock_right {
    QR__LANDLOCK_READ,  /* files read, folders listed */
    QR__LANDLOCK_WRITE, /* that, and files and folders made, written, renamed, removed */
    QR__LANDLOCK_SOCKET /* UNIX sockets made and removed */
} qr__landlock_right;

typedef struct qr__landlock {
    int ruleset;      /* a descriptor */
    int version;      /* the kernel's */
    uint64_t handled; /* rights that it knows, all of them taken away */
    size_t allowed;   /* paths */
} qr__landlock;

/** False: this kernel has none of it, or does not let us; errno says why. */
QR_MUST_USE bool qr__landlock_begin(qr__landlock *out);

/** A path that is not there, or cannot be opened, allows nothing; nor does the root, however it is
 * called, which would allow everything. */
void qr__landlock_allow(qr__landlock *lock, const char *path, qr__landlock_right right);

/** From here on; also no program can be started any more, and, from version 4 on, no TCP connection
 * made. Ends `lock` in any case. False: errno says why, and nothing is taken away. */
QR_MUST_USE bool qr__landlock_enforce(qr__landlock *lock);

#endif
