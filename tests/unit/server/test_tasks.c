/* Tasks beside batches: whose turn it is, stepped by hand on a clock that tasks move too. */
#include <criterion/criterion.h>

#include "server/schedule_fixture.h"

static fake_machine machine;
static fake_queue queue;
static char tasks_done[16]; /* names, in the order in which they were run */

/* A task, and how long it takes of the machine's clock. */
typedef struct slow_task {
    qr_task task;
    char name;
    uint64_t takes_ns;
} slow_task;

static void on_slow_task(qr_task *task) {
    slow_task *slow = task->owner;
    tasks_done[strlen(tasks_done)] = slow->name;
    machine.now_ns += slow->takes_ns;
}

static void call_slow(slow_task *slow, char name, uint64_t takes_ns, bool is_long) {
    *slow = (slow_task){.name = name, .takes_ns = takes_ns};
    slow->task = (qr_task){.run = on_slow_task, .owner = slow, .is_long = is_long};
    qr_schedule_call(machine.schedule, &slow->task);
}

/* However many tasks wait, and however long they take: behind 4 ms of them a batch is next. */
Test(tasks, they_yield_to_a_batch_that_waits) {
    slow_task tasks[7];
    fake_open(&machine, &queue, 1, 64, 100);
    work *first = work_create(&queue, 1, 64, 0, LATER),
         *second = work_create(&queue, 1, 64, 0, NEVER);
    for (size_t i = 0; i < 7; i++)
        call_slow(&tasks[i], (char)('a' + i), i < 5 ? QR_NS_PER_MS : 100 * QR_NS_PER_MS, false);
    cr_assert_eq(work_submit(&machine, first), QR_OK);
    cr_assert_eq(work_submit(&machine, second), QR_OK);
    for (int i = 0; i < 4; i++)
        cr_assert(fake_round(&machine, 0));
    cr_expect_str_eq(tasks_done, "abcd");
    cr_expect_eq(atomic_load(&first->finished), 0);
    cr_assert(fake_round(&machine, 0));
    cr_expect_eq(atomic_load(&first->finished), 1);
    cr_assert(fake_round(&machine, 0) && fake_round(&machine, 0));
    cr_expect_str_eq(tasks_done, "abcdef", "they begin anew behind a batch");
    cr_expect_eq(atomic_load(&second->finished), 0);
    cr_assert(fake_round(&machine, 0));
    cr_expect_eq(atomic_load(&second->finished), 1);
    cr_assert(fake_round(&machine, 0));
    cr_expect_str_eq(tasks_done, "abcdefg");
    cr_expect_not(fake_round(&machine, 0));
    work_destroy(first), work_destroy(second);
    fake_stop(&machine);
}

static int others_worked; /* workers that found work while a long task was under way */

static void on_long_task(qr_task *task) {
    (void)task;
    for (int i = 1; i < 4; i++)
        others_worked += fake_round(&machine, i);
}

/* Long tasks come behind short ones, and leave half of the workers to batches. */
Test(tasks, long_tasks_leave_half_of_the_workers) {
    qr_task outer = {.run = on_long_task, .is_long = true};
    slow_task longs[3], brief[2];
    fake_open(&machine, &queue, 4, 64, 100);
    qr_schedule_call(machine.schedule, &outer);
    machine.schedule->running_long_tasks = 1; /* as if another worker had one */
    for (size_t i = 0; i < 3; i++)
        call_slow(&longs[i], (char)('a' + i), QR_NS_PER_MS, true);
    cr_assert(fake_round(&machine, 0));
    cr_expect_eq(others_worked, 0, "two of four workers have long tasks");
    call_slow(&brief[0], 's', 1, false);
    machine.schedule->running_long_tasks = 2;
    cr_assert(fake_round(&machine, 1));
    cr_expect_not(fake_round(&machine, 1));
    cr_expect_not(qr__schedule_waiting(machine.schedule, 0), "nobody is woken in vain");
    machine.schedule->running_long_tasks = 0;
    cr_assert(qr__schedule_waiting(machine.schedule, 0));
    call_slow(&brief[1], 't', 1, false);
    for (int i = 0; i < 4; i++)
        cr_assert(fake_round(&machine, i % 2));
    cr_expect_str_eq(tasks_done, "stabc");
    cr_expect_eq(machine.schedule->running_long_tasks, 0);
    fake_stop(&machine);
}

Test(tasks, the_only_worker_takes_long_tasks_between_batches) {
    slow_task longs[2];
    fake_open(&machine, &queue, 1, 64, 100);
    work *w = work_create(&queue, 1, 8, 0, NEVER);
    call_slow(&longs[0], 'a', 50 * QR_NS_PER_MS, true);
    call_slow(&longs[1], 'b', 50 * QR_NS_PER_MS, true);
    cr_assert_eq(work_submit(&machine, w), QR_OK);
    cr_assert(fake_round(&machine, 0));
    cr_expect_str_eq(tasks_done, "a");
    cr_assert(fake_round(&machine, 0));
    cr_expect_eq(atomic_load(&w->finished), 1);
    cr_assert(fake_round(&machine, 0));
    cr_expect_str_eq(tasks_done, "ab");
    work_destroy(w);
    fake_stop(&machine);
}
