/* engine/cpu/forward.c: BERT's encoder (Devlin et al. 2019, after Vaswani et al. 2017) over a
 * ragged batch: the paper's figure in code, one call a block.
 *
 *     x = LayerNorm(word + position + segment)                          [T][C]
 *     L times:
 *         q, k, v = x * Wqkv + b                                        [T][3C], q scaled
 *         mixed   = for each sequence and head: softmax(q * k^T) * v    [T][C]
 *         x       = LayerNorm(x + mixed * Wo + b)                       [T][C]
 *         x       = LayerNorm(x + gelu(x * Wup + b) * Wdown + b)        [T][C], inside [T][F]
 *
 * Matrices come in shards (weights.h), so "x + y" is x + y[0] + y[1], always in one order. Every
 * member of the team runs this same code; pass.h decides what its share of a step is, pass_stages.h
 * how finely a layer is cut, and team.h lets members in and out between stages. A token's numbers
 * never depend on who computed them or beside what. */
#include "engine/cpu/forward.h"

#include "engine/cpu/pass.h"
#include "engine/cpu/pooling.h"

#define ROWS_TOGETHER 4u  /* what a conversion takes at once */
#define LATE_TOKENS   64u /* a layer of as many takes some 10 times as long as a wake-up */

/* x = LayerNorm(word + position + segment), projected where that is of another size; all rows: the
 * leader is still alone. */
static void embed(qr__pass *p) {
    const qr_bert *bert = p->weights->base.bert;
    const qr_batch *batch = p->context->batch;
    const qr__word_embeddings *words = p->weights->words;
    size_t T = p->context->tokens, E = bert->info.word_size,
           word_bytes = E * (words->f16 ? sizeof(uint16_t) : sizeof(float));
    bool projects = E != p->C;
    float *x = projects ? p->context->words : p->context->hidden;
    for (size_t t = 0, b = 0; t < T; t++) {
        while (batch->starts[b + 1] <= t)
            b++;
        const char *word = (const char *)words->rows + (size_t)batch->ids[t] * word_bytes;
        const float *position = bert->position + (t - batch->starts[b]) * E, *type = NULL;
        if (bert->info.types > 0)
            type = bert->type + (batch->types == NULL ? 0 : batch->types[t]) * E;
        p->weights->kernels.embed(x + t * E, word, words->f16, position, type, E);
    }
    p->weights->kernels.layer_norm(&(qr__layer_norm){.y = x,
                                                     .x = x,
                                                     .gamma = bert->embedding_norm.gamma,
                                                     .beta = bert->embedding_norm.beta,
                                                     .eps = bert->info.layer_norm_eps,
                                                     .rows = T,
                                                     .C = E});
    if (projects)
        qr__whole_multiply(p->context, QR__PROJECTION, x, T, p->context->hidden);
}

/* y = LayerNorm(x + what the shards add to it), rows [begin, end). */
static void add_and_norm(const qr__pass *p, const float *x, const qr_bert_norm *norm, size_t begin,
                         size_t end, float *y) {
    float *const *partial = p->context->partial;
    size_t at = begin * p->C;
    p->weights->kernels.layer_norm(
        &(qr__layer_norm){.y = y + at,
                          .x = partial[0] + at,
                          .more = p->weights->shards == 1 ? NULL : partial[1] + at,
                          .residual = x + at,
                          .gamma = norm->gamma,
                          .beta = norm->beta,
                          .eps = p->weights->base.bert->info.layer_norm_eps,
                          .rows = end - begin,
                          .C = p->C});
}

/* The same of this member's rows, and as W reads them: a few at a time, then still in L1. */
static void add_norm_and_convert(const qr__pass *p, const float *x, const qr_bert_norm *norm,
                                 float *y, qr__matrix *const *W) {
    for (size_t t = p->begin; t < p->end; t += ROWS_TOGETHER) {
        const size_t end = qr_min(t + ROWS_TOGETHER, p->end);
        add_and_norm(p, x, norm, t, end, y);
        qr__pass_convert(p, W, y, t, end, p->context->operand);
    }
}

/* Whether a layer keeps its queries apart: a last one, of which a model's output reads first tokens
 * only. */
static bool queries_apart(const qr__layer *layer) {
    return layer->qkv[0] == NULL;
}

/* Where a layer's queries, keys, values and what attention makes of them stand. */
static qr__attended attended(const qr__pass *p, const qr__layer *layer) {
    const qr__context *c = p->context;
    const size_t T = c->tokens, rows = c->first_only ? c->batch->sequences : T;
    if (queries_apart(layer))
        return (qr__attended){
            .q = qr__pass_split_by_head(p, layer->q[0], rows, c->wide + 2 * p->C * T, 1),
            .kv = qr__pass_split_by_head(p, layer->kv[0], T, c->wide, 2),
            .out = qr__pass_split_heads(p, rows, c->mixed, 1),
            .first_only = c->first_only};
    qr__attended a = {.q = qr__pass_split_by_head(p, layer->qkv[0], T, c->wide, 3),
                      .out = qr__pass_split_heads(p, T, c->mixed, 1)};
    a.kv = qr__pass_behind_heads(p, &a.q); /* keys stand behind the queries */
    return a;
}

