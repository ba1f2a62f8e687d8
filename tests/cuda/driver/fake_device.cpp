/* The fake driver's devices, contexts and modules. */
#include "fake_state.h"
#include <cstdio>
#include <cstring>

#define CALL extern "C" __attribute__((visibility("default"))) qr__cu_result

static const struct {
    int code;
    const char *name, *text;
} results[] = {
    {0, "CUDA_SUCCESS", "no error"},
    {1, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {3, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {46, "CUDA_ERROR_DEVICE_UNAVAILABLE", "CUDA-capable device(s) is/are busy or unavailable"},
    {100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {101, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {200, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {201, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {209, "CUDA_ERROR_NO_BINARY_FOR_GPU",
     "no kernel image is available for execution on the device"},
    {214, "CUDA_ERROR_ECC_UNCORRECTABLE", "uncorrectable ECC error encountered"},
    {400, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {500, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {600, "CUDA_ERROR_NOT_READY", "device not ready"},
    {700, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {701, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch"},
    {719, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {801, "CUDA_ERROR_NOT_SUPPORTED", "operation not supported"},
    {803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH",
     "system has unsupported display driver / cuda driver combination"},
    {900, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED",
     "operation not permitted when stream is capturing"},
    {901, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED",
     "operation failed due to a previous error during capture"},
    {999, "CUDA_ERROR_UNKNOWN", "unknown error"},
};

CALL cuGetErrorName(qr__cu_result result, const char **name) {
    FAKE_ENTER(ALWAYS);
    *name = nullptr;
    for (const auto &r : results)
        if (r.code == result)
            *name = r.name;
    return *name ? OK : INVALID_VALUE;
}

CALL cuGetErrorString(qr__cu_result result, const char **text) {
    FAKE_ENTER(ALWAYS);
    *text = nullptr;
    for (const auto &r : results)
        if (r.code == result)
            *text = r.text;
    return *text ? OK : INVALID_VALUE;
}

CALL cuDriverGetVersion(int *version) {
    FAKE_ENTER(ALWAYS);
    *version = driver().release;
    return OK;
}

CALL cuInit(unsigned flags) {
    FAKE_ENTER(ALWAYS);
    if (flags)
        return INVALID_VALUE;
    if (driver().count <= 0)
        return NO_DEVICE;
    driver().ready = true;
    return OK;
}

CALL cuDeviceGetCount(int *count) {
    FAKE_ENTER(INITIALIZED);
    *count = driver().count;
    return OK;
}

static bool is_device(int device) {
    return device >= 0 && device < driver().count;
}

CALL cuDeviceGet(qr__cu_device *device, int ordinal) {
    FAKE_ENTER(INITIALIZED);
    if (!is_device(ordinal))
        return INVALID_DEVICE;
    *device = ordinal;
    return OK;
}

CALL cuDeviceGetName(char *name, int bytes, qr__cu_device device) {
    FAKE_ENTER(INITIALIZED);
    if (!is_device(device))
        return INVALID_DEVICE;
    snprintf(name, (size_t)bytes, "%s", driver().name.c_str());
    return OK;
}

unsigned fake_shared_limit() {
    const int capability = driver().capability;
    return (capability >= 90 ? 227u : capability % 10 ? 99u : 163u) * 1024;
}

CALL cuDeviceGetAttribute(int *value, int attribute, qr__cu_device device) {
    FAKE_ENTER(INITIALIZED);
    if (!is_device(device))
        return INVALID_DEVICE;
    switch (attribute) {
    case QR__CU_CAPABILITY_MAJOR:
        *value = driver().capability / 10;
        return OK;
    case QR__CU_CAPABILITY_MINOR:
        *value = driver().capability % 10;
        return OK;
    case QR__CU_MULTIPROCESSORS:
        *value = driver().multiprocessors;
        return OK;
    case QR__CU_TAKES_COOPERATIVE:
        *value = 1;
        return OK;
    case QR__CU_SHARED_BYTES_MOST:
        *value = (int)fake_shared_limit();
        return OK;
    case QR__CU_MEMORY_CLOCK_KHZ:
        *value = 2619000;
        return OK;
    case QR__CU_MEMORY_BUS_BITS:
        *value = 5120;
        return OK;
    default:
        return INVALID_VALUE;
    }
}

/* --- contexts --- */

CALL cuDevicePrimaryCtxRetain(qr__cu_context *context, qr__cu_device device) {
    FAKE_ENTER(INITIALIZED);
    if (!is_device(device))
        return INVALID_DEVICE;
    *context = &driver().contexts[device];
    (*context)->users++;
    return OK;
}

CALL cuDevicePrimaryCtxRelease_v2(qr__cu_device device) {
    FAKE_ENTER(INITIALIZED | WAITS);
    auto found = driver().contexts.find(device);
    if (found == driver().contexts.end() || !found->second.users)
        return INVALID_CONTEXT;
    found->second.users--;
    return OK;
}

CALL cuCtxSetCurrent(qr__cu_context context) {
    FAKE_ENTER(INITIALIZED);
    if (context && !context->users)
        return INVALID_CONTEXT;
    fake_current = context;
    return OK;
}

/* --- modules --- */

/* nvcc's files begin with the number; tests that have no nvcc use the text. */
static bool is_image(const void *image) {
    static const unsigned char fatbin[] = {0x50, 0xed, 0x55, 0xba};
    static const char placeholder[] = "QR_FAKE_CUDA_IMAGE";
    return !memcmp(image, fatbin, sizeof fatbin) ||
           !strncmp(static_cast<const char *>(image), placeholder, sizeof placeholder - 1);
}

CALL cuModuleLoadData(qr__cu_module *module, const void *image) {
    FAKE_ENTER(CONTEXT | NO_CAPTURE | WAITS);
    if (!is_image(image))
        return INVALID_IMAGE;
    *module = driver().modules.make();
    return OK;
}

CALL cuModuleUnload(qr__cu_module module) {
    FAKE_ENTER(CONTEXT | NO_CAPTURE | WAITS);
    return driver().modules.destroy(module) ? OK : INVALID_HANDLE;
}

CALL cuModuleGetFunction(qr__cu_function *function, qr__cu_module module, const char *name) {
    FAKE_ENTER(CONTEXT);
    if (!driver().modules.has(module))
        return INVALID_HANDLE;
    const emulator::kernel *kernel = emulator::find(name);
    if (!kernel)
        return NOT_FOUND;
    auto &slot = module->functions[name];
    if (!slot)
        slot.reset(new qr__cu_function_st{kernel, 48 * 1024});
    *function = slot.get();
    return OK;
}

CALL cuFuncSetAttribute(qr__cu_function function, int attribute, int value) {
    FAKE_ENTER(CONTEXT);
    if (attribute == QR__CU_FUNCTION_CARVEOUT)
        return value >= -1 && value <= 100 ? OK : INVALID_VALUE;
    if (attribute != QR__CU_FUNCTION_SHARED_BYTES || value < 0 ||
        (unsigned)value > fake_shared_limit())
        return INVALID_VALUE;
    function->shared_max = (unsigned)value;
    return OK;
}
