/* cli/bench_load.c: one epoll set, one timer for the next intended time, and clients that are idle
 * or busy.
 *
 * The times of an open loop are drawn one by one; when no client is idle the next one waits,
 * undrawn, in `next_ns`, and keeps its time. So no queue is needed: requests leave in the order of
 * their times. */
#include "cli/bench_load.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "cli/arrivals.h"
#include "cli/bench_client.h"

#define EVENTS_MAX   256
#define SWEEP_NS     (50 * QR_NS_PER_MS) /* how often requests without an answer are looked for */
#define FAILURES_MAX 1000u               /* in a row, with no answer between: nobody is there */

typedef struct loader {
    const qr__load_options *options;
    qr__load_result *result;
    int epoll, timer;
    qr__client *clients; /* [options->connections] */
    size_t *idle;        /* a stack of client numbers: not busy, open or closed */
    size_t idle_len, open;
    size_t next_request;
    qr__arrivals arrivals; /* of an open loop */
    uint64_t begin_ns, from_ns, until_ns,
        give_up_ns;   /* start, first and last measured, end of patience */
    uint64_t next_ns; /* open loop: the next intended time */
    uint64_t failures_in_row;
} loader;

/* A request counts by its intended time, whenever its answer comes: so warm-up and the end are cut
 * off alike for fast and slow answers. */
static bool measured(const loader *load, uint64_t start_ns) {
    return start_ns >= load->from_ns && start_ns < load->until_ns;
}

static void make_idle(loader *load, qr__client *client) {
    load->idle[load->idle_len++] = (size_t)(client - load->clients);
}

static void count_failure(loader *load, const qr__client *client, uint64_t *counter) {
    load->failures_in_row++;
    if (measured(load, client->start_ns))
        (*counter)++;
}

static void count_answer(loader *load, const qr__client *client, uint64_t now) {
    qr__load_result *result = load->result;
    uint64_t latency = now - client->start_ns;
    bool good = client->code >= 200 && client->code < 300;
    load->failures_in_row = 0;
    if (!measured(load, client->start_ns))
        return;
    result->answered++;
    result->codes[client->code < 600 ? client->code : 599]++;
    qr__hdr_record(good ? &result->succeeded : &result->refused, latency);
    result->in_time += good && now < load->until_ns;
}

/* Sees what an event, or a fresh request, leads to. */
static void advance(loader *load, qr__client *client) {
    bool was_open = client->fd >= 0, was_busy = client->busy;
    qr__client_state state = qr__client_advance(client);
    if (was_open && client->fd < 0)
        load->open--; /* close() took it out of the epoll set */
    if (state == QR_CLIENT_ANSWERED)
        count_answer(load, client, qr_clock_ns());
    else if (state == QR_CLIENT_FAILED && was_busy)
        count_failure(load, client, &load->result->failed);
    if (was_busy && !client->busy)
        make_idle(load, client);
}

/* Sends the next request on an idle client, which opens its connection if it has none. */
static void start_request(loader *load, uint64_t start_ns) {
    const qr__load_options *options = load->options;
    qr__client *client = &load->clients[load->idle[--load->idle_len]];
    if (client->fd < 0 && qr__client_open(client, options->address, options->address_len)) {
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET,
                                    .data = {.ptr = client}};
        if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, client->fd, &event) != 0)
            qr__client_close(client);
        else if (++load->open > load->result->connections)
            load->result->connections = load->open;
    }
    client->start_ns = start_ns;
    client->deadline_ns = qr_clock_ns() + (uint64_t)(options->timeout_s * 1e9);
    load->result->due += measured(load, start_ns);
    if (client->fd < 0) {
        count_failure(load, client, &load->result->failed);
        make_idle(load, client);
        return;
    }
    qr__client_send(client, options->requests[load->next_request]);
    load->next_request = (load->next_request + 1) % options->requests_len;
    advance(load, client);
}

/* Sends all that is due. */
static void pump(loader *load) {
    uint64_t now = qr_clock_ns();
    if (load->options->rate > 0) {
        while (load->idle_len > 0 && load->next_ns <= now && load->next_ns < load->until_ns) {
            start_request(load, load->next_ns);
            load->next_ns += qr__arrivals_gap_ns(&load->arrivals);
        }
        return;
    }
    /* Each idle client once: one that fails at once must not be tried forever. */
    for (size_t n = load->idle_len; n > 0 && load->idle_len > 0 && now < load->until_ns; n--)
        start_request(load, qr_clock_ns());
}

/* A connection whose answer is late is closed: its late bytes would be taken for the next
 * answer. */
static void give_up_on_late(loader *load, uint64_t now) {
    for (size_t i = 0; i < load->options->connections; i++) {
        qr__client *client = &load->clients[i];
        if (!client->busy || client->deadline_ns > now)
            continue;
        qr__client_close(client);
        load->open--;
        count_failure(load, client, &load->result->timed_out);
        make_idle(load, client);
    }
}

