/* The fake driver's streams, events and launches: work is queued, and done when the host waits. */
#include "emulated_block.h"
#include "fake_state.h"
#include <cstring>
#include <ctime>
#include <sys/mman.h>
#include <unistd.h>

#define CALL extern "C" __attribute__((visibility("default"))) qr__cu_result

int fake_add(qr__cu_stream_st *stream, fake_work work) {
    if (!driver().streams.has(stream))
        return INVALID_HANDLE;
    if (fake_endless) {
        fake_work forever;
        forever.endless = true;
        stream->queue.push_back(std::move(forever));
        fake_endless = false;
    }
    if (!stream->capturing)
        stream->queue.push_back(std::move(work));
    else if (stream->invalid)
        return CAPTURE_INVALIDATED;
    else
        stream->captured.push_back(std::move(work));
    return OK;
}

extern "C" __attribute__((visibility("default"))) int
qr_fake_cuda_add(void *stream, void (*work)(const void *), const void *bytes, size_t len) {
    std::lock_guard<std::recursive_mutex> hold(driver().lock);
    auto *begin = static_cast<const unsigned char *>(bytes);
    std::vector<unsigned char> copy(begin, begin + len);
    fake_work step;
    step.other = [work, copy] { work(copy.data()); };
    return fake_add(static_cast<qr__cu_stream_st *>(stream), std::move(step));
}

extern "C" __attribute__((visibility("default"))) int qr_fake_cuda_spoil(void *stream) {
    std::lock_guard<std::recursive_mutex> hold(driver().lock);
    auto *of = static_cast<qr__cu_stream_st *>(stream);
    const bool captures = driver().streams.has(of) && of->capturing;
    of->invalid = of->invalid || captures;
    return captures;
}

CALL cuStreamCreate(qr__cu_stream *stream, unsigned flags) {
    FAKE_ENTER(CONTEXT);
    if (flags > 1)
        return INVALID_VALUE;
    *stream = driver().streams.make();
    return OK;
}

/* Whether the launch at i may begin before the one in front of it has ended. */
static bool overlaps(const std::deque<fake_work> &steps, size_t i) {
    return i > 0 && i < steps.size() && steps[i].launch.what && steps[i - 1].launch.what &&
           steps[i].launch.programmatic;
}

/* A launch that may overlap begins now and then before the one, or the two, in front of it: what it
 * reads of theirs without grid_wait is then not there. */
static void run_steps(std::deque<fake_work> &steps) {
    emulated::random_bits random(emulator::draw());
    std::vector<std::unique_ptr<emulator::grid>> grids(steps.size());
    for (size_t i = 0; i < steps.size(); i++) {
        if (!steps[i].launch.what) {
            steps[i].other();
            continue;
        }
        if (!overlaps(steps, i))
            steps[i].launch.programmatic = false;
        for (size_t j = i + 1; j <= i + 2 && overlaps(steps, j) && (random.next() & 1); j++)
            if (!grids[j]) {
                grids[j] = std::make_unique<emulator::grid>(steps[j].launch, steps[j].args.data());
                grids[j]->begin();
            }
        if (!grids[i])
            grids[i] = std::make_unique<emulator::grid>(steps[i].launch, steps[i].args.data());
        grids[i]->finish();
        grids[i].reset();
    }
}

void fake_drain(qr__cu_stream_st *stream) {
    std::lock_guard<std::mutex> alone(stream->runs);
    std::deque<fake_work> steps;
    {
        std::lock_guard<std::recursive_mutex> hold(driver().lock);
        while (!stream->queue.empty() && !stream->queue.front().endless) {
            steps.push_back(std::move(stream->queue.front()));
            stream->queue.pop_front();
        }
    }
    if (steps.empty())
        return;
    fake_memory_open here;
    run_steps(steps);
}

bool fake_is_stuck(const qr__cu_stream_st *stream) {
    for (const fake_work &work : stream->queue)
        if (work.endless)
            return true;
    return false;
}

void fake_end(qr__cu_stream_st *stream) {
    for (fake_work &work : stream->queue)
        if (work.endless)
            work.endless = false, work.other = [] {};
}

/* Neither may be asked of a stream that captures. */
static int check_idle(qr__cu_stream stream) {
    if (!driver().streams.has(stream))
        return INVALID_HANDLE;
    if (stream->capturing)
        stream->invalid = true;
    return stream->capturing ? CAPTURE_UNSUPPORTED : OK;
}

CALL cuStreamSynchronize(qr__cu_stream stream) {
    {
        FAKE_ENTER(CONTEXT);
        int result = check_idle(stream);
        if (result)
            return result;
        if (fake_is_stuck(stream))
            fake_never_returns(__func__);
    }
    fake_drain(stream);
    return OK;
}

/* Who asks must ask again: the first time that there is work, it is not done. */
CALL cuStreamQuery(qr__cu_stream stream) {
    {
        FAKE_ENTER(CONTEXT);
        int result = check_idle(stream);
        if (result)
            return result;
        stream->asked = !stream->asked && !stream->queue.empty();
        if (stream->asked)
            return NOT_READY;
    }
    fake_drain(stream);
    std::lock_guard<std::recursive_mutex> hold(driver().lock);
    return fake_is_stuck(stream) ? NOT_READY : OK;
}

CALL cuStreamDestroy_v2(qr__cu_stream stream) {
    {
        FAKE_ENTER(CONTEXT);
        if (!driver().streams.has(stream))
            return INVALID_HANDLE;
        if (fake_is_stuck(stream))
            fake_never_returns(__func__);
    }
    fake_drain(stream);
    std::lock_guard<std::recursive_mutex> hold(driver().lock);
    if (fake_capturing_to == stream)
        fake_capturing_to = nullptr;
    driver().streams.destroy(stream);
    return OK;
}

