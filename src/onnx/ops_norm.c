/* onnx/ops_norm.c: normalisations, and the activations that ONNX Runtime fuses beside them.
 *
 * Sums are taken in f64; what a type shorter than f32 holds is rounded once, at the end. */
#include "onnx/gelu.h"

#include <math.h>
#include <stdlib.h>

/* y[n] = (x - mean) / sqrt(variance + epsilon); returns 1 / sqrt(variance + epsilon). */
static float standardize(const float *x, size_t n, float epsilon, float *y, float *mean) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    const double middle = sum / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += (x[i] - middle) * (x[i] - middle);
    const double inverse = 1.0 / sqrt(squares / (double)n + (double)epsilon);
    for (size_t i = 0; i < n; i++)
        y[i] = (float)((x[i] - middle) * inverse);
    *mean = (float)middle;
    return (float)inverse;
}

/* y[rows, n] = standardized x * gamma + beta; beta may be NULL. */
static void normalize_rows(qr_onnx_type type, const float *x, size_t rows, size_t n,
                           const float *gamma, const float *beta, float epsilon, float *y) {
    float mean;
    for (size_t r = 0; r < rows; r++, x += n, y += n) {
        standardize(x, n, epsilon, y, &mean);
        for (size_t i = 0; i < n; i++)
            y[i] = qr_onnx_round(type, y[i] * gamma[i] + (beta == NULL ? 0.0f : beta[i]));
    }
}

/* Whether the tensor has `n` floats of the type in one axis. */
static bool is_row(const qr_onnx_tensor *tensor, qr_onnx_type type, size_t n) {
    return tensor != NULL && tensor->type == type && tensor->rank == 1 && tensor->count == n;
}

static float epsilon_of(const qr__op_call *call, float otherwise) {
    return qr_onnx_attribute_float(call->node, "epsilon", otherwise);
}

/* LayerNormalization. */

/* Which number of `small`, broadcast to the shape of x, stands at place `at` of x. */
static size_t broadcast_place(const qr_onnx_tensor *small, const qr_onnx_tensor *x, size_t at) {
    size_t place = 0, step = 1;
    for (size_t i = 0; i < small->rank; i++) { /* from the last axis on */
        const size_t of_x = x->shape[x->rank - 1 - i], size = small->shape[small->rank - 1 - i];
        place += size == 1 ? 0 : at % of_x * step;
        at /= of_x;
        step *= size;
    }
    return place;
}

static bool broadcasts_to(const qr_onnx_tensor *small, const qr_onnx_tensor *x) {
    if (small->rank > x->rank)
        return false;
    for (size_t i = 0; i < small->rank; i++) {
        const size_t size = small->shape[small->rank - 1 - i];
        if (size != 1 && size != x->shape[x->rank - 1 - i])
            return false;
    }
    return true;
}

static qr_status layer_norm_shapes(qr__op_call *call, size_t *axis) {
    const qr_onnx_tensor *x = qr__op_in(call, 0);
    if (x == NULL || qr__op_in(call, 1) == NULL || !qr_onnx_is_float(x->type))
        return qr__op_refuse(call, "it normalizes floats, and needs a scale");
    if (!qr__op_axis(qr_onnx_attribute_int(call->node, "axis", -1), x->rank, axis))
        return qr__op_refuse(call, "the axis is none of the %zu of its input", x->rank);
    if (qr_onnx_attribute_int(call->node, "stash_type", QR_ONNX_FLOAT) != QR_ONNX_FLOAT)
        return qr__op_refuse(call, "a stash_type other than float32 is not done");
    for (size_t i = 1; i < 3; i++) {
        const qr_onnx_tensor *small = qr__op_in(call, i);
        if (small != NULL && (!qr_onnx_is_float(small->type) || !broadcasts_to(small, x)))
            return qr__op_refuse(call, "input %zu does not fit the first", i);
    }
    return QR_OK;
}

