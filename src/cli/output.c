/* cli/output.c: write(2) until all is out. */
#include "cli/output.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

bool qr__cli_write(const qr_buf *out) {
    if (qr_buf_failed(out)) {
        fprintf(stderr, "querent: no memory for the output\n");
        return false;
    }
    for (size_t done = 0; done < out->len;) {
        ssize_t n = write(STDOUT_FILENO, out->data + done, out->len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            fprintf(stderr, "querent: cannot write to stdout: %s\n", strerror(errno));
            return false;
        }
        done += (size_t)n;
    }
    return true;
}
