/* engine/cuda/module/driver.c: finding the driver and its calls. */
#include "engine/cuda/module/driver.h"

#include <dlfcn.h>
#include <stdio.h>

/* The CUDA that an image needs of its driver: set by the build to the toolkit's, whose code older
 * drivers may refuse; at least 12.3, from which captured graphs keep programmatic launches. */
#ifndef QR_CUDA_RELEASE_MIN
#define QR_CUDA_RELEASE_MIN 12030
#endif

static const qr__driver_symbol calls[] = {
#define QR_X(name, symbol, arguments) {#symbol, offsetof(qr__driver, name)},
    QR__DRIVER_LIST(QR_X)
#undef QR_X
};
#define CALLS (sizeof calls / sizeof calls[0])

const char *qr__driver_find(void *library, const qr__driver_symbol *symbols, size_t len,
                            void *table) {
    for (size_t i = 0; i < len; i++) {
        void *found = dlsym(library, symbols[i].name);
        if (found == NULL)
            return symbols[i].name;
        memcpy((char *)table + symbols[i].offset, &found, sizeof found);
    }
    return NULL;
}

static qr_status find_calls(void *library, qr__driver *driver, qr_error *error) {
    const char *missing = qr__driver_find(library, calls, CALLS, driver);
    if (missing == NULL)
        return QR_OK;
    return qr_error_set(error, QR_BAD_OPTION,
                        "device cuda: the NVIDIA driver (libcuda.so.1) has no %s: it is too old; "
                        "install one for CUDA %d.%d or newer",
                        missing, QR_CUDA_RELEASE_MIN / 1000, QR_CUDA_RELEASE_MIN % 1000 / 10);
}

static qr_status check_release(qr__driver *driver, qr_error *error) {
    char text[QR__DRIVER_TEXT_BYTES];
    int result = driver->version(&driver->release);
    if (result != QR__CU_OK)
        return qr_error_set(error, QR_BAD_OPTION,
                            "device cuda: the NVIDIA driver does not tell its version: %s",
                            qr__driver_text(driver, result, text));
    if (driver->release < QR_CUDA_RELEASE_MIN)
        return qr_error_set(
            error, QR_BAD_OPTION,
            "device cuda: the NVIDIA driver serves CUDA %d.%d, and this build needs %d.%d; install "
            "a newer driver",
            driver->release / 1000, driver->release % 1000 / 10, QR_CUDA_RELEASE_MIN / 1000,
            QR_CUDA_RELEASE_MIN % 1000 / 10);
    return QR_OK;
}

qr_status qr__driver_open(qr__driver *driver, qr_error *error) {
    char text[QR__DRIVER_TEXT_BYTES];
    *driver = (qr__driver){0};
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        return qr_error_set(error, QR_IO,
                            "device cuda: there is no NVIDIA driver: %.256s; install it (in a "
                            "container: run it with the NVIDIA runtime)",
                            dlerror());
    qr_status status = find_calls(library, driver, error);
    if (status == QR_OK)
        status = check_release(driver, error);
    if (status != QR_OK)
        return status;
    int result = driver->init(0);
    if (result != QR__CU_OK)
        return qr_error_set(error, result == QR__CU_NO_DEVICE ? QR_IO : QR_BAD_OPTION,
                            "device cuda: the NVIDIA driver finds no GPU that it can use: %s; "
                            "nvidia-smi may say why",
                            qr__driver_text(driver, result, text));
    return QR_OK;
}

/* The driver may be broken so far that it has no words either. */
const char *qr__driver_text(const qr__driver *driver, qr__cu_result result,
                            char text[QR__DRIVER_TEXT_BYTES]) {
    const char *name = NULL, *words = NULL;
    if (driver->error_name == NULL || driver->error_name(result, &name) != QR__CU_OK)
        name = NULL;
    if (driver->error_string == NULL || driver->error_string(result, &words) != QR__CU_OK)
        words = NULL;
    if (name != NULL && words != NULL)
        snprintf(text, QR__DRIVER_TEXT_BYTES, "%s: %s", name, words);
    else
        snprintf(text, QR__DRIVER_TEXT_BYTES, "CUDA error %d", result);
    return text;
}
