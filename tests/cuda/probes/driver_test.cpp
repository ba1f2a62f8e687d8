/* The fake driver: what it accepts and refuses, when it does the work, and the faults it is told to
 * have. */
#include "fake_cuda.h"
#include "more_calls.h"
#include "probe_kernels.h"
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <string>
#include <thread>
#include <vector>

static struct {
#define QR_X(name, symbol, arguments) qr__cu_result(*name) arguments;
    QR__DRIVER_LIST(QR_X)
    QR_MORE_DRIVER_LIST(QR_X)
#undef QR_X
    decltype(qr_fake_cuda_fail) *fail;
    decltype(qr_fake_cuda_calls) *calls;
    decltype(qr_fake_cuda_count_live) *live;
} cu;

template <class F> static void find(void *library, const char *symbol, F *&call) {
    call = reinterpret_cast<F *>(dlsym(library, symbol));
    if (!call) {
        printf("no %s\n", symbol);
        exit(1);
    }
}

static void find_calls(void *library) {
#define QR_X(name, symbol, arguments) find(library, #symbol, cu.name);
    QR__DRIVER_LIST(QR_X)
    QR_MORE_DRIVER_LIST(QR_X)
#undef QR_X
    find(library, "qr_fake_cuda_fail", cu.fail);
    find(library, "qr_fake_cuda_calls", cu.calls);
    find(library, "qr_fake_cuda_count_live", cu.live);
}

/* A child of each test loads the library anew: the environment is read once a process. */
static void load() {
    void *library = dlopen(QR_FAKE_DRIVER, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        printf("%s\n", dlerror());
        exit(1);
    }
    find_calls(library);
}

#define MUST(call) must(cu.call, #call, __LINE__)
static void must(int result, const char *call, int line) {
    if (result == 0)
        return;
    const char *name = nullptr;
    cu.error_name(result, &name);
    printf("driver_test.cpp:%d: %s: %d (%s)\n", line, call, result, name ? name : "?");
    fflush(nullptr);
    _Exit(3);
}

static qr__cu_context context;
static qr__cu_module module;
static qr__cu_stream stream;

/* A context, a module and a stream. */
static void open_all() {
    load();
    MUST(init(0));
    MUST(primary_retain(&context, 0));
    MUST(set_current(context));
    MUST(module_load(&module, "QR_FAKE_CUDA_IMAGE"));
    MUST(stream_create(&stream, QR__CU_STREAM_NON_BLOCKING));
}

static void close_all() {
    MUST(stream_destroy(stream));
    MUST(module_unload(module));
    MUST(primary_release(0));
}

static qr__cu_function function(const char *name) {
    qr__cu_function f = nullptr;
    MUST(module_function(&f, module, name));
    return f;
}

static int launch(const char *kernel, probe_args args, unsigned blocks, unsigned threads = 128,
                  unsigned shared = 0, bool programmatic = false) {
    qr__cu_attribute attribute = {};
    attribute.id = QR__CU_LAUNCH_PROGRAMMATIC;
    attribute.value.number = 1;
    qr__cu_launch l = {blocks, 1, 1, threads, 1, 1, shared, stream, &attribute, programmatic};
    void *arguments[] = {&args};
    return cu.launch(&l, function(kernel), arguments, nullptr);
}

/* Memory that host and device see. */
static uint32_t *mapped(size_t words, qr__cu_pointer *device) {
    void *host = nullptr;
    MUST(host_alloc(&host, words * 4, QR__CU_HOST_DEVICE_MAP));
    MUST(host_pointer(device, host, 0));
    memset(host, 0, words * 4);
    return static_cast<uint32_t *>(host);
}

static void *at(qr__cu_pointer p) {
    return (void *)p;
}

