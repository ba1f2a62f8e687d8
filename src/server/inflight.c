/* server/inflight.c: the size of the requests' quota. */
#include "server/inflight.h"

#define LEAST_BYTES ((size_t)16 << 20) /* the option's least too */
#define BODIES      4u /* the longest one is at most so great a part (base/quota.h) */

static size_t least_of(const qr_config *config) {
    return qr_max(LEAST_BYTES, BODIES * qr_config_number(config, QR_OPTION_MAX_BODY_BYTES));
}

qr_status qr__inflight_init(const qr_config *config, uint64_t memory_limit_bytes, qr_quota *out,
                            qr_error *error) {
    size_t bytes = qr_config_number(config, QR_OPTION_INFLIGHT_BYTES), least = least_of(config);
    qr_quota_init(out, bytes);
    if (!qr_config_given(config, QR_OPTION_INFLIGHT_BYTES)) {
        if (memory_limit_bytes > 0)
            bytes = qr_min(bytes, memory_limit_bytes / 4);
        qr_quota_limit(out, qr_max(bytes, least));
    } else if (bytes < least) {
        return qr_error_set(error, QR_BAD_OPTION,
                            "%s %zu: must be %u times as much as --max-body-bytes (%zu), so that "
                            "what is made of a body finds room too",
                            qr_config_source(config, QR_OPTION_INFLIGHT_BYTES), bytes, BODIES,
                            qr_config_number(config, QR_OPTION_MAX_BODY_BYTES));
    }
    return QR_OK;
}

qr_status qr__inflight_fit(const qr_config *config, const qr__memory_group *group,
                           const qr__memory_item *models, size_t len, qr_quota *quota,
                           qr_error *error) {
    const uint64_t left = qr__memory_start_left(group, models, len);
    const size_t wanted = qr_quota_max(quota), least = least_of(config);
    const bool given = qr_config_given(config, QR_OPTION_INFLIGHT_BYTES);
    if (wanted <= (given ? left : left / 2))
        return QR_OK;
    if (given || left < least)
        return qr__memory_start_beside(group, models, len, "the models and requests in flight take",
                                       given ? qr_config_source(config, QR_OPTION_INFLIGHT_BYTES)
                                             : "requests in flight",
                                       given ? wanted : least, error);
    const size_t bytes = qr_max(least, (size_t)(left / 2)); /* the rest is for the cache */
    qr_log(QR_LOG_WARN,
           "requests in flight may hold %.0f MB, not %.0f MB: %s leaves %.0f MB beside the models; "
           "raise it, or say --inflight-bytes",
           (double)bytes / 1e6, (double)wanted / 1e6, group->limit, (double)left / 1e6);
    qr_quota_limit(quota, bytes);
    return QR_OK;
}
