/* engine/model/weights_file.h: an open model.safetensors. Private to model/.
 *
 *     qr__weights_file weights = {.fd = -1};
 *     status = qr__weights_file_open(dir, &weights, &error);
 *     status = qr__weights_file_check(&weights, &slot, &error);     // it has the tensor
 *     status = qr__weights_file_read(&weights, &slot, to, &error);
 *     qr__weights_file_close(&weights);
 */
#ifndef QR_ENGINE_MODEL_WEIGHTS_FILE_H
#define QR_ENGINE_MODEL_WEIGHTS_FILE_H

#include <time.h>

#include "engine/model/bert_store.h"
#include "engine/model/safetensors.h"

typedef struct qr__weights_file {
    char path[QR_PATH_BYTES];
    int fd; /* -1: not open */
    size_t bytes;
    struct timespec modified, changed; /* when it was opened */
    size_t data_at;                    /* of the first tensor's bytes */
    qr__tensors tensors;
} qr__weights_file;

/** Opens dir/model.safetensors and checks its header completely. QR_BAD_MODEL, with a hint on what
 * lies there instead; QR_NO_MEMORY. To be closed also when this fails. */
QR_MUST_USE qr_status qr__weights_file_open(const char *dir, qr__weights_file *weights,
                                            qr_error *error);

/** Also of one that was never opened (fd -1). */
void qr__weights_file_close(qr__weights_file *weights);

/** False when its size, or the times that the system keeps of changes, are others than when it was
 * opened. */
bool qr__weights_file_unchanged(const qr__weights_file *weights);

/** The slot's tensor by its name or old name; NULL: there is none. */
const qr__tensor *qr__weights_file_find(const qr__weights_file *weights, const qr__bert_slot *slot);

/** The slot's tensor is there, of a type that is read, and of the slot's shape. QR_BAD_MODEL. */
QR_MUST_USE qr_status qr__weights_file_check(const qr__weights_file *weights,
                                             const qr__bert_slot *slot, qr_error *error);

/** Reads a slot that was checked into its elements `to`. QR_BAD_MODEL: it cannot be read, or is not
 * finite. */
QR_MUST_USE qr_status qr__weights_file_read(const qr__weights_file *weights,
                                            const qr__bert_slot *slot, float *to, qr_error *error);

#endif
