/* engine/saved/saved.h: a plan and its packed weights, kept in a file from one start to the next.
 *
 *     const qr_saved_options options = {.dir = "/var/cache/querent", .model = model,
 *                                       .device = device, .asked = QR_PRECISION_AUTO,
 *                                       .probes = &probes, .calibration = &others};
 *     qr_saved *saved = qr_saved_open(&options);            // NULL: start without
 *     if (!qr_saved_load(saved, &plan)) {                   // plan.bert, plan.packed: the caller's
 *         ... read, choose, pack: plan = ... ;
 *         qr_saved_write(saved, &plan);
 *     }
 *     qr_saved_close(saved);
 *
 * Nothing here fails a start: what is wrong with the directory or a file is one line of the log.
 * A file is named by a hash of all that its contents follow from (saved_key.c): the model's
 * weights and facts, the probe texts as its tokenizer gives them, this program's own bytes, the
 * device and its instruction set, the precision that was asked for, and the format's version.
 * docs/ENGINE.md has the format and what is checked. The hash (XXH3, 128 bits) finds accidents; who
 * can write files in our name needs no hash to deceive us, so owner and mode are checked too.
 *
 * Threads and processes: any number may open, load and write the same directory at once.
 */
#ifndef QR_ENGINE_SAVED_H
#define QR_ENGINE_SAVED_H

#include "engine/backend.h"

/** What a plan follows from; all borrowed until close. */
typedef struct qr_saved_options {
    const char *dir;
    const qr_model *model;
    const qr_device *device; /* whose backend can save */
    qr_precision asked;
    const qr_batch *probes, *calibration; /* NULL: none */
} qr_saved_options;

/** What is kept. */
typedef struct qr_saved_plan {
    qr_precision precision;
    uint8_t fallback[QR_LIMIT_LAYERS];
    char reason[256];
    qr_proof proof;    /* of a model from ONNX; else zeroed */
    qr_bert *bert;     /* what of it a packing reads where it is */
    qr_packed *packed; /* borrows bert */
} qr_saved_plan;

/** A directory and the one file of it that is this plan's. */
typedef struct qr_saved qr_saved;

/** Checks the directory (ours or root's, not writable for others) and reads the whole model to
 * know the file's name. NULL, after a line in the log: it cannot be used. Returns owned. */
qr_saved *qr_saved_open(const qr_saved_options *options);

/** True: *out is what was written, bit by bit; bert and packed are the caller's. False: there is no
 * such file, or, after a line in the log, none that can be used. `saved` NULL: false. */
bool qr_saved_load(const qr_saved *saved, qr_saved_plan *out);

/** Writes the file, whole or not at all, and removes the oldest if there are more than
 * QR_LIMIT_SAVED_PLANS. A fault is a line in the log; so is a model that changed since it was
 * opened, whose plan is not written. `saved` NULL: nothing. */
void qr_saved_write(const qr_saved *saved, const qr_saved_plan *plan);

/** NULL is allowed. */
void qr_saved_close(qr_saved *saved);

/* A proof is kept in a file of its own: it is the same for every precision, and outlives a start
 * for which no plan is kept.
 *
 *     qr_saved_proof *saved = qr_saved_proof_open(cache_dir, model, device);
 *     if (!qr_saved_proof_load(saved, &proof)) {
 *         ... prove: proof = ... ;
 *         qr_saved_proof_write(saved, &proof);
 *     }
 *     qr_saved_proof_close(saved);
 */

/** What --cache-dir says when nothing is to be kept, proofs neither. */
#define QR_SAVED_NOTHING "none"

/** The user's own cache ($XDG_CACHE_HOME/querent, else ~/.cache/querent), which is made when it is
 * missing. QR_IO. */
QR_MUST_USE qr_status qr_saved_home(char out[QR_PATH_BYTES], qr_error *error);

/** A directory and the one file of it that is this proof's. */
typedef struct qr_saved_proof qr_saved_proof;

/** `dir` NULL or "": qr_saved_home. All borrowed until close. Reads the whole model to know the
 * file's name. NULL: QR_SAVED_NOTHING, or, after a line in the log, a directory that cannot be
 * used. Returns owned. */
qr_saved_proof *qr_saved_proof_open(const char *dir, const qr_model *model,
                                    const qr_device *device);

/** True: *out is what was proven. False: there is no such file, or, after a line in the log, none
 * that can be used. `saved` NULL: false. */
bool qr_saved_proof_load(const qr_saved_proof *saved, qr_proof *out);

/** Writes the file, whole or not at all, and removes the oldest if there are more than
 * QR_LIMIT_SAVED_PROOFS. A fault is a line in the log. A model that changed since it was opened is
 * not written. `saved` NULL: nothing. */
void qr_saved_proof_write(const qr_saved_proof *saved, const qr_proof *proof);

/** NULL is allowed. */
void qr_saved_proof_close(qr_saved_proof *saved);

#endif
