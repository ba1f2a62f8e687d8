/* server/flow.c: whose turn an exchange has, and how it changes hands. */
#include "server/flow.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <strings.h>

#define LOOP_BODY_BYTES                                                                            \
    (16u * 1024u) /* larger bodies are decoded by a worker: no step of the loop takes 1 ms */
#define LISTENERS_MAX 2

struct qr_flow {
    qr_watch *returned_watch;
    _Atomic(qr_exchange *) returned; /* by workers, last first */
    qr_deadlines *deadlines;
    qr_http *listeners[LISTENERS_MAX];
    size_t listeners_len;
    qr_flow_options options;
    qr_serving *serving; /* the current generation; NULL while models are loading */
};

/* On the loop: the exchange is whole again and gets its answer. */
static void answer(qr_flow *flow, qr_exchange *x) {
    qr_deadlines_remove(flow->deadlines, &x->deadline);
    if (x->owner == NULL && !x->encoded) { /* nobody is there to read it */
        x->status = QR_GONE;
        x->http_code = qr_status_http(QR_GONE);
    } else if (!x->encoded) {
        qr_api_encode(flow->options.api, x);
    }
    if (x->status == QR_OVERLOADED)
        x->retry_after_ms = qr_schedule_retry_ms(flow->options.schedule);
    qr_http_answer(x->http, x);
}

static void answer_status(qr_flow *flow, qr_exchange *x, qr_status status) {
    x->status = status;
    answer(flow, x);
}

/* On a worker: gives the exchange back to the loop. */
static void give_back(qr_flow *flow, qr_exchange *x) {
    qr_exchange *first = atomic_load_explicit(&flow->returned, memory_order_relaxed);
    do
        x->next = first;
    while (!atomic_compare_exchange_weak_explicit(&flow->returned, &first, x, memory_order_release,
                                                  memory_order_relaxed));
    if (first == NULL) /* else whoever came first has woken the loop */
        qr_watch_wake(flow->returned_watch);
}

static void encode_on_worker(qr_flow *flow, qr_exchange *x) {
    qr_api_encode(flow->options.api, x);
    x->encoded = true;
}

/* On a worker: all jobs ran, or the schedule gave them up. */
static void on_finished(qr_ticket *ticket) {
    qr_exchange *x = ticket->owner;
    qr_flow *flow = x->flow;
    x->status = ticket->status;
    if (x->status != QR_GONE)
        encode_on_worker(flow, x);
    give_back(flow, x);
}

/* On a worker: a body too long for the loop. An answer that needs no model run is encoded here as
 * well. */
static void on_decode_task(qr_task *task) {
    qr_exchange *x = task->owner;
    qr_flow *flow = x->flow;
    if (qr_api_decode(flow->options.api, x) != QR_OK || x->ticket.jobs_len == 0)
        encode_on_worker(flow, x);
    give_back(flow, x);
}

/* On the loop: the body has become jobs, or an answer. */
static void decoded(qr_flow *flow, qr_exchange *x) {
    if (x->status != QR_OK || x->ticket.jobs_len == 0 || x->encoded) {
        answer(flow, x);
        return;
    }
    x->turn = QR_TURN_RUN;
    x->ticket.finished = on_finished;
    x->ticket.owner = x;
    qr_status status = qr_schedule_submit(flow->options.schedule, &x->ticket);
    if (status != QR_OK) {
        x->turn = QR_TURN_LOOP;
        answer_status(flow, x, status);
    }
}

static bool is_json(qr_text type) {
    static const char json[] = "application/json";
    size_t len = sizeof json - 1;
    return type.len >= len && strncasecmp(type.data, json, len) == 0 &&
           (type.len == len || type.data[len] == ';' || type.data[len] == ' ');
}

static void on_request(void *state, qr_exchange *x) {
    qr_flow *flow = state;
    x->flow = flow;
    x->turn = QR_TURN_LOOP;
    x->serving = flow->serving;
    if (x->status != QR_OK) {
        answer(flow, x);
        return;
    }
    if (x->route->method == QR_POST && !is_json(x->body_type)) {
        answer_status(flow, x, QR_BAD_TYPE);
        return;
    }
    if (!x->route->needs_model) {
        qr_api_decode(flow->options.api, x);
        decoded(flow, x);
        return;
    }
    if (x->serving == NULL) {
        answer_status(flow, x, QR_NOT_READY);
        return;
    }
    qr_status outlook = qr_schedule_outlook(flow->options.schedule, x->deadline.at_ns);
    if (outlook != QR_OK) {
        answer_status(flow, x, outlook);
        return;
    }
    qr_deadlines_add(flow->deadlines, &x->deadline);
    if (x->body.len > LOOP_BODY_BYTES) {
        x->turn = QR_TURN_DECODE;
        x->task = (qr_task){.run = on_decode_task, .owner = x};
        qr_schedule_call(flow->options.schedule, &x->task);
    } else {
        qr_api_decode(flow->options.api, x);
        decoded(flow, x);
    }
}

