/* onnx/tensor.h: numbers of one type and shape; a part of onnx.h.
 *
 *     const size_t shape[] = {2, 7};
 *     qr_onnx_tensor *ids = qr_onnx_tensor_create(QR_ONNX_INT64, 2, shape);
 *     qr_onnx_longs(ids)[0] = 101;
 *     qr_onnx_tensor_destroy(ids);
 *
 * Threads: references are not counted atomically: a tensor's belong to one thread.
 */
#ifndef QR_ONNX_TENSOR_H
#define QR_ONNX_TENSOR_H

#include "base/base.h"

#define QR_ONNX_RANK_MAX 8

/** As the format numbers them. */
typedef enum qr_onnx_type {
    QR_ONNX_UNDEFINED = 0,
    QR_ONNX_FLOAT = 1,
    QR_ONNX_UINT8 = 2,
    QR_ONNX_INT8 = 3,
    QR_ONNX_UINT16 = 4,
    QR_ONNX_INT16 = 5,
    QR_ONNX_INT32 = 6,
    QR_ONNX_INT64 = 7,
    QR_ONNX_STRING = 8, /* never held: refused where it is needed */
    QR_ONNX_BOOL = 9,
    QR_ONNX_FLOAT16 = 10,
    QR_ONNX_DOUBLE = 11,
    QR_ONNX_UINT32 = 12,
    QR_ONNX_UINT64 = 13, /* held in int64_t's bits */
    QR_ONNX_BFLOAT16 = 16
} qr_onnx_type;

/** "float16": for messages. */
const char *qr_onnx_type_name(qr_onnx_type type);

/** Numbers of one type, row-major. Three ways to hold them: `floats` (FLOAT; FLOAT16 and BFLOAT16,
 * rounded to the type after each operation; DOUBLE, rounded to f32), `bytes` (UINT8 and BOOL; INT8
 * in two's complement), `longs` (all other integers). Exactly one is not NULL where count > 0. */
typedef struct qr_onnx_tensor {
    qr_onnx_type type;
    size_t rank, shape[QR_ONNX_RANK_MAX]; /* rank 0: one number */
    size_t count;                         /* product of the shape */
    const float *floats;
    const uint8_t *bytes;
    const int64_t *longs;
    void *owned;                 /* private: what to free, NULL: the numbers are borrowed */
    struct qr_onnx_tensor *base; /* private: the tensor that holds the numbers, NULL: this one */
    uint32_t refs;               /* private */
} qr_onnx_tensor;

/** Whether numbers of the type are held as floats. */
bool qr_onnx_is_float(qr_onnx_type type);

/** Whether they are held as bytes. */
bool qr_onnx_is_bytes(qr_onnx_type type);

/** A new tensor with zeroed numbers; write them through qr_onnx_floats and its kin. NULL: no
 * memory, or more than QR_LIMIT_ONNX_NUMBERS of them. Returns owned (one reference). */
qr_onnx_tensor *qr_onnx_tensor_create(qr_onnx_type type, size_t rank, const size_t *shape);

/** The same numbers in another shape of as many; another reference to `tensor` inside. NULL: no
 * memory. Returns owned. */
qr_onnx_tensor *qr_onnx_tensor_reshaped(qr_onnx_tensor *tensor, size_t rank, const size_t *shape);

/** One more reference; returns its argument. Not between threads. */
qr_onnx_tensor *qr_onnx_tensor_share(qr_onnx_tensor *tensor);

/** Gives one reference back. NULL is allowed. */
void qr_onnx_tensor_destroy(qr_onnx_tensor *tensor);

/** The numbers of a tensor that was just created, to write; NULL when they are held otherwise. */
float *qr_onnx_floats(qr_onnx_tensor *tensor);

/** As bytes. */
uint8_t *qr_onnx_bytes(qr_onnx_tensor *tensor);

/** As 64-bit integers. */
int64_t *qr_onnx_longs(qr_onnx_tensor *tensor);

/** Number `at` of a tensor that holds integers or bools, sign-extended as its type is. */
int64_t qr_onnx_int(const qr_onnx_tensor *tensor, size_t at);

/** Numbers [from, from + count) as floats, however they are held. */
void qr_onnx_copy_floats(const qr_onnx_tensor *tensor, size_t from, size_t count, float *out);

/** Writes one, with the type's wrap-around (bools: 0 or 1). */
void qr_onnx_set_int(qr_onnx_tensor *tensor, size_t at, int64_t value);

/** `x` rounded to the nearest number of a type that is held as floats (to even on a tie); FLOAT and
 * DOUBLE: x. */
float qr_onnx_round(qr_onnx_type type, float x);

/** Writes "[2, 7, 384]" into out. */
void qr_onnx_shape_text(const qr_onnx_tensor *tensor, char out[128]);

#endif
