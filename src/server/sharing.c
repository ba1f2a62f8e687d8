/* server/sharing.c: requests that are answered without a computation of their own: their results
 * are in the cache, or another request that asks the same (its leader) is being computed.
 *
 * All of this happens on the loop. A mate's work stays the loop's: it waits for nothing but its
 * leader's return, its deadline, or its client's end. The leader's ticket belongs to all of them:
 * it is taken back from the schedule only when nobody waits for it. */
#include "server/flow_internal.h"

#define LOOK_BODY_BYTES 2048u /* queries; what is longer is seldom asked for again */
#define LOOK_COSTS      16
#define SHARE_MEMORY    256 /* requests */

static qr_exchange *exchange_of(qr__joint *joint) {
    return QR_OWNER(joint, qr_exchange, joint);
}

static bool is_wanted(const qr_exchange *x) {
    return x->request != NULL && !x->answered;
}

static bool join(qr__flow *flow, qr_exchange *x) {
    qr__joint *joint = qr__joins_find(flow->joins, &x->ticket, &x->key);
    if (joint == NULL || !qr_schedule_join(x->model->schedule, &exchange_of(joint)->ticket,
                                           x->deadline_ns, x->ticket.yields))
        return false;
    x->ticket.submitted_ns = qr_clock_ns();
    qr__joins_join(joint, &x->joint);
    x->sharing = QR_SHARING_JOIN;
    qr_metrics_joined(flow->options.metrics);
    qr__exchange_turn(x, QR_EXCHANGE_JOINED);
    QR_ASSERT(qr_exchange_is_legal(x));
    return true;
}

/* To decode a request and look takes about a sixteenth of what its answer takes: below that share
 * it is not worth it, but for one in so many, to see whether that is still so. */
bool qr__exchange_may_share(qr__flow *flow, const qr_exchange *x) {
    return flow->joins != NULL && x->body.len <= LOOK_BODY_BYTES &&
           (flow->shared > 1.0 / LOOK_COSTS || flow->outlooks++ % LOOK_COSTS == 0);
}

static bool find(qr__flow *flow, qr_exchange *x) {
    if (!qr__cache_find(flow->options.cache, &x->ticket, &x->key))
        return false;
    x->sharing = QR_SHARING_HIT;
    qr__exchange_answer(flow, x);
    return true;
}

bool qr__exchange_share(qr__flow *flow, qr_exchange *x) {
    if (flow->joins == NULL || x->hidden)
        return false;
    x->key = qr__key_of(flow->key_seed, &x->ticket, x->model->number);
    if (x->key.len == 0)
        return false;
    x->sharing = QR_SHARING_MISS;
    bool shared = find(flow, x) || join(flow, x);
    flow->shared += (shared - flow->shared) / SHARE_MEMORY;
    return shared;
}

void qr__exchange_lead(qr__flow *flow, qr_exchange *x) {
    if (flow->joins != NULL && x->key.len > 0)
        qr__joins_lead(flow->joins, &x->joint, &x->ticket, &x->key);
}

void qr__exchange_keep(const qr__flow *flow, const qr_exchange *x) {
    size_t floats[QR__KEY_JOBS];
    for (size_t i = 0; i < x->key.len; i++)
        floats[i] = qr_pipeline_output_floats(x->model->pipeline, x->ticket.jobs[i].tokens);
    if (x->key.len > 0)
        qr__cache_add(flow->options.cache, &x->ticket, &x->key, floats);
}

/* What the mate would have of its own ticket. */
static void give_results(const qr_exchange *leader, qr_exchange *mate) {
    const qr_ticket *from = &leader->ticket;
    qr_ticket *to = &mate->ticket;
    for (size_t i = 0; from->status == QR_OK && i < to->jobs_len; i++) {
        qr_job *job = &to->jobs[i];
        size_t floats = qr_pipeline_output_floats(mate->model->pipeline, job->tokens);
        memcpy(job->room, from->jobs[i].result, floats * sizeof *job->room);
        job->result = job->room;
    }
    to->status = mate->status = from->status;
    to->started_ns = qr_max(from->started_ns, to->submitted_ns);
    to->done_ns = from->done_ns;
    to->cost_ns = from->cost_ns;
    to->batch_jobs = from->batch_jobs;
    to->batch_tokens = from->batch_tokens;
}

void qr__exchange_share_results(qr__flow *flow, qr_exchange *leader) {
    for (qr__joint *joint; (joint = qr__joins_first(&leader->joint)) != NULL;) {
        qr_exchange *mate = exchange_of(joint);
        qr__joins_leave(joint);
        qr__exchange_turn(mate, QR_EXCHANGE_LOOP);
        give_results(leader, mate);
        qr__exchange_answer(flow, mate);
    }
    qr__joins_leave(&leader->joint);
}

bool qr__exchange_take_back(qr_exchange *x, qr_status status) {
    if (x->phase != QR_EXCHANGE_RUNNING || qr__joins_first(&x->joint) != NULL)
        return false;
    qr__joins_leave(&x->joint); /* who asks the same from now on is computed anew */
    if (!qr_schedule_cancel(x->model->schedule, &x->ticket, status))
        return false;
    qr__exchange_turn(x, QR_EXCHANGE_LOOP);
    return true;
}

void qr__exchange_part(qr__flow *flow, qr_exchange *mate) {
    qr_exchange *leader = exchange_of(mate->joint.leader);
    qr__joins_leave(&mate->joint);
    qr__exchange_turn(mate, QR_EXCHANGE_LOOP);
    if (is_wanted(leader) || !qr__exchange_take_back(leader, QR_GONE))
        return;
    if (leader->request == NULL)
        qr__exchange_release(flow, leader);
    else
        qr__exchange_turn(leader, QR_EXCHANGE_ANSWERED);
}
