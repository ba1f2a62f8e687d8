/* server/api/route.h: what a route is: one row of a table, from which requests are read, answers
 * made, and errors worded.
 *
 *     static const qr__field fields[] = {
 *         QR__OTHER("inputs", "a text or a list of texts", "{\"type\":\"string\"}"),
 *         QR__FLAG("normalize", embed_request, normalize, true),
 *     };
 *     static const qr_route rows[] = {
 *         {.method = "POST", .pattern = "/embed", .flags = QR__ROUTE_MODEL, .accepts = QR__JSON,
 *          .request_bytes = sizeof(embed_request), .fields = fields, .fields_len = 2,
 *          .decode = decode, .encode = encode, .fail = qr__fail_tei},
 *     };
 *     const qr__routes qr__tei_embed_routes = {rows, 1};
 *
 * Threads: const.
 */
#ifndef QR_SERVER_API_ROUTE_H
#define QR_SERVER_API_ROUTE_H

#include "server/api/api.h"
#include "server/api/json_in.h"
#include "server/api/schema.h"

struct qr__call;

typedef enum qr__field_kind {
    QR__FIELD_FLAG,   /* true or false -> bool */
    QR__FIELD_NUMBER, /* a whole number from `least` to `most` -> size_t */
    QR__FIELD_TEXT,   /* -> qr_text, borrowed from the body */
    QR__FIELD_CHOICE, /* one of `choices` -> size_t, its place among them */
    QR__FIELD_OBJECT, /* its `members` may stand in an object of that name, or beside it */
    QR__FIELD_OTHER   /* a shape that the decoder reads itself */
} qr__field_kind;

/** A member of a request's body. */
typedef struct qr__field {
    const char *name;
    qr__field_kind kind;
    bool required;
    size_t at;           /* where in the route's request its value goes */
    size_t fallback;     /* FLAG, NUMBER, CHOICE: the value when it is absent */
    size_t least, most;  /* NUMBER */
    bool by_model;       /* NUMBER: what is out of bounds reads as SIZE_MAX; the decoder, who knows
                            the model, refuses it by that one's bound */
    const char *choices; /* CHOICE: "float|base64" */
    const char *must;    /* what it must be, for an error's sentence */
    const char *schema;  /* OTHER: its JSON Schema, for /openapi.json */
    const struct qr__field *members;
    size_t members_len;
} qr__field;

#define QR__FLAG(name_, type, member, fallback_)                                                   \
    {.name = (name_),                                                                              \
     .kind = QR__FIELD_FLAG,                                                                       \
     .at = offsetof(type, member),                                                                 \
     .fallback = (fallback_),                                                                      \
     .must = "true or false"}
#define QR__NUMBER(name_, type, member, fallback_, least_, most_)                                  \
    {.name = (name_),                                                                              \
     .kind = QR__FIELD_NUMBER,                                                                     \
     .at = offsetof(type, member),                                                                 \
     .fallback = (fallback_),                                                                      \
     .least = (least_),                                                                            \
     .most = (most_),                                                                              \
     .must = QR__WHOLE_NUMBER}
/* How many numbers of a vector are wanted: 0 when it is absent, all of them. */
#define QR__DIMENSIONS(name_, type, member)                                                        \
    {.name = (name_),                                                                              \
     .kind = QR__FIELD_NUMBER,                                                                     \
     .at = offsetof(type, member),                                                                 \
     .least = 1,                                                                                   \
     .most = QR_LIMIT_HIDDEN,                                                                      \
     .by_model = true,                                                                             \
     .must = QR__WHOLE_NUMBER}
#define QR__TEXT(name_, type, member, required_)                                                   \
    {.name = (name_),                                                                              \
     .kind = QR__FIELD_TEXT,                                                                       \
     .required = (required_),                                                                      \
     .at = offsetof(type, member),                                                                 \
     .must = "a text"}
