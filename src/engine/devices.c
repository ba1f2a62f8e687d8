/* engine/devices.c: the list of kinds, and what --device may say of them. */
#include "engine/devices.h"

#include "engine/cpu/cpu.h"
#include "engine/cuda/cuda.h"

/* The fastest first: "auto" takes the first that opens and takes the model. */
static const qr_backend *const built[] = {&qr_backend_cuda, &qr_backend_cpu, NULL};
static const qr_backend *const *kinds = built;

void qr__devices_use(const qr_backend *const *others) {
    kinds = others != NULL ? others : built;
}

bool qr_device_is_auto(const char *device) {
    return device == NULL || strcmp(device, "auto") == 0;
}

const qr_backend *qr__device_kind(size_t index) {
    return kinds[index];
}

/* "kind" or "kind:target"; *target is NULL without one. */
static const qr_backend *find(const char *device, const char **target) {
    size_t len = strcspn(device, ":");
    *target = device[len] == ':' ? device + len + 1 : NULL;
    if (*target != NULL && **target == '\0')
        return NULL;
    for (size_t i = 0; kinds[i] != NULL; i++)
        if (qr_text_is((qr_text){device, len}, kinds[i]->name))
            return kinds[i];
    return NULL;
}

bool qr_device_is_away(const char *device) {
    const char *target;
    const qr_backend *backend = device == NULL ? NULL : find(device, &target);
    return backend != NULL && backend != &qr_backend_cpu;
}

static qr_status refuse_name(const char *device, qr_error *error) {
    return qr_error_set(error, QR_BAD_OPTION,
                        "device %.64s: there is no such device; use cpu, cuda or auto", device);
}

bool qr_device_hangs(void) {
    return qr_cuda_hung();
}

/* By its name a device must be there: whatever else it lacks, the option is wrong. "auto" would
 * have gone on to the CPU. */
static qr_status by_name(const qr_backend *backend, qr_status status, qr_error *error) {
    if (status == QR_NOT_IMPLEMENTED || status == QR_IO)
        status = QR_BAD_OPTION;
    if (status != QR_BAD_OPTION || backend == &qr_backend_cpu || error == NULL)
        return status;
    const qr_error fault = *error;
    return qr_error_set(error, status, "%.900s (or use cpu or auto)", fault.message);
}

qr_status qr__device_open(const char *device, qr_device **out, qr_error *error) {
    const char *target;
    const qr_backend *backend = find(device, &target);
    return backend == NULL ? refuse_name(device, error)
                           : by_name(backend, backend->open(target, out, error), error);
}

static qr_status check(const qr_backend *backend, const char *target, qr_error *error) {
    qr_device *opened = NULL;
    if (backend->check != NULL)
        return backend->check(target, error);
    qr_status status = backend->open(target, &opened, error);
    if (status == QR_OK)
        opened->backend->close(opened);
    return status;
}

/* Of "auto" the last kind must be there: it takes what the others refuse. */
qr_status qr_device_check(const char *device, qr_error *error) {
    const char *target;
    size_t last = 0;
    while (kinds[last + 1] != NULL)
        last++;
    if (qr_device_is_auto(device))
        return check(kinds[last], NULL, error);
    const qr_backend *backend = find(device, &target);
    return backend == NULL ? refuse_name(device, error)
                           : by_name(backend, check(backend, target, error), error);
}
