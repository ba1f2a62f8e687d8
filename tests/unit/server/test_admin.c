/* Orders to load models again and to take them out: with a loader that does as it is told. */
#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "semaphores.h"
#include "server/admin.h"
#include "server/serving_fixture.h"

#define MODELS 2

static qr_loop *loop;
static qr__admin *admin;
static qr_serving *current; /* what serve() was given last */
static size_t served;       /* how often */

/* What the next load of each model makes. */
static struct {
    size_t seed;
    qr_status status;
    bool spans; /* a model of another kind, whatever its seed */
} plan[MODELS];
static sem_t gate; /* each load waits for it when `gated` */
static bool gated;
static atomic_size_t loads[MODELS];
static bool spends_memory; /* a load leaves none to the loop */
static atomic_bool no_memory;
static const qr_served *last_before;
static char last_name[32];

static qr_served *span_model(const char *name) {
    static const qr__served_options plain = {.workers = 1, .batch_tokens = TINY_POSITIONS};
    qr_served *model;
    cr_assert_eq(qr__served_create(&plain, tiny_model(name, QR_KIND_SPAN, 1), &model, NULL), QR_OK);
    return model;
}

static qr_status load(void *state, size_t index, const char *name, const qr_served *before,
                      qr_served **out, qr_error *error) {
    static const char *const names[] = {"left", "right"};
    (void)state;
    if (gated)
        wait_for(&gate);
    atomic_fetch_add(&loads[index], 1);
    last_before = before;
    snprintf(last_name, sizeof last_name, "%s", name == NULL ? "" : name);
    if (plan[index].status != QR_OK)
        return qr_error_set(error, plan[index].status, "as planned");
    const char *called = name != NULL ? name : names[index];
    if (plan[index].spans)
        *out = span_model(called);
    else
        *out = fixture_served_as(called, plan[index].seed);
    atomic_store(&no_memory, spends_memory);
    return QR_OK;
}

static void serve(void *state, qr_serving *serving) {
    (void)state;
    qr_serving_unpin(current);
    current = serving;
    served++;
}

/* Call-backs, in their order. */
static struct {
    int owner;
    qr_status status;
} done[100];
static size_t done_len, done_wanted;

static void on_done(void *owner, qr_status status, const qr_error *error) {
    atomic_store(&no_memory, false);
    cr_assert(status == QR_OK || error->message[0] != '\0');
    done[done_len].owner = *(int *)owner;
    done[done_len++].status = status;
    if (done_len == done_wanted)
        qr_loop_stop(loop);
}

/* Runs the loop until so many more call-backs have come. */
static void run_until(size_t more) {
    done_wanted = done_len + more;
    qr_loop_run(loop);
    cr_assert_eq(done_len, done_wanted);
}

static int owners[100];

static void start(void) {
    const qr__admin_options options = {
        .loop = loop, .models = MODELS, .load = load, .serve = serve};
    cr_assert_eq(qr__admin_create(&options, &admin), QR_OK);
    qr__admin_start(admin, on_done, &owners[0]);
    cr_assert_eq(done_len, 0); /* not from within */
    run_until(1);
}

static void setup(void) {
    qr_log_init(QR_LOG_ERROR + 1, QR_LOG_AS_TEXT);
    fixture_expect();
    sem_init(&gate, 0, 0);
    plan[1].seed = 1;
    for (int i = 0; i < 100; i++)
        owners[i] = i;
    cr_assert_eq(qr_loop_create(&loop), QR_OK);
}

static void teardown(void) {
    qr__admin_destroy(admin);
    qr_serving_unpin(current);
    qr_loop_destroy(loop);
    fixture_forget();
}

TestSuite(admin, .init = setup, .fini = teardown, .timeout = 120);

static const qr_served *at(const char *name) {
    return qr_serving_named(current, qr_text_of(name));
}

static void order_load(const char *name, int owner) {
    cr_assert_eq(qr__admin_load(admin, qr_text_of(name), on_done, &owners[owner]), QR_OK);
}

static void order_unload(const char *name, int owner) {
    cr_assert_eq(qr__admin_unload(admin, qr_text_of(name), on_done, &owners[owner]), QR_OK);
}

static void expect_index(const char *text) {
    qr_buf out;
    qr_buf_init(&out, 4096);
    qr__admin_index(admin, false, &out);
    qr_buf_byte(&out, '\0');
    cr_assert_str_eq(out.data, text);
    qr_buf_deinit(&out);
}

#define STATE(name, state, reason)                                                                 \
    "{\"name\":\"" name "\",\"version\":\"1\",\"state\":\"" state "\",\"reason\":\"" reason "\"}"

