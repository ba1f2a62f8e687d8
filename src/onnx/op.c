/* onnx/op.c: the tables of operators together, and what operators say when they refuse. */
#include "onnx/op.h"

#include <stdarg.h>
#include <stdio.h>

static const qr__op *const tables[] = {
    qr__ops_elementwise, qr__ops_arithmetic, qr__ops_compare,  qr__ops_cast,
    qr__ops_reduce,      qr__ops_softmax,    qr__ops_layout,   qr__ops_arrange,
    qr__ops_fill,        qr__ops_index,      qr__ops_slice,    qr__ops_pad,
    qr__ops_matmul,      qr__ops_norm,       qr__ops_quantize, qr__ops_attention,
};

const qr__op *qr__op_find(const char *domain, const char *name) {
    if (strcmp(domain, "ai.onnx") == 0)
        domain = "";
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++)
        for (const qr__op *op = tables[t]; op->name != NULL; op++)
            if (strcmp(op->name, name) == 0 && strcmp(op->domain, domain) == 0)
                return op;
    return NULL;
}

const qr__op *qr__op_at(size_t at) {
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++)
        for (const qr__op *op = tables[t]; op->name != NULL; op++)
            if (at-- == 0)
                return op;
    return NULL;
}

bool qr_onnx_knows(const char *domain, const char *op) {
    return qr__op_find(domain, op) != NULL;
}

/* Names are checked where they are read; texts of attributes need not be any. */
static void make_printable(char *text) {
    const bool valid = qr_utf8_valid(qr_text_of(text));
    for (char *at = text; *at != '\0'; at++)
        if ((uint8_t)*at < 0x20 || *at == 0x7f || (!valid && (uint8_t)*at >= 0x80))
            *at = '?';
}

qr_status qr__op_refuse(qr__op_call *call, const char *format, ...) {
    char node[256];
    char why[512];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    make_printable(why);
    qr_onnx_node_text(call->graph, call->node, node);
    return qr_error_set(call->error, QR_BAD_MODEL, "%s: %s: %s", call->graph->path, node, why);
}

qr_status qr__op_no_memory(qr__op_call *call) {
    return qr_error_set(call->error, QR_NO_MEMORY, "%s: no memory for a node's numbers",
                        call->graph->path);
}

bool qr__op_spend(qr__op_call *call, uint64_t count, uint64_t cost) {
    const uint64_t steps = qr_saturating_mul(count, cost);
    if (call->steps == NULL)
        return true;
    if (steps > *call->steps) {
        call->too_long = true;
        return false;
    }
    *call->steps -= steps;
    return true;
}

qr_onnx_tensor *qr__op_scratch(qr__op_call *call, qr_onnx_type type, size_t rank,
                               const size_t *shape) {
    size_t numbers = 1;
    for (size_t i = 0; i < rank; i++)
        if (shape[i] != 0 && !qr_checked_mul(numbers, shape[i], &numbers))
            numbers = SIZE_MAX;
    if (numbers > call->max_numbers) {
        call->too_large = true;
        return NULL;
    }
    return qr__op_spend(call, numbers, QR__STEPS_MADE) ? qr_onnx_tensor_create(type, rank, shape)
                                                       : NULL;
}

qr_onnx_tensor *qr__op_out(qr__op_call *call, size_t at, qr_onnx_type type, size_t rank,
                           const size_t *shape) {
    call->out[at] = qr__op_scratch(call, type, rank, shape);
    return call->out[at];
}

bool qr__broadcast_shape(const qr_onnx_tensor *a, const qr_onnx_tensor *b, size_t *rank,
                         size_t *shape) {
    *rank = qr_max(a->rank, b->rank);
    for (size_t i = 0; i < *rank; i++) { /* from the last axis on */
        size_t in_a = i < a->rank ? a->shape[a->rank - 1 - i] : 1;
        size_t in_b = i < b->rank ? b->shape[b->rank - 1 - i] : 1;
        if (in_a != in_b && in_a != 1 && in_b != 1)
            return false;
        shape[*rank - 1 - i] = in_a == 1 ? in_b : in_a;
    }
    return true;
}

bool qr__op_axis(int64_t axis, size_t rank, size_t *out) {
    const int64_t axes = (int64_t)rank;
    if (axis < -axes || axis >= axes)
        return false;
    *out = (size_t)(axis < 0 ? axis + axes : axis);
    return true;
}
