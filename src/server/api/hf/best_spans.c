/* server/api/hf/best_spans.c: POST /spans: one question to many passages; the best answers of all.
 *
 *     {"question": "...", "passages": ["...", "..."], "parameters": {"top_k": 3}}
 *     -> {"answers":[{"passage":1,"score":0.81,"start":34,"end":43,"answer":"Ada Byron"},...],
 *         "no_answer":0.07}
 *
 * With "windows": true also where each window lies, which a long passage has several of.
 *
 * All windows of all passages are taken as one text (qr_span_mass): scores can be compared between
 * passages, and those of all spans and of no answer are shares of one whole. */
#include <math.h>
#include <stdlib.h>

#include "server/api/spans.h"

typedef struct spans_request {
    qr__decoded head;
    qr_text question; /* borrowed from the body, for the call */
    qr__span_parameters parameters;
    bool windows; /* the answer tells where these lie */
    qr__span_item *items;
} spans_request;

static const qr__field parameters[] = {
    QR__SPAN_FIELDS(spans_request, parameters),
    QR__FLAG("windows", spans_request, windows, false),
};

static const qr__field fields[] = {
    QR__TEXT("question", spans_request, question, true),
    QR__OTHER("passages", "a list of texts", QR__S_LIST(QR__S_TEXT)),
    QR__OBJECT("parameters", parameters, "an object"),
    QR__MODEL_FIELD,
};

static qr_status decode(qr__call *call) {
    spans_request *request = (spans_request *)call->request;
    const qr__value *passages = qr__value_get(call->body, "passages");
    const qr_place place = {.field = "passages"}, question = {.field = "question"};
    if (qr__value_kind_of(passages) != QR__VALUE_ARRAY)
        return qr__call_must(call, &place, fields[1].must);
    qr_status status = qr__call_model(call, QR__UNKNOWN_REFUSED);
    if (status == QR_OK)
        status = qr__span_check(call, &request->parameters.options);
    if (status == QR_OK)
        status = qr__call_at(call, qr__call_count(call, qr__value_len(passages)), &place);
    if (status == QR_OK)
        status = qr__span_check_answers(call, qr__value_len(passages),
                                        request->parameters.options.top_k);
    if (status != QR_OK)
        return status;
    size_t len = request->head.inputs_len;
    request->items = qr_arena_array(&call->exchange->arena, len, sizeof *request->items);
    if (request->items == NULL)
        return QR_NO_MEMORY;
    for (size_t i = 0; status == QR_OK && i < len; i++) {
        const qr_place item = qr__place_item(&place, i);
        qr_text passage = qr__value_text(qr__value_at(passages, i));
        if (passage.data == NULL)
            return qr__call_must(call, &item, "a text");
        status = qr__span_add(call, request->question, passage, &request->parameters.options,
                              &request->items[i]);
        status = qr__call_at(call, status, request->question.len == 0 ? &question : &item);
    }
    return status;
}

/* An answer and where it is from. */
typedef struct found {
    qr_span span;
    uint32_t passage, order; /* of the passage, and among its answers */
} found;

static int by_score(const void *a, const void *b) {
    const found *x = a, *y = b;
    if (x->span.score != y->span.score)
        return x->span.score > y->span.score ? -1 : 1;
    if (x->passage != y->passage)
        return x->passage < y->passage ? -1 : 1;
    return x->order < y->order ? -1 : x->order > y->order;
}

/* log(exp(a) + exp(b)) */
static double log_add(double a, double b) {
    double high = fmax(a, b), low = fmin(a, b);
    return high + log1p(exp(low - high));
}

/* What is found in all passages, the best first. */
typedef struct search {
    double *masses; /* [windows][2] */
    double all[2];  /* of all windows */
    double no_answer;
    found *items; /* [passages * top_k] */
    size_t len;
} search;

/* The windows' shares of the whole, and that of "no answer", which every window's [CLS] means. */
static qr_status weigh(const qr_exchange *x, search *s) {
    s->all[0] = s->all[1] = -HUGE_VAL;
    const spans_request *request = x->decoded;
    size_t window = 0;
    for (size_t i = 0; i < request->head.inputs_len; i++)
        for (size_t w = 0; w < request->items[i].windows.len; w++, window++) {
            double *mass = s->masses + 2 * window;
            qr_status status =
                qr_span_mass(&request->items[i].windows.items[w], x->jobs[window].result, mass);
            if (status != QR_OK)
                return status;
            for (size_t e = 0; e < 2; e++)
                s->all[e] = window == 0 ? mass[e] : log_add(s->all[e], mass[e]);
        }
    for (size_t w = 0; w < window; w++) {
        const float *cls = x->jobs[w].result;
        s->no_answer += exp((double)cls[0] - s->all[0] + (double)cls[1] - s->all[1]);
        s->masses[w] = exp(s->masses[2 * w] - s->all[0] + s->masses[2 * w + 1] - s->all[1]);
    }
    return QR_OK;
}

/* After weigh() the first [windows] of `masses` are weights. */
static qr_status find(qr_exchange *x, search *s, qr_span *spans) {
    const spans_request *request = x->decoded;
    qr_span_options options = request->parameters.options;
    qr_status status = QR_OK;
    options.handle_impossible = false;
    for (size_t i = 0; status == QR_OK && i < request->head.inputs_len; i++) {
        const qr__span_item *item = &request->items[i];
        const float **logits = qr__span_logits(x, item);
        size_t count = 0;
        if (logits == NULL)
            return QR_NO_MEMORY;
        status = qr_span_decode_weighted(&item->windows, logits, s->masses + item->first_job,
                                         item->context, &options, spans, &count);
        for (size_t k = 0; k < count; k++)
            s->items[s->len++] = (found){spans[k], (uint32_t)i, (uint32_t)k};
    }
    qsort(s->items, s->len, sizeof *s->items, by_score);
    return status;
}

