/* Whether another copy of a model fits: by files as Linux writes them, in a directory of the
 * test's. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "base/fake_tree.h"
#include "server/memory_room.h"

static void setup(void) {
    fake_tree_create();
    fake_tree_put("proc/meminfo",
                  "MemTotal:       16000000 kB\nMemFree:  1 kB\nMemAvailable:    2000 kB\n");
    fake_tree_put("proc/self/cgroup", "0::/kube/pod\n");
}

TestSuite(memory_room, .init = setup, .fini = fake_tree_remove);

static void expect(uint64_t free_bytes, const char *limit) {
    qr__memory_room room;
    cr_assert(qr__memory_room_read(fake_tree, &room));
    cr_assert_eq(room.free_bytes, free_bytes, "%llu", (unsigned long long)room.free_bytes);
    cr_assert(strstr(room.limit, limit) != NULL, "%s", room.limit);
}

static void expect_in_group(uint64_t free_bytes, uint64_t group_bytes) {
    qr__memory_room room;
    cr_assert(qr__memory_room_read(fake_tree, &room));
    cr_expect_eq(room.free_bytes, free_bytes);
    cr_expect_eq(room.group_bytes, group_bytes);
}

Test(memory_room, is_what_the_system_has) {
    expect(2000 * 1024, "system");
}

Test(memory_room, is_what_the_group_leaves) {
    fake_tree_put("sys/fs/cgroup/kube/pod/memory.max", "1000000\n");
    fake_tree_put("sys/fs/cgroup/kube/pod/memory.current", "400000\n");
    expect(600000, "cgroup");
    fake_tree_put("sys/fs/cgroup/kube/pod/memory.current", "1000001\n");
    expect(0, "cgroup");
    fake_tree_put("sys/fs/cgroup/kube/pod/memory.max", "max\n");
    expect(2000 * 1024, "system");
}

Test(memory_room, is_what_a_group_above_leaves) {
    fake_tree_put("sys/fs/cgroup/kube/pod/memory.max", "max\n");
    fake_tree_put("sys/fs/cgroup/kube/memory.max", "1000000\n");
    fake_tree_put("sys/fs/cgroup/kube/memory.current", "500000\n");
    expect(500000, "cgroup");
}

/* In a container the process's group is the root of what it sees. */
Test(memory_room, is_what_the_containers_root_leaves) {
    fake_tree_put("proc/self/cgroup", "1:name=systemd:/\n0::/\n");
    fake_tree_put("sys/fs/cgroup/memory.max", "300000\n");
    fake_tree_put("sys/fs/cgroup/memory.current", "100000\n");
    expect(200000, "cgroup");
}

Test(memory_room, pages_of_files_do_not_count_as_used) {
    fake_tree_put("sys/fs/cgroup/kube/pod/memory.max", "1000000\n");
    fake_tree_put("sys/fs/cgroup/kube/pod/memory.current", "900000\n");
    fake_tree_put("sys/fs/cgroup/kube/pod/memory.stat", "anon 1\nfile 9\ninactive_file 600000\n");
    expect_in_group(700000, 1000000);
}

Test(memory_room, is_what_a_group_of_version_1_leaves) {
    fake_tree_put("proc/self/cgroup", "5:cpuset:/x\n4:memory:/kube/pod\n0::/\n");
    fake_tree_put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    fake_tree_put("sys/fs/cgroup/memory/memory.usage_in_bytes", "900000\n");
    fake_tree_put("sys/fs/cgroup/memory/kube/pod/memory.limit_in_bytes", "9223372036854771712\n");
    fake_tree_put("sys/fs/cgroup/memory/kube/pod/memory.usage_in_bytes", "900000\n");
    expect_in_group(2000 * 1024, 0);
    fake_tree_put("sys/fs/cgroup/memory/kube/memory.limit_in_bytes", "1000000\n");
    fake_tree_put("sys/fs/cgroup/memory/kube/memory.usage_in_bytes", "900000\n");
    fake_tree_put("sys/fs/cgroup/memory/kube/memory.stat",
                  "cache 5\ninactive_file 1\ntotal_inactive_file 300000\n");
    expect_in_group(400000, 1000000);
}

Test(memory_room, may_not_be_known) {
    qr__memory_room room;
    cr_assert_eq(qr__memory_room_read("/nonexistent", &room), false);
    fake_tree_put("proc/meminfo", "MemTotal: 1 kB\n");
    cr_assert_eq(qr__memory_room_read(fake_tree, &room), false);
}

