/* The heap of deadlines, against a plain list: each deadline once, the earliest first, at its time
 * and not before. */
#include <criterion/criterion.h>

#include "server/deadline_heap.h"

#define COUNT 500

/* A fixed sequence of numbers; no test depends on which. */
static uint64_t next(uint64_t *state) {
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return *state >> 33;
}

static qr_deadline deadlines[COUNT];
static bool expected[COUNT];
static qr__deadline_heap *heap;

static uint64_t earliest_expected(void) {
    uint64_t earliest = UINT64_MAX;
    for (size_t i = 0; i < COUNT; i++)
        if (expected[i] && deadlines[i].at_ns < earliest)
            earliest = deadlines[i].at_ns;
    return earliest;
}

static void add(size_t i, uint64_t at_ns) {
    deadlines[i].at_ns = at_ns;
    cr_assert(qr__deadline_heap_add(heap, &deadlines[i]));
    expected[i] = true;
}

static void take_all_due(uint64_t now_ns) {
    for (qr_deadline *late; (late = qr__deadline_heap_take(heap, now_ns)) != NULL;) {
        size_t i = (size_t)(late - deadlines);
        cr_assert(expected[i], "taken twice, or removed before");
        cr_assert_eq(late->at_ns, earliest_expected());
        cr_assert_leq(late->at_ns, now_ns);
        cr_assert_eq(late->place, 0);
        expected[i] = false;
    }
    cr_assert_gt(earliest_expected(), now_ns, "left behind");
}

Test(deadline_heap, agrees_with_a_list) {
    uint64_t seed = 1, now = 0;
    cr_assert_eq(qr__deadline_heap_create(COUNT, &heap), QR_OK);
    for (int round = 0; round < 200; round++) {
        for (int step = 0; step < 40; step++) {
            size_t i = next(&seed) % COUNT;
            if (expected[i]) {
                qr__deadline_heap_remove(heap, &deadlines[i]);
                expected[i] = false;
            } else {
                add(i, now + 1 + next(&seed) % 50); /* many of them equal */
            }
            const qr_deadline *first = qr__deadline_heap_earliest(heap);
            cr_assert_eq(first == NULL ? UINT64_MAX : first->at_ns, earliest_expected());
        }
        now += next(&seed) % 30;
        take_all_due(now);
    }
    qr__deadline_heap_destroy(heap);
}

Test(deadline_heap, borders) {
    qr_deadline one = {.at_ns = 10}, two = {.at_ns = 20}, three = {.at_ns = 5};
    cr_assert_eq(qr__deadline_heap_create(2, &heap), QR_OK);
    cr_expect_null(qr__deadline_heap_earliest(heap));
    cr_expect_null(qr__deadline_heap_take(heap, UINT64_MAX));
    cr_expect(qr__deadline_heap_add(heap, &one) && qr__deadline_heap_add(heap, &two));
    cr_expect_not(qr__deadline_heap_add(heap, &three), "full");
    cr_expect_eq(three.place, 0);
    cr_expect_null(qr__deadline_heap_take(heap, 9));
    cr_expect_eq(qr__deadline_heap_take(heap, 10), &one);
    qr__deadline_heap_remove(heap, &one); /* not in it any more: nothing happens */
    qr__deadline_heap_remove(heap, &two);
    cr_expect_null(qr__deadline_heap_take(heap, UINT64_MAX));
    qr__deadline_heap_destroy(heap);
    qr__deadline_heap_destroy(NULL);
}
