/* server/api/oip/oip_tensor.c: names, types, shapes and sizes of tensors, then their elements. */
#include "server/api/oip/oip_tensor.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "binary tensors are little-endian");

#define TEXTS_SHAPE  "a list of one number, how many texts, or of two, the second being 1"
#define IDS_SHAPE    "a list of two numbers, how many inputs and how many tokens each has"
#define DATA_MUST    "a list of as many elements as `shape` says, nested as it says or flat"
#define PREFIX_BYTES sizeof(uint32_t) /* of a text's length */

static qr_status must(qr__call *call, const qr__oip_tensor *tensor, const char *field,
                      const char *what) {
    return qr__call_must(call, &(qr_place){.parent = tensor->name, .field = field}, what);
}

/* What it says of itself */

static qr_status read_datatype(qr__call *call, const qr__value *input, bool texts,
                               qr__oip_tensor *out) {
    qr_text datatype = qr__value_text(qr__value_get(input, "datatype"));
    if (texts)
        return qr_text_is(datatype, "BYTES") ? QR_OK : must(call, out, "datatype", "\"BYTES\"");
    if (qr_text_is(datatype, "INT64"))
        out->value_bytes = sizeof(int64_t);
    else if (qr_text_is(datatype, "INT32"))
        out->value_bytes = sizeof(int32_t);
    else
        return must(call, out, "datatype", "\"INT64\" or \"INT32\"");
    return QR_OK;
}

static qr_status read_shape(qr__call *call, const qr__value *input, bool texts,
                            qr__oip_tensor *out) {
    const qr__value *shape = qr__value_get(input, "shape");
    const char *what = texts ? TEXTS_SHAPE : IDS_SHAPE;
    size_t most = call->api->options.max_inputs;
    out->rank = qr__value_len(shape);
    if (out->rank > QR__OIP_RANK || out->rank < (texts ? 1u : 2u))
        return must(call, out, "shape", what);
    out->len = 1;
    for (size_t i = 0; i < out->rank; i++)
        if (!qr__value_number(qr__value_at(shape, i), 0, SIZE_MAX, &out->shape[i]) ||
            !qr_checked_mul(out->len, out->shape[i], &out->len))
            return must(call, out, "shape", what);
    if (texts && out->rank == 2 && out->shape[1] != 1)
        return must(call, out, "shape", what);
    if (out->shape[0] > most) {
        call->exchange->fault = (qr_fault){.limit = most, .given = out->shape[0]};
        return QR_TOO_MANY;
    }
    return QR_OK;
}

/* Where its elements are */

static qr_status read_json(qr__call *call, const qr__value *data, qr__oip_tensor *out) {
    size_t rows = qr__value_len(data);
    out->data = data;
    if (qr__value_kind_of(data) != QR__VALUE_ARRAY)
        return must(call, out, "data", DATA_MUST);
    out->nested = out->rank == 2 && qr__value_kind_of(qr__value_at(data, 0)) == QR__VALUE_ARRAY;
    if (rows != (out->nested ? out->shape[0] : out->len))
        return must(call, out, "data", DATA_MUST);
    for (size_t i = 0; out->nested && i < rows; i++) {
        const qr__value *row = qr__value_at(data, i);
        if (qr__value_kind_of(row) != QR__VALUE_ARRAY || qr__value_len(row) != out->shape[1])
            return must(call, out, "data", DATA_MUST);
    }
    return QR_OK;
}

/* The next bytes of the body behind its JSON, from *at on. */
static qr_status take_binary(qr__call *call, const qr__value *size, size_t *at,
                             qr__oip_tensor *out) {
    const qr_place place = {.parent = out->name, .field = "binary_data_size"};
    const qr_buf *body = &call->exchange->body;
    size_t bytes, needed = 0;
    if (!qr__value_number(size, 0, body->len - *at, &bytes))
        return qr__call_must_within(call, &place,
                                    "the number of bytes that it has behind the body's JSON", 0,
                                    body->len - *at);
    bool fits = out->value_bytes == 0
                    ? qr_checked_mul(out->len, PREFIX_BYTES, &needed) && bytes >= needed
                    : qr_checked_mul(out->len, out->value_bytes, &needed) && bytes == needed;
    if (!fits)
        return qr__call_must(call, &place, "what a tensor of this shape takes");
    out->binary = (qr_text){body->data + *at, bytes};
    *at += bytes;
    return QR_OK;
}

static qr_status find_elements(qr__call *call, const qr__value *input, size_t *at,
                               qr__oip_tensor *out) {
    const qr__value *data = qr__value_get(input, "data");
    const qr__value *size = qr__value_get(qr__value_get(input, "parameters"), "binary_data_size");
    if (size == NULL)
        return data == NULL ? must(call, out, "data", NULL) : read_json(call, data, out);
    if (data != NULL)
        return must(call, out, "data", "left out beside `binary_data_size`");
    return take_binary(call, size, at, out);
}

static const qr__oip_input *find_input(const qr__oip_signature *signature, qr_text name,
                                       const char **called) {
    for (size_t i = 0; i < signature->inputs_len; i++) {
        const qr__oip_input *input = &signature->inputs[i];
        *called = qr_text_is(name, input->name) ? input->name : input->alias;
        if (name.data != NULL && *called != NULL && qr_text_is(name, *called))
            return input;
    }
    return NULL;
}

