/* onnx/reader.h: from an unpacked model to a graph; what the reader's files share. Private to
 * onnx/.
 *
 *     qr__onnx_reader r = {.graph = graph, .file = graph->file, .error = error};
 *     status = qr__onnx_graph_read(&r);         // values and nodes, as the file has them
 *     status = qr__onnx_nodes_order(&r);        // each after those that it reads
 *     qr__onnx_external_close(&r);
 */
#ifndef QR_ONNX_READER_H
#define QR_ONNX_READER_H

#include <onnx.pb-c.h>

#include "onnx/onnx.h"

#define QR__ONNX_OPSET_OLDEST 11
#define QR__ONNX_OPSET_NEWEST 24 /* of the node tests that hold the interpreter to ONNX's word */

#define QR__ONNX_WHERE_BYTES  320

/** The memory behind a graph. */
struct qr__onnx_file {
    ProtobufCAllocator allocator; /* counts what unpacking takes */
    size_t taken, most;
    bool no_memory;          /* an allocation of it has failed */
    Onnx__ModelProto *model; /* names, numbers of tensors and attributes are borrowed from it */
    qr_arena arena;          /* the graph's arrays */
    qr_onnx_part *parts;     /* [1 + QR_LIMIT_ONNX_FILES], the model's own first */
    size_t parts_len;
};

/** A file beside the model in which tensors stand. */
typedef struct qr__onnx_beside {
    struct qr__onnx_beside *next;
    const char *name;
    size_t bytes;
    size_t left; /* of them, that tensors may still ask for */
} qr__onnx_beside;

typedef struct qr__onnx_reader {
    qr_onnx_graph *graph;
    struct qr__onnx_file *file;
    qr_error *error;
    /* private to external.c */
    qr__onnx_beside *beside, *open; /* all files; whose descriptor is fd */
    size_t beside_count;
    int dir_fd, fd; /* -1: not open */
} qr__onnx_reader;

/** As qr_onnx_open for a file's bytes, which are borrowed for the call; files beside it are looked
 * for beside `path`. */
QR_MUST_USE qr_status qr__onnx_open_bytes(const char *path, const uint8_t *bytes, size_t count,
                                          qr_onnx_graph **out, qr_error *error);

/** Refuses the file: "FILE: WHERE: why". Returns QR_BAD_MODEL. */
qr_status qr__onnx_refuse(const qr__onnx_reader *r, const char *where, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/** QR_NO_MEMORY with its message. */
qr_status qr__onnx_no_memory(const qr__onnx_reader *r);

/** `count` zeroed things of `size` bytes that live as long as the graph. NULL: no memory. */
void *qr__onnx_array(const qr__onnx_reader *r, size_t count, size_t size);

/** Notes an open file as one that the graph is read from: `name` stands beside the model's own;
 * NULL: it is that. */
qr_status qr__onnx_part_add(qr__onnx_reader *r, const char *name, int fd);

/** A text that may be absent as one that is not. */
static inline const char *qr__onnx_text(const char *text) {
    return text == NULL ? "" : text;
}

/** A domain of operators under its one name: ONNX's own has two, "" and "ai.onnx". */
static inline const char *qr__onnx_domain(const char *domain) {
    return domain == NULL || strcmp(domain, "ai.onnx") == 0 ? "" : domain;
}

/** "float8e4m3fn (17)": also types that are never held. */
void qr__onnx_type_text(int type, char out[48]);

/** The numbers of `from`; `where` ("tensor `w`") is for messages. *out: returns owned, and borrows
 * numbers from the file where they may stay as they are; NULL with QR_OK: of a type that is not
 * held. QR_BAD_MODEL, QR_NO_MEMORY. */
qr_status qr__onnx_tensor_read(qr__onnx_reader *r, const char *where, const Onnx__TensorProto *from,
                               qr_onnx_tensor **out);

/** Reads exactly `bytes` bytes of a tensor that stand in a file beside the model. *out: returns
 * owned (free()). QR_BAD_MODEL, QR_NO_MEMORY. */
qr_status qr__onnx_external_read(qr__onnx_reader *r, const char *where,
                                 const Onnx__TensorProto *from, size_t bytes, uint8_t **out);

/** Gives back what external_read keeps open. */
void qr__onnx_external_close(qr__onnx_reader *r);

/** Reads a node's names and attributes; inputs and outputs are left to the caller. */
qr_status qr__onnx_node_read(qr__onnx_reader *r, const Onnx__NodeProto *from, qr_onnx_node *node);

/** "node `x` (MatMul)" from the file's node. */
void qr__onnx_node_where(const Onnx__NodeProto *node, char out[QR__ONNX_WHERE_BYTES]);

/** The tensor that a Constant node makes: NULL with QR_OK: of a type that is not held, which *type
 * then says. */
qr_status qr__onnx_constant_read(qr__onnx_reader *r, const Onnx__NodeProto *from, int *type,
                                 qr_onnx_tensor **out);

/** Reads values and nodes in the file's order. */
qr_status qr__onnx_graph_read(qr__onnx_reader *r);

/** Puts each node behind those that it reads; a file in order stays as it is. QR_BAD_MODEL: nodes
 * that wait for each other. */
qr_status qr__onnx_nodes_order(qr__onnx_reader *r);

#endif
