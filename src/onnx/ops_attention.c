/* onnx/ops_attention.c: ONNX's Attention, and ONNX Runtime's operators around it.
 *
 * Theirs: masks add mask_filter_value (-10000) where a key is hidden. Not done, and refused by
 * name: past keys, packed forms, rotary embeddings, causal masks. */
#include "onnx/attend.h"
#include "onnx/product.h"
#include "onnx/quantized.h"

#include <math.h>

/* What any of ONNX Runtime's attentions is made of, once queries, keys and values are there. */
typedef struct fused {
    const qr_onnx_tensor *mask, *bias; /* what is added to the scores; NULL: none */
    size_t batch, queries, keys, heads;
    size_t sizes[3];              /* numbers of a row: queries, keys, values */
    qr__heads split[3];           /* how each is read */
    const float *x[3], *added[3]; /* from what; biases, or NULL */
    qr_onnx_type type;
} fused;

/* Hides keys of row `b`: mask is [B, T], [B, S, T], [B] or [2 B]: ends, then starts. */
static bool is_hidden(const fused *f, size_t b, size_t s, size_t t) {
    const qr_onnx_tensor *mask = f->mask;
    if (mask->rank == 2)
        return qr_onnx_int(mask, b * f->keys + t) <= 0;
    if (mask->rank == 3)
        return qr_onnx_int(mask, (b * f->queries + s) * f->keys + t) <= 0;
    return (int64_t)t >= qr_onnx_int(mask, b) ||
           (mask->count > f->batch && (int64_t)t < qr_onnx_int(mask, f->batch + b));
}

static bool fits_mask(const fused *f) {
    const qr_onnx_tensor *mask = f->mask;
    if (mask == NULL)
        return true;
    if (qr_onnx_is_float(mask->type) || mask->rank == 0)
        return false;
    if (mask->rank == 1)
        return mask->count == f->batch || mask->count == 2 * f->batch;
    const size_t last = mask->shape[mask->rank - 1];
    return (mask->rank == 2 || (mask->rank == 3 && mask->shape[1] == f->queries)) &&
           mask->shape[0] == f->batch && last == f->keys;
}

static void hide(const fused *f, float filter, qr__attend *a) {
    for (size_t i = 0; i < a->B * a->H * a->S * a->T; i++) {
        const size_t t = i % a->T, s = i / a->T % a->S, b = i / (a->T * a->S * a->H);
        if (is_hidden(f, b, s, t))
            a->bias[i] += filter;
    }
}

