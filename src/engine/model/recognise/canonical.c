/* recognise/canonical.c: terms that are the same are one, so that they may be compared by address.
 *
 * Found by a hash of some of what equal terms have in common: a file that is made to be slow should
 * not be. */
#include <math.h>
#include <stdlib.h>

#include "engine/model/recognise/hash.h"
#include "engine/model/recognise/reading.h"

bool qr__tensor_same(const qr_onnx_tensor *a, const qr_onnx_tensor *b) {
    if (a == b)
        return true;
    if (a == NULL || b == NULL || a->type != b->type || a->rank != b->rank ||
        a->count != b->count || memcmp(a->shape, b->shape, a->rank * sizeof *a->shape) != 0)
        return false;
    for (size_t i = 0; i < a->count; i++)
        if (qr__number(a, i) != qr__number(b, i))
            return false;
    return true;
}

static bool same_lookup(const qr__lookup *a, const qr__lookup *b, size_t rows, size_t cols) {
    return a->zero == b->zero && memcmp(a->row, b->row, rows * sizeof *a->row) == 0 &&
           qr__same_bytes(a->scale, b->scale, cols * sizeof *a->scale) &&
           qr__tensor_same(a->table, b->table);
}

/* In whatever order they were added. */
static bool same_lookups(const qr__term *a, const qr__term *b) {
    if (a->lookup_count != b->lookup_count)
        return false;
    for (size_t i = 0; i < a->lookup_count; i++) {
        size_t j = 0;
        while (j < b->lookup_count &&
               !same_lookup(&a->lookups[i], &b->lookups[j], a->rows, a->cols))
            j++;
        if (j == b->lookup_count)
            return false;
    }
    return true;
}

/* A bias that was moved here was rounded on its way. */
static bool close(const float *a, const float *b, size_t count) {
    if (a == b)
        return true;
    for (size_t i = 0; i < count; i++) {
        const float x = a == NULL ? 0 : a[i], y = b == NULL ? 0 : b[i];
        if (!(fabsf(x - y) <= 1e-6f * fmaxf(1, fabsf(x))))
            return false;
    }
    return true;
}

static bool same_linear(const qr__term *a, const qr__term *b) {
    return a->depth == b->depth && a->turned == b->turned && a->in_steps == b->in_steps &&
           qr__same_bytes(a->row_of, b->row_of, a->rows * sizeof *a->row_of) &&
           qr__same_bytes(a->col_of, b->col_of, a->depth * sizeof *a->col_of) &&
           qr__same_bytes(a->function, b->function, QR__GRID * sizeof *a->function) &&
           qr__same_bytes(a->zeros, b->zeros, a->cols * sizeof *a->zeros) &&
           qr__same_bytes(a->col_scale, b->col_scale, a->cols * sizeof *a->col_scale) &&
           close(a->bias, b->bias, a->cols) && qr__tensor_same(a->matrix, b->matrix);
}

static bool same_norm(const qr__term *a, const qr__term *b) {
    return fabs(a->eps - b->eps) <= 1e-6 * fabs(a->eps) &&
           qr__same_bytes(a->gamma, b->gamma, a->cols * sizeof *a->gamma) &&
           qr__same_bytes(a->beta, b->beta, a->cols * sizeof *a->beta);
}

/* Of kinds that exports have been seen to compute twice. What they were made of is canonical. */
bool qr__term_same(const qr__term *a, const qr__term *b) {
    if (a == b)
        return true;
    if (a->kind != b->kind || a->rows != b->rows || a->cols != b->cols || a->of != b->of)
        return false;
    switch (a->kind) {
    case QR__TERM_EMBEDDED:
        return same_lookups(a, b);
    case QR__TERM_LINEAR:
        return same_linear(a, b);
    case QR__TERM_NORM:
        return same_norm(a, b);
    case QR__TERM_SUM:
        return a->other == b->other;
    case QR__TERM_CENTERED:
        return qr__same_bytes(a->gamma, b->gamma, a->cols * sizeof *a->gamma);
    case QR__TERM_MEAN:
    case QR__TERM_VARIANCE:
        return true;
    default:
        return false;
    }
}

/* Where one term differs from another that is made of the same, it does so early. */
#define FIRST 64u

static uint64_t hash_floats(const float *numbers, size_t count) {
    return numbers == NULL ? 0 : qr__hash(numbers, qr_min(count, FIRST) * sizeof *numbers);
}

static uint64_t hash_of(const qr__term *term) {
    const size_t sizes[] = {term->kind, term->rows, term->cols, term->depth};
    uint64_t hash = qr__hash(sizes, sizeof sizes) + qr__hash(&term->of, sizeof term->of);
    hash += qr__hash(&term->other, sizeof term->other);
    hash += hash_floats(term->gamma, term->cols) + 3 * hash_floats(term->beta, term->cols);
    hash += 7 * hash_floats(term->col_scale, term->cols);
    hash += 11 * qr__hash_tensor(term->matrix);
    if (term->function != NULL)
        hash += qr__hash(term->function, QR__GRID * sizeof *term->function);
    if (term->col_of != NULL)
        hash += qr__hash(term->col_of, qr_min(term->depth, FIRST) * sizeof *term->col_of);
    for (size_t i = 0; i < term->lookup_count; i++)
        hash += qr__hash(term->lookups[i].row,
                         qr_min(term->rows, FIRST) * sizeof *term->lookups[i].row);
    return hash;
}

const qr__term *qr__canonical(qr__reading *r, const qr__term *term) {
    if (r->no_memory) /* the term may lack what its counts promise */
        return term;
    if (r->canonical == NULL) {
        r->canonical_room = 256;
        while (r->canonical_room < 2 * r->graph->node_count)
            r->canonical_room *= 2;
        r->canonical = qr__reading_take(r, r->canonical_room, sizeof *r->canonical);
        if (r->canonical == NULL)
            return term;
    }
    qr__canonical_term **at = &r->canonical[hash_of(term) & (r->canonical_room - 1)];
    for (const qr__canonical_term *same = *at; same != NULL; same = same->next)
        if (qr__term_same(same->term, term))
            return same->term;
    qr__canonical_term *first = qr__reading_take(r, 1, sizeof *first);
    if (first != NULL)
        *at = memcpy(first, &(qr__canonical_term){term, *at}, sizeof *first);
    return term;
}
