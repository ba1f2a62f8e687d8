/* The schedules of two machines, the CPU and a device of one or two streams, against a naive model
 * of the same rules: 100,000 random sequences of submits, joins, cancels and batches side by side,
 * on a clock of ours. The model keeps one list and walks through all of it for each question; what
 * is admitted, dropped and run, in which batch and in which order, and when to come again, must be
 * the same. */
#include <criterion/criterion.h>

#include "server/schedule_fixture.h"

#define SEQUENCES   100000
#define TICKETS     16 /* at most, of a sequence */
#define MACHINES    2
#define QUEUES      2 /* of each */
#define QUEUE_ITEMS 24
#define WORKERS     3               /* of each */
#define LONG_TOKENS 128             /* more are long */
#define FIXED_NS    (20 * TOKEN_NS) /* of a batch of the device */

/* What the model knows of a ticket. */
typedef struct naive {
    work *work;
    size_t machine, queue, next; /* first job that is in no batch yet */
    size_t running, done;        /* jobs */
    bool is_long, waits, yields;
    bool ended; /* its owner has it again */
    uint64_t key, arrival, nearest_ns, last_ns, cost_ns;
    qr_status status;
} naive;

/* A batch under way, or in the making. */
typedef struct batch {
    naive *of[QR_BATCH_JOBS];
    size_t jobs, tokens, most_tokens;
    bool is_long;
    uint64_t cost_ns, share_ns, left_ns;
} batch;

/* What the model knows of a machine. */
typedef struct naive_machine {
    batch batches[WORKERS]; /* of each worker; no jobs: it has none */
    uint64_t short_ns, held_until_ns;
} naive_machine;

static fake_machine machines[MACHINES]; /* the first one's clock is that of both */
static fake_queue queues[MACHINES][QUEUES];
static naive_machine known[MACHINES];
static naive tickets[TICKETS];
static size_t len;
static uint64_t arrivals, dice = 1;

static uint64_t now(void) {
    return fake_time(&machines[0]);
}

static size_t streams_of(size_t m) {
    return machines[m].schedule->options.streams;
}

static size_t width_of(size_t m) {
    return streams_of(m) > 0 ? streams_of(m) : WORKERS;
}

static uint64_t roll(uint64_t sides) {
    dice = dice * 6364136223846793005ull + 1442695040888963407ull;
    return (dice >> 33) % sides;
}

static const qr_job *job_at(const naive *n, size_t i) {
    return &n->work->jobs[i];
}

static uint64_t share_of(const naive *n) {
    uint64_t sum = 0;
    for (size_t i = n->next; i < n->work->ticket.jobs_len; i++)
        sum += job_at(n, i)->share_ns;
    return sum;
}

static bool comes_before(const naive *a, const naive *b) {
    return a->key != b->key ? a->key < b->key : a->arrival < b->arrival;
}

/* 16 times its cost behind its deadline, 600 s at most; if it yields 10 s at least. */
static void place(naive *n) {
    uint64_t wait_ns = qr_min(16 * n->cost_ns, 600 * QR_NS_PER_S);
    if (n->yields)
        wait_ns = qr_max(wait_ns, 10 * QR_NS_PER_S);
    n->key = n->nearest_ns > UINT64_MAX - wait_ns ? UINT64_MAX : n->nearest_ns + wait_ns;
    n->arrival = arrivals++;
}

static size_t busy(size_t m) {
    size_t count = 0;
    for (size_t w = 0; w < WORKERS; w++)
        count += known[m].batches[w].jobs > 0;
    return count;
}

static uint64_t running_ns(size_t m) {
    uint64_t sum = 0;
    for (size_t w = 0; w < WORKERS; w++)
        if (known[m].batches[w].jobs > 0)
            sum += known[m].batches[w].share_ns;
    return sum;
}

/* When this one is done, if all that its machine has is run in order, one after the other. */
static uint64_t end_of(const naive *n) {
    uint64_t end = now() + running_ns(n->machine) + share_of(n);
    for (size_t i = 0; i < len; i++)
        if (tickets[i].waits && tickets[i].machine == n->machine && &tickets[i] != n &&
            comes_before(&tickets[i], n))
            end += share_of(&tickets[i]);
    return end;
}

