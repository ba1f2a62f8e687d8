/* onnx/attention_node.c: the operator Attention of ONNX itself (since version 23 of its operators).
 *
 * Queries, keys and values as [B, H, S, D] or as [B, S, H D]; fewer heads of keys than of queries;
 * keys and values of the past; masks, causal or given. */
#include "onnx/attend.h"

#include <math.h>

typedef struct attention_inputs {
    const qr_onnx_tensor *q, *k, *v, *mask, *past_k, *past_v, *lengths;
    bool joined; /* [B, S, H D] */
} attention_inputs;

/* A tensor's axes read as [B, heads, rows, numbers of a head]. */
static void read_axes(const qr_onnx_tensor *x, size_t heads, size_t axes[4]) {
    axes[0] = x->shape[0];
    axes[1] = heads;
    axes[2] = x->rank == 4 ? x->shape[2] : x->shape[1];
    axes[3] = x->rank == 4 ? x->shape[3] : heads == 0 ? 0 : x->shape[2] / heads;
}

static bool are_alike(const attention_inputs *in) {
    const qr_onnx_tensor *all[3] = {in->q, in->k, in->v};
    for (size_t i = 0; i < 3; i++)
        if (all[i] == NULL || !qr_onnx_is_float(all[i]->type) || all[i]->rank != all[0]->rank ||
            (all[i]->rank != 3 && all[i]->rank != 4))
            return false;
    return true;
}

static size_t past_length(const attention_inputs *in) {
    return in->past_k == NULL ? 0 : in->past_k->shape[2];
}

/* Whether past keys or values have the axes [B, G, P, D]. */
static bool fits_past(const qr_onnx_tensor *past, size_t B, size_t G, size_t P, size_t D) {
    return past == NULL ||
           (qr_onnx_is_float(past->type) && past->rank == 4 && past->shape[0] == B &&
            past->shape[1] == G && past->shape[2] == P && past->shape[3] == D);
}

/* The sizes that the tensors show. False: they do not fit. */
static bool measure(const attention_inputs *in, const qr_onnx_node *node, qr__attend *a) {
    int64_t heads_q = qr_onnx_attribute_int(node, "q_num_heads", 0);
    int64_t heads_k = qr_onnx_attribute_int(node, "kv_num_heads", 0);
    if (!in->joined) {
        heads_q = (int64_t)in->q->shape[1];
        heads_k = (int64_t)in->k->shape[1];
    }
    if (heads_q <= 0 || heads_k <= 0 || heads_q % heads_k != 0 ||
        (in->past_k == NULL) != (in->past_v == NULL))
        return false;
    const size_t H = (size_t)heads_q, G = (size_t)heads_k;
    size_t q[4], k[4], v[4];
    read_axes(in->q, H, q);
    read_axes(in->k, G, k);
    read_axes(in->v, G, v);
    if (in->joined &&
        (in->q->shape[2] % H != 0 || in->k->shape[2] % G != 0 || in->v->shape[2] % G != 0))
        return false;
    if (!in->joined && in->v->shape[1] != G)
        return false;
    if (in->past_k != NULL && in->past_k->rank != 4)
        return false;
    *a = (qr__attend){.B = q[0], .H = H, .G = G, .S = q[2], .D = q[3], .E = v[3]};
    a->T = past_length(in) + k[2];
    return k[0] == q[0] && v[0] == q[0] && v[2] == k[2] && k[3] == q[3] &&
           fits_past(in->past_k, a->B, G, past_length(in), a->D) &&
           fits_past(in->past_v, a->B, G, past_length(in), a->E);
}

/* Rows `to`.. of each of out's heads [.., length, D] = x [.., rows, D]. */
static void copy_rows(const float *x, size_t heads, size_t rows, size_t D, size_t to, size_t length,
                      float *out) {
    for (size_t h = 0; h < heads; h++)
        memcpy(out + (h * length + to) * D, x + h * rows * D, rows * D * sizeof(float));
}

static void load(const qr__attend *a, const qr_onnx_tensor *x, const qr_onnx_tensor *past,
                 size_t heads, size_t length, size_t D, float *out) {
    const size_t before = past == NULL ? 0 : past->shape[2];
    const size_t rows = length - before;
    if (past != NULL)
        copy_rows(past->floats, a->B * heads, before, D, 0, length, out);
    if (x->rank == 4) {
        copy_rows(x->floats, a->B * heads, rows, D, before, length, out);
        return;
    }
    const qr__heads split = {.B = a->B,
                             .S = rows,
                             .H = heads,
                             .D = D,
                             .width = heads * D,
                             .to = before,
                             .to_length = length};
    qr__heads_split(&split, x->floats, NULL, out);
}

