/* recognise/reading.h: making terms, and looking at values. Private to recognise/. */
#ifndef QR_ENGINE_MODEL_RECOGNISE_READING_H
#define QR_ENGINE_MODEL_RECOGNISE_READING_H

#include "engine/model/recognise/terms.h"

/** Zeroed memory that lives as long as the reading. NULL: none, and no_memory is set. */
void *qr__reading_take(qr__reading *r, size_t count, size_t size);

/** The mask that was fed, [batch][tokens]; NULL: the graph takes none. */
const int64_t *qr__fed_mask(const qr__reading *r);

/** Numbers [first, first + count) of a tensor. NULL: it has not so many, or is not there, or no
 * memory. */
double *qr__numbers_of(qr__reading *r, const qr_onnx_tensor *tensor, size_t first, size_t count);

/** [count] times the same number. NULL: no memory. */
double *qr__repeat(qr__reading *r, double value, size_t count);

/** A new term of a kind. Never NULL: without memory the one unknown term, and no_memory is set. */
qr__term *qr__term_create(qr__reading *r, qr__term_kind kind, size_t node, size_t rows,
                          size_t cols);

/** A copy to be changed: it shares what its pointers point to. */
qr__term *qr__term_copy(qr__reading *r, const qr__term *term, size_t node);

/** A view of a term whose kind is UNKNOWN. `why`: what was expected, static text. */
qr__view qr__unknown(qr__reading *r, size_t node, const char *why);

/** Whether a view is of such a term. */
bool qr__is_unknown(const qr__view *view);

/** The term if the view is of that kind, with the numbers as they are in it (no function); else
 * NULL. */
const qr__term *qr__plain(const qr__view *view, qr__term_kind kind);

/** Whether two terms are the same by what they are made of. */
bool qr__term_same(const qr__term *a, const qr__term *b);

/** The first term that is the same: what one value is, however often the graph computes it. All
 * values' terms are canonical, so they may be compared by address. */
const qr__term *qr__canonical(qr__reading *r, const qr__term *term);

/** Whether two tensors have one type, shape and numbers; NULL: neither is there. */
bool qr__tensor_same(const qr_onnx_tensor *a, const qr_onnx_tensor *b);

/** A value's numbers in the one run, with its shape. */
const qr_onnx_tensor *qr__tensor_of(const qr__reading *r, size_t value);

/** Whether the node has an input `at`. */
bool qr__has_input(const qr_onnx_node *node, size_t at);

/** Whether it is there and known. */
bool qr__input_known(const qr__reading *r, const qr_onnx_node *node, size_t at);

/** What an input is that is there and not known. */
const qr__view *qr__input_view(const qr__reading *r, const qr_onnx_node *node, size_t at);

/** Its numbers in the one run, with its shape; NULL: it is not there. */
const qr_onnx_tensor *qr__input_tensor(const qr__reading *r, const qr_onnx_node *node, size_t at);

/** A constant of the graph that the node reads there; NULL: none. */
const qr_onnx_tensor *qr__input_constant(const qr__reading *r, const qr_onnx_node *node, size_t at);

/** Whether two arrays hold the same, or are both missing. */
static inline bool qr__same_bytes(const void *a, const void *b, size_t bytes) {
    return a == b || (a != NULL && b != NULL && memcmp(a, b, bytes) == 0);
}

/** "FILE: no memory". Returns QR_NO_MEMORY. */
qr_status qr__no_memory(const qr__reading *r, qr_error *error);

/** Sets what a node's output is. A map that is 0, 1, 2, ... becomes NULL. */
void qr__output_set(qr__reading *r, const qr_onnx_node *node, size_t at, qr__view view);

/** Number `at` of a known tensor, whatever it holds. */
double qr__number(const qr_onnx_tensor *tensor, size_t at);

/** The number of the term that the view's number `at` is. */
static inline size_t qr__place(const qr__view *view, size_t at) {
    return view->map == NULL ? at : (size_t)view->map[at];
}

#endif