/* Mean and 1 / deviation, where the node asks for them: [.., 1, 1]. */
static bool layer_norm_stash(qr__op_call *call, size_t axis, float *out[2]) {
    const qr_onnx_tensor *x = call->in[0];
    size_t shape[QR_ONNX_RANK_MAX];
    for (size_t i = 0; i < x->rank; i++)
        shape[i] = i < axis ? x->shape[i] : 1;
    for (size_t i = 1; i < qr_min(call->outs, 3); i++) {
        if (call->node->outputs[i] == QR_ONNX_NONE)
            continue;
        qr_onnx_tensor *stash = qr__op_out(call, i, QR_ONNX_FLOAT, x->rank, shape);
        if (stash == NULL)
            return false;
        out[i - 1] = qr_onnx_floats(stash);
    }
    return true;
}

static qr_status run_layer_norm(qr__op_call *call) {
    size_t axis;
    float *stash[2] = {NULL, NULL};
    const qr_status status = layer_norm_shapes(call, &axis);
    if (status != QR_OK)
        return status;
    const qr_onnx_tensor *x = call->in[0], *scale = call->in[1], *bias = qr__op_in(call, 2);
    qr_onnx_tensor *y = qr__op_out(call, 0, x->type, x->rank, x->shape);
    if (y == NULL || !layer_norm_stash(call, axis, stash))
        return qr__op_no_memory(call);
    size_t n = 1;
    for (size_t i = axis; i < x->rank; i++)
        n *= x->shape[i];
    float *numbers = qr_onnx_floats(y);
    for (size_t r = 0; n > 0 && r < x->count / n; r++) {
        float mean;
        const float inverse =
            standardize(x->floats + r * n, n, epsilon_of(call, 1e-5f), numbers + r * n, &mean);
        if (stash[0] != NULL)
            stash[0][r] = mean;
        if (stash[1] != NULL)
            stash[1][r] = inverse;
    }
    for (size_t i = 0; i < y->count; i++) {
        const float shift = bias == NULL ? 0.0f : bias->floats[broadcast_place(bias, x, i)];
        const float factor = scale->floats[broadcast_place(scale, x, i)];
        numbers[i] = qr_onnx_round(x->type, numbers[i] * factor + shift);
    }
    return QR_OK;
}

/* LpNormalization. */

static float length_of(const float *x, size_t n, size_t step, bool squared) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        const double number = x[i * step];
        sum += squared ? number * number : fabs(number);
    }
    return (float)(squared ? sqrt(sum) : sum);
}

static qr_status run_lp_norm(qr__op_call *call) {
    const qr_onnx_tensor *x = qr__op_in(call, 0);
    const int64_t p = qr_onnx_attribute_int(call->node, "p", 2);
    size_t axis;
    if (x == NULL || !qr_onnx_is_float(x->type) || (p != 1 && p != 2))
        return qr__op_refuse(call, "it normalizes floats, by p 1 or 2");
    if (!qr__op_axis(qr_onnx_attribute_int(call->node, "axis", -1), x->rank, &axis))
        return qr__op_refuse(call, "the axis is none of the %zu of its input", x->rank);
    qr_onnx_tensor *y = qr__op_out(call, 0, x->type, x->rank, x->shape);
    if (y == NULL)
        return qr__op_no_memory(call);
    float *numbers = qr_onnx_floats(y);
    const size_t n = x->shape[axis];
    size_t step = 1;
    for (size_t i = axis + 1; i < x->rank; i++)
        step *= x->shape[i];
    for (size_t i = 0; i < x->count; i++) {
        const size_t first = i / (step * n) * (step * n) + i % step;
        if (i / step % n != 0)
            continue; /* its line is done */
        const float length = length_of(x->floats + first, n, step, p == 2);
        for (size_t k = first; k < first + n * step; k += step)
            numbers[k] = qr_onnx_round(x->type, x->floats[k] / length); /* 0 / 0 too */
    }
    return QR_OK;
}

/* ONNX Runtime's. */

