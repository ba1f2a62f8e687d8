/* server/verify.h: a self-check in service: some answers are computed again, alone, while the
 * server is idle, and compared: bit for bit, or by a tolerance where bits depend on the batch.
 *
 *     qr__verify_create(1000, metrics, &verify);            // 1,000 in a million
 *     schedule_options.idle = qr__verify_step, schedule_options.idle_state = verify;
 *     qr__verify_offer(verify, serving, model, &job);       // its answer has been made
 *
 * On the CPU a sequence's floats do not depend on its batch mates, its place in the batch or on who
 * helped; so what one thread computes of it alone must be what was sent. On a device whose bits do
 * (qr_plan_info.varies) every float must be within 2e-3, of numbers above 1 by their size, and the
 * cosine of all above 0.9999. If it is not, the machine or the program is at fault: an error line
 * and a metric say so, never with text. Which answers are checked is drawn, independently of what
 * they are. Threads: any; one answer is checked at a time.
 */
#ifndef QR_SERVER_VERIFY_H
#define QR_SERVER_VERIFY_H

#include "server/ops/ops.h"
#include "server/serving.h"

typedef struct qr__verify qr__verify;

/** Checks `ppm` in a million of the sequences that are offered, and counts into the metrics
 * (borrowed). QR_NO_MEMORY. *out: returns owned. */
QR_MUST_USE qr_status qr__verify_create(unsigned ppm, qr_metrics *metrics, qr__verify **out);

/** Forgets what was not checked yet, and frees. NULL is allowed. */
void qr__verify_destroy(qr__verify *verify);

/** Draws whether the sequence is checked, and if so keeps a copy of it and of its result, and pins
 * the generation. Never waits: when too many are kept already, it is dropped and counted. */
void qr__verify_offer(qr__verify *verify, qr_serving *serving, qr_served *model, const qr_job *job);

/** Of floats whose bits may differ: the index of the first that is further from b's than plans
 * round, `len` when all are near. */
size_t qr__verify_far(const float *a, const float *b, size_t len);

/** Checks one; qr_schedule_options.idle. False: there is none, or another worker is checking. */
bool qr__verify_step(void *verify, int worker);

#endif
