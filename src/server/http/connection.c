/* server/http/connection.c: a connection's life, its deadlines, and clients that hang up.
 *
 * libmicrohttpd's own timeout counts idle time, so that a byte now and then keeps a connection for
 * ever. Here each phase has one absolute deadline; a timer ends what is past it with shutdown(),
 * which libmicrohttpd then notices as any other end. */
#include <linux/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "server/http/http_internal.h"

#define HANGUPS_A_STEP 64

qr_connection *qr__connection_of(struct MHD_Connection *mhd) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info == NULL ? NULL : info->socket_context;
}

void qr__connection_phase(qr_connection *connection, qr_phase phase, uint64_t now_ns) {
    static const uint64_t allowed_ns[] = {[QR_PHASE_HEAD] = QR_HEAD_NS,
                                          [QR_PHASE_BODY] = QR_BODY_NS,
                                          [QR_PHASE_WORK] = UINT64_MAX,
                                          [QR_PHASE_WRITE] = QR_WRITE_NS,
                                          [QR_PHASE_IDLE] = QR_IDLE_NS};
    connection->phase = phase;
    connection->phase_since_ns = now_ns;
    connection->deadline_ns = phase == QR_PHASE_WORK ? UINT64_MAX : now_ns + allowed_ns[phase];
    connection->idle_bytes = 0;
}

void qr__connection_end(qr_connection *connection) {
    if (connection->ended)
        return;
    connection->ended = true;
    shutdown(connection->fd, SHUT_RDWR);
}

/* For whom does not read: what waits to be sent is dropped with the connection, else the system
 * keeps it for minutes. */
static void connection_abort(qr_connection *connection) {
    const struct linger none = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    qr__connection_end(connection);
}

static void connection_started(qr_http *http, struct MHD_Connection *mhd, void **socket_context) {
    qr_connection *c = calloc(1, sizeof *c);
    if (c == NULL)
        return; /* qr__request_access ends a connection without one */
    uint64_t now = qr_clock_ns();
    c->http = http;
    c->mhd = mhd;
    c->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    c->last_request_ns =
        now + QR_CONNECTION_AGE_NS + qr__http_random(http) % (QR_CONNECTION_AGE_NS / 5);
    qr__connection_phase(c, QR_PHASE_HEAD, now);
    struct epoll_event hangup = {.events = EPOLLRDHUP | EPOLLET, .data.ptr = c};
    epoll_ctl(http->hangup_fd, EPOLL_CTL_ADD, c->fd,
              &hangup); /* failing, a hang-up is seen when answering */
    c->next = http->connections;
    if (c->next != NULL)
        c->next->previous = c;
    else
        qr_watch_arm(http->sweep, QR_SWEEP_MS, QR_SWEEP_MS);
    http->connections = c;
    http->connections_len++;
    *socket_context = c;
}

static void connection_closed(qr_http *http, qr_connection *c) {
    if (c->request != NULL)
        qr__request_recycle(http, c->request);
    /* libmicrohttpd closes the descriptor after this call; nothing may name the freed connection
     * then. */
    epoll_ctl(http->hangup_fd, EPOLL_CTL_DEL, c->fd, NULL);
    if (c->previous != NULL)
        c->previous->next = c->next;
    else
        http->connections = c->next;
    if (c->next != NULL)
        c->next->previous = c->previous;
    if (http->connections == NULL)
        qr_watch_disarm(http->sweep);
    http->connections_len--;
    free(c);
    qr__http_accept_again(http);
}

void qr__connection_notify(void *state, struct MHD_Connection *mhd, void **socket_context,
                           enum MHD_ConnectionNotificationCode code) {
    qr_http *http = state;
    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        connection_started(http, mhd, socket_context);
    else if (*socket_context != NULL)
        connection_closed(http, *socket_context);
    if (http->options.on_connections != NULL)
        http->options.on_connections(http->options.state, http->connections_len);
}

/* What only the kernel knows of a connection that is idle for libmicrohttpd: that the first bytes
 * of a next head have come (we hear of them with its whole first line), and that the last answer is
 * still not on its way. */
static void look_at_idle(qr_connection *c, uint64_t now_ns) {
    struct tcp_info info;
    socklen_t bytes = sizeof info;
    memset(&info, 0, sizeof info);
    if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &bytes) != 0)
        return;
    if (info.tcpi_notsent_bytes > 0 && now_ns - c->phase_since_ns >= QR_WRITE_NS)
        connection_abort(c);
    if (c->idle_bytes == 0)
        c->idle_bytes = info.tcpi_bytes_received;
    else if (info.tcpi_bytes_received != c->idle_bytes)
        qr__connection_phase(c, QR_PHASE_HEAD, now_ns);
}

/* Between two requests, or before the first, for so long that none is on its way. */
static bool is_drained(const qr_connection *c, uint64_t now_ns) {
    uint64_t since_ns = now_ns - c->phase_since_ns;
    if (c->phase == QR_PHASE_IDLE)
        return since_ns >= QR_DRAIN_IDLE_NS;
    return c->phase == QR_PHASE_HEAD && c->request == NULL && since_ns >= QR_DRAIN_FRESH_NS;
}

void qr__http_sweep(void *state) {
    qr_http *http = state;
    uint64_t now = qr_clock_ns();
    for (qr_connection *c = http->connections; c != NULL; c = c->next) {
        if (c->phase == QR_PHASE_IDLE)
            look_at_idle(c, now);
        bool drained = http->quiesced && is_drained(c, now);
        if (now >= c->deadline_ns && c->phase == QR_PHASE_WRITE)
            connection_abort(c);
        else if (now >= c->deadline_ns || drained)
            qr__connection_end(c);
    }
}

/* A client that hangs up while its request is worked on: the work can be saved. One that
 * half-closes before that is answered. */
static void hung_up(qr_http *http, qr_connection *c) {
    qr_request *request = c->request;
    if (c->gone || c->phase != QR_PHASE_WORK || request == NULL)
        return;
    c->gone = true;
    c->request = NULL;
    request->exchange.owner = NULL;
    MHD_resume_connection(c->mhd); /* qr__request_access ends it */
    http->options.on_gone(http->options.state, &request->exchange);
}

void qr__http_hangups(void *state) {
    qr_http *http = state;
    struct epoll_event events[HANGUPS_A_STEP];
    int n = epoll_wait(http->hangup_fd, events, HANGUPS_A_STEP, 0);
    for (int i = 0; i < n; i++)
        hung_up(http, events[i].data.ptr);
    if (n > 0)
        qr_http_pump(http);
}
