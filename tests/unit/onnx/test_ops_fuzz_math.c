/* The operators with shapes of their own (products, norms, quantization, attention) on inputs that
 * nearly fit: each call is refused with a message, or its outputs hold together. Under
 * AddressSanitizer this is the test that none reads or writes beyond its tensors. */
#include <criterion/criterion.h>

#include "onnx/op.h"

#define ROUNDS      6000
#define INS         10
#define OUTS        4
#define ATTRIBUTES  4
#define MOST_NUMBER (1u << 18) /* of one output */

static const qr__op *const tables[] = {qr__ops_matmul, qr__ops_norm, qr__ops_quantize,
                                       qr__ops_attention};

static qr_random source;

static size_t below(size_t n) {
    return (size_t)(qr_random_next(&source) % n);
}

static bool chance(size_t percent) {
    return below(100) < percent;
}

/* Few sizes, so that they often agree; heads of them divide. */
static size_t any_size(void) {
    static const size_t sizes[] = {1, 2, 2, 4, 4, 4, 12, 3, 8, 0};
    return sizes[below(chance(85) ? 7 : sizeof sizes / sizeof sizes[0])];
}

/* What input `at` of the operator mostly is: f floats, F floats of which the last axis is 4, W
 * weights [last axis of the first, 12] and S the same of bytes, A as the first, i integers, u and s
 * bytes; the rank behind it. */
static const struct {
    const char *op, *inputs;
} recipes[] = {
    {"EmbedLayerNormalization", "i2i2F2F2F2F1F1i2i2"},
    {"SkipLayerNormalization", "f3f3f1f1f1"},
    {"QAttention", "u3S2f1f0f0i1u0s0"},
    {"MultiHeadAttention", "f3f3f3f1i2f4"},
    {"LayerNormalization", "f3f1f1"},
    {"MatMulInteger", "u2s2u0s0"},
    {"MatMulIntegerToFloat", "u2s2f0f0u0s0f1"},
    {"DynamicQuantizeMatMul", "f2s2f0s0f1"},
    {"QuantizeLinear", "f2f0u0"},
    {"DequantizeLinear", "u2f0u0"},
    {"Gemm", "f2f2f1"},
    {"FusedGemm", "f2f2f1"},
    {"BiasGelu", "f3f1"},
    {"com.microsoft:Attention", "f3W2f1i1f4f4"},
    {"Attention", "f4A4A4f4"},
};

static qr_onnx_type type_of(char letter) {
    static const qr_onnx_type any[] = {QR_ONNX_FLOAT16, QR_ONNX_BFLOAT16, QR_ONNX_DOUBLE,
                                       QR_ONNX_INT32,   QR_ONNX_INT64,    QR_ONNX_BOOL,
                                       QR_ONNX_UINT8,   QR_ONNX_INT8,     QR_ONNX_UINT16};
    if (chance(6))
        return any[below(sizeof any / sizeof any[0])];
    return letter == 'i'                    ? QR_ONNX_INT32
           : letter == 'u'                  ? QR_ONNX_UINT8
           : letter == 's' || letter == 'S' ? QR_ONNX_INT8
                                            : QR_ONNX_FLOAT;
}

/* `first`: whose sizes it mostly shares, from the last axis on. */
static qr_onnx_tensor *any_tensor(char letter, size_t rank, const qr_onnx_tensor *first) {
    size_t shape[QR_ONNX_RANK_MAX];
    if (chance(8))
        rank = below(6);
    for (size_t i = 0; i < rank; i++)
        shape[i] = first != NULL && i < first->rank && chance(60)
                       ? first->shape[chance(80) ? (i + first->rank - qr_min(rank, first->rank)) %
                                                       first->rank
                                                 : below(first->rank)]
                       : any_size();
    if (letter == 'F' && rank > 0 && chance(95))
        shape[rank - 1] = 4;
    if (letter == 'A' && rank == first->rank && chance(95))
        memcpy(shape, first->shape, rank * sizeof *shape);
    if ((letter == 'W' || letter == 'S') && rank == 2 && first->rank > 0 && chance(95))
        shape[0] = first->shape[first->rank - 1], shape[1] = 12;
    qr_onnx_tensor *tensor = qr_onnx_tensor_create(type_of(letter), rank, shape);
    cr_assert_not_null(tensor);
    for (size_t i = 0; i < tensor->count; i++)
        if (qr_onnx_is_float(tensor->type))
            qr_onnx_floats(tensor)[i] =
                qr_onnx_round(tensor->type, (float)((int)below(64) - 32) / 16);
        else
            qr_onnx_set_int(tensor, i, chance(3) ? -(int64_t)below(1u << 31) : (int64_t)below(5));
    return tensor;
}

