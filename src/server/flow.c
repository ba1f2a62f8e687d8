/* server/flow.c: what comes in by http's callbacks, what ends, and the flow's own life. */
#include "server/flow_internal.h"

#include <stdlib.h>

#include "server/explain.h"

#define FREE_EXCHANGES_MAX 64

/* The pool of exchanges */

/* One out of the pool, or a new one; NULL: no memory. */
static qr_exchange *take_exchange(qr__flow *flow) {
    qr_exchange *x = flow->free;
    if (x == NULL)
        return qr_exchange_create(flow->options.max_body_bytes, flow->options.quota);
    flow->free = x->next;
    flow->free_len--;
    x->next = NULL;
    return x;
}

void qr__exchange_release(qr__flow *flow, qr_exchange *x) {
    QR_ASSERT(x->request == NULL);
    qr__deadlines_remove(flow->deadlines, &x->deadline);
    qr_exchange_reset(x);
    QR_ASSERT(qr_exchange_is_legal(x));
    if (flow->free_len == FREE_EXCHANGES_MAX) {
        qr_exchange_destroy(x);
        return;
    }
    x->next = flow->free;
    flow->free = x;
    flow->free_len++;
}

void qr__flow_pump(qr__flow *flow) {
    for (size_t i = 0; i < flow->listeners_len; i++)
        if (flow->listeners[i].http != NULL)
            qr_http_pump(flow->listeners[i].http);
}

/* http's callbacks */

/* Fields for pages of other origins, on every answer. True: the head is a browser's question
 * whether it may send, and is answered; no exchange is made for it. */
static bool meet_page(const qr__listener *l, qr_http_request *request, const qr_http_facts *facts) {
    char allow[QR_ALLOW_BYTES];
    const qr__access *access = l->rules.access;
    if (access == NULL || access->origins_len == 0)
        return false;
    const char *origin = qr__access_origin(access, &facts->origin);
    if (strcmp(access->origins[0], "*") != 0) /* whatever the answer, another origin's differs */
        qr_http_header_add(request, "Vary", "Origin");
    if (origin == NULL)
        return false;
    qr_api_allow(l->rules.listener, request->path, allow);
    bool asks = qr__access_is_preflight(facts) && allow[0] != '\0';
    qr__access_add_fields(request, origin, asks ? allow : NULL);
    request->code = 204;
    return asks;
}

/* A request for which there is no exchange. */
static void refuse(const qr__flow *flow, qr_http_request *request, qr_status status) {
    request->code = qr_status_http(status);
    request->content_type = qr_api_fail(NULL, status, NULL, &request->out);
    qr__explain_retry(request, status, QR__RETRY_MS);
    qr_metrics_refused(flow->options.metrics, status);
}

static qr_status on_head(void *state, qr_http_request *request, const qr_http_facts *facts) {
    qr__listener *l = state;
    qr__flow *flow = l->flow;
    if (meet_page(l, request, facts))
        return QR_BAD_METHOD; /* answered: what follows the head is dropped */
    qr_exchange *x = take_exchange(flow);
    if (x == NULL) {
        refuse(flow, request, QR_NO_MEMORY);
        return QR_NO_MEMORY;
    }
    request->work = x;
    x->flow = flow;
    x->request = request;
    x->received_ns = request->received_ns;
    x->trace = request->trace;
    x->phase = QR_EXCHANGE_RECEIVING;
    if (flow->serving != NULL)
        qr_serving_pin(x->serving = flow->serving);
    qr_status status = qr__decide(&l->rules, request->path, facts, x);
    x->record = (qr_record){.model = QR_NO_MODEL_SLOT};
    if (x->stale_start)
        qr_metrics_stale_start(flow->options.metrics);
    if (status == QR_BAD_METHOD) {
        char allow[QR_ALLOW_BYTES];
        qr_api_allow(l->rules.listener, request->path, allow);
        qr_http_header_add(request, "Allow", allow);
    }
    if (status == QR_UNAUTHORIZED)
        qr_http_header_add(request, "WWW-Authenticate", "Bearer");
    if (status == QR_BAD_CODING)
        qr_http_header_add(request, "Accept-Encoding", "identity");
    if (status != QR_OK)
        qr__exchange_answer(flow, x);
    return status;
}

static void on_full(void *state, qr_http_request *request, qr_status status) {
    qr_exchange *x = request->work;
    x->status = status;
    qr__exchange_answer(((qr__listener *)state)->flow, x);
}

static void on_request(void *state, qr_http_request *request) {
    qr__flow *flow = ((qr__listener *)state)->flow;
    qr_exchange *x = request->work;
    qr_buf_swap(&x->body, &request->body);
    x->body_bytes = x->body.len;
    qr__exchange_turn(x, QR_EXCHANGE_LOOP);
    if (qr_api_needs_model(x->route)) {
        qr__exchange_admit(flow, x);
    } else {
        qr_status status = qr_api_decode(flow->options.api, x);
        if (status == QR_OK && x->command != QR_COMMAND_NONE)
            qr__exchange_command(flow, x);
        else
            qr__exchange_decoded(flow, x);
    }
}

