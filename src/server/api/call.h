/* server/api/call.h: one decode in progress, and what the dialects share for it: fields, the choice
 * of a model, texts and ids into jobs, faults. Threads: a call is one thread's.
 *
 *     static qr_status decode(qr__call *call) {                 // fields are read before it
 *         my_request *request = (my_request *)call->request;
 *         qr_status status = qr__call_model(call, QR__UNKNOWN_REFUSED);
 *         if (status != QR_OK)
 *             return status;
 *         return qr__call_inputs(call, "inputs", &request->cut);
 *     }
 */
#ifndef QR_SERVER_API_CALL_H
#define QR_SERVER_API_CALL_H

#include "server/api/dialects.h"
#include "server/api/json_in.h"
#include "server/api/rank.h"
#include "server/api/routes.h"
#include "server/api/shared_first.h"

struct qr_api {
    qr_api_options options;
    uint64_t created_ns; /* since 1970 */
    /* /openapi.json, by listeners */
    qr_buf documents[(QR_LISTENER_MAIN | QR_LISTENER_OPS | QR_LISTENER_ADMIN) + 1];
};

/** The head of every dialect's request. */
typedef struct qr__decoded {
    qr_text model;     /* the name that the body gives; data is NULL without one */
    size_t inputs_len; /* texts or lists of ids */
    bool single;       /* one input, not in a list: some answers then lose a level */
} qr__decoded;

#define QR__MODEL_FIELD QR__TEXT("model", qr__decoded, model, false)

/** How inputs are prepared: what stands in front of them, and how they are cut to the model's
 * maximum. */
typedef struct qr__cut {
    bool truncate;       /* else a longer input is refused */
    size_t direction;    /* QR__CUT_RIGHT or QR__CUT_LEFT; the place in QR__CUT_FIELDS' choices */
    qr_text prompt_name; /* data is NULL without one */
    const qr_prompt *prompt; /* that one; NULL: the model's default */
} qr__cut;

enum { QR__CUT_RIGHT, QR__CUT_LEFT };
#define QR__CUT_IS_LEFT(cut) ((cut)->direction % 2 == QR__CUT_LEFT)

/* text-embeddings-inference takes both spellings. */
#define QR__CUT_FIELDS(type, member)                                                               \
    QR__FLAG("truncate", type, member.truncate, true),                                             \
        QR__CHOICE("truncation_direction", type, member.direction, "right|left|Right|Left",        \
                   "\"left\" or \"right\"")

#define QR__PROMPT_FIELD(type, member) QR__TEXT("prompt_name", type, member.prompt_name, false)

/** One decode in progress. */
typedef struct qr__call {
    const qr_api *api;
    qr_exchange *exchange;
    const qr__value *body; /* an object; NULL for routes without a body */
    qr__decoded *request;  /* what the route's row decodes into; its fields are read */
    qr_encoding scratch;   /* for the tokenizer; its memory is reused from input to input */
    qr_windows windows;    /* as scratch, of span requests */
    qr_text question;      /* whose tokens `windows` holds, known by its place; .data NULL: none */
    size_t question_max;   /* the longest window that they were made for */
    qr__shared_first first;
    qr_quota quota;      /* a part of the exchange's: what the decode alone needs */
    qr__value_room tree; /* of the body's values */
    bool hidden;         /* jobs are for the hidden states of all tokens */
    size_t jobs_room;    /* jobs that there is memory for, where they are made as they come */
} qr__call;

/** Decodes the exchange's body by its route's row, or the one that that resolves to for this body
 * (exchange->handler). Anything but OK: exchange->fault says more. *needs: as call->quota. */
QR_MUST_USE qr_status qr__call_run(const qr_api *api, qr_exchange *exchange, size_t *needs);

/** Decodes call->body, which is parsed already, by this row: its fields, then its decode. */
QR_MUST_USE qr_status qr__call_decode(qr__call *call, const qr_route *row);

/** Reads the row's fields out of the body into the request. BAD_REQUEST. */
QR_MUST_USE qr_status qr__call_fields(qr__call *call, const qr__field *fields, size_t len);