/* Runs a test in a child, whose CHECKs make it exit with 1. */
#define IN_CHILD(name)                                                                             \
    static void name##_body();                                                                     \
    TEST(name) {                                                                                   \
        ends(#name, 0, "", [] {                                                                    \
            name##_body();                                                                         \
            if (checks_failed())                                                                   \
                exit(1);                                                                           \
        });                                                                                        \
    }                                                                                              \
    static void name##_body()

IN_CHILD(a_device_is_as_the_environment_says) {
    setenv("QR_FAKE_CUDA_COUNT", "2", 1);
    setenv("QR_FAKE_CUDA_CAPABILITY", "86", 1);
    setenv("QR_FAKE_CUDA_NAME", "Some GPU", 1);
    setenv("QR_FAKE_CUDA_MEMORY_MB", "64", 1);
    setenv("QR_FAKE_CUDA_RELEASE", "12040", 1);
    open_all();
    int count = 0, major = 0, minor = 0, version = 0, device = -1;
    char name[32];
    size_t free_bytes, total_bytes;
    MUST(device_count(&count));
    MUST(version(&version));
    MUST(device_get(&device, 1));
    MUST(device_name(name, sizeof name, device));
    MUST(device_attribute(&major, QR__CU_CAPABILITY_MAJOR, device));
    MUST(device_attribute(&minor, QR__CU_CAPABILITY_MINOR, device));
    MUST(mem_info(&free_bytes, &total_bytes));
    CHECK(count == 2 && major == 8 && minor == 6 && version == 12040 && !strcmp(name, "Some GPU"));
    CHECK(total_bytes == 64u << 20 && free_bytes == total_bytes);
    CHECK(cu.device_get(&device, 2) == 101);
    qr__cu_pointer p, q;
    MUST(mem_alloc(&p, 40u << 20));
    CHECK(cu.mem_alloc(&q, 40u << 20) == QR__CU_OUT_OF_MEMORY);
    MUST(mem_free(p));
    MUST(mem_alloc(&q, 40u << 20));
}

IN_CHILD(there_may_be_no_device) {
    setenv("QR_FAKE_CUDA_COUNT", "0", 1);
    load();
    CHECK(cu.init(0) == QR__CU_NO_DEVICE);
}

IN_CHILD(calls_need_what_they_need) {
    load();
    int count;
    size_t bytes;
    CHECK(cu.device_count(&count) == 3);
    MUST(init(0));
    CHECK(cu.mem_info(&bytes, &bytes) == 201);
    MUST(primary_retain(&context, 0));
    CHECK(cu.mem_info(&bytes, &bytes) == 201);
    MUST(set_current(context));
    MUST(mem_info(&bytes, &bytes));
    qr__cu_module m;
    qr__cu_function f;
    CHECK(cu.module_load(&m, "something else") == 200);
    MUST(module_load(&m, "\x50\xed\x55\xba rest of a fatbin"));
    CHECK(cu.module_function(&f, m, "probe_none") == 500);
    MUST(primary_release(0));
    CHECK(cu.mem_info(&bytes, &bytes) == 201);
}

IN_CHILD(launches_are_checked) {
    open_all();
    probe_args args = {};
    CHECK(launch("probe_touch", args, 1, 64) == QR__CU_LAUNCH_OUT_OF_RESOURCES);
    CHECK(launch("probe_touch", args, 0, 32) == QR__CU_INVALID_VALUE);
    CHECK(launch("probe_touch", args, 1, 32, 48 * 1024 + 1) == QR__CU_INVALID_VALUE);
    qr__cu_function f = function("probe_touch");
    CHECK(cu.function_set(f, QR__CU_FUNCTION_SHARED_BYTES, 227 * 1024 + 1) == QR__CU_INVALID_VALUE);
    MUST(function_set(f, QR__CU_FUNCTION_SHARED_BYTES, 227 * 1024));
    CHECK(launch("probe_touch", args, 1, 32, 227 * 1024) == 0);
    MUST(stream_wait(stream));
}

