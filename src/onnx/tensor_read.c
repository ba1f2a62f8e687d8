/* onnx/tensor_read.c: a tensor of the file as numbers in one of the three ways that we hold them.
 *
 * A file keeps numbers in one of three places: raw bytes (little-endian, as the machine is), a
 * typed field, or a file beside it. What is laid out as we hold it is borrowed; the rest is copied.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "onnx/reader.h"

/* A tensor on its way: where it is for messages, and what its head says. */
typedef struct source {
    qr__onnx_reader *r;
    const char *where;
    const Onnx__TensorProto *from;
    qr_onnx_tensor head; /* type, shape, count; no numbers */
    size_t number_bytes; /* of one, in raw data */
} source;

/* 0: a type that is not held. */
static size_t bytes_of(int type) {
    switch (type) {
    case QR_ONNX_UINT8:
    case QR_ONNX_INT8:
    case QR_ONNX_BOOL:
        return 1;
    case QR_ONNX_UINT16:
    case QR_ONNX_INT16:
    case QR_ONNX_FLOAT16:
    case QR_ONNX_BFLOAT16:
        return 2;
    case QR_ONNX_FLOAT:
    case QR_ONNX_INT32:
    case QR_ONNX_UINT32:
        return 4;
    case QR_ONNX_INT64:
    case QR_ONNX_UINT64:
    case QR_ONNX_DOUBLE:
        return 8;
    default:
        return 0;
    }
}

void qr__onnx_type_text(int type, char out[48]) {
    static const char *const newer[] = {
        "complex64",  "complex128",     "",      "float8e4m3fn", "float8e4m3fnuz",
        "float8e5m2", "float8e5m2fnuz", "uint4", "int4",         "float4e2m1",
        "float8e8m0", "uint2",          "int2",
    };
    const char *name = bytes_of(type) != 0 || type == QR_ONNX_STRING
                           ? qr_onnx_type_name((qr_onnx_type)type)
                           : "a type that is not known";
    if (type >= 14 && type < 14 + (int)(sizeof newer / sizeof newer[0]) && type != QR_ONNX_BFLOAT16)
        name = newer[type - 14];
    snprintf(out, 48, "%s (%d)", name, type);
}

static qr_status read_head(source *s) {
    const Onnx__TensorProto *from = s->from;
    qr_onnx_tensor *head = &s->head;
    size_t product = 1;
    bool empty = false;
    *head = (qr_onnx_tensor){.type = (qr_onnx_type)from->data_type, .rank = from->n_dims};
    if (from->n_dims > QR_ONNX_RANK_MAX)
        return qr__onnx_refuse(s->r, s->where, "it has %zu axes, more than %d", from->n_dims,
                               QR_ONNX_RANK_MAX);
    for (size_t i = 0; i < from->n_dims; i++) {
        if (from->dims[i] < 0)
            return qr__onnx_refuse(s->r, s->where, "its axis %zu has the length %jd", i,
                                   (intmax_t)from->dims[i]);
        head->shape[i] = (size_t)from->dims[i];
        empty = empty || head->shape[i] == 0; /* does not excuse the others */
        if ((head->shape[i] != 0 && !qr_checked_mul(product, head->shape[i], &product)) ||
            product > QR_LIMIT_ONNX_NUMBERS)
            return qr__onnx_refuse(s->r, s->where, "it has more than %u numbers",
                                   QR_LIMIT_ONNX_NUMBERS);
    }
    head->count = empty ? 0 : product;
    s->number_bytes = bytes_of(from->data_type);
    return QR_OK;
}

/* A tensor whose numbers are `data`, which is `owned` or borrowed from the file. */
static qr_status wrap(const source *s, const void *data, void *owned, qr_onnx_tensor **out) {
    qr_onnx_tensor *tensor = malloc(sizeof *tensor);
    if (tensor == NULL) {
        free(owned);
        return qr__onnx_no_memory(s->r);
    }
    *tensor = s->head;
    tensor->refs = 1;
    tensor->owned = owned;
    if (qr_onnx_is_float(tensor->type))
        tensor->floats = data;
    else if (qr_onnx_is_bytes(tensor->type))
        tensor->bytes = data;
    else
        tensor->longs = data;
    *out = tensor;
    return QR_OK;
}

static qr_status create(const source *s, qr_onnx_tensor **out) {
    *out = qr_onnx_tensor_create(s->head.type, s->head.rank, s->head.shape);
    return *out == NULL ? qr__onnx_no_memory(s->r) : QR_OK;
}