/** Whether nobody waits for the exchange any more: its deadline has passed, or its client has left.
 * The deadline may be read: only the loop moves it, before decode begins and after it ended. (What
 * the body says of it comes later; the loop watches this one meanwhile.) */
bool qr__call_is_late(const qr__call *call);

/** Remembers that at `place` there must be `must`, and returns BAD_REQUEST. */
qr_status qr__call_must(qr__call *call, const qr_place *place, const char *must);

/** The same of a number. */
qr_status qr__call_must_within(qr__call *call, const qr_place *place, const char *must,
                               size_t least, size_t most);

/** Says of EMPTY_INPUT and TOO_LONG which field's fault it is, in a dialect that has no `inputs`;
 * returns the status. */
qr_status qr__call_at(qr__call *call, qr_status status, const qr_place *place);

/** The place of a field of the object `parent`, or beside it when the body has none. */
qr_place qr__call_place(const qr__call *call, const char *parent, const char *field);

/** The place of item `index` within `place`. */
qr_place qr__place_item(const qr_place *place, size_t index);

typedef enum qr__unknown_model { QR__UNKNOWN_REFUSED, QR__UNKNOWN_SERVED } qr__unknown_model;

/** Sets the exchange's model: the one that the path or the body's `model` names, or the first of
 * the row's kinds. NO_MODEL, WRONG_KIND; MODEL_OUT: it is configured, but unloaded; with
 * UNKNOWN_SERVED a name in the body that no model has is only logged. */
QR_MUST_USE qr_status qr__call_model(qr__call *call, qr__unknown_model unknown);

/** Finds the prompt that `prompt_name` names; it stands in the member `parameters` of the body, or
 * in the body when it has none. The call has its model. BAD_REQUEST. */
QR_MUST_USE qr_status qr__call_prompt(qr__call *call, qr__cut *cut);

/** A text with its prompt in front of it, in the arena; the text itself when there is none.
 * *prompt: which one, or NULL. NO_MEMORY. */
QR_MUST_USE qr_status qr__call_prompted(qr__call *call, qr_text text, const qr__cut *cut,
                                        qr_text *out, const qr_prompt **prompt);

/** Checks the number of inputs, and notes it in the request. EMPTY_INPUT, TOO_MANY. */
QR_MUST_USE qr_status qr__call_count(qr__call *call, size_t inputs);

/** As qr__call_count, and makes room for as many jobs. */
QR_MUST_USE qr_status qr__call_jobs(qr__call *call, size_t inputs);

/** Makes room for `more` jobs behind those that there are. NO_MEMORY. */
QR_MUST_USE qr_status qr__call_more_jobs(qr__call *call, size_t more);

/** Appends a job: a text, or a pair, cut to the model's maximum. EMPTY_INPUT, TOO_LONG. */
QR_MUST_USE qr_status qr__call_text(qr__call *call, qr_text text, const qr_text *pair,
                                    const qr__cut *cut);

/** Notes tokens of this field that are an answer themselves, or are decoded. TOO_LONG: with those
 * before them more than QR_LIMIT_TOKENIZED; LATE. */
QR_MUST_USE qr_status qr__call_tokenized(qr__call *call, const char *field, size_t tokens);

/** Appends a job for tokens that are already in the arena. NO_MEMORY; TOO_MANY: with the hidden
 * states of all of them the answer would be too long; LATE: looked at every few jobs. */
QR_MUST_USE qr_status qr__call_tokens(qr__call *call, const int32_t *ids, const uint8_t *types,
                                      size_t tokens);

/** TEI's `Input`, the member `field` of the body, into jobs: a text, a list of ids, or a list of
 * these. Ids go to the model as they are: whoever sends ids sends [CLS] and [SEP] too. */
QR_MUST_USE qr_status qr__call_inputs(qr__call *call, const char *field, const qr__cut *cut);

#define QR__INPUTS_MUST "a text, a list of token ids, or a list of these"

#endif
