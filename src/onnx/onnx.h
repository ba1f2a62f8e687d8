/* onnx/onnx.h: an ONNX file as a graph, and a small interpreter that runs it to the letter.
 *
 *     qr_onnx_graph *graph;
 *     if (qr_onnx_open("model.onnx", &graph, &error) != QR_OK) ...
 *     qr_onnx_run *run;
 *     qr_onnx_run_create(graph, &(qr_onnx_run_options){.keep = true}, &run, &error);
 *     qr_onnx_run_feed(run, graph->inputs[0], ids);                    // borrowed
 *     qr_onnx_run_forward(run, &error);
 *     const qr_onnx_tensor *hidden = qr_onnx_run_value(run, graph->outputs[0]);
 *     qr_onnx_run_destroy(run);
 *     qr_onnx_close(graph);
 *
 * Knows nothing of BERT. The interpreter is an oracle: obvious, not fast; what it computes is what
 * ONNX's and ONNX Runtime's operator documents say, and ONNX's own node tests hold it to that.
 * Threads: a graph is const once it is open (folded, if it is); a run belongs to one thread.
 */
#ifndef QR_ONNX_H
#define QR_ONNX_H

#include "onnx/graph.h"

/** Reads a file with what it keeps in files beside it. QR_BAD_MODEL: with the file, the node or
 * tensor, the reason and a hint; QR_IO, QR_TOO_LARGE, QR_NO_MEMORY. *out: returns owned. */
QR_MUST_USE qr_status qr_onnx_open(const char *path, qr_onnx_graph **out, qr_error *error);

/** NULL is allowed. */
void qr_onnx_close(qr_onnx_graph *graph);

/** A file that a graph was read from, as it was then. */
typedef struct qr_onnx_part {
    const char *path;
    size_t bytes;
    struct timespec modified, changed; /* as fstat has them */
} qr_onnx_part;

/** The files that a graph was read from: its own, then those of its external data. Live as long as
 * the graph. Returns how many. */
size_t qr_onnx_parts(const qr_onnx_graph *graph, const qr_onnx_part **parts);

/** The node's attribute, NULL: it has none of that name. */
const qr_onnx_attribute *qr_onnx_find_attribute(const qr_onnx_node *node, const char *name);

/** The attribute's value, or `otherwise` where it is absent or of another kind. */
int64_t qr_onnx_attribute_int(const qr_onnx_node *node, const char *name, int64_t otherwise);

/** The same of a number with a fraction. */
float qr_onnx_attribute_float(const qr_onnx_node *node, const char *name, float otherwise);

/** The same of a text. */
const char *qr_onnx_attribute_text(const qr_onnx_node *node, const char *name,
                                   const char *otherwise);

/** "node `/encoder/MatMul_3` (MatMul)"; a node without a name by its first output. */
void qr_onnx_node_text(const qr_onnx_graph *graph, const qr_onnx_node *node, char out[256]);

/** Runs every node whose inputs are all constants and makes its outputs constants. A node that
 * fails stays as it is. QR_NO_MEMORY. */
QR_MUST_USE qr_status qr_onnx_fold(qr_onnx_graph *graph, qr_error *error);

/** Whether the interpreter knows the operator. */
bool qr_onnx_knows(const char *domain, const char *op);

/** Runs one node on given inputs ([input_count], NULL: left out). `bypass`: as the option.
 * outputs[output_count]: returns owned, all NULL after a fault. QR_BAD_MODEL: an operator that is
 * not known, or inputs that it does not take; QR_NO_MEMORY. */
QR_MUST_USE qr_status qr_onnx_apply(const qr_onnx_graph *graph, const qr_onnx_node *node,
                                    qr_onnx_tensor *const *inputs, bool bypass,
                                    qr_onnx_tensor **outputs, qr_error *error);

typedef struct qr_onnx_run_options {
    bool keep;        /* every value stays until the run's end; else only the graph's outputs */
    const bool *kept; /* [value_count] and these, borrowed by the run; NULL: no others */
    size_t most;      /* numbers of all values at one time; 0: QR_LIMIT_ONNX_RUN_NUMBERS */
    uint64_t steps;   /* of one pass (op.h); 0: QR_LIMIT_ONNX_RUN_STEPS */
    bool bypass;      /* activations are not quantized: what quantizes them passes them on */
} qr_onnx_run_options;

/** One run of a graph. */
typedef struct qr_onnx_run qr_onnx_run;

/** *out: returns owned; borrows the graph. QR_NO_MEMORY. */
QR_MUST_USE qr_status qr_onnx_run_create(const qr_onnx_graph *graph,
                                         const qr_onnx_run_options *options, qr_onnx_run **out,
                                         qr_error *error);

/** Gives an input of the graph its numbers: shares the tensor. */
void qr_onnx_run_feed(qr_onnx_run *run, size_t value, qr_onnx_tensor *tensor);

/** Runs all nodes. QR_BAD_MODEL with the node, QR_NO_MEMORY. */
QR_MUST_USE qr_status qr_onnx_run_forward(qr_onnx_run *run, qr_error *error);

/** A value after the run, constants included; NULL: it was not kept. Borrowed until destroy. */
const qr_onnx_tensor *qr_onnx_run_value(const qr_onnx_run *run, size_t value);

/** NULL is allowed. */
void qr_onnx_run_destroy(qr_onnx_run *run);

#endif
