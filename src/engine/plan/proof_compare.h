/* engine/plan/proof_compare.h: how far a plan's numbers are from a graph's. Private to plan/. */
#ifndef QR_ENGINE_PLAN_PROOF_COMPARE_H
#define QR_ENGINE_PLAN_PROOF_COMPARE_H

#include "engine/engine.h"
#include "engine/model/recognised.h"

/** The largest |ours - graph's| / max(1, |graph's|) of `count` numbers; infinite where one is not
 * finite. *at (may be NULL): where. */
double qr__proof_difference(const float *ours, const float *graphs, size_t count, size_t *at);

/** The same for numbers of the scalar reference. */
double qr__proof_difference_ref(const double *ours, const float *graphs, size_t count);

/** Sums for the cosine of all that is added, as one vector. */
typedef struct qr__proof_cosine {
    double product, ours, graphs;
} qr__proof_cosine;

/** Adds `count` numbers of both. */
void qr__proof_cosine_add(qr__proof_cosine *sums, const float *ours, const float *graphs,
                          size_t count);

/** The cosine; 1 of two zero vectors (also when nothing was added), 0 where only one is zero or a
 * number is not finite. */
double qr__proof_cosine_of(const qr__proof_cosine *sums);

/** Makes each of `rows` vectors [width] one of length 1, as the pipeline does; a zero one stays. */
void qr__proof_normalise(float *vectors, size_t rows, size_t width);

/** Floats of an output for a batch. */
size_t qr__proof_floats(const qr_model_info *info, const qr_batch *batch, qr_output output);

/** Whether the engine gives this output for models with that head. */
bool qr__proof_serves(qr_head head, qr_output output);

/** The graph's output from which an output of the engine's is compared; NULL: it has none. */
const qr__graph_output *qr__proof_output(const qr__recognised *found, qr_output output);

/** "node `/classifier/Gemm` (Gemm)": what makes a value. */
void qr__proof_node_text(const qr_onnx_graph *graph, size_t value, char out[256]);

#endif
