/* Generations: what they hold, that the last user ends them and nobody earlier, and that a thousand
 * of them replace each other under traffic without one wrong answer. */
#include <criterion/criterion.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>

#include "semaphores.h"
#include "server/schedule_fixture.h"
#include "server/serving_fixture.h"

Test(serving, finds_its_models_by_name_and_kind) {
    qr_pipeline *models[] = {tiny_model("span", QR_KIND_SPAN, 1),
                             tiny_model("a", QR_KIND_EMBEDDING, 2),
                             tiny_model("b", QR_KIND_EMBEDDING, 3)};
    const qr__served_options options = {.workers = 2, .batch_tokens = 64};
    const qr_model_labels *labels;
    qr_log_init(QR_LOG_ERROR, QR_LOG_AS_TEXT);
    qr_serving *serving = tiny_serving(models, 3, &options);
    cr_assert_eq(qr_serving_len(serving), 3);
    for (size_t i = 0; i < 3; i++)
        cr_expect_eq(qr_serving_at(serving, i)->pipeline, models[i]);
    cr_expect_eq(qr_serving_named(serving, qr_text_of("b"))->pipeline, models[2]);
    cr_expect_null(qr_serving_named(serving, qr_text_of("c")));
    cr_expect_null(qr_serving_named(serving, qr_text_of("")));
    cr_expect_eq(qr_serving_first(serving, QR_KIND_BIT(QR_KIND_EMBEDDING))->pipeline, models[1]);
    cr_expect_eq(qr_serving_first(serving, QR_ANY_KIND)->pipeline, models[0]);
    cr_expect_null(qr_serving_first(serving, QR_KIND_BIT(QR_KIND_RERANKER)));
    cr_assert_eq(qr_serving_labels(serving, &labels), 3);
    cr_expect_str_eq(labels[0].name, "span");
    cr_expect_str_eq(labels[0].kind, "span");
    cr_expect_str_eq(labels[1].precision, "f32");
    qr_serving_unpin(serving);
    qr_serving_unpin(NULL);
}

/* Who names no model means the first one of its kind, also while it is out: another one's vectors
 * would be taken for its own. */
Test(serving, knows_what_is_out) {
    qr_log_init(QR_LOG_ERROR, QR_LOG_AS_TEXT);
    fixture_expect();
    qr_served *model = fixture_served(0, NULL);
    const qr_serving_entry entries[] = {{"first", QR_KIND_EMBEDDING, NULL},
                                        {"second", QR_KIND_EMBEDDING, model},
                                        {"third", QR_KIND_SPAN, NULL}};
    qr_serving *serving;
    const qr_model_labels *labels;
    cr_assert_eq(qr_serving_create(entries, 3, &serving), QR_OK);
    qr__served_unpin(model);
    cr_expect_eq(qr_serving_len(serving), 1);
    cr_expect_eq(qr_serving_labels(serving, &labels), 1);
    cr_expect_eq(qr_serving_at(serving, 0), model);
    cr_expect_eq(qr_serving_named(serving, qr_text_of("second")), model);
    cr_expect_null(qr_serving_named(serving, qr_text_of("first")));
    cr_expect(qr_serving_named_is_out(serving, qr_text_of("first")));
    cr_expect_not(qr_serving_named_is_out(serving, qr_text_of("second")));
    cr_expect_not(qr_serving_named_is_out(serving, qr_text_of("fourth")));
    cr_expect_null(qr_serving_first(serving, QR_KIND_BIT(QR_KIND_EMBEDDING)));
    cr_expect(qr_serving_first_is_out(serving, QR_KIND_BIT(QR_KIND_EMBEDDING)));
    cr_expect(qr_serving_first_is_out(serving, QR_KIND_BIT(QR_KIND_SPAN)));
    cr_expect_not(qr_serving_first_is_out(serving, QR_KIND_BIT(QR_KIND_RERANKER)));
    cr_expect_eq(qr_serving_kind(serving), QR_KIND_EMBEDDING);
    qr_serving_unpin(serving);
    fixture_forget();
}

/* A generation that replaces one of two models leaves the other what it was, and ends only what
 * nobody pins any more. */
