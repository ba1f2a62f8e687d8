/* engine/model/safetensors_json.c: the header's rules, one function a rule or two
 * (RELIABILITY.md B4, docs/MODELS.md).
 *
 * Everything in the header comes from outside: every number is range-checked before it is used,
 * every sum and product is checked, and the message names the file, the tensor and the rule that
 * was broken.
 */
#include "engine/model/safetensors.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *name;
    size_t bytes;
    qr__dtype dtype;
} dtypes[] = {
    {"F32", 4, QR__F32},
    {"F16", 2, QR__F16},
    {"BF16", 2, QR__BF16},
    {"F64", 8, QR__DTYPE_OTHER},
    {"I64", 8, QR__DTYPE_OTHER},
    {"U64", 8, QR__DTYPE_OTHER},
    {"I32", 4, QR__DTYPE_OTHER},
    {"U32", 4, QR__DTYPE_OTHER},
    {"I16", 2, QR__DTYPE_OTHER},
    {"U16", 2, QR__DTYPE_OTHER},
    {"I8", 1, QR__DTYPE_OTHER},
    {"U8", 1, QR__DTYPE_OTHER},
    {"BOOL", 1, QR__DTYPE_OTHER},
    {"F8_E4M3", 1, QR__DTYPE_OTHER},
    {"F8_E5M2", 1, QR__DTYPE_OTHER},
};

/* One tensor's entry and where it stands, for messages. */
typedef struct entry {
    const char *path;
    const json_t *json;
    qr__tensor *tensor;
    qr_error *error;
} entry;

/* The one form of a complaint about a tensor: file, name, reason. */
static qr_status refuse(const entry *e, const char *reason) {
    return qr_error_set(e->error, QR_BAD_MODEL, "%s: tensor `%s`: %s", e->path, e->tensor->name,
                        reason);
}

static bool size_of_json(const json_t *value, size_t max, size_t *out) {
    json_int_t number = json_integer_value(value);
    if (!json_is_integer(value) || number < 0 || (uintmax_t)number > max)
        return false;
    *out = (size_t)number;
    return true;
}

static bool name_is_plain(const char *name) {
    size_t len = strlen(name);
    if (len == 0 || len > QR__TENSOR_NAME_MAX)
        return false;
    for (size_t i = 0; i < len; i++) /* control characters would forge lines of the log */
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7f)
            return false;
    return true;
}

static qr_status read_dtype(const entry *e, size_t *element_bytes) {
    const char *name = json_string_value(json_object_get(e->json, "dtype"));
    for (size_t i = 0; name != NULL && i < sizeof dtypes / sizeof dtypes[0]; i++) {
        if (strcmp(name, dtypes[i].name) == 0) {
            e->tensor->dtype = dtypes[i].dtype;
            e->tensor->dtype_name = dtypes[i].name;
            *element_bytes = dtypes[i].bytes;
            return QR_OK;
        }
    }
    return refuse(e, "`dtype` is missing or none of safetensors' types");
}

static qr_status read_shape(const entry *e, size_t *elements) {
    const json_t *shape = json_object_get(e->json, "shape");
    qr__tensor *tensor = e->tensor;
    tensor->rank = json_array_size(shape);
    if (!json_is_array(shape) || tensor->rank > QR__TENSOR_RANK_MAX)
        return refuse(e, "`shape` is not a list of at most 4 sizes");
    *elements = 1;
    for (size_t i = 0; i < tensor->rank; i++) {
        if (!size_of_json(json_array_get(shape, i), (size_t)1 << 31, &tensor->shape[i]))
            return refuse(e, "a size of `shape` is not an integer from 0 to 2^31");
        if (!qr_checked_mul(*elements, tensor->shape[i], elements))
            return refuse(e, "the product of `shape` overflows");
    }
    return QR_OK;
}

static qr_status read_offsets(const entry *e, size_t data_bytes) {
    const json_t *offsets = json_object_get(e->json, "data_offsets");
    qr__tensor *tensor = e->tensor;
    size_t end = 0;
    if (!json_is_array(offsets) || json_array_size(offsets) != 2 ||
        !size_of_json(json_array_get(offsets, 0), SIZE_MAX / 2, &tensor->begin) ||
        !size_of_json(json_array_get(offsets, 1), SIZE_MAX / 2, &end))
        return refuse(e, "`data_offsets` is not a pair of byte offsets");
    if (end < tensor->begin)
        return refuse(e, "`data_offsets` ends before it begins");
    if (end > data_bytes)
        return refuse(e, "`data_offsets` leads outside the file (is it truncated?)");
    tensor->bytes = end - tensor->begin;
    return QR_OK;
}

/* In an order in which each check makes the next one safe: name, types, shape, offsets, and
 * then that they agree. */
static qr_status read_entry(const entry *e, size_t data_bytes) {
    size_t element_bytes = 0;
    size_t elements = 0;
    size_t bytes = 0;
    if (!name_is_plain(e->tensor->name)) {
        e->tensor->name = "(not printable)";
        return refuse(e, "its name is empty, too long or has control characters");
    }
    if (!json_is_object(e->json))
        return refuse(e, "its entry is not an object of `dtype`, `shape` and `data_offsets`");
    qr_status status = read_dtype(e, &element_bytes);
    if (status == QR_OK)
        status = read_shape(e, &elements);
    if (status == QR_OK)
        status = read_offsets(e, data_bytes);
    if (status != QR_OK)
        return status;
    if (!qr_checked_mul(elements, element_bytes, &bytes))
        return refuse(e, "the product of `shape` overflows");
    if (bytes != e->tensor->bytes)
        return refuse(e, "`data_offsets` does not span the bytes that `shape` and `dtype` need");
    return QR_OK;
}

