/* engine/cpu/pass.c: shares of a step. */
#include "engine/cpu/pass.h"

#include <math.h>

/* Part `part` of `count` things in a row that are cut in so many: parts differ by one at most, and
 * which is whose depends on nothing else, so no two members need to agree on anything. */
static void share(size_t count, size_t part, size_t parts, size_t *begin, size_t *end) {
    *begin = count * part / parts;
    *end = count * (part + 1) / parts;
}

/* Whole shards want ranks that divide the shards: with 1 rank it has both, with 2 each has
 * one. */
void qr__pass_set_rows(qr__pass *p, size_t rows) {
    size_t shards = p->weights->shards, rank = (size_t)p->me.rank, ranks = (size_t)p->me.ranks;
    size_t piece_rows = p->context->stages.rows[p->at.step];
    p->rows = rows;
    share(rows, rank, ranks, &p->begin, &p->end);
    p->piece_begin = qr_min(p->at.piece * piece_rows, rows);
    p->piece_end = qr_min(p->piece_begin + piece_rows, rows);
    p->whole_shards = shards % ranks == 0;
    p->shard_begin = 0;
    p->shard_end = shards;
    if (p->whole_shards)
        share(shards, rank, ranks, &p->shard_begin, &p->shard_end);
}

void qr__pass_begin(qr__pass *p) {
    const qr__context *c = p->context;
    p->at = qr__pass_stages_at(&c->stages, p->me.stage);
    size_t here = p->at.layer * QR__STEPS + p->at.step;
    size_t last_qkv = (p->weights->base.bert->info.layers - 1) * QR__STEPS + QR__STEP_QKV;
    qr__pass_set_rows(p, c->first_only && here > last_qkv ? c->batch->sequences : c->tokens);
}

/* Within a stage, members with whole shards read what they wrote themselves, but for the sums
 * behind attention's last matrix. */
