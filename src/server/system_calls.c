/* server/system_calls.c: the list.
 *
 * It has what the C library may use for what we do, also in newer versions and on other machines,
 * not only what a trace of this one shows. What it leaves out is what serving never does: programs
 * and processes (execve, fork), sockets of its own (socket, connect, bind), looking into other
 * processes (ptrace, process_vm_readv), namespaces and mounts, modules, bpf, io_uring, userfaultfd,
 * keys, changing owners, modes, users or the clock. */
#include "server/system_calls.h"

#include <errno.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>

static const char *const allowed[] = {
    /* memory */
    "brk", "mmap", "mmap2", "munmap", "mprotect", "mremap", "madvise", "mincore", "mbind",
    "get_mempolicy", "set_mempolicy", "membarrier", "mlock", "munlock",
    /* open files */
    "read", "readv", "pread64", "preadv", "preadv2", "write", "writev", "pwrite64", "pwritev",
    "pwritev2", "close", "close_range", "dup", "dup2", "dup3", "fcntl", "fcntl64", "lseek",
    "_llseek", "ftruncate", "ftruncate64", "fallocate", "fadvise64", "fsync", "fdatasync", "flock",
    "pipe", "pipe2", "eventfd", "eventfd2", "memfd_create",
    /* files by name: which ones is Landlock's */
    "open", "openat", "openat2", "stat", "stat64", "lstat", "lstat64", "fstat", "fstat64",
    "newfstatat", "fstatat64", "statx", "statfs", "statfs64", "fstatfs", "fstatfs64", "access",
    "faccessat", "faccessat2", "readlink", "readlinkat", "getdents64", "getcwd", "mkdir", "mkdirat",
    "rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir", "umask",
    /* sockets that are there, and those that are accepted */
    "accept", "accept4", "recvfrom", "recvmsg", "recvmmsg", "sendto", "sendmsg", "sendmmsg",
    "sendfile", "shutdown", "getsockopt", "setsockopt", "getsockname", "getpeername",
    /* waiting */
    "epoll_create", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2",
    "poll", "ppoll", "select", "pselect6", "nanosleep", "clock_nanosleep", "futex", "futex_time64",
    "futex_waitv", "sched_yield", "restart_syscall",
    /* time */
    "clock_gettime", "clock_gettime64", "clock_getres", "gettimeofday", "time", "times",
    "timerfd_create", "timerfd_settime", "timerfd_gettime",
    /* threads and signals; clone has a rule of its own */
    "set_robust_list", "get_robust_list", "rseq", "set_tid_address", "gettid", "exit",
    "sched_getaffinity", "sched_setaffinity", "sched_getparam", "sched_getscheduler",
    "sched_getattr", "getpriority", "setpriority", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn",
    "rt_sigpending", "rt_sigsuspend", "rt_sigtimedwait", "sigaltstack", "sigreturn", "tgkill",
    /* the process */
    "exit_group", "getpid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getrusage",
    "getrlimit", "ugetrlimit", "prlimit64", "prctl", "arch_prctl", "uname", "sysinfo", "getcpu",
    "getrandom"};

static int allow_all(scmp_filter_ctx filter) {
    int result = 0;
    for (size_t i = 0; result == 0 && i < sizeof allowed / sizeof allowed[0]; i++) {
        const int call = seccomp_syscall_resolve_name(allowed[i]);
        if (call >= 0) /* else this machine has none of that name */
            result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 0);
    }
    return result;
}

/* Threads, not processes. clone3 has its flags in memory, where no filter sees them; whoever does
 * not find it takes clone. */
static int allow_threads(scmp_filter_ctx filter) {
    return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
                            SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
}

/* Of devices only what libraries ask of descriptors: a terminal's ioctl could type commands into
 * the shell behind it. */
static int allow_questions(scmp_filter_ctx filter) {
    static const uint32_t questions[] = {FIONREAD, TIOCOUTQ, FIONBIO, FIOCLEX, FIONCLEX, TCGETS};
    int result = 0;
    for (size_t i = 0; result == 0 && i < sizeof questions / sizeof questions[0]; i++)
        result = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
                                  SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, questions[i]));
    return result;
}

static int forbid_rings(scmp_filter_ctx filter) {
    return seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(io_uring_setup), 0);
}

static int allow_listed(scmp_filter_ctx filter) {
    int result = allow_all(filter);
    if (result == 0)
        result = allow_threads(filter);
    if (result == 0)
        result = allow_questions(filter);
    return result;
}

/* In all threads. `otherwise` is for the calls that have no rule. */
static int load_filter(uint32_t otherwise, int (*add_rules)(scmp_filter_ctx filter)) {
    scmp_filter_ctx filter = seccomp_init(otherwise);
    if (filter == NULL)
        return ENOMEM;
    int result = seccomp_attr_set(filter, SCMP_FLTATR_CTL_TSYNC, 1);
    /* A kernel before 5.16 turns branch prediction down for who is filtered, unless told that no
     * secrets of other filters are at stake. */
    if (result == 0)
        (void)seccomp_attr_set(filter, SCMP_FLTATR_CTL_SSB, 1);
    if (result == 0)
        result = add_rules(filter);
    if (result == 0)
        result = seccomp_load(filter);
    seccomp_release(filter);
    return -result;
}

int qr__system_calls_no_rings(void) {
    return load_filter(SCMP_ACT_ALLOW, forbid_rings);
}

int qr__system_calls_restrict(void) {
    return load_filter(SCMP_ACT_ERRNO(ENOSYS), allow_listed);
}
