/* engine/model/safetensors.h: the header of a model.safetensors file, checked. Private to
 * model/.
 *
 *     qr__tensors tensors;
 *     status = qr__tensors_parse(path, header, header_bytes, data_bytes, &tensors, error);
 *     const qr__tensor *word = qr__tensors_find(&tensors, "embeddings.word_embeddings.weight");
 *     qr__tensors_deinit(&tensors);
 *
 * File: u64 length n (little-endian), n bytes of JSON, then the data. After a successful parse
 * every tensor lies inside the data, its bytes are exactly shape times dtype, and the tensors
 * cover the data without hole or overlap.
 */
#ifndef QR_ENGINE_MODEL_SAFETENSORS_H
#define QR_ENGINE_MODEL_SAFETENSORS_H

#include "base/base.h"

#define QR__TENSOR_RANK_MAX 4
#define QR__TENSOR_NAME_MAX 255

typedef enum qr__dtype { QR__F32, QR__F16, QR__BF16, QR__DTYPE_OTHER } qr__dtype;

typedef struct qr__tensor {
    const char *name; /* borrowed from the table */
    qr__dtype dtype;
    const char *dtype_name; /* as the format spells it: "F32"; static */
    size_t rank, shape[QR__TENSOR_RANK_MAX];
    size_t begin, bytes; /* in the data */
} qr__tensor;

typedef struct qr__tensors {
    qr__tensor *items; /* by name */
    size_t count;
    void *json; /* owns the names */
} qr__tensors;

/** `path` is for messages. *out needs qr__tensors_deinit only after QR_OK. */
QR_MUST_USE qr_status qr__tensors_parse(const char *path, const char *header, size_t header_bytes,
                                        size_t data_bytes, qr__tensors *out, qr_error *error);

/** NULL: there is none of that name. */
const qr__tensor *qr__tensors_find(const qr__tensors *tensors, const char *name);

/** Zeroed ones are allowed. */
void qr__tensors_deinit(qr__tensors *tensors);

/** Writes "[30522, 384]" into out. */
void qr__tensor_shape_text(const qr__tensor *tensor, char out[96]);

#endif
