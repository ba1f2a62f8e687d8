/* onnx/tensor.c: numbers of one type and shape, counted by reference. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "onnx/onnx.h"

const char *qr_onnx_type_name(qr_onnx_type type) {
    static const char *const names[] = {
        [QR_ONNX_UNDEFINED] = "undefined", [QR_ONNX_FLOAT] = "float32",
        [QR_ONNX_UINT8] = "uint8",         [QR_ONNX_INT8] = "int8",
        [QR_ONNX_UINT16] = "uint16",       [QR_ONNX_INT16] = "int16",
        [QR_ONNX_INT32] = "int32",         [QR_ONNX_INT64] = "int64",
        [QR_ONNX_STRING] = "string",       [QR_ONNX_BOOL] = "bool",
        [QR_ONNX_FLOAT16] = "float16",     [QR_ONNX_DOUBLE] = "float64",
        [QR_ONNX_UINT32] = "uint32",       [QR_ONNX_UINT64] = "uint64",
        [QR_ONNX_BFLOAT16] = "bfloat16",
    };
    const size_t at = (size_t)type;
    if (at >= sizeof names / sizeof names[0] || names[at] == NULL)
        return "a type that is not known";
    return names[at];
}

bool qr_onnx_is_float(qr_onnx_type type) {
    return type == QR_ONNX_FLOAT || type == QR_ONNX_FLOAT16 || type == QR_ONNX_BFLOAT16 ||
           type == QR_ONNX_DOUBLE;
}

bool qr_onnx_is_bytes(qr_onnx_type type) {
    return type == QR_ONNX_UINT8 || type == QR_ONNX_INT8 || type == QR_ONNX_BOOL;
}

static bool is_longs(qr_onnx_type type) {
    return type == QR_ONNX_UINT16 || type == QR_ONNX_INT16 || type == QR_ONNX_INT32 ||
           type == QR_ONNX_INT64 || type == QR_ONNX_UINT32 || type == QR_ONNX_UINT64;
}

/* The product of a shape. Axes of no length do not excuse the others: the product of those is
 * bounded too, so that no product of a tensor's axes can overflow anywhere. */
static bool count_numbers(size_t rank, const size_t *shape, size_t *count) {
    size_t product = 1;
    bool empty = false;
    if (rank > QR_ONNX_RANK_MAX)
        return false;
    for (size_t i = 0; i < rank; i++) {
        empty = empty || shape[i] == 0;
        if (shape[i] != 0 && !qr_checked_mul(product, shape[i], &product))
            return false;
        if (product > QR_LIMIT_ONNX_NUMBERS)
            return false;
    }
    *count = empty ? 0 : product;
    return true;
}

static qr_onnx_tensor *create_bare(qr_onnx_type type, size_t rank, const size_t *shape) {
    size_t count;
    if (!count_numbers(rank, shape, &count))
        return NULL;
    qr_onnx_tensor *tensor = calloc(1, sizeof *tensor);
    if (tensor == NULL)
        return NULL;
    *tensor = (qr_onnx_tensor){.type = type, .rank = rank, .count = count, .refs = 1};
    for (size_t i = 0; i < rank; i++)
        tensor->shape[i] = shape[i];
    return tensor;
}

qr_onnx_tensor *qr_onnx_tensor_create(qr_onnx_type type, size_t rank, const size_t *shape) {
    if (!qr_onnx_is_float(type) && !qr_onnx_is_bytes(type) && !is_longs(type))
        return NULL;
    qr_onnx_tensor *tensor = create_bare(type, rank, shape);
    if (tensor == NULL)
        return NULL;
    const size_t number = qr_onnx_is_float(type)   ? sizeof(float)
                          : qr_onnx_is_bytes(type) ? sizeof(uint8_t)
                                                   : sizeof(int64_t);
    tensor->owned = calloc(qr_max(tensor->count, 1), number);
    if (tensor->owned == NULL) {
        free(tensor);
        return NULL;
    }
    if (qr_onnx_is_float(type))
        tensor->floats = tensor->owned;
    else if (qr_onnx_is_bytes(type))
        tensor->bytes = tensor->owned;
    else
        tensor->longs = tensor->owned;
    return tensor;
}

