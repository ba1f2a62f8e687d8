/* engine/model/safetensors_write.h: tensors -> a model.safetensors file. Private to model/.
 *
 *     const qr__tensor_out tensors[] = {{"classifier.weight", 2, 384, weight},
 *                                       {"classifier.bias", 0, 2, NULL}};      // zeros
 *     status = qr__safetensors_write(&fresh, "model.safetensors", tensors, 2, error);
 */
#ifndef QR_ENGINE_MODEL_SAFETENSORS_WRITE_H
#define QR_ENGINE_MODEL_SAFETENSORS_WRITE_H

#include "engine/model/new_dir.h"

typedef struct qr__tensor_out {
    const char *name;
    size_t rows, cols; /* [rows][cols]; rows 0: a vector [cols] */
    const float *data; /* borrowed; NULL: all are 0 */
} qr__tensor_out;

/** Writes a file of F32 tensors, in this order. QR_TOO_LARGE: the loader would not read so large a
 * header or file; QR_IO, QR_NO_MEMORY. */
QR_MUST_USE qr_status qr__safetensors_write(qr__new_dir *dir, const char *name,
                                            const qr__tensor_out *tensors, size_t count,
                                            qr_error *error);

#endif
