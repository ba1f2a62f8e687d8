/* server/deadlines.c: the heap; exchange->deadline_at is its place in it, 1-based as in the
 * textbooks. */
#include "server/deadlines.h"

#include <stdlib.h>

struct qr_deadlines {
    qr_watch *timer;
    void (*on_late)(void *state, qr_exchange *exchange);
    void *state;
    uint64_t armed_ns; /* when the timer fires; UINT64_MAX: it does not */
    size_t len, max;
    qr_exchange *heap[]; /* [1 + max] */
};

static void place(qr_deadlines *d, size_t at, qr_exchange *exchange) {
    d->heap[at] = exchange;
    exchange->deadline_at = at;
}

static void sift_up(qr_deadlines *d, size_t at, qr_exchange *exchange) {
    while (at > 1 && d->heap[at / 2]->deadline_ns > exchange->deadline_ns) {
        place(d, at, d->heap[at / 2]);
        at /= 2;
    }
    place(d, at, exchange);
}

static void sift_down(qr_deadlines *d, size_t at, qr_exchange *exchange) {
    for (;;) {
        size_t child = 2 * at;
        if (child > d->len)
            break;
        if (child < d->len && d->heap[child + 1]->deadline_ns < d->heap[child]->deadline_ns)
            child++;
        if (d->heap[child]->deadline_ns >= exchange->deadline_ns)
            break;
        place(d, at, d->heap[child]);
        at = child;
    }
    place(d, at, exchange);
}

static void arm(qr_deadlines *d) {
    if (d->len == 0) {
        d->armed_ns = UINT64_MAX;
        return;
    }
    uint64_t now = qr_clock_ns(), at = d->heap[1]->deadline_ns;
    d->armed_ns = at;
    qr_watch_arm(d->timer, at > now ? (at - now) / QR_NS_PER_MS + 1 : 0, 0);
}

static void on_timer(void *state) {
    qr_deadlines *d = state;
    uint64_t now = qr_clock_ns();
    while (d->len > 0 && d->heap[1]->deadline_ns <= now) {
        qr_exchange *late = d->heap[1];
        qr_deadlines_remove(d, late);
        d->on_late(d->state, late);
    }
    arm(d);
}

qr_status qr_deadlines_create(qr_loop *loop, size_t max,
                              void (*on_late)(void *state, qr_exchange *exchange), void *state,
                              qr_deadlines **out) {
    *out = NULL;
    qr_deadlines *d = calloc(1, sizeof *d + (max + 1) * sizeof(qr_exchange *));
    if (d == NULL)
        return QR_NO_MEMORY;
    d->max = max;
    d->on_late = on_late;
    d->state = state;
    d->armed_ns = UINT64_MAX;
    d->timer = qr_watch_timer(loop, on_timer, d);
    if (d->timer == NULL) {
        free(d);
        return QR_NO_MEMORY;
    }
    *out = d;
    return QR_OK;
}

void qr_deadlines_destroy(qr_deadlines *d) {
    if (d == NULL)
        return;
    qr_watch_close(d->timer);
    free(d);
}

void qr_deadlines_add(qr_deadlines *d, qr_exchange *exchange) {
    if (d->len >= d->max)
        return; /* not reached: one place for each connection */
    d->len++;
    sift_up(d, d->len, exchange);
    if (d->heap[1]->deadline_ns < d->armed_ns)
        arm(d);
}

void qr_deadlines_remove(qr_deadlines *d, qr_exchange *exchange) {
    size_t at = exchange->deadline_at;
    if (at == 0)
        return;
    exchange->deadline_at = 0;
    qr_exchange *last = d->heap[d->len--];
    if (last == exchange)
        return;
    if (at > 1 && d->heap[at / 2]->deadline_ns > last->deadline_ns)
        sift_up(d, at, last);
    else
        sift_down(d, at, last);
}
