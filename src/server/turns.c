/* server/turns.c: whose turn an exchange has: how it is answered, handed to a worker, and taken
 * back. */
#include "server/explain.h"
#include "server/flow_internal.h"
#include "server/outlook.h"

/* What the loop may decode takes less than 1 ms; a body of so many times that is a long task. */
#define LONG_TIMES 16

void qr__exchange_turn(qr_exchange *x, qr_exchange_phase phase) {
    bool was_out = x->phase == QR_EXCHANGE_DECODING || x->phase == QR_EXCHANGE_RUNNING;
    bool is_out = phase == QR_EXCHANGE_DECODING || phase == QR_EXCHANGE_RUNNING;
    x->flow->at_work += (size_t)is_out;
    x->flow->at_work -= (size_t)was_out;
    x->flow->joined += (size_t)(phase == QR_EXCHANGE_JOINED);
    x->flow->joined -= (size_t)(x->phase == QR_EXCHANGE_JOINED);
    x->phase = phase;
}

/* Answers */

/* The request has its answer: `code`, `content_type` and `out` stand in it. */
static void give_answer(qr__flow *flow, qr_exchange *x, qr_status status) {
    qr_http_request *request = x->request;
    bool at_head = x->phase == QR_EXCHANGE_RECEIVING; /* then http sends it behind the body */
    qr__deadlines_remove(flow->deadlines, &x->deadline);
    qr__explain_retry(request, status,
                      status == QR_OVERLOADED ? qr__outlook_retry_ms(flow->options.schedule, x)
                                              : QR__RETRY_MS);
    x->answered = true;
    x->record.status = status;
    x->record.code = request->code;
    if (x->phase == QR_EXCHANGE_RECEIVING || x->phase == QR_EXCHANGE_LOOP)
        qr__exchange_turn(x, QR_EXCHANGE_ANSWERED);
    QR_ASSERT(qr_exchange_is_legal(x));
    if (!at_head)
        qr_http_answer(request);
}

/* What the record of a request says of its work. For the loop's turn, or in the schedule, where the
 * model and the number of jobs no longer change. */
static void note_work(qr_exchange *x) {
    x->record.sequences = x->ticket.jobs_len;
    if (x->model != NULL)
        x->record.model = x->model->slot;
}

void qr__exchange_answer(qr__flow *flow, qr_exchange *x) {
    qr_http_request *request = x->request;
    if (!x->encoded)
        qr_api_encode(flow->options.api, x);
    request->code = x->http_code;
    request->content_type = x->content_type;
    qr_buf_swap(&request->out, &x->out);
    note_work(x);
    for (const qr_note *note = x->notes; note < x->notes + x->notes_len; note++)
        if (note->text != NULL)
            qr_http_header_add_fixed(request, note->name, note->text);
        else
            qr_http_header_add(request, note->name, note->value);
    if (x->route != NULL && qr_api_needs_model(x->route)) {
        x->record.stages = x->stages;
        if (x->status == QR_OK)
            qr__explain_answer(request, x, qr_clock_ns());
    }
    give_answer(flow, x, x->status);
}

static void answer_status(qr__flow *flow, qr_exchange *x, qr_status status) {
    x->status = status;
    qr__exchange_answer(flow, x);
}

/* A worker has the turn, and the deadline has passed: the answer is made without a look at the
 * work, which ends unseen. */
static void answer_late(qr__flow *flow, qr_exchange *x) {
    qr_http_request *request = x->request;
    request->code = qr_status_http(QR_LATE);
    request->content_type = qr_api_fail(x->route, QR_LATE, NULL, &request->out);
    if (x->phase == QR_EXCHANGE_RUNNING)
        note_work(x);
    give_answer(flow, x, QR_LATE);
}

/* To a worker and back */

/* On a worker: gives the exchange back to the loop, and looks at it no more. The list hands over
 * what the worker wrote: its push releases, the loop's take of the whole list acquires. */
static void give_back(qr__flow *flow, qr_exchange *x) {
    qr_exchange *first = atomic_load_explicit(&flow->returned, memory_order_relaxed);
    do {
        x->next = first;
        QR_CHAOS_DELAY();
    } while (!atomic_compare_exchange_weak_explicit(&flow->returned, &first, x,
                                                    memory_order_release, memory_order_relaxed));
    QR_CHAOS_DELAY();
    if (first == NULL) /* else whoever came first has woken the loop */
        qr_watch_wake(flow->returned_watch);
}

static void encode_on_worker(qr__flow *flow, qr_exchange *x) {
    qr_api_encode(flow->options.api, x);
    x->encoded = true;
}

/* On a worker, the last to look at what the answer was made of: it may take some time to send. */
static void done_with(qr__flow *flow, qr_exchange *x) {
    if (x->encoded)
        qr_exchange_lighten(x);
    give_back(flow, x);
}