IN_CHILD(an_older_device_has_less) {
    setenv("QR_FAKE_CUDA_CAPABILITY", "80", 1);
    open_all();
    qr__cu_function f = function("probe_touch");
    CHECK(cu.function_set(f, QR__CU_FUNCTION_SHARED_BYTES, 163 * 1024 + 1) == QR__CU_INVALID_VALUE);
    MUST(function_set(f, QR__CU_FUNCTION_SHARED_BYTES, 163 * 1024));
    CHECK(launch("probe_chain", {}, 1, 128, 0, true) == 801);
}

IN_CHILD(work_is_done_in_order_when_awaited) {
    open_all();
    qr__cu_pointer in, out, middle;
    uint32_t *from = mapped(1024, &in), *to = mapped(1024, &out);
    MUST(mem_alloc(&middle, 4096));
    std::vector<uint32_t> plain(1024, 7);
    MUST(copy_in(middle, plain.data(), 4096, stream));
    plain.assign(1024, 8); // was staged
    CHECK(launch("probe_chain", {at(middle), at(middle), 1, 1}, 8) == 0);
    MUST(copy_in(middle, from, 2048, stream));
    CHECK(launch("probe_chain", {at(out), at(middle), 1, 1}, 8) == 0);
    for (int i = 0; i < 512; i++)
        from[i] = 90; // pinned: read when the copy is done
    CHECK(to[0] == 0 && to[1023] == 0);
    MUST(stream_wait(stream));
    CHECK(to[0] == 91 && to[511] == 91 && to[512] == 9 && to[1023] == 9);
    MUST(set_bytes(middle, 1, 4096, stream));
    CHECK(launch("probe_chain", {at(out), at(middle), 0, 1}, 8) == 0);
    MUST(stream_wait(stream));
    CHECK(to[5] == 0x01010101u);
    CHECK(cu.set_bytes(middle + 4, 1, 4096, stream) == QR__CU_INVALID_VALUE);
}

IN_CHILD(a_capture_is_a_graph) {
    open_all();
    qr__cu_pointer out;
    uint32_t *to = mapped(1024, &out);
    qr__cu_graph graph;
    qr__cu_exec exec;
    MUST(begin_capture(stream, QR__CU_CAPTURE_THREAD_LOCAL));
    CHECK(launch("probe_chain", {to, to, 1, 1}, 8, 128, 0, true) == QR__CU_INVALID_VALUE);
    CHECK(launch("probe_chain", {to, to, 1, 1}, 8) == 0);
    CHECK(launch("probe_chain", {to, to, 2, 1}, 8, 128, 0, true) == 0);
    MUST(end_capture(stream, &graph));
    MUST(stream_wait(stream));
    CHECK(to[0] == 0);
    MUST(graph_make(&exec, graph, 0));
    MUST(graph_destroy(graph));
    MUST(graph_upload(exec, stream));
    MUST(graph_launch(exec, stream));
    MUST(graph_launch(exec, stream));
    CHECK(to[0] == 0);
    MUST(stream_wait(stream));
    CHECK(to[0] == 6 && to[1023] == 6);
    MUST(exec_destroy(exec));
    CHECK(cu.graph_launch(exec, stream) == 400);
}

IN_CHILD(a_capture_refuses_what_the_driver_refuses) {
    open_all();
    qr__cu_graph graph;
    qr__cu_pointer p;
    void *host;
    MUST(begin_capture(stream, QR__CU_CAPTURE_THREAD_LOCAL));
    CHECK(cu.stream_wait(stream) == 900);
    CHECK(cu.end_capture(stream, &graph) == 901 && !graph);
    MUST(begin_capture(stream, QR__CU_CAPTURE_THREAD_LOCAL));
    CHECK(cu.mem_alloc(&p, 16) == 900);
    CHECK(launch("probe_chain", {}, 8) == 901);
    CHECK(cu.host_alloc(&host, 16, 0) == 900);
    CHECK(cu.end_capture(stream, &graph) == 901);
    CHECK(cu.end_capture(stream, &graph) == QR__CU_INVALID_VALUE);
    MUST(mem_alloc(&p, 16));
    MUST(begin_capture(stream, QR__CU_CAPTURE_THREAD_LOCAL));
    MUST(end_capture(stream, &graph));
    CHECK(graph != nullptr);
}

