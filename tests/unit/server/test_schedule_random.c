/* The schedule against a naive model of the same rules: 100,000 random sequences of submits, joins,
 * cancels and batches on a clock of ours. The model keeps one list and walks through all of it for
 * each question; what is admitted, dropped and run, in which batch and in which order, must be the
 * same. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "server/schedule_fixture.h"

#define SEQUENCES   100000
#define TICKETS     12 /* at most, of a sequence */
#define QUEUES      2
#define QUEUE_ITEMS 24
#define WORKERS     2
#define LONG_TOKENS 128 /* more are long */

/* What the model knows of a ticket. */
typedef struct naive {
    work *work;
    size_t queue, next; /* first job that has not been run */
    bool is_long, waits, yields;
    uint64_t key, arrival, nearest_ns, last_ns, cost_ns;
    qr_status status;
} naive;

static fake_machine machine;
static fake_queue queues[QUEUES];
static naive tickets[TICKETS];
static size_t len;
static uint64_t arrivals, dice = 1;

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

/* When this one is done, if all that waits is run in order, one after the other. */
static uint64_t end_of(const naive *n) {
    uint64_t end = fake_time(&machine) + share_of(n);
    for (size_t i = 0; i < len; i++)
        if (tickets[i].waits && &tickets[i] != n && comes_before(&tickets[i], n))
            end += share_of(&tickets[i]);
    return end;
}

/* Is it in time, and the first that would be late behind it was late without it? */
static bool can_be_served(const naive *n) {
    uint64_t now = fake_time(&machine), latest = UINT64_MAX, cost = share_of(n);
    if (end_of(n) > n->nearest_ns)
        return false;
    for (size_t i = 0; i < len; i++) {
        const naive *other = &tickets[i];
        uint64_t takes = end_of(other) - now;
        if (other->waits && other != n && comes_before(n, other))
            latest = qr_min(latest, other->nearest_ns > takes ? other->nearest_ns - takes : 0);
    }
    return now <= latest || now > latest + cost;
}

static size_t depth(void) {
    size_t jobs = 0;
    for (size_t i = 0; i < len; i++)
        if (tickets[i].waits)
            jobs += tickets[i].work->ticket.jobs_len - tickets[i].next;
    return jobs;
}

static uint64_t random_deadline(void) {
    static const uint64_t spans_us[] = {50, 200, 800, 3000, 20000000};
    return fake_time(&machine) + 1 + roll(1000 * spans_us[roll(5)]);
}

