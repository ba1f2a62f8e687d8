/* tests: a second kind of device, "cuda" by name, which computes as the CPU does and fails where a
 * test says so. It stands before the CPU in the list of kinds, as a GPU does.
 *
 *     device_double_begin();
 *     device_double.pack = QR_NO_MEMORY;
 *     ...                                  // qr_engine_create with "auto" ends on the CPU
 *     device_double_end();
 *
 * Threads: `forward` and `lost` may be set while others compute.
 */
#ifndef QR_TESTS_DEVICE_DOUBLE_H
#define QR_TESTS_DEVICE_DOUBLE_H

#include <stdatomic.h>

#include "engine/backend.h"

extern struct device_double {
    qr_status open, pack, context; /* QR_OK: works */
    bool f16;                      /* its order is f16, f32, and f16 is computed in f32 */
    bool varies;
    size_t streams;
    atomic_int forward; /* a qr_status */
    atomic_bool lost;
    atomic_int opened, packed, contexts; /* that there are: 0 when nothing leaks */
    atomic_int most_contexts;
    atomic_int forwards, at_once, most_at_once;
    unsigned forward_us; /* how long a pass takes at least */
    float wrong;         /* is added to every pass's first number */
} device_double;

/** All well, nothing counted; the list of kinds is this one and the CPU. */
void device_double_begin(void);

/** The build's own list again. */
void device_double_end(void);

#endif
