/* engine/model/new_dir.c: made under a name that nobody looks for; renamed when all is on disk. */
#include "engine/model/new_dir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MODE   0644 /* less the umask, as a user's own files */
#define FOLDER_MODE 0755

static qr_status fault(const qr__new_dir *dir, const char *what, qr_error *error) {
    return qr_error_set(error, QR_IO, "%s: %s: %s", dir->path, what, strerror(errno));
}

static qr_status refuse_taken(const qr__new_dir *dir, qr_error *error) {
    return qr_error_set(error, QR_BAD_OPTION,
                        "%s: is there already (give a new directory, or an empty one)", dir->path);
}

/* Whether nothing is there, or a directory without an entry. */
static bool is_free(const char *path) {
    struct stat about;
    if (lstat(path, &about) != 0)
        return errno == ENOENT;
    DIR *open = S_ISDIR(about.st_mode) ? opendir(path) : NULL;
    if (open == NULL)
        return false;
    bool empty = true;
    for (struct dirent *entry = readdir(open); empty && entry != NULL; entry = readdir(open))
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    closedir(open);
    return empty;
}

qr_status qr__new_dir_open(qr__new_dir *dir, const char *path, qr_error *error) {
    size_t len = strlen(path);
    *dir = (qr__new_dir){.fd = -1};
    while (len > 1 && path[len - 1] == '/')
        len--;
    if (len == 0 || len + 32 > sizeof dir->path)
        return qr_error_set(error, QR_BAD_OPTION, "`%.200s` is no name of a directory", path);
    memcpy(dir->path, path, len);
    if (!is_free(dir->path))
        return refuse_taken(dir, error);
    qr_random random;
    qr_random_init(&random);
    int used = snprintf(dir->fresh, sizeof dir->fresh, "%.*s.%016jx", (int)len, path,
                        (uintmax_t)qr_random_next(&random));
    if (used < 0 || (size_t)used >= sizeof dir->fresh || mkdir(dir->fresh, FOLDER_MODE) != 0) {
        dir->fresh[0] = '\0'; /* not ours to remove */
        return fault(dir, "cannot be made", error);
    }
    dir->fd = open(dir->fresh, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return dir->fd < 0 ? fault(dir, "cannot be made", error) : QR_OK;
}

/* Before it is made, so that nothing stays behind. */
static qr_status note(qr__new_dir *dir, const char *name, qr_error *error) {
    if (dir->len == QR__NEW_DIR_ENTRIES || strlen(name) >= sizeof dir->made[0])
        return qr_error_set(error, QR_INTERNAL, "%s: no room for the name %.100s", dir->path, name);
    snprintf(dir->made[dir->len++], sizeof dir->made[0], "%s", name);
    return QR_OK;
}

qr_status qr__new_dir_folder(qr__new_dir *dir, const char *name, qr_error *error) {
    qr_status status = note(dir, name, error);
    if (status == QR_OK && mkdirat(dir->fd, name, FOLDER_MODE) != 0)
        status = fault(dir, name, error);
    return status;
}

qr_status qr__new_dir_begin(qr__new_dir *dir, const char *name, int *fd, qr_error *error) {
    qr_status status = note(dir, name, error);
    *fd = -1;
    if (status == QR_OK) {
        *fd =
            openat(dir->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
        if (*fd < 0)
            status = fault(dir, name, error);
    }
    return status;
}

qr_status qr__new_dir_put(qr__new_dir *dir, int fd, const void *data, size_t bytes,
                          qr_error *error) {
    for (size_t done = 0; done < bytes;) {
        ssize_t n = write(fd, (const char *)data + done, bytes - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return fault(dir, "cannot be written", error);
        done += (size_t)n;
    }
    return QR_OK;
}

/* A full disk may show only here. */
qr_status qr__new_dir_end(qr__new_dir *dir, int fd, qr_error *error) {
    bool whole = fsync(fd) == 0;
    if (close(fd) == 0 && whole)
        return QR_OK;
    return fault(dir, "cannot be written", error);
}

static qr_status write_bytes(qr__new_dir *dir, const char *name, const char *data, size_t bytes,
                             qr_error *error) {
    int fd;
    qr_status status = qr__new_dir_begin(dir, name, &fd, error);
    if (status != QR_OK)
        return status;
    status = qr__new_dir_put(dir, fd, data, bytes, error);
    qr_status ended = qr__new_dir_end(dir, fd, status == QR_OK ? error : NULL);
    return status == QR_OK ? ended : status;
}

qr_status qr__new_dir_write(qr__new_dir *dir, const char *name, const qr_buf *contents,
                            qr_error *error) {
    if (qr_buf_failed(contents))
        return qr_error_set(error, QR_NO_MEMORY, "%s: no memory for %s", dir->path, name);
    return write_bytes(dir, name, contents->data, contents->len, error);
}

qr_status qr__new_dir_copy(qr__new_dir *dir, const char *name, const char *from, bool *copied,
                           qr_error *error) {
    char path[QR_PATH_BYTES];
    char *data = NULL;
    size_t bytes = 0;
    *copied = qr_file_exists(from, name);
    if (!*copied)
        return QR_OK;
    if (!qr_file_join(from, name, path, sizeof path))
        return qr_error_set(error, QR_BAD_MODEL, "%.200s...: the path is too long", from);
    qr_status status = qr_file_read(path, QR_LIMIT_JSON_FILE_BYTES, &data, &bytes, error);
    if (status == QR_OK)
        status = write_bytes(dir, name, data, bytes, error);
    free(data);
    return status;
}

/* rename(2) puts it in an empty directory's place, and fails where that is no longer empty. */
qr_status qr__new_dir_commit(qr__new_dir *dir, qr_error *error) {
    (void)fsync(dir->fd); /* without it a crash may lose the directory, never half of it */
    if (rename(dir->fresh, dir->path) == 0) {
        dir->fresh[0] = '\0';
        return QR_OK;
    }
    if (errno == ENOTEMPTY || errno == EEXIST || errno == ENOTDIR)
        return refuse_taken(dir, error);
    return fault(dir, "cannot take its name", error);
}

void qr__new_dir_close(qr__new_dir *dir) {
    while (dir->fresh[0] != '\0' && dir->len > 0) {
        const char *name = dir->made[--dir->len];
        if (unlinkat(dir->fd, name, 0) != 0)
            (void)unlinkat(dir->fd, name, AT_REMOVEDIR);
    }
    if (dir->fresh[0] != '\0')
        (void)rmdir(dir->fresh);
    if (dir->fd >= 0)
        close(dir->fd);
    *dir = (qr__new_dir){.fd = -1};
}