/* A timer, because epoll_wait's timeout counts milliseconds. Time 0 would disarm it. */
static void set_timer(const loader *load, uint64_t at_ns) {
    struct itimerspec when = {0};
    at_ns = at_ns == 0 ? 1 : at_ns;
    when.it_value.tv_sec = (time_t)(at_ns / QR_NS_PER_S);
    when.it_value.tv_nsec = (long)(at_ns % QR_NS_PER_S);
    timerfd_settime(load->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static uint64_t earlier(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

/* Over when the last intended time has passed and all answers are there, when patience ends, or
 * when nobody listens. */
static bool finished(const loader *load, uint64_t now) {
    bool over =
        now >= load->until_ns && (load->options->rate <= 0 || load->next_ns >= load->until_ns);
    return now >= load->give_up_ns || load->failures_in_row >= FAILURES_MAX ||
           (over && load->idle_len == load->options->connections);
}

/* Sends what is due, sleeps to the next intended time or event, takes what came. */
static void loop(loader *load) {
    struct epoll_event events[EVENTS_MAX];
    uint64_t sweep_ns = load->begin_ns + SWEEP_NS;
    for (uint64_t now = load->begin_ns; !finished(load, now); now = qr_clock_ns()) {
        pump(load);
        uint64_t wake = earlier(sweep_ns, load->give_up_ns);
        if (load->options->rate > 0 && load->idle_len > 0 && load->next_ns < load->until_ns)
            wake = earlier(wake, load->next_ns);
        if (load->failures_in_row > 0 && load->options->rate <= 0) /* do not hammer a closed port */
            wake = earlier(wake, qr_clock_ns() + QR_NS_PER_MS);
        set_timer(load, wake);
        int n = epoll_wait(load->epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < n; i++) {
            qr__client *client = events[i].data.ptr;
            uint64_t ticks;
            if (client == NULL) {
                if (read(load->timer, &ticks, sizeof ticks) < 0)
                    continue; /* it was set anew meanwhile */
            } else if (client->fd >= 0) {
                advance(load, client);
            }
        }
        now = qr_clock_ns();
        if (now >= sweep_ns) {
            give_up_on_late(load, now);
            sweep_ns = now + SWEEP_NS;
        }
    }
}

/* What never got its turn is counted, not forgotten. */
static void count_rest(loader *load) {
    for (; load->options->rate > 0 && load->next_ns < load->until_ns;
         load->next_ns += qr__arrivals_gap_ns(&load->arrivals)) {
        load->result->due += measured(load, load->next_ns);
        load->result->unsent += measured(load, load->next_ns);
    }
    for (size_t i = 0; i < load->options->connections; i++) {
        if (load->clients[i].busy)
            count_failure(load, &load->clients[i], &load->result->timed_out);
        qr__client_close(&load->clients[i]);
    }
}

static qr_status prepare(loader *load, qr_error *error) {
    const qr__load_options *options = load->options;
    struct epoll_event event = {.events = EPOLLIN, .data = {.ptr = NULL}};
    load->clients = calloc(options->connections, sizeof *load->clients);
    load->idle = calloc(options->connections, sizeof *load->idle);
    if (load->clients == NULL || load->idle == NULL || !qr__hdr_init(&load->result->succeeded) ||
        !qr__hdr_init(&load->result->refused))
        return qr_error_set(error, QR_NO_MEMORY, "no memory for %zu connections",
                            options->connections);
    for (size_t i = options->connections; i-- > 0;) {
        qr__client_init(&load->clients[i]);
        make_idle(load, &load->clients[i]);
    }
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    load->timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (load->epoll < 0 || load->timer < 0 ||
        epoll_ctl(load->epoll, EPOLL_CTL_ADD, load->timer, &event) != 0)
        return qr_error_set(error, QR_IO, "no epoll or timer: %s", strerror(errno));
    prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL); /* 1 us instead of 50 */
    return QR_OK;
}

qr_status qr__load_run(const qr__load_options *options, qr__load_result *out, qr_error *error) {
    loader load = {.options = options, .result = out, .epoll = -1, .timer = -1};
    if (options->rate > 0)
        load.arrivals = qr__arrivals_of(options->rate, options->uniform, options->seed);
    *out = (qr__load_result){.seconds = options->seconds};
    qr_status status = prepare(&load, error);
    if (status == QR_OK) {
        load.begin_ns = load.next_ns = qr_clock_ns();
        load.from_ns = load.begin_ns + (uint64_t)(options->warmup_s * 1e9);
        load.until_ns = load.from_ns + (uint64_t)(options->seconds * 1e9);
        load.give_up_ns = load.until_ns + (uint64_t)(options->timeout_s * 1e9);
        loop(&load);
        count_rest(&load);
    }
    if (load.epoll >= 0)
        close(load.epoll);
    if (load.timer >= 0)
        close(load.timer);
    free(load.clients);
    free(load.idle);
    return status;
}

void qr__load_result_deinit(qr__load_result *result) {
    if (result == NULL)
        return;
    qr__hdr_deinit(&result->succeeded);
    qr__hdr_deinit(&result->refused);
}
