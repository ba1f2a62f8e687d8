/* server/exchange.h: the work that a request makes: from its body to the body of its answer.
 *
 * The flow takes an exchange from its pool when a request's head arrives, and gives it back when
 * the request is done and no worker holds the exchange. Meanwhile api/ decodes the body into jobs,
 * schedule/ runs them, api/ encodes the answer. Whose turn it is decides who may touch what:
 *
 *   - what is written at the head is const from then on;
 *   - the work belongs to whoever has the turn, the loop or a worker, wholly; its key, and the ids
 *     and segments of its jobs, are const once it is submitted, for joins.h;
 *   - the loop's own fields are touched by the loop alone, also while a worker has the turn. So a
 *     request whose deadline passes meanwhile is answered, and one whose client leaves is done,
 *     without a look at the work.
 *
 *     phase      turn     request   timed   answered
 *     FREE       -        none      no      no         in the pool
 *     RECEIVING  loop     set       no      no         the head is decided, the body on its way
 *     LOOP       loop     set       any     no         the loop decodes, submits, or answers
 *     DECODING   worker   set       yes     no         a body too long for the loop; a command
 *     RUNNING    worker   set       yes     no         in the schedule: waiting, run, encoded
 *     JOINED     loop     set       yes     no         waits for another one's results: joins.h
 *     either of  worker   set       no      yes        late: its 504 is being sent meanwhile
 *     these two  worker   none      no      any        its client has left, or has the 504
 *     ANSWERED   loop     set       no      yes        its answer is being sent
 *
 * "timed" means that its deadline is watched. Each hand-over asserts qr_exchange_is_legal.
 */
#ifndef QR_SERVER_EXCHANGE_H
#define QR_SERVER_EXCHANGE_H

#include "server/deadline_heap.h"
#include "server/fault.h"
#include "server/joins.h"
#include "server/note.h"
#include "server/serving.h"

struct qr_route;
struct qr_http_request;
struct qr__flow;

typedef enum qr_exchange_phase {
    QR_EXCHANGE_FREE,
    QR_EXCHANGE_RECEIVING,
    QR_EXCHANGE_LOOP,
    QR_EXCHANGE_DECODING,
    QR_EXCHANGE_RUNNING,
    QR_EXCHANGE_JOINED,
    QR_EXCHANGE_ANSWERED
} qr_exchange_phase;

/** Whose results answer. */
typedef enum qr_sharing {
    QR_SHARING_NONE, /* its own; nobody else's were looked for */
    QR_SHARING_MISS, /* its own; nobody else's were found */
    QR_SHARING_HIT,  /* from the cache */
    QR_SHARING_JOIN  /* of another request that was under way */
} qr_sharing;

/** What is to be done with a configured model; api/ says so, the flow has it done. */
typedef enum qr_command { QR_COMMAND_NONE, QR_COMMAND_LOAD, QR_COMMAND_UNLOAD } qr_command;

/** From what a deadline is made; the model that is asked may have a budget of its own. */
typedef struct qr_budget {
    bool brought;         /* the request names its own */
    uint64_t fallback_ns; /* the server's, for those that do not */
    uint64_t most_ns;
    uint64_t spent_ns; /* before the request came here */
} qr_budget;

typedef struct qr_exchange {
    /* Const from the head on. */
    const struct qr_route *route; /* NULL: none met */
    unsigned listeners;           /* whose routes it may ask for: QR_LISTENER_MAIN, _OPS */
    qr_serving *serving;          /* the generation that answers, pinned; NULL while models load */
    uint64_t received_ns;         /* the first line of its head was there */
    qr_budget budget;
    uint64_t deadline_ns; /* of the head, until the body has said more of it; the loop writes it
                             while it has the turn, so that a decode may read it */
    bool stale_start;     /* a proxy's X-Request-Start that is too old to be believed */
    char path_bytes[QR_LIMIT_MODEL_NAME];
    qr_text path_model; /* the model that the path names, in path_bytes; data is NULL: none */
    size_t json_bytes;  /* of a body that goes on with binary tensors; 0: all of it is JSON */
    bool wants_octets;  /* Accept: application/octet-stream */
    bool wants_html;    /* Accept: text/html, and nothing else more */
    qr_trace_id trace;

    /* The work. */
    qr_buf body;                    /* the request's; given back when it has been answered, */
    size_t body_bytes;              /* ... but for its length */
    qr_arena arena;                 /* for all that the work needs beyond */
    const struct qr_route *handler; /* whose decode and encode are used; api/ writes */
    qr_served *model;               /* which model answers; NULL for answers that need none */
    qr_command command;             /* to path_model; then there are no jobs */
    void *decoded;                  /* api/'s own, in the arena */
    size_t characters, tokens;      /* of all inputs; of inputs that are ids, their number */
    uint64_t timeout_ns;            /* a budget in the body, from received_ns on; 0: none */
    qr_ticket ticket;               /* its jobs; none: nothing to run, encode at once */
    const qr_job *jobs;             /* what the answer is made of: the ticket's, or some of them */
    size_t jobs_len;
    bool hidden; /* its jobs give the hidden states of all tokens; nobody shares these */
    qr_status status;
    qr_fault fault; /* what the answer says beside the status */
    int http_code;
    const char *content_type; /* static text */
    qr_buf out;               /* the answer's body */
    qr_note notes[QR_NOTES_MAX];
    size_t notes_len;
    bool encoded; /* `out` is ready */
    qr__key key;  /* what it asks, once it is decoded */
    qr_sharing sharing;
    qr_stages stages;
    qr_task task; /* of DECODING */

    _Atomic bool unwanted; /* the loop says so to a worker that decodes: the client has left */

    /* The loop's own. */
    struct qr__flow *flow;
    struct qr_http_request *request; /* NULL: done, nobody waits for an answer */
    qr_exchange_phase phase;
    qr__joint joint;      /* with others that ask the same */
    bool answered;        /* the request has an answer */
    qr_deadline deadline; /* watched from admission to answer */
    qr_record record;     /* of the answer, for metrics and log */

    struct qr_exchange *next; /* in the pool; or among those that workers gave back */
} qr_exchange;

/** An empty exchange, FREE, for bodies of at most `max_body_bytes`, that takes from the quota
 * (borrowed; NULL: from none). NULL: no memory. */
qr_exchange *qr_exchange_create(size_t max_body_bytes, qr_quota *quota);

/** Unpins the generation and frees. NULL is allowed. */
void qr_exchange_destroy(qr_exchange *exchange);

/** Unpins the generation and empties the exchange: FREE again. Buffers of a usual size are kept. */
void qr_exchange_reset(qr_exchange *exchange);

/** Its answer is made: gives back body, jobs and results, if they are much and not to be shared. */
void qr_exchange_lighten(qr_exchange *exchange);

/** Adds a field to the answer's head, with a copy of its value (of at most 63 bytes). */
void qr_exchange_note(qr_exchange *exchange, const char *name, const char *value);

/** The same of a static text of any length. */
void qr_exchange_note_fixed(qr_exchange *exchange, const char *name, const char *text);

/** Whether the table above has such a row; asserted at each hand-over. The loop's call: it looks at
 * nothing that a worker may be writing. */
bool qr_exchange_is_legal(const qr_exchange *exchange);

#endif
