/* server/http/connection.c: a connection's life, its deadlines, and clients that hang up.
 *
 * libmicrohttpd's own timeout counts idle time, so that a byte now and then keeps a connection for
 * ever. Here each phase has one absolute deadline. A timer shuts the socket of a connection that is
 * past its own, and libmicrohttpd then finds that its peer has left, and cleans up. */
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>

#include "server/http/http_internal.h"

#define HANGUPS_A_STEP 64
/* libmicrohttpd does not hear of a shutdown while its buffer is full and it has not waited for the
 * socket before, as of a chunk whose first line does not end. Its own timeout then ends it. */
#define UNHEARD_S 1u

qr__connection *qr__connection_of(struct MHD_Connection *mhd) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info == NULL ? NULL : info->socket_context;
}

uint64_t qr__connection_old_ns(uint64_t now_ns, uint64_t age_ns, uint64_t random) {
    if (age_ns == 0)
        return UINT64_MAX;
    return now_ns + age_ns - age_ns / 10 + random % (age_ns / 5 + 1);
}

void qr__connection_phase(qr__connection *connection, qr__phase phase, uint64_t now_ns) {
    static const uint64_t allowed_ns[] = {[QR__PHASE_HEAD] = QR__HEAD_NS,
                                          [QR__PHASE_BODY] = QR__BODY_NS,
                                          [QR__PHASE_WORK] = UINT64_MAX,
                                          [QR__PHASE_WRITE] = QR__WRITE_NS,
                                          [QR__PHASE_IDLE] = QR__IDLE_NS};
    connection->phase = phase;
    connection->phase_since_ns = now_ns;
    connection->deadline_ns = qr_saturating_add(now_ns, allowed_ns[phase]);
    connection->idle_bytes = 0;
    QR_ASSERT(qr__connection_is_legal(connection));
}

bool qr__connection_is_legal(const qr__connection *c) {
    const qr__request *r = c->request;
    if (r == NULL)
        return c->gone || c->phase == QR__PHASE_HEAD || c->phase == QR__PHASE_IDLE;
    switch (c->phase) {
    case QR__PHASE_HEAD:
        return r->stage == QR__REQUEST_HEAD;
    case QR__PHASE_BODY:
        return r->stage == QR__REQUEST_BODY || r->stage == QR__REQUEST_DROP;
    case QR__PHASE_WORK:
        return r->stage == QR__REQUEST_OUT || r->stage == QR__REQUEST_ANSWERED;
    case QR__PHASE_WRITE:
        return r->stage == QR__REQUEST_ANSWERED || r->stage == QR__REQUEST_CLOSING;
    case QR__PHASE_IDLE:
        break;
    }
    return false;
}

void qr__connection_end(qr__connection *connection) {
    if (connection->ended)
        return;
    connection->ended = true;
    shutdown(connection->fd, SHUT_RDWR);
    (void)MHD_set_connection_option(connection->mhd, MHD_CONNECTION_OPTION_TIMEOUT, UNHEARD_S);
}

/* For whom does not read: what waits to be sent is dropped with the connection, else the system
 * keeps it for minutes. */
static void connection_abort(qr__connection *connection) {
    const struct linger none = {.l_onoff = 1, .l_linger = 0};
    (void)setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    qr__connection_end(connection);
}

static void copy_address(const struct sockaddr *from, uint8_t to[16]) {
    if (from->sa_family == AF_INET6) {
        memcpy(to, &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr, 16);
    } else if (from->sa_family == AF_INET) {
        to[10] = to[11] = 0xFF;
        memcpy(to + 12, &((const struct sockaddr_in *)(const void *)from)->sin_addr, 4);
    }
}

static void connection_started(qr_http *http, struct MHD_Connection *mhd, void **socket_context) {
    const int fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    qr__connection *c = calloc(1, sizeof *c);
    if (c == NULL) { /* no deadline would ever end it */
        shutdown(fd, SHUT_RDWR);
        return;
    }
    uint64_t now = qr__http_now(http);
    c->http = http;
    c->mhd = mhd;
    c->fd = fd;
    copy_address(MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr,
                 c->peer);
    c->local = http->port == 0;
    c->old_ns = qr__connection_old_ns(now, http->options.max_age_ns, qr_random_next(&http->random));
    qr__connection_phase(c, QR__PHASE_HEAD, now);
    struct epoll_event hangup = {.events = EPOLLRDHUP | EPOLLET, .data.ptr = c};
    epoll_ctl(http->hangup_fd, EPOLL_CTL_ADD, c->fd,
              &hangup); /* failing, a hang-up is seen when answering */
    if (http->connections_len == 0)
        qr_watch_arm(http->sweep, QR__SWEEP_MS, QR__SWEEP_MS);
    qr_list_append(&http->connections, &c->link);
    http->connections_len++;
    *socket_context = c;
}