/* On a worker, its answer made: the latest moment at which the floats can be looked at. */
static void offer(qr__verify *verify, const qr_exchange *x) {
    for (size_t i = 0; i < x->ticket.jobs_len; i++)
        qr__verify_offer(verify, x->serving, x->model, &x->ticket.jobs[i]);
}

/* The loop's turn: an arrival that the schedule has not priced, by the length of its body. */
static void offer_unread(const qr__flow *flow, const qr_exchange *x) {
    const qr_served *model = x->model;
    if (model == NULL) /* not said yet */
        model = qr_api_expected_model(x);
    if (model != NULL)
        qr_metrics_offered_unread(flow->options.metrics, model->slot, x->body_bytes);
}

/* On a worker: all jobs ran, or the schedule gave them up. */
static void on_finished(qr_ticket *ticket) {
    qr_exchange *x = ticket->owner;
    qr__verify *verify = x->flow->options.verify;
    x->status = ticket->status;
    if (x->status != QR_GONE && x->status != QR_LATE) /* else the loop words it, if anyone waits */
        encode_on_worker(x->flow, x);
    if (verify != NULL && x->status == QR_OK && !x->hidden)
        offer(verify, x);
    if (x->ticket.status == QR_OK)
        qr__exchange_keep(x->flow, x);
    done_with(x->flow, x);
}

/* On a worker: a body too long for the loop. An answer that needs no model run is encoded here as
 * well. */
static void on_decode_task(qr_task *task) {
    qr_exchange *x = task->owner;
    if (qr_api_decode(x->flow->options.api, x) != QR_OK || x->ticket.jobs_len == 0)
        encode_on_worker(x->flow, x);
    done_with(x->flow, x);
}

/* The body has said which model it is for, and that may have a budget of its own; and it may ask
 * for less time than that: the shorter budget is the request's. */
static void keep_deadline_of_body(qr__flow *flow, qr_exchange *x) {
    uint64_t before_ns = x->deadline_ns;
    if (x->model == NULL || x->deadline.place == 0)
        return;
    qr__decide_budget(x, x->model);
    if (x->timeout_ns != 0)
        x->deadline_ns = qr_min(x->deadline_ns, x->received_ns + x->timeout_ns);
    if (x->deadline_ns == before_ns)
        return;
    qr__deadlines_remove(flow->deadlines, &x->deadline);
    x->ticket.deadline_ns = x->deadline.at_ns = x->deadline_ns;
    qr__deadlines_add(flow->deadlines, &x->deadline);
}

/* The hand-over to the schedule: from the submit on a worker may have the exchange, or have given
 * it back already. */
void qr__exchange_decoded(qr__flow *flow, qr_exchange *x) {
    keep_deadline_of_body(flow, x);
    if (x->status == QR_LATE) /* decode gave it up */
        offer_unread(flow, x);
    if (x->status != QR_OK || x->ticket.jobs_len == 0 || x->encoded) {
        qr__exchange_answer(flow, x);
        return;
    }
    size_t slot = x->model->slot, body_bytes = x->body_bytes;
    if (qr__exchange_share(flow, x)) {
        qr_metrics_offered(flow->options.metrics, slot, body_bytes, 0);
        return;
    }
    x->ticket.finished = on_finished;
    x->ticket.owner = x;
    qr__exchange_turn(x, QR_EXCHANGE_RUNNING);
    QR_ASSERT(qr_exchange_is_legal(x));
    qr_status status = qr_schedule_submit(x->model->schedule, &x->ticket);
    /* The price no longer changes, and the exchange is there until the loop gives it up. */
    qr_metrics_offered(flow->options.metrics, slot, body_bytes, x->ticket.offered_ns);
    if (status == QR_OK) {
        qr__exchange_lead(flow, x); /* writes and reads nothing that the worker writes */
    } else {                        /* nothing was taken: the turn is still the loop's */
        qr__exchange_turn(x, QR_EXCHANGE_LOOP);
        answer_status(flow, x, status);
    }
}

/* Of an exchange that a worker gave back: its client has left, or was told that it is late, or
 * still waits. */
static void came_back(qr__flow *flow, qr_exchange *x) {
    bool from_decoding = x->phase == QR_EXCHANGE_DECODING;
    QR_ASSERT(from_decoding || x->phase == QR_EXCHANGE_RUNNING);
    QR_ASSERT(qr_exchange_is_legal(x));
    if (!from_decoding)
        qr__exchange_share_results(flow, x);
    /* What nobody waits for any more is not priced, and may have been given up by decode. */
    else if ((x->request == NULL || x->answered) &&
             (x->ticket.jobs_len > 0 || x->status == QR_LATE))
        offer_unread(flow, x);
    if (x->request == NULL) { /* its client has left */
        qr__exchange_turn(x, QR_EXCHANGE_LOOP);
        qr__exchange_release(flow, x);
    } else if (x->answered) { /* late */
        qr__exchange_turn(x, QR_EXCHANGE_ANSWERED);
    } else {
        qr__exchange_turn(x, QR_EXCHANGE_LOOP);
        if (from_decoding)
            qr__exchange_decoded(flow, x);
        else
            qr__exchange_answer(flow, x);
    }
}

