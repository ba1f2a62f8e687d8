/* Operators on shapes, attributes and indices that nobody would write: each refuses with a message,
 * or its outputs hold together. Under AddressSanitizer this is the test that no operator reads or
 * writes beyond its tensors. */
#include <criterion/criterion.h>
#include <math.h>

#include "onnx/op.h"

#define ROUNDS      (60000 / QR_SLOWER)
#define MOST_IN     5
#define MOST_OUT    4
#define MOST_ATTR   6
#define MOST_NUMBER (1u << 18) /* of one output */

#ifdef QR_EMULATED
#define QR_SLOWER 10
#else
#define QR_SLOWER 1
#endif

static const qr__op *const tables[] = {
    qr__ops_elementwise, qr__ops_arithmetic, qr__ops_compare, qr__ops_cast,
    qr__ops_reduce,      qr__ops_softmax,    qr__ops_layout,  qr__ops_arrange,
    qr__ops_fill,        qr__ops_index,      qr__ops_slice,   qr__ops_pad,
};

static qr_random source;

static size_t below(size_t n) {
    return (size_t)(qr_random_next(&source) % n);
}

static bool chance(size_t percent) {
    return below(100) < percent;
}

/* Mostly what an index or an axis could be. */
static int64_t any_int(void) {
    static const int64_t hostile[] = {INT64_MIN, INT64_MAX, INT32_MIN, INT32_MAX, 1ll << 32,
                                      -9,        1ll << 62, 255,       100000,    UINT32_MAX};
    if (chance(4))
        return hostile[below(sizeof hostile / sizeof hostile[0])];
    return (int64_t)below(8) - 3;
}

static float any_float(void) {
    static const float hostile[] = {NAN, INFINITY, -INFINITY, 1e30f, -1e30f, 1e-40f, 0.0f, -0.0f};
    if (chance(6))
        return hostile[below(sizeof hostile / sizeof hostile[0])];
    return (float)((int)below(2000) - 1000) / 128.0f;
}

static qr_onnx_type any_type(void) {
    static const qr_onnx_type types[] = {
        QR_ONNX_FLOAT, QR_ONNX_FLOAT,  QR_ONNX_INT64,   QR_ONNX_INT64,  QR_ONNX_BOOL,
        QR_ONNX_BOOL,  QR_ONNX_UINT8,  QR_ONNX_INT8,    QR_ONNX_UINT16, QR_ONNX_INT16,
        QR_ONNX_INT32, QR_ONNX_FLOAT,  QR_ONNX_UINT32,  QR_ONNX_UINT64, QR_ONNX_FLOAT16,
        QR_ONNX_FLOAT, QR_ONNX_DOUBLE, QR_ONNX_BFLOAT16};
    return types[below(sizeof types / sizeof types[0])];
}

static qr_onnx_tensor *fill(qr_onnx_tensor *tensor) {
    cr_assert_not_null(tensor);
    for (size_t i = 0; i < tensor->count; i++)
        if (qr_onnx_is_float(tensor->type))
            qr_onnx_floats(tensor)[i] = qr_onnx_round(tensor->type, any_float());
        else
            qr_onnx_set_int(tensor, i, any_int());
    return tensor;
}

static qr_onnx_tensor *any_tensor(void) {
    const size_t rank = chance(5) ? below(QR_ONNX_RANK_MAX + 1) : below(5);
    size_t shape[QR_ONNX_RANK_MAX];
    for (size_t i = 0; i < rank; i++)
        shape[i] = chance(4) ? 0 : rank > 5 ? 1 + below(2) : 1 + below(4);
    return fill(qr_onnx_tensor_create(any_type(), rank, shape));
}

/* One that could stand beside `first`: of its shape or one that broadcasts to it; a list of as
 * many integers as it has axes; one integer; anything. */
static qr_onnx_tensor *other_tensor(const qr_onnx_tensor *first) {
    const size_t kind = below(10);
    size_t shape[QR_ONNX_RANK_MAX];
    if (kind < 4) {
        for (size_t i = 0; i < first->rank; i++)
            shape[i] = chance(25) ? 1 : first->shape[i];
        return fill(
            qr_onnx_tensor_create(chance(90) ? first->type : any_type(), first->rank, shape));
    }
    if (kind < 8) {
        shape[0] = chance(60) ? first->rank : chance(50) ? 1 : below(9);
        return fill(qr_onnx_tensor_create(QR_ONNX_INT64, 1, shape));
    }
    if (kind < 9)
        return fill(qr_onnx_tensor_create(chance(50) ? first->type : QR_ONNX_INT64, 0, NULL));
    return any_tensor();
}

