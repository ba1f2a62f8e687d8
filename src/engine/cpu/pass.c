/* engine/cpu/pass.c: shares of a step. */
#include "engine/cpu/pass.h"

#include <math.h>

/* Of inner activations at a time: with the weights of a shard they fit into a core's L2, where the
 * next matrix finds them. */
#define FEED_ROWS 192u

/* This rank's part of `count` things in a row: parts differ by one at most, and which is whose
 * depends on nothing else, so no two members need to agree on anything. */
static void share(size_t count, const qr__rank *me, size_t *begin, size_t *end) {
    *begin = count * (size_t)me->rank / (size_t)me->ranks;
    *end = count * ((size_t)me->rank + 1) / (size_t)me->ranks;
}

/* Whole shards want ranks that divide the shards: with 1 rank it has both, with 2 each has
 * one. */
void qr__pass_set_rows(qr__pass *p, size_t rows) {
    size_t shards = p->weights->shards;
    p->rows = rows;
    share(rows, &p->me, &p->begin, &p->end);
    p->whole_shards = shards % (size_t)p->me.ranks == 0;
    p->shard_begin = 0;
    p->shard_end = shards;
    if (p->whole_shards)
        share(shards, &p->me, &p->shard_begin, &p->shard_end);
}

/* Members meet in the same channels. The greatest is the same in any order, and who reads the
 * ranges does so when the whole team is done: relaxed suffices. */
