/* engine/cuda/module/gpu_wait.c: asking a stream until it is done, or can be given up.
 *
 * Why 10 s. The largest batch of a large model takes seconds on the slowest card that the kernels
 * run on, in f32 and beside other processes; so the bound grows with the work, at a rate that a
 * card of 2020 exceeds a hundredfold in f16 and tenfold in plain f32. What remains is what has
 * nothing to do with the work: a card that is being reset, another process's long kernel, a clock
 * that was throttled. None of that is known to take 10 s, and an orchestrator that looks every 10 s
 * notices soon enough. Too short a bound kills a process that is well; too long a one only delays
 * what needs a new process anyway.
 */
#include "engine/cuda/module/gpu_wait.h"

#include <stdlib.h>
#include <time.h>

#include "base/base.h"

#define WAIT_NS           (10 * QR_NS_PER_S)
#define OPERATIONS_A_NS   100.0 /* 1e11 a second */
#define SPIN_NS           QR_NS_PER_MS
#define PAUSE_SHARE       32 /* of the time waited so far: a batch is seen 3 % late at most */
#define PAUSE_NS_MOST     QR_NS_PER_MS
#define UNWATCHED_NS_MOST (100 * QR_NS_PER_MS)

uint64_t qr__gpu_wait_ns(void) {
    const char *text = getenv("QUERENT_CUDA_WAIT_MS");
    uint64_t ms;
    bool given = text != NULL && qr_text_to_u64(qr_text_of(text), UINT32_MAX, &ms) && ms > 0;
    return given ? ms * QR_NS_PER_MS : WAIT_NS;
}

static uint64_t now_ns(const qr__gpu *gpu) {
    return gpu->time == NULL ? qr_clock_ns() : gpu->time->now_ns(gpu->time->state);
}

static void pause_for(const qr__gpu *gpu, uint64_t ns) {
    const struct timespec span = {.tv_nsec = (long)ns};
    if (gpu->time != NULL)
        gpu->time->sleep(gpu->time->state, ns);
    else
        nanosleep(&span, NULL);
}

/* Time counts in which somebody looked: of a process that was stopped, or a machine that was
 * paused, only a tenth of a second does. The stream is asked after the clock, so whoever was kept
 * from asking until the time was over still finds what is done by now. */
qr__cu_result qr__gpu_wait(const qr__gpu *gpu, qr__cu_stream stream, double operations) {
    const uint64_t bound = gpu->wait_ns + (uint64_t)(operations / OPERATIONS_A_NS);
    uint64_t waited = 0, before = now_ns(gpu);
    for (;;) {
        qr__cu_result result = gpu->driver.stream_query(stream);
        if (result != QR__CU_NOT_READY)
            return result;
        if (waited >= bound || qr__gpu_is_hung(gpu)) {
            qr__gpu_hang(gpu);
            return QR__GPU_ENDLESS;
        }
        if (waited < SPIN_NS)
            qr_wait_relax();
        else
            pause_for(gpu, qr_min(waited / PAUSE_SHARE, PAUSE_NS_MOST));
        uint64_t now = now_ns(gpu);
        waited += qr_min(now - before, UNWATCHED_NS_MOST);
        before = now;
    }
}