/* What an operator takes, a letter an input; anything at all would seldom be taken. */
static const struct {
    const char *op, *inputs;
} recipes[] = {
    {"Where", "?ts"},
    {"And", "?s"},
    {"Or", "?s"},
    {"Xor", "?s"},
    {"Not", "?"},
    {"OneHot", "i1v"},
    {"Range", "rrr"},
    {"Concat", "sss"},
    {"Slice", "dllll"},
    {"Gather", "di"},
    {"GatherElements", "di"},
    {"GatherND", "dx"},
    {"ScatterND", "dxu"},
    {"Pad", "d2r"},
    {"CumSum", "d1"},
    {"Tile", "dl"},
    {"Expand", "dl"},
    {"Reshape", "dl"},
    {"Split", "dl"},
};

/* Tuples of indices into `data`, at least one axis of it. */
static qr_onnx_tensor *any_tuples(const qr_onnx_tensor *data) {
    const size_t width = data->rank > 0 ? 1 + below(data->rank) : 1;
    qr_onnx_tensor *tuples = qr_onnx_tensor_create(QR_ONNX_INT64, 2, (size_t[]){below(4), width});
    for (size_t i = 0; i < tuples->count; i++) {
        const size_t length = data->rank > 0 ? data->shape[i % width] : 1;
        qr_onnx_longs(tuples)[i] =
            chance(97) && length > 0 ? (int64_t)below(2 * length) - (int64_t)length : any_int();
    }
    return tuples;
}

/* What the tuples name in `data`. */
static qr_onnx_tensor *any_updates(const qr_onnx_tensor *data, const qr_onnx_tensor *tuples) {
    size_t shape[QR_ONNX_RANK_MAX] = {tuples->shape[0]}, rank = 1;
    for (size_t i = tuples->shape[1]; i < data->rank && rank < QR_ONNX_RANK_MAX; i++)
        shape[rank++] = data->shape[i];
    return fill(qr_onnx_tensor_create(data->type, rank, shape));
}

/* Of the same shape, mostly. */
static qr_onnx_tensor *shaped_as(const qr_onnx_tensor *like, qr_onnx_type type) {
    size_t shape[QR_ONNX_RANK_MAX];
    for (size_t i = 0; i < like->rank; i++)
        shape[i] = chance(5) ? below(5) : like->shape[i];
    return fill(qr_onnx_tensor_create(type, like->rank, shape));
}

/* Input `i` by its letter, beside those before it. */
static qr_onnx_tensor *tensor_by_letter(char letter, qr_onnx_tensor *const *in, size_t i) {
    const qr_onnx_tensor *first = i > 0 ? in[0] : NULL, *last = i > 0 ? in[i - 1] : NULL;
    qr_onnx_tensor *tensor = any_tensor();
    const qr_onnx_type type = tensor->type;
    size_t list = first != NULL ? first->rank : 0;
    switch (letter) {
    case 's': /* as the one before */
    case '?': /* bools */
    case 't': /* of the shape before */
    case 'i': /* integers */
        last = shaped_as(last != NULL && letter != 'i' ? last : tensor,
                         letter == '?'                   ? QR_ONNX_BOOL
                         : letter == 'i'                 ? QR_ONNX_INT64
                         : letter == 's' && last != NULL ? last->type
                                                         : type);
        break;
    case 'r': /* one number, of the first one's type */
        last = fill(qr_onnx_tensor_create(first != NULL ? first->type : type, 0, NULL));
        break;
    case '1': /* one integer */
        last = fill(qr_onnx_tensor_create(QR_ONNX_INT64, 0, NULL));
        break;
    case 'v': /* two numbers */
        list = 2;
        last = fill(qr_onnx_tensor_create(type, 1, &list));
        break;
    case '2': /* two integers an axis */
        list *= 2;
        /* fall through */
    case 'l': /* an integer an axis */
        last = fill(qr_onnx_tensor_create(QR_ONNX_INT64, 1, &list));
        break;
    case 'x':
        last = any_tuples(first);
        break;
    case 'u':
        last = any_updates(first, last);
        break;
    default:
        return tensor;
    }
    qr_onnx_tensor_destroy(tensor);
    return (qr_onnx_tensor *)(uintptr_t)last;
}

/* Makes inputs that the operator might take. Returns how many; 0: it has no recipe. */
static size_t fit_inputs(const char *op, qr_onnx_tensor **in) {
    for (size_t r = 0; r < sizeof recipes / sizeof recipes[0]; r++)
        if (strcmp(recipes[r].op, op) == 0) {
            const size_t count = strlen(recipes[r].inputs);
            for (size_t i = 0; i < count; i++)
                in[i] = tensor_by_letter(recipes[r].inputs[i], in, i);
            return count;
        }
    return 0;
}

