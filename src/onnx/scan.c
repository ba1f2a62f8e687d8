/* onnx/scan.c: a flat pass over protobuf's wire format.
 *
 * protobuf-c unpacks by recursion, and makes a struct of a hundred bytes of a submessage of two:
 * what nests too deep or would take too much is found here, where neither costs anything. The
 * schema is protobuf-c's own descriptors, so the scan follows what the unpacking will follow. What
 * the schema does not know is skipped, as protobuf-c skips it.
 */
#include "onnx/scan.h"

#include <stdarg.h>
#include <stdio.h>

/* What protobuf-c 1.4 allocates for a field at most: 64 bytes to remember it while its message is
 * read (32, in slabs that double), a pointer, a record of an unknown one (24), a malloc's rest. */
#define FIELD_BYTES 128u

__attribute__((format(printf, 2, 3))) static qr_status refuse(const qr__onnx_scan *s,
                                                              const char *format, ...) {
    char why[256];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    return qr_error_set(s->error, QR_BAD_MODEL,
                        "%s: byte %zu, in %s: %s (is it an ONNX file, and whole?)", s->path, s->at,
                        s->levels[s->depth - 1].message->short_name, why);
}

/* A number of at most ten bytes that ends before `end`. */
static bool read_varint(qr__onnx_scan *s, size_t end, uint64_t *out) {
    *out = 0;
    for (unsigned shift = 0; shift < 70 && s->at < end; shift += 7) {
        const uint8_t byte = s->bytes[s->at++];
        *out |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0)
            return true;
    }
    return false;
}

/* The wire type of one value of the field. */
static unsigned wire_of(const ProtobufCFieldDescriptor *field) {
    switch (field->type) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
    case PROTOBUF_C_TYPE_MESSAGE:
        return PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
    case PROTOBUF_C_TYPE_FLOAT:
    case PROTOBUF_C_TYPE_FIXED32:
    case PROTOBUF_C_TYPE_SFIXED32:
        return PROTOBUF_C_WIRE_TYPE_32BIT;
    case PROTOBUF_C_TYPE_DOUBLE:
    case PROTOBUF_C_TYPE_FIXED64:
    case PROTOBUF_C_TYPE_SFIXED64:
        return PROTOBUF_C_WIRE_TYPE_64BIT;
    default:
        return PROTOBUF_C_WIRE_TYPE_VARINT;
    }
}

/* Numbers of a repeated field in one piece of `len` bytes; false: the last one is cut off. */
static bool count_packed(const uint8_t *bytes, size_t len, unsigned wire, size_t *count) {
    *count = 0;
    if (wire == PROTOBUF_C_WIRE_TYPE_32BIT || wire == PROTOBUF_C_WIRE_TYPE_64BIT) {
        const size_t each = wire == PROTOBUF_C_WIRE_TYPE_32BIT ? 4 : 8;
        *count = len / each;
        return len % each == 0;
    }
    for (size_t i = 0; i < len; i++)
        *count += (bytes[i] & 0x80) == 0;
    return len == 0 || (bytes[len - 1] & 0x80) == 0;
}

/* Names reach messages and logs: what would forge a line of those, or end a C string early, is
 * refused. Documentation and metadata are nobody's names. */
static qr_status check_text(const qr__onnx_scan *s, const ProtobufCFieldDescriptor *field,
                            size_t len) {
    const qr_text text = {(const char *)s->bytes + s->at, len};
    if (strcmp(field->name, "doc_string") == 0)
        return QR_OK;
    const bool is_name = strcmp(field->name, "value") != 0;
    for (size_t i = 0; i < len; i++) {
        const unsigned char byte = (unsigned char)text.data[i];
        if (byte == 0 || (is_name && (byte < 0x20 || byte == 0x7f)))
            return refuse(s, "`%s` has control characters", field->name);
    }
    if (is_name && !qr_utf8_valid(text))
        return refuse(s, "`%s` is not UTF-8", field->name);
    return QR_OK;
}

/* What the graph's own limits are about. */
static qr_status count_things(qr__onnx_scan *s, const ProtobufCMessageDescriptor *parent,
                              const ProtobufCFieldDescriptor *field) {
    if (field->descriptor == &onnx__node_proto__descriptor)
        s->nodes++;
    else if (field->descriptor == &onnx__attribute_proto__descriptor)
        s->attributes++;
    else if (field->descriptor == &onnx__tensor_proto__descriptor ||
             field->descriptor == &onnx__value_info_proto__descriptor ||
             (parent == &onnx__node_proto__descriptor && field->label == PROTOBUF_C_LABEL_REPEATED))
        s->names++;
    if (s->nodes > QR_LIMIT_ONNX_NODES)
        return refuse(s, "more than %u nodes", QR_LIMIT_ONNX_NODES);
    if (s->attributes > QR_LIMIT_ONNX_VALUES)
        return refuse(s, "more than %u attributes", QR_LIMIT_ONNX_VALUES);
    if (s->names > QR_LIMIT_ONNX_VALUES)
        return refuse(s, "more than %u tensors and names of values", QR_LIMIT_ONNX_VALUES);
    return QR_OK;
}

