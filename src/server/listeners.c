/* server/listeners.c: on what the server listens, by the options and what was passed to it:
 * the port, a UNIX socket, or both; the ops port; or sockets of the service manager's in their
 * place. */
#include <stdio.h>

#include "server/server_internal.h"

static bool has_uds(const qr__server *s) {
    return s->passed.mains_len == 0 && qr_config_text(s->config, QR_OPTION_UDS) != NULL;
}

static bool has_port(const qr__server *s) {
    return s->passed.mains_len == 0 && (!has_uds(s) || qr_config_given(s->config, QR_OPTION_PORT));
}

static bool has_ops(const qr__server *s) {
    return s->passed.ops.fd != 0 || qr_config_number(s->config, QR_OPTION_OPS_PORT) != 0;
}

size_t qr__listeners_connections(const qr__server *s) {
    size_t mains = s->passed.mains_len + (has_port(s) ? 1 : 0) + (has_uds(s) ? 1 : 0);
    return mains * qr_config_number(s->config, QR_OPTION_MAX_CONNECTIONS) + QR__OPS_CONNECTIONS;
}

qr_status qr__listeners_check(const qr__server *s, qr_error *error) {
    const qr_config *config = s->config;
    size_t port = qr_config_number(config, QR_OPTION_PORT),
           ops = qr_config_number(config, QR_OPTION_OPS_PORT);
    if (ops != 0 && ops == port && has_port(s) && s->passed.ops.fd == 0)
        return qr_error_set(error, QR_BAD_OPTION,
                            "%s %zu: is the main port; give it one of its own",
                            qr_config_source(config, QR_OPTION_OPS_PORT), ops);
    if (qr_config_flag(config, QR_OPTION_ADMIN) && !has_ops(s) &&
        qr_config_text(config, QR_OPTION_ADMIN_KEY_FILE) == NULL)
        return qr_error_set(error, QR_BAD_OPTION,
                            "%s: needs --ops-port, or --admin-key-file to be served on the main "
                            "listener",
                            qr_config_source(config, QR_OPTION_ADMIN));
    return QR_OK;
}

static qr_status open_listener(qr__server *s, unsigned listener, qr_http_options *options,
                               qr_http **http, qr_error *error) {
    options->max_body_bytes = qr_config_number(s->config, QR_OPTION_MAX_BODY_BYTES);
    options->max_age_ns = qr_config_number(s->config, QR_OPTION_MAX_CONNECTION_AGE_S) * QR_NS_PER_S;
    options->loop = s->loop;
    qr__flow_connect(s->flow, listener, options);
    qr_status status = qr_http_open(options, http, error);
    if (status == QR_OK)
        qr__flow_listener(s->flow, listener, *http);
    return status;
}

static qr_status open_main(qr__server *s, unsigned listener, qr_http_options options,
                           qr_error *error) {
    options.max_connections = qr_config_number(s->config, QR_OPTION_MAX_CONNECTIONS);
    qr_status status = open_listener(s, listener, &options, &s->mains[s->mains_len], error);
    s->mains_len += status == QR_OK;
    return status;
}

static qr_status open_passed(qr__server *s, unsigned bits, qr_error *error) {
    qr_status status = QR_OK;
    for (size_t i = 0; status == QR_OK && i < s->passed.mains_len; i++)
        status = open_main(s, bits, (qr_http_options){.passed_fd = s->passed.mains[i].fd}, error);
    return status;
}

qr_status qr__listeners_open(qr__server *s, qr_error *error) {
    const qr_config *config = s->config;
    const char *host = qr_config_text(config, QR_OPTION_HOST);
    const bool ops = has_ops(s);
    unsigned bits = ops ? QR_LISTENER_MAIN : QR_LISTENER_MAIN | QR_LISTENER_OPS;
    const char *host_source = qr_config_source(config, QR_OPTION_HOST);
    const qr_http_options tcp = {.host = host,
                                 .host_source = host_source,
                                 .port = (uint16_t)qr_config_number(config, QR_OPTION_PORT),
                                 .port_source = qr_config_source(config, QR_OPTION_PORT)};
    const qr_http_options local = {.path = qr_config_text(config, QR_OPTION_UDS),
                                   .path_source = qr_config_source(config, QR_OPTION_UDS),
                                   .mode = (unsigned)qr_config_number(config, QR_OPTION_UDS_MODE),
                                   .group = qr_config_text(config, QR_OPTION_UDS_GROUP),
                                   .group_source = qr_config_source(config, QR_OPTION_UDS_GROUP)};
    qr_http_options own = {.host = host,
                           .host_source = host_source,
                           .port = (uint16_t)qr_config_number(config, QR_OPTION_OPS_PORT),
                           .port_source = qr_config_source(config, QR_OPTION_OPS_PORT),
                           .passed_fd = s->passed.ops.fd,
                           .max_connections = QR__OPS_CONNECTIONS};
    unsigned admin = qr_config_flag(config, QR_OPTION_ADMIN) ? QR_LISTENER_ADMIN : 0;
    if (qr_config_text(config, QR_OPTION_ADMIN_KEY_FILE) != NULL)
        bits |= admin;
    qr_status status = open_passed(s, bits, error);
    if (status == QR_OK && has_port(s))
        status = open_main(s, bits, tcp, error);
    if (status == QR_OK && has_uds(s))
        status = open_main(s, bits, local, error);
    if (status == QR_OK && ops)
        status = open_listener(s, QR_LISTENER_OPS | admin, &own, &s->ops, error);
    return status == QR_OK && ops ? qr_http_listen(s->ops, error) : status;
}

static void announce(const qr__server *s, const qr_http *http, const qr__passed *passed,
                     const char *what) {
    const char *host = qr_config_text(s->config, QR_OPTION_HOST);
    bool v6 = host != NULL && strchr(host, ':') != NULL;
    char line[256];
    int len;
    if (passed != NULL)
        len = snprintf(line, sizeof line, "querent: %s on %s", what, passed->where);
    else if (qr_http_port(http) == 0)
        len = snprintf(line, sizeof line, "querent: %s on unix:%s", what,
                       qr_config_text(s->config, QR_OPTION_UDS));
    else
        len = snprintf(line, sizeof line, "querent: %s on http://%s%s%s:%u", what, v6 ? "[" : "",
                       host == NULL ? "127.0.0.1" : host, v6 ? "]" : "",
                       (unsigned)qr_http_port(http));
    if (len > 0)
        qr_log_plain((qr_text){line, qr_min((size_t)len, sizeof line - 1)});
}

void qr__listeners_announce(const qr__server *s) {
    if (s->ops != NULL)
        announce(s, s->ops, s->passed.ops.fd == 0 ? NULL : &s->passed.ops, "ops");
    for (size_t i = s->mains_len; i-- > 0;) /* the port last: who waits for it finds both */
        announce(s, s->mains[i], s->passed.mains_len == 0 ? NULL : &s->passed.mains[i],
                 "listening");
}