/* The kernel's own files say that they have no bytes. */
Test(memory_room, is_known_of_the_system_itself) {
    qr__memory_room room;
    if (!qr_file_exists("/proc", "meminfo"))
        return;
    cr_assert(qr__memory_room_read("", &room));
    cr_expect_not_null(room.limit);
}

Test(memory_room, a_refusal_has_both_numbers) {
    const qr__memory_room room = {.free_bytes = 50000000, .limit = "the system's memory"};
    qr_error error = {0};
    cr_assert_eq(qr__memory_room_check(&room, "m", 50000000, &error), QR_OK);
    cr_assert_eq(qr__memory_room_check(&room, "m", 110000000, &error), QR_NO_MEMORY);
    cr_assert_str_eq(error.message,
                     "model m: a second copy may need 110 MB beside the first, and the system's "
                     "memory leaves 50 MB; unload it first");
}

/* 1000 words of 8, 2000 other weights. A token of a workspace: 6 * 8 + 32 + 2 * 32 + 8 floats. */
static uint64_t need(const char *dtype, qr_precision precision, size_t workers) {
    qr_model_info model = {
        .hidden = 8, .word_size = 8, .feed_forward = 32, .vocab = 1000, .parameters = 10000};
    snprintf(model.dtype, sizeof model.dtype, "%s", dtype);
    const qr__memory_load load = {
        .model = &model, .precision = precision, .workers = workers, .tokens = 100};
    return qr__memory_room_need(&load);
}

static uint64_t and_an_eighth(uint64_t bytes) {
    return bytes + bytes / 8;
}

#define ROW 608u

Test(memory_room, need_is_all_that_a_load_holds_at_a_time) {
    const uint64_t read = 40000, halves = 16000, gate = 1000 * ROW, weights = 2000;
    cr_assert_eq(need("f32", QR_PRECISION_F32, 0), and_an_eighth(read + 4 * weights));
    cr_assert_eq(need("bf16", QR_PRECISION_F32, 0), and_an_eighth(read + 4 * weights));
    cr_assert_eq(need("f16", QR_PRECISION_F32, 0), and_an_eighth(read + 4 * weights + halves));
    cr_assert_eq(need("f32", QR_PRECISION_BF16, 0),
                 and_an_eighth(read + 6 * weights + halves + gate));
    cr_assert_eq(need("f32", QR_PRECISION_INT8, 0),
                 and_an_eighth(read + 9 * weights + halves + gate));
    cr_assert_eq(need("f32", QR_PRECISION_AUTO, 0), need("f16", QR_PRECISION_INT8, 0));
    cr_assert_eq(need("f32", QR_PRECISION_F32, 3),
                 and_an_eighth(read + 4 * weights + 3 * 100 * ROW));
}

/* Counting on the gate: no candidate but the first, and what comes later beside less. */
Test(memory_room, need_with_the_first_plan) {
    const uint64_t read = 40000, gate = 1000 * ROW, weights = 2000;
    const uint64_t most[QR_PRECISIONS] = {
        [QR_PRECISION_F32] = need("f32", QR_PRECISION_F32, 0),
        [QR_PRECISION_F16] = and_an_eighth(read + 6 * weights + gate),
        [QR_PRECISION_BF16] = and_an_eighth(read + 6 * weights + gate),
        [QR_PRECISION_INT8] = and_an_eighth(read + 5 * weights + gate),
        [QR_PRECISION_AUTO] = and_an_eighth(read + 5 * weights + gate)};
    static const uint64_t words_and_weights[QR_PRECISIONS] = {[QR_PRECISION_F32] = 40000,
                                                              [QR_PRECISION_F16] = 20000,
                                                              [QR_PRECISION_BF16] = 20000,
                                                              [QR_PRECISION_INT8] = 18000,
                                                              [QR_PRECISION_AUTO] = 18000};
    qr_model_info model = {.dtype = "f32",
                           .hidden = 8,
                           .word_size = 8,
                           .feed_forward = 32,
                           .vocab = 1000,
                           .parameters = 10000};
    qr__memory_load load = {.model = &model, .tokens = 100, .accepted = true};
    for (unsigned p = 0; p < QR_PRECISIONS; p++) {
        load.precision = (qr_precision)p;
        cr_expect_eq(qr__memory_room_need(&load), most[p], "%u", p);
        cr_expect_eq(qr__memory_room_stay(&load), and_an_eighth(words_and_weights[p]), "%u", p);
    }
}