/* 64 chains of three; in how many the last has the right sum. */
static unsigned right_chains(uint32_t middle) {
    open_all();
    qr__cu_pointer a, b, out;
    uint32_t *to = mapped(1024, &out);
    unsigned right = 0;
    for (int i = 0; i < 64; i++) {
        MUST(mem_alloc(&a, 4096));
        MUST(mem_alloc(&b, 4096));
        MUST(set_bytes(a, 0, 4096, stream));
        MUST(set_bytes(b, 0, 4096, stream));
        launch("probe_chain", {at(a), at(a), 5, 1}, 8);
        launch("probe_chain", {at(b), at(a), 6, middle}, 8, 128, 0, true);
        launch("probe_chain", {to, at(b), 7, 1}, 8, 128, 0, true);
        MUST(stream_wait(stream));
        unsigned wrong = 0;
        for (int k = 0; k < 1024; k++)
            wrong += to[k] != 18;
        right += !wrong;
        MUST(mem_free(a));
        MUST(mem_free(b));
    }
    return right;
}

IN_CHILD(programmatic_launches_may_overlap) {
    CHECK(right_chains(1) == 64);
}
IN_CHILD(released_early_they_are_right_too) {
    CHECK(right_chains(3) == 64);
}
IN_CHILD(a_missing_wait_is_seen) {
    unsigned right = right_chains(0);
    CHECK(right > 8 && right < 56);
}

TEST(who_follows_a_kernel_waits) {
    ends("the first of a stream follows none", 0, "", [] {
        open_all();
        launch("probe_no_wait", {}, 8, 128, 0, true);
        MUST(stream_wait(stream));
    });
    dies("the second", "ended without grid_wait in a programmatic launch", [] {
        open_all();
        launch("probe_no_wait", {}, 8);
        launch("probe_no_wait", {}, 8, 128, 0, true);
        MUST(stream_wait(stream));
    });
}

/* All blocks at once: 132 multiprocessors hold two of each whose shared memory is the half. */
IN_CHILD(blocks_that_wait_for_each_other_must_fit) {
    qr__cu_pointer device;
    open_all();
    mapped(8, &device);
    probe_args args = {at(device), at(device), 0, 0};
    void *arguments[] = {&args};
    qr__cu_attribute attributes[2] = {{QR__CU_LAUNCH_COOPERATIVE, {}, {}},
                                      {QR__CU_LAUNCH_PROGRAMMATIC, {}, {}}};
    attributes[0].value.number = attributes[1].value.number = 1;
    const qr__cu_function meeting = function("probe_meeting");
    qr__cu_launch l = {264, 1, 1, 128, 1, 1, 113 * 1024, stream, attributes, 1};
    MUST(function_set(meeting, QR__CU_FUNCTION_SHARED_BYTES, 227 * 1024));
    MUST(launch(&l, meeting, arguments, nullptr));
    l.grid_x = 265;
    CHECK(cu.launch(&l, meeting, arguments, nullptr) == 720);
    l.attributes_len = 0;
    MUST(launch(&l, meeting, arguments, nullptr));
    l.attributes_len = 2, l.grid_x = 1;
    CHECK(cu.launch(&l, meeting, arguments, nullptr) == 801);
    MUST(stream_wait(stream));
}

