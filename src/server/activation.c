/* server/activation.c: the sockets of LISTEN_FDS, each looked at before it is believed. */
#include "server/activation.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FIRST_FD 3

static int socket_fact(int fd, int fact) {
    int value = -1;
    socklen_t bytes = sizeof value;
    return getsockopt(fd, SOL_SOCKET, fact, &value, &bytes) == 0 ? value : -1;
}

/* What keeps us from serving it; NULL: nothing. */
static const char *find_fault(int fd) {
    if (fcntl(fd, F_GETFD) < 0)
        return "is not open";
    int type = socket_fact(fd, SO_TYPE), domain = socket_fact(fd, SO_DOMAIN);
    if (type < 0)
        return "is no socket";
    if (type != SOCK_STREAM)
        return "is no stream socket";
    if (domain != AF_INET && domain != AF_INET6 && domain != AF_UNIX)
        return "is neither of IPv4, IPv6 nor UNIX";
    if (socket_fact(fd, SO_ACCEPTCONN) != 1)
        return "does not listen (Accept=no is needed)";
    return NULL;
}

static void describe_local(const struct sockaddr_un *address, socklen_t bytes, qr__passed *out) {
    size_t len = bytes - qr_min((size_t)bytes, offsetof(struct sockaddr_un, sun_path));
    bool abstract = len > 0 && address->sun_path[0] == '\0';
    if (!abstract)
        len = strnlen(address->sun_path, len);
    snprintf(out->where, sizeof out->where, "unix:%s%.*s", abstract ? "@" : "",
             (int)len - (abstract ? 1 : 0), address->sun_path + (abstract ? 1 : 0));
}

static void describe(qr__passed *out) {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un local;
    } address = {0};
    socklen_t bytes = sizeof address;
    char host[INET6_ADDRSTRLEN] = "?";
    if (getsockname(out->fd, &address.any, &bytes) != 0)
        return;
    if (address.any.sa_family == AF_UNIX) {
        describe_local(&address.local, bytes, out);
    } else if (address.any.sa_family == AF_INET6) {
        inet_ntop(AF_INET6, &address.v6.sin6_addr, host, sizeof host);
        snprintf(out->where, sizeof out->where, "http://[%s]:%u", host,
                 (unsigned)ntohs(address.v6.sin6_port));
        out->remote = !IN6_IS_ADDR_LOOPBACK(&address.v6.sin6_addr);
    } else {
        inet_ntop(AF_INET, &address.v4.sin_addr, host, sizeof host);
        snprintf(out->where, sizeof out->where, "http://%s:%u", host,
                 (unsigned)ntohs(address.v4.sin_port));
        out->remote = ntohl(address.v4.sin_addr.s_addr) >> 24 != 127;
    }
}

static qr_status take(qr__activation *out, int fd, qr_text name, qr_error *error) {
    bool ops = name.len == 3 && memcmp(name.data, "ops", 3) == 0;
    const char *fault = find_fault(fd);
    if (fault == NULL && ops && out->ops.fd != 0)
        fault = "is a second one of the name";
    if (fault == NULL && fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        fault = "cannot be closed on exec";
    if (fault == NULL && fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0)
        fault = "cannot be made non-blocking";
    if (fault != NULL)
        return qr_error_set(error, QR_BAD_OPTION, "LISTEN_FDS: descriptor %d '%.*s' %s", fd,
                            (int)qr_min(name.len, (size_t)64), name.data, fault);
    qr__passed *passed = ops ? &out->ops : &out->mains[out->mains_len++];
    passed->fd = fd;
    describe(passed);
    return QR_OK;
}

/* The name of the next socket, of names between colons. */
static qr_text next_name(const char **names) {
    size_t len = strcspn(*names, ":");
    qr_text name = {*names, len};
    *names += len + ((*names)[len] == ':');
    return name;
}

static qr_status take_all(qr__activation *out, qr_error *error) {
    const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS"),
               *names = getenv("LISTEN_FDNAMES");
    uint64_t owner, len;
    if (pid == NULL || count == NULL || !qr_text_to_u64(qr_text_of(pid), INT32_MAX, &owner) ||
        owner != (uint64_t)getpid())
        return QR_OK; /* meant for somebody else */
    if (!qr_text_to_u64(qr_text_of(count), QR__PASSED_MAX, &len))
        return qr_error_set(error, QR_BAD_OPTION, "LISTEN_FDS %.100s: at most %d can be served",
                            count, QR__PASSED_MAX);
    if (names == NULL)
        names = "";
    qr_status status = QR_OK;
    for (int i = 0; status == QR_OK && i < (int)len; i++)
        status = take(out, FIRST_FD + i, next_name(&names), error);
    return status;
}

qr_status qr__activation_take(qr__activation *out, qr_error *error) {
    *out = (qr__activation){.mains_len = 0};
    qr_status status = take_all(out, error);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return status;
}

static qr_status check_remote(const qr__passed *passed, const qr_config *config, qr_error *error) {
    return passed->remote ? qr_config_check_remote(config, "LISTEN_FDS", passed->where, error)
                          : QR_OK;
}

qr_status qr__activation_check(const qr__activation *passed, const qr_config *config,
                               qr_error *error) {
    qr_status status = check_remote(&passed->ops, config, error);
    for (size_t i = 0; status == QR_OK && i < passed->mains_len; i++)
        status = check_remote(&passed->mains[i], config, error);
    return status;
}