static void connection_closed(qr_http *http, qr__connection *c) {
    if (c->request != NULL)
        qr__request_end(c->request);
    /* libmicrohttpd closes the descriptor after this call; nothing may name the freed connection
     * then. */
    epoll_ctl(http->hangup_fd, EPOLL_CTL_DEL, c->fd, NULL);
    bool refused = c->last || c->phase == QR__PHASE_HEAD; /* by us, or by libmicrohttpd */
    if (refused && !c->ended && !c->gone)
        qr__linger(http, c->fd);
    qr_list_remove(&c->link);
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
    http->options.on_connections(http->options.state);
}

/* Of a UNIX socket the kernel tells only what its peer has not read yet. */
static void look_at_idle_local(qr__connection *c, uint64_t now_ns) {
    int unread = 0;
    if (now_ns - c->phase_since_ns >= QR__WRITE_NS && ioctl(c->fd, SIOCOUTQ, &unread) == 0 &&
        unread > 0)
        connection_abort(c);
}

/* What only the kernel knows of a connection that is idle for libmicrohttpd: that the first bytes
 * of a next head have come (we hear of them with its whole first line), and that the last answer is
 * still not on its way. */
static void look_at_idle(qr__connection *c, uint64_t now_ns) {
    struct tcp_info info;
    socklen_t bytes = sizeof info;
    memset(&info, 0, sizeof info);
    if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &bytes) != 0)
        return;
    if (info.tcpi_notsent_bytes > 0 && now_ns - c->phase_since_ns >= QR__WRITE_NS)
        connection_abort(c);
    if (c->idle_bytes == 0)
        c->idle_bytes = info.tcpi_bytes_received;
    else if (info.tcpi_bytes_received != c->idle_bytes)
        qr__connection_phase(c, QR__PHASE_HEAD, now_ns);
}

/* Between two requests, or before the first, for so long that none is on its way. */
static bool is_drained(const qr__connection *c, uint64_t now_ns) {
    uint64_t since_ns = now_ns - c->phase_since_ns;
    if (c->phase == QR__PHASE_IDLE)
        return since_ns >= QR__DRAIN_IDLE_NS;
    return c->phase == QR__PHASE_HEAD && c->request == NULL && since_ns >= QR__DRAIN_FRESH_NS;
}

/* The client has closed its side, all that it sent has been read, and it has every answer: what is
 * not whole by now never will be. libmicrohttpd does not hear of an end that comes together with
 * the last bytes. */
static bool is_spent(const qr__connection *c) {
    int unread = 0, unsent = 0;
    if (!c->half_closed || c->http->behind || c->phase == QR__PHASE_WORK ||
        c->phase == QR__PHASE_WRITE)
        return false;
    return ioctl(c->fd, SIOCINQ, &unread) == 0 && unread == 0 &&
           ioctl(c->fd, SIOCOUTQ, &unsent) == 0 && unsent == 0;
}

void qr__http_sweep(void *state) {
    qr_http *http = state;
    uint64_t now = qr__http_now(http);
    bool ends = false;
    for (qr_link *l = http->connections.next; l != &http->connections; l = l->next) {
        qr__connection *c = QR_OWNER(l, qr__connection, link);
        if (c->phase == QR__PHASE_IDLE)
            (c->local ? look_at_idle_local : look_at_idle)(c, now);
        bool drained = http->quiesced && is_drained(c, now);
        if (now >= c->deadline_ns && c->phase == QR__PHASE_WRITE)
            connection_abort(c);
        else if (now >= c->deadline_ns || drained || is_spent(c))
            qr__connection_end(c);
        ends = ends || c->ended;
    }
    if (ends)
        qr_http_pump(http);
    qr__linger_look(http, now);
    if (http->connections_len == 0 && http->lingering_len == 0)
        qr_watch_disarm(http->sweep);
}

/* While its request is worked on, the work can be saved; qr__request_access looks at those whose
 * request is handed out later, and the sweep at the rest. */
static void hung_up(qr__connection *c) {
    c->half_closed = true;
    if (c->gone || c->request == NULL || c->request->stage != QR__REQUEST_OUT)
        return;
    c->gone = true;
    qr__request_end(c->request);
    MHD_resume_connection(c->mhd); /* qr__request_access ends it */
}

void qr__http_hangups(void *state) {
    qr_http *http = state;
    struct epoll_event events[HANGUPS_A_STEP];
    int n = epoll_wait(http->hangup_fd, events, HANGUPS_A_STEP, 0);
    for (int i = 0; i < n; i++)
        hung_up(events[i].data.ptr);
    if (n > 0)
        qr_http_pump(http);
}
