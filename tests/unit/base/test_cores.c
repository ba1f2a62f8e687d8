/* Cores of a mask and of cgroups: by files as Linux writes them, in a directory of the test's. */
#include <criterion/criterion.h>

#include "base/cores.h"
#include "base/fake_tree.h"

TestSuite(cores, .init = fake_tree_create, .fini = fake_tree_remove);

static void expect(int mask, double quota, int usable, bool throttled) {
    qr_cores found = qr_cores_read(fake_tree, mask);
    cr_expect_eq(found.mask, mask);
    cr_expect_eq(found.quota, quota, "quota %f, not %f", found.quota, quota);
    cr_expect_eq(found.usable, usable, "usable %d, not %d", found.usable, usable);
    cr_expect_eq(found.throttled, throttled);
}

static void put_v2(const char *max) {
    fake_tree_put("proc/self/cgroup", "0::/pod\n");
    fake_tree_put("sys/fs/cgroup/pod/cpu.max", max);
}

Test(cores, without_cgroups_are_those_of_the_mask) {
    expect(4, 0, 4, false);
    expect(0, 0, 1, false);
}

Test(cores, of_v2) {
    put_v2("max 100000\n");
    expect(4, 0, 4, false);
    put_v2("200000 100000\n");
    expect(4, 2, 2, true);
    expect(2, 2, 2, false); /* quota = mask, as with a static CPU manager: spins */
    expect(1, 2, 1, false);
}

Test(cores, are_rounded_down_but_one_at_least) {
    put_v2("250000 100000\n");
    expect(4, 2.5, 2, true);
    put_v2("50000 100000\n");
    expect(1, 0.5, 1, true);
}

Test(cores, of_garbage_are_those_of_the_mask) {
    static const char *const garbage[] = {
        "", "\n", "x", "100000", "0 100000", "100000 0", "-5 100000", "5x 100000", "100000 -1"};
    for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
        put_v2(garbage[i]);
        expect(4, 0, 4, false);
    }
    put_v2("100000 100000\n");
    fake_tree_put("proc/self/cgroup", "no colons\n::\n0:\n");
    expect(4, 0, 4, false);
}

Test(cores, of_nested_groups_are_those_of_the_smallest) {
    fake_tree_put("proc/self/cgroup", "0::/kube/pod/box\n");
    fake_tree_put("sys/fs/cgroup/kube/cpu.max", "300000 100000\n");
    fake_tree_put("sys/fs/cgroup/kube/pod/cpu.max", "150000 100000\n");
    fake_tree_put("sys/fs/cgroup/kube/pod/box/cpu.max", "max 100000\n");
    expect(8, 1.5, 1, true);
    fake_tree_put("sys/fs/cgroup/cpu.max",
                  "100000 100000\n"); /* a container's, whose path is another's */
    expect(8, 1, 1, true);
}

Test(cores, of_v1) {
    fake_tree_put("proc/self/cgroup", "5:cpuset:/other\n4:cpu,cpuacct:/kube/pod\n");
    fake_tree_put("sys/fs/cgroup/cpu/kube/pod/cpu.cfs_quota_us", "-1\n");
    fake_tree_put("sys/fs/cgroup/cpu/kube/pod/cpu.cfs_period_us", "100000\n");
    expect(4, 0, 4, false);
    fake_tree_put("sys/fs/cgroup/cpu/kube/cpu.cfs_quota_us", "300000\n");
    fake_tree_put("sys/fs/cgroup/cpu/kube/cpu.cfs_period_us", "100000\n");
    expect(4, 3, 3, true);
    fake_tree_put("proc/self/cgroup", "4:cpuacct,cpu:/kube/pod\n");
    expect(4, 3, 3, true);
    fake_tree_put("proc/self/cgroup", "4:cpuset:/kube/pod\n");
    expect(4, 0, 4, false);
}

Test(cores, of_hybrid_groups_are_those_of_either) {
    fake_tree_put("proc/self/cgroup", "1:cpu:/a\n0::/a\n");
    fake_tree_put("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "200000\n");
    fake_tree_put("sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000\n");
    expect(4, 2, 2, true);
}