/* Whether the tensor ends with x's last axes, so that its numbers repeat through x. */
static bool repeats_in(const qr_onnx_tensor *small, const qr_onnx_tensor *x) {
    size_t rank = small->rank, from = 0;
    while (from < rank && small->shape[from] == 1)
        from++;
    rank -= from;
    return small->type == x->type && rank <= x->rank && small->count > 0 &&
           memcmp(small->shape + from, x->shape + x->rank - rank, rank * sizeof(size_t)) == 0;
}

static qr_status run_skip_layer_norm(qr__op_call *call) {
    const qr_onnx_tensor *x = qr__op_in(call, 0), *skip = qr__op_in(call, 1);
    const qr_onnx_tensor *gamma = qr__op_in(call, 2), *beta = qr__op_in(call, 3);
    const qr_onnx_tensor *bias = qr__op_in(call, 4);
    if (x == NULL || x->rank == 0 || x->count == 0 || !qr_onnx_is_float(x->type) || skip == NULL ||
        !repeats_in(skip, x))
        return qr__op_refuse(call, "it needs two inputs of floats that fit");
    const size_t n = x->shape[x->rank - 1];
    if (!is_row(gamma, x->type, n) || (beta != NULL && !is_row(beta, x->type, n)) ||
        (bias != NULL && !is_row(bias, x->type, n)))
        return qr__op_refuse(call, "gamma, beta and bias must have %zu numbers", n);
    qr_onnx_tensor *y = qr__op_out(call, 0, x->type, x->rank, x->shape);
    qr_onnx_tensor *sum = qr__op_scratch(call, x->type, x->rank, x->shape);
    if (y == NULL || sum == NULL) {
        qr_onnx_tensor_destroy(sum);
        return qr__op_no_memory(call);
    }
    float *added = qr_onnx_floats(sum);
    for (size_t i = 0; i < x->count; i++)
        added[i] = qr_onnx_round(x->type, x->floats[i] + skip->floats[i % skip->count] +
                                              (bias == NULL ? 0.0f : bias->floats[i % n]));
    normalize_rows(x->type, added, x->count / n, n, gamma->floats,
                   beta == NULL ? NULL : beta->floats, epsilon_of(call, 1e-12f), qr_onnx_floats(y));
    if (call->outs > 3)
        call->out[3] = sum;
    else
        qr_onnx_tensor_destroy(sum);
    return QR_OK;
}

typedef struct embedding {
    const qr_onnx_tensor *ids, *segments, *positions; /* the last two may be NULL */
    const qr_onnx_tensor *words, *places, *kinds;     /* tables; kinds: NULL without segments */
    size_t n;                                         /* numbers of a row */
} embedding;

static bool is_table(const qr_onnx_tensor *table, qr_onnx_type type, size_t n) {
    return table != NULL && table->rank == 2 && table->type == type && table->shape[1] == n;
}

/* Adds row `id` of the table. False: it has none. */
static bool add_row(const qr_onnx_tensor *table, int64_t id, size_t n, float *sum) {
    if (id < 0 || (uint64_t)id >= table->shape[0])
        return false;
    for (size_t i = 0; i < n; i++)
        sum[i] += table->floats[(size_t)id * n + i];
    return true;
}

static bool embed(const embedding *e, qr_onnx_type type, float *sum) {
    for (size_t t = 0; t < e->ids->count; t++, sum += e->n) {
        const size_t place = t % e->ids->shape[1];
        const int64_t position = e->positions == NULL
                                     ? (int64_t)place
                                     : qr_onnx_int(e->positions, t % e->positions->count);
        if (!add_row(e->words, qr_onnx_int(e->ids, t), e->n, sum) ||
            !add_row(e->places, position, e->n, sum) ||
            (e->segments != NULL && !add_row(e->kinds, qr_onnx_int(e->segments, t), e->n, sum)))
            return false;
        for (size_t i = 0; i < e->n; i++)
            sum[i] = qr_onnx_round(type, sum[i]);
    }
    return true;
}

static bool is_ids(const qr_onnx_tensor *ids, const qr_onnx_tensor *like, bool one_row) {
    return ids == NULL ||
           (!qr_onnx_is_float(ids->type) && ids->rank == 2 && ids->shape[1] == like->shape[1] &&
            (ids->shape[0] == like->shape[0] || (one_row && ids->shape[0] == 1)));
}

