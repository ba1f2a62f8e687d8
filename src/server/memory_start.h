/* server/memory_start.h: whether what is configured fits into the memory cgroup, asked once, before
 * the first model is read.
 *
 *     const qr__memory_item models[] = {{"minilm", need_bytes, stay_bytes}, ...};
 *     status = qr__memory_start_models(&room.tightest, models, len, "loading takes", &error);
 *     if (qr__memory_start_left(&room.tightest, models, len) < cache_bytes)
 *         status = qr__memory_start_beside(...);      // or make do with less
 *
 * Models are loaded one after the other, each beside what stays of those before it; requests come,
 * and the cache fills, when all are there. Threads: any.
 */
#ifndef QR_SERVER_MEMORY_START_H
#define QR_SERVER_MEMORY_START_H

#include "server/memory_room.h"

/** A model that will be loaded. */
typedef struct qr__memory_item {
    const char *name;                /* borrowed */
    uint64_t need_bytes, stay_bytes; /* while it is loaded, and then; stay <= need */
} qr__memory_item;

/** QR_NO_MEMORY, with `what` and the sum of the worst moment: one of these `len` models finds no
 * room when its turn comes. */
QR_MUST_USE qr_status qr__memory_start_models(const qr__memory_group *group,
                                              const qr__memory_item *models, size_t len,
                                              const char *what, qr_error *error);

/** What the group leaves when all of them are loaded. */
uint64_t qr__memory_start_left(const qr__memory_group *group, const qr__memory_item *models,
                               size_t len);

/** QR_NO_MEMORY, with `what` and the sum, when beside all of these there is no room for `bytes`
 * more, which `source` asked for. */
QR_MUST_USE qr_status qr__memory_start_beside(const qr__memory_group *group,
                                              const qr__memory_item *models, size_t len,
                                              const char *what, const char *source, uint64_t bytes,
                                              qr_error *error);

#endif
