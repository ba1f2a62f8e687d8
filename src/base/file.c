/* base/file.c: open, check that it is a regular file of a sane size, read it all. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

qr_status qr_file_read_at(int fd, size_t offset, void *to, size_t len) {
    size_t done = 0;
    while (done < len) {
        ssize_t n = pread(fd, (char *)to + done, len - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return QR_IO; /* an error, or the file was truncated meanwhile */
        done += (size_t)n;
    }
    return QR_OK;
}

static const char *denied_by = "Permission denied, though not by its mode (by a security module?)";

void qr_file_denied_by(const char *what) {
    denied_by = what;
}

/* Landlock and the like are asked when a file is opened, not when we ask whether it may be read. */
const char *qr_file_fault(const char *path, int why) {
    return why == EACCES && access(path, R_OK) == 0 ? denied_by : strerror(why);
}

static qr_status refuse_open(const char *path, int why, qr_error *error) {
    struct stat about;
    if (why == ENOENT && lstat(path, &about) == 0)
        return qr_error_set(error, QR_IO,
                            "%s: a symbolic link that leads nowhere (was what it leads to copied, "
                            "or mounted, as well?)",
                            path);
    return qr_error_set(error, QR_IO, "%s: %s", path, qr_file_fault(path, why));
}

qr_status qr_file_open(const char *path, size_t max_bytes, int *fd, size_t *bytes,
                       qr_error *error) {
    qr_status status = QR_OK;
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* NONBLOCK: a FIFO must not hang us */
    if (*fd < 0)
        return refuse_open(path, errno, error);
    struct stat about;
    if (fstat(*fd, &about) != 0 || !S_ISREG(about.st_mode)) {
        status = qr_error_set(error, QR_IO, "%s: not a regular file", path);
    } else if (about.st_size < 0 || (uintmax_t)about.st_size > max_bytes) {
        status =
            qr_error_set(error, QR_TOO_LARGE, "%s: %jd bytes are more than the %zu that are read",
                         path, (intmax_t)about.st_size, max_bytes);
    } else {
        if ((about.st_mode & (S_IWGRP | S_IWOTH)) != 0)
            qr_log(QR_LOG_DEBUG, "%s: writable by group or others", path);
        *bytes = (size_t)about.st_size;
    }
    if (status != QR_OK) {
        close(*fd);
        *fd = -1;
    }
    return status;
}

qr_status qr_file_read(const char *path, size_t max_bytes, char **data, size_t *len,
                       qr_error *error) {
    char *contents = NULL;
    size_t bytes = 0;
    int fd = -1;
    *data = NULL;
    *len = 0;
    qr_status status = qr_file_open(path, max_bytes, &fd, &bytes, error);
    if (status != QR_OK)
        return status;
    contents = malloc(bytes + 1);
    if (contents == NULL) {
        status = qr_error_set(error, QR_NO_MEMORY, "%s: no memory for %zu bytes", path, bytes);
        goto done;
    }
    status = qr_file_read_at(fd, 0, contents, bytes);
    if (status != QR_OK) {
        qr_error_set(error, status, "%s: could not be read whole (truncated meanwhile?)", path);
        goto done;
    }
    contents[bytes] = '\0';
    *data = contents;
    *len = bytes;
    contents = NULL;
done:
    free(contents);
    close(fd);
    return status;
}

bool qr_file_read_small(const char *path, char *out, size_t bytes) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    size_t len = 0;
    ssize_t n;
    while ((n = read(fd, out + len, bytes - 1 - len)) > 0) /* none when it is full */
        len += (size_t)n;
    close(fd);
    out[len] = '\0';
    return len > 0;
}

bool qr_file_join(const char *dir, const char *name, char *out, size_t out_bytes) {
    int n = snprintf(out, out_bytes, "%s/%s", dir, name);
    return n >= 0 && (size_t)n < out_bytes;
}

bool qr_file_parent(const char *path, char *out, size_t out_bytes) {
    const char *slash = strrchr(path, '/');
    const char *last = slash == NULL ? path : slash + 1;
    if (strcmp(last, ".") == 0 || strcmp(last, "..") == 0)
        return qr_file_join(path, "..", out, out_bytes);
    size_t len = slash == NULL ? 0 : (size_t)(slash - path);
    while (len > 0 && path[len - 1] == '/')
        len--; /* "a//b" */
    const char *folder = slash == NULL ? "." : len == 0 ? "/" : path;
    int n = snprintf(out, out_bytes, "%.*s", len == 0 ? 1 : (int)len, folder);
    return n >= 0 && (size_t)n < out_bytes;
}

bool qr_file_exists(const char *dir, const char *name) {
    char path[QR_PATH_BYTES];
    struct stat about;
    if (!qr_file_join(dir, name, path, sizeof path))
        return false;
    return lstat(path, &about) == 0 || (errno != ENOENT && errno != ENOTDIR);
}
