/* engine/import_info.h: what was found in the ONNX file that a model came from; a part of
 * model_info.h.
 *
 *     qr_import_info *found;
 *     status = qr_import_info_create(model, &found, &error);
 *     if (status == QR_OK && found != NULL)       // NULL: the model came from safetensors
 *         printf("%zu nodes, %zu fused steps\n", found->node_count, found->steps);
 *     qr_import_info_destroy(found);
 */
#ifndef QR_ENGINE_IMPORT_INFO_H
#define QR_ENGINE_IMPORT_INFO_H

#include "base/base.h"

struct qr_model;

/** The fused step that a node became a part of, or why it is in none. */
typedef enum qr_import_block {
    QR_IMPORT_EMBEDDINGS,
    QR_IMPORT_MASK, /* makes of the attention mask what attention adds */
    QR_IMPORT_QKV,  /* from here on of a layer ... */
    QR_IMPORT_ATTENTION,
    QR_IMPORT_ATTENTION_OUTPUT, /* with residual and layer norm */
    QR_IMPORT_UP,               /* with activation */
    QR_IMPORT_DOWN,             /* ... to here; with residual and layer norm */
    QR_IMPORT_HEAD,
    QR_IMPORT_POOLING,
    QR_IMPORT_SHAPES,   /* only computes shapes */
    QR_IMPORT_CONSTANT, /* of constants only */
    QR_IMPORT_LEFT_OUT  /* serves an output that querent does not give */
} qr_import_block;
#define QR_IMPORT_BLOCKS (QR_IMPORT_LEFT_OUT + 1u)

/** A node of the graph. */
typedef struct qr_import_node {
    const char *name, *op; /* "": without a name; "MatMul" */
    qr_import_block block;
    size_t layer; /* of QKV to DOWN; else 0 */
} qr_import_node;

/** A value that one node makes and another reads. */
typedef struct qr_import_edge {
    size_t from, to; /* nodes */
} qr_import_edge;

/** An input or an output of the graph. */
typedef struct qr_import_port {
    const char *name;
    const char *kind; /* inputs: "ids", "mask", "types", "positions"; outputs: "hidden", "pooled",
                         "span_start", "span_end", "span", "labels", "token_labels", "left_out" */
} qr_import_port;

/** All texts are the model's. */
typedef struct qr_import_info {
    const char *path; /* of the file */
    const char *producer, *producer_version;
    const char *style; /* "pytorch 2.15.0, separate Q K V, attention in pieces, ..." */
    int64_t opset;     /* of ONNX's own operators */
    qr_import_node *nodes;
    size_t node_count, folded; /* the second: those that compute constants from constants; what
                                  the format calls a Constant is no node */
    qr_import_edge *edges;
    size_t edge_count;
    size_t steps; /* fused ones */
    qr_import_port *inputs, *outputs;
    size_t input_count, output_count;
    bool quantized;                   /* int8 weights and activations */
    bool half;                        /* f16 weights or activations */
    size_t fixed_batch, fixed_tokens; /* sizes that the graph was exported for; 0: any */
} qr_import_info;

/** How well f32's plan of a model gives what the ONNX graph gives that the model came from. */
typedef struct qr_proof {
    double error;   /* the largest |ours - graph's| / max(1, |graph's|), over probes and outputs */
    double allowed; /* how large it might have been */
    double cosine;  /* the least of an output with what a graph of quantized activations gives to
                       the letter; 1 for others */
} qr_proof;

/** The facts of a model that came from ONNX; *out is NULL where it came from safetensors.
 * QR_NO_MEMORY. *out: returns owned; borrows the model. */
QR_MUST_USE qr_status qr_import_info_create(const struct qr_model *model, qr_import_info **out,
                                            qr_error *error);

/** NULL is allowed. */
void qr_import_info_destroy(qr_import_info *info);

#endif
