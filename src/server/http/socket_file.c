/* server/http/socket_file.c: a UNIX socket takes its path, and gives it back. */
#include "server/http/socket_file.h"

#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define SUFFIX_BYTES 12 /* ".4194304" and its NUL: the process's id, the other name's end */
#define PATH_BYTES   (sizeof(((struct sockaddr_un *)NULL)->sun_path) - SUFFIX_BYTES)
#define GROUP_BYTES  16384

/* The number of a group; QR_BAD_OPTION: there is none. */
static qr_status find_group(const char *name, const char *source, gid_t *out, qr_error *error) {
    uint64_t number;
    struct group group, *found = NULL;
    *out = (gid_t)-1;
    if (name == NULL)
        return QR_OK;
    if (qr_text_to_u64(qr_text_of(name), INT32_MAX, &number)) {
        *out = (gid_t)number;
        return QR_OK;
    }
    char *names = malloc(GROUP_BYTES);
    if (names == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "out of memory while looking for a group");
    int failed = getgrnam_r(name, &group, names, GROUP_BYTES, &found);
    if (found != NULL)
        *out = group.gr_gid;
    free(names);
    if (found != NULL)
        return QR_OK;
    return qr_error_set(error, QR_BAD_OPTION, "%s %.100s: no such group%s%s", source, name,
                        failed == 0 ? "" : ": ", failed == 0 ? "" : strerror(failed));
}

static qr_status refuse(const qr__socket_file *file, const char *why, qr_error *error) {
    return qr_error_set(error, QR_IO, "%s %s: %s", file->path_source, file->path, why);
}

static void fill_address(const char *path, struct sockaddr_un *out) {
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(out->sun_path, path, strlen(path) + 1);
}

/* Whether somebody listens there: then a connection is made, or the backlog is full. A socket that
 * we may not write to may be alive. */
static bool is_alive(const char *path) {
    struct sockaddr_un address;
    fill_address(path, &address);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool alive = fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof address) == 0 ||
                 (errno != ECONNREFUSED && errno != ENOENT);
    if (fd >= 0)
        close(fd);
    return alive;
}

static qr_status check_path(const qr__socket_file *file, qr_error *error) {
    struct stat there;
    if (lstat(file->path, &there) != 0)
        return errno == ENOENT ? QR_OK : refuse(file, strerror(errno), error);
    if (!S_ISSOCK(there.st_mode))
        return refuse(file, "is there, and no socket; remove it or name another path", error);
    return is_alive(file->path) ? refuse(file, "another server listens there", error) : QR_OK;
}

/* The directory in which the socket and its other name will stand. */
static qr_status check_directory(const qr__socket_file *file, qr_error *error) {
    char directory[PATH_BYTES + 3]; /* "/.." */
    if (!qr_file_parent(file->path, directory, sizeof directory) ||
        access(directory, W_OK | X_OK) == 0)
        return QR_OK;
    return qr_error_set(error, QR_IO, "%s %s: cannot write to directory %s: %s", file->path_source,
                        file->path, directory, strerror(errno));
}

qr_status qr__socket_file_check(qr__socket_file *file, const char *group, const char *group_source,
                                qr_error *error) {
    if (strlen(file->path) >= PATH_BYTES)
        return qr_error_set(error, QR_BAD_OPTION,
                            "%s %.200s: longer than the %zu bytes that a socket's path can have",
                            file->path_source, file->path, PATH_BYTES - 1);
    qr_status status = find_group(group, group_source, &file->group, error);
    if (status == QR_OK)
        status = check_directory(file, error);
    return status == QR_OK ? check_path(file, error) : status;
}

/* Nobody can connect before listen(), which comes behind mode and group. */
static bool publish(qr__socket_file *file, int fd, const char *other, int backlog) {
    struct sockaddr_un address;
    struct stat made;
    fill_address(other, &address);
    (void)unlink(other); /* of a process that had our id, and is gone */
    if (bind(fd, (const struct sockaddr *)&address, sizeof address) != 0)
        return false;
    if (chmod(other, file->mode) == 0 &&
        (file->group == (gid_t)-1 || chown(other, (uid_t)-1, file->group) == 0) &&
        lstat(other, &made) == 0 && listen(fd, backlog) == 0 && rename(other, file->path) == 0) {
        file->device = made.st_dev;
        file->inode = made.st_ino;
        file->ours = true;
        return true;
    }
    int why = errno;
    (void)unlink(other);
    errno = why;
    return false;
}

qr_status qr__socket_file_open(qr__socket_file *file, int backlog, int *out, qr_error *error) {
    char other[PATH_BYTES + SUFFIX_BYTES];
    qr_status status = check_path(file, error); /* models were read meanwhile */
    if (status != QR_OK)
        return status;
    snprintf(other, sizeof other, "%s.%d", file->path, (int)getpid());
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || !publish(file, fd, other, backlog)) {
        status = refuse(file, strerror(errno), error);
        if (fd >= 0)
            close(fd);
        return status;
    }
    *out = fd;
    return QR_OK;
}

void qr__socket_file_remove(qr__socket_file *file) {
    struct stat there;
    if (file->ours && lstat(file->path, &there) == 0 && S_ISSOCK(there.st_mode) &&
        there.st_dev == file->device && there.st_ino == file->inode)
        (void)unlink(file->path);
    file->ours = false;
}