/* Adds what the masks forbid: later keys, and those behind a sequence's length. */
static bool add_masks(const attention_inputs *in, bool causal, qr__attend *a) {
    const size_t before = past_length(in);
    if (in->mask != NULL && !qr__attend_add(a, in->mask))
        return false;
    if (in->lengths != NULL && (qr_onnx_is_float(in->lengths->type) || in->lengths->count != a->B))
        return false;
    for (size_t i = 0; i < a->B * a->H * a->S * a->T; i++) {
        const size_t t = i % a->T, s = i / a->T % a->S, b = i / (a->T * a->S * a->H);
        if ((causal && t > before + s) ||
            (in->lengths != NULL && (int64_t)t >= qr_onnx_int(in->lengths, b)))
            a->bias[i] = -INFINITY;
    }
    return true;
}

/* The outputs behind the first, those that the node asks for: present keys and values, scores. */
static bool give_more(qr__op_call *call, const qr__attend *a, float **stash) {
    const size_t shapes[3][4] = {
        {a->B, a->G, a->T, a->D}, {a->B, a->G, a->T, a->E}, {a->B, a->H, a->S, a->T}};
    const float *numbers[3] = {a->k, a->v, NULL};
    for (size_t i = 1; i < qr_min(call->outs, 4); i++) {
        if (call->node->outputs[i] == QR_ONNX_NONE)
            continue;
        qr_onnx_tensor *out = qr__op_out(call, i, call->in[0]->type, 4, shapes[i - 1]);
        if (out == NULL)
            return false;
        if (i == 3)
            *stash = qr_onnx_floats(out);
        else
            memcpy(qr_onnx_floats(out), numbers[i - 1], out->count * sizeof(float));
    }
    return true;
}

static bool give(qr__op_call *call, const qr__attend *a, bool joined) {
    const size_t heads[4] = {a->B, a->H, a->S, a->E}, rows[3] = {a->B, a->S, a->H * a->E};
    float *stash = NULL;
    qr_onnx_tensor *y = qr__op_scratch(call, a->type, 4, heads);
    if (y == NULL || !give_more(call, a, &stash)) {
        qr_onnx_tensor_destroy(y);
        return false;
    }
    qr__attend_run(a, stash, qr_onnx_floats(y));
    if (!joined) {
        call->out[0] = y;
        return true;
    }
    qr_onnx_tensor *out = qr__op_out(call, 0, a->type, 3, rows);
    if (out != NULL)
        qr__heads_join(a->B, a->S, a->H, a->E, y->floats, qr_onnx_floats(out));
    qr_onnx_tensor_destroy(y);
    return out != NULL;
}

qr_status qr__op_attention(qr__op_call *call) {
    const attention_inputs in = {.q = qr__op_in(call, 0),
                                 .k = qr__op_in(call, 1),
                                 .v = qr__op_in(call, 2),
                                 .mask = qr__op_in(call, 3),
                                 .past_k = qr__op_in(call, 4),
                                 .past_v = qr__op_in(call, 5),
                                 .lengths = qr__op_in(call, 6),
                                 .joined = call->ins > 0 && call->in[0] != NULL &&
                                           call->in[0]->rank == 3};
    const int64_t stash_of = qr_onnx_attribute_int(call->node, "qk_matmul_output_mode", 0);
    qr__attend a;
    if (!are_alike(&in) || !measure(&in, call->node, &a))
        return qr__op_refuse(call, "the shapes of queries, keys and values do not fit");
    if (stash_of < 0 || stash_of >= QR__STASH_COUNT)
        return qr__op_refuse(call, "qk_matmul_output_mode %lld is not known", (long long)stash_of);
    a.stash_of = (qr__stash)stash_of;
    a.type = in.q->type;
    a.cap = qr_onnx_attribute_float(call->node, "softcap", 0.0f);
    a.scale = qr_onnx_attribute_float(call->node, "scale", 1.0f / sqrtf((float)a.D));
    qr_status status = QR_OK;
    if (!qr__attend_init(&a, call)) {
        status = qr__op_no_memory(call);
    } else {
        load(&a, in.q, NULL, a.H, a.S, a.D, a.q);
        load(&a, in.k, in.past_k, a.G, a.T, a.D, a.k);
        load(&a, in.v, in.past_v, a.G, a.T, a.E, a.v);
        const bool causal = qr_onnx_attribute_int(call->node, "is_causal", 0) != 0;
        if (!add_masks(&in, causal, &a))
            status = qr__op_refuse(call, "the mask does not fit the scores");
        else if (!give(call, &a, in.joined))
            status = qr__op_no_memory(call);
    }
    qr__attend_deinit(&a);
    return status;
}