/* A request that left before its body was complete is not counted: it has asked for nothing yet. */
static void on_done(void *state, qr_http_request *request) {
    qr__flow *flow = ((qr__listener *)state)->flow;
    qr_exchange *x = request->work;
    if (x == NULL)
        return;
    bool waits = x->phase == QR_EXCHANGE_DECODING || x->phase == QR_EXCHANGE_RUNNING ||
                 x->phase == QR_EXCHANGE_JOINED;
    x->request = NULL;
    if (x->answered)
        qr__exchange_report(flow, x);
    if (!waits)
        qr__exchange_release(flow, x);
    else if (!x->answered)
        qr__exchange_gone(flow, x);
}

static void on_refused(void *state, qr_http_request *request, qr_status status,
                       const qr_http_facts *facts) {
    if (facts != NULL)
        (void)meet_page(state, request, facts); /* which may read why */
    refuse(((qr__listener *)state)->flow, request, status);
}

static void on_malformed(void *state) {
    qr_metrics_refused(((qr__listener *)state)->flow->options.metrics, QR_BAD_HTTP);
}

static void on_connections(void *state) {
    qr__flow *flow = ((qr__listener *)state)->flow;
    size_t open = 0;
    for (size_t i = 0; i < flow->listeners_len; i++)
        if (flow->listeners[i].http != NULL)
            open += qr_http_open_connections(flow->listeners[i].http);
    qr_metrics_connections(flow->options.metrics, open);
}

/* The flow's own life */

qr_status qr__flow_create(const qr__flow_options *options, qr__flow **out) {
    *out = NULL;
    qr__flow *flow = calloc(1, sizeof *flow);
    if (flow == NULL)
        return QR_NO_MEMORY;
    qr_random random;
    qr_random_init(&random);
    flow->key_seed = qr_random_next(&random);
    flow->shared = 1; /* until it is known */
    flow->options = *options;
    flow->returned_watch = qr_watch_wakeup(options->loop, qr__flow_on_returned, flow);
    if (flow->returned_watch == NULL ||
        qr__deadlines_create(options->loop, options->connections_max, qr__flow_on_late, flow,
                             &flow->deadlines) != QR_OK ||
        (options->cache != NULL && qr__joins_create(&flow->joins) != QR_OK)) {
        qr__flow_destroy(flow);
        return QR_NO_MEMORY;
    }
    *out = flow;
    return QR_OK;
}

void qr__flow_destroy(qr__flow *flow) {
    if (flow == NULL)
        return;
    for (qr_exchange *x = qr__flow_returned(flow), *next; x != NULL; x = next) {
        next = x->next;
        qr_exchange_destroy(x);
    }
    for (qr_exchange *x = flow->free, *next; x != NULL; x = next) {
        next = x->next;
        qr_exchange_destroy(x);
    }
    qr_serving_unpin(flow->serving);
    qr_watch_close(flow->returned_watch);
    qr__deadlines_destroy(flow->deadlines);
    qr__joins_destroy(flow->joins);
    free(flow);
}

void qr__flow_connect(qr__flow *flow, unsigned listener_bits, qr_http_options *options) {
    QR_ASSERT(flow->listeners_len < QR__LISTENERS_MAX);
    qr__listener *l = &flow->listeners[flow->listeners_len++];
    *l = (qr__listener){.flow = flow,
                        .rules = {.listener = listener_bits,
                                  .default_budget_ns = flow->options.default_budget_ns,
                                  .max_budget_ns = flow->options.max_budget_ns,
                                  .proxies = flow->options.proxies,
                                  .proxies_len = flow->options.proxies_len,
                                  .wall_ns = qr_clock_wall_ns,
                                  .access = flow->options.access,
                                  .admin = flow->options.admin}};
    options->quota = flow->options.quota;
    options->state = l;
    options->on_head = on_head;
    options->on_full = on_full;
    options->on_request = on_request;
    options->on_done = on_done;
    options->on_refused = on_refused;
    options->on_malformed = on_malformed;
    options->on_connections = on_connections;
}

void qr__flow_listener(qr__flow *flow, unsigned listener_bits, qr_http *http) {
    for (size_t i = 0; i < flow->listeners_len; i++)
        if (flow->listeners[i].http == NULL && flow->listeners[i].rules.listener == listener_bits)
            flow->listeners[i].http = http;
}

void qr__flow_serve(qr__flow *flow, qr_serving *serving) {
    qr_serving *before = flow->serving;
    flow->serving = serving;
    qr_serving_unpin(before);
}

qr_serving *qr__flow_serving(const qr__flow *flow) {
    return flow->serving;
}

size_t qr__flow_at_work(const qr__flow *flow) {
    return flow->at_work;
}

size_t qr__flow_joined(const qr__flow *flow) {
    return flow->joined;
}