/* How many ones a row of the mask has; zeros where there is no mask. */
static bool mask_index(qr__op_call *call, const qr_onnx_tensor *ids, const qr_onnx_tensor *mask) {
    if (call->outs < 2 || call->node->outputs[1] == QR_ONNX_NONE)
        return true;
    qr_onnx_tensor *index = qr__op_out(call, 1, QR_ONNX_INT32, 1, ids->shape);
    if (index == NULL)
        return false;
    for (size_t t = 0; mask != NULL && t < mask->count; t++)
        if (qr_onnx_int(mask, t) == 1)
            qr_onnx_longs(index)[t / ids->shape[1]]++;
    return true;
}

static qr_status embedding_init(embedding *e, qr__op_call *call) {
    *e = (embedding){.ids = qr__op_in(call, 0),
                     .segments = qr__op_in(call, 1),
                     .positions = qr__op_in(call, 8),
                     .words = qr__op_in(call, 2),
                     .places = qr__op_in(call, 3),
                     .kinds = qr__op_in(call, 4)};
    if (e->ids == NULL || e->ids->rank != 2 || !is_ids(e->ids, e->ids, false) ||
        !is_ids(e->segments, e->ids, false) || !is_ids(e->positions, e->ids, true) ||
        !is_ids(qr__op_in(call, 7), e->ids, false))
        return qr__op_refuse(call,
                             "ids, segments, mask and positions must be whole numbers [B, S]");
    if (e->words == NULL || e->words->rank != 2 || !qr_onnx_is_float(e->words->type))
        return qr__op_refuse(call, "the word embeddings must be a table of floats");
    const qr_onnx_type type = e->words->type;
    e->n = e->words->shape[1];
    if (e->n == 0 || !is_table(e->places, type, e->n) ||
        (e->segments != NULL && !is_table(e->kinds, type, e->n)) ||
        !is_row(qr__op_in(call, 5), type, e->n) || !is_row(qr__op_in(call, 6), type, e->n))
        return qr__op_refuse(call, "tables, gamma and beta must have rows of %zu numbers", e->n);
    return QR_OK;
}

static qr_status run_embed_layer_norm(qr__op_call *call) {
    embedding e;
    const qr_status status = embedding_init(&e, call);
    if (status != QR_OK)
        return status;
    const qr_onnx_type type = e.words->type;
    const size_t shape[3] = {e.ids->shape[0], e.ids->shape[1], e.n};
    qr_onnx_tensor *y = qr__op_out(call, 0, type, 3, shape);
    qr_onnx_tensor *sum = qr__op_scratch(call, type, 3, shape);
    qr_status result = QR_OK;
    if (y == NULL || sum == NULL || !mask_index(call, e.ids, qr__op_in(call, 7)))
        result = qr__op_no_memory(call);
    else if (!embed(&e, type, qr_onnx_floats(sum)))
        result = qr__op_refuse(call, "an id, a segment or a position has no row in its table");
    else
        normalize_rows(type, sum->floats, e.ids->count, e.n, call->in[5]->floats,
                       call->in[6]->floats, epsilon_of(call, 1e-12f), qr_onnx_floats(y));
    if (result == QR_OK && call->outs > 2)
        call->out[2] = sum;
    else
        qr_onnx_tensor_destroy(sum);
    return result;
}

const qr__op qr__ops_norm[] = {
    {"", "LayerNormalization", run_layer_norm},
    {"", "LpNormalization", run_lp_norm},
    {"com.microsoft", "SkipLayerNormalization", run_skip_layer_norm},
    {"com.microsoft", "EmbedLayerNormalization", run_embed_layer_norm},
    {"com.microsoft", "Gelu", qr__op_gelu},
    {"com.microsoft", "BiasGelu", qr__op_bias_gelu},
    {"com.microsoft", "FastGelu", qr__op_fast_gelu},
    {"com.microsoft", "QuickGelu", qr__op_quick_gelu},
    {NULL, NULL, NULL},
};
