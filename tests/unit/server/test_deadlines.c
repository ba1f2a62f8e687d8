/* The heap of deadlines on a real loop: each exchange once, in order, never early. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "server/deadlines.h"

#define COUNT 500

typedef struct record {
    qr_loop *loop;
    qr_exchange *late[COUNT];
    size_t len, expected;
    uint64_t lags_ns[COUNT];
} record;

static void on_late(void *state, qr_exchange *exchange) {
    record *r = state;
    uint64_t now = qr_clock_ns();
    cr_assert(now >= exchange->deadline_ns, "early");
    r->lags_ns[r->len] = now - exchange->deadline_ns;
    r->late[r->len++] = exchange;
    if (r->len == r->expected)
        qr_loop_stop(r->loop);
}

/* A fixed sequence of numbers; no test depends on which. */
static uint64_t next(uint64_t *state) {
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return *state >> 33;
}

static int by_number(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

Test(deadlines, order_and_time, .timeout = 30) {
    static qr_exchange exchanges[COUNT];
    record r = {0};
    qr_deadlines *deadlines;
    uint64_t seed = 1, begun = qr_clock_ns();
    cr_assert_eq(qr_loop_create(&r.loop), QR_OK);
    cr_assert_eq(qr_deadlines_create(r.loop, COUNT, on_late, &r, &deadlines), QR_OK);
    for (size_t i = 0; i < COUNT; i++) {
        exchanges[i].deadline_ns = begun + next(&seed) % (200 * QR_NS_PER_MS);
        qr_deadlines_add(deadlines, &exchanges[i]);
    }
    r.expected = COUNT;
    for (size_t i = 0; i < COUNT; i += 3, r.expected--)
        qr_deadlines_remove(deadlines, &exchanges[i]);
    qr_deadlines_remove(deadlines, &exchanges[0]); /* not in it any more: nothing happens */
    qr_loop_run(r.loop);
    cr_expect_eq(r.len, r.expected);
    for (size_t i = 0; i < r.len; i++) {
        cr_expect_neq((size_t)(r.late[i] - exchanges) % 3, 0, "a removed one fired");
        cr_expect_eq(r.late[i]->deadline_at, 0);
    }
    for (size_t i = 1; i < r.len; i++) /* those that one tick finds due are in order too */
        cr_expect(r.late[i - 1]->deadline_ns <= r.late[i]->deadline_ns);
    qsort(r.lags_ns, r.len, sizeof r.lags_ns[0], by_number);
    cr_expect_lt(r.lags_ns[r.len / 2], 5 * QR_NS_PER_MS, "median lag %.1f ms",
                 (double)r.lags_ns[r.len / 2] / 1e6);
    qr_deadlines_destroy(deadlines);
    qr_loop_destroy(r.loop);
}

Test(deadlines, an_earlier_one_moves_the_timer, .timeout = 30) {
    static qr_exchange far, near;
    record r = {.expected = 1};
    qr_deadlines *deadlines;
    cr_assert_eq(qr_loop_create(&r.loop), QR_OK);
    cr_assert_eq(qr_deadlines_create(r.loop, 2, on_late, &r, &deadlines), QR_OK);
    uint64_t now = qr_clock_ns();
    far.deadline_ns = now + 60 * QR_NS_PER_S;
    near.deadline_ns = now + 20 * QR_NS_PER_MS;
    qr_deadlines_add(deadlines, &far);
    qr_deadlines_add(deadlines, &near);
    qr_loop_run(r.loop);
    cr_expect_eq(r.late[0], &near);
    cr_expect_neq(far.deadline_at, 0);
    qr_deadlines_destroy(deadlines);
    qr_loop_destroy(r.loop);
}
