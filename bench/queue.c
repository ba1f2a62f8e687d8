/* bench/queue.c: what the schedule's operations cost when many tickets wait.
 *
 *     build/bench/queue [--waiting N] [--rounds N]
 *
 * A schedule without threads on a clock that submits move by 20 us each. The queue is filled up to
 * N tickets of one short query each, 60 s before their deadlines; then each round submits, asks
 * for outlooks, joins, cancels and takes, and leaves as many waiting as there were. Tickets that
 * are joined and cancelled are drawn at random, and a join moves its ticket. Each kind is timed as
 * a block by the thread's CPU clock; medians of all rounds are told, in ns an operation. A batch
 * takes nothing, so "take" is what a worker does beside it, from the look for work until finished()
 * has been called, a job.
 *
 * Deadlines "in order" are so but for 100 ms of jitter, as those of requests with one budget are;
 * those "at random" are spread over 60 s.
 */
#include <stdio.h>
#include <stdlib.h>

#include "server/schedule/schedule_internal.h"

#define BLOCK      200 /* operations that are timed together */
#define GAP_NS     20000u
#define BUDGET_NS  (60 * QR_NS_PER_S)
#define ORDERED_NS (100 * QR_NS_PER_MS)
#define RANDOM_NS  (60 * QR_NS_PER_S)
#define TOKENS     9u
#define MOST       1000000u

/* Tickets stand far from each other, as in the server: each in its exchange. */
typedef struct request {
    qr_ticket ticket;
    qr_job job;
    char rest[1024];
} request;

typedef enum kind { SUBMIT, OUTLOOK, JOIN, CANCEL, TAKE, KINDS } kind;

typedef struct bench {
    uint64_t now_ns, jitter_ns, dice;
    qr_clock clock;
    qr_schedule *schedule;
    qr_queue queue;
    request *requests;
    size_t *waiting, *place; /* numbers of those that wait, and where in `waiting` each is */
    size_t *idle;            /* of those that do not */
    size_t waiting_len, idle_len;
    size_t picked[BLOCK];
    double *ns[KINDS]; /* of each round */
} bench;

static void fail(const char *what) {
    fprintf(stderr, "queue: %s\n", what);
    exit(1);
}

static void *allocate(size_t len, size_t size) {
    void *p = calloc(len, size);
    if (p == NULL)
        fail("out of memory");
    return p;
}

static uint64_t draw(bench *b, uint64_t below) {
    b->dice = b->dice * 6364136223846793005u + 1442695040888963407u;
    return (b->dice >> 24) % below;
}

/* The system's clock is read as well, since a server pays for that too. */
static uint64_t now(void *state) {
    (void)qr_clock_ns();
    return ((const bench *)state)->now_ns;
}

static void wake(void *state) {
    (void)state;
}

static qr_status run(qr_queue *queue, int worker, const qr_job *const *jobs, size_t len) {
    (void)queue, (void)worker, (void)jobs, (void)len;
    return QR_OK;
}

static void finished(qr_ticket *ticket) {
    bench *b = ticket->owner;
    b->idle[b->idle_len++] = (size_t)(QR_OWNER(ticket, request, ticket) - b->requests);
}

static void remove_waiting(bench *b, size_t number) {
    size_t last = b->waiting[--b->waiting_len];
    b->waiting[b->place[number]] = last;
    b->place[last] = b->place[number];
}

/* Draws a block of different ones that wait, without a look at them. */
static void pick(bench *b) {
    for (size_t i = 0; i < BLOCK; i++) {
        b->picked[i] = b->waiting[draw(b, b->waiting_len)];
        remove_waiting(b, b->picked[i]);
    }
}

static void put_back(bench *b) {
    for (size_t i = 0; i < BLOCK; i++) {
        b->place[b->picked[i]] = b->waiting_len;
        b->waiting[b->waiting_len++] = b->picked[i];
    }
}

static double since(uint64_t begin_ns, size_t len) {
    return (double)(qr_clock_thread_cpu_ns() - begin_ns) / (double)len;
}

/* The tickets are written before the clock runs: a request's decode has just done that. */
static double submit_block(bench *b) {
    for (size_t i = 0; i < BLOCK; i++) {
        request *r = &b->requests[b->picked[i] = b->idle[--b->idle_len]];
        r->job = (qr_job){.tokens = TOKENS, .room = (float *)r->rest};
        r->ticket = (qr_ticket){.queue = &b->queue,
                                .jobs = &r->job,
                                .jobs_len = 1,
                                .deadline_ns = b->now_ns + i * GAP_NS + BUDGET_NS + //
                                               draw(b, b->jitter_ns),
                                .finished = finished,
                                .owner = b};
    }
    uint64_t begin_ns = qr_clock_thread_cpu_ns();
    for (size_t i = 0; i < BLOCK; i++) {
        b->now_ns += GAP_NS;
        if (qr_schedule_submit(b->schedule, &b->requests[b->picked[i]].ticket) != QR_OK)
            fail("a ticket was refused");
    }
    double ns = since(begin_ns, BLOCK);
    put_back(b);
    return ns;
}

static double outlook_block(bench *b) {
    uint64_t deadlines_ns[BLOCK];
    for (size_t i = 0; i < BLOCK; i++)
        deadlines_ns[i] = b->now_ns + BUDGET_NS + draw(b, b->jitter_ns);
    uint64_t begin_ns = qr_clock_thread_cpu_ns();
    for (size_t i = 0; i < BLOCK; i++)
        if (qr_schedule_outlook(b->schedule, deadlines_ns[i]) != QR_OK)
            fail("a bad outlook");
    return since(begin_ns, BLOCK);
}