qr_onnx_tensor *qr_onnx_tensor_reshaped(qr_onnx_tensor *tensor, size_t rank, const size_t *shape) {
    qr_onnx_tensor *view = create_bare(tensor->type, rank, shape);
    if (view == NULL)
        return NULL;
    if (view->count != tensor->count) {
        free(view);
        return NULL;
    }
    view->floats = tensor->floats;
    view->bytes = tensor->bytes;
    view->longs = tensor->longs;
    /* The one that holds the numbers, not the view of it: chains of views stay short. */
    view->base = qr_onnx_tensor_share(tensor->base != NULL ? tensor->base : tensor);
    return view;
}

qr_onnx_tensor *qr_onnx_tensor_share(qr_onnx_tensor *tensor) {
    tensor->refs++;
    return tensor;
}

void qr_onnx_tensor_destroy(qr_onnx_tensor *tensor) {
    while (tensor != NULL && --tensor->refs == 0) {
        qr_onnx_tensor *base = tensor->base;
        free(tensor->owned);
        free(tensor);
        tensor = base;
    }
}

float *qr_onnx_floats(qr_onnx_tensor *tensor) {
    return (float *)(uintptr_t)tensor->floats;
}

uint8_t *qr_onnx_bytes(qr_onnx_tensor *tensor) {
    return (uint8_t *)(uintptr_t)tensor->bytes;
}

int64_t *qr_onnx_longs(qr_onnx_tensor *tensor) {
    return (int64_t *)(uintptr_t)tensor->longs;
}

int64_t qr_onnx_int(const qr_onnx_tensor *tensor, size_t at) {
    if (tensor->longs != NULL)
        return tensor->longs[at];
    return tensor->type == QR_ONNX_INT8 ? (int8_t)tensor->bytes[at] : tensor->bytes[at];
}

void qr_onnx_copy_floats(const qr_onnx_tensor *tensor, size_t from, size_t count, float *out) {
    if (tensor->floats != NULL)
        memcpy(out, tensor->floats + from, count * sizeof *out);
    else if (tensor->longs != NULL)
        for (size_t i = 0; i < count; i++)
            out[i] = (float)tensor->longs[from + i];
    else if (tensor->type == QR_ONNX_INT8)
        for (size_t i = 0; i < count; i++)
            out[i] = (int8_t)tensor->bytes[from + i];
    else
        for (size_t i = 0; i < count; i++)
            out[i] = tensor->bytes[from + i];
}

void qr_onnx_set_int(qr_onnx_tensor *tensor, size_t at, int64_t value) {
    switch (tensor->type) {
    case QR_ONNX_BOOL:
        qr_onnx_bytes(tensor)[at] = value != 0;
        return;
    case QR_ONNX_UINT8:
    case QR_ONNX_INT8:
        qr_onnx_bytes(tensor)[at] = (uint8_t)value;
        return;
    case QR_ONNX_UINT16:
        value = (uint16_t)value;
        break;
    case QR_ONNX_INT16:
        value = (int16_t)value;
        break;
    case QR_ONNX_INT32:
        value = (int32_t)value;
        break;
    case QR_ONNX_UINT32:
        value = (uint32_t)value;
        break;
    default:
        break;
    }
    qr_onnx_longs(tensor)[at] = value;
}

/* The bits above the lowest `drop` of them, rounded to even; what overflows becomes infinite. */
static float drop_bits(float x, unsigned drop) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    const uint32_t odd = (bits >> drop) & 1;
    bits += (1u << (drop - 1)) - 1 + odd;
    bits &= ~((1u << drop) - 1);
    memcpy(&x, &bits, sizeof x);
    return x;
}

static float round_to_half(float x) {
    const float size = fabsf(x);
    if (size >= 65520.0f) /* halfway from the greatest half to the next */
        return copysignf(INFINITY, x);
    if (size < 0x1p-14f) /* subnormal halves are multiples of 2^-24 */
        return copysignf(rintf(size * 0x1p24f) * 0x1p-24f, x);
    return drop_bits(x, 13);
}

float qr_onnx_round(qr_onnx_type type, float x) {
    if (isnan(x) || isinf(x))
        return x;
    if (type == QR_ONNX_FLOAT16)
        return round_to_half(x);
    if (type == QR_ONNX_BFLOAT16)
        return drop_bits(x, 16);
    return x;
}

void qr_onnx_shape_text(const qr_onnx_tensor *tensor, char out[128]) {
    size_t used = 1;
    out[0] = '[';
    for (size_t i = 0; i < tensor->rank && used < 100; i++)
        used += (size_t)snprintf(out + used, 128 - used, i > 0 ? ", %zu" : "%zu", tensor->shape[i]);
    snprintf(out + qr_min(used, 126), 2, "]");
}
