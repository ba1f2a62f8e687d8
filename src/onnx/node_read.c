/* onnx/node_read.c: a node's names and attributes, and what others ask of them. */
#include <stdio.h>
#include <stdlib.h>

#include "onnx/reader.h"

#define ATTRIBUTES_MOST 256 /* of one node; operators have at most twenty or so */

/* Texts that may be cut keep whole characters. */
static void node_text(const char *name, const char *op, const char *output, char *out,
                      size_t bytes) {
    const char *named = name[0] != '\0' ? name : output;
    size_t len = qr_min(strlen(named), 160);
    while (len > 0 && len < strlen(named) && ((unsigned char)named[len] & 0xc0) == 0x80)
        len--;
    snprintf(out, bytes, "node `%.*s` (%.60s)", (int)len, named, op);
}

void qr__onnx_node_where(const Onnx__NodeProto *node, char out[QR__ONNX_WHERE_BYTES]) {
    node_text(qr__onnx_text(node->name), qr__onnx_text(node->op_type),
              node->n_output > 0 ? node->output[0] : "", out, QR__ONNX_WHERE_BYTES);
}

void qr_onnx_node_text(const qr_onnx_graph *graph, const qr_onnx_node *node, char out[256]) {
    const size_t output = node->output_count > 0 ? node->outputs[0] : QR_ONNX_NONE;
    node_text(node->name, node->op, output == QR_ONNX_NONE ? "" : graph->values[output].name, out,
              256);
}

/* Bytes of the file as a C string. NULL with QR_OK: they are none. */
static qr_status read_string(const qr__onnx_reader *r, ProtobufCBinaryData bytes,
                             const char **out) {
    *out = NULL;
    if (bytes.len > 0 && memchr(bytes.data, '\0', bytes.len) != NULL)
        return QR_OK;
    *out = qr_arena_text(&r->file->arena, (qr_text){(const char *)bytes.data, bytes.len}).data;
    return *out == NULL ? qr__onnx_no_memory(r) : QR_OK;
}

static qr_status read_tensor(qr__onnx_reader *r, const Onnx__NodeProto *node,
                             const Onnx__AttributeProto *from, qr_onnx_attribute *to) {
    char where[QR__ONNX_WHERE_BYTES];
    char all[QR__ONNX_WHERE_BYTES + 128];
    qr__onnx_node_where(node, where);
    snprintf(all, sizeof all, "%s, attribute `%.80s`", where, to->name);
    if (from->t == NULL)
        return qr__onnx_refuse(r, all, "it has no tensor");
    const qr_status status = qr__onnx_tensor_read(r, all, from->t, &to->t);
    to->kind = to->t == NULL ? QR_ONNX_ATTR_OTHER : QR_ONNX_ATTR_TENSOR;
    return status;
}

static qr_status read_attribute(qr__onnx_reader *r, const Onnx__NodeProto *node,
                                const Onnx__AttributeProto *from, qr_onnx_attribute *to) {
    qr_status status = QR_OK;
    *to = (qr_onnx_attribute){.name = qr__onnx_text(from->name), .kind = QR_ONNX_ATTR_OTHER};
    switch (from->type) {
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT:
        to->kind = QR_ONNX_ATTR_INT;
        to->i = from->i;
        break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT:
        to->kind = QR_ONNX_ATTR_FLOAT;
        to->f = from->f;
        break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING:
        status = read_string(r, from->s, &to->s);
        to->kind = to->s == NULL ? QR_ONNX_ATTR_OTHER : QR_ONNX_ATTR_STRING;
        break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS:
        to->kind = QR_ONNX_ATTR_INTS;
        to->ints = from->ints;
        to->count = from->n_ints;
        break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS:
        to->kind = QR_ONNX_ATTR_FLOATS;
        to->floats = from->floats;
        to->count = from->n_floats;
        break;
    case ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR:
        status = read_tensor(r, node, from, to);
        break;
    default:
        break;
    }
    return status;
}

static qr_status check_attribute(const qr__onnx_reader *r, const Onnx__NodeProto *node,
                                 const Onnx__AttributeProto *from, const qr_onnx_node *so_far) {
    char where[QR__ONNX_WHERE_BYTES];
    const char *name = qr__onnx_text(from->name);
    qr__onnx_node_where(node, where);
    if (name[0] == '\0')
        return qr__onnx_refuse(r, where, "it has an attribute without a name");
    if (qr_onnx_find_attribute(so_far, name) != NULL)
        return qr__onnx_refuse(r, where, "it has the attribute `%.80s` twice", name);
    if (from->ref_attr_name != NULL && from->ref_attr_name[0] != '\0')
        return qr__onnx_refuse(r, where, "its attribute `%.80s` refers to a function's", name);
    if (!from->has_type || from->type == ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__UNDEFINED)
        return qr__onnx_refuse(r, where, "its attribute `%.80s` has no type", name);
    return QR_OK;
}