/* Is it in time, and the first that would be late behind it was late without it? */
static bool can_be_served(const naive *n) {
    uint64_t latest = UINT64_MAX, cost = share_of(n), begin = now() + running_ns(n->machine);
    if (end_of(n) > n->nearest_ns)
        return false;
    for (size_t i = 0; i < len; i++) {
        const naive *other = &tickets[i];
        uint64_t takes = end_of(other) - begin;
        if (other->waits && other->machine == n->machine && other != n && comes_before(n, other))
            latest = qr_min(latest, other->nearest_ns > takes ? other->nearest_ns - takes : 0);
    }
    return begin <= latest || begin > latest + cost;
}

static size_t depth(size_t m) {
    size_t jobs = 0;
    for (size_t i = 0; i < len; i++)
        if (tickets[i].machine == m)
            jobs += tickets[i].running +
                    (tickets[i].waits ? tickets[i].work->ticket.jobs_len - tickets[i].next : 0);
    return jobs;
}

static uint64_t random_deadline(void) {
    static const uint64_t spans_us[] = {50, 200, 800, 3000, 20000000};
    return now() + 1 + roll(1000 * spans_us[roll(5)]);
}

static void submit(void) {
    naive *n = &tickets[len];
    size_t m = roll(MACHINES), jobs = 1 + roll(4), tokens = 1 + roll(roll(4) == 0 ? 200 : 40);
    size_t before = depth(m);
    *n = (naive){.machine = m, .queue = roll(QUEUES), .yields = roll(6) == 0};
    n->nearest_ns = n->last_ns = random_deadline();
    n->work = work_create(&queues[m][n->queue], jobs, tokens, (int32_t)(10 * len), n->nearest_ns);
    n->work->ticket.yields = n->yields;
    if (roll(4) == 0)
        machines[m].schedule->slots = 0; /* so that queues share their marks */
    qr_status status = work_submit(&machines[m], n->work);
    n->is_long = tokens > LONG_TOKENS && streams_of(m) == 0;
    qr_status expected = before + jobs > QUEUE_ITEMS ? QR_OVERLOADED : QR_OK;
    if (expected == QR_OK) { /* else it was not priced */
        for (size_t i = 0; i < jobs; i++)
            n->cost_ns += job_at(n, i)->cost_ns;
        place(n);
        n->waits = true;
        if (!n->is_long)
            known[m].short_ns = now();
        len++;
        if (before > 0 && !can_be_served(n)) {
            expected = QR_OVERLOADED;
            len--;
        }
    }
    cr_assert_eq(status, expected);
    if (status != QR_OK)
        work_destroy(n->work);
}

static void join(naive *n) {
    uint64_t deadline_ns = random_deadline(), was_ns = n->nearest_ns;
    bool yields = roll(2) == 0, yielded = n->yields, expected = n->status == QR_OK;
    uint64_t nearest_ns = qr_min(was_ns, deadline_ns);
    if (expected && n->waits && (nearest_ns < was_ns || (yielded && !yields))) {
        n->nearest_ns = nearest_ns;
        n->yields = yielded && yields;
        place(n);
        expected = can_be_served(n);
        if (!expected) {
            n->nearest_ns = was_ns;
            n->yields = yielded;
            place(n);
        }
    }
    if (expected)
        n->last_ns = qr_max(n->last_ns, deadline_ns);
    cr_assert_eq(
        qr_schedule_join(machines[n->machine].schedule, &n->work->ticket, deadline_ns, yields),
        expected);
}

static void cancel(naive *n) {
    bool here = !n->ended && n->running == 0;
    if (!n->ended && n->status == QR_OK)
        n->status = QR_GONE;
    n->waits = false;
    n->ended = n->ended || here;
    cr_assert_eq(qr_schedule_cancel(machines[n->machine].schedule, &n->work->ticket, QR_GONE),
                 here);
}

/* The first of the machine that waits and may go. */
static naive *first(size_t m) {
    size_t running_long = 0, waiting_short = 0;
    naive *found = NULL;
    for (size_t w = 0; w < WORKERS; w++)
        running_long += known[m].batches[w].jobs > 0 && known[m].batches[w].is_long;
    for (size_t i = 0; i < len; i++)
        waiting_short += tickets[i].machine == m && tickets[i].waits && !tickets[i].is_long;
    bool short_come = known[m].short_ns > 0 && now() - known[m].short_ns < QR_NS_PER_S;
    bool long_may =
        running_long == 0 || (waiting_short == 0 && (!short_come || running_long + 1 < WORKERS));
    for (size_t i = 0; i < len && busy(m) < width_of(m); i++) {
        naive *n = &tickets[i];
        if (n->machine == m && n->waits && (long_may || !n->is_long) &&
            (found == NULL || comes_before(n, found)))
            found = n;
    }
    return found;
}