static size_t make_inputs(const qr__op *op, qr_onnx_tensor **in) {
    const char *recipe = "f3f3f3f3f3f3";
    const bool merged = strcmp(op->name, "Attention") == 0 && op->domain[0] != '\0';
    const char *name = merged ? "com.microsoft:Attention" : op->name;
    for (size_t r = 0; r < sizeof recipes / sizeof recipes[0]; r++)
        if (strcmp(recipes[r].op, name) == 0)
            recipe = recipes[r].inputs;
    const size_t most = qr_min(strlen(recipe) / 2, INS);
    const size_t count = chance(40) ? most : 1 + below(most);
    const qr_onnx_tensor *first = NULL;
    for (size_t i = 0; i < count; i++) {
        in[i] = NULL;
        if (i > 2 && chance(30))
            continue;
        in[i] = any_tensor(recipe[2 * i], (size_t)(recipe[2 * i + 1] - '0'), first);
        if (first == NULL || first->rank < in[i]->rank)
            first = in[i];
    }
    return count;
}

static void make_attribute(qr_onnx_attribute *a, int64_t ints[3]) {
    static const char *const names[] = {"num_heads",
                                        "q_num_heads",
                                        "kv_num_heads",
                                        "axis",
                                        "transA",
                                        "transB",
                                        "transBatchA",
                                        "transBatchB",
                                        "block_size",
                                        "p",
                                        "is_causal",
                                        "unidirectional",
                                        "qkv_hidden_sizes",
                                        "equation",
                                        "softcap",
                                        "stash_type",
                                        "output_dtype",
                                        "mask_index_type",
                                        "epsilon",
                                        "alpha",
                                        "activation",
                                        "mask_filter_value",
                                        "softmax_precision",
                                        "scale",
                                        "qk_matmul_output_mode",
                                        "approximate",
                                        "past_present_share_buffer"};
    static const char *const texts[] = {
        "ij,jk->ik", "...ij,...jk->...ik", "bhqd,bhkd->bhqk", "ij,ij", "Relu", "tanh", "aab->b",
        "i->ii"};
    static const int64_t numbers[] = {1, 2, 4, 4, 0, -1, 3, 1, 2, INT64_MAX, INT64_MIN, 10, 11};
    *a = (qr_onnx_attribute){.name = names[below(sizeof names / sizeof names[0])],
                             .kind = QR_ONNX_ATTR_INT,
                             .s = texts[below(sizeof texts / sizeof texts[0])],
                             .f = (float)below(5) / 4,
                             .ints = ints,
                             .count = 3};
    a->i = numbers[below(chance(90) ? 5 : sizeof numbers / sizeof numbers[0])];
    for (size_t i = 0; i < 3; i++)
        ints[i] = chance(90) ? 4 : numbers[below(sizeof numbers / sizeof numbers[0])];
    if (strcmp(a->name, "equation") == 0 || strcmp(a->name, "activation") == 0 ||
        strcmp(a->name, "approximate") == 0)
        a->kind = QR_ONNX_ATTR_STRING;
    if (strcmp(a->name, "qkv_hidden_sizes") == 0)
        a->kind = QR_ONNX_ATTR_INTS;
    if (strcmp(a->name, "epsilon") == 0 || strcmp(a->name, "alpha") == 0 ||
        strcmp(a->name, "scale") == 0 || strcmp(a->name, "softcap") == 0)
        a->kind = QR_ONNX_ATTR_FLOAT;
    if (chance(3))
        a->kind = (qr_onnx_kind)below(QR_ONNX_ATTR_OTHER);
    if (a->kind == QR_ONNX_ATTR_TENSOR || a->kind == QR_ONNX_ATTR_FLOATS)
        a->kind = QR_ONNX_ATTR_OTHER;
}

