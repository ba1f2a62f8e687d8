/* cli/bench_client.c: bytes out, an answer in. */
#include "cli/bench_client.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <unistd.h>

#define READ_BYTES 65536

void qr__client_init(qr__client *client) {
    *client = (qr__client){.fd = -1};
}

bool qr__client_open(qr__client *client, const struct sockaddr *address, socklen_t address_len) {
    const int on = 1;
    qr__client_init(client);
    client->fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->fd < 0)
        return false;
    setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(client->fd, address, address_len) == 0 || errno == EINPROGRESS)
        return true;
    qr__client_close(client);
    return false;
}

void qr__client_close(qr__client *client) {
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
    client->busy = false;
}

void qr__client_send(qr__client *client, qr_text request) {
    client->busy = true;
    client->request = request;
    client->sent = client->head_len = client->body_left = 0;
    client->head_done = client->closes = false;
    client->code = 0;
}

static qr__client_state fail(qr__client *client) {
    qr__client_close(client);
    return QR_CLIENT_FAILED;
}

/* The value of a header line "Name: value", or an empty text. */
static qr_text header_value(qr_text line, const char *name) {
    size_t len = strlen(name);
    if (line.len <= len || line.data[len] != ':' || strncasecmp(line.data, name, len) != 0)
        return (qr_text){0};
    size_t at = len + 1;
    while (at < line.len && line.data[at] == ' ')
        at++;
    return (qr_text){line.data + at, line.len - at};
}

/* Reads the status code, the body's length and whether the server will close. False: no answer of
 * HTTP/1.1 whose end can be known. */
static bool parse_head(qr__client *client, size_t head_len) {
    static const char version[] = "HTTP/1.1 ";
    bool sized = false;
    uint64_t number;
    if (head_len < sizeof version + 3 || memcmp(client->head, version, sizeof version - 1) != 0 ||
        !qr_text_to_u64((qr_text){client->head + sizeof version - 1, 3}, 999, &number))
        return false;
    client->code = (int)number;
    for (size_t at = 0; at < head_len;) {
        const char *end = memchr(client->head + at, '\r', head_len - at);
        if (end == NULL)
            break;
        qr_text line = {client->head + at, (size_t)(end - client->head) - at};
        qr_text length = header_value(line, "Content-Length");
        qr_text connection = header_value(line, "Connection");
        if (length.len > 0) {
            if (!qr_text_to_u64(length, QR_LIMIT_RESPONSE_BYTES, &number))
                return false;
            client->body_left = (size_t)number;
            sized = true;
        }
        if (qr_text_is_caseless(connection, "close"))
            client->closes = true;
        at = (size_t)(end - client->head) + 2;
    }
    return sized || client->code == 204 || client->code == 304;
}

/* Takes `len` bytes that arrived; false when they are no answer. */
static bool take(qr__client *client, const char *data, size_t len) {
    if (!client->head_done) {
        size_t before = client->head_len;
        size_t copied = qr_min(len, sizeof client->head - before);
        memcpy(client->head + before, data, copied);
        client->head_len += copied;
        const char *end = memmem(client->head, client->head_len, "\r\n\r\n", 4);
        if (end == NULL)
            return client->head_len < sizeof client->head;
        size_t head_len = (size_t)(end - client->head) + 4;
        client->head_done = true;
        if (!parse_head(client, head_len))
            return false;
        len -= head_len - before;
    }
    if (len > client->body_left)
        return false; /* more than was asked for */
    client->body_left -= len;
    return true;
}

/* Edge-triggered epoll tells of new bytes once: so everything that is there is read, until the
 * socket has no more or the answer is whole. */
static qr__client_state receive(qr__client *client) {
    static char data[READ_BYTES]; /* one loader a process; the contents are dropped */
    for (;;) {
        ssize_t n = recv(client->fd, data, sizeof data, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return QR_CLIENT_WAITING;
        if (!client->busy) { /* only an end may come now */
            qr__client_close(client);
            return n == 0 ? QR_CLIENT_CLOSED : QR_CLIENT_FAILED;
        }
        if (n <= 0 || !take(client, data, (size_t)n))
            return fail(client);
        if (client->head_done && client->body_left == 0) {
            client->busy = false;
            if (client->closes)
                qr__client_close(client);
            return QR_CLIENT_ANSWERED;
        }
    }
}

qr__client_state qr__client_advance(qr__client *client) {
    while (client->busy && client->sent < client->request.len) {
        ssize_t n = send(client->fd, client->request.data + client->sent,
                         client->request.len - client->sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOTCONN))
            return QR_CLIENT_WAITING;
        if (n < 0)
            break; /* an early answer (413...) may still be there to be read */
        client->sent += (size_t)n;
    }
    return receive(client);
}
