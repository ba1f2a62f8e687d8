/* server/admin.h: the configured models while the server runs: loaded at start, loaded again, taken
 * out, one after the other.
 *
 *     qr__admin_create(&options, &admin);
 *     qr__admin_start(admin, on_started, owner);         // all of them, then one generation
 *     qr__admin_load(admin, name, on_done, owner);       // again, from its directory of the start
 *     qr__admin_unload(admin, name, on_done, owner);
 *     qr__admin_reload(admin);                           // every model that is not out
 *
 * Orders are carried out in their order, one at a time: a load in a thread of its own, while the
 * old model serves. A load that fails leaves things as they were. A load of a model whose last
 * order is a load that has not begun is the same order. Each call-back comes once, on the loop, and
 * never from within the call that gave the order. Threads: the loop's.
 */
#ifndef QR_SERVER_ADMIN_H
#define QR_SERVER_ADMIN_H

#include "server/loop.h"
#include "server/serving.h"

typedef struct qr__admin qr__admin;

/** What became of an order; *error says more when it is not OK. */
typedef void (*qr__admin_done)(void *owner, qr_status status, const qr_error *error);

typedef struct qr__admin_options {
    qr_loop *loop;       /* borrowed */
    qr_metrics *metrics; /* borrowed; NULL: nothing is counted */
    size_t models;       /* that are configured; 1 to QR_LIMIT_MODELS */
    /** Loads the model at `index`, under this name when it has had one (else NULL). `before`: the
     * one that it replaces, or NULL. On a thread of its own. QR_NO_MEMORY: there is no room for a
     * second copy. *out: returns owned. */
    qr_status (*load)(void *state, size_t index, const char *name, const qr_served *before,
                      qr_served **out, qr_error *error);
    /** Takes a generation (and its pin), which is the current one from then on. */
    void (*serve)(void *state, qr_serving *serving);
    void *state;
} qr__admin_options;

/** QR_NO_MEMORY. *out: returns owned. */
QR_MUST_USE qr_status qr__admin_create(const qr__admin_options *options, qr__admin **out);

/** Waits for a load under way and throws it away. No call-back comes any more. NULL is allowed. */
void qr__admin_destroy(qr__admin *admin);

/** Loads all models, whose names differ; then they are served, and `done` is called. The first that
 * cannot be loaded ends it. */
void qr__admin_start(qr__admin *admin, qr__admin_done done, void *owner);

/** NO_MODEL: none of that name is configured; NOT_READY: the start is not over; OVERLOADED: too
 * many orders wait; NO_MEMORY. Then `done` is not called. */
QR_MUST_USE qr_status qr__admin_load(qr__admin *admin, qr_text name, qr__admin_done done,
                                     void *owner);

/** Likewise. Requests for it get MODEL_OUT from then on; those under way are answered by it. One
 * that is out already stays so. */
QR_MUST_USE qr_status qr__admin_unload(qr__admin *admin, qr_text name, qr__admin_done done,
                                       void *owner);

/** Loads every model again that is not out. Before the start is over it does nothing. */
void qr__admin_reload(qr__admin *admin);

/** Whether a load is under way. */
bool qr__admin_is_busy(const qr__admin *admin);

/** Whether all orders are carried out: none is under way, and none waits. */
bool qr__admin_is_done(const qr__admin *admin);

/** Appends the repository index of Triton's protocol: a JSON list of all configured models with
 * state READY, LOADING or UNAVAILABLE and the reason. `ready_only`: but those that are READY. */
void qr__admin_index(const qr__admin *admin, bool ready_only, qr_buf *out);

#endif
