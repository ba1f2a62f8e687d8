/* onnx/walk.h: goes over tensors of one shape row by row, each with strides of its own.
 *
 *     qr__walk walk;
 *     qr__walk_init(&walk, out->rank, out->shape);
 *     qr__walk_broadcast(&walk, out);                    // operand 0
 *     qr__walk_broadcast(&walk, a);                      // operand 1
 *     while (qr__walk_next(&walk))
 *         for (size_t i = 0; i < walk.row; i++)
 *             floats[walk.at[0] + i] = -a->floats[walk.at[1] + (ptrdiff_t)i * walk.step[1]];
 *
 * Axes that lie behind each other in all operands are walked as one, so that rows are long. All
 * operators that arrange numbers are one such walk that copies. Private to onnx/.
 */
#ifndef QR_ONNX_WALK_H
#define QR_ONNX_WALK_H

#include "onnx/onnx.h"

#define QR__WALK_OPERANDS 4

typedef struct qr__walk {
    size_t rank, shape[QR_ONNX_RANK_MAX];
    size_t operands;
    ptrdiff_t stride[QR__WALK_OPERANDS][QR_ONNX_RANK_MAX];
    size_t index[QR_ONNX_RANK_MAX];    /* private: of the row, in all axes but the last */
    bool begun;                        /* private */
    size_t row;                        /* numbers in a row */
    ptrdiff_t at[QR__WALK_OPERANDS];   /* the row's first number */
    ptrdiff_t step[QR__WALK_OPERANDS]; /* from one number of the row to the next */
} qr__walk;

/** A walk over `shape`; its operands are added next. */
void qr__walk_init(qr__walk *walk, size_t rank, const size_t *shape);

/** An operand whose number [0, ...] is `start`, with a stride in numbers for each axis. */
void qr__walk_add(qr__walk *walk, ptrdiff_t start, const ptrdiff_t *strides);

/** A row-major operand of that shape, or of one that broadcasts to it. */
void qr__walk_broadcast(qr__walk *walk, const qr_onnx_tensor *tensor);

/** A walk over `out`: operand 0; operands 1 and 2 broadcast to it. */
void qr__walk_two(qr__walk *walk, const qr_onnx_tensor *out, const qr_onnx_tensor *a,
                  const qr_onnx_tensor *b);

/** Goes to the first or the next row. False: there is none. */
bool qr__walk_next(qr__walk *walk);

/** strides[rank]: of a row-major tensor, in numbers. */
void qr__strides(size_t rank, const size_t *shape, ptrdiff_t *strides);

/** The tensor's numbers, however they are held. */
void *qr__numbers(const qr_onnx_tensor *tensor);

/** Bytes of one number as it is held. */
size_t qr__number_bytes(qr_onnx_type type);

/** Copies operand 1, numbers of `from`, to operand 0, numbers of `to` (of the same type). */
void qr__walk_copy(qr__walk *walk, qr_onnx_tensor *to, const qr_onnx_tensor *from);

/** Copies `count` numbers from number `from_at` on to number `to_at`. */
void qr__copy_numbers(qr_onnx_tensor *to, size_t to_at, const qr_onnx_tensor *from, size_t from_at,
                      size_t count);

#endif
