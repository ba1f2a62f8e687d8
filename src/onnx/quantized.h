/* onnx/quantized.h: scales, zero points and products of 8-bit numbers, shared by the operators that
 * quantize. Private to onnx/.
 *
 * A tensor's real numbers are (number - zero point) * scale. Where a call bypasses the quantization
 * of activations, an activation is a tensor of floats: its zero point and scale are passed over. */
#ifndef QR_ONNX_QUANTIZED_H
#define QR_ONNX_QUANTIZED_H

#include "onnx/op.h"

/** Whether the tensor holds 8-bit numbers, of either sign. */
bool qr__is_eight_bit(const qr_onnx_tensor *tensor);

/** Whether the tensor may stand for an activation of the call: 8-bit, or floats under bypass. */
bool qr__is_activation(const qr__op_call *call, const qr_onnx_tensor *tensor);

/** Scale and zero point of numbers between the least and the greatest of x, for uint8. */
void qr__dynamic_range(const qr_onnx_tensor *x, float *scale, int64_t *zero);

/** `x / scale` rounded to even, plus zero, within [lo, hi]; not a number: lo. */
int64_t qr__quantize(float x, float scale, int64_t zero, int64_t lo, int64_t hi);

/** A product of a [.., K] by b [K, N] or [.., K, N], weights most often. The zero points: NULL,
 * one number or, of b, N; of a as many as a has rows. */
typedef struct qr__quantized_product {
    const qr_onnx_tensor *a, *a_zero, *b, *b_zero;
} qr__quantized_product;

/** Output `at` as the product of numbers less their zero points: int32 or, where one is of floats,
 * floats. QR_BAD_MODEL, QR_NO_MEMORY. */
qr_status qr__quantized_multiply(qr__op_call *call, size_t at,
                                 const qr__quantized_product *product);

/** Output `at` = product * (a_scale * b_scale) + bias as `type`; b_scale has one or N numbers, bias
 * N or is NULL; the scale of floats counts as 1. */
qr_status qr__quantized_project(qr__op_call *call, size_t at, const qr__quantized_product *product,
                                float a_scale, const qr_onnx_tensor *b_scale,
                                const qr_onnx_tensor *bias, qr_onnx_type type);

#endif