static size_t any_inputs(qr_onnx_tensor **in) {
    const size_t count = below(MOST_IN + 1);
    for (size_t i = 0; i < count; i++)
        if (chance(97))
            in[i] = i == 0 || in[0] == NULL ? any_tensor() : other_tensor(in[0]);
    return count;
}

/* A call with all that it points to. */
typedef struct fuzz_call {
    qr_onnx_graph graph;
    qr_onnx_node node;
    qr_onnx_value values[MOST_IN + MOST_OUT];
    size_t inputs[MOST_IN], outputs[MOST_OUT];
    qr_onnx_attribute attributes[MOST_ATTR];
    int64_t ints[MOST_ATTR][QR_ONNX_RANK_MAX + 2];
    float floats[MOST_ATTR][2];
    qr_onnx_tensor *in[MOST_IN], *out[MOST_OUT];
    uint64_t before[MOST_IN]; /* hashes of the inputs */
    qr_error error;
    qr__op_call call;
} fuzz_call;

static uint64_t hash_of(const qr_onnx_tensor *tensor) {
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; tensor != NULL && i < tensor->count; i++) {
        uint32_t bits = 0;
        if (tensor->floats != NULL)
            memcpy(&bits, &tensor->floats[i], sizeof bits);
        hash = (hash ^ (tensor->floats != NULL ? bits : (uint64_t)qr_onnx_int(tensor, i))) *
               1099511628211u;
    }
    return hash;
}

static void add_attribute(fuzz_call *f, size_t i, size_t rank) {
    static const char *const names[] = {
        "axis",  "axes",        "perm",   "keepdims",  "to",        "start",     "end",
        "k",     "upper",       "split",  "allowzero", "exclusive", "reverse",   "fmod",
        "value", "num_outputs", "dtype",  "min",       "max",       "value_int", "batch_dims",
        "pads",  "mode",        "starts", "reduction", "ends",      "value_ints"};
    static const char *const texts[] = {"constant", "edge", "reflect", "wrap", "none",
                                        "add",      "mul",  "min",     "max",  "tanh"};
    static const char *const lists[] = {"axes",   "perm", "split",     "pads",
                                        "starts", "ends", "value_ints"};
    qr_onnx_attribute *a = &f->attributes[i];
    *a = (qr_onnx_attribute){.name = names[below(sizeof names / sizeof names[0])]};
    a->kind = QR_ONNX_ATTR_INT;
    for (size_t l = 0; l < sizeof lists / sizeof lists[0]; l++)
        if (strcmp(a->name, lists[l]) == 0)
            a->kind = QR_ONNX_ATTR_INTS;
    if (strcmp(a->name, "mode") == 0 || strcmp(a->name, "reduction") == 0)
        a->kind = QR_ONNX_ATTR_STRING;
    if (strcmp(a->name, "value") == 0)
        a->kind = QR_ONNX_ATTR_TENSOR;
    if (chance(5))
        a->kind = (qr_onnx_kind)below(QR_ONNX_ATTR_OTHER + 1);
    a->i = strcmp(a->name, "to") == 0 || strcmp(a->name, "dtype") == 0 ? (int64_t)below(20)
                                                                       : any_int();
    a->f = any_float();
    a->s = texts[below(sizeof texts / sizeof texts[0])];
    a->t = a->kind == QR_ONNX_ATTR_TENSOR
               ? chance(70) ? fill(qr_onnx_tensor_create(any_type(), 0, NULL)) : any_tensor()
               : NULL;
    a->count = chance(80) && rank < QR_ONNX_RANK_MAX ? rank : below(QR_ONNX_RANK_MAX + 3);
    for (size_t n = 0; n < QR_ONNX_RANK_MAX + 2; n++)
        f->ints[i][n] = chance(50) ? (int64_t)n : any_int();
    f->floats[i][0] = any_float();
    f->floats[i][1] = any_float();
    if (a->kind == QR_ONNX_ATTR_FLOATS)
        a->count = 2;
    a->ints = f->ints[i];
    a->floats = f->floats[i];
}

