/* cpu/ref/ref.c: the forward pass, one function a block of the paper's figure. Everything is double
 * but the weights. */
#include "engine/cpu/ref/ref.h"

#include <math.h>
#include <stdlib.h>

/* The activations of one batch. */
struct state {
    const qr_bert *bert;
    const qr_batch *batch;
    const qr__ref_observer *observer; /* NULL: none */
    size_t tokens;                    /* T */
    double *hidden;                   /* [T][C] */
    double *query;                    /* [T][C] */
    double *key;                      /* [T][C] */
    double *value;                    /* [T][C] */
    double *attended;                 /* [T][C] */
    double *projected;                /* [T][C] */
    double *inner;                    /* [T][F] */
    double *weights;                  /* [T] of one softmax */
    double *vector; /* [2][widest] of one sequence, before and behind a Dense module */
    size_t widest;
    double *words; /* [T][E] before they are projected */
};

static void show(const struct state *s, qr__ref_stage stage, size_t layer, const double *numbers) {
    if (s->observer != NULL)
        s->observer->see(s->observer->user, stage, layer, numbers);
}

/* y[rows][out] = x[rows][in] * W^T + b */
static void linear(const qr_bert_linear *layer, const double *x, size_t rows, double *y) {
    for (size_t t = 0; t < rows; t++) {
        for (size_t n = 0; n < layer->out; n++) {
            double sum = layer->bias[n];
            for (size_t k = 0; k < layer->in; k++)
                sum += x[t * layer->in + k] * layer->weight[n * layer->in + k];
            y[t * layer->out + n] = sum;
        }
    }
}

/* x[rows][C] = (x - mean) / sqrt(variance + eps) * gamma + beta, row by row */
static void layer_norm(const qr_bert_norm *norm, double eps, size_t rows, size_t width, double *x) {
    for (size_t t = 0; t < rows; t++) {
        double *row = x + t * width;
        double mean = 0;
        double variance = 0;
        for (size_t c = 0; c < width; c++)
            mean += row[c];
        mean /= (double)width;
        for (size_t c = 0; c < width; c++)
            variance += (row[c] - mean) * (row[c] - mean);
        variance /= (double)width;
        for (size_t c = 0; c < width; c++)
            row[c] = (row[c] - mean) / sqrt(variance + eps) * norm->gamma[c] + norm->beta[c];
    }
}

