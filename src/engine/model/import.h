/* engine/model/import.h: a model that came from ONNX, held against the graph that it came from.
 * Private to the engine.
 *
 *     const qr_import *import = qr_model_import(model);           // NULL: from safetensors
 *     qr_import_run *run;
 *     status = qr_import_forward(import, &batch, bypass, &run, error);
 *     const float *logits = qr_import_output(run, QR_OUTPUT_LABELS);    // [B][K]
 *     qr_import_run_destroy(run);
 *
 * A batch is ragged, as everywhere; the graph gets it padded, and what it gives for padding is cut
 * away again. Threads: an import is const; a run belongs to one thread.
 */
#ifndef QR_ENGINE_MODEL_IMPORT_H
#define QR_ENGINE_MODEL_IMPORT_H

#include "engine/engine.h"
#include "engine/model/recognised.h"

typedef struct qr_import qr_import;

/** What an ONNX model's weights and facts come from; NULL: the model was read from safetensors.
 * Lives as long as the model. */
const qr_import *qr_model_import(const qr_model *model);

/** What was recognised; lives as long as the model. */
const qr__recognised *qr_import_recognised(const qr_import *import);

/** The graph's numbers for one batch. */
typedef struct qr_import_run qr_import_run;

/** Runs the literal graph on a legal batch. `bypass`: without quantizing activations. A graph that
 * takes no mask must get sequences of one length. QR_BAD_MODEL: the graph does not run;
 * QR_NO_MEMORY. *out: returns owned; borrows the import. */
QR_MUST_USE qr_status qr_import_forward(const qr_import *import, const qr_batch *batch, bool bypass,
                                        qr_import_run **out, qr_error *error);

/** What the graph gives for an output of the engine's, in the engine's shape (qr_output); POOLED as
 * the graph has it, normalised if info.normalize. NULL: the graph has no such output. Borrowed
 * until destroy. */
const float *qr_import_output(const qr_import_run *run, qr_output output);

/** The numbers of one of what was recognised's stages, [T][channels]; NULL: the graph has no such
 * value, or there is no memory for it. Borrowed until destroy. */
const float *qr_import_stage(const qr_import_run *run, const qr__graph_stage *stage);

/** NULL is allowed. */
void qr_import_run_destroy(qr_import_run *run);

#endif
