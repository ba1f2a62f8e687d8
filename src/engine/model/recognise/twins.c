/* recognise/twins.c: exporters that merge no equal nodes give each reader its own. Their terms
 * would be equal too, but others are compared by address: that a product reads what it is added to.
 */
#include "engine/model/recognise/twins.h"

#include "engine/model/recognise/hash.h"
#include "engine/model/recognise/reading.h"

static bool same_shape(const qr_onnx_tensor *a, const qr_onnx_tensor *b) {
    return a != NULL && b != NULL && a->rank == b->rank &&
           memcmp(a->shape, b->shape, a->rank * sizeof *a->shape) == 0;
}

static bool same_value(const qr__reading *r, size_t a, size_t b) {
    if (a == b)
        return true;
    if (a == QR_ONNX_NONE || b == QR_ONNX_NONE || r->values[a].known != r->values[b].known)
        return false;
    if (r->values[a].known)
        return r->values[a].deps == r->values[b].deps &&
               qr__tensor_same(qr__tensor_of(r, a), qr__tensor_of(r, b));
    const qr__view *view_a = &r->values[a].view, *view_b = &r->values[b].view;
    const qr_onnx_tensor *tensor = qr__tensor_of(r, a);
    return same_shape(tensor, qr__tensor_of(r, b)) && view_a->term == view_b->term &&
           qr__same_bytes(view_a->map, view_b->map, tensor->count * sizeof *view_a->map) &&
           qr__same_bytes(view_a->function, view_b->function, QR__GRID * sizeof *view_a->function);
}

static bool same_attribute(const qr_onnx_attribute *a, const qr_onnx_attribute *b) {
    if (strcmp(a->name, b->name) != 0 || a->kind != b->kind)
        return false;
    switch (a->kind) {
    case QR_ONNX_ATTR_INT:
        return a->i == b->i;
    case QR_ONNX_ATTR_FLOAT:
        return a->f == b->f;
    case QR_ONNX_ATTR_STRING:
        return strcmp(a->s, b->s) == 0;
    case QR_ONNX_ATTR_TENSOR:
        return qr__tensor_same(a->t, b->t);
    case QR_ONNX_ATTR_INTS:
        return a->count == b->count && memcmp(a->ints, b->ints, a->count * sizeof *a->ints) == 0;
    case QR_ONNX_ATTR_FLOATS:
        return a->count == b->count &&
               memcmp(a->floats, b->floats, a->count * sizeof *a->floats) == 0;
    case QR_ONNX_ATTR_OTHER:
        break;
    }
    return false;
}

static bool commutes(const qr_onnx_node *node) {
    static const char *const ops[] = {"Add", "Mul", "Max", "Min"};
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        if (strcmp(node->op, ops[i]) == 0)
            return node->input_count == 2 && node->domain[0] == '\0';
    return false;
}

static bool same_node(const qr__reading *r, const qr_onnx_node *a, const qr_onnx_node *b) {
    if (strcmp(a->op, b->op) != 0 || strcmp(a->domain, b->domain) != 0 ||
        a->input_count != b->input_count || a->output_count != b->output_count ||
        a->attribute_count != b->attribute_count)
        return false;
    for (size_t i = 0; i < a->attribute_count; i++)
        if (!same_attribute(&a->attributes[i], &b->attributes[i]))
            return false;
    for (size_t o = 0; o < a->output_count; o++)
        if ((a->outputs[o] == QR_ONNX_NONE) != (b->outputs[o] == QR_ONNX_NONE))
            return false;
    size_t alike = 0;
    while (alike < a->input_count && same_value(r, a->inputs[alike], b->inputs[alike]))
        alike++;
    return alike == a->input_count || (commutes(a) && same_value(r, a->inputs[0], b->inputs[1]) &&
                                       same_value(r, a->inputs[1], b->inputs[0]));
}

/* Of what equal nodes have in common, in any order of their inputs. */
static size_t hash_of(const qr__reading *r, const qr_onnx_node *node) {
    uint64_t hash = qr__hash(node->op, strlen(node->op));
    for (size_t i = 0; i < node->attribute_count; i++)
        hash += qr__hash(&node->attributes[i].i, sizeof node->attributes[i].i);
    for (size_t i = 0; i < node->input_count; i++) {
        if (!qr__has_input(node, i))
            continue;
        const qr__view *view = &r->values[node->inputs[i]].view;
        const qr_onnx_tensor *tensor = qr__tensor_of(r, node->inputs[i]);
        if (r->values[node->inputs[i]].known) {
            hash += qr__hash_tensor(tensor);
            continue;
        }
        hash += qr__hash(&view->term, sizeof view->term);
        if (view->function != NULL)
            hash += qr__hash(view->function, QR__GRID * sizeof *view->function);
        if (view->map != NULL && tensor != NULL)
            hash += qr__hash(view->map, qr_min(tensor->count, 256) * sizeof *view->map);
    }
    return (size_t)hash;
}

bool qr__read_twin(qr__reading *r, const qr_onnx_node *node, size_t number) {
    if (r->twins == NULL) {
        r->twin_room = 64;
        while (r->twin_room < 2 * r->graph->node_count)
            r->twin_room *= 2;
        r->twins = qr__reading_take(r, r->twin_room, sizeof *r->twins);
        if (r->twins == NULL)
            return false;
    }
    size_t at = hash_of(r, node) & (r->twin_room - 1);
    for (; r->twins[at] != 0; at = (at + 1) & (r->twin_room - 1)) {
        const qr_onnx_node *earlier = &r->graph->nodes[r->twins[at] - 1];
        if (!same_node(r, earlier, node))
            continue;
        for (size_t o = 0; o < node->output_count; o++)
            if (node->outputs[o] != QR_ONNX_NONE)
                r->values[node->outputs[o]] = r->values[earlier->outputs[o]];
        return true;
    }
    r->twins[at] = number + 1;
    return false;
}