Test(admin, starts_with_all_models_at_once) {
    start();
    cr_assert_eq(done[0].status, QR_OK);
    cr_assert_eq(served, 1);
    cr_assert_eq(qr_serving_len(current), MODELS);
    cr_assert(at("left") != NULL && at("right") != NULL);
    expect_index("[" STATE("left", "READY", "") "," STATE("right", "READY", "") "]");
}

Test(admin, a_start_that_fails_serves_nothing) {
    plan[1].status = QR_BAD_MODEL;
    start();
    cr_assert_eq(done[0].status, QR_BAD_MODEL);
    cr_assert_eq(served, 0);
    cr_assert_eq(qr__admin_load(admin, qr_text_of("left"), on_done, &owners[1]), QR_NOT_READY);
}

Test(admin, the_first_fault_of_a_start_ends_it) {
    plan[0].status = QR_IO;
    start();
    cr_assert_eq(done[0].status, QR_IO);
    cr_assert_eq(atomic_load(&loads[1]), 0);
}

Test(admin, a_load_replaces_one_model_under_its_name) {
    start();
    const qr_served *right = at("right"), *left = at("left");
    uint64_t number = left->number;
    plan[0].seed = 2;
    order_load("left", 1);
    cr_assert_eq(done_len, 1);
    run_until(1);
    cr_assert_eq(done[1].owner, 1);
    cr_assert_eq(done[1].status, QR_OK);
    cr_assert_eq(last_before, left);
    cr_assert_str_eq(last_name, "left");
    cr_assert_eq(served, 2);
    cr_assert_eq(at("right"), right);
    cr_assert(at("left") != NULL && at("left")->number != number);
}

Test(admin, a_load_that_fails_changes_nothing) {
    static const qr_status faults[] = {QR_BAD_MODEL, QR_NO_MEMORY, QR_IO};
    start();
    const qr_served *left = at("left");
    for (size_t i = 0; i < 3; i++) {
        plan[0].status = faults[i];
        order_load("left", 1);
        run_until(1);
        cr_assert_eq(done[1 + i].status, faults[i]);
        cr_assert_eq(at("left"), left);
        cr_assert_eq(served, 1);
    }
    expect_index("[" STATE("left", "READY", "a file could not be read or written") "," STATE(
        "right", "READY", "") "]");
    plan[0].status = QR_OK;
    order_load("left", 1);
    run_until(1);
    expect_index("[" STATE("left", "READY", "") "," STATE("right", "READY", "") "]");
}

Test(admin, a_model_goes_out_and_comes_back) {
    start();
    order_unload("left", 1);
    run_until(1);
    cr_assert(at("left") == NULL && at("right") != NULL);
    cr_assert(qr_serving_named_is_out(current, qr_text_of("left")));
    cr_assert(qr_serving_first_is_out(current, QR_KIND_BIT(QR_KIND_EMBEDDING)));
    expect_index("[" STATE("left", "UNAVAILABLE", "unloaded") "," STATE("right", "READY", "") "]");
    order_unload("left", 2); /* again */
    run_until(1);
    cr_assert_eq(done[2].status, QR_OK);
    cr_assert_eq(served, 2);
    plan[0].status = QR_BAD_MODEL;
    order_load("left", 3);
    run_until(1);
    cr_assert_eq(done[3].status, QR_BAD_MODEL);
    expect_index("[" STATE("left", "UNAVAILABLE",
                           "the model cannot be used") "," STATE("right", "READY", "") "]");
    plan[0].status = QR_OK;
    order_load("left", 4);
    run_until(1);
    cr_assert(last_before == NULL && at("left") != NULL);
}

/* Nothing has begun when the last is ordered: equal ones are one; an unload in between is not. No
 * load would wait if there were more of them than there should be. */
Test(admin, orders_keep_their_order_and_equal_ones_are_one) {
    start();
    order_load("left", 1);
    order_load("left", 2);
    order_unload("right", 3);
    order_load("right", 4);
    order_load("left", 5);
    order_load("right", 6);
    run_until(6);
    static const int order[] = {1, 2, 5, 3, 4, 6};
    for (size_t i = 0; i < 6; i++) {
        cr_assert_eq(done[1 + i].owner, order[i], "%zu", i);
        cr_assert_eq(done[1 + i].status, QR_OK);
    }
    cr_assert_eq(atomic_load(&loads[0]), 2);
    cr_assert_eq(atomic_load(&loads[1]), 2);
    cr_assert(at("left") != NULL && at("right") != NULL);
}

/* From the call-back of one order: what is being loaded has begun, and is ordered anew. */
static void order_again(void *owner, qr_status status, const qr_error *error) {
    on_done(owner, status, error);
    order_load("left", 9);
}

