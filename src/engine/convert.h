/* engine/convert.h: an open model written as a Hugging Face directory.
 *
 *     qr_model_open("models/minilm/onnx/model.onnx", &model, &error);
 *     qr_converted about;
 *     status = qr_model_convert(model, "minilm-safetensors", &about, &error);
 *     qr_model_close(model);
 *
 * What is written gives the same answers bit for bit, and transformers loads it without a missing
 * key: docs/ONNX.md. That an ONNX graph is what it was taken for is not asked here: an engine made
 * of the model proves that (engine.h). Threads: nothing is shared; one call a directory.
 */
#ifndef QR_ENGINE_CONVERT_H
#define QR_ENGINE_CONVERT_H

#include "engine/model_info.h"

/** What was written, and what had to be added to make it whole. */
typedef struct qr_converted {
    char architecture[64]; /* "BertForQuestionAnswering" */
    size_t parameters;     /* numbers written, additions included */
    bool zero_types;       /* segment embeddings of zeros, where the model has none */
    bool zero_pooler;      /* BertModel's pooler of zeros, where the model has none */
    bool tokenizer;        /* the tokenizer's files were there, and are copied */
} qr_converted;

/** Writes config.json, model.safetensors (F32), sentence-transformers' files where it is an
 * embedding model, and copies of the tokenizer's files into `dir`, which appears whole or not at
 * all. QR_BAD_OPTION: `dir` is there and is no empty directory; QR_BAD_MODEL: a tensor cannot be
 * read, or no family of ours (bert, distilbert, electra) is made like this model, with what each
 * lacks; QR_TOO_LARGE, QR_IO, QR_NO_MEMORY. */
QR_MUST_USE qr_status qr_model_convert(const qr_model *model, const char *dir, qr_converted *out,
                                       qr_error *error);

#endif
