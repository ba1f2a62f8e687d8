/* What is ahead of a request whose body is not read: of the models that it may be for, the machine
 * counts where it fares best. Schedules are stepped by hand (schedule_fixture.h). */
#include <criterion/criterion.h>

#include "server/api/api.h"
#include "server/outlook.h"
#include "server/schedule_fixture.h"
#include "server/tiny_models.h"

static fake_machine cpu, gpu;
static fake_queue queues[2];
static qr_serving *serving;
static qr_exchange *x;

/* Two embedders and a reranker, the first one on the CPU, the others on the device. */
static void set_up(void) {
    qr_log_init(QR_LOG_ERROR, QR_LOG_AS_TEXT);
    fake_create(&cpu, 1, 100);
    fake_create_device(&gpu, 2, 1, 100);
    fake_queue_init(&queues[0], &cpu, TOKEN_NS, 64, 64);
    fake_queue_init(&queues[1], &gpu, TOKEN_NS, 64, 64);
    qr_pipeline *const models[] = {tiny_model("here", QR_KIND_EMBEDDING, 1),
                                   tiny_model("there", QR_KIND_EMBEDDING, 2),
                                   tiny_model("ranks", QR_KIND_RERANKER, 3)};
    serving = tiny_serving(models, 3, NULL);
    for (size_t i = 0; i < 3; i++)
        qr_serving_at(serving, i)->schedule = i == 0 ? cpu.schedule : gpu.schedule;
    x = qr_exchange_create(100, NULL);
    qr_serving_pin(x->serving = serving);
}

static void tear_down(void) {
    qr_exchange_destroy(x);
    qr_serving_unpin(serving);
    fake_stop(&cpu);
    fake_stop(&gpu);
}

TestSuite(outlook, .init = set_up, .fini = tear_down);

/* A job that waits on a machine, before whatever comes, and takes it 1.5 ms a token. */
static work *busy(size_t m, size_t tokens) {
    work *w = work_create(&queues[m], 1, tokens, 1, FAKE_START_NS + 100 * TOKEN_NS);
    queues[m].queue.cost.token_ns = 1000 * TOKEN_NS;
    cr_assert_eq(work_submit(m == 0 ? &cpu : &gpu, w), QR_OK);
    return w;
}

static void done(work *w, fake_machine *machine) {
    cr_expect(qr_schedule_cancel(machine->schedule, &w->ticket, QR_GONE));
    work_destroy(w);
}

static void ask(const char *path, const char *model, uint64_t budget_ns) {
    qr_status status;
    qr_text named;
    x->route =
        qr_api_route(QR_LISTENER_MAIN, qr_text_of("POST"), qr_text_of(path), &named, &status);
    x->path_model = (qr_text){0};
    x->model = NULL;
    if (model != NULL && named.data != NULL)
        x->path_model = qr_text_of(model);
    else if (model != NULL)
        x->model = qr_serving_named(serving, qr_text_of(model));
    x->deadline_ns = FAKE_START_NS + budget_ns;
}

/* With a budget of a millisecond. */
static void expect(const char *path, const char *model, qr_status status, uint32_t retry_ms) {
    ask(path, model, QR_NS_PER_MS);
    cr_expect_eq(qr__outlook(cpu.schedule, x), status, "%s", path);
    uint32_t ms = qr__outlook_retry_ms(cpu.schedule, x);
    cr_expect_eq(ms, retry_ms, "%s: %u ms", path, ms);
}

Test(outlook, of_the_machine_of_the_model) {
    work *w = busy(1, 6);
    expect("/v1/embeddings", "here", QR_OK, 1);
    expect("/v1/embeddings", "there", QR_OVERLOADED, 9);
    expect("/v2/models/here/infer", "here", QR_OK, 1);
    expect("/v2/models/there/infer", "there", QR_OVERLOADED, 9);
    expect("/v2/models/none/infer", "none", QR_OK, 1);
    expect("/rerank", NULL, QR_OVERLOADED, 9);
    done(w, &gpu);
    expect("/rerank", NULL, QR_OK, 1);
}

Test(outlook, of_the_best_when_the_body_decides) {
    work *w = busy(1, 6);
    expect("/v1/embeddings", NULL, QR_OK, 1);
    work *other = busy(0, 4);
    expect("/v1/embeddings", NULL, QR_OVERLOADED, 6);
    expect("/rerank", NULL, QR_OVERLOADED, 9);
    done(w, &gpu);
    expect("/v1/embeddings", NULL, QR_OK, 1);
    expect("/rerank", NULL, QR_OK, 1);
    done(other, &cpu);
}

/* While no model of its kind is there the CPU's is asked; late is late everywhere. */
Test(outlook, of_the_cpu_when_no_model_computes) {
    work *w = busy(0, 6);
    expect("/span", NULL, QR_OVERLOADED, 9);
    expect("/tokenize", NULL, QR_OK, 1);
    ask("/v1/embeddings", NULL, 0);
    cr_expect_eq(qr__outlook(cpu.schedule, x), QR_LATE);
    done(w, &cpu);
    expect("/span", NULL, QR_OK, 1);
}
