/* server/schedule/simulation.c: the schedule without threads, stepped from event to event.
 *
 * Two things happen: a request is submitted, and a worker is done with what it has in hand. Of two
 * at one moment the worker is first. What wakes whom is as in the pool (docs/POOL.md), but takes no
 * time: a wake-up finds a worker that does nothing, or else one that only helps, and it leaves at
 * once. Who begins a batch is helped from then on by those who do nothing at that moment; nobody
 * comes later.
 *
 * Help makes a batch faster in proportion: nobody's is the speed of one worker, and that of as many
 * as were measured together is theirs. */
#include "server/schedule/simulation.h"

#include <stdlib.h>

#include "server/schedule/schedule_internal.h"

#define NEVER_NS UINT64_MAX

typedef enum hand_state { PARKED, HELPING, RUNNING, ANSWERING } hand_state;

/* A worker of the schedule, and how far it is. */
typedef struct hand {
    hand_state state;
    struct hand *leader; /* HELPING: whom */
    int helpers;         /* RUNNING: how many help with the batch */
    double left_ns;      /* of the batch at `since_ns`, as one worker alone would need it */
    double gain;         /* how much faster it goes with the whole team */
    double speed;
    uint64_t since_ns, end_ns; /* end_ns: NEVER_NS without work of its own */
} hand;

/* A request that the schedule has. */
typedef struct place {
    qr_ticket ticket;
    qr_job job;
    qr_simulated *request;
    struct place *next; /* a free one */
    struct simulator *simulator;
} place;

typedef struct simulator {
    const qr_simulation *machine;
    uint64_t now_ns;
    qr_clock clock;
    qr_schedule *schedule;
    qr_queue queue;
    size_t wakes;        /* wake-ups that nobody has followed yet */
    uint64_t answers_ns; /* of the batch that just ended */
    place *places;       /* owned; [queue_items], all that the schedule can have */
    place *free;
    hand hands[QR_LIMIT_THREADS];
} simulator;

static const float computed; /* what a job's result points to; nobody looks */

static uint64_t now(void *state) {
    return ((const simulator *)state)->now_ns;
}

static void wake(void *state) {
    ((simulator *)state)->wakes++;
}

/* Batches */

static double batch_ns(const qr__worker *worker, const qr_cost *cost) {
    double ns = cost->fixed_ns;
    for (size_t i = 0; i < worker->len; i++)
        ns += qr_cost_job(cost, worker->jobs[i]->tokens);
    return ns;
}

/* From now on the batch goes as fast as its helpers make it, or as those beside it on its device
 * let it. */
static void set_pace(const simulator *sim, hand *h) {
    h->left_ns -= (double)(sim->now_ns - h->since_ns) * h->speed;
    h->since_ns = sim->now_ns;
    h->speed = 1;
    if (sim->machine->streams > 0 && sim->schedule->busy > 1)
        h->speed = 1 / (double)sim->schedule->busy;
    if (h->helpers > 0)
        h->speed += (h->gain - 1) * h->helpers / (sim->machine->team_len - 1);
    double rest_ns = h->left_ns > 0 ? h->left_ns / h->speed : 0;
    h->end_ns = sim->now_ns + (uint64_t)(rest_ns + 0.5);
}

/* The device has a batch more, or less. */
static void set_paces(const simulator *sim, hand *hands) {
    for (int i = 0; sim->machine->streams > 0 && i < sim->machine->workers; i++)
        if (hands[i].state == RUNNING)
            set_pace(sim, &hands[i]);
}

/* The hand's worker has a batch: whoever does nothing helps. */
static void start_batch(simulator *sim, hand *h, const qr__worker *worker) {
    double alone_ns = batch_ns(worker, &sim->machine->alone),
           team_ns = batch_ns(worker, &sim->machine->team);
    *h = (hand){.state = RUNNING,
                .left_ns = alone_ns,
                .gain = team_ns > 0 ? alone_ns / team_ns : 1,
                .speed = 1,
                .since_ns = sim->now_ns};
    for (int i = 0; i < sim->machine->workers && h->helpers + 1 < sim->machine->team_len; i++) {
        hand *other = &sim->hands[i];
        if (other->state != PARKED)
            continue;
        other->state = HELPING;
        other->leader = h;
        h->helpers++;
    }
    set_pace(sim, h);
    set_paces(sim, sim->hands);
}

static void stop_helping(const simulator *sim, hand *h) {
    hand *leader = h->leader;
    h->state = PARKED;
    h->leader = NULL;
    leader->helpers--;
    set_pace(sim, leader);
}

static void park(hand *h) {
    *h = (hand){.state = PARKED, .end_ns = NEVER_NS};
}

/* A worker looks for work until it has a batch, or there is none. */
static void look(simulator *sim, int index) {
    qr__worker *worker = &sim->schedule->workers[index];
    qr__round round;
    do
        round = qr__worker_begin(worker);
    while (round == QR__ROUND_WORKED);
    if (round == QR__ROUND_BATCH)
        start_batch(sim, &sim->hands[index], worker);
    else
        park(&sim->hands[index]);
}

/* The batch has run: its tickets are finished, and the worker has their answers to write. */
static void end_batch(simulator *sim, int index) {
    qr__worker *worker = &sim->schedule->workers[index];
    hand *h = &sim->hands[index];
    for (int i = 0; i < sim->machine->workers && h->helpers > 0; i++)
        if (sim->hands[i].leader == h)
            stop_helping(sim, &sim->hands[i]);
    for (size_t i = 0; i < worker->len; i++)
        worker->jobs[i]->result = &computed;
    sim->answers_ns = 0;
    qr__worker_end(worker);
    h->state = ANSWERING;
    h->end_ns = sim->now_ns + sim->answers_ns;
    set_paces(sim, sim->hands);
}