/* Whoever joins a ticket has found it by what it asks, and so has just read it. */
static double join_block(bench *b) {
    uint64_t deadlines_ns[BLOCK];
    pick(b);
    for (size_t i = 0; i < BLOCK; i++) {
        uint64_t nearer_ns = 1 + draw(b, b->jitter_ns);
        deadlines_ns[i] = qr_max(b->requests[b->picked[i]].ticket.deadline_ns - nearer_ns,
                                 b->now_ns + QR_NS_PER_S);
    }
    uint64_t begin_ns = qr_clock_thread_cpu_ns();
    for (size_t i = 0; i < BLOCK; i++)
        if (!qr_schedule_join(b->schedule, &b->requests[b->picked[i]].ticket, deadlines_ns[i],
                              false))
            fail("nobody may join");
    double ns = since(begin_ns, BLOCK);
    put_back(b);
    return ns;
}

static double cancel_block(bench *b) {
    pick(b);
    uint64_t begin_ns = qr_clock_thread_cpu_ns();
    for (size_t i = 0; i < BLOCK; i++)
        if (!qr_schedule_cancel(b->schedule, &b->requests[b->picked[i]].ticket, QR_GONE))
            fail("a ticket does not wait");
    double ns = since(begin_ns, BLOCK);
    for (size_t i = 0; i < BLOCK; i++)
        b->idle[b->idle_len++] = b->picked[i];
    return ns;
}

static double take_block(bench *b, size_t len) {
    size_t before = b->idle_len;
    uint64_t begin_ns = qr_clock_thread_cpu_ns();
    while (b->idle_len < before + len)
        if (qr__worker_round(&b->schedule->workers[0]) != QR__ROUND_WORKED)
            fail("a worker finds nothing");
    double ns = since(begin_ns, b->idle_len - before);
    for (size_t i = before; i < b->idle_len; i++)
        remove_waiting(b, b->idle[i]);
    return ns;
}

static int by_number(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void start(bench *b, size_t most, size_t rounds) {
    static const qr_cost alone = {.token_ns = 1}, team = {.token_ns = 0.5};
    const qr_schedule_options options = {
        .workers = 2, .queue_items = most, .room = {.wake = wake}, .clock = &b->clock};
    b->clock = (qr_clock){now, b};
    if (qr__schedule_create(&options, &b->schedule) != QR_OK)
        fail("out of memory");
    qr_queue_init(&b->queue, run, &alone, 512, 256);
    b->queue.team_cost = &team;
    b->requests = allocate(most, sizeof *b->requests);
    b->waiting = allocate(most, sizeof *b->waiting);
    b->place = allocate(most, sizeof *b->place);
    b->idle = allocate(most, sizeof *b->idle);
    for (size_t k = 0; k < KINDS; k++)
        b->ns[k] = allocate(rounds, sizeof *b->ns[k]);
    for (; b->idle_len < most; b->idle_len++)
        b->idle[b->idle_len] = b->idle_len;
}

static void stop(bench *b) {
    while (b->waiting_len > 0)
        (void)take_block(b, b->waiting_len);
    qr_schedule_destroy(b->schedule);
    for (size_t k = 0; k < KINDS; k++)
        free(b->ns[k]);
    free(b->requests);
    free(b->waiting);
    free(b->place);
    free(b->idle);
}

static void measure(size_t waiting, uint64_t jitter_ns, size_t rounds) {
    bench b = {.now_ns = QR_NS_PER_S, .jitter_ns = jitter_ns};
    start(&b, waiting + 3 * BLOCK, rounds);
    for (size_t i = 0; i < rounds; i++) {
        do
            b.ns[SUBMIT][i] = submit_block(&b);
        while (b.waiting_len < waiting + BLOCK);
        b.ns[OUTLOOK][i] = outlook_block(&b);
        b.ns[JOIN][i] = join_block(&b);
        b.ns[CANCEL][i] = cancel_block(&b);
        b.ns[TAKE][i] = take_block(&b, BLOCK);
    }
    printf("%-9s %8zu", jitter_ns == ORDERED_NS ? "in order" : "at random", waiting);
    for (size_t k = 0; k < KINDS; k++) {
        qsort(b.ns[k], rounds, sizeof *b.ns[k], by_number);
        printf(" %7.0f", b.ns[k][rounds / 2]);
    }
    puts("");
    stop(&b);
}

/* False: the options are wrong. */
static bool read_options(int argc, char **argv, uint64_t *waiting, uint64_t *rounds) {
    for (int i = 1; i + 1 < argc; i += 2) {
        uint64_t *number = strcmp(argv[i], "--waiting") == 0  ? waiting
                           : strcmp(argv[i], "--rounds") == 0 ? rounds
                                                              : NULL;
        if (number == NULL || !qr_text_to_u64(qr_text_of(argv[i + 1]), MOST, number))
            return false;
    }
    return argc % 2 == 1 && *rounds > 0;
}

int main(int argc, char **argv) {
    static const size_t lens[] = {1000, 100000, 200000};
    uint64_t waiting = 0, rounds = 300;
    if (!read_options(argc, argv, &waiting, &rounds)) {
        fputs("usage: queue [--waiting N] [--rounds N]\n", stderr);
        return 2;
    }
    puts("deadlines  waiting  submit outlook    join  cancel    take   (ns of CPU time)");
    for (size_t random = 0; random < 2; random++)
        for (size_t i = 0; i < (waiting > 0 ? 1 : 3); i++)
            measure(waiting > 0 ? (size_t)waiting : lens[i], random ? RANDOM_NS : ORDERED_NS,
                    (size_t)rounds);
    return 0;
}