IN_CHILD(events_have_times) {
    open_all();
    qr__cu_event begin, end;
    float ms = -1;
    MUST(event_create(&begin, 0));
    MUST(event_create(&end, 0));
    CHECK(cu.event_elapsed(&ms, begin, end) == 400);
    MUST(event_record(begin, stream));
    launch("probe_no_wait", {}, 8);
    MUST(event_record(end, stream));
    CHECK(cu.event_elapsed(&ms, begin, end) == 600);
    MUST(stream_wait(stream));
    MUST(event_elapsed(&ms, begin, end));
    CHECK(ms >= 0);
}

TEST(addresses_are_checked) {
    ends("the host reads device memory", -11, "", [] {
        qr__cu_pointer p;
        open_all();
        MUST(mem_alloc(&p, 4096));
        printf("%u\n", *static_cast<volatile uint32_t *>(at(p)));
    });
    dies("a kernel uses memory that was freed", "accesses memory at 0x", [] {
        qr__cu_pointer p;
        open_all();
        MUST(mem_alloc(&p, 4096));
        launch("probe_chain", {at(p), at(p), 0, 1}, 8);
        MUST(mem_free(p));
        MUST(stream_wait(stream));
    });
    dies("a kernel gets host memory", "byte 8 of its argument is 0x", [] {
        static uint32_t here[1024];
        qr__cu_pointer p;
        open_all();
        MUST(mem_alloc(&p, 4096));
        launch("probe_chain", {at(p), here, 0, 1}, 8);
    });
    dies("pinned, but not mapped", "byte 0 of its argument is 0x", [] {
        void *host;
        open_all();
        MUST(host_alloc(&host, 4096, 0));
        launch("probe_chain", {host, host, 0, 1}, 8);
    });
}

IN_CHILD(faults_come_when_told) {
    setenv("QR_FAKE_CUDA_FAIL", "cuMemAlloc_v2:2:2,cuStreamSynchronize:2:700:sticky", 1);
    open_all();
    qr__cu_pointer p;
    size_t bytes;
    int version;
    MUST(mem_alloc(&p, 16));
    CHECK(cu.mem_alloc(&p, 16) == QR__CU_OUT_OF_MEMORY);
    MUST(mem_alloc(&p, 16));
    MUST(stream_wait(stream));
    CHECK(cu.stream_wait(stream) == 700);
    CHECK(cu.stream_wait(stream) == 700 && cu.mem_info(&bytes, &bytes) == 700);
    MUST(version(&version));
    cu.fail(nullptr, 0, 0, 0);
    MUST(mem_info(&bytes, &bytes));
    cu.fail("cuMemGetInfo_v2", 3, 214, 0);
    MUST(mem_info(&bytes, &bytes));
    MUST(mem_info(&bytes, &bytes));
    CHECK(cu.mem_info(&bytes, &bytes) == 214);
    MUST(mem_info(&bytes, &bytes));
    CHECK(cu.calls("cuMemAlloc_v2") == 3);
}

IN_CHILD(who_asks_a_stream_asks_again) {
    open_all();
    qr__cu_pointer out;
    uint32_t *to = mapped(1024, &out);
    MUST(stream_query(stream));
    for (uint32_t i = 1; i <= 2; i++) {
        CHECK(launch("probe_chain", {to, to, 1, 1}, 8) == 0);
        CHECK(cu.stream_query(stream) == QR__CU_NOT_READY && to[0] == i - 1);
        MUST(stream_query(stream));
        CHECK(to[0] == i);
        MUST(stream_query(stream));
    }
    qr__cu_graph graph;
    MUST(begin_capture(stream, QR__CU_CAPTURE_THREAD_LOCAL));
    CHECK(cu.stream_query(stream) == 900);
    CHECK(cu.end_capture(stream, &graph) == 901);
}