qr_status qr__onnx_node_read(qr__onnx_reader *r, const Onnx__NodeProto *from, qr_onnx_node *node) {
    node->name = qr__onnx_text(from->name);
    node->op = qr__onnx_text(from->op_type);
    node->domain = qr__onnx_domain(from->domain);
    if (from->n_attribute > ATTRIBUTES_MOST) {
        char where[QR__ONNX_WHERE_BYTES];
        qr__onnx_node_where(from, where);
        return qr__onnx_refuse(r, where, "it has more than %d attributes", ATTRIBUTES_MOST);
    }
    node->attributes = qr__onnx_array(r, from->n_attribute, sizeof *node->attributes);
    if (node->attributes == NULL)
        return qr__onnx_no_memory(r);
    for (size_t i = 0; i < from->n_attribute; i++) {
        qr_status status = check_attribute(r, from, from->attribute[i], node);
        if (status == QR_OK)
            status = read_attribute(r, from, from->attribute[i], &node->attributes[i]);
        node->attribute_count += status == QR_OK;
        if (status != QR_OK)
            return status;
    }
    return QR_OK;
}

/* A tensor of a Constant's other attributes; they are copied, since they are few. */
static qr_onnx_tensor *constant_of(const qr_onnx_attribute *a, bool is_float, bool scalar) {
    const size_t count = scalar ? 1 : a->count;
    qr_onnx_tensor *tensor = qr_onnx_tensor_create(is_float ? QR_ONNX_FLOAT : QR_ONNX_INT64,
                                                   scalar ? 0 : 1, (const size_t[]){count});
    if (tensor == NULL || count == 0)
        return tensor;
    if (is_float)
        memcpy(qr_onnx_floats(tensor), scalar ? &a->f : a->floats, count * sizeof(float));
    else
        memcpy(qr_onnx_longs(tensor), scalar ? &a->i : a->ints, count * sizeof(int64_t));
    return tensor;
}

static qr_status constant_value(const qr__onnx_reader *r, const char *where,
                                const qr_onnx_attribute *a, qr_onnx_tensor **out) {
    static const struct {
        const char *name;
        qr_onnx_kind kind;
        bool is_float, scalar;
    } forms[] = {
        {"value_float", QR_ONNX_ATTR_FLOAT, true, true},
        {"value_int", QR_ONNX_ATTR_INT, false, true},
        {"value_floats", QR_ONNX_ATTR_FLOATS, true, false},
        {"value_ints", QR_ONNX_ATTR_INTS, false, false},
    };
    if (strcmp(a->name, "value") == 0 && a->kind == QR_ONNX_ATTR_TENSOR) {
        *out = qr_onnx_tensor_share(a->t);
        return QR_OK;
    }
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        if (strcmp(a->name, forms[i].name) != 0 || a->kind != forms[i].kind)
            continue;
        *out = constant_of(a, forms[i].is_float, forms[i].scalar);
        return *out == NULL ? qr__onnx_no_memory(r) : QR_OK;
    }
    if (a->kind == QR_ONNX_ATTR_OTHER || strncmp(a->name, "value_string", 12) == 0)
        return QR_OK; /* not held */
    return qr__onnx_refuse(r, where, "its attribute `%.80s` is no constant's", a->name);
}

qr_status qr__onnx_constant_read(qr__onnx_reader *r, const Onnx__NodeProto *from, int *type,
                                 qr_onnx_tensor **out) {
    char where[QR__ONNX_WHERE_BYTES];
    qr_onnx_node node = {0};
    qr__onnx_node_where(from, where);
    *out = NULL;
    *type = QR_ONNX_STRING;
    qr_status status = qr__onnx_node_read(r, from, &node);
    if (status == QR_OK && (from->n_attribute != 1 || from->n_output != 1 || from->n_input != 0))
        status = qr__onnx_refuse(r, where, "a constant has one attribute, one output, no inputs");
    if (status == QR_OK) {
        if (from->attribute[0]->t != NULL)
            *type = from->attribute[0]->t->data_type;
        status = constant_value(r, where, &node.attributes[0], out);
    }
    for (size_t i = 0; i < node.attribute_count; i++)
        qr_onnx_tensor_destroy(node.attributes[i].t);
    return status;
}

const qr_onnx_attribute *qr_onnx_find_attribute(const qr_onnx_node *node, const char *name) {
    for (size_t i = 0; i < node->attribute_count; i++)
        if (strcmp(node->attributes[i].name, name) == 0)
            return &node->attributes[i];
    return NULL;
}

int64_t qr_onnx_attribute_int(const qr_onnx_node *node, const char *name, int64_t otherwise) {
    const qr_onnx_attribute *found = qr_onnx_find_attribute(node, name);
    return found != NULL && found->kind == QR_ONNX_ATTR_INT ? found->i : otherwise;
}

float qr_onnx_attribute_float(const qr_onnx_node *node, const char *name, float otherwise) {
    const qr_onnx_attribute *found = qr_onnx_find_attribute(node, name);
    return found != NULL && found->kind == QR_ONNX_ATTR_FLOAT ? found->f : otherwise;
}

const char *qr_onnx_attribute_text(const qr_onnx_node *node, const char *name,
                                   const char *otherwise) {
    const qr_onnx_attribute *found = qr_onnx_find_attribute(node, name);
    return found != NULL && found->kind == QR_ONNX_ATTR_STRING ? found->s : otherwise;
}
