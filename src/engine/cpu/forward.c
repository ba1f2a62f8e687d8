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
 * member of the team runs this same code; pass.h decides what its share of a step is, and team.h
 * lets members in between layers. A token's numbers never depend on who computed them or beside
 * what. */
#include "engine/cpu/forward.h"

#include "engine/cpu/pass.h"
#include "engine/cpu/pooling.h"

#define LATE_TOKENS 64u /* a layer of as many takes some 10 times as long as a wake-up */

/* x = LayerNorm(word + position + segment), projected where that is of another size; all rows: the
 * leader is still alone. */
static void embed(qr__pass *p) {
    const qr_bert *bert = p->weights->base.bert;
    const qr_batch *batch = p->context->batch;
    const qr__word_embeddings *words = p->weights->words;
    size_t E = bert->info.word_size,
           word_bytes = E * (words->f16 ? sizeof(uint16_t) : sizeof(float));
    bool projects = E != p->C;
    float *x = projects ? p->context->words : p->context->hidden;
    for (size_t t = 0, b = 0; t < p->rows; t++) {
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
                                                     .rows = p->rows,
                                                     .C = E});
    if (projects)
        qr__whole_multiply(p->context, QR__PROJECTION, x, p->rows, p->context->hidden);
}

/* y = LayerNorm(x + what the shards add to it), this member's rows. */
static void add_and_norm(const qr__pass *p, const float *x, const qr_bert_norm *norm, float *y) {
    float *const *partial = p->context->partial;
    size_t at = p->begin * p->C;
    p->weights->kernels.layer_norm(
        &(qr__layer_norm){.y = y + at,
                          .x = partial[0] + at,
                          .more = p->weights->shards == 1 ? NULL : partial[1] + at,
                          .residual = x + at,
                          .gamma = norm->gamma,
                          .beta = norm->beta,
                          .eps = p->weights->base.bert->info.layer_norm_eps,
                          .rows = p->end - p->begin,
                          .C = p->C});
}

/* Attention(x) = softmax(q * k^T) * v * Wo + b, as partial sums. */
static void self_attention(const qr__pass *p, const qr__layer *layer) {
    qr__context *c = p->context;
    qr__split qkv = qr__pass_split_heads(p, c->wide, 3), kv = qkv;
    qr__split mixed = qr__pass_split_heads(p, c->mixed, 1);
    for (size_t s = 0; s < p->weights->shards; s++)
        kv.at[s] += mixed.width[s]; /* keys stand behind the queries */
    qr__pass_columns(p, layer->qkv, c->hidden, c->operand, QR_EPILOGUE_BIAS, &qkv);
    qr__pass_attention(p, &qkv, &kv, &mixed, false);
    qr__pass_rows(p, layer->output, &mixed);
}

/* The same in a last layer that keeps its queries apart: keys and values of all tokens, queries
 * of all, or of first tokens only. Then just those B rows of x are left, in c->first; returns
 * where x is. */
static const float *last_self_attention(qr__pass *p, const qr__layer *layer) {
    qr__context *c = p->context;
    const qr_batch *batch = c->batch;
    const float *x = c->hidden;
    qr__split kv = qr__pass_split_heads(p, c->wide, 2);
    float *behind = c->wide + 2 * p->C * p->rows;
    qr__pass_columns(p, layer->kv, x, c->operand, QR_EPILOGUE_BIAS, &kv);
    if (c->first_only) {
        qr__pass_set_rows(p, batch->sequences);
        for (size_t b = p->begin; b < p->end; b++)
            memcpy(c->first + b * p->C, x + qr__first_token(c, b) * p->C, p->C * sizeof *x);
        x = c->first;
    }
    qr__split q = qr__pass_split_heads(p, behind, 1);
    qr__split mixed = qr__pass_split_heads(p, c->mixed, 1);
    qr__pass_columns(p, layer->q, x, c->operand_q, QR_EPILOGUE_BIAS, &q);
    qr__pass_attention(p, &q, &kv, &mixed, c->first_only);
    qr__pass_rows(p, layer->output, &mixed);
    return x;
}

/* FFN(x) = gelu(x * Wup + b) * Wdown + b, as partial sums. */
static void feed_forward(const qr__pass *p, const qr__layer *layer, const float *x) {
    qr__context *c = p->context;
    const qr__feed_forward f = {.up = layer->up,
                                .down = layer->down,
                                .activation = p->weights->activation,
                                .operand = c->operand,
                                .inner = qr__pass_split_features(p, c->wide)};
    qr__pass_feed_forward(p, &f, x);
}

/* One member's encoder. Stage 0 is the embeddings, which the leader does alone while the others
 * wake up; stage l is layer l, counted from 1. A layer's last norm belongs to the stage behind
 * it, because whoever was let in between has rows to do there already. */
static void encode(void *argument, qr__team *team, qr__rank me) {
    qr__context *c = argument;
    const qr__weights *w = c->weights;
    const qr_model_info *info = &w->base.bert->info;
    size_t L = info->layers, C = info->hidden;
    qr__pass p = {.context = c, .weights = w, .team = team, .me = me, .C = C, .D = C / info->heads};
    if (me.stage == 0) {
        qr__pass_set_rows(&p, c->tokens);
        embed(&p);
        if (!qr__team_admit(team, &p.me, 1))
            return;
    }
    for (size_t l = p.me.stage; l <= L; l++) {
        const qr__layer *layer = &w->layers[l - 1];
        const float *x = c->hidden;
        qr__pass_set_rows(&p, c->tokens);
        if (l > 1)
            add_and_norm(&p, c->middle, &layer[-1].output_norm, c->hidden);
        qr__pass_calibrate(&p, c->hidden, l - 1, QR_RANGE_QKV);
        if (layer->qkv[0] != NULL)
            self_attention(&p, layer);
        else
            x = last_self_attention(&p, layer);
        qr__pass_meet(&p);
        add_and_norm(&p, x, &layer->attention_norm, c->middle);
        qr__pass_calibrate(&p, c->middle, l - 1, QR_RANGE_UP);
        feed_forward(&p, layer, c->middle);
        if (l == L)
            qr__pass_meet(&p);
        else if (!qr__team_admit(team, &p.me, l + 1))
            return; /* wanted elsewhere */
    }
    add_and_norm(&p, c->middle, &w->layers[L - 1].output_norm, c->hidden);
}

const float *qr__encode(qr__context *context, int members) {
    qr__team_run(&context->team, context->pool, members, context->tokens >= LATE_TOKENS, encode,
                 context);
    return context->hidden;
}
