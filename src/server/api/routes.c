/* server/api/routes.c: all routes in one table, and the two calls that every exchange makes: decode
 * and encode. */
#include <stdlib.h>

#include "server/api/call.h"
#include "server/api/openapi.h"

static const qr__routes *const all[] = {
    &qr__tei_embed_routes,     &qr__tei_labels_routes,     &qr__tei_similarity_routes,
    &qr__tei_tokenize_routes,  &qr__tei_decode_routes,     &qr__tei_vertex_routes,
    &qr__tei_root_routes,      &qr__tei_info_routes,       &qr__openai_embeddings_routes,
    &qr__openai_models_routes, &qr__cohere_rerank_routes,  &qr__cohere_embed_routes,
    &qr__ollama_embed_routes,  &qr__ollama_models_routes,  &qr__hf_span_routes,
    &qr__best_spans_routes,    &qr__hf_tokens_routes,      &qr__oip_infer_routes,
    &qr__oip_models_routes,    &qr__oip_repository_routes, &qr__openapi_routes,
    &qr__docs_routes,          &qr__health_routes,
};

const qr_route *qr__route_at(size_t index) {
    for (size_t f = 0; f < QR__LENGTH(all); f++) {
        if (index < all[f]->len)
            return &all[f]->rows[index];
        index -= all[f]->len;
    }
    return NULL;
}

bool qr__route_is_on(const qr_route *row, unsigned listeners) {
    if ((row->flags & QR__ROUTE_ADMIN) != 0)
        return (listeners & QR_LISTENER_ADMIN) != 0;
    if ((row->flags & QR__ROUTE_BOTH) != 0)
        return listeners != 0;
    return (listeners & ((row->flags & QR__ROUTE_OPS) != 0 ? QR_LISTENER_OPS : QR_LISTENER_MAIN)) !=
           0;
}

/* Whether the path is one that the pattern means; *model: what stands where it says "{model}". */
static bool matches(const char *pattern, qr_text path, qr_text *model) {
    static const char hole[] = "{model}";
    const char *at = strstr(pattern, hole);
    *model = (qr_text){0};
    if (at == NULL)
        return qr_text_is(path, pattern);
    size_t head = (size_t)(at - pattern), tail = strlen(at + sizeof hole - 1);
    if (path.len <= head + tail || memcmp(path.data, pattern, head) != 0 ||
        memcmp(path.data + path.len - tail, at + sizeof hole - 1, tail) != 0)
        return false;
    *model = (qr_text){path.data + head, path.len - head - tail};
    return memchr(model->data, '/', model->len) == NULL;
}

static bool row_matches(const qr_route *row, qr_text path, qr_text *model) {
    if (matches(row->pattern, path, model))
        return true;
    for (size_t i = 0; row->aliases != NULL && row->aliases[i] != NULL; i++)
        if (matches(row->aliases[i], path, model))
            return true;
    return false;
}

/* The next row from *index on that this path means on these listeners. */
static const qr_route *next_row(unsigned listeners, qr_text path, size_t *index, qr_text *model) {
    for (const qr_route *row; (row = qr__route_at(*index)) != NULL;) {
        ++*index;
        if (qr__route_is_on(row, listeners) && row_matches(row, path, model))
            return row;
    }
    return NULL;
}

/* HEAD is GET to all of us; libmicrohttpd leaves the body out. */
static bool takes(const qr_route *row, qr_text method) {
    return qr_text_is(method, row->method) ||
           (qr_text_is(method, "HEAD") && strcmp(row->method, "GET") == 0);
}

const qr_route *qr_api_route(unsigned listeners, qr_text method, qr_text path, qr_text *model,
                             qr_status *status) {
    *status = QR_NO_ROUTE;
    size_t index = 0;
    for (const qr_route *row; (row = next_row(listeners, path, &index, model)) != NULL;) {
        if (takes(row, method)) {
            *status = QR_OK;
            return row;
        }
        *status = QR_BAD_METHOD;
    }
    return NULL;
}