static void submit(void) {
    naive *n = &tickets[len];
    size_t jobs = 1 + roll(4), tokens = 1 + roll(roll(4) == 0 ? 200 : 40), before = depth();
    *n = (naive){.queue = roll(QUEUES), .yields = roll(6) == 0};
    n->nearest_ns = n->last_ns = random_deadline();
    n->work = work_create(&queues[n->queue], jobs, tokens, (int32_t)(10 * len), n->nearest_ns);
    n->work->ticket.yields = n->yields;
    if (roll(4) == 0)
        machine.schedule->slots = 0; /* so that queues share their marks */
    qr_status status = work_submit(&machine, n->work);
    n->is_long = tokens > LONG_TOKENS;
    qr_status expected = before + jobs > QUEUE_ITEMS ? QR_OVERLOADED : QR_OK;
    if (expected == QR_OK) { /* else it was not priced */
        for (size_t i = 0; i < jobs; i++)
            n->cost_ns += job_at(n, i)->cost_ns;
        place(n);
        n->waits = true;
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
    cr_assert_eq(qr_schedule_join(machine.schedule, &n->work->ticket, deadline_ns, yields),
                 expected);
}

static void cancel(naive *n) {
    bool was_waiting = n->waits;
    n->waits = false;
    n->status = was_waiting ? QR_GONE : n->status;
    cr_assert_eq(qr_schedule_cancel(machine.schedule, &n->work->ticket, QR_GONE), was_waiting);
}

/* The first that waits; of one line, if `of` is given, and behind it, if it stands there. */
static naive *first(const naive *of, const naive *behind) {
    naive *found = NULL;
    for (size_t i = 0; i < len; i++) {
        naive *n = &tickets[i];
        bool eligible = n->waits && (of == NULL || (n->queue == of->queue && //
                                                    n->is_long == of->is_long));
        if (eligible && (behind == NULL || comes_before(behind, n)) &&
            (found == NULL || comes_before(n, found)))
            found = n;
    }
    return found;
}

static size_t waiting(void) {
    size_t count = 0;
    for (size_t i = 0; i < len; i++)
        count += tickets[i].waits;
    return count;
}

/* A batch in the making. */
typedef struct batch {
    size_t jobs, tokens, most_tokens;
    uint64_t cost_ns, left_ns;
    char text[1024]; /* as fake_queue's history has it */
    size_t text_len;
} batch;

static bool fits(const batch *b, const qr_job *job, uint64_t left_ns) {
    return b->jobs == 0 || (b->tokens + job->tokens <= b->most_tokens &&
                            b->cost_ns + job->cost_ns <= qr_min(left_ns, b->left_ns));
}

/* False: the batch ends here. */
static bool take(batch *b, naive *n) {
    uint64_t now = fake_time(&machine);
    uint64_t left_ns = (now < n->nearest_ns ? n->nearest_ns : n->last_ns) - now;
    size_t begin = n->next, jobs = n->work->ticket.jobs_len;
    for (; n->next < jobs && fits(b, job_at(n, n->next), left_ns); n->next++) {
        const qr_job *job = job_at(n, n->next);
        b->text_len += (size_t)snprintf(b->text + b->text_len, sizeof b->text - b->text_len, "%s%d",
                                        b->jobs == 0 ? "" : "+", job->ids[0]);
        b->jobs++;
        b->tokens += job->tokens;
        b->cost_ns += job->cost_ns;
    }
    if (n->next > begin)
        b->left_ns = qr_min(b->left_ns, left_ns);
    n->waits = n->next < jobs;
    return !n->waits;
}

static batch make_batch(void) {
    batch b = {.left_ns = UINT64_MAX};
    for (naive *n; b.jobs == 0 && (n = first(NULL, NULL)) != NULL;) {
        naive line = *n;
        size_t tokens = 0;
        for (size_t i = 0; i < len; i++)
            for (size_t j = tickets[i].next; tickets[i].waits && tickets[i].queue == line.queue &&
                                             j < tickets[i].work->ticket.jobs_len;
                 j++)
                tokens += job_at(&tickets[i], j)->tokens;
        b.most_tokens = qr_min(qr_max((tokens + WORKERS - 1) / WORKERS, QR__SHARE_TOKENS), 128);
        for (bool more = true; n != NULL && more;) {
            naive at = *n;
            uint64_t now = fake_time(&machine);
            if (now >= n->last_ns ||
                (waiting() > 1 && job_at(n, n->next)->cost_ns > n->last_ns - now)) {
                n->waits = false;
                n->status = QR_LATE;
            } else {
                more = take(&b, n);
            }
            n = first(&line, &at);
        }
    }
    return b;
}

static void run_round(void) {
    for (size_t q = 0; q < QUEUES; q++)
        queues[q].history[0] = '\0';
    batch expected = make_batch();
    fake_round(&machine, (int)roll(WORKERS));
    char ran[QUEUES * sizeof queues[0].history];
    snprintf(ran, sizeof ran, "%s%s", queues[0].history, queues[1].history);
    char wanted[sizeof expected.text + 1];
    snprintf(wanted, sizeof wanted, "%s%s", expected.text, expected.jobs > 0 ? " " : "");
    cr_assert_str_eq(ran, wanted);
}

static void check_all(void) {
    cr_assert_eq(qr_schedule_depth(machine.schedule), depth());
    for (size_t i = 0; i < len; i++) {
        const naive *n = &tickets[i];
        bool ended = !n->waits && n->status != QR_GONE;
        cr_assert_eq(atomic_load(&n->work->finished), ended, "ticket %zu", i);
        cr_assert(n->waits || n->work->ticket.status == n->status, "ticket %zu", i);
        cr_assert_eq(n->work->ticket.started_ns > 0, n->next > 0, "ticket %zu", i);
        if (!n->waits)
            cr_assert_eq(work_computed(n->work), n->next);
    }
}

Test(schedule_random, is_as_the_naive_model_says, .timeout = 600) {
    fake_create(&machine, WORKERS, QUEUE_ITEMS);
    for (size_t q = 0; q < QUEUES; q++)
        fake_queue_init(&queues[q], &machine, TOKEN_NS * (1 + 2 * q), 128, 256);
    for (int sequence = 0; sequence < SEQUENCES; sequence++) {
        for (size_t step = 0; len < TICKETS && step < 30; step++) {
            uint64_t sort = roll(10);
            if (sort < 4 || len == 0)
                submit();
            else if (sort < 6)
                join(&tickets[roll(len)]);
            else if (sort == 6)
                cancel(&tickets[roll(len)]);
            else if (sort == 7)
                atomic_fetch_add(&machine.now_ns, roll(300000));
            else
                run_round();
            check_all();
        }
        while (waiting() > 0)
            run_round();
        check_all();
        while (len > 0)
            work_destroy(tickets[--len].work);
    }
    fake_stop(&machine);
}
