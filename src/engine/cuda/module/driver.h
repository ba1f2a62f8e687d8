/* engine/cuda/module/driver.h: the calls of NVIDIA's driver, found in libcuda.so.1 at run time.
 *
 *     qr__driver driver;
 *     status = qr__driver_open(&driver, &error);           // dlopen, symbols, cuInit, version
 *     int result = driver.mem_alloc(&pointer, bytes);
 *     if (result != QR__CU_OK)
 *         puts(qr__driver_text(&driver, result, text));
 *
 * The library is opened for good: what it starts (threads, signal handling) cannot be undone.
 */
#ifndef QR_ENGINE_CUDA_DRIVER_H
#define QR_ENGINE_CUDA_DRIVER_H

#include "base/base.h"
#include "engine/cuda/module/driver_calls.h"

/** The driver, as it was found. */
typedef struct qr__driver {
#define QR_X(name, symbol, arguments) qr__cu_result(*name) arguments;
    QR__DRIVER_LIST(QR_X)
#undef QR_X
    int release; /* 1000 * major + 10 * minor of the newest CUDA that it serves */
} qr__driver;

/** A library's symbol, and where its address belongs in a table of calls. */
typedef struct qr__driver_symbol {
    const char *name;
    size_t offset;
} qr__driver_symbol;

/** Fills a table with the addresses of a library's symbols. The first that is not there, or
 * NULL. */
const char *qr__driver_find(void *library, const qr__driver_symbol *symbols, size_t len,
                            void *table);

/** Opens the driver, once for the process: it stays. QR_BAD_OPTION, with what to do: there is none,
 * or it is too old, or finds no device. */
QR_MUST_USE qr_status qr__driver_open(qr__driver *driver, qr_error *error);

#define QR__DRIVER_TEXT_BYTES 160

/** "CUDA_ERROR_OUT_OF_MEMORY: out of memory". Returns `text`. */
const char *qr__driver_text(const qr__driver *driver, qr__cu_result result,
                            char text[QR__DRIVER_TEXT_BYTES]);

#endif
