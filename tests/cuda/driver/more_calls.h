/* tests/cuda/driver/more_calls.h: calls of NVIDIA's driver that tests make and the module does not:
 * a driver without them still serves.
 *
 *     #define QR_X(name, symbol, arguments) qr__cu_result(*name) arguments;
 *     struct calls { QR__DRIVER_LIST(QR_X) QR_MORE_DRIVER_LIST(QR_X) };
 *     #undef QR_X
 */
#ifndef QR_TESTS_MORE_CALLS_H
#define QR_TESTS_MORE_CALLS_H

#include "engine/cuda/module/driver_calls.h"

/** As QR__DRIVER_LIST. */
#define QR_MORE_DRIVER_LIST(X)                                                                     \
    X(stream_wait, cuStreamSynchronize, (qr__cu_stream stream))                                    \
    X(set_bytes, cuMemsetD8Async,                                                                  \
      (qr__cu_pointer to, unsigned char byte, size_t bytes, qr__cu_stream stream))

#endif
