/* recognise/terms.c: making terms, and looking at values. */
#include <stdlib.h>

#include "engine/model/recognise/reading.h"

void *qr__reading_take(qr__reading *r, size_t count, size_t size) {
    if (r->owned_count == r->owned_room) {
        size_t room = qr_max(2 * r->owned_room, 256);
        void **grown = realloc(r->owned, room * sizeof *grown);
        if (grown == NULL) {
            r->no_memory = true;
            return NULL;
        }
        r->owned = grown;
        r->owned_room = room;
    }
    r->owned[r->owned_count] = calloc(qr_max(count, 1), size);
    if (r->owned[r->owned_count] == NULL) {
        r->no_memory = true;
        return NULL;
    }
    return r->owned[r->owned_count++];
}

static qr__term *keep(qr__reading *r, qr__term *term) {
    if (term == NULL) {
        r->nothing = (qr__term){.kind = QR__TERM_UNKNOWN, .why = "no memory", .rows = 1, .cols = 1};
        return &r->nothing;
    }
    if (r->term_count == r->term_room) {
        size_t room = qr_max(2 * r->term_room, 256);
        qr__term **grown = realloc(r->terms, room * sizeof *grown);
        if (grown == NULL) {
            r->no_memory = true;
            return term;
        }
        r->terms = grown;
        r->term_room = room;
    }
    return r->terms[r->term_count++] = term;
}

qr__term *qr__term_create(qr__reading *r, qr__term_kind kind, size_t node, size_t rows,
                          size_t cols) {
    qr__term *term = keep(r, qr__reading_take(r, 1, sizeof *term));
    if (r->no_memory)
        return term;
    term->kind = kind;
    term->node = node;
    term->rows = rows;
    term->cols = cols;
    return term;
}

qr__term *qr__term_copy(qr__reading *r, const qr__term *term, size_t node) {
    qr__term *copy = qr__term_create(r, term->kind, node, term->rows, term->cols);
    if (r->no_memory)
        return copy;
    *copy = *term;
    copy->node = node;
    return copy;
}

qr__view qr__unknown(qr__reading *r, size_t node, const char *why) {
    qr__term *term = qr__term_create(r, QR__TERM_UNKNOWN, node, 1, 1);
    if (!r->no_memory)
        term->why = why;
    return (qr__view){.term = term};
}

bool qr__is_unknown(const qr__view *view) {
    return view->term->kind == QR__TERM_UNKNOWN;
}

const qr__term *qr__plain(const qr__view *view, qr__term_kind kind) {
    return view->term->kind == kind && view->function == NULL ? view->term : NULL;
}

const qr_onnx_tensor *qr__tensor_of(const qr__reading *r, size_t value) {
    return qr_onnx_run_value(r->run, value);
}

bool qr__has_input(const qr_onnx_node *node, size_t at) {
    return at < node->input_count && node->inputs[at] != QR_ONNX_NONE;
}

bool qr__input_known(const qr__reading *r, const qr_onnx_node *node, size_t at) {
    return qr__has_input(node, at) && r->values[node->inputs[at]].known;
}

const qr__view *qr__input_view(const qr__reading *r, const qr_onnx_node *node, size_t at) {
    return &r->values[node->inputs[at]].view;
}

const qr_onnx_tensor *qr__input_tensor(const qr__reading *r, const qr_onnx_node *node, size_t at) {
    return qr__has_input(node, at) ? qr__tensor_of(r, node->inputs[at]) : NULL;
}

const qr_onnx_tensor *qr__input_constant(const qr__reading *r, const qr_onnx_node *node,
                                         size_t at) {
    return qr__has_input(node, at) ? r->graph->values[node->inputs[at]].constant : NULL;
}

void qr__output_set(qr__reading *r, const qr_onnx_node *node, size_t at, qr__view view) {
    if (at >= node->output_count || node->outputs[at] == QR_ONNX_NONE)
        return;
    const size_t value = node->outputs[at];
    const qr_onnx_tensor *tensor = qr__tensor_of(r, value);
    if (view.map != NULL && tensor != NULL && tensor->count == view.term->rows * view.term->cols) {
        size_t i = 0;
        while (i < tensor->count && view.map[i] == (int64_t)i)
            i++;
        if (i == tensor->count)
            view.map = NULL;
    }
    view.term = qr__canonical(r, view.term);
    r->values[value] = (qr__known_value){.view = view};
}

double qr__number(const qr_onnx_tensor *tensor, size_t at) {
    return tensor->floats != NULL ? (double)tensor->floats[at] : (double)qr_onnx_int(tensor, at);
}

const int64_t *qr__fed_mask(const qr__reading *r) {
    for (size_t i = 0; i < r->input_count; i++)
        if (r->inputs[i].kind == QR__GRAPH_MASK)
            return r->fed[i];
    return NULL;
}

double *qr__repeat(qr__reading *r, double value, size_t count) {
    double *all = qr__reading_take(r, count, sizeof *all);
    for (size_t i = 0; all != NULL && i < count; i++)
        all[i] = value;
    return all;
}

double *qr__numbers_of(qr__reading *r, const qr_onnx_tensor *tensor, size_t first, size_t count) {
    if (tensor == NULL || tensor->count < first + count)
        return NULL;
    double *numbers = qr__reading_take(r, count, sizeof *numbers);
    for (size_t i = 0; numbers != NULL && i < count; i++)
        numbers[i] = qr__number(tensor, first + i);
    return numbers;
}

qr_status qr__no_memory(const qr__reading *r, qr_error *error) {
    return qr_error_set(error, QR_NO_MEMORY, "%s: no memory", r->graph->path);
}
