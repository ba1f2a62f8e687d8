/* recognise/steps.h: nodes by their kind, and the steps of a BERT that they make. Private to
 * recognise/. */
#ifndef QR_ENGINE_MODEL_RECOGNISE_STEPS_H
#define QR_ENGINE_MODEL_RECOGNISE_STEPS_H

#include "engine/model/recognise/reading.h"

/* What a mask adds where it hides a key, at most: of BERT's own, -10000, what half precision and a
 * scale leave. */
#define QR__MASK_HIDES (-9999.0)

/** Reads a node that treats number by number and sets its outputs. False: it is of another kind; so
 * for all that follow. */
bool qr__read_elementwise(qr__reading *r, const qr_onnx_node *node, size_t number);

/** A mean, a sum, a maximum, a softmax. */
bool qr__read_reduction(qr__reading *r, const qr_onnx_node *node, size_t number);

/** A product of matrices. */
bool qr__read_product(qr__reading *r, const qr_onnx_node *node, size_t number);

/** Rows of a table, or a layer norm that is one node. */
bool qr__read_lookup(qr__reading *r, const qr_onnx_node *node, size_t number);

/** A fused attention, or a GELU with its bias. */
bool qr__read_fused(qr__reading *r, const qr_onnx_node *node, size_t number);

/** What quantizes, and products of integers. */
bool qr__read_quantized(qr__reading *r, const qr_onnx_node *node, size_t number);

/** a + b of two views that are both not known. */
qr__view qr__add(qr__reading *r, size_t node, const qr__view *a, const qr__view *b,
                 const qr_onnx_tensor *shape_a, const qr_onnx_tensor *shape_b,
                 const qr_onnx_tensor *like);

/** view op known numbers: `flipped`: known op view. */
qr__view qr__with_known(qr__reading *r, size_t node, const char *op, const qr__view *view,
                        const qr_onnx_tensor *shape, size_t known_value, bool flipped,
                        const qr_onnx_tensor *like);

/** The layer norm of a view, with what follows it. gamma, beta: [cols] constants or NULL. */
qr__view qr__norm(qr__reading *r, size_t node, const qr__view *view, double eps,
                  const qr_onnx_tensor *gamma, const qr_onnx_tensor *beta);

/** The same with numbers that terms have: [cols], shared, or NULL. */
qr__view qr__norm_scaled(qr__reading *r, size_t node, const qr__view *view, double eps,
                         float *gamma, float *beta);

/** Steps of a layer norm as TensorFlow's batch normalization has them (norms.c): gamma / deviation.
 * map, numbers: of `like`. */
qr__view qr__spread_by_gamma(qr__reading *r, size_t node, const qr__view *variance,
                             const int64_t *map, const double *numbers, const qr_onnx_tensor *like);

/** beta - mean * (gamma / deviation); numbers [count] of beta. */
qr__view qr__spread_beta(qr__reading *r, size_t node, const qr__view *mean, const double *numbers,
                         size_t count);

/** What was normalized, or its mean (a), times gamma / deviation (b). map_a [count]. */
qr__view qr__spread_product(qr__reading *r, size_t node, const qr__view *a, const qr__view *b,
                            const int64_t *map_a, size_t count);

/** The sum of these two: a layer norm. */
qr__view qr__spread_sum(qr__reading *r, size_t node, const qr__view *product,
                        const qr__view *shift);

/** view [..., depth] times a constant matrix. */
qr__view qr__linear(qr__reading *r, size_t node, const qr__view *view, const qr_onnx_tensor *shape,
                    const qr_onnx_tensor *matrix, bool turned, double factor);

/** Inputs 0 and 1 of a node, an activation and a constant matrix of integers, with the matrix' zero
 * points, scales and the bias among its other inputs. */
qr__view qr__quantized_linear(qr__reading *r, const qr_onnx_node *node, size_t number,
                              size_t zero_at, size_t scale_at, size_t bias_at);

/** A LINEAR's copy with a bias: a number for each of its columns. */
qr__view qr__linear_add(qr__reading *r, size_t node, const qr__view *view, const double *by_column);

/** A LINEAR's copy with its columns scaled. */
qr__view qr__linear_scale(qr__reading *r, size_t node, const qr__view *view,
                          const double *by_column);

/** The softmax of scores times a scale, which must have been masked. */
qr__view qr__probs(qr__reading *r, size_t node, const qr__term *scores, const int64_t *map,
                   double scale);

/** Scores and known numbers that are added to them: a mask. */
qr__view qr__mask_scores(qr__reading *r, size_t node, const qr__view *view, const int64_t *map,
                         const double *added, size_t count);

/** Where: a mask, padding that is made small, or a guard against what is no number. */
void qr__read_where(qr__reading *r, const qr_onnx_node *node, size_t number);

/** A sum of tables' rows and known numbers (rows of another table), or times known numbers. */
qr__view qr__embedded_with_known(qr__reading *r, size_t node, const char *op, const qr__view *view,
                                 const qr_onnx_tensor *shape, size_t known_value,
                                 const qr_onnx_tensor *like);

/** Two sums of tables' rows, one upon the other; maps of `count` numbers. */
qr__view qr__embedded_sum(qr__reading *r, size_t node, const qr__view *a, const qr__view *b,
                          const int64_t *map_a, const int64_t *map_b, size_t count);

/** Heads of a fused node: attention over three LINEARs whose columns are heads side by side. */
qr__view qr__attend(qr__reading *r, size_t node, const qr__view *query, const qr__view *key,
                    const qr__view *value, size_t heads, double scale);

/** softmax(query key^T scale) value, each of four axes [B][H][S][D]; masked as the caller found. */
qr__view qr__attend_heads(qr__reading *r, size_t node, const qr__view three[3],
                          const qr_onnx_tensor *const shapes[3], double scale);

#endif