static qr_status take_memory(qr__onnx_scan *s, size_t bytes) {
    s->memory += bytes; /* below 128 times the file: no overflow */
    if (s->memory <= s->memory_most)
        return QR_OK;
    return refuse(s, "the file would take more than %zu bytes of memory", s->memory_most);
}

/* A value with a length: a message is entered, all else is passed. */
static qr_status scan_piece(qr__onnx_scan *s, const ProtobufCFieldDescriptor *field) {
    uint64_t len = 0;
    size_t numbers = 0;
    const qr__onnx_level *top = &s->levels[s->depth - 1];
    if (!read_varint(s, top->end, &len) || len > top->end - s->at)
        return refuse(s, "a length leads outside its message");
    qr_status status = QR_OK;
    if (field == NULL || field->type == PROTOBUF_C_TYPE_BYTES) {
        status = take_memory(s, (size_t)len);
    } else if (field->type == PROTOBUF_C_TYPE_STRING) {
        status = take_memory(s, (size_t)len + 1);
        if (status == QR_OK)
            status = check_text(s, field, (size_t)len);
    } else if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
        const ProtobufCMessageDescriptor *message = field->descriptor;
        if (s->depth == QR_LIMIT_ONNX_DEPTH)
            return refuse(s, "messages nest deeper than %u", QR_LIMIT_ONNX_DEPTH);
        status = take_memory(s, message->sizeof_message);
        s->levels[s->depth++] = (qr__onnx_level){message, s->at + (size_t)len, 0};
        return status; /* goes on inside */
    } else if (!count_packed(s->bytes + s->at, (size_t)len, wire_of(field), &numbers)) {
        return refuse(s, "`%s` ends inside a number", field->name);
    } else {
        status = take_memory(s, numbers * 8);
    }
    if (status == QR_OK)
        s->at += (size_t)len;
    return status;
}

static qr_status scan_value(qr__onnx_scan *s, const ProtobufCFieldDescriptor *field,
                            unsigned wire) {
    const size_t end = s->levels[s->depth - 1].end;
    uint64_t ignored;
    if (wire == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
        return scan_piece(s, field);
    if (wire == PROTOBUF_C_WIRE_TYPE_VARINT)
        return read_varint(s, end, &ignored) ? QR_OK : refuse(s, "a number has no end");
    const size_t bytes = wire == PROTOBUF_C_WIRE_TYPE_32BIT ? 4 : 8;
    if (end - s->at < bytes)
        return refuse(s, "a number leads outside its message");
    s->at += bytes;
    return QR_OK;
}

/* What the schema knows: it must be written as the schema says, and be there once if it may. */
static qr_status check_field(qr__onnx_scan *s, qr__onnx_level *top,
                             const ProtobufCFieldDescriptor *field, unsigned wire) {
    const unsigned wanted = wire_of(field);
    const bool repeated = field->label == PROTOBUF_C_LABEL_REPEATED;
    const bool packed = repeated && wire == PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED;
    const uint64_t bit = 1ull << ((size_t)(field - top->message->fields) % 64);
    if (wire != wanted && !packed)
        return refuse(s, "`%s` is written as another type", field->name);
    if (!repeated && (top->seen & bit) != 0)
        return refuse(s, "`%s` is given twice", field->name);
    top->seen |= bit;
    return count_things(s, top->message, field);
}

static qr_status scan_field(qr__onnx_scan *s) {
    qr__onnx_level *top = &s->levels[s->depth - 1];
    uint64_t tag = 0;
    if (!read_varint(s, top->end, &tag) || tag > UINT32_MAX || tag >> 3 == 0)
        return refuse(s, "no field has such a tag");
    const unsigned wire = (unsigned)tag & 7;
    if (wire == 3 || wire == 4)
        return refuse(s, "it has a group, which ONNX has not");
    if (wire > PROTOBUF_C_WIRE_TYPE_32BIT)
        return refuse(s, "no field has the wire type %u", wire);
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field(top->message, (unsigned)(tag >> 3));
    qr_status status = take_memory(s, FIELD_BYTES);
    if (status == QR_OK && field != NULL)
        status = check_field(s, top, field, wire);
    return status == QR_OK ? scan_value(s, field, wire) : status;
}

qr_status qr__onnx_scan_model(qr__onnx_scan *s) {
    s->nodes = s->attributes = s->names = s->at = 0;
    s->memory = onnx__model_proto__descriptor.sizeof_message;
    s->memory_most = QR_LIMIT_ONNX_UNPACK_BYTES + 4 * s->count;
    s->levels[0] = (qr__onnx_level){&onnx__model_proto__descriptor, s->count, 0};
    s->depth = 1;
    while (s->depth > 0) {
        if (s->at == s->levels[s->depth - 1].end) {
            s->depth--;
            continue;
        }
        const qr_status status = scan_field(s);
        if (status != QR_OK)
            return status;
    }
    return QR_OK;
}
