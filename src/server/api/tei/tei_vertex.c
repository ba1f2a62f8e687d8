/* server/api/tei/tei_vertex.c: POST /vertex: several requests in one, as Google's Vertex AI sends
 * them.
 *
 *     {"instances": [{"inputs": "a"}, {"inputs": "b"}]}
 *     -> {"predictions": [[[0.01,...]], [[0.02,...]]]}
 *
 * Each prediction is what the instance's own route would answer: /rerank for one with `query` and
 * `texts`, else the first model's. Their jobs run together, so all have to mean one model. */
#include "server/api/call.h"

typedef struct part {
    const qr_route *row;
    void *decoded;
    size_t jobs_len;
} part;

typedef struct vertex_request {
    qr__decoded head;
    part *parts;
} vertex_request;

static const qr__field fields[] = {
    QR__OTHER("instances", "a list of objects", QR__S_LIST(QR__S_ANY_OBJECT)),
};

static const qr_place instances_place = {.field = "instances"};

/* The jobs of all parts so far, in one piece of memory. */
typedef struct gathered {
    qr_job *jobs;
    size_t len, room;
} gathered;

static bool gather(qr_exchange *x, gathered *all) {
    const qr_ticket *ticket = &x->ticket;
    if (all->room - all->len < ticket->jobs_len) {
        size_t room = qr_max(2 * all->room, all->len + ticket->jobs_len);
        qr_job *jobs = qr_arena_array(&x->arena, room, sizeof *jobs);
        if (jobs == NULL)
            return false;
        if (all->len > 0)
            memcpy(jobs, all->jobs, all->len * sizeof *jobs);
        all->jobs = jobs;
        all->room = room;
    }
    memcpy(all->jobs + all->len, ticket->jobs, ticket->jobs_len * sizeof *ticket->jobs);
    all->len += ticket->jobs_len;
    return true;
}

static const qr_route *row_of(const qr_exchange *x, const qr__value *instance) {
    if (qr__value_get(instance, "query") != NULL && qr__value_get(instance, "texts") != NULL)
        return qr__tei_rerank_row();
    return qr__first_model_row(x, instance);
}

/* Decodes one instance as its own route would. */
static qr_status decode_part(qr__call *call, const qr__value *instance, part *out) {
    qr_exchange *x = call->exchange;
    qr__call inner = {.api = call->api,
                      .exchange = x,
                      .body = instance,
                      .scratch = call->scratch,
                      .windows = call->windows,
                      .first = call->first};
    x->handler = out->row = row_of(x, instance);
    x->ticket.jobs_len = 0;
    qr_status status = qr__call_decode(&inner, out->row);
    call->scratch = inner.scratch; /* its memory is the call's, and goes on */
    call->windows = inner.windows;
    call->first = inner.first;
    out->decoded = x->decoded;
    out->jobs_len = x->ticket.jobs_len;
    return status;
}

static qr_status decode_parts(qr__call *call, vertex_request *request, const qr__value *list) {
    qr_exchange *x = call->exchange;
    gathered all = {0};
    qr_served *model = NULL;
    qr_status status = QR_OK;
    for (size_t i = 0; status == QR_OK && i < request->head.inputs_len; i++) {
        const qr_place item = qr__place_item(&instances_place, i);
        const qr__value *instance = qr__value_at(list, i);
        if (qr__value_kind_of(instance) != QR__VALUE_OBJECT)
            return qr__call_must(call, &item, "an object");
        status = decode_part(call, instance, &request->parts[i]);
        if (status == QR_OK && model != NULL && x->model != model)
            return qr__call_must(call, &item, "for the same model as those before it");
        model = x->model;
        if (status == QR_OK && !gather(x, &all))
            status = QR_NO_MEMORY;
        if (status == QR_OK && all.len > call->api->options.max_inputs) {
            x->fault = (qr_fault){.limit = call->api->options.max_inputs, .given = all.len};
            status = QR_TOO_MANY;
        }
    }
    x->ticket.jobs = all.jobs;
    x->ticket.jobs_len = all.len;
    return status;
}

static qr_status decode(qr__call *call) {
    vertex_request *request = (vertex_request *)call->request;
    qr_exchange *x = call->exchange;
    const qr_route *self = x->handler;
    const qr__value *list = qr__value_get(call->body, "instances");
    if (qr__value_kind_of(list) != QR__VALUE_ARRAY)
        return qr__call_must(call, &instances_place, fields[0].must);
    qr_status status =
        qr__call_at(call, qr__call_count(call, qr__value_len(list)), &instances_place);
    if (status != QR_OK)
        return status;
    request->parts = qr_arena_array(&x->arena, request->head.inputs_len, sizeof *request->parts);
    if (request->parts == NULL)
        return QR_NO_MEMORY;
    status = decode_parts(call, request, list);
    x->handler = self;
    x->decoded = request;
    x->wants_octets = false; /* predictions are JSON */
    return status;
}

static void encode(const qr_api *api, qr_exchange *x) {
    const vertex_request *request = x->decoded;
    const qr_job *jobs = x->jobs;
    qr_buf_literal(&x->out, "{\"predictions\":[");
    for (size_t i = 0; x->status == QR_OK && i < request->head.inputs_len; i++) {
        const part *p = &request->parts[i];
        if (i > 0)
            qr_buf_byte(&x->out, ',');
        x->decoded = p->decoded;
        x->jobs = jobs;
        x->jobs_len = p->jobs_len;
        p->row->encode(api, x);
        jobs += p->jobs_len;
    }
    x->decoded = (void *)request;
    qr_buf_literal(&x->out, "]}");
}

static const qr_route rows[] = {
    {
        .method = "POST",
        .pattern = "/vertex",
        .example = "{\"instances\":[{\"inputs\":\"how tall is mount everest\"}]}",
        .summary = "Several requests in one, for Google's Vertex AI",
        .reply = QR__S_OBJECT(QR__S_MEMBER("predictions", QR__S_LIST("{}"))),
        .flags = QR__ROUTE_MODEL,
        .loop_bytes = QR__LOOP_WINDOWS, /* its parts may be of any kind */
        .kinds = QR_ANY_KIND,
        .accepts = QR__JSON,
        .request_bytes = sizeof(vertex_request),
        .fields = fields,
        .fields_len = QR__LENGTH(fields),
        .decode = decode,
        .encode = encode,
        .fail = qr__fail_tei,
    },
};

const qr__routes qr__tei_vertex_routes = {rows, QR__LENGTH(rows)};