/* We need nothing of it, but the format says texts only, and a reader that lets more pass
 * would hide a damaged file. */
static qr_status check_metadata(const char *path, const json_t *metadata, qr_error *error) {
    const char *key;
    json_t *value;
    bool good = json_is_object(metadata);
    json_object_foreach((json_t *)(uintptr_t)metadata, key, value) good =
        good && json_is_string(value);
    if (good)
        return QR_OK;
    return qr_error_set(error, QR_BAD_MODEL, "%s: `__metadata__` is not an object of texts", path);
}

static int by_begin(const void *a, const void *b) {
    const qr__tensor *x = a;
    const qr__tensor *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return x->bytes < y->bytes ? -1 : x->bytes > y->bytes; /* empty tensors first */
}

static int by_name(const void *a, const void *b) {
    return strcmp(((const qr__tensor *)a)->name, ((const qr__tensor *)b)->name);
}

/* Offsets are contiguous from 0 to the file's end: no byte belongs to two tensors or to none. */
static qr_status check_coverage(const char *path, qr__tensors *tensors, size_t data_bytes,
                                qr_error *error) {
    size_t at = 0;
    qsort(tensors->items, tensors->count, sizeof *tensors->items, by_begin);
    for (size_t i = 0; i < tensors->count; i++) {
        entry e = {path, NULL, &tensors->items[i], error};
        if (tensors->items[i].begin < at)
            return refuse(&e, "its data overlaps another tensor's");
        if (tensors->items[i].begin > at)
            return refuse(&e, "there is a hole before its data");
        at += tensors->items[i].bytes;
    }
    if (at != data_bytes)
        return qr_error_set(error, QR_BAD_MODEL,
                            "%s: the tensors take %zu bytes of data, the file has %zu (truncated, "
                            "or bytes appended)",
                            path, at, data_bytes);
    return QR_OK;
}

static qr_status read_entries(const char *path, json_t *root, size_t data_bytes, qr__tensors *out,
                              qr_error *error) {
    const char *key;
    json_t *value;
    json_object_foreach(root, key, value) {
        qr_status status = QR_OK;
        if (strcmp(key, "__metadata__") == 0) {
            status = check_metadata(path, value, error);
        } else {
            entry e = {path, value, &out->items[out->count++], error};
            e.tensor->name = key;
            status = read_entry(&e, data_bytes);
        }
        if (status != QR_OK)
            return status;
    }
    return check_coverage(path, out, data_bytes, error);
}

/* The text before the fault says which tensor it is in. */
static qr_status refuse_json(const char *path, const char *header, size_t header_bytes,
                             const json_error_t *at, qr_error *error) {
    char before[101];
    size_t end = at->position < 0 ? 0 : qr_min((size_t)at->position, header_bytes);
    size_t len = qr_min(end, sizeof before - 1);
    for (size_t i = 0; i < len; i++) {
        char byte = header[end - len + i];
        before[i] = byte < 0x20 || byte > 0x7e ? '?' : byte;
    }
    before[len] = '\0';
    return qr_error_set(error, QR_BAD_MODEL,
                        "%s: the header is not valid JSON: %s (byte %zu, after `%s`)", path,
                        at->text, end, before);
}

/* The parser is told nothing but the header, and the header was bounded before; duplicates are
 * refused by it. */
qr_status qr__tensors_parse(const char *path, const char *header, size_t header_bytes,
                            size_t data_bytes, qr__tensors *out, qr_error *error) {
    json_error_t at;
    *out = (qr__tensors){0};
    if (header_bytes == 0 || header[0] != '{' || !qr_utf8_valid((qr_text){header, header_bytes}))
        return qr_error_set(
            error, QR_BAD_MODEL,
            "%s: the header is not UTF-8 text that starts with `{` (is it a safetensors file?)",
            path);
    json_t *root;
    qr_status status =
        qr_json_parse((qr_text){header, header_bytes}, JSON_REJECT_DUPLICATES, &root, &at);
    if (status == QR_NO_MEMORY)
        return qr_error_set(error, status, "%s: no memory for the header", path);
    if (status != QR_OK)
        return refuse_json(path, header, header_bytes, &at, error);
    out->json = root;
    out->items = calloc(json_object_size(root) + 1, sizeof *out->items);
    status = out->items == NULL
                 ? qr_error_set(error, QR_NO_MEMORY, "%s: no memory for the header", path)
                 : read_entries(path, root, data_bytes, out, error);
    if (status != QR_OK) {
        qr__tensors_deinit(out);
        return status;
    }
    qsort(out->items, out->count, sizeof *out->items, by_name);
    return QR_OK;
}

const qr__tensor *qr__tensors_find(const qr__tensors *tensors, const char *name) {
    qr__tensor wanted = {.name = name};
    return bsearch(&wanted, tensors->items, tensors->count, sizeof *tensors->items, by_name);
}

void qr__tensors_deinit(qr__tensors *tensors) {
    free(tensors->items);
    json_decref(tensors->json);
    *tensors = (qr__tensors){0};
}

void qr__tensor_shape_text(const qr__tensor *tensor, char out[96]) {
    size_t at = 0;
    out[at++] = '[';
    for (size_t i = 0; i < tensor->rank; i++)
        at += (size_t)snprintf(out + at, 96 - at, "%s%zu", i == 0 ? "" : ", ", tensor->shape[i]);
    snprintf(out + at, 96 - at, "]");
}
