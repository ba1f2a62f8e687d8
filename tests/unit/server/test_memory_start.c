/* Whether what is configured fits into a cgroup: sums, and files as Linux writes them. */
#include <criterion/criterion.h>

#include "base/fake_tree.h"
#include "server/memory_start.h"

#define MB UINT64_C(1000000)

TestSuite(memory_start, .init = fake_tree_create, .fini = fake_tree_remove);

static qr__memory_room room_of(const char *stat) {
    qr__memory_room room;
    fake_tree_put("proc/meminfo", "MemTotal: 16000 kB\nMemAvailable:    2000 kB\n");
    fake_tree_put("proc/self/cgroup", "0::/pod\n");
    fake_tree_put("sys/fs/cgroup/pod/memory.max", "400000000\n");
    fake_tree_put("sys/fs/cgroup/pod/memory.current", "90000000\n");
    fake_tree_put("sys/fs/cgroup/pod/memory.stat", stat);
    cr_assert(qr__memory_room_read(fake_tree, &room));
    return room;
}

static const qr__memory_item models[] = {{"a", 300 * MB, 100 * MB}, {"b", 250 * MB, 80 * MB}};

/* After a restart the files that the last one read are still there, and in use as far as the kernel
 * knows; they must not keep the next one from starting. */
Test(memory_start, pages_of_files_are_not_firm) {
    qr__memory_room room = room_of("file 1\ninactive_file 20000000\nactive_file 60000000\n");
    cr_expect_eq(room.tightest.max_bytes, 400 * MB);
    cr_expect_eq(room.tightest.firm_bytes, 10 * MB);
    cr_expect_str_eq(room.tightest.limit, "memory.max of its cgroup");
    room = room_of("file 1\ninactive_file 80000000\nactive_file 60000000\n");
    cr_expect_eq(room.tightest.firm_bytes, 0);
    room = room_of("file 1\n");
    cr_expect_eq(room.tightest.firm_bytes, 90 * MB);
}

Test(memory_start, the_tightest_group_leaves_least) {
    fake_tree_put("sys/fs/cgroup/memory.max", "500000000\n");
    fake_tree_put("sys/fs/cgroup/memory.current", "480000000\n");
    qr__memory_room room = room_of("file 1\n");
    cr_expect_eq(room.tightest.max_bytes, 500 * MB);
    cr_expect_eq(room.group_bytes, 400 * MB);
}

/* Of what the whole machine has only a reload speaks. */
Test(memory_start, without_a_limit_there_is_no_group) {
    qr__memory_room room;
    fake_tree_put("proc/meminfo", "MemTotal: 16000 kB\nMemAvailable:    2000 kB\n");
    fake_tree_put("proc/self/cgroup", "4:memory:/pod\n");
    fake_tree_put("sys/fs/cgroup/memory/pod/memory.limit_in_bytes", "9223372036854771712\n");
    fake_tree_put("sys/fs/cgroup/memory/pod/memory.usage_in_bytes", "1000\n");
    cr_assert(qr__memory_room_read(fake_tree, &room));
    cr_expect_null(room.tightest.limit);
    cr_expect_eq(room.free_bytes, 2000 * 1024);
}

static const char *refusal(uint64_t max_bytes, size_t len) {
    static qr_error error;
    const qr__memory_group group = {max_bytes, 10 * MB, "memory.max of its cgroup"};
    error.message[0] = '\0';
    qr_status status = qr__memory_start_models(&group, models, len, "loading takes", &error);
    cr_assert_eq(status, error.message[0] == '\0' ? QR_OK : QR_NO_MEMORY);
    return error.message;
}

Test(memory_start, models_are_loaded_one_after_the_other) {
    cr_expect_str_eq(refusal(310 * MB, 1), "");
    cr_expect_str_eq(refusal(360 * MB, 2), "");
    cr_expect_str_eq(refusal(359 * MB, 2),
                     "loading takes 360 MB, and memory.max of its cgroup is 359 MB "
                     "(raise it, or ask for less): 10 MB in use + 100 MB a + 250 MB b while it is "
                     "loaded");
    cr_expect_str_eq(refusal(309 * MB, 1),
                     "loading takes 310 MB, and memory.max of its cgroup is 309 MB "
                     "(raise it, or ask for less): 10 MB in use + 300 MB a while it is loaded");
    cr_expect_str_eq(refusal(5 * MB, 0), "");
}

/* The first is the worst moment when what follows is small. */
Test(memory_start, the_worst_moment_is_told) {
    static const qr__memory_item falling[] = {{"a", 300 * MB, 100 * MB}, {"b", 50 * MB, 20 * MB}};
    const qr__memory_group group = {200 * MB, 0, "memory.max of its cgroup"};
    qr_error error = {0};
    cr_assert_eq(qr__memory_start_models(&group, falling, 2, "loading takes", &error),
                 QR_NO_MEMORY);
    cr_expect_str_eq(error.message,
                     "loading takes 300 MB, and memory.max of its cgroup is 200 MB "
                     "(raise it, or ask for less): 0 MB in use + 300 MB a while it is loaded");
}

Test(memory_start, the_cache_fills_beside_all_models) {
    const qr__memory_group group = {250 * MB, 10 * MB, "memory.max of its cgroup"};
    qr_error error = {0};
    cr_expect_eq(qr__memory_start_left(&group, models, 2), 60 * MB);
    cr_expect_eq(qr__memory_start_beside(&group, models, 2, "the models and the cache take",
                                         "--cache-bytes", 60 * MB, &error),
                 QR_OK);
    cr_expect_eq(qr__memory_start_beside(&group, models, 2, "the models and the cache take",
                                         "--cache-bytes", 67 * MB, &error),
                 QR_NO_MEMORY);
    cr_expect_str_eq(error.message,
                     "the models and the cache take 257 MB, and memory.max of its cgroup is "
                     "250 MB (raise it, or ask for less): 10 MB in use + 100 MB a + 80 MB b + 67 "
                     "MB --cache-bytes");
    const qr__memory_group small = {100 * MB, 10 * MB, "memory.max of its cgroup"};
    cr_expect_eq(qr__memory_start_left(&small, models, 2), 0);
}

Test(memory_start, sums_may_be_more_than_can_be_counted) {
    const qr__memory_item huge[] = {{"a", UINT64_MAX, UINT64_MAX}, {"b", UINT64_MAX, UINT64_MAX}};
    const qr__memory_group group = {UINT64_C(1) << 61, 10 * MB, "memory.max of its cgroup"};
    qr_error error = {0};
    cr_expect_eq(qr__memory_start_models(&group, huge, 2, "loading takes", &error), QR_NO_MEMORY);
    cr_expect_eq(qr__memory_start_left(&group, huge, 2), 0);
}

Test(memory_start, many_names_are_cut_after_the_sum) {
    static const char name[] = "a-name-that-is-rather-long-for-a-model-and-is-cut-before-its-end-"
                               "so-that-the-sum-is-not-lost-among-names";
    qr__memory_item many[QR_LIMIT_MODELS];
    const qr__memory_group group = {100 * MB, 10 * MB, "memory.max of its cgroup"};
    qr_error error = {0};
    for (size_t i = 0; i < QR_LIMIT_MODELS; i++)
        many[i] = (qr__memory_item){name, 20 * MB, 10 * MB};
    cr_assert_eq(qr__memory_start_models(&group, many, QR_LIMIT_MODELS, "loading takes", &error),
                 QR_NO_MEMORY);
    cr_expect_eq(strncmp(error.message, "loading takes 180 MB, and memory.max", 36), 0, "%s",
                 error.message);
}
