/* server/memory_room.h: whether a second copy of a model fits into memory.
 *
 *     qr__memory_room room;
 *     if (qr__memory_room_read("", &room))
 *         status = qr__memory_room_check(&room, name, need_bytes, &error);
 *
 * What is free is the least of MemAvailable and, for each of the process's memory cgroups (v2), its
 * maximum less what it uses. Threads: any.
 */
#ifndef QR_SERVER_MEMORY_ROOM_H
#define QR_SERVER_MEMORY_ROOM_H

#include "base/base.h"

typedef struct qr__memory_room {
    uint64_t free_bytes;
    const char *limit; /* static text: what leaves no more */
} qr__memory_room;

/** Reads /proc and /sys/fs/cgroup below `root` ("" is the system's). False: they tell nothing. */
QR_MUST_USE bool qr__memory_room_read(const char *root, qr__memory_room *out);

/** QR_NO_MEMORY, with both numbers, when `need_bytes` are not free. */
QR_MUST_USE qr_status qr__memory_room_check(const qr__memory_room *room, const char *name,
                                            uint64_t need_bytes, qr_error *error);

/** What another copy of a model will need at the most: the greater of its file of weights in `dir`
 * and `packed_bytes`, which one takes that is loaded (0: none is), and a quarter for its lanes. */
uint64_t qr__memory_room_need(const char *dir, uint64_t packed_bytes);

#endif