/* --- events --- */

CALL cuEventCreate(qr__cu_event *event, unsigned flags) {
    FAKE_ENTER(CONTEXT);
    if (flags > 7)
        return INVALID_VALUE;
    *event = driver().events.make();
    return OK;
}

CALL cuEventDestroy_v2(qr__cu_event event) {
    FAKE_ENTER(CONTEXT);
    return driver().events.destroy(event) ? OK : INVALID_HANDLE;
}

CALL cuEventRecord(qr__cu_event event, qr__cu_stream stream) {
    FAKE_ENTER(CONTEXT);
    if (!driver().events.has(event))
        return INVALID_HANDLE;
    if (fake_capturing_to == stream)
        return OK; // a dependency, of which there is none else in one stream
    event->recorded = true;
    event->done = false;
    fake_work work;
    work.other = [event] {
        std::lock_guard<std::recursive_mutex> hold(driver().lock);
        timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        if (!driver().events.has(event))
            return;
        event->time = (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
        event->done = true;
    };
    return fake_add(stream, std::move(work));
}

CALL cuEventElapsedTime(float *ms, qr__cu_event begin, qr__cu_event end) {
    FAKE_ENTER(CONTEXT);
    if (!driver().events.has(begin) || !driver().events.has(end) || !begin->recorded ||
        !end->recorded)
        return INVALID_HANDLE;
    if (!begin->done || !end->done)
        return NOT_READY;
    *ms = (float)(end->time - begin->time);
    return OK;
}

/* --- launches --- */

/* An address of host memory that the device cannot see would work here and nowhere else. Numbers
 * that look like one point to pages that exist only by the rarest chance: two sizes side by side
 * are below 2^45, where nothing lies but AddressSanitizer's shadow. */
static void check_addresses(const emulator::kernel &kernel, const unsigned char *args) {
    for (size_t i = 0; i + 8 <= kernel.args_bytes; i += 8) {
        uint64_t word;
        bool mapped = true;
        memcpy(&word, args + i, 8);
        if (word < 1ull << 45 || word >> 47 || fake_is_device(word, 0) ||
            (fake_is_host(word, 0, &mapped) && mapped))
            continue;
        uintptr_t page = word & ~(uintptr_t)(sysconf(_SC_PAGESIZE) - 1);
        if (!mapped || msync((void *)page, 1, MS_ASYNC) == 0)
            emulated::fail({"", 0},
                           "%s: byte %zu of its argument is %#llx, an address that the "
                           "device does not know",
                           kernel.name, i, (unsigned long long)word);
    }
}

/* Both together: what a device does then is written nowhere, so nobody should. */
static int read_attributes(const qr__cu_launch *launch, emulator::launch_config *out) {
    out->programmatic = out->cooperative = false;
    for (unsigned i = 0; i < launch->attributes_len; i++) {
        const qr__cu_attribute &attribute = launch->attributes[i];
        if (attribute.id == QR__CU_LAUNCH_PROGRAMMATIC)
            out->programmatic = attribute.value.number != 0;
        else if (attribute.id == QR__CU_LAUNCH_COOPERATIVE)
            out->cooperative = attribute.value.number != 0;
        else
            return INVALID_VALUE;
    }
    if (out->programmatic && (out->cooperative || !driver().takes_early))
        return NOT_SUPPORTED;
    return OK;
}

/* All blocks at once, by the shared memory that each takes, and 1 KB of the system's. */
static bool fits_at_once(const qr__cu_launch *l) {
    const unsigned each = (fake_shared_limit() + 1024) / (l->shared_bytes + 1024);
    return (uint64_t)l->grid_x * l->grid_y * l->grid_z <=
           (uint64_t)each * (unsigned)driver().multiprocessors;
}

/* In a graph early starts are between kernels only; what a library puts there need not be one. */
static bool is_behind_kernel(qr__cu_stream stream) {
    return !driver().streams.has(stream) || !stream->capturing ||
           (!stream->captured.empty() && stream->captured.back().launch.what);
}

static int check_sizes(const qr__cu_launch *l, const qr__cu_function_st *function) {
    if (!l->grid_x || !l->grid_y || !l->grid_z || l->grid_x > 0x7fffffff || l->grid_y > 65535 ||
        l->grid_z > 65535 || !l->block_x || l->block_y != 1 || l->block_z != 1)
        return INVALID_VALUE;
    if (l->shared_bytes > function->shared_max)
        return INVALID_VALUE;
    return l->block_x > function->kernel->threads ? OUT_OF_RESOURCES : OK;
}

CALL cuLaunchKernelEx(const qr__cu_launch *launch, qr__cu_function function, void **arguments,
                      void **extra) {
    FAKE_ENTER(CONTEXT);
    fake_work work;
    int result = extra ? INVALID_VALUE : check_sizes(launch, function);
    if (!result)
        result = read_attributes(launch, &work.launch);
    if (!result && work.launch.cooperative && !fits_at_once(launch))
        result = COOPERATIVE_TOO_LARGE;
    if (result)
        return result;
    const emulator::kernel &kernel = *function->kernel;
    auto *bytes = static_cast<const unsigned char *>(arguments[0]);
    check_addresses(kernel, bytes);
    work.launch = {&kernel,
                   {launch->grid_x, launch->grid_y, launch->grid_z},
                   launch->block_x,
                   launch->shared_bytes,
                   work.launch.programmatic,
                   work.launch.cooperative};
    work.args.assign(bytes, bytes + kernel.args_bytes);
    if (work.launch.programmatic && !is_behind_kernel(launch->stream))
        return INVALID_VALUE;
    return fake_add(launch->stream, std::move(work));
}