Test(serving, generations_share_their_models) {
    static fake_machine machine;
    qr_serving *before, *after;
    qr_log_init(QR_LOG_ERROR, QR_LOG_AS_TEXT);
    fixture_expect();
    fake_create(&machine, 1, 100);
    const qr__served_options options = {
        .workers = 1, .batch_tokens = 64, .schedule = machine.schedule};
    qr_served *kept = fixture_served(0, &options), *old = fixture_served(1, &options),
              *young = fixture_served(2, &options);
    uint64_t number = kept->number;
    qr_serving_entry entries[] = {{"kept", QR_KIND_EMBEDDING, kept},
                                  {"changed", QR_KIND_EMBEDDING, old}};
    cr_assert_eq(qr_serving_create(entries, 2, &before), QR_OK);
    entries[1].model = young;
    cr_assert_eq(qr_serving_create(entries, 2, &after), QR_OK);
    qr__served_unpin(kept), qr__served_unpin(old), qr__served_unpin(young);
    cr_expect_neq(old->number, young->number);
    qr_serving_unpin(before);
    cr_expect(fake_round(&machine, 0), "one model is destroyed, in a task");
    cr_expect_not(fake_round(&machine, 0), "and no other");
    cr_expect_eq(qr_serving_named(after, qr_text_of("kept")), kept);
    cr_expect_eq(kept->number, number);
    cr_expect_eq(qr_serving_named(after, qr_text_of("changed")), young);
    qr_serving_unpin(after);
    cr_expect(fake_round(&machine, 0));
    cr_expect(fake_round(&machine, 0));
    cr_expect_not(fake_round(&machine, 0));
    fake_stop(&machine);
    fixture_forget();
}

/* Without a worker's step nothing is destroyed, however many have unpinned: the caller of the last
 * unpin may be the loop. AddressSanitizer sees a use after the end, and a leak if there is none. */
Test(serving, ends_in_a_task_behind_its_last_pin) {
    static fake_machine machine;
    qr_log_init(QR_LOG_ERROR, QR_LOG_AS_TEXT);
    fixture_expect();
    fake_create(&machine, 1, 100);
    qr_serving *serving = fixture_serving(0, 1, machine.schedule, NULL, false);
    qr_serving_pin(serving);
    qr_serving_unpin(serving);
    cr_expect_not(fake_round(&machine, 0), "it is still pinned");
    cr_expect_eq(qr_serving_len(serving), 1);
    const qr_served *model = qr_serving_at(serving, 0);
    qr_serving_unpin(serving);
    cr_expect_eq(fixture_seed_of(qr_pipeline_name(model->pipeline)), 0, "not here, but in a task");
    cr_expect(fake_round(&machine, 0));
    cr_expect_not(fake_round(&machine, 0));
    fake_stop(&machine);
    fixture_forget();
}

/* A context that is asked for more than it has room for refuses; the rest of the batch is run. */
Test(serving, counts_what_it_ran) {
    static fake_machine machine;
    static const char *const routes[] = {"/embed"};
    qr_metrics *metrics;
    qr_buf page;
    float room[TINY_HIDDEN];
    qr_log_init(QR_LOG_ERROR, QR_LOG_AS_TEXT);
    cr_assert_eq(qr_metrics_create(&(qr_metrics_options){routes, 1, 1}, &metrics), QR_OK);
    fixture_expect();
    fake_create(&machine, 1, 100);
    qr_serving *serving = fixture_serving(1, 1, machine.schedule, metrics, false);
    size_t len;
    qr_job job = {.ids = fixture_ids(0, &len), .room = room};
    job.tokens = len;
    const qr_job *const jobs[] = {&job};
    qr_queue *queue = &qr_serving_at(serving, 0)->queue;
    for (int i = 0; i < 3; i++)
        cr_assert_eq(queue->run(queue, 0, jobs, 1), QR_OK);
    cr_expect_arr_eq(room, fixture_expected(1, 0), sizeof room);
    static const int32_t bad[] = {2, 9999, 3};
    job.ids = bad, job.tokens = 3;
    cr_expect_neq(queue->run(queue, 0, jobs, 1), QR_OK);
    qr_buf_init(&page, 1u << 20);
    qr_metrics_render(metrics, &(qr_metrics_now){0}, &page);
    qr_buf_byte(&page, '\0');
    cr_expect_not_null(strstr(page.data, "\nquerent_model_batches_total{model=\"seed-1\"} 3\n"));
    qr_buf_deinit(&page);
    qr_serving_unpin(serving);
    fake_stop(&machine);
    qr_metrics_destroy(metrics);
    fixture_forget();
}

#define WORKERS 2
#define CLIENTS 3
#define SWAPS   1000

static fake_machine traffic;
static pthread_mutex_t current_lock = PTHREAD_MUTEX_INITIALIZER;
static qr_serving *current; /* as the flow has it: pinned once for being current */
static atomic_bool over;
static atomic_size_t answered[SEEDS];

static qr_serving *pin_current(void) {
    pthread_mutex_lock(&current_lock);
    qr_serving *serving = current;
    qr_serving_pin(serving);
    pthread_mutex_unlock(&current_lock);
    return serving;
}

static void on_answer(qr_ticket *ticket) {
    sem_post(ticket->owner);
}