void qr__exchange_admit(qr__flow *flow, qr_exchange *x) {
    x->record.budgeted = true;
    qr_status outlook = qr__outlook(flow->options.schedule, x);
    if (outlook == QR_LATE || (outlook != QR_OK && !qr__exchange_may_share(flow, x))) {
        offer_unread(flow, x);
        answer_status(flow, x, outlook);
        return;
    }
    x->deadline.at_ns = x->deadline_ns;
    qr__deadlines_add(flow->deadlines, &x->deadline);
    const size_t loop_bytes = qr_api_loop_bytes(x);
    if (x->body_bytes > loop_bytes) { /* no step of the loop takes 1 ms */
        x->task = (qr_task){
            .run = on_decode_task, .owner = x, .is_long = x->body_bytes > LONG_TIMES * loop_bytes};
        qr__exchange_turn(x, QR_EXCHANGE_DECODING);
        QR_ASSERT(qr_exchange_is_legal(x));
        qr_schedule_call(flow->options.schedule, &x->task);
    } else {
        qr_api_decode(flow->options.api, x);
        qr__exchange_decoded(flow, x);
    }
}

void qr__exchange_command(qr__flow *flow, qr_exchange *x) {
    const qr__flow_options *options = &flow->options;
    qr_status status = x->serving == NULL || options->command == NULL
                           ? QR_NOT_READY
                           : options->command(options->command_state, x);
    if (status != QR_OK) {
        answer_status(flow, x, status);
        return;
    }
    x->deadline.at_ns = x->deadline_ns;
    qr__deadlines_add(flow->deadlines, &x->deadline);
    qr__exchange_turn(x, QR_EXCHANGE_DECODING);
    QR_ASSERT(qr_exchange_is_legal(x));
}

void qr__flow_commanded(qr__flow *flow, qr_exchange *x, qr_status status) {
    x->status = status;
    came_back(flow, x);
    qr__flow_pump(flow);
}

qr_exchange *qr__flow_returned(qr__flow *flow) {
    qr_exchange *last = atomic_exchange_explicit(&flow->returned, NULL, memory_order_acquire),
                *first = NULL;
    while (last != NULL) {
        qr_exchange *before = last->next;
        last->next = first;
        first = last;
        last = before;
    }
    return first;
}

void qr__flow_on_returned(void *state) {
    qr__flow *flow = state;
    QR_CHAOS_DELAY();
    for (qr_exchange *x = qr__flow_returned(flow), *next; x != NULL; x = next) {
        next = x->next;
        x->next = NULL;
        came_back(flow, x);
    }
    qr__flow_pump(flow);
}

/* True: the work is the loop's again, taken back from the queue or from its leader. Held by a
 * worker, or waited for by mates, it is left alone. */
static bool regain(qr__flow *flow, qr_exchange *x, qr_status status) {
    if (x->phase != QR_EXCHANGE_JOINED)
        return qr__exchange_take_back(x, status);
    qr__exchange_part(flow, x);
    return true;
}

void qr__flow_on_late(void *state, qr_deadline *late) {
    qr__flow *flow = state;
    qr_exchange *x = QR_OWNER(late, qr_exchange, deadline);
    if (regain(flow, x, QR_LATE))
        answer_status(flow, x, QR_LATE);
    else
        answer_late(flow, x);
    qr__flow_pump(flow);
}

void qr__exchange_report(const qr__flow *flow, const qr_exchange *x) {
    qr_record record = x->record;
    record.route = x->route == NULL ? NULL : qr_api_pattern(x->route);
    record.trace = x->trace.text;
    record.head_ns = x->received_ns;
    record.budget_ns = x->deadline_ns - x->received_ns;
    record.end_ns = qr_clock_ns();
    qr_metrics_request(flow->options.metrics, &record);
    qr_ops_log_request(&record, flow->options.slow_ns);
}

void qr__exchange_gone(qr__flow *flow, qr_exchange *x) {
    atomic_store_explicit(&x->unwanted, true, memory_order_relaxed); /* orders nothing: a hint */
    if (x->phase == QR_EXCHANGE_RUNNING || x->phase == QR_EXCHANGE_JOINED)
        note_work(x);
    x->record.status = QR_GONE;
    x->record.code = qr_status_http(QR_GONE);
    qr__exchange_report(flow, x);
    qr__deadlines_remove(flow->deadlines, &x->deadline);
    if (regain(flow, x, QR_GONE))
        qr__exchange_release(flow, x);
    else
        QR_ASSERT(qr_exchange_is_legal(x));
}
