/* cli/delays.c: figures in, draws out. */
#include "cli/delays.h"

#include <string.h>

#include "cli/arrivals.h"

#define SEED_OF_OURS UINT64_C(0x9E3779B97F4A7C15) /* not the arrivals' draws again */

/* The share of requests that a figure is of. */
static const double shares[QR_DELAYS] = {0.5, 0.9, 0.99, 0.999};

int qr__delays_parse(const qr__command *command, const char *name, const char *text,
                     qr__delays *out) {
    *out = (qr__delays){0};
    for (const char *at = text;; at++) {
        size_t len = strcspn(at, ",");
        uint64_t us;
        if (out->len == QR_DELAYS)
            return qr__flags_refuse(command, "--%s %s: more than %d figures", name, text,
                                    QR_DELAYS);
        if (!qr_text_to_u64((qr_text){at, len}, QR_DELAYS_US_MOST, &us))
            return qr__flags_refuse(command, "--%s %s: %.*s: must be a whole number in 0..%u", name,
                                    text, (int)len, at, QR_DELAYS_US_MOST);
        if (out->len > 0 && (double)us < out->us[out->len - 1])
            return qr__flags_refuse(command, "--%s %s: figures must not fall", name, text);
        out->us[out->len++] = (double)us;
        at += len;
        if (*at == '\0')
            return QR_FLAGS_GO;
    }
}

void qr__delays_seed(qr__delays *delays, uint64_t seed) {
    delays->random = (seed ^ SEED_OF_OURS) | 1;
}

uint64_t qr__delays_next_ns(qr__delays *delays) {
    double drawn = qr__random_share(&delays->random);
    size_t i = 0;
    while (i < delays->len && drawn >= shares[i])
        i++;
    if (i == 0 || i == delays->len)
        return (uint64_t)(delays->us[i == 0 ? 0 : i - 1] * 1e3);
    double along = (drawn - shares[i - 1]) / (shares[i] - shares[i - 1]);
    return (uint64_t)((delays->us[i - 1] + along * (delays->us[i] - delays->us[i - 1])) * 1e3);
}
