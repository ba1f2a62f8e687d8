/* engine/cpu/forward.c: BERT's encoder over a ragged batch: the paper's figure, one call a block.
 *
 *     x = LayerNorm(word + position + segment)                                        [T][C]
 *     L times:
 *         q, k, v = x * Wqkv + b                                                      [T][3C], q
 * scaled mixed   = for each sequence and head: softmax(q * k^T) * v                  [T][C] x =
 * LayerNorm(x + mixed * Wo + b)                                     [T][C] x       = LayerNorm(x +
 * gelu(x * Wup + b) * Wdown + b)                      [T][C], inner [T][F]
 *
 * Each layer is computed in two halves (weights.h): heads and inner features are halved, and what
 * the halves add to x is summed in one order. Every member of the gang runs this same code; pass.h
 * says what its share of a step is. Two members meet twice a layer, or four times where the batch
 * is too large for everybody to do all rows of x. A token's numbers never depend on who computed
 * them or beside what. */
#include "engine/cpu/pass.h"

/* What Wo and Wdown of a layer read. */
static void widths_of(const qr_pass *p, const qr_weights_half *half, size_t per_head,
                      size_t widths[QR_HALVES]) {
    for (size_t h = 0; h < QR_HALVES; h++)
        widths[h] = half[h].heads * p->D * per_head;
}

static void embed(qr_pass *p) {
    const qr_bert *bert = p->weights->bert;
    const qr_batch *batch = p->context->batch;
    const qr_words *words = p->weights->words;
    size_t C = p->C, b = 0;
    size_t word_bytes = C * (words->half ? sizeof(uint16_t) : sizeof(float));
    for (size_t t = p->begin; t < p->end; t++) {
        while (batch->starts[b + 1] <= t)
            b++;
        const char *word = (const char *)words->rows + (size_t)batch->ids[t] * word_bytes;
        const float *position = bert->position + (t - batch->starts[b]) * C;
        const float *type = NULL;
        if (bert->info.types > 0)
            type = bert->type + (batch->types == NULL ? 0 : batch->types[t]) * C;
        p->weights->kernels.embed(p->context->hidden + t * C, word, words->half, position, type, C);
    }
    float *mine = p->context->hidden + p->begin * C;
    p->weights->kernels.layer_norm(&(qr_layer_norm){.y = mine,
                                                    .x = mine,
                                                    .gamma = bert->embedding_norm.gamma,
                                                    .beta = bert->embedding_norm.beta,
                                                    .eps = bert->info.layer_norm_eps,
                                                    .rows = p->end - p->begin,
                                                    .C = C});
}

/* out = LayerNorm(sum of the halves' parts + residual), this member's rows. */
static void add_norm(const qr_pass *p, float *out, const float *residual,
                     const qr_bert_norm *norm) {
    float *const *parts = p->context->partial;
    size_t at = p->begin * p->C;
    p->weights->kernels.layer_norm(
        &(qr_layer_norm){.y = out + at,
                         .x = parts[0] + at,
                         .more = p->weights->halves == 1 ? NULL : parts[1] + at,
                         .residual = residual + at,
                         .gamma = norm->gamma,
                         .beta = norm->beta,
                         .eps = p->weights->bert->info.layer_norm_eps,
                         .rows = p->end - p->begin,
                         .C = p->C});
}

/* mixed * Wo, into the partial sums that attention adds to the residual stream. */
static void project(const qr_pass *p, const qr_weights_half *half, float *const mixed[QR_HALVES]) {
    qr_matrix *const output[] = {half[0].output, half[1].output};
    qr_pass_operand_halves(p, output, mixed);
    qr_pass_multiply(p, output, p->context->operand_half, QR_EPILOGUE_BIAS, p->context->partial);
}

/* Attention for all tokens. */
static void attend(const qr_pass *p, const qr_weights_half *half) {
    qr_matrix *const qkv[] = {half[0].qkv, half[1].qkv};
    void *const in[] = {p->context->operand, p->context->operand};
    size_t one[QR_HALVES], three[QR_HALVES];
    widths_of(p, half, 1, one);
    widths_of(p, half, 3, three);
    qr_pass_heads heads = {
        .half = half, .ld_q = {three[0], three[1]}, .ld_kv = {three[0], three[1]}};
    qr_pass_cut(p->context->wide, p->rows, three, heads.q);
    qr_pass_cut(p->context->mixed, p->rows, one, heads.out);
    for (size_t h = 0; h < QR_HALVES; h++)
        heads.kv[h] = heads.q[h] + one[h];
    qr_pass_operand(p, qkv[0], p->context->hidden, p->context->operand);
    qr_pass_multiply(p, qkv, in, QR_EPILOGUE_BIAS, heads.q);
    qr_pass_attention(p, &heads);
    project(p, half, heads.out);
}