/* x of the layer, once attention may have left only the first tokens' rows. */
static const float *input(const qr__pass *p, const qr__layer *layer) {
    return queries_apart(layer) && p->context->first_only ? p->context->first : p->context->hidden;
}

/* The queries of a layer that keeps them apart: of all tokens, or of first tokens only. Then just
 * those B rows of x are left, in c->first. */
static void queries(qr__pass *p, const qr__layer *layer, const qr__split *q) {
    qr__context *c = p->context;
    if (c->first_only)
        qr__pass_set_rows(p, c->batch->sequences);
    if (p->at.piece == 0) {
        for (size_t b = p->begin; c->first_only && b < p->end; b++)
            memcpy(c->first + b * p->C, c->hidden + qr__first_token(c, b) * p->C,
                   p->C * sizeof *c->first);
        qr__pass_convert(p, layer->q, input(p, layer), p->begin, p->end, c->operand_q);
        qr__pass_meet(p);
    }
    qr__pass_columns(p, layer->q, c->operand_q, QR_EPILOGUE_BIAS, q);
}

/* q, k, v = x * Wqkv + b, behind the last norm of the layer before. */
static void queries_keys_values(qr__pass *p, const qr__layer *layer, const qr__attended *a) {
    qr__context *c = p->context;
    const bool apart = queries_apart(layer);
    qr__matrix *const *W = apart ? layer->kv : layer->qkv;
    if (p->at.piece == 0) {
        if (p->at.layer > 0)
            add_norm_and_convert(p, c->middle, &layer[-1].output_norm, c->hidden, W);
        else
            qr__pass_convert(p, W, c->hidden, p->begin, p->end, c->operand);
        qr__pass_calibrate(p, c->hidden, QR_RANGE_QKV);
        qr__pass_meet(p);
    }
    qr__pass_columns(p, W, c->operand, QR_EPILOGUE_BIAS, apart ? &a->kv : &a->q);
    if (apart)
        queries(p, layer, &a->q);
}

/* FFN(x) = gelu(x * Wup + b) * Wdown + b as partial sums, behind x = LayerNorm(x + attention). */
static void feed_forward(qr__pass *p, const qr__layer *layer) {
    qr__context *c = p->context;
    if (p->at.piece == 0) {
        add_norm_and_convert(p, input(p, layer), &layer->attention_norm, c->middle, layer->up);
        qr__pass_calibrate(p, c->middle, QR_RANGE_UP);
        qr__pass_meet(p);
    }
    qr__pass_feed_forward(p, layer);
}

/* A layer's step, or a piece of it. A norm is done at the beginning of the step that reads it:
 * whoever has been let in meanwhile has rows to do there. */
static void run(qr__pass *p, const qr__layer *layer) {
    const qr__attended a = attended(p, layer);
    switch (p->at.step) {
    case QR__STEP_QKV:
        queries_keys_values(p, layer, &a);
        break;
    case QR__STEP_ATTENTION: /* mixed = softmax(q * k^T) * v */
        qr__pass_attention(p, &a);
        break;
    case QR__STEP_OUTPUT: /* mixed * Wo + b, as partial sums */
        qr__pass_rows(p, layer->output, &a.out);
        break;
    case QR__STEP_FEED_FORWARD:
        feed_forward(p, layer);
        break;
    case QR__STEPS: /* their number, never a step */
        break;
    }
}

/* One member's encoder. Stage 0 is the embeddings, which the leader does alone while the others
 * wake up; the layers' stages are counted from 1. */
static void encode(void *argument, qr__team *team, qr__rank me) {
    qr__context *c = argument;
    const qr__weights *w = c->weights;
    const qr_model_info *info = &w->base.bert->info;
    size_t L = info->layers, C = info->hidden;
    qr__pass p = {.context = c, .weights = w, .team = team, .me = me, .C = C, .D = C / info->heads};
    if (me.stage == 0) {
        embed(&p);
        if (!qr__team_admit(team, &p.me, 1))
            return;
    }
    qr__pass_begin(&p);
    while (p.at.layer < L) {
        run(&p, &w->layers[p.at.layer]);
        if (!qr__pass_next(&p))
            return; /* wanted elsewhere */
    }
    add_and_norm(&p, c->middle, &w->layers[L - 1].output_norm, p.begin, p.end, c->hidden);
}

const float *qr__encode(qr__context *context, int members) {
    context->stages = qr__pass_stages_of(context->weights, context->batch);
    qr__team_run(&context->team, context->pool, members, context->tokens >= LATE_TOKENS, encode,
                 context);
    return context->hidden;
}
