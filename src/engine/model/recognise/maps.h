/* recognise/maps.h: where a value's numbers stand in its term. Private to recognise/. */
#ifndef QR_ENGINE_MODEL_RECOGNISE_MAPS_H
#define QR_ENGINE_MODEL_RECOGNISE_MAPS_H

#include "engine/model/recognise/terms.h"

/** The view's map broadcast to a shape (of `like`): [like->count]. NULL: no memory, or the shapes
 * do not fit. `shape_of`: the tensor whose shape the view has. */
int64_t *qr__map_expand(qr__reading *r, const qr__view *view, const qr_onnx_tensor *shape_of,
                        const qr_onnx_tensor *like);

/** A known tensor's numbers broadcast likewise. */
double *qr__numbers_expand(qr__reading *r, const qr_onnx_tensor *known, const qr_onnx_tensor *like);

/** Runs a node that only moves numbers on the maps of its inputs and sets its outputs. */
void qr__move(qr__reading *r, const qr_onnx_node *node, size_t number);

/** Where the numbers of a known value stand in the one constant that they come from; NULL: they
 * come from elsewhere. */
int64_t *qr__map_to_constant(qr__reading *r, size_t value, const qr_onnx_tensor **constant);

typedef enum qr__spread { QR__BY_NOTHING, QR__UNIFORM, QR__BY_COLUMN, QR__BY_ROW } qr__spread;

/** How known numbers lie over a term's: one for all, one for each of its columns or rows.
 * map, numbers [count]; *out: [cols] or [rows] or [1]; where no number lies: `otherwise`. */
qr__spread qr__spread_of(qr__reading *r, const qr__term *term, const int64_t *map,
                         const double *numbers, size_t count, double otherwise, double **out);

/** The rows and columns of an input of a product with a matrix: each of `rows` runs of `depth`
 * numbers is a row of the term, with the same columns. False: it is not so. */
bool qr__rows_and_columns(qr__reading *r, const qr__view *view, size_t rows, size_t depth,
                          uint32_t **row_of, uint32_t **col_of);

#endif
