/* Deadlines on a real loop: none early, each once, those due together in order, and the timer
 * follows the earliest one. */
#include <criterion/criterion.h>

#include "server/deadlines.h"

#define COUNT 100

typedef struct record {
    qr_loop *loop;
    qr_deadline *late[COUNT];
    size_t len, expected;
} record;

static void on_late(void *state, qr_deadline *late) {
    record *r = state;
    cr_assert(qr_clock_ns() >= late->at_ns, "early");
    cr_assert_eq(late->place, 0);
    r->late[r->len++] = late;
    if (r->len == r->expected)
        qr_loop_stop(r->loop);
}

Test(deadlines, each_once_and_none_early, .timeout = 120) {
    static qr_deadline all[COUNT];
    record r = {.expected = COUNT - COUNT / 4};
    qr__deadlines *deadlines;
    uint64_t begun = qr_clock_ns();
    cr_assert_eq(qr_loop_create(&r.loop), QR_OK);
    cr_assert_eq(qr__deadlines_create(r.loop, COUNT, on_late, &r, &deadlines), QR_OK);
    for (size_t i = 0; i < COUNT; i++) {
        all[i].at_ns = begun + (i * 7919 % COUNT) * QR_NS_PER_MS;
        qr__deadlines_add(deadlines, &all[i]);
    }
    for (size_t i = 0; i < COUNT; i += 4)
        qr__deadlines_remove(deadlines, &all[i]);
    qr__deadlines_remove(deadlines, &all[0]); /* not in it any more: nothing happens */
    qr_loop_run(r.loop);
    cr_expect_eq(r.len, r.expected);
    for (size_t i = 0; i < r.len; i++) {
        cr_expect_neq((size_t)(r.late[i] - all) % 4, 0, "a removed one fired");
        cr_expect(i == 0 || r.late[i - 1]->at_ns <= r.late[i]->at_ns);
    }
    qr__deadlines_destroy(deadlines);
    qr__deadlines_destroy(NULL);
    qr_loop_destroy(r.loop);
}

/* The first one alone would keep the loop for ten minutes. */
Test(deadlines, an_earlier_one_moves_the_timer, .timeout = 120) {
    static qr_deadline far, near;
    record r = {.expected = 1};
    qr__deadlines *deadlines;
    cr_assert_eq(qr_loop_create(&r.loop), QR_OK);
    cr_assert_eq(qr__deadlines_create(r.loop, 2, on_late, &r, &deadlines), QR_OK);
    uint64_t now = qr_clock_ns();
    far.at_ns = now + 600 * QR_NS_PER_S;
    near.at_ns = now + 20 * QR_NS_PER_MS;
    qr__deadlines_add(deadlines, &far);
    qr__deadlines_add(deadlines, &near);
    qr_loop_run(r.loop);
    cr_expect_eq(r.late[0], &near);
    cr_expect_neq(far.place, 0);
    qr__deadlines_destroy(deadlines);
    qr_loop_destroy(r.loop);
}