static float float_of_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static float float_of_half(uint16_t half) {
    const uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    const uint32_t exponent = (half >> 10) & 0x1f;
    const uint32_t fraction = half & 0x3ff;
    if (exponent == 0) /* in units of 2^-24 */
        return copysignf(ldexpf((float)fraction, -24), float_of_bits(sign));
    const uint32_t high = exponent == 31 ? 255 : exponent + 112;
    return float_of_bits(sign | high << 23 | fraction << 13);
}

/* Number `at` of raw data, which may lie anywhere. */
#define LOAD(type, name)                                                                           \
    type name;                                                                                     \
    memcpy(&name, raw + at * sizeof name, sizeof name)

static float float_at(qr_onnx_type type, const uint8_t *raw, size_t at) {
    if (type == QR_ONNX_DOUBLE) {
        LOAD(double, x);
        return (float)x;
    }
    if (type == QR_ONNX_FLOAT) {
        LOAD(float, x);
        return x;
    }
    LOAD(uint16_t, half);
    return type == QR_ONNX_FLOAT16 ? float_of_half(half) : float_of_bits((uint32_t)half << 16);
}

static int64_t long_at(qr_onnx_type type, const uint8_t *raw, size_t at) {
    if (type == QR_ONNX_UINT16 || type == QR_ONNX_INT16) {
        LOAD(uint16_t, x);
        return type == QR_ONNX_INT16 ? (int64_t)(int16_t)x : (int64_t)x;
    }
    if (type == QR_ONNX_UINT32 || type == QR_ONNX_INT32) {
        LOAD(uint32_t, x);
        return type == QR_ONNX_INT32 ? (int64_t)(int32_t)x : (int64_t)x;
    }
    LOAD(int64_t, x);
    return x;
}

#undef LOAD

/* Numbers that we hold in another form. */
static qr_status convert_raw(const source *s, const uint8_t *raw, qr_onnx_tensor **out) {
    const qr_status status = create(s, out);
    if (status != QR_OK)
        return status;
    const bool is_float = qr_onnx_is_float(s->head.type);
    for (size_t i = 0; i < s->head.count; i++) {
        if (is_float)
            qr_onnx_floats(*out)[i] = float_at(s->head.type, raw, i);
        else
            qr_onnx_longs(*out)[i] = long_at(s->head.type, raw, i);
    }
    return QR_OK;
}

/* Raw bytes, already held against the shape; `owned`: they are ours to keep or to free. */
static qr_status read_raw(const source *s, const uint8_t *raw, uint8_t *owned,
                          qr_onnx_tensor **out) {
    const qr_onnx_type type = s->head.type;
    const size_t held = qr_onnx_is_float(type)   ? sizeof(float)
                        : qr_onnx_is_bytes(type) ? 1
                                                 : sizeof(int64_t);
    bool good = true;
    for (size_t i = 0; type == QR_ONNX_BOOL && i < s->head.count; i++)
        good = good && raw[i] <= 1;
    if (!good) {
        free(owned);
        return qr__onnx_refuse(s->r, s->where, "it has a bool that is neither 0 nor 1");
    }
    if (held == s->number_bytes && (uintptr_t)raw % held == 0)
        return wrap(s, raw, owned, out);
    const qr_status status = convert_raw(s, raw, out);
    free(owned);
    return status;
}

static bool fits(qr_onnx_type type, int32_t x) {
    switch (type) {
    case QR_ONNX_BOOL:
        return x == 0 || x == 1;
    case QR_ONNX_INT8:
        return x >= INT8_MIN && x <= INT8_MAX;
    case QR_ONNX_UINT8:
        return x >= 0 && x <= UINT8_MAX;
    case QR_ONNX_INT16:
        return x >= INT16_MIN && x <= INT16_MAX;
    case QR_ONNX_INT32:
        return true;
    default: /* uint16, and the bits of float16 and bfloat16 */
        return x >= 0 && x <= UINT16_MAX;
    }
}

/* The field `int32_data`: all small types. */
static qr_status read_ints(const source *s, qr_onnx_tensor **out) {
    const qr_onnx_type type = s->head.type;
    qr_status status = create(s, out);
    for (size_t i = 0; status == QR_OK && i < s->head.count; i++) {
        const int32_t x = s->from->int32_data[i];
        if (!fits(type, x))
            status = qr__onnx_refuse(s->r, s->where, "its number %d is none of type %s", (int)x,
                                     qr_onnx_type_name(type));
        else if (type == QR_ONNX_FLOAT16)
            qr_onnx_floats(*out)[i] = float_of_half((uint16_t)x);
        else if (type == QR_ONNX_BFLOAT16)
            qr_onnx_floats(*out)[i] = float_of_bits((uint32_t)x << 16);
        else
            qr_onnx_set_int(*out, i, x);
    }
    if (status != QR_OK) {
        qr_onnx_tensor_destroy(*out);
        *out = NULL;
    }
    return status;
}

