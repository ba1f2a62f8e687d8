/* engine/cpu/pass.c: shares of a step. */
#include "engine/cpu/pass.h"

static void share(size_t count, const qr_seat *seat, size_t *begin, size_t *end) {
    *begin = count * (size_t)seat->rank / (size_t)seat->ranks;
    *end = count * ((size_t)seat->rank + 1) / (size_t)seat->ranks;
}

void qr_pass_share(qr_pass *p, size_t rows) {
    size_t halves = p->weights->halves;
    p->rows = rows;
    share(rows, &p->seat, &p->begin, &p->end);
    p->half_begin = 0;
    p->half_end = halves;
    p->apart = halves % (size_t)p->seat.ranks == 0;
    if (p->apart)
        share(halves, &p->seat, &p->half_begin, &p->half_end);
}

void qr_pass_meet_halves(const qr_pass *p) {
    if (!p->apart)
        qr_gang_barrier(p->gang, &p->seat);
}

void qr_pass_operand(const qr_pass *p, const qr_matrix *matrix, const float *x, void *operand) {
    qr_matrix_operand(matrix, x, qr_matrix_in(matrix), p->begin, p->end, operand);
    qr_gang_barrier(p->gang, &p->seat);
}

void qr_pass_multiply(const qr_pass *p, qr_matrix *const matrices[QR_HALVES],
                      void *const in[QR_HALVES], qr_epilogue epilogue, float *const y[QR_HALVES]) {
    size_t total = 0, begin, end;
    for (size_t h = p->half_begin; h < p->half_end; h++)
        total += qr_matrix_panels(matrices[h]);
    share(total, &p->seat, &begin, &end);
    if (p->apart) {
        begin = 0;
        end = total;
    }
    for (size_t h = p->half_begin, before = 0; h < p->half_end; h++) {
        size_t panels = qr_matrix_panels(matrices[h]);
        size_t from = qr_max(begin, before), to = qr_min(end, before + panels);
        if (from < to)
            qr_matrix_multiply(matrices[h], in[h], p->rows, epilogue, y[h],
                               qr_matrix_out(matrices[h]), from - before, to - before);
        before += panels;
    }
    qr_pass_meet_halves(p);
}

void qr_pass_operand_halves(const qr_pass *p, qr_matrix *const matrices[QR_HALVES],
                            float *const x[QR_HALVES]) {
    size_t begin = 0, end = p->rows;
    if (!p->apart)
        share(p->rows, &p->seat, &begin, &end);
    for (size_t h = p->half_begin; h < p->half_end; h++)
        qr_matrix_operand(matrices[h], x[h], qr_matrix_in(matrices[h]), begin, end,
                          p->context->operand_half[h]);
    qr_pass_meet_halves(p);
}

void qr_pass_cut(float *base, size_t rows, const size_t widths[QR_HALVES],
                 float *parts[QR_HALVES]) {
    parts[0] = base;
    parts[1] = base + rows * widths[0];
}

/* What attention over S tokens costs, in some unit: products, and the packing of keys and values.
 */
static size_t attention_cost(size_t S) {
    return S * (S + 32);
}

static void attend(const qr_pass *p, const qr_pass_heads *heads, size_t h, size_t b, size_t head) {
    const qr_batch *batch = p->context->batch;
    size_t start = batch->starts[b], S = batch->starts[b + 1] - start,
           row = heads->first_only ? b : start;
    size_t width = heads->half[h].heads * p->D, at = head * p->D;
    const float *k = heads->kv[h] + start * heads->ld_kv[h] + at;
    qr_attention task = {
        .out = heads->out[h] + row * width + at,
        .q = heads->q[h] + row * heads->ld_q[h] + at,
        .k = k,
        .v = k + width,
        .ld_out = width,
        .ld_q = heads->ld_q[h],
        .ld_kv = heads->ld_kv[h],
        .queries = heads->first_only ? 1 : S,
        .keys = S,
        .D = p->D,
        .scratch = p->context->scratch[p->seat.rank],
    };
    p->weights->kernels.attention(&task);
}

void qr_pass_attention(const qr_pass *p, const qr_pass_heads *heads) {
    const qr_batch *batch = p->context->batch;
    size_t total = 0, before = 0, ranks = (size_t)p->seat.ranks, rank = (size_t)p->seat.rank;
    for (size_t b = 0; b < batch->sequences && !p->apart; b++)
        total +=
            p->weights->bert->info.heads * attention_cost(batch->starts[b + 1] - batch->starts[b]);
    for (size_t h = p->half_begin; h < p->half_end; h++) {
        for (size_t b = 0; b < batch->sequences; b++) {
            size_t cost = attention_cost(batch->starts[b + 1] - batch->starts[b]);
            for (size_t head = 0; head < heads->half[h].heads; head++, before += cost)
                if (p->apart || before * ranks / total == rank)
                    attend(p, heads, h, b, head);
        }
    }
    qr_pass_meet_halves(p);
}