static void raise(float *range, float to) {
    float seen;
    __atomic_load(range, &seen, __ATOMIC_RELAXED);
    while (to > seen &&
           !__atomic_compare_exchange(range, &seen, &to, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

void qr__pass_calibrate(const qr__pass *p, const float *x, size_t layer, size_t place) {
    if (p->context->ranges == NULL)
        return;
    float *ranges = p->context->ranges + (layer * QR_RANGES_A_LAYER + place) * p->C;
    for (size_t c = 0; c < p->C; c++) {
        float most = 0;
        for (size_t t = p->begin; t < p->end; t++)
            most = fmaxf(most, fabsf(x[t * p->C + c]));
        raise(&ranges[c], most);
    }
}

void qr__pass_meet(const qr__pass *p) {
    qr__team_barrier(p->team, &p->me);
}

/* Ends a step whose result only this member reads, if it has whole shards. */
static void meet_unless_whole(const qr__pass *p) {
    if (!p->whole_shards)
        qr__pass_meet(p);
}

/* Shards of these widths, one behind the other. */
static qr__split split(const qr__pass *p, float *memory, size_t first, size_t second) {
    return (qr__split){.at = {memory, memory + p->rows * first}, .width = {first, second}};
}

qr__split qr__pass_split_heads(const qr__pass *p, float *memory, size_t per_head) {
    const qr__shard *shard = p->weights->shard;
    return split(p, memory, shard[0].heads * p->D * per_head, shard[1].heads * p->D * per_head);
}

qr__split qr__pass_split_features(const qr__pass *p, float *memory) {
    const qr__shard *shard = p->weights->shard;
    return split(p, memory, shard[0].features, shard[1].features);
}

/* y[s] = epilogue(in[s] * W[s] + b) for this member's shards, or its panels of all shards. */
static void multiply(const qr__pass *p, qr__matrix *const *W, void *const *in,
                     qr__epilogue epilogue, float *const *y) {
    size_t total = 0, begin = 0, end;
    for (size_t s = p->shard_begin; s < p->shard_end; s++)
        total += qr__matrix_panels(W[s]);
    end = total;
    if (!p->whole_shards)
        share(total, &p->me, &begin, &end);
    for (size_t s = p->shard_begin, before = 0; s < p->shard_end; s++) {
        size_t panels = qr__matrix_panels(W[s]);
        size_t from = qr_max(begin, before), to = qr_min(end, before + panels);
        if (from < to)
            qr__matrix_multiply(W[s], in[s], p->rows, epilogue, y[s], qr__matrix_out(W[s]),
                                from - before, to - before);
        before += panels;
    }
}

/* Two meetings at most: all rows of the operand are there before anybody multiplies, and all
 * columns of y before anybody reads across shards. */
void qr__pass_columns(const qr__pass *p, qr__matrix *const *W, const float *x, void *operand,
                      qr__epilogue epilogue, const qr__split *y) {
    void *const in[QR__SHARDS] = {operand, operand};
    qr__matrix_operand(W[0], x, p->C, p->begin, p->end, operand);
    qr__pass_meet(p); /* every shard reads all rows */
    multiply(p, W, in, epilogue, y->at);
    meet_unless_whole(p);
}

/* A member with whole shards converts and multiplies what it wrote itself, and meets nobody. */
void qr__pass_rows(const qr__pass *p, qr__matrix *const *W, const qr__split *x) {
    size_t begin = 0, end = p->rows;
    if (!p->whole_shards)
        share(p->rows, &p->me, &begin, &end);
    for (size_t s = p->shard_begin; s < p->shard_end; s++)
        qr__matrix_operand(W[s], x->at[s], x->width[s], begin, end, p->context->operand_shard[s]);
    meet_unless_whole(p);
    multiply(p, W, p->context->operand_shard, QR_EPILOGUE_BIAS, p->context->partial);
    meet_unless_whole(p);
}

/* Rows [first, end) of one shard, up to its partial sums. */
static void feed_rows(const qr__pass *p, const qr__feed_forward *f, size_t s, size_t first,
                      size_t end) {
    const qr__matrix *up = f->up[s], *down = f->down[s];
    const size_t rows = end - first, width = qr__matrix_out(up);
    const char *in = (const char *)f->operand + qr__matrix_operand_bytes(up, first);
    char *between = (char *)p->context->operand_shard[s] + qr__matrix_operand_bytes(down, first);
    float *inner = f->inner.at[s] + first * width;
    qr__matrix_multiply(up, in, rows, f->activation, inner, width, 0, qr__matrix_panels(up));
    qr__matrix_operand(down, inner, width, 0, rows, between);
    qr__matrix_multiply(down, between, rows, QR_EPILOGUE_BIAS,
                        p->context->partial[s] + first * p->C, p->C, 0, qr__matrix_panels(down));
}

/* A member with whole shards takes each through both matrices a few rows at a time. */
void qr__pass_feed_forward(const qr__pass *p, const qr__feed_forward *f, const float *x) {
    if (!p->whole_shards) {
        qr__pass_columns(p, f->up, x, f->operand, f->activation, &f->inner);
        qr__pass_rows(p, f->down, &f->inner);
        return;
    }
    qr__matrix_operand(f->up[0], x, p->C, p->begin, p->end, f->operand);
    qr__pass_meet(p); /* every shard reads all rows */
    for (size_t s = p->shard_begin; s < p->shard_end; s++)
        for (size_t row = 0; row < p->rows; row += FEED_ROWS)
            feed_rows(p, f, s, row, qr_min(row + FEED_ROWS, p->rows));
}

/* What attention over S tokens costs, in some unit: products, and the packing of keys and
 * values. */
static size_t attention_cost(size_t S) {
    return S * (S + 32);
}

/* (sequence, head) pairs are dealt out by their cost, not by their number: one of 384 tokens
 * costs as much as forty of 32. */
void qr__pass_attention(const qr__pass *p, const qr__split *q, const qr__split *kv,
                        const qr__split *out, bool first_only) {
    const qr_batch *batch = p->context->batch;
    size_t total = 0, before = 0, ranks = (size_t)p->me.ranks, rank = (size_t)p->me.rank;
    for (size_t b = 0; b < batch->sequences; b++)
        total += p->weights->base.bert->info.heads *
                 attention_cost(batch->starts[b + 1] - batch->starts[b]);
    for (size_t s = p->shard_begin; s < p->shard_end; s++) {
        size_t width = out->width[s];
        for (size_t b = 0; b < batch->sequences; b++) {
            size_t start = batch->starts[b], S = batch->starts[b + 1] - start;
            size_t row = first_only ? b : start;
            for (size_t head = 0; head < width / p->D; head++, before += attention_cost(S)) {
                if (!p->whole_shards && before * ranks / total != rank)
                    continue; /* another member's: pairs go by where their cost begins */
                const float *k = kv->at[s] + start * kv->width[s] + head * p->D;
                p->weights->kernels.attention(&(qr__attention){
                    .out = out->at[s] + row * width + head * p->D,
                    .q = q->at[s] + row * q->width[s] + head * p->D,
                    .k = k,
                    .v = k + width,
                    .ld_out = width,
                    .ld_q = q->width[s],
                    .ld_kv = kv->width[s],
                    .queries = first_only ? 1 : S,
                    .keys = S,
                    .D = p->D,
                    .scratch = p->context->scratch[rank],
                });
            }
        }
    }
    meet_unless_whole(p);
}