bool qr_api_decode_name(qr_text encoded, char *out, size_t size, qr_text *name) {
    size_t len = 0;
    for (size_t i = 0; i < encoded.len; i++, len++) {
        char c = encoded.data[i];
        if (c == '%') {
            int high = i + 2 < encoded.len ? qr_hex_digit(encoded.data[i + 1]) : -1;
            int low = high < 0 ? -1 : qr_hex_digit(encoded.data[i + 2]);
            if (low < 0)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if (len == size || c == '\0')
            return false;
        out[len] = c;
    }
    *name = (qr_text){out, len};
    return len > 0 && qr_utf8_valid(*name);
}

void qr_api_allow(unsigned listeners, qr_text path, char out[QR_ALLOW_BYTES]) {
    size_t index = 0, len = 0;
    qr_text model;
    out[0] = '\0';
    for (const qr_route *row; (row = next_row(listeners, path, &index, &model)) != NULL;) {
        const char *methods = strcmp(row->method, "GET") == 0 ? "GET, HEAD" : row->method;
        size_t more = strlen(methods), comma = len == 0 ? 0 : 2;
        if (len + comma + more >= QR_ALLOW_BYTES)
            return;
        memcpy(out + len, ", ", comma);
        memcpy(out + len + comma, methods, more + 1);
        len += comma + more;
    }
}

/* RFC 6839: application/vnd.api+json. */
static bool is_json_too(qr_text type) {
    static const char begin[] = "application/", end[] = "+json";
    const size_t before = sizeof begin - 1, behind = sizeof end - 1;
    return type.len > before + behind && qr_text_is_caseless((qr_text){type.data, before}, begin) &&
           qr_text_is_caseless((qr_text){type.data + type.len - behind, behind}, end);
}

/* The media type alone; parameters behind it (charset=utf-8) change nothing for JSON. */
bool qr_api_accepts(const qr_route *route, qr_text type) {
    qr_text alone = {type.data, 0};
    if (route->accepts == NULL || (route->flags & QR__ROUTE_ANY) != 0)
        return true;
    while (alone.len < type.len && strchr("; \t", type.data[alone.len]) == NULL)
        alone.len++;
    return qr_text_is_caseless(alone, route->accepts) || is_json_too(alone);
}

bool qr_api_is_open(const qr_route *route) {
    return (route->flags & (QR__ROUTE_OPEN | QR__ROUTE_OPS)) != 0;
}

bool qr_api_takes_tensors(const qr_route *route) {
    return (route->flags & QR__ROUTE_TENSORS) != 0;
}

bool qr_api_is_admin(const qr_route *route) {
    return (route->flags & QR__ROUTE_ADMIN) != 0;
}

bool qr_api_needs_model(const qr_route *route) {
    return (route->flags & QR__ROUTE_MODEL) != 0;
}

bool qr_api_reports_compute(const qr_route *route) {
    return (route->flags & QR__ROUTE_COMPUTE) != 0;
}

const char *qr_api_pattern(const qr_route *route) {
    return route->pattern;
}

size_t qr_api_patterns(const char *out[QR_ROUTES_MAX]) {
    size_t len = 0, index = 0;
    for (const qr_route *row; (row = qr__route_at(index)) != NULL; index++) {
        bool known = qr_api_is_open(row);
        for (size_t i = 0; !known && i < len; i++)
            known = strcmp(out[i], row->pattern) == 0;
        if (!known && len < QR_ROUTES_MAX)
            out[len++] = row->pattern;
    }
    return len;
}

qr_status qr_api_create(const qr_api_options *options, qr_api **out) {
    qr_api *api = malloc(sizeof *api);
    *out = api;
    if (api == NULL)
        return QR_NO_MEMORY;
    *api = (qr_api){.options = *options, .created_ns = qr_clock_wall_ns()};
    qr__value_seed();
    bool failed = false;
    for (unsigned listeners = 0; listeners < QR__LENGTH(api->documents); listeners++) {
        qr_buf_init(&api->documents[listeners], QR_LIMIT_RESPONSE_BYTES);
        qr__openapi_write(listeners, options->keyed, &api->documents[listeners]);
        failed = failed || qr_buf_failed(&api->documents[listeners]);
    }
    if (!failed)
        return QR_OK;
    qr_api_destroy(api);
    *out = NULL;
    return QR_NO_MEMORY;
}

void qr_api_destroy(qr_api *api) {
    for (size_t i = 0; api != NULL && i < QR__LENGTH(api->documents); i++)
        qr_buf_deinit(&api->documents[i]);
    free(api);
}

/* What the row that is likely to decode the request asks of a model. */
static unsigned expected_kinds(const qr_exchange *x) {
    return (x->route->resolve == NULL ? x->route : x->route->resolve(x, NULL))->kinds;
}

/* A route that any model can answer (/tokenize) runs none. */
qr_served *qr_api_expected_model(const qr_exchange *x) {
    unsigned kinds = expected_kinds(x);
    if (x->path_model.data != NULL)
        return qr_serving_named(x->serving, x->path_model);
    return kinds == QR_ANY_KIND ? NULL : qr_serving_first(x->serving, kinds);
}

bool qr_api_may_ask(const qr_exchange *x, const qr_served *model) {
    if (x->path_model.data != NULL)
        return qr_serving_named(x->serving, x->path_model) == model;
    return (expected_kinds(x) & QR_KIND_BIT(qr_pipeline_kind(model->pipeline))) != 0;
}

static size_t loop_bytes_of(qr_kind kind) {
    switch (kind) {
    case QR_KIND_CLASSIFIER:
    case QR_KIND_RERANKER:
        return QR__LOOP_PAIRS;
    case QR_KIND_SPAN:
    case QR_KIND_TOKENS:
        return QR__LOOP_WINDOWS;
    case QR_KIND_EMBEDDING:
        break;
    }
    return QR__LOOP_BYTES;
}

size_t qr_api_loop_bytes(const qr_exchange *x) {
    const qr_served *named = x->path_model.data == NULL || x->serving == NULL
                                 ? NULL
                                 : qr_serving_named(x->serving, x->path_model);
    if (named != NULL)
        return loop_bytes_of(qr_pipeline_kind(named->pipeline));
    const qr_route *row = x->route->resolve == NULL ? x->route : x->route->resolve(x, NULL);
    return row->loop_bytes != 0 ? row->loop_bytes : QR__LOOP_BYTES;
}

/* There was no room for what the exchange needs, and so much beside. What would not have found any
 * with the whole server to itself (large things have half of the quota) need not come again. */
static qr_status no_room(const qr_exchange *x, size_t beside) {
    size_t needs = x->body.capacity + x->arena.held_bytes + x->arena.refused_bytes +
                   x->out.capacity + x->out.refused_bytes + beside;
    bool never = needs > qr_quota_max(x->out.quota) / 2 || x->out.capacity > x->out.max_bytes / 2;
    return never ? QR_TOO_MANY : QR_NO_MEMORY;
}

qr_status qr_api_decode(const qr_api *api, qr_exchange *x) {
    uint64_t begun = qr_clock_ns();
    x->handler = x->route;
    x->ticket.jobs_len = 0;
    x->notes_len = 0;
    x->hidden = false;
    x->characters = x->tokens = 0;
    size_t needs;
    x->status = qr__call_run(api, x, &needs);
    if (x->status == QR_NO_MEMORY)
        x->status = no_room(x, needs);
    if (x->status == QR_OK && x->ticket.jobs_len > api->options.queue_items) {
        /* Not "come again later": there will never be room. */
        x->fault = (qr_fault){.limit = api->options.queue_items, .given = x->ticket.jobs_len};
        x->status = QR_TOO_MANY;
    }
    if (x->status != QR_OK)
        x->ticket.jobs_len = 0; /* half-made jobs must not run */
    if (x->model != NULL)
        x->ticket.queue = x->hidden ? &x->model->hidden_queue : &x->model->queue;
    x->ticket.received_ns = x->received_ns;
    x->ticket.deadline_ns = x->deadline_ns;
    x->stages.tokenize_ns = qr_clock_ns() - begun;
    return x->status;
}

static void note_stages(qr_exchange *x) {
    const qr_ticket *ticket = &x->ticket;
    if (ticket->jobs_len == 0 || ticket->started_ns < ticket->submitted_ns ||
        ticket->submitted_ns == 0)
        return;
    x->stages.queue_ns = ticket->started_ns - ticket->submitted_ns;
    if (ticket->done_ns >= ticket->started_ns)
        x->stages.compute_ns = ticket->done_ns - ticket->started_ns;
}

static void log_no_room(const qr_exchange *x) {
    static qr_rate rate;
    uint64_t dropped;
    if (qr_rate_allow(&rate, 1, qr_clock_ns(), &dropped))
        qr_log(QR_LOG_WARN,
               "%s: no room for an answer beside %zu bytes, with %zu of %zu held by all requests "
               "(trace %s, %llu like it not logged)",
               x->route->pattern, x->out.len, qr_quota_held(x->out.quota),
               qr_quota_max(x->out.quota), x->trace.text, (unsigned long long)dropped);
}

const char *qr_api_fail(const qr_route *route, qr_status status, const qr_fault *fault,
                        qr_buf *out) {
    static const qr_fault none = {0};
    out->vital = true; /* it is small, and says why there is nothing else */
    (route == NULL ? qr__fail_tei : route->fail)(status, fault == NULL ? &none : fault, out);
    return QR__JSON;
}

void qr_api_encode(const qr_api *api, qr_exchange *x) {
    uint64_t begun = qr_clock_ns();
    note_stages(x);
    qr_buf_reset(&x->out);
    x->jobs = x->ticket.jobs;
    x->jobs_len = x->ticket.jobs_len;
    x->content_type = QR__JSON;
    x->out.vital = x->route == NULL || !qr_api_needs_model(x->route); /* probes, metrics */
    if (x->status == QR_OK)
        x->handler->encode(api, x);
    if (x->status == QR_OK && qr_buf_failed(&x->out)) {
        x->status = no_room(x, 0);
        log_no_room(x);
    }
    if (x->status != QR_OK) {
        qr_buf_reset(&x->out);
        x->notes_len = 0;
        x->content_type =
            qr_api_fail(x->handler == NULL ? x->route : x->handler, x->status, &x->fault, &x->out);
    }
    x->http_code = qr_status_http(x->status);
    if (qr_buf_failed(&x->out)) /* not even that: the code alone says it */
        qr_buf_reset(&x->out);
    x->stages.encode_ns = qr_clock_ns() - begun;
}