Test(admin, an_order_may_be_given_by_a_call_back) {
    start();
    cr_assert_eq(qr__admin_load(admin, qr_text_of("left"), order_again, &owners[1]), QR_OK);
    run_until(2);
    cr_assert_eq(done[2].owner, 9);
    cr_assert_eq(atomic_load(&loads[0]), 3);
}

static void look_in_between(void *owner, qr_status status, const qr_error *error) {
    cr_expect(!qr__admin_is_busy(admin) && !qr__admin_is_done(admin));
    on_done(owner, status, error);
}

Test(admin, is_done_behind_the_last_order) {
    start();
    cr_expect(qr__admin_is_done(admin));
    cr_assert_eq(qr__admin_load(admin, qr_text_of("left"), look_in_between, &owners[1]), QR_OK);
    order_load("right", 2);
    cr_expect(!qr__admin_is_done(admin));
    run_until(2);
    cr_expect(qr__admin_is_done(admin));
}

Test(admin, names_that_are_not_configured_are_refused_at_once) {
    start();
    cr_assert_eq(qr__admin_load(admin, qr_text_of("middle"), on_done, &owners[1]), QR_NO_MODEL);
    cr_assert_eq(qr__admin_unload(admin, qr_text_of(""), on_done, &owners[1]), QR_NO_MODEL);
    cr_assert_eq(done_len, 1);
}

Test(admin, so_many_orders_wait_and_no_more) {
    start();
    qr_status status = QR_OK;
    size_t taken = 0;
    while (status == QR_OK) {
        status = qr__admin_load(admin, qr_text_of("left"), on_done, &owners[1]);
        if (status == QR_OK)
            status = qr__admin_unload(admin, qr_text_of("left"), on_done, &owners[1]);
        taken++;
        cr_assert(taken < 1000);
    }
    cr_assert_eq(status, QR_OVERLOADED);
}

Test(admin, a_reload_leaves_out_what_is_out) {
    start();
    order_unload("right", 1);
    run_until(1);
    qr__admin_reload(admin);
    order_load("left", 2);   /* the same order */
    order_unload("left", 3); /* waits behind it */
    qr__admin_reload(admin); /* will be out: nothing */
    run_until(2);
    cr_assert_eq(atomic_load(&loads[0]), 2);
    cr_assert_eq(atomic_load(&loads[1]), 1);
    cr_assert(at("left") == NULL && at("right") == NULL);
}

static void stop(void *state) {
    qr_loop_stop(state);
}

/* Under AddressSanitizer: what it loaded goes too. */
Test(admin, may_end_while_it_loads) {
    start();
    gated = true;
    order_load("left", 1);
    order_load("right", 2);
    qr_watch *timer = qr_watch_timer(loop, stop, loop);
    while (!qr__admin_is_busy(admin)) {
        qr_watch_arm(timer, 1, 0);
        qr_loop_run(loop);
    }
    qr_watch_close(timer);
    sem_post(&gate);
    qr__admin_destroy(admin);
    admin = NULL;
    cr_assert_eq(done_len, 1);
    cr_assert_eq(atomic_load(&loads[0]), 2);
}

/* Sanitizers bring their own malloc: nothing is run there. */
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && defined(__GLIBC__)

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);

static _Thread_local bool is_loop; /* the one thread for which memory ends */

static bool may_allocate(void) {
    return !is_loop || !atomic_load(&no_memory);
}

void *malloc(size_t bytes) {
    return may_allocate() ? __libc_malloc(bytes) : NULL;
}
void *calloc(size_t count, size_t bytes) {
    return may_allocate() ? __libc_calloc(count, bytes) : NULL;
}

/* The generation that is made next shows what the admin holds: the old model. */
Test(admin, without_memory_for_a_generation_the_old_one_goes_on) {
    start();
    is_loop = true;
    const qr_served *right = at("right");
    spends_memory = plan[0].spans = true;
    order_load("left", 1);
    run_until(1);
    cr_assert_eq(done[1].status, QR_NO_MEMORY);
    cr_assert_eq(served, 1);
    spends_memory = plan[0].spans = false;
    expect_index("[" STATE("left", "READY",
                           "the server is out of memory") "," STATE("right", "READY", "") "]");
    order_unload("right", 2);
    atomic_store(&no_memory, true);
    run_until(1);
    cr_assert_eq(done[2].status, QR_NO_MEMORY);
    order_unload("left", 3);
    run_until(1);
    cr_assert_eq(at("right"), right);
    cr_assert(qr_serving_first_is_out(current, QR_KIND_BIT(QR_KIND_EMBEDDING)));
    order_load("right", 4);
    run_until(1);
    cr_assert_eq(done[4].status, QR_OK);
    cr_assert_eq(last_before, right);
    cr_assert(at("left") == NULL);
}

#endif
