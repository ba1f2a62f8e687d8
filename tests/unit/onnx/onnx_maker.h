/* tests: small ONNX models, made with protobuf-c's structs and written to a file.
 *
 *     onnx_maker *m = onnx_maker_create(17);
 *     onnx_maker_input(m, "x", QR_ONNX_FLOAT, 2, (int64_t[]){-1, 4}); // -1: dynamic
 *     onnx_maker_floats(m, "w", 2, (int64_t[]){4, 3}, numbers);
 *     Onnx__NodeProto *node = onnx_maker_node(m, "MatMul", "x w", "y");
 *     onnx_maker_output(m, "y", QR_ONNX_FLOAT, 2, (int64_t[]){-1, 3});
 *     qr_onnx_graph *graph = onnx_maker_open(m);                      // asserts that it is read
 *     onnx_maker_destroy(m);                                          // the graph stays
 *
 * Names and texts are copied. What these functions cannot make is made by changing the structs.
 */
#ifndef QR_TESTS_ONNX_MAKER_H
#define QR_TESTS_ONNX_MAKER_H

#include <onnx.pb-c.h>

#include "onnx/onnx.h"

#define ONNX_MAKER_MOST 4096 /* nodes, initializers, inputs, outputs */

typedef struct onnx_maker {
    Onnx__ModelProto *model; /* to change what is about to be written */
    Onnx__GraphProto *graph;
    qr_arena arena;
} onnx_maker;

/** An empty model: IR 8, ONNX's own operators of version `opset`, com.microsoft's of 1. */
onnx_maker *onnx_maker_create(int64_t opset);
void onnx_maker_destroy(onnx_maker *m);

/** Zeroed memory, and a copied text, that live as long as the maker. */
void *onnx_maker_alloc(onnx_maker *m, size_t bytes);
char *onnx_maker_text(onnx_maker *m, const char *text);

/** An input or output of the graph. rank SIZE_MAX: no shape is declared. */
Onnx__ValueInfoProto *onnx_maker_input(onnx_maker *m, const char *name, qr_onnx_type type,
                                       size_t rank, const int64_t *dims);
Onnx__ValueInfoProto *onnx_maker_output(onnx_maker *m, const char *name, qr_onnx_type type,
                                        size_t rank, const int64_t *dims);

/** A tensor that belongs to nothing yet: raw bytes, which are copied. */
Onnx__TensorProto *onnx_maker_tensor(onnx_maker *m, const char *name, int type, size_t rank,
                                     const int64_t *dims, const void *raw, size_t raw_bytes);

/** An initializer of raw bytes, of floats, of int64 numbers. */
Onnx__TensorProto *onnx_maker_initializer(onnx_maker *m, const char *name, int type, size_t rank,
                                          const int64_t *dims, const void *raw, size_t raw_bytes);
Onnx__TensorProto *onnx_maker_floats(onnx_maker *m, const char *name, size_t rank,
                                     const int64_t *dims, const float *numbers);
Onnx__TensorProto *onnx_maker_longs(onnx_maker *m, const char *name, size_t rank,
                                    const int64_t *dims, const int64_t *numbers);

/** A node. `op` may have a domain ("com.microsoft:Attention"); names stand between blanks, "-" is
 * one that is left out; "" are none at all. Its name: that of its first output with "/n" behind. */
Onnx__NodeProto *onnx_maker_node(onnx_maker *m, const char *op, const char *inputs,
                                 const char *outputs);

/** Attributes of a node. */
Onnx__AttributeProto *onnx_maker_int(onnx_maker *m, Onnx__NodeProto *node, const char *name,
                                     int64_t i);
Onnx__AttributeProto *onnx_maker_float(onnx_maker *m, Onnx__NodeProto *node, const char *name,
                                       float f);
Onnx__AttributeProto *onnx_maker_string(onnx_maker *m, Onnx__NodeProto *node, const char *name,
                                        const char *s);
Onnx__AttributeProto *onnx_maker_ints(onnx_maker *m, Onnx__NodeProto *node, const char *name,
                                      size_t count, const int64_t *ints);
Onnx__AttributeProto *onnx_maker_attr_floats(onnx_maker *m, Onnx__NodeProto *node, const char *name,
                                             size_t count, const float *floats);
Onnx__AttributeProto *onnx_maker_attr_tensor(onnx_maker *m, Onnx__NodeProto *node, const char *name,
                                             Onnx__TensorProto *t);

/** The model's bytes; free() them. */
uint8_t *onnx_maker_pack(const onnx_maker *m, size_t *bytes);

/** Writes the model to `path`. */
void onnx_maker_write(const onnx_maker *m, const char *path);

/** Writes `bytes` to `path`. */
void onnx_maker_write_bytes(const char *path, const void *bytes, size_t count);

/** Writes the model to a temporary file, opens that and removes it. */
qr_status onnx_maker_try(const onnx_maker *m, qr_onnx_graph **out, qr_error *error);

/** As onnx_maker_try, and asserts that it is read. */
qr_onnx_graph *onnx_maker_open(const onnx_maker *m);

/** The value of that name; asserts that there is one. */
size_t onnx_maker_value(const qr_onnx_graph *graph, const char *name);

#endif
