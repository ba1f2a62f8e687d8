/* base/quota.h: how many bytes buffers and arenas of many owners may hold, all together.
 *
 *     static qr_quota quota;
 *     qr_quota_init(&quota, 256u << 20);
 *     buf.quota = arena.quota = &quota;        // before they hold anything
 *     if (!qr_quota_take(&quota, bytes, bytes))
 *         return QR_NO_MEMORY;
 *     ...
 *     qr_quota_give(&quota, bytes);
 *
 * What is small may take all of it, what is large the first half: a few giants never shut out those
 * who ask for little. Where a pointer to a quota is NULL, nothing is counted or refused. Threads:
 * any; a take is one atomic operation, and who holds memory that fits takes nothing.
 */
#ifndef QR_BASE_QUOTA_H
#define QR_BASE_QUOTA_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#define QR_QUOTA_SMALL_BYTES (64u * 1024u) /* what is longer is large */

typedef struct qr_quota {
    atomic_size_t max_bytes, held_bytes;
    atomic_size_t refused_bytes; /* of the last take that there was no room for */
    struct qr_quota *parent;     /* whose part it is (borrowed); NULL: none's */
} qr_quota;

/** An empty quota of so many bytes. */
void qr_quota_init(qr_quota *quota, size_t max_bytes);

/** An empty part of another one (NULL: of none), which has the only limit: what is taken from it is
 * taken from both. */
void qr_quota_init_part(qr_quota *part, qr_quota *parent);

/** Makes it smaller, or larger; what is held stays. */
void qr_quota_limit(qr_quota *quota, size_t max_bytes);

/** Takes `bytes` for something that is then `whole` bytes long. False: there is no room, and
 * nothing was taken. */
bool qr_quota_take(qr_quota *quota, size_t bytes, size_t whole);

/** Takes them whatever is held. */
void qr_quota_force(qr_quota *quota, size_t bytes);

/** Gives back what was taken. */
void qr_quota_give(qr_quota *quota, size_t bytes);

/** How many bytes are held. */
size_t qr_quota_held(const qr_quota *quota);

/** How many may be. SIZE_MAX of no quota. */
size_t qr_quota_max(const qr_quota *quota);

/** How many bytes are held, or would be if there had been room. */
size_t qr_quota_wanted(const qr_quota *quota);

/** Whether others hold more than a quarter, beside these bytes of one's own: then nothing is kept
 * for later, and nothing large begun, so that there is room to end what was. */
bool qr_quota_is_short(const qr_quota *quota, size_t own_bytes);

#endif
