/* engine/backend.h: the one seam between the engine and a device.
 *
 *                engine.c, plan/         what to load, which precision, is this batch legal
 *     ----------------------------------------------------------------------------------------
 *                qr_backend              pack weights, make workspaces, run legal batches
 *     ----------------------------------------------------------------------------------------
 *                cpu/   (cuda/ ...)      a folder a device; its public header has its qr_backend
 *
 * A backend is a table of functions over three types of its own, each of which begins with the
 * part that is visible here:
 *
 *     struct my_context {
 *         qr_context base;         // first: a pointer to one is a pointer to the other
 *         ...
 *     };
 *
 * What is not here on purpose: the cost of a batch. It is fitted from measured passes above the
 * seam, alike for every device. A new device needs its table, a row in the list of devices.c,
 * and nothing else above this line.
 */
#ifndef QR_ENGINE_BACKEND_H
#define QR_ENGINE_BACKEND_H

#include "engine/byte_stream.h"
#include "engine/engine.h"
#include "engine/model/model.h"

typedef struct qr_backend qr_backend;

/** A device as it was opened: one of a kind's varieties. */
typedef struct qr_device {
    const qr_backend *backend;
    char target[32]; /* these two as qr_plan_info has them */
    unsigned number;
    bool runs[QR_PRECISIONS];          /* has kernels for the precision */
    qr_precision order[QR_PRECISIONS]; /* what AUTO tries, the fastest first; f32 ends it */
    bool varies[QR_PRECISIONS];        /* a sequence's bits depend on its batch mates */
    size_t streams; /* batches side by side that a device with processors of its own is kept busy
                       by; 0: it computes on the threads that call it */
    qr_rates rates; /* from which the order follows */
} qr_device;

/** A plan to pack for. */
typedef struct qr_plan {
    qr_precision precision;  /* one that the device runs */
    const uint8_t *fallback; /* [L] bits of QR_MATRIX_...: what int8 keeps in bf16; NULL: nothing */
    const float *ranges;     /* [L][QR_RANGES_A_LAYER][C] from calibrate, for int8; NULL: unknown */
} qr_plan;

/** A layer's four matrices, as bits of qr_plan.fallback. */
enum { QR_MATRIX_QKV = 1, QR_MATRIX_OUTPUT = 2, QR_MATRIX_UP = 4, QR_MATRIX_DOWN = 8 };
#define QR_MATRICES_A_LAYER 4u

/** How many matrices a plan's fallback [layers] keeps in bf16. */
static inline size_t qr_fallbacks(const uint8_t *fallback, size_t layers) {
    size_t count = 0;
    for (size_t l = 0; l < layers; l++)
        count += (size_t)__builtin_popcount(fallback[l]);
    return count;
}

/** The two places of a layer whose channels differ most: what QKV reads and what up reads, both
 * fresh from a layer norm. */
enum { QR_RANGE_QKV, QR_RANGE_UP, QR_RANGES_A_LAYER };

/** A model packed for a plan. */
typedef struct qr_packed {
    const qr_device *device;
    const qr_bert *bert; /* borrowed: info, and what is not packed */
    size_t bytes;        /* resident for it, with what stays in the bert */
} qr_packed;

struct qr_context {
    const qr_packed *packed;
    size_t tokens_max, sequences_max;
};

struct qr_backend {
    const char *name; /* of --device: "cpu" */

    /** What open would say of `target`, as far as that can be known without opening it, which takes
     * a GPU's driver long. NULL: it is opened and closed. */
    qr_status (*check)(const char *target, qr_error *error);

    /** Opens the variety called `target`; NULL: the best there is. QR_BAD_OPTION: there is none
     * of that name here, with those that there are; QR_IO: the machine has none of the kind at all;
     * QR_NOT_IMPLEMENTED: nor has this build, of which "auto" says nothing. *out: returns owned. */
    qr_status (*open)(const char *target, qr_device **out, qr_error *error);
    void (*close)(qr_device *device);

    /** Packs `bert` for a plan whose precision the device runs. `like` (NULL: none): an earlier
     * packing of the same bert, whose tables may be shared with it. *out: returns owned; borrows
     * device and bert. Const afterwards. */
    qr_status (*pack)(const qr_device *device, const qr_bert *bert, const qr_plan *plan,
                      const qr_packed *like, qr_packed **out, qr_error *error);

    /** int8 with some matrices of bf16 taken from the two packings, quickly, for a trial: borrows
     * both. NULL where a device cannot: such plans are packed. */
    qr_status (*mix)(const qr_packed *int8, const qr_packed *bf16, const uint8_t *fallback,
                     qr_packed **out, qr_error *error);
    void (*packed_destroy)(qr_packed *packed);

    /** Writes what `pack` made, for `load`; NULL with it where a device cannot: each start packs.
     * A status is the sink's. */
    qr_status (*save)(const qr_packed *packed, const qr_sink *sink);

    /** As pack, from what `save` wrote for the same device, model and plan. `bert` need not have
     * what `release` gives back. QR_IO: the source ends early or holds other sizes; that its bytes
     * are those that were saved is the caller's to check. */
    qr_status (*load)(const qr_device *device, const qr_bert *bert, const qr_plan *plan,
                      const qr_source *source, qr_packed **out, qr_error *error);

    /** Gives back what of the bert this packing and its contexts will not read. No other packing
     * follows. */
    void (*release)(const qr_packed *packed, qr_bert *bert);

    /** A workspace; its base is filled in by the caller afterwards. */
    qr_status (*context_create)(const qr_packed *packed, const qr_context_options *options,
                                qr_context **out, qr_error *error);
    void (*context_destroy)(qr_context *context);

    /** Runs a batch that engine.c found legal for the model and the context. *out as
     * qr_context_forward. QR_DEVICE: the device failed, this batch or for good (`lost`). */
    qr_status (*forward)(qr_context *context, const qr_batch *batch, qr_output wanted,
                         const float **out);

    /** Runs a legal batch and raises ranges[L][QR_RANGES_A_LAYER][C] to the greatest magnitude of
     * each channel. NULL: the device's int8 has no use for them. */
    qr_status (*calibrate)(qr_context *context, const qr_batch *batch, float *ranges);

    /** Whether the device has failed for good: every forward from now on gives QR_DEVICE, of every
     * engine of the process. Whoever finds that out logs it, once. Any thread, at any time. NULL:
     * it cannot. */
    bool (*lost)(const qr_device *device);
};

/** A context for a packing, as qr_context_create makes one for an engine's (engine/contexts.c). */
QR_MUST_USE qr_status qr_packed_context(const qr_packed *packed, const qr_context_options *options,
                                        qr_context **out, qr_error *error);

/** QR_OK: a legal batch for the context and its model; else as qr_context_forward says. */
QR_MUST_USE qr_status qr_context_check(const qr_context *context, const qr_batch *batch,
                                       qr_output wanted);

/** qr_backend.calibrate, with qr_context_forward's checks and refusals. The device has it. */
QR_MUST_USE qr_status qr_context_calibrate(qr_context *context, const qr_batch *batch,
                                           float *ranges);

#endif
