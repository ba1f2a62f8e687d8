/* server/loop_lag.h: how late the loop comes to what is due: its own long steps, and the system's
 * scheduling.
 *
 *     qr__loop_lag *lag;
 *     qr__loop_lag_start(loop, metrics, &lag);      // measures four times a second
 *     qr__loop_lag_stop(lag);
 */
#ifndef QR_SERVER_LOOP_LAG_H
#define QR_SERVER_LOOP_LAG_H

#include "server/loop.h"
#include "server/ops/ops.h"

typedef struct qr__loop_lag qr__loop_lag;

/** Counts into the metrics (borrowed). QR_NO_MEMORY, QR_IO. *out: returns owned. */
QR_MUST_USE qr_status qr__loop_lag_start(qr_loop *loop, qr_metrics *metrics, qr__loop_lag **out);

/** NULL is allowed. */
void qr__loop_lag_stop(qr__loop_lag *lag);

#endif
