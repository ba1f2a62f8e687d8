/* base/cores.c: affinity mask and cgroup quotas (v2 cpu.max, v1 cpu.cfs_quota_us).
 *
 * The quota that binds is the smallest on the path from this process's own cgroup to the root, so
 * each ancestor is asked. Inside a container the path is usually "/", and the limit stands in the
 * mount's root. */
#include "base/cores.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

#define PATH_MAX_ 1024

/* Cores that quota/period microseconds amount to; 0 for none. */
static double quota_v2(const char *dir) {
    char path[PATH_MAX_ + 32], text[128];
    snprintf(path, sizeof path, "%s/cpu.max", dir);
    if (!qr_file_read_small(path, text, sizeof text))
        return 0;
    char *rest;
    long long quota = strtoll(text, &rest, 10); /* "max 100000" has no number in front */
    long long period = rest == text ? 0 : strtoll(rest, NULL, 10);
    return quota > 0 && period > 0 ? (double)quota / (double)period : 0;
}

static double quota_v1(const char *dir) {
    char path[PATH_MAX_ + 32], quota_text[64], period_text[64];
    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", dir);
    if (!qr_file_read_small(path, quota_text, sizeof quota_text))
        return 0;
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", dir);
    if (!qr_file_read_small(path, period_text, sizeof period_text))
        return 0;
    long long quota = strtoll(quota_text, NULL, 10), period = strtoll(period_text, NULL, 10);
    return quota > 0 && period > 0 ? (double)quota / (double)period : 0;
}

/* The smallest quota from `path` below `mount` up to the mount itself. */
static double smallest_quota(const char *mount, const char *path, double (*quota)(const char *)) {
    char dir[PATH_MAX_];
    double smallest = 0;
    int n = snprintf(dir, sizeof dir, "%s%s", mount, strcmp(path, "/") == 0 ? "" : path);
    if (n < 0 || (size_t)n >= sizeof dir)
        return 0;
    for (;;) {
        double q = quota(dir);
        if (q > 0 && (smallest == 0 || q < smallest))
            smallest = q;
        char *slash = strrchr(dir, '/');
        if (slash == NULL || (size_t)(slash - dir) < strlen(mount))
            return smallest;
        *slash = '\0';
    }
}

static bool has_cpu(const char *controllers) {
    return strcmp(controllers, "cpu") == 0 || strncmp(controllers, "cpu,", 4) == 0 ||
           strstr(controllers, ",cpu,") != NULL ||
           (strlen(controllers) > 4 && strcmp(controllers + strlen(controllers) - 4, ",cpu") == 0);
}

/* One line of /proc/self/cgroup: "0::/path" (v2) or "4:cpu,cpuacct:/path" (v1). */
static double quota_of_line(const char *root, char *line) {
    char mount[PATH_MAX_];
    char *controllers = strchr(line, ':');
    char *path = controllers == NULL ? NULL : strchr(controllers + 1, ':');
    if (path == NULL)
        return 0;
    *path++ = '\0';
    controllers++;
    if (controllers[0] != '\0' && !has_cpu(controllers))
        return 0;
    int n = snprintf(mount, sizeof mount, "%s/sys/fs/cgroup%s", root,
                     controllers[0] == '\0' ? "" : "/cpu");
    if (n < 0 || (size_t)n >= sizeof mount)
        return 0;
    return smallest_quota(mount, path, controllers[0] == '\0' ? quota_v2 : quota_v1);
}

static double cgroup_quota(const char *root) {
    char path[PATH_MAX_], text[8192];
    double smallest = 0;
    int n = snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    if (n < 0 || (size_t)n >= sizeof path || !qr_file_read_small(path, text, sizeof text))
        return 0;
    char *save = NULL;
    for (char *line = strtok_r(text, "\n", &save); line != NULL;
         line = strtok_r(NULL, "\n", &save)) {
        double q = quota_of_line(root, line);
        if (q > 0 && (smallest == 0 || q < smallest))
            smallest = q;
    }
    return smallest;
}

qr_cores qr_cores_read(const char *root, int mask) {
    qr_cores found = {.mask = mask, .quota = cgroup_quota(root), .usable = mask};
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