/* The next of the same line. */
static naive *behind(const naive *of) {
    naive *found = NULL;
    for (size_t i = 0; i < len; i++) {
        naive *n = &tickets[i];
        if (n->machine == of->machine && n->queue == of->queue && n->is_long == of->is_long &&
            n->waits && comes_before(of, n) && (found == NULL || comes_before(n, found)))
            found = n;
    }
    return found;
}

static size_t waiting(size_t m) {
    size_t count = 0;
    for (size_t i = 0; i < len; i++)
        count += tickets[i].machine == m && tickets[i].waits;
    return count;
}

static uint64_t fixed_of(const naive *n) {
    const qr_queue *queue = &queues[n->machine][n->queue].queue;
    return (uint64_t)(queue->cost.fixed_ns * qr_queue_correction(queue));
}

static bool fits(const batch *b, const qr_job *job, uint64_t left_ns) {
    return b->jobs == 0 || (b->tokens + job->tokens <= b->most_tokens &&
                            b->cost_ns + job->cost_ns <= qr_min(left_ns, b->left_ns));
}

/* False: the batch ends here. */
static bool take(batch *b, naive *n) {
    uint64_t left_ns = (now() < n->nearest_ns ? n->nearest_ns : n->last_ns) - now();
    size_t begin = n->next, jobs = n->work->ticket.jobs_len;
    for (; n->next < jobs && fits(b, job_at(n, n->next), left_ns); n->next++) {
        const qr_job *job = job_at(n, n->next);
        b->of[b->jobs++] = n;
        b->tokens += job->tokens;
        b->cost_ns += job->cost_ns;
        b->share_ns += job->share_ns;
        n->running++;
    }
    if (n->next > begin)
        b->left_ns = qr_min(b->left_ns, left_ns);
    n->waits = n->next < jobs;
    return !n->waits;
}

/* A queue of the CPU is cut for the workers, that of a device is not. */
static size_t tokens_for(const naive *line) {
    size_t tokens = 0;
    for (size_t i = 0; i < len; i++)
        for (size_t j = tickets[i].next;
             tickets[i].waits && tickets[i].machine == line->machine &&
             tickets[i].queue == line->queue && j < tickets[i].work->ticket.jobs_len;
             j++)
            tokens += job_at(&tickets[i], j)->tokens;
    return streams_of(line->machine) > 0
               ? 128
               : qr_min(qr_max((tokens + WORKERS - 1) / WORKERS, QR__SHARE_TOKENS), 128);
}

/* Whether any ended. */
static bool make_batch(size_t m, batch *b) {
    bool ended = false;
    *b = (batch){.jobs = 0};
    for (naive *n; b->jobs == 0 && (n = first(m)) != NULL;) {
        *b = (batch){.most_tokens = tokens_for(n),
                     .is_long = n->is_long,
                     .cost_ns = fixed_of(n),
                     .left_ns = UINT64_MAX};
        for (bool more = true; n != NULL && more;) {
            naive at = *n;
            if (now() >= n->last_ns ||
                (waiting(m) > 1 &&
                 fixed_of(n) + job_at(n, n->next)->cost_ns > n->last_ns - now())) {
                n->waits = false;
                n->status = QR_LATE;
                n->ended = n->running == 0;
                ended = ended || n->ended;
            } else {
                more = take(b, n);
            }
            n = behind(&at);
        }
    }
    return ended;
}

/* It counts whole on a device, and the longest is waited for. */
static void begin_batch(size_t m, size_t w, const batch *b) {
    naive_machine *k = &known[m];
    k->batches[w] = *b;
    if (streams_of(m) > 0)
        k->batches[w].share_ns =
            qr_max(b->share_ns, (uint64_t)(1.5 * (double)b->cost_ns / (double)streams_of(m)));
    size_t helpers = streams_of(m) > 0 ? 0 : WORKERS - busy(m);
    uint64_t end_ns = now() + (uint64_t)(1.5 * (double)b->cost_ns / (double)(helpers + 1));
    k->held_until_ns = qr_max(k->held_until_ns, end_ns);
}

