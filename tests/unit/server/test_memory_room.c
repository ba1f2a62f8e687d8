/* Whether another copy of a model fits: by files as Linux writes them, in a directory of the
 * test's. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/model_maker.h"
#include "server/memory_room.h"

static char root[64];

static void put(const char *name, const char *text) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *slash = path + strlen(root) + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
    FILE *file = fopen(path, "w");
    cr_assert(file != NULL, "%s", path);
    fputs(text, file);
    fclose(file);
}

static void setup(void) {
    temp_dir_create(root);
    put("proc/meminfo", "MemTotal:       16000000 kB\nMemFree:  1 kB\nMemAvailable:    2000 kB\n");
    put("proc/self/cgroup", "0::/kube/pod\n");
}

static void teardown(void) {
    char command[128];
    snprintf(command, sizeof command, "%s", root);
    temp_dir_remove(command);
}

TestSuite(memory_room, .init = setup, .fini = teardown);

static void expect(uint64_t free_bytes, const char *limit) {
    qr__memory_room room;
    cr_assert(qr__memory_room_read(root, &room));
    cr_assert_eq(room.free_bytes, free_bytes, "%llu", (unsigned long long)room.free_bytes);
    cr_assert(strstr(room.limit, limit) != NULL, "%s", room.limit);
}

Test(memory_room, is_what_the_system_has) {
    expect(2000 * 1024, "system");
}

Test(memory_room, is_what_the_group_leaves) {
    put("sys/fs/cgroup/kube/pod/memory.max", "1000000\n");
    put("sys/fs/cgroup/kube/pod/memory.current", "400000\n");
    expect(600000, "cgroup");
    put("sys/fs/cgroup/kube/pod/memory.current", "1000001\n");
    expect(0, "cgroup");
    put("sys/fs/cgroup/kube/pod/memory.max", "max\n");
    expect(2000 * 1024, "system");
}

Test(memory_room, is_what_a_group_above_leaves) {
    put("sys/fs/cgroup/kube/pod/memory.max", "max\n");
    put("sys/fs/cgroup/kube/memory.max", "1000000\n");
    put("sys/fs/cgroup/kube/memory.current", "500000\n");
    expect(500000, "cgroup");
}

/* In a container the process's group is the root of what it sees. */
Test(memory_room, is_what_the_containers_root_leaves) {
    put("proc/self/cgroup", "1:name=systemd:/\n0::/\n");
    put("sys/fs/cgroup/memory.max", "300000\n");
    put("sys/fs/cgroup/memory.current", "100000\n");
    expect(200000, "cgroup");
}

Test(memory_room, may_not_be_known) {
    qr__memory_room room;
    cr_assert_eq(qr__memory_room_read("/nonexistent", &room), false);
    put("proc/meminfo", "MemTotal: 1 kB\n");
    cr_assert_eq(qr__memory_room_read(root, &room), false);
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

Test(memory_room, need_is_the_greater_and_a_quarter) {
    put("model.safetensors", "12345678");
    cr_assert_eq(qr__memory_room_need(root, 0), 10);
    cr_assert_eq(qr__memory_room_need(root, 400), 500);
    cr_assert_eq(qr__memory_room_need("/nonexistent", 4), 5);
    cr_assert_eq(qr__memory_room_need("/nonexistent", UINT64_MAX), UINT64_MAX);
}
