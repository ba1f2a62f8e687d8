/* cli/bench_requests.c: bodies by route, then heads, built once before the clock starts. */
#include "cli/bench_requests.h"

#include <stdlib.h>

#define REQUESTS_MAX_BYTES (1u << 30)
#define BODY_MAX_BYTES     (1u << 20)
#define TEXTS              4u /* of a rerank request */
#define CONTEXT_LINES      8u /* of a span request's passage */

/* The file is a ring: what stands behind its last line is its first. */
static qr_text query_at(const qr__queries *queries, size_t i) {
    return queries->items[i % queries->len];
}

static void write_inputs(const qr__queries *queries, size_t i, qr_buf *out) {
    qr_buf_literal(out, "{\"inputs\":");
    qr_json_text(out, query_at(queries, i));
    qr_buf_byte(out, '}');
}

static void write_openai(const qr__queries *queries, size_t i, qr_buf *out) {
    qr_buf_literal(out, "{\"model\":\"querent\",\"input\":");
    qr_json_text(out, query_at(queries, i));
    qr_buf_byte(out, '}');
}

static void write_rerank(const qr__queries *queries, size_t i, qr_buf *out) {
    qr_buf_literal(out, "{\"query\":");
    qr_json_text(out, query_at(queries, i));
    qr_buf_literal(out, ",\"texts\":");
    for (size_t k = 0; k < TEXTS; k++) {
        qr_buf_byte(out, k == 0 ? '[' : ',');
        qr_json_text(out, query_at(queries, i + 1 + k));
    }
    qr_buf_literal(out, "]}");
}

/* The lines behind the question stand in for a passage; only its length matters here. */
static void write_span(const qr__queries *queries, size_t i, qr_buf *out) {
    qr_buf context;
    qr_buf_init(&context, BODY_MAX_BYTES);
    for (size_t k = 1; k <= CONTEXT_LINES; k++) {
        qr_buf_text(&context, query_at(queries, i + k));
        qr_buf_literal(&context, ". ");
    }
    qr_buf_literal(out, "{\"question\":");
    qr_json_text(out, query_at(queries, i));
    qr_buf_literal(out, ",\"context\":");
    qr_json_text(out, (qr_text){context.data, context.len});
    qr_buf_byte(out, '}');
    qr_buf_deinit(&context);
}

static const struct shape {
    const char *route;
    void (*write)(const qr__queries *queries, size_t i, qr_buf *out);
} shapes[] = {{"/embed", write_inputs},    {"/predict", write_inputs},
              {"/tokenize", write_inputs}, {"/v1/embeddings", write_openai},
              {"/rerank", write_rerank},   {"/span", write_span}};

static const struct shape *find_shape(const char *route) {
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        if (strcmp(route, shapes[i].route) == 0)
            return &shapes[i];
    return NULL;
}

bool qr__requests_need_queries(const char *route) {
    return find_shape(route) != NULL;
}

static void write_request(const qr__requests_options *options, qr_text body, bool get,
                          qr_buf *out) {
    qr_buf_printf(out, "%s %s HTTP/1.1\r\nHost: %s\r\n", get ? "GET" : "POST", options->route,
                  options->host);
    if (options->budget_ms > 0)
        qr_buf_printf(out, "X-Request-Budget-Ms: %zu\r\n", options->budget_ms);
    if (!get)
        qr_buf_printf(out, "Content-Type: application/json\r\nContent-Length: %zu\r\n", body.len);
    qr_buf_literal(out, "\r\n");
    qr_buf_text(out, body);
}

qr_status qr__requests_build(const qr__requests_options *options, const qr__queries *queries,
                             qr__requests *out, qr_error *error) {
    const struct shape *shape = find_shape(options->route);
    size_t len = shape == NULL ? 1 : queries->len;
    size_t *ends = calloc(len, sizeof *ends);
    qr_buf body;
    qr_buf_init(&body, BODY_MAX_BYTES);
    qr_buf_init(&out->bytes, REQUESTS_MAX_BYTES);
    out->items = calloc(len, sizeof *out->items);
    bool complete = out->items != NULL && ends != NULL;
    for (size_t i = 0; i < len && complete; i++) {
        qr_buf_reset(&body);
        if (shape != NULL)
            shape->write(queries, i, &body);
        write_request(options, (qr_text){body.data, body.len}, shape == NULL, &out->bytes);
        ends[i] = out->bytes.len;
        complete = !qr_buf_failed(&body) && !qr_buf_failed(&out->bytes);
    }
    for (size_t i = 0, at = 0; i < len && complete;
         at = ends[i++]) /* now that the bytes no longer move */
        out->items[i] = (qr_text){out->bytes.data + at, ends[i] - at};
    out->len = complete ? len : 0;
    qr_buf_deinit(&body);
    free(ends);
    if (!complete)
        return qr_error_set(error, QR_NO_MEMORY,
                            "the requests take more than %u bytes, or one more than %u",
                            REQUESTS_MAX_BYTES, BODY_MAX_BYTES);
    return QR_OK;
}

void qr__requests_deinit(qr__requests *requests) {
    if (requests == NULL)
        return;
    free(requests->items);
    qr_buf_deinit(&requests->bytes);
    *requests = (qr__requests){0};
}
