/* base/cgroup.h: the control groups that this process is in, and those above them.
 *
 *     static void look(void *state, unsigned version, const char *dir) {
 *         ... read DIR/cpu.max (version 2) or DIR/cpu.cfs_quota_us (version 1) ...
 *     }
 *     qr_cgroup_walk("", "cpu", look, &smallest);
 *
 * A limit of a group holds for all below it, so each ancestor is asked. Inside a container the path
 * is usually "/", and the limit stands in the mount's root. Threads: any. */
#ifndef QR_BASE_CGROUP_H
#define QR_BASE_CGROUP_H

/** Looks at one group; `dir` (borrowed for the call) is the directory of its files. */
typedef void qr_cgroup_look(void *state, unsigned version, const char *dir);

/** Calls `look` for every group that may limit `controller` ("cpu", "memory"): of version 2, and
 * that controller's of version 1, in the order of /proc/self/cgroup below `root` ("" is the
 * system's), each from the process's own group up to the mount's root. Lines that are none of the
 * kernel's are skipped; without the file nothing is called. */
void qr_cgroup_walk(const char *root, const char *controller, qr_cgroup_look *look, void *state);

#endif
