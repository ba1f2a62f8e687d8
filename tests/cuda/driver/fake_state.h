/* tests/cuda/driver/fake_state.h: what the fake driver's calls share.
 *
 *     int cuMemFree_v2(qr__cu_pointer pointer) {
 *         FAKE_ENTER(CONTEXT | NO_CAPTURE);             // counts, checks, locks; may return
 *         return driver().memory.erase(pointer) ? 0 : INVALID_VALUE;
 *     }
 *
 * One lock for all calls; it is not held while kernels run (fake_stream.cpp).
 */
#ifndef QR_TESTS_FAKE_STATE_H
#define QR_TESTS_FAKE_STATE_H

#include "emulator.h"
#include "engine/cuda/module/driver_calls.h"
#include "fake_cuda.h"
#include "fake_endless.h"
#include "fake_results.h"
#include "more_calls.h"
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

/** A step of a stream or graph: a launch, or anything else, or one that never ends. */
struct fake_work {
    emulator::launch_config launch = {}; // what is NULL: `other`
    std::vector<unsigned char> args;
    std::function<void()> other;
    bool endless = false;
};

struct qr__cu_function_st {
    const emulator::kernel *kernel;
    unsigned shared_max; // as cuFuncSetAttribute left it
};

struct qr__cu_module_st {
    std::map<std::string, std::unique_ptr<qr__cu_function_st>> functions;
};

struct qr__cu_context_st {
    unsigned users = 0;
};

struct qr__cu_stream_st {
    std::deque<fake_work> queue;
    std::mutex runs; // held while work is done
    bool capturing = false, invalid = false, asked = false;
    std::vector<fake_work> captured;
};

struct qr__cu_event_st {
    bool recorded = false, done = false;
    double time = 0; // in ms
};

struct qr__cu_graph_st {
    std::vector<fake_work> steps;
};

struct qr__cu_exec_st {
    std::vector<fake_work> steps;
};

/** The objects of a kind that live. */
template <class T> class fake_set {
  public:
    T *make() {
        auto made = std::make_unique<T>();
        T *handle = made.get();
        all.emplace(handle, std::move(made));
        return handle;
    }
    bool has(T *handle) const { return all.count(handle) != 0; }
    bool destroy(T *handle) { return all.erase(handle) != 0; }
    std::map<T *, std::unique_ptr<T>> all;
};

struct fake_host_memory {
    size_t bytes;
    bool mapped;
    std::unique_ptr<emulator::memory> memory;
};

struct fake_driver {
    std::recursive_mutex lock;
    bool ready = false, takes_early = true;
    int count = 1, capability = 90, release = 13000, multiprocessors = 132;
    size_t memory_bytes = 0, used = 0;
    std::string name;
    std::map<int, qr__cu_context_st> contexts;
    std::map<uintptr_t, std::unique_ptr<emulator::memory>> memory;
    std::map<uintptr_t, fake_host_memory> host;
    unsigned memory_users = 0; // who has device memory open
    fake_set<qr__cu_module_st> modules;
    fake_set<qr__cu_stream_st> streams;
    fake_set<qr__cu_event_st> events;
    fake_set<qr__cu_graph_st> graphs;
    fake_set<qr__cu_exec_st> execs;
};

fake_driver &driver();

/** What a call needs. WAITS: it returns when the device has nothing to do, as the real one may. */
enum { INITIALIZED = 1, CONTEXT = 2, NO_CAPTURE = 4, ALWAYS = 8, WAITS = 16 };

/** Bytes of shared memory that a block may have at most. */
unsigned fake_shared_limit();

/** A call's begin: its result is not 0 when it must return at once. Holds the lock. A call that
 * would never return ends the process with a message. */
struct fake_entry {
    fake_entry(const char *call, unsigned needs);
    int result;
    std::unique_lock<std::recursive_mutex> hold;
};
#define FAKE_ENTER(needs)                                                                          \
    fake_entry entered(__func__, needs);                                                           \
    if (entered.result)                                                                            \
    return entered.result

extern thread_local qr__cu_context_st *fake_current;     // context
extern thread_local qr__cu_stream_st *fake_capturing_to; // by this thread

/** While one lives, device memory can be touched (fake_memory.cpp). */
struct fake_memory_open {
    fake_memory_open();
    ~fake_memory_open();
};
/** Whether [at, at + bytes) is in one piece of device memory; of mapped host memory. */
bool fake_is_device(uintptr_t at, size_t bytes);
bool fake_is_host(uintptr_t at, size_t bytes, bool *mapped);

/** Adds a step to a stream or to what it captures. */
int fake_add(qr__cu_stream_st *stream, fake_work work);

/** Does all work of a stream, up to what never ends. The lock must not be held. */
void fake_drain(qr__cu_stream_st *stream);

#define QR_X(name, symbol, arguments) extern "C" qr__cu_result symbol arguments;
QR__DRIVER_LIST(QR_X)
QR_MORE_DRIVER_LIST(QR_X)
#undef QR_X

#endif
