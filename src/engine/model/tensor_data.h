/* engine/model/tensor_data.h: a tensor's bytes -> finite f32 numbers. Private to model/. */
#ifndef QR_ENGINE_MODEL_TENSOR_DATA_H
#define QR_ENGINE_MODEL_TENSOR_DATA_H

#include "engine/model/safetensors.h"

/** Reads `tensor` (F32, F16 or BF16) of the open file into out[its elements]. `data_at` is where
 * the file's data begin. *finite is false when a NaN or an infinity is among them. QR_IO: the file
 * ends too early (it shrank). */
QR_MUST_USE qr_status qr__tensor_read(int fd, size_t data_at, const qr__tensor *tensor, float *out,
                                      bool *finite);

/* The conversions, for tests: `count` numbers; false when one of them is not finite. */

/** Only looks: what is stored as f32 needs no conversion. */
bool qr__f32_check(const float *in, size_t count);

/** IEEE half precision, subnormal numbers included; exact. */
bool qr__f16_to_f32(const uint16_t *in, size_t count, float *out);

/** bfloat16, the upper half of an f32's bits; exact. */
bool qr__bf16_to_f32(const uint16_t *in, size_t count, float *out);

#endif