bool qr__pass_next(qr__pass *p) {
    const qr__pass_stages *stages = &p->context->stages;
    const size_t number = p->me.stage + 1, layer = qr__pass_stages_at(stages, number).layer;
    if (layer == p->weights->base.bert->info.layers) {
        qr__pass_meet(p);
    } else if (stages->fine || layer > p->at.layer) {
        if (!qr__team_admit(p->team, &p->me, number))
            return false;
    } else if (!p->whole_shards || p->at.step == QR__STEP_OUTPUT) {
        qr__pass_meet(p);
    }
    p->me.stage = number;
    qr__pass_begin(p);
    return true;
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

void qr__pass_calibrate(const qr__pass *p, const float *x, size_t place) {
    if (p->context->ranges == NULL)
        return;
    float *ranges = p->context->ranges + (p->at.layer * QR_RANGES_A_LAYER + place) * p->C;
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

/* Shards of these widths, one behind the other. */
static qr__split split(size_t rows, float *memory, size_t first, size_t second) {
    return (qr__split){.at = {memory, memory + rows * first}, .width = {first, second}};
}

qr__split qr__pass_split_heads(const qr__pass *p, size_t rows, float *memory, size_t per_head) {
    const qr__shard *shard = p->weights->shard;
    return split(rows, memory, shard[0].heads * p->D * per_head, shard[1].heads * p->D * per_head);
}

qr__split qr__pass_split_by_head(const qr__pass *p, const qr__matrix *W, size_t rows, float *memory,
                                 size_t per_head) {
    qr__split x = qr__pass_split_heads(p, rows, memory, per_head);
    x.head_rows = qr__matrix_fits_block(W, p->D) ? rows : 0;
    return x;
}

/* From one head to the next, and from row to row, of shard s. */
static size_t head_apart(const qr__pass *p, const qr__split *x) {
    return x->head_rows > 0 ? x->head_rows * p->D : p->D;
}

static size_t row_apart(const qr__pass *p, const qr__split *x, size_t s) {
    return x->head_rows > 0 ? p->D : x->width[s];
}

qr__split qr__pass_behind_heads(const qr__pass *p, const qr__split *x) {
    qr__split behind = *x;
    for (size_t s = 0; s < p->weights->shards; s++)
        behind.at[s] += p->weights->shard[s].heads * head_apart(p, x);
    return behind;
}

/* Memory for `rows` rows, cut into shards of inner features. */
static qr__split split_features(const qr__pass *p, size_t rows, float *memory) {
    const qr__shard *shard = p->weights->shard;
    return split(rows, memory, shard[0].features, shard[1].features);
}

/* y[s] = epilogue(in[s] * W[s] + b), the piece's rows, for this member's shards, or its panels of
 * all shards. */
static void multiply(const qr__pass *p, qr__matrix *const *W, void *const *in,
                     qr__epilogue epilogue, const qr__split *y) {
    size_t total = 0, begin = 0, end, row = p->piece_begin;
    for (size_t s = p->shard_begin; s < p->shard_end; s++)
        total += qr__matrix_panels(W[s]);
    end = total;
    if (!p->whole_shards)
        share(total, (size_t)p->me.rank, (size_t)p->me.ranks, &begin, &end);
    for (size_t s = p->shard_begin, before = 0; s < p->shard_end; s++) {
        size_t panels = qr__matrix_panels(W[s]), ld = row_apart(p, y, s);
        size_t from = qr_max(begin, before), to = qr_min(end, before + panels);
        const char *operand = (const char *)in[s] + qr__matrix_operand_bytes(W[s], row);
        const qr__matrix_output output = {.y = y->at[s] + row * ld,
                                          .ld = ld,
                                          .block = y->head_rows > 0 ? p->D : 0,
                                          .apart = head_apart(p, y)};
        if (from < to)
            qr__matrix_multiply_to(W[s], operand, p->piece_end - row, epilogue, &output,
                                   from - before, to - before);
        before += panels;
    }
}

void qr__pass_convert(const qr__pass *p, qr__matrix *const *W, const float *x, size_t begin,
                      size_t end, void *operand) {
    qr__matrix_operand(W[0], x, p->C, begin, end, operand);
}

void qr__pass_columns(const qr__pass *p, qr__matrix *const *W, void *operand, qr__epilogue epilogue,
                      const qr__split *y) {
    void *const in[QR__SHARDS] = {operand, operand};
    multiply(p, W, in, epilogue, y);
}

/* partial[s] from row `first` on = x[s] * W[s] (+ b for the first shard), the piece's rows being
 * counted from there. A member with whole shards converts and multiplies what it wrote itself, and
 * meets nobody. */
static void multiply_rows(const qr__pass *p, qr__matrix *const *W, const qr__split *x,
                          size_t first) {
    const qr__context *c = p->context;
    size_t begin = 0, end = p->piece_end - p->piece_begin;
    if (!p->whole_shards)
        share(end, (size_t)p->me.rank, (size_t)p->me.ranks, &begin, &end);
    for (size_t s = p->shard_begin; s < p->shard_end; s++)
        qr__matrix_operand(W[s], x->at[s], x->width[s], p->piece_begin + begin,
                           p->piece_begin + end, c->operand_shard[s]);
    if (!p->whole_shards)
        qr__pass_meet(p);
    qr__split partial = {.width = {p->C, p->C}};
    for (size_t s = 0; s < p->weights->shards; s++)
        partial.at[s] = c->partial[s] + first * p->C;
    multiply(p, W, c->operand_shard, QR_EPILOGUE_BIAS, &partial);
}

void qr__pass_rows(const qr__pass *p, qr__matrix *const *W, const qr__split *x) {
    multiply_rows(p, W, x, 0);
}

/* The piece's rows are the first of `inner`, whichever piece it is. Who does both shards does one
 * behind the other, with the inner activations of the second where the first's were: half as much
 * passes through L2 between a row's way into it and out of it. */
void qr__pass_feed_forward(const qr__pass *p, const qr__layer *layer) {
    const qr__context *c = p->context;
    const bool alone = p->me.ranks == 1;
    const size_t first = p->piece_begin, rows = p->piece_end - first;
    qr__split inner = split_features(p, rows, c->wide);
    char *operand = (char *)c->operand + qr__matrix_operand_bytes(layer->up[0], first);
    qr__pass one = *p;
    one.piece_begin = 0;
    one.piece_end = rows;
    for (size_t s = p->shard_begin; s < p->shard_end; s = one.shard_end) {
        if (alone) {
            one.shard_begin = s;
            one.shard_end = s + 1;
            inner.at[s] = c->wide;
        }
        qr__pass_columns(&one, layer->up, operand, p->weights->activation, &inner);
        if (!p->whole_shards)
            qr__pass_meet(p);
        multiply_rows(&one, layer->down, &inner, first);
    }
}

/* What attention over S tokens costs, in some unit: products, and the packing of keys and
 * values. */
static size_t attention_cost(size_t S) {
    return S * (S + 32);
}

/* One sequence and head; `s` is the head's shard, `head` its place there. */
static void attend(const qr__pass *p, const qr__attended *a, size_t s, size_t head, size_t b) {
    const qr_batch *batch = p->context->batch;
    size_t start = batch->starts[b], S = batch->starts[b + 1] - start, width = a->out.width[s];
    size_t row = a->first_only ? b : start;
    size_t ld_q = row_apart(p, &a->q, s), ld_kv = row_apart(p, &a->kv, s);
    const float *k = a->kv.at[s] + start * ld_kv + head * head_apart(p, &a->kv);
    p->weights->kernels.attention(&(qr__attention){
        .out = a->out.at[s] + row * width + head * p->D,
        .q = a->q.at[s] + row * ld_q + head * head_apart(p, &a->q),
        .k = k,
        .v = k + p->weights->shard[s].heads * head_apart(p, &a->kv),
        .ld_out = width,
        .ld_q = ld_q,
        .ld_kv = ld_kv,
        .queries = a->first_only ? 1 : S,
        .keys = S,
        .D = p->D,
        .scratch = p->context->scratch[p->me.rank],
    });
}

/* (sequence, head) pairs are dealt out by their cost, not by their number: one of 384 tokens
 * costs as much as forty of 32. */
void qr__pass_attention(const qr__pass *p, const qr__attended *a) {
    const qr_batch *batch = p->context->batch;
    size_t total = 0, before = 0, ranks = (size_t)p->me.ranks, heads = 0;
    size_t begin[QR__SHARDS] = {0}, end[QR__SHARDS] = {0};
    for (size_t s = p->shard_begin; s < p->shard_end; s++) {
        share(p->weights->shard[s].heads, p->at.piece, p->context->stages.pieces[p->at.step],
              &begin[s], &end[s]);
        heads += end[s] - begin[s];
    }
    for (size_t b = 0; b < batch->sequences; b++)
        total += heads * attention_cost(batch->starts[b + 1] - batch->starts[b]);
    for (size_t s = p->shard_begin; s < p->shard_end; s++)
        for (size_t b = 0; b < batch->sequences; b++)
            for (size_t head = begin[s]; head < end[s]; head++) {
                /* A pair is another member's, or ours, by where its cost begins. */
                if (p->whole_shards || before * ranks / total == (size_t)p->me.rank)
                    attend(p, a, s, head, b);
                before += attention_cost(batch->starts[b + 1] - batch->starts[b]);
            }
}
