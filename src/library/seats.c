/* library/seats.c: the workspaces of calls: made when they are needed, as many as may run at once,
 * and kept. */
#include <stdlib.h>

#include "library/library_internal.h"

/* What one unusually long text made of a seat is not kept. */
#define KEPT_TOKENS  65536u
#define KEPT_WINDOWS 64u

void qr__seats_init(qr_lib_model *model, int most) {
    pthread_mutex_init(&model->lock, NULL);
    pthread_cond_init(&model->freed, NULL);
    model->seats_most = most;
}

static void seat_destroy(qr__seat *seat) {
    qr_context_destroy(seat->context);
    qr_ragged_deinit(&seat->batch);
    qr_windows_deinit(&seat->windows);
    qr_encoding_deinit(&seat->encoding);
    free(seat);
}

void qr__seats_deinit(qr_lib_model *model) {
    while (model->free != NULL) {
        qr__seat *seat = model->free;
        model->free = seat->next;
        seat_destroy(seat);
    }
    pthread_cond_destroy(&model->freed);
    pthread_mutex_destroy(&model->lock);
}

qr_lib_status qr__seat_take(qr_lib_model *model, qr__seat **out, qr_lib_error *error) {
    int cancel_before;
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_before);
    pthread_mutex_lock(&model->lock);
    const uint64_t turn = model->turns++;
    while (turn != model->turn || (model->free == NULL && model->seats == model->seats_most))
        pthread_cond_wait(&model->freed, &model->lock);
    model->turn++;
    pthread_cond_broadcast(&model->freed); /* there may be a seat for the next in turn, too */
    qr__seat *seat = model->free;
    if (seat != NULL) {
        model->free = seat->next;
    } else {
        seat = calloc(1, sizeof *seat);
        model->seats += seat != NULL;
    }
    pthread_mutex_unlock(&model->lock);
    *out = seat;
    if (seat == NULL) {
        pthread_setcancelstate(cancel_before, NULL);
        return qr__lib_fault(error, QR_LIB_NO_MEMORY, "out of memory");
    }
    seat->cancel_before = cancel_before;
    return QR_LIB_OK;
}

void qr__seat_give(qr_lib_model *model, qr__seat *seat) {
    if (seat == NULL)
        return;
    if (seat->encoding.capacity > KEPT_TOKENS)
        qr_encoding_deinit(&seat->encoding);
    if (seat->windows.capacity > KEPT_WINDOWS)
        qr_windows_deinit(&seat->windows);
    int cancel_before = seat->cancel_before; /* the next caller's as soon as the lock is open */
    pthread_mutex_lock(&model->lock);
    seat->next = model->free;
    model->free = seat;
    pthread_cond_broadcast(&model->freed); /* of those that wait only the next one goes on */
    pthread_mutex_unlock(&model->lock);
    pthread_setcancelstate(cancel_before, NULL);
}
