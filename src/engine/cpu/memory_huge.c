/* engine/cpu/memory_huge.c: mappings aligned to 2 MB with MADV_HUGEPAGE, and a pointer that moves
 * through them.
 *
 * A mapping is large but costs only the pages that were written, so the tail of the last one is
 * free. */
#include "engine/cpu/memory_huge.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

#define PAGE    ((size_t)2 << 20)
#define MAPPING ((size_t)32 << 20)

typedef struct mapping {
    struct mapping *next;
    char *base; /* 2 MB aligned */
    size_t bytes, used;
} mapping;

struct qr__memory_huge {
    pthread_mutex_t lock;
    mapping *mappings; /* newest first */
    size_t used;
};

qr_status qr__memory_huge_create(qr__memory_huge **out, qr_error *error) {
    qr__memory_huge *memory = calloc(1, sizeof *memory);
    if (memory == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "no memory for packed weights");
    pthread_mutex_init(&memory->lock, NULL);
    *out = memory;
    return QR_OK;
}

/* mmap gives 4 KB alignment: takes one page more and returns what lies outside. */
void *qr__memory_huge_map(size_t bytes) {
    bytes = qr_round_up(bytes, PAGE);
    char *base =
        mmap(NULL, bytes + PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
        return NULL;
    const size_t before = (PAGE - (uintptr_t)base % PAGE) % PAGE;
    if (before > 0)
        munmap(base, before);
    munmap(base + before + bytes, PAGE - before);
    base += before;
    (void)madvise(base, bytes, MADV_HUGEPAGE); /* without it all still works, only slower */
    return base;
}

void qr__memory_huge_unmap(void *base, size_t bytes) {
    munmap(base, qr_round_up(bytes, PAGE));
}

static mapping *add_mapping(qr__memory_huge *memory, size_t bytes) {
    mapping *m = calloc(1, sizeof *m);
    if (m == NULL)
        return NULL;
    m->bytes = qr_max(qr_round_up(bytes, PAGE), MAPPING);
    m->base = qr__memory_huge_map(m->bytes);
    if (m->base == NULL) {
        free(m);
        return NULL;
    }
    m->next = memory->mappings;
    memory->mappings = m;
    return m;
}

void *qr__memory_huge_alloc(qr__memory_huge *memory, size_t bytes) {
    if (bytes > SIZE_MAX / 4)
        return NULL;
    bytes = qr_round_up(bytes, 64);
    pthread_mutex_lock(&memory->lock);
    mapping *m = memory->mappings;
    if (m == NULL || m->bytes - m->used < bytes)
        m = add_mapping(memory, bytes);
    void *out = NULL;
    if (m != NULL) {
        out = m->base + m->used;
        m->used += bytes;
        memory->used += bytes;
    }
    pthread_mutex_unlock(&memory->lock);
    return out;
}

size_t qr__memory_huge_used(const qr__memory_huge *memory) {
    return memory->used;
}

void qr__memory_huge_destroy(qr__memory_huge *memory) {
    if (memory == NULL)
        return;
    while (memory->mappings != NULL) {
        mapping *m = memory->mappings;
        memory->mappings = m->next;
        qr__memory_huge_unmap(m->base, m->bytes);
        free(m);
    }
    pthread_mutex_destroy(&memory->lock);
    free(memory);
}
