/* engine/model/recognise.h: the BERT in an ONNX graph, found by what data does on its way and not
 * by the names or the order of nodes. Private to model/.
 *
 *     qr__recognised *found;
 *     status = qr__recognise(graph, &found, error);              // takes the graph when QR_OK
 *     ... found->info.layers ...
 *     status = qr__recognised_read(found, "encoder.layer.0.output.dense.weight", to, error);
 *     qr__recognised_destroy(found);
 *
 * How: docs/ONNX.md. What is found is not believed until it is proven (engine/plan/proof.h).
 * Threads: const after recognition.
 */
#ifndef QR_ENGINE_MODEL_RECOGNISE_H
#define QR_ENGINE_MODEL_RECOGNISE_H

#include "engine/model/recognised.h"

/** Finds the BERT in a graph, which it folds. QR_BAD_MODEL: names the node at which recognition
 * ended, and what was expected there; the graph stays the caller's. *out: returns owned. */
QR_MUST_USE qr_status qr__recognise(qr_onnx_graph *graph, qr__recognised **out, qr_error *error);

/** NULL is allowed. */
void qr__recognised_destroy(qr__recognised *found);

/** Whether there is a weight of this name and shape (rows 0: a vector [cols]). Names are BERT's as
 * docs/MODELS.md has them, without a prefix; Dense modules' are "dense.N.linear.weight" and
 * "dense.N.linear.bias". */
bool qr__recognised_has(const qr__recognised *found, const char *name, size_t rows, size_t cols);

/** Writes a weight that is there to its rows * cols numbers. QR_BAD_MODEL: not finite. */
QR_MUST_USE qr_status qr__recognised_read(const qr__recognised *found, const char *name, float *to,
                                          qr_error *error);

#endif
