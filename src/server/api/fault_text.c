/* server/api/fault_text.c: error bodies. Sentences come from tables; numbers and our own field
 * names are all that is added, so that nothing of a request, a path or a key can leave through an
 * error. */
#include "server/api/dialects.h"

/* text-embeddings-inference's error types. */
static const char *tei_type(qr_status status) {
    switch (status) {
    case QR_EMPTY_INPUT:
        return "Empty";
    case QR_OVERLOADED:
    case QR_IMPOSSIBLE:
    case QR_LATE:
        return "Overloaded";
    case QR_DRAINING:
    case QR_NOT_READY:
    case QR_MODEL_OUT:
    case QR_NO_MEMORY:
    case QR_DEVICE:
        return "Unhealthy";
    default:
        return qr_status_http(status) < 500 && status != QR_WRONG_KIND ? "Validation" : "Backend";
    }
}

static const char *openai_type(qr_status status) {
    if (qr_status_http(status) == 429)
        return "rate_limit_error";
    return qr_status_http(status) < 500 ? "invalid_request_error" : "server_error";
}

/* `inputs[0][2]`, `parameters.top_k`, or the whole body. */
static void put_place(qr_buf *out, const qr_place *place) {
    if (place->field == NULL) {
        qr_buf_literal(out, "the request body");
        return;
    }
    qr_buf_byte(out, '`');
    if (place->parent != NULL)
        qr_buf_printf(out, "%s.", place->parent);
    qr_buf_text(out, qr_text_of(place->field));
    for (size_t i = 0; i < place->depth; i++)
        qr_buf_printf(out, "[%zu]", place->index[i]);
    qr_buf_byte(out, '`');
}

static void put_must(qr_buf *out, const qr_fault *fault) {
    put_place(out, &fault->place);
    if (fault->must == NULL) {
        qr_buf_literal(out, " is missing");
        return;
    }
    qr_buf_printf(out, " must be %s", fault->must);
    if (fault->bounded)
        qr_buf_printf(out, " from %zu to %zu", fault->least, fault->most);
    if (fault->why != NULL)
        qr_buf_printf(out, "; %s", fault->why);
}

static const qr_place *input_place(const qr_fault *fault) {
    static const qr_place inputs = {.field = "inputs"};
    return fault->place.field != NULL ? &fault->place : &inputs;
}

/* Sentences that clients of text-embeddings-inference may compare; the status table's for all
 * else. */
static void put_sentence(qr_buf *out, qr_status status, const qr_fault *fault) {
    bool placed = fault->place.field != NULL || fault->must != NULL;
    if (status == QR_EMPTY_INPUT) {
        qr_buf_literal(out, "Input validation error: ");
        put_place(out, input_place(fault));
        qr_buf_literal(out, " cannot be empty");
    } else if (status == QR_TOO_LONG && fault->given > 0) {
        qr_buf_literal(out, "Input validation error: ");
        put_place(out, input_place(fault));
        qr_buf_printf(out, " must have less than %zu tokens. Given: %zu", fault->limit,
                      fault->given);
    } else if (status == QR_TOO_MANY && fault->given > 0) {
        qr_buf_printf(out, "batch size %zu > maximum allowed batch size %zu", fault->given,
                      fault->limit);
    } else if (status == QR_TOO_MANY && fault->limit > 0) {
        qr_buf_printf(out, "the answer would have more than %zu numbers: ask for less at a time",
                      fault->limit);
    } else if (status == QR_OVERLOADED) {
        qr_buf_literal(out, "Model is overloaded");
    } else if ((status == QR_BAD_REQUEST || status == QR_BAD_TENSOR) && placed) {
        put_must(out, fault);
    } else {
        qr_buf_text(out, qr_text_of(qr_status_sentence(status)));
        if (status == QR_BAD_HEADER && placed) {
            qr_buf_literal(out, ": ");
            put_must(out, fault);
        } else if (status == QR_BAD_JSON && fault->line > 0) {
            qr_buf_printf(out, ": line %zu, column %zu: %s", fault->line, fault->column,
                          fault->expected);
        }
    }
}

/* As a JSON text: a sentence may name choices in quotes. */
static void put_message(qr_buf *out, qr_status status, const qr_fault *fault) {
    qr_buf sentence;
    qr_buf_init(&sentence, 1024);
    put_sentence(&sentence, status, fault);
    qr_json_text(out, qr_buf_failed(&sentence) ? qr_text_of(qr_status_sentence(status))
                                               : qr_buf_contents(&sentence));
    qr_buf_deinit(&sentence);
}

void qr__fail_tei(qr_status status, const qr_fault *fault, qr_buf *out) {
    qr_buf_literal(out, "{\"error\":");
    put_message(out, status, fault);
    qr_buf_printf(out, ",\"error_type\":\"%s\"}", tei_type(status));
}

void qr__fail_oip(qr_status status, const qr_fault *fault, qr_buf *out) {
    qr_buf_literal(out, "{\"error\":");
    put_message(out, status, fault);
    qr_buf_byte(out, '}');
}

void qr__fail_rerank(qr_status status, const qr_fault *fault, qr_buf *out) {
    qr_buf_literal(out, "{\"error\":");
    put_message(out, status, fault);
    qr_buf_printf(out, ",\"error_type\":\"%s\",\"message\":", tei_type(status));
    put_message(out, status, fault);
    qr_buf_literal(out, ",\"detail\":");
    put_message(out, status, fault);
    qr_buf_byte(out, '}');
}

/* Whether the place is one of the body. */
static bool names_field(qr_status status, const qr_fault *fault) {
    return fault->place.field != NULL &&
           (status == QR_BAD_REQUEST || status == QR_EMPTY_INPUT || status == QR_TOO_LONG);
}

/* The nested form that OpenAI's clients and infinity's read. */
static void put_nested(qr_buf *out, qr_status status, const qr_fault *fault) {
    qr_buf_literal(out, "\"error\":{\"message\":");
    put_message(out, status, fault);
    qr_buf_printf(out, ",\"type\":\"%s\",\"param\":", openai_type(status));
    if (names_field(status, fault))
        qr_buf_printf(out, "\"%s\"", fault->place.field);
    else
        qr_buf_literal(out, "null");
    qr_buf_printf(out, ",\"code\":\"%s\"}", qr_status_name(status));
}

void qr__fail_cohere(qr_status status, const qr_fault *fault, qr_buf *out) {
    qr_buf_literal(out, "{\"message\":");
    put_message(out, status, fault);
    qr_buf_literal(out, ",\"detail\":");
    put_message(out, status, fault);
    qr_buf_byte(out, ',');
    put_nested(out, status, fault);
    qr_buf_byte(out, '}');
}

/* Flat for clients of text-embeddings-inference, nested for OpenAI's, and `detail` for Jina's,
 * which look for nothing else. */
void qr__fail_openai(qr_status status, const qr_fault *fault, qr_buf *out) {
    qr_buf_literal(out, "{\"message\":");
    put_message(out, status, fault);
    qr_buf_printf(out, ",\"code\":%d,\"type\":\"%s\",\"detail\":", qr_status_http(status),
                  tei_type(status));
    put_message(out, status, fault);
    qr_buf_byte(out, ',');
    put_nested(out, status, fault);
    qr_buf_byte(out, '}');
}