/* Attention in a last layer whose queries are apart: keys and values of all tokens, queries of all
 * or of first tokens only. Leaves the latter's B rows to go on with. */
static void attend_last(qr_pass *p, const qr_weights_half *half) {
    const qr_batch *batch = p->context->batch;
    qr_matrix *const kv[] = {half[0].kv, half[1].kv}, *const q[] = {half[0].q, half[1].q};
    void *const in[] = {p->context->operand, p->context->operand}, *const in_q[] = {
                                                                       p->context->operand_q,
                                                                       p->context->operand_q};
    size_t one[QR_HALVES], two[QR_HALVES], C = p->C;
    widths_of(p, half, 1, one);
    widths_of(p, half, 2, two);
    qr_pass_heads heads = {.half = half,
                           .ld_q = {one[0], one[1]},
                           .ld_kv = {two[0], two[1]},
                           .first_only = p->context->first_only};
    qr_pass_cut(p->context->wide, p->rows, two, heads.kv);
    qr_pass_cut(p->context->wide + 2 * C * p->rows, p->rows, one, heads.q);
    qr_pass_operand(p, kv[0], p->context->hidden, p->context->operand);
    qr_pass_multiply(p, kv, in, QR_EPILOGUE_BIAS, heads.kv);
    const float *x = p->context->hidden;
    if (heads.first_only) {
        qr_pass_share(p, batch->sequences);
        for (size_t b = p->begin; b < p->end; b++)
            memcpy(p->context->first + b * C, x + batch->starts[b] * C, C * sizeof(float));
        x = p->context->first;
    }
    qr_pass_cut(p->context->mixed, p->rows, one, heads.out);
    qr_pass_operand(p, q[0], x, p->context->operand_q);
    qr_pass_multiply(p, q, in_q, QR_EPILOGUE_BIAS, heads.q);
    qr_pass_attention(p, &heads);
    project(p, half, heads.out);
}

/* gelu(middle * Wup + b) * Wdown, into the partial sums. */
static void feed_forward(const qr_pass *p, const qr_weights_half *half) {
    qr_matrix *const up[] = {half[0].up, half[1].up}, *const down[] = {half[0].down, half[1].down};
    void *const in[] = {p->context->operand, p->context->operand};
    size_t features[] = {half[0].features, half[1].features};
    float *inner[QR_HALVES];
    qr_pass_cut(p->context->wide, p->rows, features, inner);
    qr_pass_operand(p, up[0], p->context->middle, p->context->operand);
    qr_pass_multiply(p, up, in, p->weights->activation, inner);
    qr_pass_operand_halves(p, down, inner);
    qr_pass_multiply(p, down, p->context->operand_half, QR_EPILOGUE_BIAS, p->context->partial);
}

/* One member's pass, from layer seat.stage on: the leader's from 0, a recruit's from where it was
 * let in. */
static void forward(void *argument, qr_gang *gang, qr_seat seat) {
    qr_context *c = argument;
    const qr_weights *w = c->weights;
    size_t L = w->bert->info.layers, C = w->bert->info.hidden;
    qr_pass p = {.context = c,
                 .weights = w,
                 .gang = gang,
                 .seat = seat,
                 .C = C,
                 .D = C / w->bert->info.heads};
    for (size_t l = seat.stage; l <= L; l++) {
        bool first_only = c->first_only && l + 1 == L;
        qr_pass_share(&p, c->first_only && l == L ? c->batch->sequences : c->tokens);
        if (l > 0)
            add_norm(&p, c->hidden, c->middle, &w->layers[l - 1].output_norm);
        else if (seat.rank == 0)
            embed(&p);
        if (l == L)
            break;
        if (l == 0 && seat.rank == 0) {
            qr_gang_admit(gang, &p.seat, 0); /* those that were awake have come by now */
            qr_pass_share(&p, c->tokens);
        }
        const qr_weights_layer *layer = &w->layers[l];
        if (layer->half[0].qkv != NULL)
            attend(&p, layer->half);
        else
            attend_last(&p, layer->half);
        qr_gang_barrier(gang, &p.seat);
        add_norm(&p, c->middle, first_only ? c->first : c->hidden, &layer->attention_norm);
        feed_forward(&p, layer->half);
        if (l + 1 < L)
            qr_gang_admit(gang, &p.seat, l + 1);
        else
            qr_gang_barrier(gang, &p.seat);
    }
}

const float *qr__forward(qr_context *context) {
    qr_gang_open(&context->gang, context->team, context->wanted, forward, context);
    forward(context, &context->gang, (qr_seat){.rank = 0, .ranks = 1, .stage = 0});
    qr_gang_close(&context->gang);
    return context->hidden;
}