static double activate(qr_activation activation, double x) {
    switch (activation) {
    case QR_GELU:
        return 0.5 * x * (1 + erf(x / sqrt(2)));
    case QR_GELU_NEW:
        return 0.5 * x * (1 + tanh(sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
    case QR_RELU:
        break;
    }
    return x > 0 ? x : 0;
}

/* hidden = LayerNorm(word + position + type), projected where E is not C */
static void embed(struct state *s) {
    const qr_bert *bert = s->bert;
    size_t width = bert->info.word_size;
    double *x = width == bert->info.hidden ? s->hidden : s->words;
    for (size_t b = 0; b < s->batch->sequences; b++) {
        for (size_t t = s->batch->starts[b]; t < s->batch->starts[b + 1]; t++) {
            size_t word = (size_t)s->batch->ids[t];
            size_t position = t - s->batch->starts[b];
            size_t type = s->batch->types == NULL ? 0 : s->batch->types[t];
            for (size_t c = 0; c < width; c++) {
                double sum =
                    (double)bert->word[word * width + c] + bert->position[position * width + c];
                if (bert->type != NULL)
                    sum += bert->type[type * width + c];
                x[t * width + c] = sum;
            }
        }
    }
    layer_norm(&bert->embedding_norm, bert->info.layer_norm_eps, s->tokens, width, x);
    if (x != s->hidden)
        linear(&bert->projection, x, s->tokens, s->hidden);
    show(s, QR__REF_EMBEDDINGS, 0, s->hidden);
}

/* attended[t] of one head = sum over u of softmax_u(query[t] . key[u] / sqrt(D)) * value[u], within
 * t's sequence */
static void attend_token(struct state *s, size_t begin, size_t end, size_t t, size_t head) {
    size_t width = s->bert->info.hidden;
    size_t size = width / s->bert->info.heads;
    size_t at = head * size;
    double largest = -INFINITY;
    double total = 0;
    for (size_t u = begin; u < end; u++) {
        double score = 0;
        for (size_t d = at; d < at + size; d++)
            score += s->query[t * width + d] * s->key[u * width + d];
        s->weights[u] = score / sqrt((double)size);
        largest = fmax(largest, s->weights[u]);
    }
    for (size_t u = begin; u < end; u++) {
        s->weights[u] = exp(s->weights[u] - largest);
        total += s->weights[u];
    }
    for (size_t d = at; d < at + size; d++) {
        double sum = 0;
        for (size_t u = begin; u < end; u++)
            sum += s->weights[u] * s->value[u * width + d];
        s->attended[t * width + d] = sum / total;
    }
}

static void attend(struct state *s) {
    for (size_t b = 0; b < s->batch->sequences; b++) {
        size_t begin = s->batch->starts[b];
        size_t end = s->batch->starts[b + 1];
        for (size_t t = begin; t < end; t++)
            for (size_t head = 0; head < s->bert->info.heads; head++)
                attend_token(s, begin, end, t, head);
    }
}

/* hidden = LayerNorm(hidden + projected) */
static void add_and_norm(struct state *s, const qr_bert_norm *norm) {
    size_t width = s->bert->info.hidden;
    for (size_t i = 0; i < s->tokens * width; i++)
        s->hidden[i] += s->projected[i];
    layer_norm(norm, s->bert->info.layer_norm_eps, s->tokens, width, s->hidden);
}

static void forward_layer(struct state *s, size_t l) {
    const qr_bert_layer *layer = &s->bert->layers[l];
    size_t T = s->tokens;
    linear(&layer->query, s->hidden, T, s->query);
    linear(&layer->key, s->hidden, T, s->key);
    linear(&layer->value, s->hidden, T, s->value);
    show(s, QR__REF_QUERY, l, s->query);
    show(s, QR__REF_KEY, l, s->key);
    show(s, QR__REF_VALUE, l, s->value);
    attend(s);
    show(s, QR__REF_ATTENDED, l, s->attended);
    linear(&layer->attention_output, s->attended, T, s->projected);
    add_and_norm(s, &layer->attention_norm);
    show(s, QR__REF_ATTENTION_NORM, l, s->hidden);

    linear(&layer->intermediate, s->hidden, T, s->inner);
    for (size_t i = 0; i < T * s->bert->info.feed_forward; i++)
        s->inner[i] = activate(s->bert->info.activation, s->inner[i]);
    show(s, QR__REF_INTERMEDIATE, l, s->inner);
    linear(&layer->output, s->inner, T, s->projected);
    add_and_norm(s, &layer->output_norm);
    show(s, QR__REF_OUTPUT_NORM, l, s->hidden);
}

/* One channel of tokens [begin, end) of a sequence whose first token is at `start`. */
static double pool_channel(const struct state *s, qr_pooling mode, size_t start, size_t begin,
                           size_t end, size_t channel) {
    const double *x = s->hidden + channel;
    size_t width = s->bert->info.hidden;
    double sum = 0, weighted = 0, weights = 0, largest = -INFINITY;
    for (size_t t = begin; t < end; t++) {
        double weight = (double)(t - start + 1);
        sum += x[t * width];
        weighted += weight * x[t * width];
        weights += weight;
        largest = fmax(largest, x[t * width]);
    }
    switch (mode) {
    case QR_POOLING_CLS:
        return x[begin * width];
    case QR_POOLING_MAX:
        return largest;
    case QR_POOLING_MEAN:
        return sum / (double)(end - begin);
    case QR_POOLING_MEAN_SQRT_LEN:
        return sum / sqrt((double)(end - begin));
    case QR_POOLING_WEIGHTED_MEAN:
        return weighted / weights;
    case QR_POOLING_LAST:
        break;
    }
    return x[(end - 1) * width];
}

static double activate_dense(qr_dense_activation activation, double x) {
    switch (activation) {
    case QR_DENSE_IDENTITY:
        return x;
    case QR_DENSE_TANH:
        return tanh(x);
    case QR_DENSE_RELU:
        return activate(QR_RELU, x);
    case QR_DENSE_GELU:
        return activate(QR_GELU, x);
    case QR_DENSE_SIGMOID:
        break;
    }
    return 1 / (1 + exp(-x));
}

/* y = activation(x * W + b) + residual, one vector */
static void dense(const struct state *s, size_t i, const double *x, double *y) {
    const qr_dense *about = &s->bert->info.dense[i];
    const qr_bert_dense *weights = &s->bert->dense[i];
    for (size_t n = 0; n < about->out; n++) {
        double sum = about->bias ? weights->linear.bias[n] : 0, added = 0;
        for (size_t k = 0; k < about->in; k++) {
            sum += x[k] * weights->linear.weight[n * about->in + k];
            if (about->residual == QR_RESIDUAL_MATRIX)
                added += x[k] * weights->residual.weight[n * about->in + k];
        }
        if (about->residual == QR_RESIDUAL_INPUT)
            added = x[n];
        y[n] = activate_dense(about->activation, sum) + added;
    }
}

static void pool(const struct state *s, float *out) {
    const qr_model_info *info = &s->bert->info;
    size_t C = info->hidden;
    for (size_t b = 0; b < s->batch->sequences; b++) {
        size_t start = s->batch->starts[b];
        size_t begin = start + (s->batch->skip == NULL ? 0 : s->batch->skip[b]);
        double *x = s->vector, *y = s->vector + s->widest;
        for (size_t i = 0; i < info->poolings; i++)
            for (size_t c = 0; c < C; c++)
                x[i * C + c] =
                    pool_channel(s, info->pooling[i], start, begin, s->batch->starts[b + 1], c);
        for (size_t i = 0; i < info->denses; i++) {
            dense(s, i, x, y);
            double *z = x;
            x = y;
            y = z;
        }
        for (size_t c = 0; c < info->embedding; c++)
            out[b * info->embedding + c] = (float)x[c];
    }
}

/* logits = classifier(activation(pooler(hidden of [CLS]))) */
static void classify(const struct state *s, float *out) {
    const qr_bert *bert = s->bert;
    size_t width = bert->info.hidden;
    for (size_t b = 0; b < s->batch->sequences; b++) {
        double *pooled = s->projected;
        linear(&bert->pooler, s->hidden + s->batch->starts[b] * width, 1, pooled);
        for (size_t c = 0; c < width; c++)
            pooled[c] = bert->pooler_activation == QR_POOLER_TANH   ? tanh(pooled[c])
                        : bert->pooler_activation == QR_POOLER_RELU ? activate(QR_RELU, pooled[c])
                                                                    : activate(QR_GELU, pooled[c]);
        linear(&bert->classifier, pooled, 1, s->inner);
        for (size_t k = 0; k < bert->info.labels; k++)
            out[b * bert->info.labels + k] = (float)s->inner[k];
    }
}

static void write_output(const struct state *s, qr_output wanted, float *out) {
    switch (wanted) {
    case QR_OUTPUT_HIDDEN:
        for (size_t i = 0; i < s->tokens * s->bert->info.hidden; i++)
            out[i] = (float)s->hidden[i];
        break;
    case QR_OUTPUT_POOLED:
        pool(s, out);
        break;
    case QR_OUTPUT_SPAN:
        linear(&s->bert->span, s->hidden, s->tokens, s->inner);
        for (size_t i = 0; i < s->tokens * 2; i++)
            out[i] = (float)s->inner[i];
        break;
    case QR_OUTPUT_LABELS:
        classify(s, out);
        break;
    case QR_OUTPUT_TOKEN_LABELS:
        linear(&s->bert->classifier, s->hidden, s->tokens, s->inner);
        for (size_t i = 0; i < s->tokens * s->bert->info.labels; i++)
            out[i] = (float)s->inner[i];
        break;
    }
}

static qr_status check(const qr_bert *bert, const qr_batch *batch, qr_output wanted,
                       qr_error *error) {
    const qr_model_info *info = &bert->info;
    if ((wanted == QR_OUTPUT_SPAN && info->head != QR_HEAD_SPAN) ||
        (wanted == QR_OUTPUT_LABELS && info->head != QR_HEAD_LABELS) ||
        (wanted == QR_OUTPUT_TOKEN_LABELS && info->head != QR_HEAD_TOKENS))
        return qr_error_set(error, QR_BAD_REQUEST, "the model has no head for this output");
    for (size_t b = 0; b < batch->sequences; b++) {
        size_t begin = batch->starts[b];
        size_t end = batch->starts[b + 1];
        if (end <= begin || end - begin > info->positions)
            return qr_error_set(error, QR_BAD_REQUEST, "sequence %zu has not 1 to %zu tokens", b,
                                info->positions);
        if (batch->skip != NULL && batch->skip[b] >= end - begin)
            return qr_error_set(error, QR_BAD_REQUEST, "sequence %zu leaves out all tokens", b);
        for (size_t t = begin; t < end; t++) {
            if (batch->ids[t] < 0 || (size_t)batch->ids[t] >= info->vocab)
                return qr_error_set(error, QR_BAD_REQUEST, "token %zu has no word", t);
            if (info->types > 0 && batch->types != NULL && batch->types[t] >= info->types)
                return qr_error_set(error, QR_BAD_REQUEST, "token %zu has no such type", t);
        }
    }
    return QR_OK;
}

size_t qr_ref_output_floats(const qr_bert *bert, const qr_batch *batch, qr_output wanted) {
    size_t tokens = batch->starts[batch->sequences];
    switch (wanted) {
    case QR_OUTPUT_HIDDEN:
        return tokens * bert->info.hidden;
    case QR_OUTPUT_POOLED:
        return batch->sequences * bert->info.embedding;
    case QR_OUTPUT_SPAN:
        return tokens * 2;
    case QR_OUTPUT_TOKEN_LABELS:
        return tokens * bert->info.labels;
    case QR_OUTPUT_LABELS:
        break;
    }
    return batch->sequences * bert->info.labels;
}

qr_status qr_ref_forward(const qr_bert *bert, const qr_batch *batch, qr_output wanted, float *out,
                         qr_error *error) {
    return qr_ref_forward_observed(bert, batch, wanted, NULL, out, error);
}

qr_status qr_ref_forward_observed(const qr_bert *bert, const qr_batch *batch, qr_output wanted,
                                  const qr__ref_observer *observer, float *out, qr_error *error) {
    qr_status status = check(bert, batch, wanted, error);
    if (status != QR_OK)
        return status;
    size_t T = batch->starts[batch->sequences];
    size_t C = bert->info.hidden;
    size_t inner = T * qr_max(qr_max(bert->info.feed_forward, 2), bert->info.labels);
    size_t widest = bert->info.poolings * C;
    for (size_t i = 0; i < bert->info.denses; i++)
        widest = qr_max(widest, bert->info.dense[i].out);
    double *memory =
        calloc(6 * T * C + inner + T + 2 * widest + T * bert->info.word_size, sizeof *memory);
    if (memory == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "no memory for %zu tokens", T);
    struct state s = {
        .bert = bert, .batch = batch, .observer = observer, .tokens = T, .hidden = memory};
    s.query = s.hidden + T * C;
    s.key = s.query + T * C;
    s.value = s.key + T * C;
    s.attended = s.value + T * C;
    s.projected = s.attended + T * C;
    s.inner = s.projected + T * C;
    s.weights = s.inner + inner;
    s.vector = s.weights + T;
    s.widest = widest;
    s.words = s.vector + 2 * widest;
    embed(&s);
    for (size_t i = 0; i < bert->info.layers; i++)
        forward_layer(&s, i);
    write_output(&s, wanted, out);
    free(memory);
    return QR_OK;
}
