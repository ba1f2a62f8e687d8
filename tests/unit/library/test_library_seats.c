/* Who waits for a seat gets it in turn. */
#include <criterion/criterion.h>
#include <sched.h>
#include <stdatomic.h>

#include "library/library_internal.h"

TestSuite(library_seats, .timeout = 60);

static qr_lib_model model;
static atomic_bool had; /* by the thread that waited */

static void take_and_give(void (*between)(void)) {
    qr__seat *seat;
    cr_assert_eq(qr__seat_take(&model, &seat, NULL), QR_LIB_OK);
    if (between != NULL)
        between();
    qr__seat_give(&model, seat);
}

static void note(void) {
    atomic_store(&had, true);
}

static void *wait_for_it(void *state) {
    take_and_give(note);
    return state;
}

/* Until so many calls have come for a seat. */
static void await_calls(uint64_t calls) {
    uint64_t come;
    do {
        sched_yield();
        pthread_mutex_lock(&model.lock);
        come = model.turns;
        pthread_mutex_unlock(&model.lock);
    } while (come < calls);
}

Test(library_seats, who_comes_again_waits_behind_who_waited) {
    pthread_t thread;
    qr__seat *seat;
    qr__seats_init(&model, 1);
    for (uint64_t round = 0; round < 50; round++) {
        atomic_store(&had, false);
        cr_assert_eq(qr__seat_take(&model, &seat, NULL), QR_LIB_OK);
        cr_assert_eq(pthread_create(&thread, NULL, wait_for_it, NULL), 0);
        await_calls(3 * round + 2);
        qr__seat_give(&model, seat);
        take_and_give(NULL);
        cr_assert(atomic_load(&had), "round %d", (int)round);
        pthread_join(thread, NULL);
    }
    qr__seats_deinit(&model);
}
