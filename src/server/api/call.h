/* server/api/call.h: what the dialects share: bodies, fields, the choice of a model, texts and ids
 * into jobs, and faults.
 *
 *     static qr_status decode_body(qr__call *call) {            // one dialect's first half
 *         my_request *request = ...call->request...;
 *         bool normalize = true;
 *         if (!qr__field_flag(call, call->body, "normalize", &normalize))
 *             return QR_BAD_REQUEST;
 *         ...
 *     }
 *     qr_status qr__my_decode(const qr_api *api, qr_exchange *exchange) {
 *         return qr__call_run(api, exchange, sizeof(my_request), decode_body);
 *     }
 *
 * A dialect's request begins with a qr__request, lives in the exchange's arena and is
 * exchange->decoded.
 */
#ifndef QR_SERVER_API_CALL_H
#define QR_SERVER_API_CALL_H

#include "server/api/api.h"
#include "server/api/json_in.h"

struct qr_api {
    const qr_config *config;
    size_t max_inputs;
    qr_api_hooks hooks;
};

/** The head of every dialect's request. */
typedef struct qr__request {
    size_t inputs_len;
    bool single;   /* one input, not in a list: some answers then lose a level */
    size_t tokens; /* of all jobs, for usage */
    /* What an error's sentence may say beyond its status; never anything of the client's. */
    const char *fault_field; /* static text; NULL: none */
    size_t fault_limit, fault_given;
} qr__request;

/** One decode in progress. */
typedef struct qr__call {
    const qr_api *api;
    qr_exchange *exchange;
    const qr__value *body; /* an object */
    qr__request *request;
    qr_encoding scratch; /* for the tokenizer; its memory is reused from input to input */
    qr_windows windows;  /* as scratch, of span requests */
} qr__call;

/** Allocates the request, parses the body, runs `decode`, frees what is not the arena's. */
QR_MUST_USE qr_status qr__call_run(const qr_api *api, qr_exchange *exchange, size_t request_bytes,
                                   qr_status (*decode)(qr__call *call));

/** Remembers which field was at fault; returns QR_BAD_REQUEST. */
qr_status qr__call_bad_field(qr__call *call, const char *field);

/* Fields of `object`. Absent or null leaves *value; false: the field has a wrong type or value and
 * is remembered as the fault. */
QR_MUST_USE bool qr__field_flag(qr__call *call, const qr__value *object, const char *name,
                                bool *value);
QR_MUST_USE bool qr__field_number(qr__call *call, const qr__value *object, qr__number number,
                                  size_t *value);

/** A text that must be there. */
QR_MUST_USE bool qr__field_text(qr__call *call, const qr__value *object, const char *name,
                                qr_text *value);

/** `truncate`, `truncation_direction` and `prompt_name`: options for the tokenizer's cut. *truncate
 * is true by default. */
QR_MUST_USE bool qr__field_truncation(qr__call *call, const qr__value *object,
                                      qr_encode_options *options, bool *truncate);

typedef enum qr__unknown_model { QR__UNKNOWN_REFUSED, QR__UNKNOWN_SERVED } qr__unknown_model;

/** Sets the exchange's model: the one that the body's `model` names, or the first of the kinds.
 * NO_MODEL, WRONG_KIND, BAD_REQUEST; with UNKNOWN_SERVED a name that is not there is only logged.
 */
QR_MUST_USE qr_status qr__call_model(qr__call *call, unsigned kinds, qr__unknown_model unknown);

/** Checks the number of inputs (EMPTY_INPUT, TOO_MANY) and makes room for as many jobs. */
QR_MUST_USE qr_status qr__call_jobs(qr__call *call, size_t inputs);

/** Appends a job: a text, or a pair, cut to the model's maximum. EMPTY_INPUT, TOO_LONG. */
QR_MUST_USE qr_status qr__call_text(qr__call *call, qr_text text, const qr_text *pair,
                                    const qr_encode_options *options, bool truncate);

/** Appends a job from a JSON array of token ids, which go to the model as they are: whoever sends
 * ids sends [CLS] and [SEP] too. A cut keeps a leading [CLS] and a closing [SEP], so that the ids
 * of a text give what the text gives. */
QR_MUST_USE qr_status qr__call_ids(qr__call *call, const qr__value *ids, const char *field,
                                   const qr_encode_options *options, bool truncate);

/** Appends a job for tokens that are already in the arena. */
QR_MUST_USE qr_status qr__call_tokens(qr__call *call, const int32_t *ids, const uint8_t *types,
                                      size_t tokens);

/** TEI's `Input`: a text, a list of ids, or a list of texts and lists of ids, into jobs. */
QR_MUST_USE qr_status qr__call_inputs(qr__call *call, const qr__value *inputs, const char *field,
                                      const qr_encode_options *options, bool truncate);

/** Indices of scores, best first; equal scores in falling order of index, as
 * text-embeddings-inference sorts. */
typedef struct qr__ranked {
    float score;
    uint32_t index;
} qr__ranked;
void qr__rank(qr__ranked *items, size_t len);

/* Error bodies. */
void qr__fail_tei(const qr_api *api, qr_exchange *exchange);
void qr__fail_openai(const qr_api *api, qr_exchange *exchange);

#endif