static void make_call(fuzz_call *f, const qr__op *op) {
    memset(f, 0, sizeof *f);
    f->graph = (qr_onnx_graph){.path = "fuzz.onnx",
                               .opset = 11 + (int64_t)below(12),
                               .values = f->values,
                               .value_count = MOST_IN + MOST_OUT};
    for (size_t i = 0; i < MOST_IN + MOST_OUT; i++)
        f->values[i].name = "value";
    const size_t outs = chance(3) ? 0 : 1 + (chance(30) ? below(4) : 0);
    size_t ins = chance(60) ? fit_inputs(op->name, f->in) : 0;
    if (ins == 0)
        ins = any_inputs(f->in);
    for (size_t i = 0; i < ins; i++) {
        f->inputs[i] = f->in[i] != NULL ? i : QR_ONNX_NONE;
        f->before[i] = hash_of(f->in[i]);
    }
    for (size_t i = 0; i < outs; i++)
        f->outputs[i] = chance(95) ? MOST_IN + i : QR_ONNX_NONE;
    const size_t attributes = below(MOST_ATTR + 1);
    for (size_t i = 0; i < attributes; i++)
        add_attribute(f, i, f->in[0] != NULL ? f->in[0]->rank : 2);
    f->node = (qr_onnx_node){.name = "n",
                             .op = op->name,
                             .domain = op->domain,
                             .inputs = f->inputs,
                             .input_count = ins,
                             .outputs = f->outputs,
                             .output_count = outs,
                             .attributes = f->attributes,
                             .attribute_count = attributes};
    f->call = (qr__op_call){.graph = &f->graph,
                            .node = &f->node,
                            .in = f->in,
                            .ins = ins,
                            .out = f->out,
                            .outs = outs,
                            .max_numbers = MOST_NUMBER,
                            .error = &f->error};
}

/* Each number is one of its type. */
static void check_tensor(const char *op, const qr_onnx_tensor *tensor) {
    size_t count = 1;
    (void)op; /* the plain runner shows no messages */
    cr_assert_leq(tensor->rank, QR_ONNX_RANK_MAX);
    for (size_t i = 0; i < tensor->rank; i++)
        count *= tensor->shape[i];
    cr_assert_eq(count, tensor->count, "%s: %zu numbers in a shape of %zu", op, tensor->count,
                 count);
    cr_assert_gt(tensor->refs, 0);
    if (count == 0)
        return;
    cr_assert_eq(tensor->floats != NULL, qr_onnx_is_float(tensor->type), "%s", op);
    cr_assert_eq(tensor->bytes != NULL, qr_onnx_is_bytes(tensor->type), "%s", op);
    cr_assert_eq((tensor->floats != NULL) + (tensor->bytes != NULL) + (tensor->longs != NULL), 1);
    qr_onnx_tensor *copy = qr_onnx_tensor_create(tensor->type, 0, NULL);
    for (size_t i = 0; i < count; i++)
        if (tensor->floats != NULL) {
            const float x = tensor->floats[i];
            cr_assert(isnan(x) || qr_onnx_round(tensor->type, x) == x, "%s: %a is no %s", op,
                      (double)x, qr_onnx_type_name(tensor->type));
        } else {
            qr_onnx_set_int(copy, 0, qr_onnx_int(tensor, i));
            cr_assert_eq(qr_onnx_int(copy, 0), qr_onnx_int(tensor, i), "%s: %lld is no %s", op,
                         (long long)qr_onnx_int(tensor, i), qr_onnx_type_name(tensor->type));
        }
    qr_onnx_tensor_destroy(copy);
}

/* Runs and frees the call. Returns whether it was taken. */
static bool check_call(fuzz_call *f) {
    const qr_status status = qr__op_run(&f->call);
    const char *op = f->node.op;
    if (status != QR_OK) {
        cr_assert(status == QR_BAD_MODEL || f->call.too_large, "%s: %s", op, f->error.message);
        cr_assert_neq(f->error.message[0], '\0', "%s says nothing", op);
    }
    for (size_t i = 0; i < f->call.outs; i++) {
        const bool asked = status == QR_OK && f->outputs[i] != QR_ONNX_NONE;
        cr_assert_eq(f->out[i] != NULL, asked, "%s: output %zu", op, i);
        if (f->out[i] != NULL)
            check_tensor(op, f->out[i]);
        qr_onnx_tensor_destroy(f->out[i]);
    }
    for (size_t i = 0; i < f->call.ins; i++) {
        cr_assert_eq(hash_of(f->in[i]), f->before[i], "%s writes into input %zu", op, i);
        if (f->in[i] != NULL)
            cr_assert_eq(f->in[i]->refs, 1, "%s keeps input %zu", op, i);
        qr_onnx_tensor_destroy(f->in[i]);
    }
    for (size_t i = 0; i < f->node.attribute_count; i++)
        qr_onnx_tensor_destroy(f->attributes[i].t);
    return status == QR_OK;
}

Test(ops_fuzz, refused_or_consistent, .timeout = 300) {
    static fuzz_call call;
    source.state = 11;
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++) {
        size_t ops = 0;
        while (tables[t][ops].name != NULL)
            ops++;
        for (size_t o = 0; o < ops; o++) {
            size_t taken = 0;
            /* A fuzzer whose calls are all refused at the door tests the door only: it goes on. */
            for (size_t round = 0; round < ROUNDS / 80 || (taken == 0 && round < 10000); round++) {
                make_call(&call, &tables[t][o]);
                taken += check_call(&call);
            }
            cr_expect_gt(taken, 0, "%s was never taken", tables[t][o].name);
        }
    }
}