/* A stream whose second copy never ends. What came before it is done. */
static qr__cu_pointer hang() {
    qr__cu_pointer p, out;
    open_all();
    MUST(mem_alloc(&p, 4096));
    uint32_t *to = mapped(1024, &out);
    CHECK(launch("probe_chain", {to, to, 1, 1}, 8) == 0);
    cu.fail("cuMemcpyHtoDAsync_v2", 1, QR_FAKE_CUDA_ENDLESS, 0);
    MUST(copy_in(p, to, 4096, stream));
    CHECK(launch("probe_chain", {to, to, 1, 1}, 8) == 0);
    for (int i = 0; i < 5; i++)
        CHECK(cu.stream_query(stream) == QR__CU_NOT_READY);
    CHECK(to[0] == 1);
    return p;
}

IN_CHILD(what_never_ends_leaves_other_streams_alone) {
    hang();
    qr__cu_stream other;
    size_t bytes;
    MUST(stream_create(&other, 1));
    MUST(stream_query(other));
    MUST(stream_wait(other));
    MUST(mem_info(&bytes, &bytes));
    cu.fail(nullptr, 0, 0, 0);
    MUST(stream_wait(stream));
}

TEST(who_waits_for_what_never_ends_is_told) {
    dies("the stream", "cuStreamSynchronize waits for what never ends", [] {
        hang();
        cu.stream_wait(stream);
    });
    dies("giving it back", "cuStreamDestroy_v2 waits for what never ends", [] {
        hang();
        cu.stream_destroy(stream);
    });
    dies("giving back memory", "cuMemFree_v2 waits for what never ends", [] {
        qr__cu_pointer p = hang();
        cu.mem_free(p);
    });
    dies("the end of the process", "the end of the process waits for what never ends", [] {
        hang();
        exit(0);
    });
}

TEST(what_lives_is_counted) {
    dies("no such call", "there is no call cuNothing", [] {
        load();
        cu.fail("cuNothing", 1, 1, 0);
    });
    ends("a leak", 97,
         "1 contexts, 1 modules, 1 streams, 0 events, 0 graphs, 0 execs, 1 "
         "allocations of 48 bytes, 1 host allocations",
         [] {
             qr__cu_pointer p;
             void *host;
             setenv("QR_FAKE_CUDA_LEAKS", "1", 1);
             open_all();
             MUST(mem_alloc(&p, 48));
             MUST(host_alloc(&host, 16, 0));
         });
    ends("none", 0, "", [] {
        qr__cu_pointer p;
        qr_fake_cuda_live live;
        setenv("QR_FAKE_CUDA_LEAKS", "1", 1);
        open_all();
        MUST(mem_alloc(&p, 48));
        cu.live(&live);
        if (live.bytes != 48 || live.allocations != 1 || live.streams != 1)
            exit(1);
        MUST(mem_free(p));
        close_all();
    });
}

IN_CHILD(threads_have_streams_of_their_own) {
    open_all();
    std::vector<std::thread> threads;
    std::vector<unsigned> wrong(4);
    for (unsigned t = 0; t < 4; t++)
        threads.emplace_back([&wrong, t] {
            qr__cu_stream own;
            qr__cu_pointer p, out;
            MUST(set_current(context));
            MUST(stream_create(&own, 1));
            uint32_t *to = mapped(1024, &out);
            for (uint32_t i = 0; i < 50; i++) {
                MUST(mem_alloc(&p, 4096));
                MUST(set_bytes(p, 0, 4096, own));
                probe_args steps[] = {{at(p), at(p), t, 1}, {to, at(p), i, 1}};
                for (probe_args &args : steps) {
                    qr__cu_launch l = {8, 1, 1, 128, 1, 1, 0, own, nullptr, 0};
                    void *arguments[] = {&args};
                    MUST(launch(&l, function("probe_chain"), arguments, nullptr));
                }
                MUST(stream_wait(own));
                wrong[t] += to[0] != t + i || to[1023] != t + i;
                MUST(mem_free(p));
            }
            MUST(stream_destroy(own));
        });
    for (std::thread &t : threads)
        t.join();
    for (unsigned w : wrong)
        CHECK(w == 0);
}

int main(int argc, char **argv) {
    return run_tests(argc, argv);
}