/* Half of int8's matrices may be in bf16, and AUTO may end with f32. */
Test(memory_room, what_stays_is_the_packing_and_the_workspaces) {
    qr_model_info model = {
        .hidden = 8, .word_size = 8, .feed_forward = 32, .vocab = 1000, .parameters = 10000};
    qr__memory_load load = {.model = &model, .workers = 3, .tokens = 100};
    const uint64_t workspaces = 3 * 100 * ROW;
    for (unsigned p = 0; p < QR_PRECISIONS; p++) {
        const bool halves =
            p == QR_PRECISION_F16 || p == QR_PRECISION_BF16 || p == QR_PRECISION_INT8;
        load.precision = (qr_precision)p;
        cr_expect_eq(qr__memory_room_stay(&load),
                     and_an_eighth((halves ? 20000u : 40000u) + workspaces));
        cr_expect_leq(qr__memory_room_stay(&load), qr__memory_room_need(&load));
    }
}

/* A GPU's packings are in its own memory: what is read, and one copy of it on its way. */
Test(memory_room, on_a_device_only_the_load_takes_memory) {
    qr_model_info model = {
        .hidden = 8, .word_size = 8, .feed_forward = 32, .vocab = 1000, .parameters = 10000};
    qr__memory_load load = {.model = &model, .workers = 3, .tokens = 100, .away = true};
    for (unsigned p = 0; p < QR_PRECISIONS; p++) {
        load.precision = (qr_precision)p;
        cr_expect_eq(qr__memory_room_stay(&load), 0);
        cr_expect_eq(qr__memory_room_need(&load), and_an_eighth(80000));
    }
    load.graph_bytes = 1000000;
    cr_expect_eq(qr__memory_room_need(&load),
                 and_an_eighth(80000 + qr__memory_room_graph(1000000)));
}

/* all-MiniLM-L6-v2, by its config.json, and what a load of it took (docs/SERVER.md). */
Test(memory_room, need_is_no_less_than_was_measured) {
    static const struct {
        qr_precision precision;
        uint64_t measured;
    } loads[] = {{QR_PRECISION_F32, 136000000},
                 {QR_PRECISION_BF16, 187000000},
                 {QR_PRECISION_INT8, 176000000},
                 {QR_PRECISION_AUTO, 176000000}};
    qr_model_info model = {.dtype = "f32",
                           .hidden = 384,
                           .word_size = 384,
                           .feed_forward = 1536,
                           .vocab = 30522,
                           .parameters = 22713216};
    for (size_t i = 0; i < 4; i++) {
        qr__memory_load load = {
            .model = &model, .precision = loads[i].precision, .workers = 1, .tokens = 512};
        uint64_t bytes = qr__memory_room_need(&load);
        load.accepted = true;
        cr_expect_geq(qr__memory_room_need(&load), loads[i].measured, "%zu", i);
        cr_assert(bytes >= loads[i].measured && bytes < 2 * loads[i].measured, "%zu: %llu", i,
                  (unsigned long long)bytes);
    }
}

/* MiniLM's exports with `querent inspect` (VmHWM): a graph in f32 of 90 MB took 323 MB, its int8
 * weights of 23 MB 276 MB as dynamic int8 and 437 MB as weight-only int8. */
Test(memory_room, need_of_a_graph_is_that_of_its_numbers) {
    const qr_model_info minilm = {.layers = 6,
                                  .hidden = 384,
                                  .feed_forward = 1536,
                                  .vocab = 30522,
                                  .word_size = 384,
                                  .parameters = 22713216,
                                  .dtype = "f32"};
    qr__memory_load load = {
        .model = &minilm, .precision = QR_PRECISION_F32, .workers = 1, .tokens = 512};
    const uint64_t without = qr__memory_room_need(&load);
    load.graph_bytes = 90388644;
    const uint64_t whole = qr__memory_room_need(&load);
    cr_assert_geq(whole, 323000000);
    cr_assert_eq(qr__memory_room_graph(load.graph_bytes), 3 * load.graph_bytes);
    load.graph_bytes = 22881824;
    const uint64_t quantized = qr__memory_room_need(&load);
    cr_assert(quantized >= 437000000 && quantized <= whole && quantized > without);
}

Test(memory_room, need_may_be_more_than_can_be_counted) {
    const qr_model_info model = {.hidden = 1, .parameters = SIZE_MAX / 2};
    const qr__memory_load load = {.model = &model, .precision = QR_PRECISION_AUTO};
    cr_assert_eq(qr__memory_room_need(&load), UINT64_MAX);
}
