/* server/memory_start.c: sums of what is in use, what stays of models, and what comes. */
#include "server/memory_start.h"

#include <stdio.h>

#define SUM_BYTES (16u << 10)

static double megabytes(uint64_t bytes) {
    return (double)bytes / 1e6;
}

/* In use, and what stays of the first models. */
static uint64_t held_beside(const qr__memory_group *group, const qr__memory_item *models,
                            size_t len) {
    uint64_t sum = group->firm_bytes;
    for (size_t i = 0; i < len; i++)
        sum = qr_saturating_add(sum, models[i].stay_bytes);
    return sum;
}

/* The sum stands before its parts: a message that is cut short loses the last of them. */
static qr_status refuse(const qr__memory_group *group, const qr__memory_item *models, size_t len,
                        uint64_t last_bytes, const char *last, const char *what, qr_error *error) {
    qr_buf parts;
    qr_buf_init(&parts, SUM_BYTES);
    for (size_t i = 0; i < len; i++)
        qr_buf_printf(&parts, " + %.0f MB %.100s", megabytes(models[i].stay_bytes), models[i].name);
    (void)qr_error_set(
        error, QR_NO_MEMORY,
        "%s %.0f MB, and %s is %.0f MB (raise it, or ask for less): %.0f MB in "
        "use%.*s + %.0f MB %s",
        what, megabytes(qr_saturating_add(held_beside(group, models, len), last_bytes)),
        group->limit, megabytes(group->max_bytes), megabytes(group->firm_bytes), (int)parts.len,
        parts.len == 0 ? "" : parts.data, megabytes(last_bytes), last);
    qr_buf_deinit(&parts);
    return QR_NO_MEMORY;
}

qr_status qr__memory_start_models(const qr__memory_group *group, const qr__memory_item *models,
                                  size_t len, const char *what, qr_error *error) {
    size_t worst = 0;
    uint64_t most = 0;
    for (size_t i = 0; i < len; i++) {
        uint64_t sum = qr_saturating_add(held_beside(group, models, i), models[i].need_bytes);
        worst = sum > most ? i : worst;
        most = qr_max(sum, most);
    }
    if (len == 0 || most <= group->max_bytes)
        return QR_OK;
    char last[160];
    snprintf(last, sizeof last, "%.100s while it is loaded", models[worst].name);
    return refuse(group, models, worst, models[worst].need_bytes, last, what, error);
}

uint64_t qr__memory_start_left(const qr__memory_group *group, const qr__memory_item *models,
                               size_t len) {
    uint64_t held = held_beside(group, models, len);
    return group->max_bytes > held ? group->max_bytes - held : 0;
}

qr_status qr__memory_start_beside(const qr__memory_group *group, const qr__memory_item *models,
                                  size_t len, const char *what, const char *source, uint64_t bytes,
                                  qr_error *error) {
    if (bytes <= qr__memory_start_left(group, models, len))
        return QR_OK;
    return refuse(group, models, len, bytes, source, what, error);
}