static void came_back(qr_flow *flow, qr_exchange *x) {
    qr_turn turn = x->turn;
    x->turn = QR_TURN_LOOP;
    if (x->owner != NULL && turn == QR_TURN_DECODE) {
        decoded(flow, x);
        return;
    }
    if (x->owner == NULL)
        x->encoded = false; /* its answer reaches nobody: it counts as gone */
    answer(flow, x);
}

static void pump(qr_flow *flow) {
    for (size_t i = 0; i < flow->listeners_len; i++)
        qr_http_pump(flow->listeners[i]);
}

/* On the loop: workers gave exchanges back. */
static void on_returned(void *state) {
    qr_flow *flow = state;
    qr_exchange *last = atomic_exchange_explicit(&flow->returned, NULL, memory_order_acquire),
                *first = NULL;
    if (last == NULL)
        return;
    while (last != NULL) {
        qr_exchange *before = last->next;
        last->next = first;
        first = last;
        last = before;
    }
    while (first != NULL) {
        qr_exchange *next = first->next;
        came_back(flow, first);
        first = next;
    }
    pump(flow);
}

/* The deadline passed before the answer was there. */
static void on_late(void *state, qr_deadline *late) {
    qr_flow *flow = state;
    qr_exchange *x = QR_OWNER(late, qr_exchange, deadline);
    bool mine =
        x->turn == QR_TURN_RUN && qr_schedule_cancel(flow->options.schedule, &x->ticket, QR_LATE);
    if (mine) {
        x->turn = QR_TURN_LOOP;
    } else { /* a worker holds it */
        qr_served *model =
            x->turn == QR_TURN_RUN ? x->model : NULL; /* decoding may be writing it */
        x = qr_http_replace(x->http, x);
        if (x == NULL)
            return;
        x->flow = flow;
        x->model = model;
    }
    answer_status(flow, x, QR_LATE);
    pump(flow);
}

/* The client left: what has not begun is not computed. */
static void on_gone(void *state, qr_exchange *x) {
    qr_flow *flow = state;
    qr_deadlines_remove(flow->deadlines, &x->deadline);
    if (x->turn == QR_TURN_RUN && qr_schedule_cancel(flow->options.schedule, &x->ticket, QR_GONE)) {
        x->turn = QR_TURN_LOOP;
        answer(flow, x);
    }
}

static void on_head(void *state) {
    qr_flow *flow = state;
    qr_schedule_expect(flow->options.schedule);
}

static void on_refused(void *state, qr_status status) {
    qr_flow *flow = state;
    qr_metrics_refused(flow->options.metrics, status);
}

static void on_connections(void *state, size_t open) {
    qr_flow *flow = state;
    (void)open; /* of one listener; the metric counts both */
    size_t all = 0;
    for (size_t i = 0; i < flow->listeners_len; i++)
        all += qr_http_open_connections(flow->listeners[i]);
    qr_metrics_connections(flow->options.metrics, all);
}

static void on_done(void *state, const qr_exchange *x) {
    qr_flow *flow = state;
    qr_record record = {
        .route = x->route == NULL ? NULL : x->route->name,
        .model = x->model == NULL ? QR_NO_MODEL_SLOT : x->model->slot,
        .status = x->status,
        .code = x->status == QR_GONE ? qr_status_http(QR_GONE) : x->http_code,
        .sequences = x->ticket.jobs_len,
        .trace = x->trace_id,
        .head_ns = x->received_ns,
        .budget_ns = x->deadline.at_ns - x->received_ns,
        .end_ns = qr_clock_ns(),
    };
    if (x->route != NULL && x->route->needs_model)
        record.stages = x->stages;
    qr_metrics_request(flow->options.metrics, &record);
    qr_ops_log_request(&record, flow->options.slow_ns);
}

qr_status qr_flow_create(const qr_flow_options *options, qr_flow **out) {
    *out = NULL;
    qr_flow *flow = calloc(1, sizeof *flow);
    if (flow == NULL)
        return QR_NO_MEMORY;
    flow->options = *options;
    flow->returned_watch = qr_watch_wakeup(options->loop, on_returned, flow);
    if (flow->returned_watch == NULL ||
        qr_deadlines_create(options->loop, options->exchanges_max, on_late, flow,
                            &flow->deadlines) != QR_OK) {
        qr_flow_destroy(flow);
        return QR_NO_MEMORY;
    }
    *out = flow;
    return QR_OK;
}

void qr_flow_destroy(qr_flow *flow) {
    if (flow == NULL)
        return;
    qr_watch_close(flow->returned_watch);
    qr_deadlines_destroy(flow->deadlines);
    free(flow);
}

void qr_flow_connect(qr_flow *flow, qr_http_options *options) {
    options->state = flow;
    options->on_head = on_head;
    options->on_request = on_request;
    options->on_gone = on_gone;
    options->on_refused = on_refused;
    options->on_connections = on_connections;
    options->on_done = on_done;
}

void qr_flow_listener(qr_flow *flow, qr_http *http) {
    if (flow->listeners_len < LISTENERS_MAX)
        flow->listeners[flow->listeners_len++] = http;
}

void qr_flow_serve(qr_flow *flow, qr_serving *serving) {
    qr_serving_unpin(flow->serving);
    flow->serving = serving;
}

qr_serving *qr_flow_serving(const qr_flow *flow) {
    return flow->serving;
}
