/* tests/cuda/driver/fake_results.h: the results that the fake driver gives by itself.
 *
 *     if (!driver().streams.has(stream))
 *         return INVALID_HANDLE;
 *
 * Numbers as of CUresult. Tests may make any call return any other (qr_fake_cuda_fail).
 */
#ifndef QR_TESTS_FAKE_RESULTS_H
#define QR_TESTS_FAKE_RESULTS_H

/** CUresult. */
enum fake_result {
    OK = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    NOT_INITIALIZED = 3,
    NO_DEVICE = 100,
    INVALID_DEVICE = 101,
    INVALID_IMAGE = 200,
    INVALID_CONTEXT = 201,
    INVALID_HANDLE = 400,
    NOT_FOUND = 500,
    NOT_READY = 600,
    OUT_OF_RESOURCES = 701,
    COOPERATIVE_TOO_LARGE = 720,
    NOT_SUPPORTED = 801,
    CAPTURE_UNSUPPORTED = 900,
    CAPTURE_INVALIDATED = 901
};

#endif