/* The typed field that a type's numbers stand in, as raw numbers. *count: how many it has. */
static const void *typed_field(const Onnx__TensorProto *from, size_t *count) {
    switch (from->data_type) {
    case QR_ONNX_FLOAT:
        *count = from->n_float_data;
        return from->float_data;
    case QR_ONNX_DOUBLE:
        *count = from->n_double_data;
        return from->double_data;
    case QR_ONNX_INT64:
        *count = from->n_int64_data;
        return from->int64_data;
    case QR_ONNX_UINT32:
    case QR_ONNX_UINT64:
        *count = from->n_uint64_data;
        return from->uint64_data;
    default:
        *count = from->n_int32_data;
        return from->int32_data;
    }
}

static qr_status read_typed(const source *s, qr_onnx_tensor **out) {
    size_t count;
    const void *numbers = typed_field(s->from, &count);
    if (count != s->head.count)
        return qr__onnx_refuse(s->r, s->where, "it has %zu numbers of type %s, its shape needs %zu",
                               count, qr_onnx_type_name(s->head.type), s->head.count);
    if (count == 0)
        return create(s, out);
    if (s->head.type == QR_ONNX_FLOAT || s->head.type == QR_ONNX_INT64 ||
        s->head.type == QR_ONNX_UINT64)
        return wrap(s, numbers, NULL, out);
    if (s->head.type == QR_ONNX_DOUBLE)
        return convert_raw(s, numbers, out);
    if (s->head.type != QR_ONNX_UINT32)
        return read_ints(s, out);
    qr_status status = create(s, out);
    for (size_t i = 0; status == QR_OK && i < count; i++) {
        if (s->from->uint64_data[i] > UINT32_MAX)
            status = qr__onnx_refuse(s->r, s->where, "its number %ju is none of type uint32",
                                     (uintmax_t)s->from->uint64_data[i]);
        else
            qr_onnx_longs(*out)[i] = (int64_t)s->from->uint64_data[i];
    }
    if (status != QR_OK) {
        qr_onnx_tensor_destroy(*out);
        *out = NULL;
    }
    return status;
}

/* Its numbers stand in one place only: two would let two readers see two models. */
static qr_status check_places(const source *s, bool external) {
    const Onnx__TensorProto *from = s->from;
    const size_t places = (size_t)external + (from->has_raw_data && from->raw_data.len > 0) +
                          (from->n_float_data > 0) + (from->n_int32_data > 0) +
                          (from->n_int64_data > 0) + (from->n_uint64_data > 0) +
                          (from->n_double_data > 0) + (from->n_string_data > 0);
    if (from->segment != NULL)
        return qr__onnx_refuse(s->r, s->where, "it is a segment of a tensor");
    if (places > 1)
        return qr__onnx_refuse(s->r, s->where, "it has its numbers in more than one place");
    return QR_OK;
}

qr_status qr__onnx_tensor_read(qr__onnx_reader *r, const char *where, const Onnx__TensorProto *from,
                               qr_onnx_tensor **out) {
    source s = {.r = r, .where = where, .from = from};
    const bool external = from->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
    *out = NULL;
    if (bytes_of(from->data_type) == 0)
        return QR_OK;
    qr_status status = read_head(&s);
    if (status == QR_OK)
        status = check_places(&s, external);
    if (status != QR_OK)
        return status;
    const size_t bytes = s.head.count * s.number_bytes; /* below 2^34 */
    if (external) {
        uint8_t *data = NULL;
        status = qr__onnx_external_read(r, where, from, bytes, &data);
        return status == QR_OK ? read_raw(&s, data, data, out) : status;
    }
    if (!from->has_raw_data || (from->raw_data.len == 0 && s.head.count > 0))
        return read_typed(&s, out);
    if (from->raw_data.len != bytes)
        return qr__onnx_refuse(r, where, "it has %zu bytes, its shape and type (%s) need %zu",
                               from->raw_data.len, qr_onnx_type_name(s.head.type), bytes);
    return bytes == 0 ? create(&s, out) : read_raw(&s, from->raw_data.data, NULL, out);
}
