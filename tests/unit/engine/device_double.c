/* tests: see device_double.h. */
#include "engine/device_double.h"

#include <unistd.h>

#include "engine/cpu/cpu.h"
#include "engine/devices.h"

struct device_double device_double;

static qr_status fail(qr_status status, const char *what, qr_error *error) {
    return qr_error_set(error, status, "the double cannot %s", what);
}

static qr_backend backend;

static qr_status open_double(const char *target, qr_device **out, qr_error *error) {
    if (device_double.open != QR_OK)
        return fail(device_double.open, "be opened", error);
    if (target != NULL && strcmp(target, "0") != 0)
        return qr_error_set(error, QR_BAD_OPTION, "cuda:%s: there is one double: cuda:0", target);
    qr_status status = qr_backend_cpu.open(NULL, out, error);
    if (status != QR_OK)
        return status;
    qr_device *device = *out;
    device->backend = &backend;
    device->streams = device_double.streams;
    if (device_double.f16) {
        memset(device->runs, 0, sizeof device->runs);
        device->runs[QR_PRECISION_F32] = device->runs[QR_PRECISION_F16] = true;
        device->order[0] = QR_PRECISION_F16;
        device->order[1] = QR_PRECISION_F32;
    }
    for (unsigned p = 0; p < QR_PRECISIONS; p++)
        device->varies[p] = device_double.varies;
    device_double.opened++;
    return QR_OK;
}

static void close_double(qr_device *device) {
    device_double.opened--;
    qr_backend_cpu.close(device);
}

static qr_status pack(const qr_device *device, const qr_bert *bert, const qr_plan *plan,
                      const qr_packed *like, qr_packed **out, qr_error *error) {
    qr_plan as = *plan;
    if (device_double.pack != QR_OK)
        return fail(device_double.pack, "pack", error);
    if (plan->precision == QR_PRECISION_F16)
        as.precision = QR_PRECISION_F32;
    qr_status status = qr_backend_cpu.pack(device, bert, &as, like, out, error);
    device_double.packed += status == QR_OK;
    return status;
}

static void packed_destroy(qr_packed *packed) {
    device_double.packed--;
    qr_backend_cpu.packed_destroy(packed);
}

static qr_status context_create(const qr_packed *packed, const qr_context_options *options,
                                qr_context **out, qr_error *error) {
    if (device_double.context != QR_OK)
        return fail(device_double.context, "make a context", error);
    qr_status status = qr_backend_cpu.context_create(packed, options, out, error);
    device_double.contexts += status == QR_OK;
    if (device_double.contexts > device_double.most_contexts)
        device_double.most_contexts = (int)device_double.contexts;
    return status;
}

static void context_destroy(qr_context *context) {
    device_double.contexts--;
    qr_backend_cpu.context_destroy(context);
}

static qr_status forward(qr_context *context, const qr_batch *batch, qr_output wanted,
                         const float **out) {
    int now = ++device_double.at_once, most = device_double.most_at_once;
    while (now > most && !atomic_compare_exchange_weak(&device_double.most_at_once, &most, now))
        ;
    device_double.forwards++;
    if (device_double.forward_us > 0)
        usleep(device_double.forward_us);
    qr_status status = device_double.lost ? QR_DEVICE : (qr_status)device_double.forward;
    if (status == QR_OK)
        status = qr_backend_cpu.forward(context, batch, wanted, out);
    if (status == QR_OK && device_double.wrong != 0)
        *(float *)(uintptr_t)*out += device_double.wrong;
    device_double.at_once--;
    return status;
}

static bool lost(const qr_device *device) {
    (void)device;
    return device_double.lost;
}

void device_double_begin(void) {
    static const qr_backend *const kinds[] = {&backend, &qr_backend_cpu, NULL};
    device_double = (struct device_double){.open = QR_OK};
    backend = qr_backend_cpu;
    backend.name = "cuda";
    backend.open = open_double;
    backend.close = close_double;
    backend.pack = pack;
    backend.mix = NULL;
    backend.save = NULL;
    backend.load = NULL;
    backend.packed_destroy = packed_destroy;
    backend.context_create = context_create;
    backend.context_destroy = context_destroy;
    backend.forward = forward;
    backend.calibrate = NULL;
    backend.lost = lost;
    qr__devices_use(kinds);
}

void device_double_end(void) {
    qr__devices_use(NULL);
}
