/* base/cgroup.c: the lines of /proc/self/cgroup, and the directories that they stand for. */
#include "base/cgroup.h"

#include <stdio.h>

#include "base/file.h"

#define FILE_BYTES (16u << 10)

/* Whether a list such as "cpu,cpuacct" has it. */
static bool has_controller(qr_text list, const char *controller) {
    while (list.len > 0) {
        const char *comma = memchr(list.data, ',', list.len);
        size_t len = comma == NULL ? list.len : (size_t)(comma - list.data);
        if (qr_text_is((qr_text){list.data, len}, controller))
            return true;
        size_t skip = len + (comma != NULL);
        list = (qr_text){list.data + skip, list.len - skip};
    }
    return false;
}

/* From the path below `mount` up to the mount itself. */
static void walk_up(const char *mount, qr_text path, unsigned version, qr_cgroup_look *look,
                    void *state) {
    char dir[QR_PATH_BYTES];
    int len = (int)(path.len == 1 ? 0 : path.len); /* "/" is the mount */
    int n = snprintf(dir, sizeof dir, "%s%.*s", mount, len, path.data);
    if (n < 0 || (size_t)n >= sizeof dir)
        return;
    for (;;) {
        look(state, version, dir);
        char *slash = strrchr(dir, '/');
        if (slash == NULL || (size_t)(slash - dir) < strlen(mount))
            return;
        *slash = '\0';
    }
}

/* One line: "0::/path" of version 2, or "4:cpu,cpuacct:/path" of version 1. */
static void look_at_line(const char *root, qr_text line, const char *controller,
                         qr_cgroup_look *look, void *state) {
    const char *first = memchr(line.data, ':', line.len);
    size_t left = first == NULL ? 0 : line.len - (size_t)(first + 1 - line.data);
    const char *second = left == 0 ? NULL : memchr(first + 1, ':', left);
    if (second == NULL)
        return;
    const qr_text number = {line.data, (size_t)(first - line.data)};
    const qr_text list = {first + 1, (size_t)(second - first - 1)};
    const qr_text path = {second + 1, left - list.len - 1};
    bool v2 = list.len == 0 && qr_text_is(number, "0");
    if (path.len == 0 || path.data[0] != '/' || (!v2 && !has_controller(list, controller)))
        return;
    char mount[QR_PATH_BYTES];
    int n = snprintf(mount, sizeof mount, "%s/sys/fs/cgroup%s%s", root, v2 ? "" : "/",
                     v2 ? "" : controller);
    if (n > 0 && (size_t)n < sizeof mount)
        walk_up(mount, path, v2 ? 2 : 1, look, state);
}

void qr_cgroup_walk(const char *root, const char *controller, qr_cgroup_look *look, void *state) {
    char path[QR_PATH_BYTES], text[FILE_BYTES];
    int n = snprintf(path, sizeof path, "%s/proc/self/cgroup", root);
    if (n < 0 || (size_t)n >= sizeof path || !qr_file_read_small(path, text, sizeof text))
        return;
    for (const char *at = text; *at != '\0';) {
        size_t bytes = strcspn(at, "\n");
        look_at_line(root, (qr_text){at, bytes}, controller, look, state);
        at += bytes + (at[bytes] == '\n');
    }
}