/* Who returns from a wake-up: one that does nothing, or one that only helps; -1: all have work. */
static int woken(const simulator *sim) {
    int helper = -1;
    for (int i = 0; i < sim->machine->workers; i++) {
        if (sim->hands[i].state == PARKED)
            return i;
        if (sim->hands[i].state == HELPING && helper < 0)
            helper = i;
    }
    return helper;
}

/* Whoever takes work and sees more wakes the next. Those who have work look for more by
 * themselves. */
static void follow_wakes(simulator *sim) {
    for (; sim->wakes > 0; sim->wakes--) {
        int index = woken(sim);
        if (index < 0)
            continue;
        if (sim->hands[index].state == HELPING)
            stop_helping(sim, &sim->hands[index]);
        look(sim, index);
    }
}

/* Requests */

static void on_finished(qr_ticket *ticket) {
    place *p = ticket->owner;
    simulator *sim = p->simulator;
    qr_simulated *request = p->request;
    if (ticket->status == QR_OK)
        sim->answers_ns += sim->machine->after_ns;
    request->done_ns = sim->now_ns + sim->answers_ns;
    request->status = ticket->status;
    if (request->status == QR_OK && request->done_ns > ticket->deadline_ns)
        request->status = QR_LATE;
    p->next = sim->free;
    sim->free = p;
}

/* As the server asks: at the head what is ahead, and the rest when its tokens are known. */
static void submit(simulator *sim, qr_simulated *request) {
    uint64_t deadline_ns = request->at_ns + request->budget_ns;
    place *p = sim->free;
    request->done_ns = sim->now_ns;
    request->status = qr_schedule_outlook(sim->schedule, deadline_ns);
    if (request->status == QR_OK && p == NULL)
        request->status = QR_OVERLOADED;
    if (request->status != QR_OK)
        return;
    p->request = request;
    p->job = (qr_job){.tokens = request->tokens};
    p->ticket = (qr_ticket){.queue = &sim->queue,
                            .jobs = &p->job,
                            .jobs_len = 1,
                            .deadline_ns = deadline_ns,
                            .finished = on_finished,
                            .owner = p};
    sim->free = p->next; /* before the submit: nobody else may take the place meanwhile */
    request->status = qr_schedule_submit(sim->schedule, &p->ticket);
    if (request->status != QR_OK) {
        p->next = sim->free;
        sim->free = p;
    }
}

/* Events */

/* Who is done first; -1: nobody has work. */
static int first_done(const simulator *sim) {
    int first = -1;
    for (int i = 0; i < sim->machine->workers; i++)
        if (sim->hands[i].end_ns != NEVER_NS &&
            (first < 0 || sim->hands[i].end_ns < sim->hands[first].end_ns))
            first = i;
    return first;
}

static void run(simulator *sim, qr_simulated *requests, size_t len) {
    for (size_t next = 0;;) {
        int done = first_done(sim);
        uint64_t done_ns = done < 0 ? NEVER_NS : sim->hands[done].end_ns;
        uint64_t due_ns = next < len ? requests[next].at_ns + requests[next].way_ns : NEVER_NS;
        if (done < 0 && next == len)
            break;
        if (done >= 0 && done_ns <= due_ns) {
            sim->now_ns = done_ns;
            if (sim->hands[done].state == RUNNING)
                end_batch(sim, done);
            else
                look(sim, done);
        } else {
            QR_ASSERT(due_ns >= sim->now_ns);
            sim->now_ns = due_ns;
            submit(sim, &requests[next++]);
        }
        follow_wakes(sim);
    }
}

/* Life */

static qr_status prepare(simulator *sim) {
    const qr_simulation *machine = sim->machine;
    const qr_schedule_options options = {.workers = machine->workers,
                                         .streams = machine->streams,
                                         .queue_items = machine->queue_items,
                                         .room = {.wake = wake, .state = sim},
                                         .clock = &sim->clock};
    sim->clock = (qr_clock){now, sim};
    qr_queue_init(&sim->queue, NULL, &machine->alone, machine->batch_tokens, machine->job_tokens);
    sim->places = calloc(machine->queue_items, sizeof *sim->places);
    if (sim->places == NULL)
        return QR_NO_MEMORY;
    for (size_t i = machine->queue_items; i-- > 0;) {
        sim->places[i].simulator = sim;
        sim->places[i].next = sim->free;
        sim->free = &sim->places[i];
    }
    for (int i = 0; i < machine->workers; i++)
        park(&sim->hands[i]);
    return qr__schedule_create(&options, &sim->schedule);
}

qr_status qr_simulate(const qr_simulation *machine, qr_simulated *requests, size_t len) {
    simulator *sim = calloc(1, sizeof *sim);
    if (sim == NULL)
        return QR_NO_MEMORY;
    QR_ASSERT(machine->workers >= 1 && machine->workers <= QR_LIMIT_THREADS);
    sim->machine = machine;
    qr_status status = prepare(sim);
    if (status == QR_OK)
        run(sim, requests, len);
    qr_schedule_destroy(sim->schedule);
    free(sim->places);
    free(sim);
    return status;
}
