/* server/schedule/tasks.h: which task is next. Private to the schedule; with its lock held, but for
 * qr__task_run.
 */
#ifndef QR_SERVER_SCHEDULE_TASKS_H
#define QR_SERVER_SCHEDULE_TASKS_H

#include "server/schedule/schedule_internal.h"

/** Takes the next task out of its line; NULL: there is none that may be run now. */
qr_task *qr__task_take(qr_schedule *schedule);

/** Whether there is one. */
bool qr__task_waiting(const qr_schedule *schedule);

/** Whether tasks have had the workers for so long that a batch that waits is next. */
bool qr__task_yields(const qr_schedule *schedule);

/** Runs a task that was taken at `begun_ns`. Locks. */
void qr__task_run(qr_schedule *schedule, qr_task *task, uint64_t begun_ns);

#endif