static qr_status read_input(qr__call *call, const qr__oip_signature *signature,
                            const qr__value *value, size_t index, size_t *at, qr__oip_inputs *out) {
    const char *name;
    const qr__oip_input *input =
        find_input(signature, qr__value_text(qr__value_get(value, "name")), &name);
    if (input == NULL || out->of[input->role].name != NULL)
        return qr__call_must(call, &(qr_place){.field = "inputs", .index = {index}, .depth = 1},
                             signature->known);
    bool texts = input->role < QR__OIP_IDS;
    qr__oip_tensor *tensor = &out->of[input->role];
    tensor->name = name;
    qr_status status = read_datatype(call, value, texts, tensor);
    if (status == QR_OK)
        status = read_shape(call, value, texts, tensor);
    return status == QR_OK ? find_elements(call, value, at, tensor) : status;
}

/* Texts or ids, and all that they need. */
static bool is_complete(const qr__oip_signature *signature, const qr__oip_inputs *inputs) {
    bool first = inputs->of[QR__OIP_FIRST].name != NULL;
    bool second = inputs->of[QR__OIP_SECOND].name != NULL;
    bool ids = inputs->of[QR__OIP_IDS].name != NULL;
    bool beside_ids =
        inputs->of[QR__OIP_MASK].name != NULL || inputs->of[QR__OIP_TYPES].name != NULL;
    if (ids)
        return !first && !second;
    return first && (second || !signature->pairs) && !beside_ids;
}

qr_status qr__oip_inputs_read(qr__call *call, const qr__oip_signature *signature,
                              qr__oip_inputs *out) {
    static const qr_place place = {.field = "inputs"}, whole = {0};
    const qr_exchange *x = call->exchange;
    const qr__value *inputs = qr__value_get(call->body, "inputs");
    size_t at = x->json_bytes > 0 ? x->json_bytes : x->body.len;
    *out = (qr__oip_inputs){0};
    if (qr__value_kind_of(inputs) != QR__VALUE_ARRAY)
        return qr__call_must(call, &place, "a list of tensors");
    qr_status status = QR_OK;
    for (size_t i = 0; status == QR_OK && i < qr__value_len(inputs); i++)
        status = read_input(call, signature, qr__value_at(inputs, i), i, &at, out);
    if (status != QR_OK)
        return status;
    if (!is_complete(signature, out))
        return qr__call_must(call, &place, signature->needs);
    return at == x->body.len
               ? QR_OK
               : qr__call_must(call, &whole, "the JSON and its binary tensors, and end with them");
}

/* Elements */

static const qr__value *json_element(const qr__oip_tensor *tensor, size_t index) {
    if (!tensor->nested)
        return qr__value_at(tensor->data, index);
    size_t row = index / tensor->shape[1];
    return qr__value_at(qr__value_at(tensor->data, row), index % tensor->shape[1]);
}

static qr_status bad_element(qr__call *call, const qr__oip_tensor *tensor, size_t index,
                             const char *what) {
    const qr_place place = {.parent = tensor->name, .field = "data", .index = {index}, .depth = 1};
    return qr__call_must(call, &place, what);
}

/* The text behind its length, from *at on; data is NULL when it does not end within the tensor. */
static qr_text take_text(const qr__oip_tensor *tensor, size_t *at) {
    uint32_t len;
    size_t rest = tensor->binary.len - *at;
    if (rest < PREFIX_BYTES)
        return (qr_text){0};
    memcpy(&len, tensor->binary.data + *at, sizeof len);
    if (len > rest - PREFIX_BYTES)
        return (qr_text){0};
    const char *text = tensor->binary.data + *at + PREFIX_BYTES;
    *at += PREFIX_BYTES + len;
    return (qr_text){text, len};
}

qr_status qr__oip_tensor_texts(qr__call *call, const qr__oip_tensor *tensor, const qr_text **out) {
    bool binary = tensor->data == NULL;
    qr_text *texts = qr_arena_array(&call->exchange->arena, tensor->len, sizeof *texts);
    *out = texts;
    if (texts == NULL)
        return QR_NO_MEMORY;
    size_t at = 0;
    for (size_t i = 0; i < tensor->len; i++) {
        texts[i] = binary ? take_text(tensor, &at) : qr__value_text(json_element(tensor, i));
        if (texts[i].data == NULL)
            return bad_element(call, tensor, i,
                               binary ? "a text behind its length, within the tensor" : "a text");
        if (binary && !qr_utf8_valid(texts[i]))
            return bad_element(call, tensor, i, "a text in UTF-8");
    }
    if (at < tensor->binary.len)
        return must(call, tensor, "binary_data_size", "what its texts and their lengths take");
    return QR_OK;
}

static bool binary_integer(const qr__oip_tensor *tensor, size_t index, size_t most, size_t *out) {
    const char *from = tensor->binary.data + index * tensor->value_bytes;
    int32_t narrow;
    int64_t wide;
    if (tensor->value_bytes == sizeof narrow) {
        memcpy(&narrow, from, sizeof narrow);
        wide = narrow;
    } else {
        memcpy(&wide, from, sizeof wide);
    }
    *out = (size_t)wide;
    return wide >= 0 && *out <= most;
}

qr_status qr__oip_tensor_integers(qr__call *call, const qr__oip_tensor *tensor, const int32_t *mask,
                                  const char *what, size_t most, const int32_t **out) {
    int32_t *integers = qr_arena_array(&call->exchange->arena, tensor->len, sizeof *integers);
    *out = integers;
    if (integers == NULL)
        return QR_NO_MEMORY;
    for (size_t i = 0; i < tensor->len; i++) {
        size_t integer;
        if (mask != NULL && mask[i] == 0)
            continue;
        if (!(tensor->data == NULL ? binary_integer(tensor, i, most, &integer)
                                   : qr__value_number(json_element(tensor, i), 0, most, &integer)))
            return qr__call_must_within(
                call,
                &(qr_place){.parent = tensor->name, .field = "data", .index = {i}, .depth = 1},
                what, 0, most);
        integers[i] = (int32_t)integer;
    }
    return QR_OK;
}
