/* onnx/walk.c: rows of tensors with strides. */
#include "onnx/walk.h"

#include <string.h>

void qr__walk_init(qr__walk *walk, size_t rank, const size_t *shape) {
    *walk = (qr__walk){.rank = rank};
    for (size_t i = 0; i < rank; i++)
        walk->shape[i] = shape[i];
}

void qr__walk_add(qr__walk *walk, ptrdiff_t start, const ptrdiff_t *strides) {
    QR_ASSERT(walk->operands < QR__WALK_OPERANDS);
    for (size_t i = 0; i < walk->rank; i++)
        walk->stride[walk->operands][i] = strides[i];
    walk->at[walk->operands++] = start;
}

void qr__strides(size_t rank, const size_t *shape, ptrdiff_t *strides) {
    ptrdiff_t stride = 1;
    for (size_t i = rank; i-- > 0;) {
        strides[i] = stride;
        stride *= shape[i] != 0 ? (ptrdiff_t)shape[i] : 1;
    }
}

void qr__walk_broadcast(qr__walk *walk, const qr_onnx_tensor *tensor) {
    ptrdiff_t own[QR_ONNX_RANK_MAX];
    ptrdiff_t strides[QR_ONNX_RANK_MAX] = {0};
    qr__strides(tensor->rank, tensor->shape, own);
    const size_t first = walk->rank - tensor->rank;
    for (size_t i = 0; i < tensor->rank; i++)
        strides[first + i] = tensor->shape[i] == 1 ? 0 : own[i];
    qr__walk_add(walk, 0, strides);
}

/* Whether axis `next`, just inside axis `outer`, continues it in every operand. */
static bool continues(const qr__walk *walk, size_t outer, size_t next) {
    for (size_t o = 0; o < walk->operands; o++)
        if (walk->stride[o][outer] != walk->stride[o][next] * (ptrdiff_t)walk->shape[next])
            return false;
    return true;
}

static void merge_axes(qr__walk *walk) {
    size_t kept = 0;
    for (size_t i = 0; i < walk->rank; i++) {
        if (walk->shape[i] == 1)
            continue;
        size_t length = walk->shape[i];
        if (kept > 0 && continues(walk, kept - 1, i))
            length *= walk->shape[--kept];
        for (size_t o = 0; o < walk->operands; o++)
            walk->stride[o][kept] = walk->stride[o][i];
        walk->shape[kept++] = length;
    }
    walk->rank = kept;
}

static bool begin(qr__walk *walk) {
    walk->begun = true;
    for (size_t i = 0; i < walk->rank; i++)
        if (walk->shape[i] == 0)
            return false;
    merge_axes(walk);
    walk->row = walk->rank > 0 ? walk->shape[walk->rank - 1] : 1;
    for (size_t o = 0; o < walk->operands; o++)
        walk->step[o] = walk->rank > 0 ? walk->stride[o][walk->rank - 1] : 1;
    return true;
}

void qr__walk_two(qr__walk *walk, const qr_onnx_tensor *out, const qr_onnx_tensor *a,
                  const qr_onnx_tensor *b) {
    qr__walk_init(walk, out->rank, out->shape);
    qr__walk_broadcast(walk, out);
    qr__walk_broadcast(walk, a);
    qr__walk_broadcast(walk, b);
}

bool qr__walk_next(qr__walk *walk) {
    if (!walk->begun)
        return begin(walk);
    for (size_t i = walk->rank > 0 ? walk->rank - 1 : 0; i-- > 0;) {
        const bool wraps = ++walk->index[i] == walk->shape[i];
        if (wraps)
            walk->index[i] = 0;
        for (size_t o = 0; o < walk->operands; o++)
            walk->at[o] +=
                wraps ? -walk->stride[o][i] * (ptrdiff_t)(walk->shape[i] - 1) : walk->stride[o][i];
        if (!wraps)
            return true;
    }
    return false;
}

void *qr__numbers(const qr_onnx_tensor *tensor) {
    if (tensor->floats != NULL)
        return (void *)(uintptr_t)tensor->floats;
    if (tensor->bytes != NULL)
        return (void *)(uintptr_t)tensor->bytes;
    return (void *)(uintptr_t)tensor->longs;
}

size_t qr__number_bytes(qr_onnx_type type) {
    if (qr_onnx_is_float(type))
        return sizeof(float);
    return qr_onnx_is_bytes(type) ? sizeof(uint8_t) : sizeof(int64_t);
}

/* Rows of numbers of one width; the compiler makes a plain loop of each. */
#define COPY_ROW(type)                                                                             \
    do {                                                                                           \
        type *out = (type *)to + walk->at[0];                                                      \
        const type *in = (const type *)from + walk->at[1];                                         \
        for (ptrdiff_t i = 0; i < (ptrdiff_t)walk->row; i++)                                       \
            out[i * walk->step[0]] = in[i * walk->step[1]];                                        \
    } while (0)

static void copy_row(const qr__walk *walk, size_t width, void *to, const void *from) {
    if (walk->step[0] == 1 && walk->step[1] == 1)
        memcpy((uint8_t *)to + walk->at[0] * (ptrdiff_t)width,
               (const uint8_t *)from + walk->at[1] * (ptrdiff_t)width, walk->row * width);
    else if (width == 1)
        COPY_ROW(uint8_t);
    else if (width == sizeof(float))
        COPY_ROW(float);
    else
        COPY_ROW(int64_t);
}

void qr__walk_copy(qr__walk *walk, qr_onnx_tensor *to, const qr_onnx_tensor *from) {
    const size_t width = qr__number_bytes(to->type);
    while (qr__walk_next(walk))
        copy_row(walk, width, qr__numbers(to), qr__numbers(from));
}

void qr__copy_numbers(qr_onnx_tensor *to, size_t to_at, const qr_onnx_tensor *from, size_t from_at,
                      size_t count) {
    const size_t width = qr__number_bytes(to->type);
    if (count > 0)
        memcpy((uint8_t *)qr__numbers(to) + to_at * width,
               (const uint8_t *)qr__numbers(from) + from_at * width, count * width);
}
