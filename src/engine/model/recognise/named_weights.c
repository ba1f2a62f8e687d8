/* recognise/named_weights.c: what was found, as named weights. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/model/recognise/assemble.h"

static qr__weight *add(qr__recognised *found, const char *name, const char *suffix, size_t rows,
                       size_t cols) {
    if (found->weight_count % 64 == 0) {
        qr__weight *grown =
            realloc(found->weights, (found->weight_count + 64) * sizeof *found->weights);
        if (grown == NULL)
            return NULL;
        found->weights = grown;
    }
    qr__weight *weight = &found->weights[found->weight_count++];
    *weight = (qr__weight){.rows = rows, .cols = cols};
    snprintf(weight->name, sizeof weight->name, "%s%s", name, suffix);
    return weight;
}

static void *copy(const void *from, size_t count, size_t size, bool *ok) {
    void *to = malloc(qr_max(count, 1) * size);
    if (to == NULL)
        *ok = false;
    else
        memcpy(to, from, count * size);
    return to;
}

/* Places as they are need no list. */
static uint32_t *copy_places(const uint32_t *from, size_t count, bool *ok) {
    size_t i = 0;
    while (from != NULL && i < count && from[i] == i)
        i++;
    if (from == NULL || i == count)
        return NULL;
    return copy(from, count, sizeof *from, ok);
}

bool qr__add_linear(qr__recognised *found, const char *name, const qr__term *linear,
                    const uint32_t *out_of, size_t rows, const uint32_t *in_of, double factor,
                    bool with_bias) {
    qr__weight *weight = add(found, name, ".weight", rows, linear->depth);
    bool ok = weight != NULL;
    if (!ok)
        return false;
    weight->matrix = linear->matrix;
    weight->turned = linear->turned;
    weight->out_of = copy_places(out_of, rows, &ok);
    weight->in_of = copy_places(in_of, linear->depth, &ok);
    float *bias = calloc(rows, sizeof *bias);
    const bool scaled = linear->col_scale != NULL || factor != 1;
    if (scaled)
        weight->scale = calloc(rows, sizeof *weight->scale);
    if (linear->zeros != NULL)
        weight->zeros = calloc(rows, sizeof *weight->zeros);
    ok = ok && bias != NULL && (!scaled || weight->scale != NULL) &&
         (linear->zeros == NULL || weight->zeros != NULL);
    for (size_t n = 0; ok && n < rows; n++) {
        const size_t out = out_of == NULL ? n : out_of[n];
        if (scaled)
            weight->scale[n] =
                (float)(factor * (linear->col_scale == NULL ? 1 : (double)linear->col_scale[out]));
        if (weight->zeros != NULL)
            weight->zeros[n] = linear->zeros[out];
        bias[n] = linear->bias == NULL ? 0 : (float)(factor * (double)linear->bias[out]);
    }
    ok = ok && (!with_bias || qr__add_vector(found, name, bias, 0, rows));
    if (ok && with_bias) {
        qr__weight *last = &found->weights[found->weight_count - 1];
        snprintf(last->name, sizeof last->name, "%s.bias", name);
    }
    free(bias);
    return ok;
}

bool qr__add_table(qr__recognised *found, const char *name, const qr__lookup *lookup, size_t rows,
                   size_t cols, const float *added) {
    qr__weight *weight = add(found, name, "", rows, cols);
    bool ok = weight != NULL;
    if (!ok)
        return false;
    weight->is_table = true;
    weight->matrix = lookup->table;
    weight->zero = lookup->zero;
    if (lookup->scale != NULL)
        weight->scale = copy(lookup->scale, cols, sizeof *lookup->scale, &ok);
    if (added != NULL)
        weight->added = copy(added, cols, sizeof *added, &ok);
    return ok;
}

bool qr__add_vector(qr__recognised *found, const char *name, const float *values, float otherwise,
                    size_t count) {
    qr__weight *weight = add(found, name, "", 0, count);
    if (weight == NULL || (weight->vector = calloc(count, sizeof *weight->vector)) == NULL)
        return false;
    for (size_t i = 0; i < count; i++)
        weight->vector[i] = values == NULL ? otherwise : values[i];
    return true;
}

void qr__recognised_destroy(qr__recognised *found) {
    if (found == NULL)
        return;
    for (size_t i = 0; i < found->weight_count; i++) {
        free(found->weights[i].out_of);
        free(found->weights[i].in_of);
        free(found->weights[i].scale);
        free(found->weights[i].zeros);
        free(found->weights[i].added);
        free(found->weights[i].vector);
    }
    free(found->weights);
    free(found->outputs);
    free(found->stages);
    free(found->blocks);
    qr_onnx_close(found->graph);
    free(found);
}

