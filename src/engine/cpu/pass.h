/* engine/cpu/pass.h: one member's view of a forward pass, and how the work of a step is shared.
 *
 * Where there are as many members as halves (or one), each takes whole halves of every layer
 * ("apart"): it multiplies what it attended, and projects down what it projected up, without
 * waiting for anybody. With other numbers of members each takes its share of columns, (sequence,
 * head) pairs or rows of both halves, and they meet after each step. Of the
 * residual stream each does its share of the rows; a barrier for that is cheaper than all rows done by
 * everybody, already for four tokens.
 */
#ifndef QR_ENGINE_CPU_PASS_H
#define QR_ENGINE_CPU_PASS_H

#include "engine/cpu/context.h"

typedef struct qr_pass {
    qr_context *context;
    const qr_weights *weights;
    qr_gang *gang;
    qr_seat seat;
    size_t C, D;
    size_t rows;       /* T, or B once only first tokens are left */
    size_t begin, end; /* rows of the residual stream that this member does */
    bool apart;
    size_t half_begin, half_end; /* halves that this member takes part in */
} qr_pass;

/** After a change of the seat or of the number of rows. */
void qr_pass_share(qr_pass *p, size_t rows);

/** Ends a step whose result only those who worked apart need not wait for. */
void qr_pass_meet_halves(const qr_pass *p);

/** Converts this member's rows of x[rows][C] into `operand` and ends the step. */
void qr_pass_operand(const qr_pass *p, const qr_matrix *matrix, const float *x, void *operand);

/** For each half h: y[h] = epilogue(in[h] * matrices[h]), where in[h] and y[h] have p->rows rows.
 */
void qr_pass_multiply(const qr_pass *p, qr_matrix *const matrices[QR_HALVES],
                      void *const in[QR_HALVES], qr_epilogue epilogue, float *const y[QR_HALVES]);

/** For each half: converts x[h] into context->operand_half[h] for matrices[h]. */
void qr_pass_operand_halves(const qr_pass *p, qr_matrix *const matrices[QR_HALVES],
                            float *const x[QR_HALVES]);

/** Cuts `base` into the halves' parts: [rows][widths[0]] and [rows][widths[1]], one behind the
 * other. */
void qr_pass_cut(float *base, size_t rows, const size_t widths[QR_HALVES], float *parts[QR_HALVES]);

/** Attention of all sequences: q[h] [T or B][ld_q[h]], k at kv[h], v behind it by the half's width,
 * both [T][ld_kv[h]]; into out[h][T or B][width]. With `first_only` one query a sequence. */
typedef struct qr_pass_heads {
    const qr_weights_half *half; /* of the layer */
    float *q[QR_HALVES], *kv[QR_HALVES], *out[QR_HALVES];
    size_t ld_q[QR_HALVES], ld_kv[QR_HALVES];
    bool first_only;
} qr_pass_heads;
void qr_pass_attention(const qr_pass *p, const qr_pass_heads *heads);

#endif
