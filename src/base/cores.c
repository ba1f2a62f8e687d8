/* base/cores.c: affinity mask and cgroup quotas (v2 cpu.max, v1 cpu.cfs_quota_us). */
#include "base/cores.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cgroup.h"
#include "base/file.h"

static bool read_file(const char *dir, const char *name, char *out, size_t bytes) {
    char path[QR_PATH_BYTES];
    return qr_file_join(dir, name, path, sizeof path) && qr_file_read_small(path, out, bytes);
}

/* Cores that quota/period microseconds amount to; 0 for none. */
static double quota_v2(const char *dir) {
    char text[128];
    if (!read_file(dir, "cpu.max", text, sizeof text))
        return 0;
    char *rest;
    long long quota = strtoll(text, &rest, 10); /* "max 100000" has no number in front */
    long long period = rest == text ? 0 : strtoll(rest, NULL, 10);
    return quota > 0 && period > 0 ? (double)quota / (double)period : 0;
}

static double quota_v1(const char *dir) {
    char quota_text[64], period_text[64];
    if (!read_file(dir, "cpu.cfs_quota_us", quota_text, sizeof quota_text) ||
        !read_file(dir, "cpu.cfs_period_us", period_text, sizeof period_text))
        return 0;
    long long quota = strtoll(quota_text, NULL, 10), period = strtoll(period_text, NULL, 10);
    return quota > 0 && period > 0 ? (double)quota / (double)period : 0;
}

/* The smallest of all groups binds. */
static void take_smallest(void *smallest, unsigned version, const char *dir) {
    double *so_far = smallest;
    double q = version == 2 ? quota_v2(dir) : quota_v1(dir);
    if (q > 0 && (*so_far == 0 || q < *so_far))
        *so_far = q;
}

qr_cores qr_cores_read(const char *root, int mask) {
    qr_cores found = {.mask = mask, .usable = mask};
    qr_cgroup_walk(root, "cpu", take_smallest, &found.quota);
    found.throttled = found.quota > 0 && found.quota < mask;
    if (found.throttled)
        found.usable = (int)found.quota;
    if (found.usable < 1)
        found.usable = 1;
    return found;
}

qr_cores qr_cores_find(void) {
    cpu_set_t mask;
    return qr_cores_read("", sched_getaffinity(0, sizeof mask, &mask) == 0 ? CPU_COUNT(&mask) : 1);
}
