/* The tables of states: every combination is asked about, and exactly the rows that the headers
 * list are legal. */
#include <criterion/criterion.h>

#include "server/exchange.h"
#include "server/http/http_internal.h"

/* A row of exchange.h as text: phase, then whether it has a request, is timed, is answered. */
static bool exchange_row(qr_exchange_phase phase, bool request, bool timed, bool answered) {
    switch (phase) {
    case QR_EXCHANGE_FREE:
        return !request && !timed && !answered;
    case QR_EXCHANGE_RECEIVING:
        return request && !timed && !answered;
    case QR_EXCHANGE_LOOP:
        return request && !answered;
    case QR_EXCHANGE_DECODING:
    case QR_EXCHANGE_RUNNING:
        return (request && timed && !answered) || (request && !timed && answered) ||
               (!request && !timed);
    case QR_EXCHANGE_JOINED:
        return request && timed && !answered;
    case QR_EXCHANGE_ANSWERED:
        return request && !timed && answered;
    }
    return false;
}

Test(states, of_an_exchange) {
    static char something; /* that is never looked into */
    void *some = &something;
    for (qr_exchange_phase phase = QR_EXCHANGE_FREE; phase <= QR_EXCHANGE_ANSWERED; phase++)
        for (unsigned bits = 0; bits < 8; bits++) {
            bool request = bits & 1, timed = bits & 2, answered = bits & 4;
            bool has_generation = phase != QR_EXCHANGE_FREE;
            const qr_exchange x = {
                .phase = phase,
                .request = request ? some : NULL,
                .deadline = {.place = timed},
                .answered = answered,
                .serving = has_generation ? some : NULL,
            };
            cr_expect_eq(qr_exchange_is_legal(&x), exchange_row(phase, request, timed, answered),
                         "phase %d, request %d, timed %d, answered %d", (int)phase, request, timed,
                         answered);
        }
    const qr_exchange pinned = {.serving = some}, unpinned = {.phase = QR_EXCHANGE_RUNNING};
    cr_expect_not(qr_exchange_is_legal(&pinned), "a free one pins a generation");
    cr_expect_not(qr_exchange_is_legal(&unpinned), "one at work pins none");
}

Test(states, of_a_connection) {
    static const bool legal[][6] = {
        /* HEAD, BODY, DROP, OUT, ANSWERED, CLOSING */
        [QR__PHASE_HEAD] = {1, 0, 0, 0, 0, 0}, [QR__PHASE_BODY] = {0, 1, 1, 0, 0, 0},
        [QR__PHASE_WORK] = {0, 0, 0, 1, 1, 0}, [QR__PHASE_WRITE] = {0, 0, 0, 0, 1, 1},
        [QR__PHASE_IDLE] = {0, 0, 0, 0, 0, 0},
    };
    for (qr__phase phase = QR__PHASE_HEAD; phase <= QR__PHASE_IDLE; phase++) {
        qr__connection c = {.phase = phase};
        cr_expect_eq(qr__connection_is_legal(&c),
                     phase == QR__PHASE_HEAD || phase == QR__PHASE_IDLE);
        c.gone = true;
        cr_expect(qr__connection_is_legal(&c));
        for (int stage = QR__REQUEST_HEAD; stage <= QR__REQUEST_CLOSING; stage++) {
            qr__request r = {.stage = (qr__stage_of_request)stage};
            c = (qr__connection){.phase = phase, .request = &r};
            cr_expect_eq(qr__connection_is_legal(&c), legal[phase][stage], "phase %d, stage %d",
                         (int)phase, stage);
        }
    }
}