/* A place in a text, which moves on only. */
typedef struct cursor {
    size_t byte, code_points;
} cursor;

static size_t move_to(cursor *at, qr_text text, size_t byte) {
    for (size_t bytes; at->byte < byte; at->byte += bytes, at->code_points++)
        qr_utf8_decode(text, at->byte, &bytes);
    return at->code_points;
}

/* The windows of one passage in its order; start and end from their first and last token. */
static void put_windows(const qr__span_item *item, size_t passage, qr_buf *out) {
    cursor start = {0}, end = {0};
    for (size_t w = 0; w < item->windows.len; w++) {
        const qr_encoding *window = &item->windows.items[w];
        size_t first = 0, last = window->len;
        while (first < last && (window->types[first] != 1 || window->special[first]))
            first++;
        while (last > first && window->special[last - 1])
            last--;
        bool empty = first == last; /* of a passage without a token */
        size_t begin = move_to(&start, item->context, empty ? 0 : window->begin[first]);
        size_t stop = move_to(&end, item->context, empty ? 0 : window->end[last - 1]);
        qr_buf_printf(out, "%s{\"passage\":%zu,\"start\":%zu,\"end\":%zu,\"tokens\":%zu}",
                      passage == 0 && w == 0 ? "" : ",", passage, begin, stop, window->len);
    }
}

static void put_answers(qr_exchange *x, const search *s) {
    const spans_request *request = x->decoded;
    size_t shown = qr_min(s->len, request->parameters.options.top_k);
    qr_buf *out = &x->out;
    qr_buf_literal(out, "{\"answers\":[");
    for (size_t i = 0; i < shown; i++) {
        const found *item = &s->items[i];
        qr_buf_printf(out, "%s{\"passage\":%u,", i == 0 ? "" : ",", item->passage);
        qr_span_to_members(&item->span, request->items[item->passage].context,
                           request->parameters.bytes, out);
        qr_buf_byte(out, '}');
    }
    qr_buf_literal(out, "],\"no_answer\":");
    qr_json_double(out, s->no_answer);
    if (request->windows) {
        qr_buf_literal(out, ",\"windows\":[");
        for (size_t i = 0; i < request->head.inputs_len; i++)
            put_windows(&request->items[i], i, out);
        qr_buf_byte(out, ']');
    }
    qr_buf_byte(out, '}');
}

static void encode(const qr_api *api, qr_exchange *x) {
    (void)api;
    const spans_request *request = x->decoded;
    size_t top_k = request->parameters.options.top_k, most;
    search s = {.masses = qr_arena_array(&x->arena, 2 * x->jobs_len, sizeof *s.masses)};
    qr_span *spans = qr_arena_array(&x->arena, top_k, sizeof *spans);
    if (qr_checked_mul(top_k, request->head.inputs_len, &most))
        s.items = qr_arena_array(&x->arena, most, sizeof *s.items);
    if (s.masses == NULL || spans == NULL || s.items == NULL) {
        x->status = QR_NO_MEMORY;
        return;
    }
    x->status = weigh(x, &s);
    if (x->status == QR_OK)
        x->status = find(x, &s, spans);
    if (x->status == QR_OK)
        put_answers(x, &s);
}

#define ANSWER                                                                                     \
    QR__S_SHAPE("\"passage\",\"score\",\"start\",\"end\",\"answer\"",                              \
                QR__S_MEMBER("passage", QR__S_COUNT), QR__S_MEMBER("score", QR__S_FLOAT),          \
                QR__S_MEMBER("start", QR__S_COUNT), QR__S_MEMBER("end", QR__S_COUNT),              \
                QR__S_MEMBER("answer", QR__S_TEXT))
#define WINDOW                                                                                     \
    QR__S_SHAPE("\"passage\",\"start\",\"end\",\"tokens\"", QR__S_MEMBER("passage", QR__S_COUNT),  \
                QR__S_MEMBER("start", QR__S_COUNT), QR__S_MEMBER("end", QR__S_COUNT),              \
                QR__S_MEMBER("tokens", QR__S_COUNT))
#define REPLY                                                                                      \
    QR__S_SHAPE("\"answers\",\"no_answer\"", QR__S_MEMBER("answers", QR__S_LIST(ANSWER)),          \
                QR__S_MEMBER("no_answer", QR__S_FLOAT),                                            \
                QR__S_MEMBER("windows", QR__S_LIST(WINDOW)))

static const qr_route rows[] = {
    {
        .method = "POST",
        .pattern = "/spans",
        .example = "{\"question\":\"How tall is Mount Everest?\",\"passages\":[\"The river is "
                   "long.\",\"Mount Everest is 8,849 metres tall.\"]}",
        .summary = "The words of many passages that answer a question best",
        .reply = REPLY,
        .flags = QR__ROUTE_MODEL,
        .loop_bytes = QR__LOOP_WINDOWS,
        .kinds = QR_KIND_BIT(QR_KIND_SPAN),
        .accepts = QR__JSON,
        .request_bytes = sizeof(spans_request),
        .fields = fields,
        .fields_len = QR__LENGTH(fields),
        .decode = decode,
        .encode = encode,
        .fail = qr__fail_tei,
    },
};

const qr__routes qr__best_spans_routes = {rows, QR__LENGTH(rows)};
