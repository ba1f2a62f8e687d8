/* cli/output.c: write(2) until all is out. */
#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define MODE 0644 /* less the umask */

/* False: errno says why. */
static bool write_all(int fd, const qr_buf *out) {
    for (size_t done = 0; done < out->len;) {
        ssize_t n = write(fd, out->data + done, out->len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        done += (size_t)n;
    }
    return true;
}

static bool is_whole(const qr_buf *out) {
    if (qr_buf_failed(out))
        fprintf(stderr, "querent: no memory for the output\n");
    return !qr_buf_failed(out);
}

bool qr__cli_write(const qr_buf *out) {
    if (!is_whole(out))
        return false;
    if (write_all(STDOUT_FILENO, out))
        return true;
    fprintf(stderr, "querent: cannot write to stdout: %s\n", strerror(errno));
    return false;
}

/* Opens, writes, closes. False: errno says why. */
static bool write_path(const char *path, int flags, const qr_buf *out) {
    int fd = open(path, O_WRONLY | O_CLOEXEC | flags, MODE);
    if (fd < 0)
        return false;
    bool written = write_all(fd, out);
    int fault = errno;
    if (close(fd) != 0 && written) /* a full disk may show only here */
        return false;
    errno = fault;
    return written;
}

/* Into a new file beside it, which then takes its name. */
static bool replace(const char *path, const qr_buf *out) {
    char fresh[QR_PATH_BYTES];
    int len = snprintf(fresh, sizeof fresh, "%s.%ld.tmp", path, (long)getpid());
    if (len < 0 || (size_t)len >= sizeof fresh) {
        errno = ENAMETOOLONG;
        return false;
    }
    if (write_path(fresh, O_CREAT | O_EXCL, out) && rename(fresh, path) == 0)
        return true;
    int fault = errno;
    if (fault != EEXIST) /* else it is somebody else's */
        unlink(fresh);
    errno = fault;
    return false;
}

bool qr__cli_write_file(const char *path, const qr_buf *out) {
    if (!is_whole(out))
        return false;
    struct stat there;
    bool device = stat(path, &there) == 0 && !S_ISREG(there.st_mode); /* keeps its place */
    if (device ? write_path(path, 0, out) : replace(path, out))
        return true;
    fprintf(stderr, "querent: cannot write %s: %s\n", path, strerror(errno));
    return false;
}
