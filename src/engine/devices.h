/* engine/devices.h: the kinds of devices of this build, and one of them by its name.
 *
 *     qr_device *device;
 *     status = qr__device_open("cuda:1", &device, &error);
 *     device->backend->close(device);
 *
 *     for (size_t i = 0; qr__device_kind(i) != NULL; i++)       // what "auto" tries in turn
 *         ...
 *
 * Private to engine/. Threads: any; the list of kinds is const but in tests.
 */
#ifndef QR_ENGINE_DEVICES_H
#define QR_ENGINE_DEVICES_H

#include "engine/backend.h"

/** A kind, the fastest first; the CPU is the last, and always there. NULL behind it. */
const qr_backend *qr__device_kind(size_t index);

/** Opens "kind" or "kind:target". QR_BAD_OPTION: no such device, or none in this build or machine;
 * the message says which there are. *out: returns owned. */
QR_MUST_USE qr_status qr__device_open(const char *device, qr_device **out, qr_error *error);

/** For tests: these kinds instead of the build's, until NULL. Borrowed; ends with NULL. */
void qr__devices_use(const qr_backend *const *kinds);

#endif
