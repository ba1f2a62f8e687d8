/* server/exchange.c: an exchange's memory, and what may be true of it. */
#include "server/exchange.h"

#include <stdio.h>
#include <stdlib.h>

qr_exchange *qr_exchange_create(size_t max_body_bytes, qr_quota *quota) {
    qr_exchange *x = calloc(1, sizeof *x);
    if (x == NULL)
        return NULL;
    qr_buf_init(&x->body, max_body_bytes);
    qr_buf_init(&x->out, QR_LIMIT_RESPONSE_BYTES);
    qr_arena_init(&x->arena, QR_LIMIT_EXCHANGE_BYTES);
    x->body.quota = x->out.quota = x->arena.quota = quota;
    return x;
}

void qr_exchange_destroy(qr_exchange *x) {
    if (x == NULL)
        return;
    qr_serving_unpin(x->serving);
    qr_buf_deinit(&x->body);
    qr_buf_deinit(&x->out);
    qr_arena_deinit(&x->arena);
    free(x);
}

void qr_exchange_reset(qr_exchange *x) {
    QR_ASSERT(x->deadline.place == 0 && !qr_link_listed(&x->ticket.link));
    QR_ASSERT(!qr_link_listed(&x->joint.link));
    qr_serving_unpin(x->serving);
    qr_arena_reset(&x->arena);
    qr_buf_recycle(&x->body);
    qr_buf_recycle(&x->out);
    *x = (qr_exchange){.body = x->body, .out = x->out, .arena = x->arena};
}

void qr_exchange_lighten(qr_exchange *x) {
    if (x->key.len > 0 || x->arena.held_bytes + x->body.capacity <= QR_QUOTA_SMALL_BYTES)
        return;
    qr_arena_deinit(&x->arena);
    qr_buf_deinit(&x->body);
    x->ticket.jobs = NULL;
    x->jobs = NULL;
    x->decoded = NULL;
}

static qr_note *add_note(qr_exchange *x, const char *name) {
    QR_ASSERT(x->notes_len < QR_NOTES_MAX);
    if (x->notes_len == QR_NOTES_MAX)
        return NULL;
    qr_note *note = &x->notes[x->notes_len++];
    *note = (qr_note){.name = name};
    return note;
}

void qr_exchange_note(qr_exchange *x, const char *name, const char *value) {
    qr_note *note = add_note(x, name);
    if (note != NULL)
        snprintf(note->value, sizeof note->value, "%s", value);
}

void qr_exchange_note_fixed(qr_exchange *x, const char *name, const char *text) {
    qr_note *note = add_note(x, name);
    if (note != NULL)
        note->text = text;
}

bool qr_exchange_is_legal(const qr_exchange *x) {
    bool timed = x->deadline.place != 0, waited_for = x->request != NULL;
    switch (x->phase) {
    case QR_EXCHANGE_FREE:
        return !waited_for && !timed && !x->answered && x->serving == NULL;
    case QR_EXCHANGE_RECEIVING:
        return waited_for && !timed && !x->answered;
    case QR_EXCHANGE_LOOP:
        return waited_for && !x->answered;
    case QR_EXCHANGE_DECODING:
    case QR_EXCHANGE_RUNNING:
        return timed == (waited_for && !x->answered) && x->serving != NULL;
    case QR_EXCHANGE_JOINED:
        return waited_for && timed && !x->answered && x->serving != NULL;
    case QR_EXCHANGE_ANSWERED:
        return waited_for && !timed && x->answered;
    }
    return false;
}
