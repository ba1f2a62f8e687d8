/* base/arena.h: memory with one lifetime: many allocations, one release.
 *
 *     qr_arena arena;
 *     qr_arena_init(&arena, 1 << 20);                         // may never hold more than 1 MiB
 *     float *row = qr_arena_array(&arena, n, sizeof *row);    // NULL: full or out of memory
 *     qr_arena_reset(&arena);                                 // all gone
 *     qr_arena_deinit(&arena);
 *
 * Not thread-safe: an arena belongs to one thread at a time.
 */
#ifndef QR_BASE_ARENA_H
#define QR_BASE_ARENA_H

#include "base/quota.h"
#include "base/text.h"

struct qr_arena_block;

typedef struct qr_arena {
    struct qr_arena_block *blocks; /* newest first; owned */
    size_t held_bytes;             /* of all blocks */
    size_t max_bytes;
    qr_quota *quota;      /* what they are taken from (borrowed); NULL: nothing */
    size_t refused_bytes; /* that the quota had no room for, since a reset */
} qr_arena;

/** An empty arena that may never hold more than `max_bytes` in its blocks, of no quota. Allocates
 * nothing. */
void qr_arena_init(qr_arena *arena, size_t max_bytes);

/** `bytes` of zeroed memory, 64-byte aligned, or NULL when the arena is at its maximum, or the
 * quota or the system has no more. */
void *qr_arena_alloc(qr_arena *arena, size_t bytes);

/** As qr_arena_alloc for `count` objects of `size` bytes, with a checked product. */
void *qr_arena_array(qr_arena *arena, size_t count, size_t size);

/** A copy of `text` in the arena with a NUL behind it; data is NULL when there is no room. */
qr_text qr_arena_text(qr_arena *arena, qr_text text);

/** Ends the lifetime of everything in the arena. The first block is kept for the next user, so an
 * arena that is used again and again for little asks the system for memory once. */
void qr_arena_reset(qr_arena *arena);

/** As reset, and gives all memory back; the arena may be used again. */
void qr_arena_deinit(qr_arena *arena);

#endif
