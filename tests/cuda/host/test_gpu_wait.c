/* Waiting for a stream: how often it is asked, when it is given up, and who hears of that. The
 * clock and the stream are the test's. */
#include "engine/cuda/module/gpu_wait.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>

TestSuite(gpu_wait, .timeout = 60);

#define MS QR_NS_PER_MS
#define S  QR_NS_PER_S

/* A clock that goes on by `step_ns` at each look and by each pause; the stream is done at
 * `done_ns`. */
static struct {
    uint64_t now_ns, step_ns, done_ns, jump_ns;
    uint64_t slept_ns, longest_pause_ns;
    unsigned asked, pauses;
    qr__cu_result says; /* when it is done */
} world;

static uint64_t now_ns(void *state) {
    (void)state;
    return world.now_ns += world.step_ns;
}

static void sleep_ns(void *state, uint64_t ns) {
    (void)state;
    world.now_ns += ns + world.jump_ns;
    world.slept_ns += ns;
    world.longest_pause_ns = qr_max(world.longest_pause_ns, ns);
    world.pauses++;
}

static qr__cu_result ask(qr__cu_stream stream) {
    (void)stream;
    world.asked++;
    return world.now_ns >= world.done_ns ? world.says : QR__CU_NOT_READY;
}

static unsigned hangs;

static void count_hang(void) {
    hangs++;
}

static const qr__cuda_host host = {.abi = QR__CUDA_ABI, .hung = count_hang};
static const qr__gpu_time by_test = {now_ns, sleep_ns, NULL};
static const qr__gpu gpu = {
    .host = &host, .ordinal = 5, .wait_ns = 10 * S, .time = &by_test, .driver.stream_query = ask};

static qr__cu_result wait(uint64_t step_ns, uint64_t done_ns, double operations) {
    memset(&world, 0, sizeof world);
    world.now_ns = 1000 * S;
    world.step_ns = step_ns;
    world.done_ns = done_ns == UINT64_MAX ? done_ns : world.now_ns + done_ns;
    return qr__gpu_wait(&gpu, NULL, operations);
}

/* The way of nearly all batches: no pause, so no call of the system. */
Test(gpu_wait, what_is_done_soon_is_waited_for_without_a_pause) {
    cr_expect_eq(wait(1000, 0, 0), QR__CU_OK);
    cr_expect_eq(world.asked, 1);
    cr_expect_eq(wait(1000, 900000, 0), QR__CU_OK);
    cr_expect_eq(world.pauses, 0);
    cr_expect_leq(world.asked, 902);
    cr_expect_not(qr__gpu_is_hung(&gpu));
}

Test(gpu_wait, what_takes_longer_is_seen_soon_after_it_is_done) {
    cr_expect_eq(wait(1000, 20 * MS, 0), QR__CU_OK);
    cr_expect_gt(world.slept_ns, 15 * MS);
    cr_expect_leq(world.now_ns - world.done_ns, 20 * MS / 32 + 2000);
    cr_expect_eq(wait(1000, 5 * S, 0), QR__CU_OK);
    cr_expect_eq(world.longest_pause_ns, MS);
}

/* An error is the driver's word, whenever it comes. */
Test(gpu_wait, an_error_ends_the_wait) {
    memset(&world, 0, sizeof world);
    world.says = 719;
    cr_expect_eq(qr__gpu_wait(&gpu, NULL, 0), 719);
    cr_expect_not(qr__gpu_is_hung(&gpu));
}

Test(gpu_wait, what_never_ends_is_given_up_after_its_time_and_not_before) {
    cr_expect_eq(wait(1000, 10 * S - 2 * MS, 0), QR__CU_OK);
    cr_expect_eq(wait(1000, UINT64_MAX, 0), QR__GPU_ENDLESS);
    cr_expect_geq(world.now_ns, 1010 * S);
    cr_expect_leq(world.now_ns, 1010 * S + 10 * MS);
    cr_expect(qr__gpu_is_hung(&gpu));
}

/* 1e12 operations: ten seconds more. */
Test(gpu_wait, much_work_has_more_time) {
    cr_expect_eq(wait(1000, 19 * S, 1e12), QR__CU_OK);
    cr_expect_eq(wait(1000, UINT64_MAX, 1e12), QR__GPU_ENDLESS);
    cr_expect_geq(world.now_ns, 1020 * S);
}

/* A process that was stopped for a minute, or a machine that was paused with its card, has not
 * waited: the device gets its time all the same. */
Test(gpu_wait, time_in_which_nobody_looked_is_not_counted) {
    memset(&world, 0, sizeof world);
    world.step_ns = 1000;
    world.jump_ns = 60 * S; /* with each pause */
    world.done_ns = 90 * 60 * S;
    cr_expect_eq(qr__gpu_wait(&gpu, NULL, 0), QR__CU_OK);
    cr_expect_geq(world.pauses, 90);
    world.done_ns = UINT64_MAX;
    cr_expect_eq(qr__gpu_wait(&gpu, NULL, 0), QR__GPU_ENDLESS);
}

/* Whoever looks late looks once more: the clock is over at the first reading behind the begin. */
Test(gpu_wait, who_is_kept_from_asking_still_finds_what_is_done) {
    const qr__gpu hasty = {
        .host = &host, .ordinal = 6, .wait_ns = 1, .time = &by_test, .driver.stream_query = ask};
    memset(&world, 0, sizeof world);
    world.step_ns = 50 * MS;
    world.done_ns = 100 * MS;
    cr_expect_eq(qr__gpu_wait(&hasty, NULL, 0), QR__CU_OK);
    cr_expect_not(qr__gpu_is_hung(&hasty));
}

/* --- two threads --- */

static qr__cu_result never(qr__cu_stream stream) {
    (void)stream;
    return QR__CU_NOT_READY;
}

static uint64_t stands_still(void *state) {
    (void)state;
    return 0;
}

static const qr__gpu_time no_time = {stands_still, sleep_ns, NULL};
static const qr__gpu patient = {
    .host = &host, .ordinal = 5, .wait_ns = 10 * S, .time = &no_time, .driver.stream_query = never};

static void *wait_patiently(void *out) {
    *(qr__cu_result *)out = qr__gpu_wait(&patient, NULL, 0);
    return NULL;
}

/* By this thread's clock no time passes, so it is the other's word that ends its wait. */
Test(gpu_wait, a_hang_that_one_thread_finds_ends_the_waits_of_all) {
    pthread_t thread;
    qr__cu_result found = QR__CU_OK;
    cr_assert_eq(pthread_create(&thread, NULL, wait_patiently, &found), 0);
    cr_expect_eq(wait(100 * MS, UINT64_MAX, 0), QR__GPU_ENDLESS);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_expect_eq(found, QR__GPU_ENDLESS);
    cr_expect_eq(hangs, 1); /* it is told of once */
}

/* --- the bound --- */

Test(gpu_wait, the_environment_may_say_how_long) {
    static const char *const wrong[] = {"", "0", "-1", "1.5", "10s", "99999999999"};
    unsetenv("QUERENT_CUDA_WAIT_MS");
    cr_expect_eq(qr__gpu_wait_ns(), 10 * S);
    setenv("QUERENT_CUDA_WAIT_MS", "600000", 1);
    cr_expect_eq(qr__gpu_wait_ns(), 600 * S);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        setenv("QUERENT_CUDA_WAIT_MS", wrong[i], 1);
        cr_expect_eq(qr__gpu_wait_ns(), 10 * S, "%s", wrong[i]);
    }
}
