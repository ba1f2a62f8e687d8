/* server/http/listen.c: the listening socket and what it accepts.
 *
 * We accept ourselves and hand sockets to libmicrohttpd: its own accepting stops for good when
 * descriptors run out while idle connections hold on, and cannot make room by ending the one that
 * has been idle longest. */
#include <errno.h>
#include <linux/filter.h>
#include <netdb.h>
#include <stdio.h>
#include <unistd.h>

#include "server/http/http_internal.h"

#define ACCEPTS_A_STEP  64
#define ACCEPT_RETRY_MS 50
#define BACKLOG         1024
#define EVICT_IDLE_NS   (QR_NS_PER_S / 2) /* an idler younger than this is between two requests */

static const char *host_or_local(const char *host) {
    return host == NULL || strcmp(host, "localhost") == 0 ? "127.0.0.1" : host;
}

static struct addrinfo *resolve(const char *host, uint16_t port) {
    char service[8];
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    struct addrinfo *found = NULL;
    snprintf(service, sizeof service, "%u", (unsigned)port);
    return getaddrinfo(host_or_local(host), service, &hints, &found) == 0 ? found : NULL;
}

static uint16_t bound_port(int fd) {
    struct sockaddr_storage address;
    socklen_t bytes = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &bytes) != 0)
        return 0;
    if (address.ss_family == AF_UNIX)
        return 0;
    return address.ss_family == AF_INET6
               ? ntohs(((const struct sockaddr_in6 *)(const void *)&address)->sin6_port)
               : ntohs(((const struct sockaddr_in *)(const void *)&address)->sin_port);
}

static qr_status bind_address(qr_http *http, qr_error *error) {
    const qr_http_options *options = &http->options;
    const char *host = host_or_local(options->host);
    struct addrinfo *found = resolve(host, options->port);
    if (found == NULL)
        return qr_error_set(error, QR_BAD_OPTION,
                            "%s %s: not an IPv4 or IPv6 address (nor localhost)",
                            options->host_source, host);
    qr_status status = QR_OK;
    const int on = 1;
    int fd = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(fd, found->ai_addr, found->ai_addrlen) != 0) {
        int why = errno;
        status =
            qr_error_set(error, QR_IO, "cannot bind %s port %u (%s, %s): %s%s", host,
                         (unsigned)options->port, options->host_source, options->port_source,
                         strerror(why), why == EADDRINUSE ? " (is another server running?)" : "");
        if (fd >= 0)
            close(fd);
    } else {
        http->listen_fd = fd;
        http->port = bound_port(fd);
    }
    freeaddrinfo(found);
    return status;
}

qr_status qr__http_bind(qr_http *http, qr_error *error) {
    const qr_http_options *options = &http->options;
    if (options->passed_fd != 0) {
        http->listen_fd = options->passed_fd;
        http->port = bound_port(http->listen_fd);
        return QR_OK;
    }
    if (options->path == NULL)
        return bind_address(http, error);
    http->file = (qr__socket_file){
        .path = options->path, .path_source = options->path_source, .mode = (mode_t)options->mode};
    return qr__socket_file_check(&http->file, options->group, options->group_source, error);
}

qr_status qr_http_listen(qr_http *http, qr_error *error) {
    if (http->options.passed_fd != 0) {
        ; /* it listens already; who came meanwhile has waited in its backlog */
    } else if (http->options.path != NULL) {
        qr_status status = qr__socket_file_open(&http->file, BACKLOG, &http->listen_fd, error);
        if (status != QR_OK)
            return status;
    } else if (listen(http->listen_fd, BACKLOG) != 0) {
        return qr_error_set(error, QR_IO, "cannot listen on port %u: %s", (unsigned)http->port,
                            strerror(errno));
    }
    http->listen_watch = qr_watch_fd(http->options.loop, http->listen_fd, qr__http_accept, http);
    if (http->listen_watch == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "out of memory while starting to listen");
    http->listening = true;
    return QR_OK;
}

/* At the limit the connection that has been idle longest makes room. */
static void evict_idle(qr_http *http) {
    uint64_t now = qr__http_now(http);
    qr__connection *oldest = NULL;
    for (qr_link *l = http->connections.next; l != &http->connections; l = l->next) {
        qr__connection *c = QR_OWNER(l, qr__connection, link);
        if (c->ended)
            return; /* one is already on its way out */
        if (c->phase == QR__PHASE_IDLE && now - c->phase_since_ns > EVICT_IDLE_NS &&
            (oldest == NULL || c->phase_since_ns < oldest->phase_since_ns))
            oldest = c;
    }
    if (oldest != NULL)
        qr__connection_end(oldest);
}

static void pause_accepting(qr_http *http) {
    http->accept_paused = true;
    qr_watch_pause(http->listen_watch);
    qr_watch_arm(http->accept_retry, ACCEPT_RETRY_MS, 0);
}

static bool out_of_resources(int why) {
    return why == EMFILE || why == ENFILE || why == ENOBUFS || why == ENOMEM;
}

void qr__http_accept(void *state) {
    qr_http *http = state;
    if (!http->listening || http->accept_paused)
        return;
    for (int i = 0; i < ACCEPTS_A_STEP; i++) {
        if (http->connections_len >= http->options.max_connections) {
            evict_idle(http);
            pause_accepting(http);
            break;
        }
        struct sockaddr_storage address;
        socklen_t bytes = sizeof address;
        int fd = accept4(http->listen_fd, (struct sockaddr *)&address, &bytes,
                         SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EINTR || errno == ECONNABORTED)
                continue;
            if (out_of_resources(errno)) {
                if (!http->starved)
                    qr_log(QR_LOG_WARN, "cannot accept connections: %s", strerror(errno));
                http->starved = true;
                qr__linger_end(http);
                evict_idle(http);
                pause_accepting(http);
            }
            break;
        }
        http->starved = false;
        MHD_add_connection(http->daemon, fd, (const struct sockaddr *)&address,
                           bytes); /* closes on failure */
    }
    qr_http_pump(http);
}

void qr__http_accept_again(void *state) {
    qr_http *http = state;
    if (!http->listening || !http->accept_paused)
        return;
    http->accept_paused = false;
    qr_watch_disarm(http->accept_retry);
    qr_watch_resume(http->listen_watch);
}

/* Before the socket is closed: what the system has accepted for us is ours to answer. A filter that
 * drops every further packet (best effort) keeps a connection from being completed behind the last
 * accept and reset by the close; its client tries again and learns that nobody listens.
 *
 * A socket that was passed to us stays open elsewhere, and a filter on it would stay too: what
 * waits there waits for the next process. */
void qr__http_accept_last(qr_http *http) {
    if (http->options.passed_fd != 0)
        return;
    qr_http_forget(http); /* of a UNIX socket this is the filter */
    struct sock_filter drop[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
    const struct sock_fprog program = {.len = 1, .filter = drop};
    (void)setsockopt(http->listen_fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
    qr__http_accept_again(http);
    size_t before;
    do {
        before = http->connections_len;
        qr__http_accept(http);
    } while (http->connections_len > before);
}