#define QR__CHOICE(name_, type, member, choices_, must_)                                           \
    {.name = (name_),                                                                              \
     .kind = QR__FIELD_CHOICE,                                                                     \
     .at = offsetof(type, member),                                                                 \
     .choices = (choices_),                                                                        \
     .must = (must_)}
#define QR__OBJECT(name_, members_, must_)                                                         \
    {.name = (name_),                                                                              \
     .kind = QR__FIELD_OBJECT,                                                                     \
     .must = (must_),                                                                              \
     .members = (members_),                                                                        \
     .members_len = QR__LENGTH(members_)}
#define QR__OTHER(name_, must_, schema_)                                                           \
    {.name = (name_),                                                                              \
     .kind = QR__FIELD_OTHER,                                                                      \
     .required = true,                                                                             \
     .must = (must_),                                                                              \
     .schema = (schema_)}

#define QR__LENGTH(array) (sizeof(array) / sizeof(array)[0])

#define QR__WHOLE_NUMBER  "a whole number"

#define QR__JSON          "application/json"

/* Longest bodies that are decoded on the loop, none of which may take it 1 ms (docs/SERVER.md has
 * the measurement): as a rule; where a query stands beside each of its passages; where a text
 * becomes windows that overlap. */
#define QR__LOOP_BYTES    (16u * 1024u)
#define QR__LOOP_PAIRS    2048u
#define QR__LOOP_WINDOWS  512u

#define QR__ROUTE_MODEL   1u   /* answered by a model */
#define QR__ROUTE_OPS     2u   /* health, metrics: on the ops listener when there is one */
#define QR__ROUTE_COMPUTE 4u   /* answers have text-embeddings-inference's x-compute-* fields */
#define QR__ROUTE_OPEN    8u   /* asks for no API key */
#define QR__ROUTE_ANY     16u  /* takes a body of any content type, or of none */
#define QR__ROUTE_ADMIN   64u  /* on listeners with QR_LISTENER_ADMIN alone */
#define QR__ROUTE_BOTH    32u  /* on both listeners, whether there is one for ops or not */
#define QR__ROUTE_TENSORS 128u /* behind the body's JSON there may be binary tensors */

struct qr_route {
    const char *method;
    const char *pattern;        /* "/embed"; a segment "{model}" is a model's name: x->path_model */
    const char *const *aliases; /* more patterns, ended by NULL; NULL: none */
    const char *summary;        /* one line, for /openapi.json */
    const char *reply;          /* JSON Schema of a good answer; NULL: it is no JSON */
    const char *reply_type;     /* content type of one that is no JSON; NULL: there is none */
    const char *example;        /* a body that gets a good answer; NULL: none is at hand */
    unsigned flags;
    size_t loop_bytes;   /* QR__LOOP_PAIRS or _WINDOWS; 0: QR__LOOP_BYTES */
    unsigned kinds;      /* QR_KIND_BITs of the models that can answer; any: they compute nothing */
    const char *accepts; /* the body's content type; NULL: the route has no body */
    size_t request_bytes; /* of what `decode` fills; begins with a qr__decoded. 0: nothing */
    const qr__field *fields;
    size_t fields_len;
    qr_status (*decode)(struct qr__call *call); /* NULL: nothing to decode */
    void (*encode)(const qr_api *api, qr_exchange *exchange);
    void (*fail)(qr_status status, const qr_fault *fault, qr_buf *out); /* in the dialect's shape */
    qr_status refusal; /* what BAD_REQUEST is in this dialect; 0 (OK): itself */
    /* The row that decodes, encodes and fails in this one's place; NULL: itself. `body` is what the
     * request holds, an object or not; NULL while nothing of it is known. */
    const qr_route *(*resolve)(const qr_exchange *exchange, const qr__value *body);
    const qr_route *(*other)(void); /* the one that it may resolve to beside itself; NULL: it says
                                       nothing of that */
};

#endif
