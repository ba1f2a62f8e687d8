/* server/deadlines.c: when the timer is armed, and what is late when it fires. */
#include "server/deadlines.h"

#include <stdlib.h>

struct qr__deadlines {
    qr_watch *timer;
    qr__deadline_heap *heap;
    void (*on_late)(void *state, qr_deadline *late);
    void *state;
    uint64_t armed_ns; /* the deadline that the timer is armed for; UINT64_MAX: it is not armed */
};

/* For the earliest deadline. The timer counts whole milliseconds, and is to fire behind it. */
static void arm(qr__deadlines *d) {
    const qr_deadline *first = qr__deadline_heap_earliest(d->heap);
    d->armed_ns = first == NULL ? UINT64_MAX : first->at_ns;
    if (first == NULL)
        return;
    uint64_t now = qr_clock_ns();
    qr_watch_arm(d->timer, first->at_ns > now ? (first->at_ns - now) / QR_NS_PER_MS + 1 : 0, 0);
}

static void on_timer(void *state) {
    qr__deadlines *d = state;
    uint64_t now = qr_clock_ns();
    for (qr_deadline *late; (late = qr__deadline_heap_take(d->heap, now)) != NULL;)
        d->on_late(d->state, late);
    arm(d);
}

qr_status qr__deadlines_create(qr_loop *loop, size_t max,
                               void (*on_late)(void *state, qr_deadline *late), void *state,
                               qr__deadlines **out) {
    *out = NULL;
    qr__deadlines *d = calloc(1, sizeof *d);
    if (d == NULL)
        return QR_NO_MEMORY;
    d->on_late = on_late;
    d->state = state;
    d->armed_ns = UINT64_MAX;
    d->timer = qr_watch_timer(loop, on_timer, d);
    if (d->timer == NULL || qr__deadline_heap_create(max, &d->heap) != QR_OK) {
        qr__deadlines_destroy(d);
        return QR_NO_MEMORY;
    }
    *out = d;
    return QR_OK;
}

void qr__deadlines_destroy(qr__deadlines *d) {
    if (d == NULL)
        return;
    qr_watch_close(d->timer);
    qr__deadline_heap_destroy(d->heap);
    free(d);
}

void qr__deadlines_add(qr__deadlines *d, qr_deadline *deadline) {
    bool added = qr__deadline_heap_add(d->heap, deadline);
    QR_ASSERT(added);
    if (added && deadline->at_ns < d->armed_ns)
        arm(d);
}

void qr__deadlines_remove(qr__deadlines *d, qr_deadline *deadline) {
    qr__deadline_heap_remove(d->heap, deadline);
}
