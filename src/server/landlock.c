/* server/landlock.c: the kernel's three calls. Its header of Debian 12 knows only the first
 * versions, so the numbers stand here: they are the kernel's ABI and do not change. */
#include "server/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define GET_VERSION  1u /* a flag of landlock_create_ruleset */
#define PATH_BENEATH 1  /* a kind of rule */
#define CONNECT_TCP  (1ull << 1)

/* Rights to files, in the order of their bits. */
enum {
    EXECUTE,
    WRITE_FILE,
    READ_FILE,
    READ_DIR,
    REMOVE_DIR,
    REMOVE_FILE,
    MAKE_CHAR,
    MAKE_DIR,
    MAKE_REG,
    MAKE_SOCK,
    MAKE_FIFO,
    MAKE_BLOCK,
    MAKE_SYM,
    REFER,    /* from version 2 on */
    TRUNCATE, /* from version 3 on */
    IOCTL_DEV /* from version 5 on */
};
#define BIT(right) (1ull << (right))

struct ruleset_attributes {
    uint64_t files, network;
};

struct path_beneath {
    uint64_t allowed;
    int32_t parent;
} __attribute__((packed));

static const uint64_t rights[] = {
    [QR__LANDLOCK_READ] = BIT(READ_FILE) | BIT(READ_DIR),
    [QR__LANDLOCK_WRITE] = BIT(READ_FILE) | BIT(READ_DIR) | BIT(WRITE_FILE) | BIT(TRUNCATE) |
                           BIT(MAKE_REG) | BIT(MAKE_DIR) | BIT(REMOVE_FILE) | BIT(REMOVE_DIR),
    [QR__LANDLOCK_SOCKET] = BIT(MAKE_SOCK) | BIT(REMOVE_FILE),
};
/* A rule on what is no folder may have no others. */
#define OF_FILES (BIT(READ_FILE) | BIT(WRITE_FILE) | BIT(TRUNCATE))

static uint64_t rights_of_version(int version) {
    int newest = version >= 5   ? IOCTL_DEV
                 : version >= 3 ? TRUNCATE
                 : version == 2 ? REFER
                                : MAKE_SYM;
    return BIT(newest + 1) - 1;
}

bool qr__landlock_begin(qr__landlock *out) {
    const long version = syscall(SYS_landlock_create_ruleset, NULL, 0, GET_VERSION);
    *out = (qr__landlock){.ruleset = -1};
    if (version < 0)
        return false;
    out->version = (int)version;
    out->handled = rights_of_version(out->version);
    struct ruleset_attributes attributes = {.files = out->handled};
    size_t bytes = sizeof attributes.files;
    if (version >= 4) {
        attributes.network = CONNECT_TCP;
        bytes = sizeof attributes;
    }
    out->ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes, bytes, 0);
    return out->ruleset >= 0;
}

static bool is_root(const struct stat *what) {
    struct stat root;
    return stat("/", &root) == 0 && what->st_dev == root.st_dev && what->st_ino == root.st_ino;
}

void qr__landlock_allow(qr__landlock *lock, const char *path, qr__landlock_right right) {
    struct stat what;
    int fd = open(path, O_PATH | O_CLOEXEC);
    if (fd < 0)
        return;
    struct path_beneath rule = {.allowed = rights[right] & lock->handled, .parent = fd};
    const bool told = fstat(fd, &what) == 0;
    if (told && !S_ISDIR(what.st_mode))
        rule.allowed &= OF_FILES;
    if (told && !is_root(&what) &&
        syscall(SYS_landlock_add_rule, lock->ruleset, PATH_BENEATH, &rule, 0) == 0)
        lock->allowed++;
    close(fd);
}

bool qr__landlock_enforce(qr__landlock *lock) {
    bool enforced = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                    syscall(SYS_landlock_restrict_self, lock->ruleset, 0) == 0;
    int why = errno;
    close(lock->ruleset);
    lock->ruleset = -1;
    errno = why;
    return enforced;
}
