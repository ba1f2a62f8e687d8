/* onnx/graph.h: a graph's nodes and values; a part of onnx.h.
 *
 *     const qr_onnx_node *node = &graph->nodes[n];
 *     const qr_onnx_value *first = &graph->values[node->inputs[0]];
 *
 * Threads: const.
 */
#ifndef QR_ONNX_GRAPH_H
#define QR_ONNX_GRAPH_H

#include <time.h>

#include "onnx/tensor.h"

#define QR_ONNX_NONE SIZE_MAX /* no value, no node */

typedef enum qr_onnx_kind {
    QR_ONNX_ATTR_INT,
    QR_ONNX_ATTR_FLOAT,
    QR_ONNX_ATTR_STRING,
    QR_ONNX_ATTR_TENSOR,
    QR_ONNX_ATTR_INTS,
    QR_ONNX_ATTR_FLOATS,
    QR_ONNX_ATTR_OTHER /* graphs, strings, sparse tensors: an operator that needs it refuses */
} qr_onnx_kind;

typedef struct qr_onnx_attribute {
    const char *name;
    qr_onnx_kind kind;
    int64_t i;
    float f;
    const char *s;
    qr_onnx_tensor *t;
    const int64_t *ints;
    const float *floats;
    size_t count; /* of ints or floats */
} qr_onnx_attribute;

/** An operation. Values are numbered in the graph; QR_ONNX_NONE stands for an optional one that is
 * left out. */
typedef struct qr_onnx_node {
    const char *name;   /* "": it has none */
    const char *op;     /* "MatMul" */
    const char *domain; /* "" (ONNX's own) or "com.microsoft" ... */
    size_t *inputs, input_count;
    size_t *outputs, output_count;
    qr_onnx_attribute *attributes;
    size_t attribute_count;
    bool folded; /* its outputs are constants */
} qr_onnx_node;

typedef struct qr_onnx_value {
    const char *name;
    qr_onnx_tensor *constant;       /* an initializer, or what folding made; NULL: neither */
    size_t producer;                /* node; QR_ONNX_NONE: an input or an initializer */
    bool is_input, is_output;       /* of the graph; an input with an initializer is none */
    qr_onnx_type type;              /* as declared; inputs and outputs only */
    size_t rank;                    /* as declared; SIZE_MAX: not declared */
    int64_t dims[QR_ONNX_RANK_MAX]; /* as declared; -1: dynamic */
} qr_onnx_value;

typedef struct qr_onnx_graph {
    const char *path;                               /* of the file, for messages */
    const char *producer, *producer_version, *name; /* "pytorch", "2.9.0", "main_graph" */
    int64_t ir_version;
    int64_t opset;       /* of ONNX's own operators */
    qr_onnx_node *nodes; /* each after those that it reads */
    size_t node_count;
    qr_onnx_value *values;
    size_t value_count;
    size_t *inputs, input_count;   /* values */
    size_t *outputs, output_count; /* values */
    struct qr__onnx_file *file;    /* private: the memory behind it */
} qr_onnx_graph;

#endif
