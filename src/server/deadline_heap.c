/* server/deadline_heap.c: a binary heap with 1-based places, as in the textbooks: the parent of
 * place n is n / 2. */
#include "server/deadline_heap.h"

#include <stdlib.h>

struct qr__deadline_heap {
    size_t len, max;
    qr_deadline *at[]; /* [1 + max] */
};

static void put(qr__deadline_heap *heap, size_t place, qr_deadline *deadline) {
    heap->at[place] = deadline;
    deadline->place = place;
}

static void sift_up(qr__deadline_heap *heap, size_t place, qr_deadline *deadline) {
    while (place > 1 && heap->at[place / 2]->at_ns > deadline->at_ns) {
        put(heap, place, heap->at[place / 2]);
        place /= 2;
    }
    put(heap, place, deadline);
}

static void sift_down(qr__deadline_heap *heap, size_t place, qr_deadline *deadline) {
    for (;;) {
        size_t child = 2 * place;
        if (child > heap->len)
            break;
        if (child < heap->len && heap->at[child + 1]->at_ns < heap->at[child]->at_ns)
            child++;
        if (heap->at[child]->at_ns >= deadline->at_ns)
            break;
        put(heap, place, heap->at[child]);
        place = child;
    }
    put(heap, place, deadline);
}

qr_status qr__deadline_heap_create(size_t max, qr__deadline_heap **out) {
    qr__deadline_heap *heap = calloc(1, sizeof *heap + (max + 1) * sizeof(qr_deadline *));
    *out = heap;
    if (heap == NULL)
        return QR_NO_MEMORY;
    heap->max = max;
    return QR_OK;
}

void qr__deadline_heap_destroy(qr__deadline_heap *heap) {
    free(heap);
}

bool qr__deadline_heap_add(qr__deadline_heap *heap, qr_deadline *deadline) {
    QR_ASSERT(deadline->place == 0);
    if (heap->len == heap->max)
        return false;
    sift_up(heap, ++heap->len, deadline);
    return true;
}

void qr__deadline_heap_remove(qr__deadline_heap *heap, qr_deadline *deadline) {
    size_t place = deadline->place;
    if (place == 0)
        return;
    QR_ASSERT(place <= heap->len && heap->at[place] == deadline);
    deadline->place = 0;
    qr_deadline *last = heap->at[heap->len--];
    if (last == deadline)
        return;
    if (place > 1 && heap->at[place / 2]->at_ns > last->at_ns)
        sift_up(heap, place, last);
    else
        sift_down(heap, place, last);
}

const qr_deadline *qr__deadline_heap_earliest(const qr__deadline_heap *heap) {
    return heap->len == 0 ? NULL : heap->at[1];
}

qr_deadline *qr__deadline_heap_take(qr__deadline_heap *heap, uint64_t now_ns) {
    qr_deadline *first = heap->len == 0 ? NULL : heap->at[1];
    if (first == NULL || first->at_ns > now_ns)
        return NULL;
    qr__deadline_heap_remove(heap, first);
    return first;
}
