/* recognise/assemble.h: what was found, put together. Private to recognise/. */
#ifndef QR_ENGINE_MODEL_RECOGNISE_ASSEMBLE_H
#define QR_ENGINE_MODEL_RECOGNISE_ASSEMBLE_H

#include "engine/model/recognise/reading.h"

/** Says to which block the terms of a step belong. */
void qr__mark(const qr__term *term, qr__block_kind block, size_t layer);

/** Adds a stage; its value is that which views `term` as it is, through `function`. False: no
 * memory. */
bool qr__add_stage(const qr__reading *r, qr__recognised *found, qr__stage_kind kind, size_t layer,
                   const qr__term *term, const double *function);

/** Gives each node its block: by its term's mark, else its reader's. False: no memory. */
bool qr__assign_blocks(const qr__reading *r, qr__recognised *found);

/** The inverse of a LINEAR's col_of: which of its input numbers column c of `of` is. NULL: it is no
 * permutation of all columns. */
uint32_t *qr__inputs_by_column(qr__reading *r, const qr__term *linear);

/** Whether a LINEAR has all rows of `of`, in order. */
bool qr__has_all_rows(const qr__term *linear);

/** Fills info, weights and stages from the layers down to the embeddings. `states`: the last
 * layer's. */
QR_MUST_USE qr_status qr__assemble_layers(qr__reading *r, const qr__term *states,
                                          qr__recognised *found, qr_error *error);

/** Finds what each output is; `*states`: the last layer's. */
QR_MUST_USE qr_status qr__assemble_outputs(qr__reading *r, qr__recognised *found,
                                           const qr__term **states, qr_error *error);

/** "FILE: node `x` (Op): WHY". Returns QR_BAD_MODEL. */
qr_status qr__refuse_at(const qr__reading *r, size_t node, const char *why, qr_error *error);

/** A weight: numbers of a LINEAR's matrix, of a vector, of a table. */
typedef struct qr__weight {
    char name[96];
    size_t rows, cols; /* as qr__recognised_has */
    const qr_onnx_tensor *matrix;
    bool turned;
    uint32_t *out_of; /* [rows] the matrix's output columns; NULL: as they are */
    uint32_t *in_of;  /* [cols] its input rows; NULL: as they are */
    float *scale;     /* [rows], or [cols] of a table; NULL: 1 */
    float *zeros;     /* [rows]; NULL: 0 */
    float zero;
    bool is_table;
    float *added;  /* [cols]: added to each row of a table; NULL: nothing */
    float *vector; /* [cols]: is the weight itself */
} qr__weight;

/** Adds NAME.weight and NAME.bias to what was found; arrays are copied. False: no memory; so for
 * what follows. */
bool qr__add_linear(qr__recognised *found, const char *name, const qr__term *linear,
                    const uint32_t *out_of, size_t rows, const uint32_t *in_of, double factor,
                    bool with_bias);

/** A table of embeddings; `added` [cols] to each of its rows, or NULL. */
bool qr__add_table(qr__recognised *found, const char *name, const qr__lookup *lookup, size_t rows,
                   size_t cols, const float *added);

/** A vector; NULL: `otherwise` everywhere. */
bool qr__add_vector(qr__recognised *found, const char *name, const float *values, float otherwise,
                    size_t count);

#endif