/* A request: pins what is current, is answered by it, and unpins it. */
static void ask(uint64_t dice, sem_t *done) {
    static const char *const names[] = {"left", "right"};
    qr_serving *serving = pin_current();
    qr_text name = qr_text_of(names[dice / 64 % 2]);
    qr_served *model = qr_serving_named(serving, name);
    cr_assert_eq(model == NULL, qr_serving_named_is_out(serving, name));
    if (model == NULL)
        model = qr_serving_at(serving, 0); /* never both */
    size_t seed = fixture_seed_of(qr_pipeline_name(model->pipeline));
    float rooms[INPUTS][TINY_HIDDEN];
    qr_job jobs[INPUTS];
    size_t first = dice % INPUTS, len = 1 + dice / INPUTS % INPUTS;
    for (size_t j = 0; j < len; j++) {
        size_t tokens;
        const int32_t *ids = fixture_ids((first + j) % INPUTS, &tokens);
        jobs[j] = (qr_job){.ids = ids, .tokens = tokens, .room = rooms[j]};
    }
    qr_ticket ticket = {.queue = &model->queue,
                        .jobs = jobs,
                        .jobs_len = len,
                        .deadline_ns = UINT64_MAX,
                        .finished = on_answer,
                        .owner = done};
    cr_assert_eq(qr_schedule_submit(traffic.schedule, &ticket), QR_OK);
    wait_for(done);
    cr_assert_eq(ticket.status, QR_OK);
    for (size_t j = 0; j < len; j++)
        cr_assert_arr_eq(jobs[j].result, fixture_expected(seed, (first + j) % INPUTS),
                         sizeof rooms[0]);
    atomic_fetch_add(&answered[seed], 1);
    qr_serving_unpin(serving);
}

static void *client(void *number) {
    sem_t done;
    uint64_t dice = *(const uint64_t *)number;
    sem_init(&done, 0, 0);
    while (!atomic_load(&over)) {
        dice = dice * 6364136223846793005ull + 1442695040888963407ull;
        ask(dice >> 33, &done);
    }
    sem_destroy(&done);
    return NULL;
}

static void make_current(const qr_serving_entry entries[2]) {
    qr_serving *next;
    cr_assert_eq(qr_serving_create(entries, 2, &next), QR_OK);
    pthread_mutex_lock(&current_lock);
    qr_serving *before = current;
    current = next;
    pthread_mutex_unlock(&current_lock);
    qr_serving_unpin(before);
}

/* One model of two is replaced in each generation, or taken out for one; the other is kept, with
 * its number. Each generation answers at least one request: made by the swapper itself, so that
 * this does not depend on how the threads are scheduled. */
Test(serving, a_thousand_generations_under_traffic, .timeout = 600) {
    static uint64_t numbers[CLIENTS] = {1, 2, 3};
    pthread_t clients[CLIENTS];
    sem_t done;
    qr_log_init(QR_LOG_ERROR, QR_LOG_AS_TEXT);
    sem_init(&done, 0, 0);
    fixture_expect();
    fake_start(&traffic, WORKERS, 1000);
    const qr__served_options options = {
        .workers = WORKERS, .batch_tokens = 64, .schedule = traffic.schedule};
    qr_serving_entry entries[] = {{"left", QR_KIND_EMBEDDING, fixture_served(0, &options)},
                                  {"right", QR_KIND_EMBEDDING, fixture_served(1, &options)}};
    current = NULL;
    make_current(entries);
    for (int i = 0; i < CLIENTS; i++)
        cr_assert_eq(pthread_create(&clients[i], NULL, client, &numbers[i]), 0);
    for (size_t swap = 1; swap <= SWAPS; swap++) {
        qr_serving_entry *changed = &entries[swap / 3 % 2], *kept = &entries[1 - swap / 3 % 2];
        uint64_t number = kept->model->number;
        qr_served *old = changed->model;
        if (swap % 5 == 0) {
            changed->model = NULL;
            make_current(entries);
            ask(swap, &done);
        }
        changed->model = fixture_served(swap % SEEDS, &options);
        make_current(entries);
        qr__served_unpin(old);
        cr_assert_eq(kept->model->number, number);
        ask(swap, &done);
    }
    atomic_store(&over, true);
    for (int i = 0; i < CLIENTS; i++)
        pthread_join(clients[i], NULL);
    qr_serving_unpin(current);
    qr__served_unpin(entries[0].model), qr__served_unpin(entries[1].model);
    fake_stop(&traffic);
    fixture_forget();
    sem_destroy(&done);
    for (size_t seed = 0; seed < SEEDS; seed++)
        cr_expect_gt(atomic_load(&answered[seed]), 0);
}
