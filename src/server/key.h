/* server/key.h: what makes two requests ask the same of a model: the model of one generation, and
 * the token ids and segments of all their sequences, in order. Whatever else they ask (dimensions,
 * formats, words of spans) is made of the same floats.
 *
 *     key = qr__key_of(seed, &ticket, model->number);
 *     if (key.len == 0)
 *         ...                                           // too many sequences to be compared
 *     same = key.hash[0] == other.hash[0] && qr__same_sequence(&jobs[0], &other_jobs[0]);
 *
 * Threads: pure.
 */
#ifndef QR_SERVER_KEY_H
#define QR_SERVER_KEY_H

#include "server/schedule/schedule.h"

/** Requests of more sequences have no key: their comparisons and copies would take too long. */
#define QR__KEY_JOBS 8u

/** Hashes of a ticket's sequences; the sequences themselves stay in the ticket's jobs. */
typedef struct qr__key {
    uint64_t model; /* the served model's number */
    size_t len;     /* sequences; 0: none, or too many */
    uint64_t hash[QR__KEY_JOBS];
} qr__key;

/** The key of a ticket for this model. The seed is a secret, so that nobody outside can make all
 * hashes equal. */
qr__key qr__key_of(uint64_t seed, const qr_ticket *ticket, uint64_t model);

/** Whether both jobs are of the same ids and segments, and leave out the same of them. */
bool qr__same_sequence(const qr_job *a, const qr_job *b);

#endif