static void begin(size_t m, size_t w) {
    const qr__worker *worker = &machines[m].schedule->workers[w];
    batch expected;
    bool ended = make_batch(m, &expected);
    qr__round round = qr__worker_begin(&machines[m].schedule->workers[w]);
    cr_assert_eq(round, expected.jobs > 0 ? QR__ROUND_BATCH
                        : ended           ? QR__ROUND_WORKED
                                          : QR__ROUND_NOTHING);
    if (expected.jobs == 0)
        return;
    cr_assert_eq(worker->len, expected.jobs);
    for (size_t i = 0; i < expected.jobs; i++)
        cr_assert_eq(worker->tickets[i], &expected.of[i]->work->ticket);
    begin_batch(m, w, &expected);
}

static void end(size_t m, size_t w) {
    qr__worker *worker = &machines[m].schedule->workers[w];
    batch *b = &known[m].batches[w];
    for (size_t i = 0; i < b->jobs; i++) {
        naive *n = b->of[i];
        qr_job *job = worker->jobs[i];
        job->room[0] = (float)(2 * job->ids[0]);
        job->result = job->room;
        n->running--;
        n->done++;
        n->ended = n->running == 0 && !n->waits;
    }
    b->jobs = 0;
    qr__worker_end(worker);
}

static void step(size_t m, size_t w) {
    if (known[m].batches[w].jobs > 0)
        end(m, w);
    else
        begin(m, w);
}

/* Until all that is admitted is done. */
static uint32_t retry_ms(size_t m) {
    uint64_t ns = running_ns(m);
    for (size_t i = 0; i < len; i++)
        if (tickets[i].machine == m && tickets[i].waits)
            ns += share_of(&tickets[i]);
    if (busy(m) > 0 && known[m].held_until_ns > now())
        ns = qr_max(ns, known[m].held_until_ns - now());
    return (uint32_t)qr_min(qr_max((ns + QR_NS_PER_MS - 1) / QR_NS_PER_MS, 1), 60000);
}

static void check_all(void) {
    for (size_t m = 0; m < MACHINES; m++) {
        cr_assert_eq(qr_schedule_depth(machines[m].schedule), depth(m));
        cr_assert_eq(machines[m].schedule->running_ns, running_ns(m));
        cr_assert_eq(machines[m].schedule->held_until_ns, known[m].held_until_ns);
        cr_assert_eq(qr_schedule_retry_ms(machines[m].schedule), retry_ms(m));
    }
    for (size_t i = 0; i < len; i++) {
        const naive *n = &tickets[i];
        const qr_ticket *ticket = &n->work->ticket;
        cr_assert_eq(ticket->ended, n->ended, "ticket %zu", i);
        cr_assert_eq(ticket->status, n->status, "ticket %zu", i);
        cr_assert_eq(ticket->started_ns > 0, n->next > 0, "ticket %zu", i);
        cr_assert_eq(work_computed(n->work), n->done, "ticket %zu", i);
        if (n->status == QR_OK || n->status == QR_LATE)
            cr_assert_eq(atomic_load(&n->work->finished), n->ended, "ticket %zu", i);
    }
}

static void run_sequence(void) {
    for (size_t steps = 0; len < TICKETS && steps < 40; steps++) {
        uint64_t sort = roll(10);
        if (sort < 4 || len == 0)
            submit();
        else if (sort == 4)
            join(&tickets[roll(len)]);
        else if (sort == 5)
            cancel(&tickets[roll(len)]);
        else if (sort == 6)
            atomic_fetch_add(&machines[0].now_ns, roll(300000));
        else
            step(roll(MACHINES), roll(WORKERS));
        check_all();
    }
    for (size_t m = 0; m < MACHINES; m++)
        while (depth(m) > 0) {
            step(m, roll(WORKERS));
            check_all();
        }
    while (len > 0)
        work_destroy(tickets[--len].work);
}

Test(schedule_random, is_as_the_naive_model_says, .timeout = 600) {
    fake_create(&machines[0], WORKERS, QUEUE_ITEMS);
    fake_create_device(&machines[1], WORKERS, 1, QUEUE_ITEMS);
    machines[1].schedule->options.clock = &machines[0].clock;
    for (size_t m = 0; m < MACHINES; m++)
        for (size_t q = 0; q < QUEUES; q++)
            fake_queue_init(&queues[m][q], &machines[m], TOKEN_NS * (1 + 2 * q), 128, 256);
    for (size_t q = 0; q < QUEUES; q++)
        queues[1][q].queue.cost.fixed_ns = FIXED_NS;
    for (int sequence = 0; sequence < SEQUENCES; sequence++) {
        machines[1].schedule->options.streams = 1 + roll(2);
        run_sequence();
    }
    for (size_t m = 0; m < MACHINES; m++)
        fake_stop(&machines[m]);
}
