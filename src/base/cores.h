/* base/cores.h: how many cores this process may really use.
 *
 *     qr_cores cores = qr_cores_find();
 *     start_threads(cores.usable);
 *
 * Threads: any. */
#ifndef QR_BASE_CORES_H
#define QR_BASE_CORES_H

#include <stdbool.h>

typedef struct qr_cores {
    int mask;       /* of the affinity mask; the host's count is never asked for */
    double quota;   /* of the cgroups (v1 and v2), in cores; 0: none */
    int usable;     /* the smaller of both, rounded down, at least 1: more threads are throttled for
                       the rest of each period */
    bool throttled; /* the quota is below the mask: spinning then costs what working could use */
} qr_cores;

/** Never fails: without a word from the system it is one core without a quota. */
qr_cores qr_cores_find(void);

/** The same for a mask of so many cores and files below `root` ("" is the system's). */
qr_cores qr_cores_read(const char *root, int mask);

#endif
