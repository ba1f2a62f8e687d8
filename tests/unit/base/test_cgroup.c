/* Which directories a walk through the control groups looks at, and in which order. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "base/cgroup.h"
#include "base/fake_tree.h"

TestSuite(cgroup, .init = fake_tree_create, .fini = fake_tree_remove);

/* "2:/pod 2: " for a version and its directory below /sys/fs/cgroup. */
static void note(void *state, unsigned version, const char *dir) {
    char *seen = state;
    size_t len = strlen(seen), mount = strlen(fake_tree) + strlen("/sys/fs/cgroup");
    cr_assert(strncmp(dir, fake_tree, strlen(fake_tree)) == 0 && strlen(dir) >= mount, "%s", dir);
    snprintf(seen + len, 1000 - len, "%u:%s ", version, dir + mount);
}

static void expect(const char *controller, const char *groups, const char *seen) {
    char found[1000] = "";
    fake_tree_put("proc/self/cgroup", groups);
    qr_cgroup_walk(fake_tree, controller, note, found);
    cr_expect_str_eq(found, seen);
}

Test(cgroup, the_own_one_then_those_above) {
    expect("cpu", "0::/\n", "2: ");
    expect("cpu", "0::/kube/pod\n", "2:/kube/pod 2:/kube 2: ");
    expect("cpu", "0::/kube/pod", "2:/kube/pod 2:/kube 2: ");
}

Test(cgroup, of_version_1_are_those_of_the_controller) {
    const char *groups = "9:memory:/m\n5:cpuset:/x\n4:cpu,cpuacct:/a\n3:net_cls,cpu:/b\n";
    expect("cpu", groups, "1:/cpu/a 1:/cpu 1:/cpu/b 1:/cpu ");
    expect("memory", groups, "1:/memory/m 1:/memory ");
    expect("pids", groups, "");
}

Test(cgroup, of_both_versions) {
    expect("memory", "1:name=systemd:/s\n4:memory:/a\n0::/b\n", "1:/memory/a 1:/memory 2:/b 2: ");
}

Test(cgroup, a_path_may_have_colons) {
    expect("cpu", "0::/a:b:cpu:/c\n", "2:/a:b:cpu:/c 2:/a:b:cpu: 2: ");
}

Test(cgroup, garbage_is_skipped) {
    expect("cpu", "", "");
    expect("cpu", "\n\nno colons\n:\n::\n0:\n0::\n0::relative\n:::/x\n7::/named\n4:cpu\n4:cpu:\n",
           "");
    expect("cpu", "garbage\n0::/a\n", "2:/a 2: ");
}

Test(cgroup, a_path_that_is_too_long_is_skipped) {
    char groups[9000];
    snprintf(groups, sizeof groups, "0::/%05000d\n4:cpu:/a\n", 0);
    expect("cpu", groups, "1:/cpu/a 1:/cpu ");
}

Test(cgroup, without_the_file_there_is_none) {
    char found[1000] = "";
    qr_cgroup_walk("/nonexistent", "cpu", note, found);
    cr_expect_str_eq(found, "");
}

/* The kernel's own file says that it has no bytes. */
static void count(void *state, unsigned version, const char *dir) {
    (void)version;
    (void)dir;
    ++*(int *)state;
}

Test(cgroup, the_systems_own_are_found_where_there_are_any) {
    int found = 0, lines = 0;
    FILE *file = fopen("/proc/self/cgroup", "r");
    char line[4096];
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        lines += strncmp(line, "0::/", 4) == 0;
    if (file != NULL)
        fclose(file);
    qr_cgroup_walk("", "cpu", count, &found);
    cr_expect_geq(found, lines);
}
