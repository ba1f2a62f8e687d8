/* base/arena.c: bump allocation in blocks that double, up to a size at which it matters more that
 * little is held in vain. */
#include "base/arena.h"

#include <stdlib.h>

#include "base/checked.h"

#define ALIGNMENT         64u
#define FIRST_BLOCK_BYTES 4096u
#define DOUBLED_BYTES     ((size_t)1 << 20)

typedef struct qr_arena_block {
    struct qr_arena_block *next;
    size_t used, bytes; /* of data */
    _Alignas(ALIGNMENT) char data[];
} block;

void qr_arena_init(qr_arena *arena, size_t max_bytes) {
    *arena = (qr_arena){.max_bytes = max_bytes};
}

/* A new block with room for `need` bytes at least: twice the last one, or 1 MiB, so that many small
 * allocations take few blocks, but never more than the arena may still hold. */
static block *add_block(qr_arena *arena, size_t need) {
    size_t want =
        arena->blocks == NULL ? FIRST_BLOCK_BYTES : qr_min(arena->blocks->bytes * 2, DOUBLED_BYTES);
    size_t room = arena->max_bytes - arena->held_bytes;
    if (need > room)
        return NULL;
    want = qr_min(qr_max(want, need), room) & ~(size_t)(ALIGNMENT - 1);
    if (want < need)
        return NULL;
    if (!qr_quota_take(arena->quota, want, arena->held_bytes + want)) {
        arena->refused_bytes = want;
        return NULL;
    }
    block *b = aligned_alloc(ALIGNMENT, sizeof *b + want);
    if (b == NULL) {
        qr_quota_give(arena->quota, want);
        return NULL;
    }
    *b = (block){.next = arena->blocks, .bytes = want};
    arena->blocks = b;
    arena->held_bytes += want;
    return b;
}

void *qr_arena_alloc(qr_arena *arena, size_t bytes) {
    size_t need;
    if (!qr_checked_add(qr_max(bytes, 1), ALIGNMENT - 1, &need))
        return NULL;
    need &= ~(size_t)(ALIGNMENT - 1);
    block *b = arena->blocks;
    if (b == NULL || b->bytes - b->used < need) {
        b = add_block(arena, need);
        if (b == NULL)
            return NULL;
    }
    void *p = b->data + b->used;
    b->used += need;
    memset(p, 0, bytes);
    return p;
}

void *qr_arena_array(qr_arena *arena, size_t count, size_t size) {
    size_t bytes;
    return qr_checked_mul(count, size, &bytes) ? qr_arena_alloc(arena, bytes) : NULL;
}

qr_text qr_arena_text(qr_arena *arena, qr_text text) {
    size_t bytes;
    char *copy = qr_checked_add(text.len, 1, &bytes) ? qr_arena_alloc(arena, bytes) : NULL;
    if (copy == NULL)
        return (qr_text){NULL, 0};
    if (text.len > 0)
        memcpy(copy, text.data, text.len);
    return (qr_text){copy, text.len};
}

void qr_arena_reset(qr_arena *arena) {
    block *b = arena->blocks;
    while (b != NULL && b->next != NULL) {
        block *next = b->next;
        arena->held_bytes -= b->bytes;
        qr_quota_give(arena->quota, b->bytes);
        free(b);
        b = next;
    }
    if (b != NULL)
        b->used = 0;
    arena->refused_bytes = 0;
    arena->blocks = b;
}

void qr_arena_deinit(qr_arena *arena) {
    qr_arena_reset(arena);
    qr_quota_give(arena->quota, arena->held_bytes);
    free(arena->blocks);
    *arena = (qr_arena){.max_bytes = arena->max_bytes, .quota = arena->quota};
}
