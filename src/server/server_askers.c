/* server/server_askers.c: who may ask, and whose word counts, by the options: proxies, keys,
 * origins of pages. */
#include "server/server_internal.h"

static qr_status read_proxies(qr__server *s, qr_error *error) {
    const char *const *given;
    size_t len = qr_config_list(s->config, QR_OPTION_TRUST_PROXY, &given);
    for (size_t i = 0; i < len; i++)
        if (!qr__network_parse(given[i], &s->proxies[s->proxies_len++]))
            return qr_error_set(error, QR_BAD_OPTION,
                                "%s %.100s: must be an address with a prefix, such as 10.0.0.0/8",
                                qr_config_source(s->config, QR_OPTION_TRUST_PROXY), given[i]);
    return QR_OK;
}

/* A fault's message begins with what the option was given. */
static qr_status say_source(const qr__server *s, qr_option option, qr_status status,
                            qr_error *error) {
    const qr_error fault = *error;
    return status != QR_BAD_OPTION
               ? status
               : qr_error_set(error, status, "%s %.900s", qr_config_source(s->config, option),
                              fault.message);
}

static qr_status read_access(qr__server *s, qr_error *error) {
    const qr_option keys = QR_OPTION_API_KEY_FILE, admin_keys = QR_OPTION_ADMIN_KEY_FILE,
                    pages = QR_OPTION_CORS_ALLOW_ORIGIN;
    const char *const *origins;
    size_t len = qr_config_list(s->config, pages, &origins);
    qr_status status = qr__access_init(&s->access, qr_config_text(s->config, keys), error);
    if (status != QR_OK)
        return say_source(s, keys, status, error);
    status = qr__access_allow(&s->access, origins, len, error);
    if (status != QR_OK)
        return say_source(s, pages, status, error);
    status = qr__access_init(&s->admin_access, qr_config_text(s->config, admin_keys), error);
    return say_source(s, admin_keys, status, error);
}

qr_status qr__server_askers(qr__server *s, qr_error *error) {
    qr_status status = read_proxies(s, error);
    return status == QR_OK ? read_access(s, error) : status;
}
