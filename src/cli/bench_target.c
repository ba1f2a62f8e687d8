/* cli/bench_target.c: a URL taken apart and looked up. */
#include "cli/bench_target.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>

#include "cli/cli.h"

/* "http://HOST[:PORT][/ROUTE]", HOST may be [::1]. */
static bool split_url(const char *url, qr__bench_target *target) {
    static const char scheme[] = "http://";
    uint64_t port = 80;
    if (strncmp(url, scheme, sizeof scheme - 1) != 0)
        return false;
    url += sizeof scheme - 1;
    size_t len = strcspn(url, "/");
    if (len >= sizeof target->authority || strlen(url + len) >= sizeof target->route)
        return false;
    snprintf(target->authority, sizeof target->authority, "%.*s", (int)len, url);
    snprintf(target->route, sizeof target->route, "%s", url[len] == '\0' ? "/" : url + len);
    bool bracket = target->authority[0] == '[';
    const char *host = target->authority + bracket;
    size_t host_len = strcspn(host, bracket ? "]" : ":");
    if (host_len == 0 || host_len >= sizeof target->host || (bracket && host[host_len] != ']'))
        return false;
    snprintf(target->host, sizeof target->host, "%.*s", (int)host_len, host);
    const char *rest = host + host_len + bracket;
    if (*rest != '\0' &&
        (*rest != ':' || !qr_text_to_u64(qr_text_of(rest + 1), 65535, &port) || port == 0))
        return false;
    snprintf(target->port, sizeof target->port, "%u", (unsigned)port);
    return true;
}

static bool is_loopback(const struct sockaddr *address) {
    if (address->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24 ==
               127;
    return address->sa_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
}

/* Another machine is refused without --allow-remote: a typing error must not load somebody's
 * server. */
int qr__bench_target_resolve(const qr__command *command, const char *url, const char *route,
                             bool allow_remote, qr__bench_target *target) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (!split_url(url, target))
        return qr__flags_refuse(command, "--url %s: expected http://HOST:PORT", url);
    if (route != NULL) {
        if (route[0] != '/' || strlen(route) >= sizeof target->route)
            return qr__flags_refuse(command, "--route %s: must begin with /", route);
        snprintf(target->route, sizeof target->route, "%s", route);
    }
    if (strcmp(target->route, "/") == 0)
        snprintf(target->route, sizeof target->route, "/embed");
    int fault = getaddrinfo(target->host, target->port, &hints, &found);
    if (fault != 0) {
        fprintf(stderr, "querent %s: %s: %s\n", command->name, target->host, gai_strerror(fault));
        return QR_EXIT_FAULT;
    }
    memcpy(&target->address, found->ai_addr, found->ai_addrlen);
    target->address_len = found->ai_addrlen;
    freeaddrinfo(found);
    if (!is_loopback((const struct sockaddr *)&target->address) && !allow_remote)
        return qr__flags_refuse(
            command, "--url %s: is another machine; load on it needs --allow-remote", url);
    return QR_FLAGS_GO;
}
