/* tests/cuda/driver/fake_cuda.h: a libcuda.so.1 over the emulator, and how tests steer it.
 *
 *     export LD_LIBRARY_PATH=build/tests/cuda/driver
 *     QR_FAKE_CUDA_CAPABILITY=80 build/querent --device cuda ...
 *     QR_FAKE_CUDA_FAIL=cuStreamQuery:3:700:sticky ...          // the third use, illegal address
 *     QR_FAKE_CUDA_FAIL=cuGraphLaunch:1:endless ...             // the first launch never ends
 *
 *     qr_fake_cuda_fail("cuMemAlloc_v2", 2, 2, 0);              // or from the same process: dlsym
 *     qr_fake_cuda_live live;
 *     qr_fake_cuda_count_live(&live);
 *
 * It has the calls of driver_calls.h. Device memory is host memory that faults when it is touched
 * outside of kernels; work of a stream is done when the host waits for it or asks for it a second
 * time, never before. A call that would wait for what never ends ends the process. From the
 * environment, once: QR_FAKE_CUDA_COUNT (1 device; 0: none), _CAPABILITY (90), _MULTIPROCESSORS
 * (132, or 108 below 90), _MEMORY_MB (4096), _NAME, _RELEASE (13000), _EARLY (0: programmatic
 * launches are refused, as below capability 90), _FAIL (CALL:NTH:CODE[:sticky], by commas),
 * _FAIL_FILE (more of these are taken from that file as soon as it is there: move it to its place)
 * and _LEAKS (1: what lives when the process exits is printed, and its status is 97). Everything
 * may be called by any thread.
 */
#ifndef QR_TESTS_FAKE_CUDA_H
#define QR_TESTS_FAKE_CUDA_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/** What was made and not given back. */
typedef struct qr_fake_cuda_live {
    unsigned contexts; /* retained primary contexts */
    unsigned modules, streams, events, graphs, execs;
    unsigned allocations, host_allocations;
    size_t bytes; /* of device memory */
} qr_fake_cuda_live;

/** A code for qr_fake_cuda_fail. Of cuGraphLaunch and cuMemcpyHtoDAsync_v2: the call succeeds, and
 * what it gives the stream to do never ends. Of others: the call itself does not return. */
#define QR_FAKE_CUDA_ENDLESS (-1)

/** The nth use from now on (1: the next) of a call fails with a CUresult and does nothing. sticky:
 * from then on every call but cuGetErrorName, cuGetErrorString and cuDriverGetVersion fails so, as
 * after an illegal address. A call of NULL: no faults any more, not even the sticky one, and what
 * never ended has ended. */
void qr_fake_cuda_fail(const char *call, unsigned nth, int code, int sticky);

/** How often a call was made. */
unsigned qr_fake_cuda_calls(const char *call);

/** Adds a step of another library's to a stream (or to what it captures): `work` is called with a
 * copy of the bytes when the stream's turn comes, with device memory open. A CUresult. */
int qr_fake_cuda_add(void *stream, void (*work)(const void *), const void *bytes, size_t len);

/** Ends what a stream captures, as a call does that a capture does not permit. 1: it captured. */
int qr_fake_cuda_spoil(void *stream);

void qr_fake_cuda_count_live(qr_fake_cuda_live *live);

#ifdef __cplusplus
}
#endif

#endif
