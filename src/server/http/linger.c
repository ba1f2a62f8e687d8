/* server/http/linger.c: what clients still send behind the last answer is read and dropped. */
#include "server/http/linger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/http/http_internal.h"

#define DROPPED_A_STEP (64u * 1024u) /* bytes; then others of the loop get their turn */

typedef struct lingering {
    qr_link link; /* in its listener's */
    qr_http *http;
    int fd; /* owned */
    qr_watch *watch;
    uint64_t end_ns;
} lingering;

static void end(lingering *l) {
    qr_watch_close(l->watch);
    close(l->fd);
    qr_list_remove(&l->link);
    l->http->lingering_len--;
    free(l);
}

static void drop(void *state) {
    static char dropped[DROPPED_A_STEP]; /* one thread writes it, and nobody reads */
    lingering *l = state;
    ssize_t n = recv(l->fd, dropped, sizeof dropped, MSG_DONTWAIT);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        end(l);
}

void qr__linger(qr_http *http, int fd) {
    lingering *l;
    if (http->lingering_len >= QR_LIMIT_LINGERING || (l = calloc(1, sizeof *l)) == NULL)
        return;
    *l = (lingering){.http = http,
                     .fd = fcntl(fd, F_DUPFD_CLOEXEC, 0),
                     .end_ns = qr__http_now(http) + QR__LINGER_NS};
    if (l->fd >= 0)
        l->watch = qr_watch_fd(http->options.loop, l->fd, drop, l);
    if (l->watch == NULL) {
        if (l->fd >= 0)
            close(l->fd);
        free(l);
        return;
    }
    qr_list_append(&http->lingering, &l->link);
    http->lingering_len++;
    shutdown(l->fd, SHUT_WR);
}

void qr__linger_look(qr_http *http, uint64_t now_ns) {
    qr_link *first; /* all linger equally long: the oldest ends first */
    while ((first = qr_list_first(&http->lingering)) != NULL &&
           QR_OWNER(first, lingering, link)->end_ns <= now_ns)
        end(QR_OWNER(first, lingering, link));
}

void qr__linger_end(qr_http *http) {
    qr_link *first;
    while ((first = qr_list_first(&http->lingering)) != NULL)
        end(QR_OWNER(first, lingering, link));
}
