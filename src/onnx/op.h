/* onnx/op.h: what an operator gets and gives. Private to onnx/.
 *
 *     static qr_status run_identity(qr__op_call *call) {
 *         call->out[0] = qr_onnx_tensor_share(call->in[0]);
 *         return QR_OK;
 *     }
 *     const qr__op qr__ops_layout[] = {{"", "Identity", run_identity}, ..., {NULL, NULL, NULL}};
 */
#ifndef QR_ONNX_OP_H
#define QR_ONNX_OP_H

#include "onnx/onnx.h"

/** One operation to run. */
typedef struct qr__op_call {
    const qr_onnx_graph *graph; /* opset: operators changed between versions */
    const qr_onnx_node *node;
    qr_onnx_tensor *const *in; /* [ins]; NULL: left out */
    size_t ins;
    qr_onnx_tensor **out; /* [outs], NULL at first: to be set where node->outputs asks for it */
    size_t outs;
    bool bypass;
    size_t max_numbers; /* of one output: folding is careful */
    bool too_large;     /* set by qr__op_out: an output would have had more */
    uint64_t *steps;    /* that the run may still spend; NULL: any number */
    bool too_long;      /* set by qr__op_spend: there were fewer */
    qr_error *error;
} qr__op_call;

typedef struct qr__op {
    const char *domain, *name;
    qr_status (*run)(qr__op_call *call);
} qr__op;

/* The operators, a table a file; each ends with a row of NULLs. */
extern const qr__op qr__ops_elementwise[], qr__ops_arithmetic[], qr__ops_compare[], qr__ops_cast[],
    qr__ops_reduce[], qr__ops_softmax[], qr__ops_layout[], qr__ops_arrange[], qr__ops_fill[],
    qr__ops_index[], qr__ops_slice[], qr__ops_pad[], qr__ops_matmul[], qr__ops_norm[],
    qr__ops_quantize[], qr__ops_attention[];

/** NULL: not known. */
const qr__op *qr__op_find(const char *domain, const char *name);

/** Number `at` of all operators, from 0 on. NULL: there are fewer. */
const qr__op *qr__op_at(size_t at);

/** Input `at`, or NULL where it is left out or the node has fewer. */
static inline qr_onnx_tensor *qr__op_in(const qr__op_call *call, size_t at) {
    return at < call->ins ? call->in[at] : NULL;
}

/** Refuses the call: "FILE: node `x` (MatMul): shapes [2, 3] and [4, 5] do not fit". Returns
 * QR_BAD_MODEL. */
qr_status qr__op_refuse(qr__op_call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/** Output `at` as a new zeroed tensor. NULL: no memory, or more numbers than the call may make
 * (qr__op_no_memory says so). */
qr_onnx_tensor *qr__op_out(qr__op_call *call, size_t at, qr_onnx_type type, size_t rank,
                           const size_t *shape);

/** A tensor as qr__op_out makes it, under the same bound, that is no output: the caller's own. */
qr_onnx_tensor *qr__op_scratch(qr__op_call *call, qr_onnx_type type, size_t rank,
                               const size_t *shape);

/** What a run is charged, so that a small file cannot keep a machine busy for days: a step is a
 * multiplication in a product of matrices, some 0.03 ns of OpenBLAS. The rest costs what it takes
 * beside that, roughly. BERT-large on 1024 tokens takes an eighth of QR_LIMIT_ONNX_RUN_STEPS. */
enum {
    QR__STEPS_READ = 16, /* a number of an input */
    QR__STEPS_MADE = 64, /* a number of an output, which may take an exponential */
    QR__STEPS_LOOP = 16  /* a multiplication in a plain loop */
};

/** Takes count * cost steps from those that are left, before they are done. False: there are not as
 * many, and the call is to return; qr__op_run says why. */
bool qr__op_spend(qr__op_call *call, uint64_t count, uint64_t cost);

/** Runs one call whose fields are all set; out[] is all NULL after a fault. Statuses: as
 * qr_onnx_apply. */
qr_status qr__op_run(qr__op_call *call);

/** QR_NO_MEMORY with its message. */
qr_status qr__op_no_memory(qr__op_call *call);

/** Refuses a type that the operator does not take. Returns QR_BAD_MODEL. */
qr_status qr__op_refuse_type(qr__op_call *call, qr_onnx_type type);

/** QR_OK: inputs 0 .. ins - 1 are there, and an output is asked for. */
qr_status qr__op_need(qr__op_call *call, size_t ins);

/** Whether output `at` is asked for. */
static inline bool qr__op_asks(const qr__op_call *call, size_t at) {
    return at < call->outs && call->node->outputs[at] != QR_ONNX_NONE;
}

/** Refuses an output whose shape is beyond the limits. */
qr_status qr__op_check_shape(qr__op_call *call, size_t rank, const size_t *shape);

/** As qr__op_out, with the reason: a shape beyond the limits is refused. */
qr_status qr__op_create(qr__op_call *call, size_t at, qr_onnx_type type, size_t rank,
                        const size_t *shape);

/** Integers that a node is given as an input or, in older opsets, as an attribute. */
typedef struct qr__op_list {
    bool given;
    size_t count;
    const qr_onnx_tensor *tensor; /* NULL: they stand in ints */
    const int64_t *ints;
} qr__op_list;

/** The integers of input `at` (a row of them, or one) or else of the attribute. */
qr_status qr__op_list_of(qr__op_call *call, size_t at, const char *attribute, qr__op_list *out);

/** Integer `i` < count. */
int64_t qr__op_list_at(const qr__op_list *list, size_t i);

/** Marks the list's axes of `rank`; one beyond the rank, and one named twice, is refused. */
qr_status qr__op_mark_axes(qr__op_call *call, const qr__op_list *list, size_t rank,
                           bool marked[QR_ONNX_RANK_MAX]);

/** The integer of that type that `x` becomes when it is cast: truncated. */
int64_t qr__op_truncate(qr_onnx_type type, double x);

/** Broadcasts shapes as numpy does into shape[QR_ONNX_RANK_MAX]. False: they do not fit. */
bool qr__broadcast_shape(const qr_onnx_tensor *a, const qr_onnx_tensor *b, size_t *rank,
                         size_t *shape);

/** A tensor of one axis number, or an attribute: -rank <= axis < rank becomes 0 .. rank - 1; false
 * else. */
bool qr__op_axis(int64_t axis, size_t rank, size_t *out);

#endif
