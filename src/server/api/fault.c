/* server/api/fault.c: error bodies. Sentences come from tables; numbers and our own field names are
 * all that is added, so that nothing of a request, a path or a key can leave through an error. */
#include "server/api/call.h"

/* text-embeddings-inference's error types. */
static const char *tei_type(qr_status status) {
    switch (status) {
    case QR_EMPTY_INPUT:
        return "Empty";
    case QR_OVERLOADED:
    case QR_LATE:
        return "Overloaded";
    case QR_DRAINING:
    case QR_NOT_READY:
    case QR_NO_MEMORY:
        return "Unhealthy";
    default:
        return qr_status_http(status) < 500 && status != QR_WRONG_KIND ? "Validation" : "Backend";
    }
}

static const char *openai_type(qr_status status) {
    if (status == QR_OVERLOADED)
        return "rate_limit_error";
    return qr_status_http(status) < 500 ? "invalid_request_error" : "server_error";
}

/* Sentences that clients of text-embeddings-inference may compare; the status table's for all else.
 * Never a quote or backslash. */
static void put_sentence(qr_buf *out, qr_status status, const qr__request *request) {
    const char *field = request == NULL ? NULL : request->fault_field;
    size_t given = request == NULL ? 0 : request->fault_given;
    if (status == QR_EMPTY_INPUT) {
        qr_buf_literal(out, "Input validation error: `inputs` cannot be empty");
    } else if (status == QR_TOO_LONG && given > 0) {
        qr_buf_printf(out,
                      "Input validation error: `inputs` must have less than %zu tokens. Given: %zu",
                      request->fault_limit, given);
    } else if (status == QR_TOO_MANY && given > 0) {
        qr_buf_printf(out, "batch size %zu > maximum allowed batch size %zu", given,
                      request->fault_limit);
    } else if (status == QR_OVERLOADED) {
        qr_buf_literal(out, "Model is overloaded");
    } else {
        qr_buf_text(out, qr_text_of(qr_status_sentence(status)));
        if (status == QR_BAD_REQUEST && field != NULL)
            qr_buf_printf(out, ": `%s`", field);
    }
}

void qr__fail_tei(const qr_api *api, qr_exchange *exchange) {
    (void)api;
    qr_buf *out = &exchange->out;
    qr_buf_literal(out, "{\"error\":\"");
    put_sentence(out, exchange->status, exchange->decoded);
    qr_buf_printf(out, "\",\"error_type\":\"%s\"}", tei_type(exchange->status));
}

/* Flat for clients of text-embeddings-inference, nested for OpenAI's. */
void qr__fail_openai(const qr_api *api, qr_exchange *exchange) {
    (void)api;
    qr_buf *out = &exchange->out;
    qr_status status = exchange->status;
    const qr__request *request = exchange->decoded;
    qr_buf_literal(out, "{\"message\":\"");
    put_sentence(out, status, request);
    qr_buf_printf(out, "\",\"code\":%d,\"type\":\"%s\",\"error\":{\"message\":\"",
                  qr_status_http(status), tei_type(status));
    put_sentence(out, status, request);
    qr_buf_printf(out, "\",\"type\":\"%s\",\"param\":", openai_type(status));
    if (request != NULL && request->fault_field != NULL)
        qr_buf_printf(out, "\"%s\"", request->fault_field);
    else
        qr_buf_literal(out, "null");
    qr_buf_printf(out, ",\"code\":\"%s\"}}", qr_status_name(status));
}
