/* tests/cuda/driver/fake_endless.h: work of a stream that never ends (QR_FAKE_CUDA_ENDLESS).
 *
 *     if (fake_is_stuck(stream))
 *         fake_never_returns(__func__);
 *
 * The driver's lock is held by whoever asks of a stream.
 */
#ifndef QR_TESTS_FAKE_ENDLESS_H
#define QR_TESTS_FAKE_ENDLESS_H

#include "engine/cuda/module/driver_calls.h"

/** What the call that has begun adds to a stream never ends. */
extern thread_local bool fake_endless;

/** Whether a stream has something that never ends. */
bool fake_is_stuck(const qr__cu_stream_st *stream);

/** What never ended has ended. */
void fake_end(qr__cu_stream_st *stream);

/** Ends the process, which would wait for ever in `call`. */
[[noreturn]] void fake_never_returns(const char *call);

#endif
