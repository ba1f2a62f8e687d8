/* server/descriptors.c: a descriptor for every connection, or a clear word before the first is
 * refused. */
#include <inttypes.h>
#include <sys/resource.h>

#include "server/server_internal.h"

#define OTHER_FDS 64 /* files, epoll, eventfd: what is no connection */

qr_status qr__descriptors_reserve(const qr__server *s, qr_error *error) {
    const qr_config *config = s->config;
    size_t connections = qr_config_number(config, QR_OPTION_MAX_CONNECTIONS);
    struct rlimit limit;
    rlim_t need = qr__listeners_connections(s) + OTHER_FDS;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= need)
        return QR_OK;
    rlim_t most = limit.rlim_max;
    limit.rlim_cur = need < most ? need : most;
    if (need > most || setrlimit(RLIMIT_NOFILE, &limit) != 0)
        return qr_error_set(error, QR_BAD_OPTION,
                            "%s %zu: needs %" PRIu64 " file descriptors, the system allows %" PRIu64
                            " (ulimit -n)",
                            qr_config_source(config, QR_OPTION_MAX_CONNECTIONS), connections,
                            (uint64_t)need, (uint64_t)most);
    return QR_OK;
}