static qr_status refuse_options(qr__op_call *call) {
    static const char *const names[] = {"unidirectional", "do_rotary", "past_present_share_buffer"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (qr_onnx_attribute_int(call->node, names[i], 0) != 0)
            return qr__op_refuse(call, "%s is not done", names[i]);
    return QR_OK;
}

static qr_status refuse_input(qr__op_call *call, size_t at, const char *name) {
    return qr__op_in(call, at) == NULL ? QR_OK : qr__op_refuse(call, "%s is not done", name);
}

/* The call's heads, by which all three sizes divide. 0: the call is refused. */
static size_t heads_of(qr__op_call *call, const size_t sizes[3]) {
    const int64_t heads = qr_onnx_attribute_int(call->node, "num_heads", 0);
    for (size_t i = 0; i < 3; i++)
        if (heads <= 0 || sizes[i] == 0 || sizes[i] % (size_t)heads != 0) {
            (void)qr__op_refuse(call, "%zu numbers of a row are not %lld heads", sizes[i],
                                (long long)heads);
            return 0;
        }
    if (sizes[0] != sizes[1]) {
        (void)qr__op_refuse(call, "queries and keys differ in size");
        return 0;
    }
    return (size_t)heads;
}

static qr_status attend(qr__op_call *call, const fused *f, qr__attend *a) {
    float *const to[3] = {a->q, a->k, a->v};
    const size_t shape[3] = {a->B, a->S, a->H * a->E}, by_head[4] = {a->B, a->H, a->S, a->E};
    for (size_t i = 0; i < 3; i++)
        qr__heads_split(&f->split[i], f->x[i], f->added[i], to[i]);
    if (f->bias != NULL && (!qr_onnx_is_float(f->bias->type) || f->bias->rank != 4 ||
                            f->bias->shape[3] != a->T || !qr__attend_add(a, f->bias)))
        return qr__op_refuse(call, "the attention bias does not fit the scores");
    if (f->mask != NULL)
        hide(f, qr_onnx_attribute_float(call->node, "mask_filter_value", -10000.0f), a);
    qr_onnx_tensor *y = qr__op_scratch(call, f->type, 4, by_head);
    qr_onnx_tensor *out = qr__op_out(call, 0, f->type, 3, shape);
    if (y != NULL && out != NULL) {
        qr__attend_run(a, NULL, qr_onnx_floats(y));
        qr__heads_join(a->B, a->S, a->H, a->E, y->floats, qr_onnx_floats(out));
    }
    qr_onnx_tensor_destroy(y);
    return y != NULL && out != NULL ? QR_OK : qr__op_no_memory(call);
}

static qr_status run_fused(qr__op_call *call, fused *f) {
    if (!fits_mask(f))
        return qr__op_refuse(call, "a mask of this shape is not done");
    const size_t D = f->sizes[0] / f->heads;
    const float given = qr_onnx_attribute_float(call->node, "scale", 0.0f);
    qr__attend a = {.B = f->batch,
                    .H = f->heads,
                    .G = f->heads,
                    .S = f->queries,
                    .T = f->keys,
                    .D = D,
                    .E = f->sizes[2] / f->heads,
                    .scale = given == 0.0f ? 1.0f / sqrtf((float)D) : given,
                    .type = f->type};
    for (size_t i = 0; i < 3; i++) {
        f->split[i].B = f->batch;
        f->split[i].S = f->split[i].to_length = i == 0 ? f->queries : f->keys;
        f->split[i].H = f->heads;
        f->split[i].D = f->sizes[i] / f->heads;
    }
    const qr_status status =
        qr__attend_init(&a, call) ? attend(call, f, &a) : qr__op_no_memory(call);
    qr__attend_deinit(&a);
    return status;
}

/* Attention over projected [B, S, queries | keys | values]; takes the tensor. */
static qr_status attend_merged(qr__op_call *call, qr_onnx_tensor *merged, const size_t sizes[3],
                               const qr_onnx_tensor *mask, const qr_onnx_tensor *bias) {
    fused f = {.mask = mask,
               .bias = bias,
               .batch = merged->shape[0],
               .queries = merged->shape[1],
               .keys = merged->shape[1],
               .heads = heads_of(call, sizes),
               .type = merged->type};
    size_t at = 0;
    for (size_t i = 0; i < 3; i++) {
        f.x[i] = merged->floats;
        f.sizes[i] = sizes[i];
        f.split[i] = (qr__heads){.width = merged->shape[2], .at = at};
        at += sizes[i];
    }
    const qr_status status = f.heads == 0 ? QR_BAD_MODEL : run_fused(call, &f);
    qr_onnx_tensor_destroy(merged);
    return status;
}

/* How the width of merged weights divides into queries, keys and values. False: it does not. */
static bool merged_sizes(const qr_onnx_node *node, size_t width, size_t sizes[3]) {
    const qr_onnx_attribute *given = qr_onnx_find_attribute(node, "qkv_hidden_sizes");
    sizes[0] = sizes[1] = sizes[2] = width / 3;
    if (given == NULL || given->kind != QR_ONNX_ATTR_INTS || given->count == 0)
        return width % 3 == 0;
    size_t left = width;
    for (size_t i = 0; i < 3 && given->count == 3; i++) {
        if (given->ints[i] < 0 || (uint64_t)given->ints[i] > left)
            return false;
        sizes[i] = (size_t)given->ints[i];
        left -= sizes[i];
    }
    return given->count == 3 && left == 0;
}

/* x[B, S, C] by weights[C, N], plus the bias. NULL: no memory, or more than the call may do. */
static qr_onnx_tensor *project(qr__op_call *call, const qr_onnx_tensor *x,
                               const qr_onnx_tensor *weights, const qr_onnx_tensor *bias) {
    const size_t N = weights->shape[1], shape[3] = {x->shape[0], x->shape[1], N};
    qr_onnx_tensor *out = qr__op_scratch(call, x->type, 3, shape);
    if (out == NULL || !qr__op_spend(call, out->count, x->shape[2])) {
        qr_onnx_tensor_destroy(out);
        return NULL;
    }
    float *y = qr_onnx_floats(out);
    qr__product(&(qr__product_task){.M = x->shape[0] * x->shape[1],
                                    .N = N,
                                    .K = x->shape[2],
                                    .a = x->floats,
                                    .lda = x->shape[2],
                                    .b = weights->floats,
                                    .ldb = N,
                                    .alpha = 1.0f,
                                    .y = y,
                                    .ldy = N});
    for (size_t i = 0; bias != NULL && i < out->count; i++)
        y[i] += bias->floats[i % N];
    qr__round_all(out);
    return out;
}

static qr_status run_attention(qr__op_call *call) {
    const qr_onnx_tensor *x = qr__op_in(call, 0), *weights = qr__op_in(call, 1);
    const qr_onnx_tensor *bias = qr__op_in(call, 2);
    size_t sizes[3];
    if (refuse_options(call) != QR_OK || refuse_input(call, 4, "a past") != QR_OK ||
        refuse_input(call, 6, "past_sequence_length") != QR_OK)
        return QR_BAD_MODEL;
    if (x == NULL || weights == NULL || !qr_onnx_is_float(x->type) || x->rank != 3 ||
        weights->type != x->type || weights->rank != 2 || weights->shape[0] != x->shape[2])
        return qr__op_refuse(call, "its input [B, S, C] and its weights [C, N] do not fit");
    if (!merged_sizes(call->node, weights->shape[1], sizes) ||
        (bias != NULL && (bias->type != x->type || bias->count != weights->shape[1])))
        return qr__op_refuse(call, "its weights, bias and qkv_hidden_sizes do not fit");
    qr_onnx_tensor *merged = project(call, x, weights, bias);
    if (merged == NULL)
        return qr__op_no_memory(call);
    return attend_merged(call, merged, sizes, qr__op_in(call, 3), qr__op_in(call, 5));
}

static qr_status run_quantized_attention(qr__op_call *call) {
    const qr_onnx_tensor *x = qr__op_in(call, 0), *weights = qr__op_in(call, 1);
    const qr_onnx_tensor *x_scale = qr__op_in(call, 3);
    if (refuse_options(call) != QR_OK || refuse_input(call, 8, "a past") != QR_OK)
        return QR_BAD_MODEL;
    if (x == NULL || weights == NULL || x->rank != 3 || weights->rank != 2 ||
        weights->shape[1] % 3 != 0 || x_scale == NULL || x_scale->count != 1 ||
        !qr_onnx_is_float(x_scale->type))
        return qr__op_refuse(call, "its input [B, S, C], scale and weights [C, 3 N] do not fit");
    const size_t third = weights->shape[1] / 3, sizes[3] = {third, third, third};
    const qr_status status = qr__quantized_project(
        call, 0,
        &(qr__quantized_product){
            .a = x, .b = weights, .a_zero = qr__op_in(call, 6), .b_zero = qr__op_in(call, 7)},
        x_scale->floats[0], qr__op_in(call, 4), qr__op_in(call, 2), x_scale->type);
    if (status != QR_OK)
        return status;
    qr_onnx_tensor *merged = call->out[0];
    call->out[0] = NULL;
    return attend_merged(call, merged, sizes, qr__op_in(call, 5), NULL);
}

static qr_status run_multi_head_attention(qr__op_call *call) {
    const qr_onnx_tensor *bias = qr__op_in(call, 3);
    fused f = {.mask = qr__op_in(call, 4), .bias = qr__op_in(call, 5)};
    size_t at = 0;
    if (refuse_options(call) != QR_OK || refuse_input(call, 6, "past_key") != QR_OK ||
        refuse_input(call, 7, "past_value") != QR_OK ||
        refuse_input(call, 8, "past_sequence_length") != QR_OK ||
        refuse_input(call, 9, "cache_indirection") != QR_OK)
        return QR_BAD_MODEL;
    for (size_t i = 0; i < 3; i++) {
        const qr_onnx_tensor *x = qr__op_in(call, i);
        if (x == NULL || x->rank != 3)
            return qr__op_refuse(call, "packed or transposed queries, keys or values are not done");
        if (!qr_onnx_is_float(x->type) || x->type != call->in[0]->type ||
            x->shape[0] != call->in[0]->shape[0] ||
            x->shape[1] != call->in[i == 0 ? 0 : 1]->shape[1])
            return qr__op_refuse(call, "queries, keys and values do not fit");
        f.x[i] = x->floats;
        f.sizes[i] = x->shape[2];
        f.split[i] = (qr__heads){.width = x->shape[2]};
        f.added[i] = bias == NULL || bias->floats == NULL ? NULL : bias->floats + at;
        at += x->shape[2];
    }
    if (bias != NULL && (bias->type != call->in[0]->type || bias->count != at))
        return qr__op_refuse(call, "the bias must have %zu numbers", at);
    f.type = call->in[0]->type;
    f.batch = call->in[0]->shape[0];
    f.queries = call->in[0]->shape[1];
    f.keys = call->in[1]->shape[1];
    f.heads = heads_of(call, f.sizes);
    return f.heads == 0 ? QR_BAD_MODEL : run_fused(call, &f);
}

const qr__op qr__ops_attention[] = {
    {"", "Attention", qr__op_attention},
    {"com.microsoft", "Attention", run_attention},
    {"com.microsoft", "MultiHeadAttention", run_multi_head_attention},
    {"com.microsoft", "QAttention", run_quantized_attention},
    {NULL, NULL, NULL},
};
