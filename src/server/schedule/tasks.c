/* server/schedule/tasks.c: which task is next. What tasks cost is not known, and nobody is refused
 * because of them; so neither many short ones nor a few long ones may keep batches waiting whose
 * tickets were promised to be in time. */
#include "server/schedule/tasks.h"

/* About a batch of short texts: of the workers' time that both want, each gets a part. */
#define TASKS_NS (4 * QR_NS_PER_MS)

/* One at least; where there are more, half of the workers are left whatever comes. */
static bool may_run_long(const qr_schedule *schedule) {
    int most = schedule->options.workers / 2;
    return schedule->running_long_tasks < (most > 0 ? most : 1);
}

bool qr__task_waiting(const qr_schedule *schedule) {
    return qr_list_first(&schedule->tasks) != NULL ||
           (qr_list_first(&schedule->long_tasks) != NULL && may_run_long(schedule));
}

bool qr__task_yields(const qr_schedule *schedule) {
    return schedule->tasks_ns >= TASKS_NS;
}

qr_task *qr__task_take(qr_schedule *schedule) {
    qr_link *first = qr_list_first(&schedule->tasks);
    if (first == NULL && may_run_long(schedule))
        first = qr_list_first(&schedule->long_tasks);
    if (first == NULL)
        return NULL;
    qr_task *task = QR_OWNER(first, qr_task, link);
    qr_list_remove(first);
    schedule->running_long_tasks += task->is_long;
    return task;
}

/* Whoever gets what the task has made may free it before run() is back. */
void qr__task_run(qr_schedule *schedule, qr_task *task, uint64_t begun_ns) {
    bool was_long = task->is_long;
    task->run(task);
    uint64_t end_ns = qr_clock_read(schedule->options.clock);
    QR_CHAOS_DELAY();
    pthread_mutex_lock(&schedule->lock);
    schedule->tasks_ns += end_ns - begun_ns;
    schedule->running_long_tasks -= was_long;
    pthread_mutex_unlock(&schedule->lock);
}
