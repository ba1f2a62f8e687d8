/* library/library_internal.h: private to library/: a loaded model, and the workspaces of the calls
 * that run on it.
 *
 *     qr__seat *seat;
 *     status = qr__seat_take(model, &seat, error);      // waits when all are taken
 *     ... seat->encoding, qr__batches_init(&run, model, seat, ...) ...
 *     qr__seat_give(model, seat);
 *
 * Threads: a model is shared; a seat belongs to the call that took it.
 */
#ifndef QR_LIBRARY_INTERNAL_H
#define QR_LIBRARY_INTERNAL_H

#include <pthread.h>

#include "library/arguments.h"
#include "pipeline/pipeline.h"

/** What one call needs beside its arguments; kept for the next call. */
typedef struct qr__seat {
    struct qr__seat *next; /* among the free ones */
    qr_encoding encoding;
    qr_windows windows;
    qr_ragged batch;
    qr_context *context; /* NULL until a call runs the model */
    int cancel_before;   /* of the thread whose call has it: pthread_setcancelstate */
} qr__seat;

struct qr_lib_model {
    qr_pipeline *pipeline;
    qr_pool *pool; /* helpers; NULL when a call computes alone */
    pthread_mutex_t lock;
    pthread_cond_t freed; /* or another one's turn */
    qr__seat *free;       /* the last one that was used first: its memory is warm */
    int seats;            /* made, or being made */
    int seats_most;
    uint64_t turns, turn; /* given to calls; the next that gets a seat */
};

/** Makes `model` (zeroed) ready for calls; qr__seats_deinit ends it. */
void qr__seats_init(qr_lib_model *model, int most);

/** All seats must be free. */
void qr__seats_deinit(qr_lib_model *model);

/** Takes a free seat, makes one, or waits for one: first come, first served, or a thread that calls
 * again at once would keep its seat from all that wait. QR_LIB_NO_MEMORY. Until it is given back
 * the thread cannot be cancelled, or nobody would give it back. */
QR_MUST_USE qr_lib_status qr__seat_take(qr_lib_model *model, qr__seat **out, qr_lib_error *error);

/** Gives a seat back. NULL is allowed. */
void qr__seat_give(qr_lib_model *model, qr__seat *seat);

/** Gets what the model gave for one sequence: floats [C], [K] or [tokens][2]. They live for the
 * call. */
typedef void qr__batches_take(void *state, size_t index, const float *floats, size_t tokens);

/** Many sequences through the model, in batches of bounded size. Fields are batches.c's. */
typedef struct qr__batches {
    qr__seat *seat;
    const qr_pipeline *pipeline;
    qr__batches_take *take;
    void *state;
    size_t done; /* sequences that were taken */
} qr__batches;

/** Results go to take(state, index of the sequence, ...), in order. QR_LIB_NO_MEMORY. */
QR_MUST_USE qr_lib_status qr__batches_init(qr__batches *run, const qr_lib_model *model,
                                           qr__seat *seat, qr__batches_take *take, void *state,
                                           qr_lib_error *error);

/** Adds a sequence (copied); runs the batch before it when it does not fit. `types` NULL: all 0. */
QR_MUST_USE qr_lib_status qr__batches_add(qr__batches *run, const int32_t *ids,
                                          const uint8_t *types, size_t tokens, qr_lib_error *error);

/** Runs what is left. */
QR_MUST_USE qr_lib_status qr__batches_finish(qr__batches *run, qr_lib_error *error);

/** Encodes a text (and a pair unless NULL) into seat->encoding, cut as `long_text` says, and adds
 * it to the run. Faults name the array and `index`. */
QR_MUST_USE qr_lib_status qr__batches_add_text(qr__batches *run, qr_text text, const qr_text *pair,
                                               int long_text, size_t index, qr_lib_error *error);

/** Floats of a vector; 0 unless the model is an embedder. */
size_t qr__lib_dimensions(const qr_lib_model *model);

/** QR_LIB_WRONG_KIND unless the model is of `kind`, or of `other`. `call` is what was called. */
QR_MUST_USE qr_lib_status qr__lib_kind_check(const qr_lib_model *model, qr_kind kind, qr_kind other,
                                             const char *call, qr_lib_error *error);

/** From the first call on nothing goes to stderr. */
void qr__lib_log_start(void);

#endif
