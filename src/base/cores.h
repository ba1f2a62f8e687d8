/* base/cores.h: how many cores this process may really use. */
#ifndef QR_BASE_CORES_H
#define QR_BASE_CORES_H

#include <stdbool.h>

/** min(affinity mask, cgroup v2/v1 CPU quota rounded down, at least 1). Never the host's count:
 * threads above the quota are throttled for the rest of each period. */
int qr_cores_available(void);

/** True when a cgroup CPU quota is in force: spinning then costs what working could use. */
bool qr_cores_quota(void);

#endif