static const qr__weight *find(const qr__recognised *found, const char *name) {
    for (size_t i = 0; i < found->weight_count; i++)
        if (strcmp(found->weights[i].name, name) == 0)
            return &found->weights[i];
    return NULL;
}

bool qr__recognised_has(const qr__recognised *found, const char *name, size_t rows, size_t cols) {
    const qr__weight *weight = find(found, name);
    return weight != NULL && weight->rows == rows && weight->cols == cols;
}

static void read_table(const qr__weight *w, float *to) {
    qr_onnx_copy_floats(w->matrix, 0, w->rows * w->cols, to);
    const float zero = w->matrix->floats != NULL ? 0 : w->zero;
    if (zero == 0 && w->scale == NULL && w->added == NULL)
        return;
    for (size_t n = 0; n < w->rows; n++)
        for (size_t c = 0; c < w->cols; c++) {
            const float x = (to[n * w->cols + c] - zero) * (w->scale == NULL ? 1 : w->scale[c]);
            to[n * w->cols + c] = x + (w->added == NULL ? 0 : w->added[c]);
        }
}

/* Outputs: most files have them in columns, and so many of a row are one cache line. */
#define BLOCK 16u

static void transpose(const float *from, size_t rows, size_t cols, float *to) {
    for (size_t n0 = 0; n0 < rows; n0 += BLOCK)
        for (size_t k = 0; k < cols; k++)
            for (size_t n = n0; n < qr_min(n0 + BLOCK, rows); n++)
                to[n * cols + k] = from[k * rows + n];
}

/* to[n][k] is the matrix's number for output n and input k. */
static void gather(const qr__weight *w, const float *from, float *to) {
    const size_t outputs = w->matrix->shape[!w->turned];
    for (size_t n = 0; n < w->rows; n++) {
        const size_t out = w->out_of == NULL ? n : w->out_of[n];
        for (size_t k = 0; k < w->cols; k++) {
            const size_t in = w->in_of == NULL ? k : w->in_of[k];
            to[n * w->cols + k] = from[w->turned ? out * w->cols + in : in * outputs + out];
        }
    }
}

static void dequantize(const qr__weight *w, float *to) {
    for (size_t n = 0; n < w->rows; n++) {
        const float zero = w->zeros == NULL ? 0 : w->zeros[n];
        const float scale = w->scale == NULL ? 1 : w->scale[n];
        for (size_t k = 0; k < w->cols; k++)
            to[n * w->cols + k] = (to[n * w->cols + k] - zero) * scale;
    }
}

/* False: no memory. */
static bool read_matrix(const qr__weight *w, float *to) {
    const size_t outputs = w->matrix->shape[!w->turned];
    const float *from = w->matrix->floats;
    float *made = NULL;
    if (from == NULL) {
        made = malloc(qr_max(w->matrix->count, 1) * sizeof *made);
        if (made == NULL)
            return false;
        qr_onnx_copy_floats(w->matrix, 0, w->matrix->count, made);
        from = made;
    }
    if (w->out_of != NULL || w->in_of != NULL || outputs != w->rows)
        gather(w, from, to);
    else if (w->turned)
        memcpy(to, from, w->rows * w->cols * sizeof *to);
    else
        transpose(from, w->rows, w->cols, to);
    if (w->zeros != NULL || w->scale != NULL)
        dequantize(w, to);
    free(made);
    return true;
}

/* No branch between numbers, so that the loop is one of vectors. */
static bool all_finite(const float *numbers, size_t count) {
    bool finite = true;
    for (size_t i = 0; i < count; i++)
        finite &= isfinite(numbers[i]) != 0;
    return finite;
}

qr_status qr__recognised_read(const qr__recognised *found, const char *name, float *to,
                              qr_error *error) {
    const qr__weight *w = find(found, name);
    if (w == NULL)
        return qr_error_set(error, QR_INTERNAL, "%s: no weight `%s`", found->graph->path, name);
    if (w->vector != NULL)
        memcpy(to, w->vector, w->cols * sizeof *to);
    else if (w->is_table)
        read_table(w, to);
    else if (!read_matrix(w, to))
        return qr_error_set(error, QR_NO_MEMORY, "%s: no memory for a matrix", found->graph->path);
    if (!all_finite(to, qr_max(w->rows, 1) * w->cols))
        return qr_error_set(error, QR_BAD_MODEL, "%s: the numbers of `%s` are not all finite",
                            found->graph->path, name);
    return QR_OK;
}