static void check_output(const char *op, const qr_onnx_tensor *tensor) {
    size_t count = 1;
    volatile double sink = 0; /* so that every number is read */
    (void)op;                 /* the plain runner shows no messages */
    cr_assert_leq(tensor->rank, QR_ONNX_RANK_MAX);
    for (size_t i = 0; i < tensor->rank; i++)
        count *= tensor->shape[i];
    cr_assert_eq(count, tensor->count, "%s", op);
    for (size_t i = 0; i < count; i++)
        sink = tensor->floats != NULL ? (double)tensor->floats[i] : (double)qr_onnx_int(tensor, i);
    (void)sink;
}

/* Whether the call was taken. */
static bool check_one(const qr__op *op) {
    qr_onnx_value values[INS + OUTS] = {0};
    qr_onnx_tensor *in[INS], *out[OUTS] = {NULL};
    qr_onnx_attribute attributes[ATTRIBUTES];
    int64_t ints[ATTRIBUTES][3];
    size_t inputs[INS], outputs[OUTS];
    qr_error error = {0};
    const size_t ins = make_inputs(op, in), outs = chance(70) ? 1 : below(OUTS + 1);
    for (size_t i = 0; i < INS + OUTS; i++)
        values[i].name = "value";
    for (size_t i = 0; i < ins; i++)
        inputs[i] = in[i] != NULL ? i : QR_ONNX_NONE;
    for (size_t i = 0; i < outs; i++)
        outputs[i] = chance(95) ? INS + i : QR_ONNX_NONE;
    for (size_t i = 0; i < ATTRIBUTES; i++)
        make_attribute(&attributes[i], ints[i]);
    if (chance(70)) /* what most of these need */
        attributes[0] = (qr_onnx_attribute){.name = "num_heads", .kind = QR_ONNX_ATTR_INT, .i = 2};
    if (strcmp(op->name, "Einsum") == 0 && chance(70))
        attributes[0] = (qr_onnx_attribute){
            .name = "equation", .kind = QR_ONNX_ATTR_STRING, .s = "...ij,...jk->...ik"};
    const qr_onnx_graph graph = {.path = "fuzz.onnx",
                                 .opset = 11 + (int64_t)below(14),
                                 .values = values,
                                 .value_count = INS + OUTS};
    const qr_onnx_node node = {.name = "n",
                               .op = op->name,
                               .domain = op->domain,
                               .inputs = inputs,
                               .input_count = ins,
                               .outputs = outputs,
                               .output_count = outs,
                               .attributes = attributes,
                               .attribute_count = below(ATTRIBUTES + 1)};
    qr__op_call call = {.graph = &graph,
                        .node = &node,
                        .in = in,
                        .ins = ins,
                        .out = out,
                        .outs = outs,
                        .bypass = chance(20),
                        .max_numbers = MOST_NUMBER,
                        .error = &error};
    const qr_status status = qr__op_run(&call);
    if (status != QR_OK) {
        cr_assert(status == QR_BAD_MODEL || status == QR_NO_MEMORY, "%s: %s", op->name,
                  error.message);
        cr_assert_neq(error.message[0], '\0', "%s says nothing", op->name);
    }
    for (size_t i = 0; i < outs; i++) {
        cr_assert_eq(out[i] != NULL, status == QR_OK && outputs[i] != QR_ONNX_NONE, "%s", op->name);
        if (out[i] != NULL)
            check_output(op->name, out[i]);
        qr_onnx_tensor_destroy(out[i]);
    }
    for (size_t i = 0; i < ins; i++) {
        if (in[i] != NULL)
            cr_assert_eq(in[i]->refs, 1, "%s keeps input %zu", op->name, i);
        qr_onnx_tensor_destroy(in[i]);
    }
    return status == QR_OK;
}

Test(ops_fuzz, operators_with_shapes_of_their_own, .timeout = 300) {
    atomic_init(&source.state, 5);
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++)
        for (const qr__op *op = tables[t]; op->name != NULL; op++) {
            size_t taken = 0;
            for (size_t round = 0; round < ROUNDS; round++)
                taken += check_one(op);
            /* A fuzzer whose calls are all refused at the door tests the door only. */
            cr_expect_gt(taken, 0, "%s was never taken", op->name);
        }
}
