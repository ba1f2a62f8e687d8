/* engine/cpu/forward.c: BERT's encoder over a ragged batch: the paper's figure, one call a block.
 *
 *     x = LayerNorm(word + position + segment)                                        [T][C]
 *     L times:
 *         q, k, v = x * Wqkv + b                                                      [T][3C], q scaled by 1/sqrt(D)
 *         mixed   = for each sequence and head: softmax(q * k^T) * v                  [T][C]
 *         x       = LayerNorm(x + mixed * Wo + b)                                     [T][C]
 *         x       = LayerNorm(x + gelu(x * Wup + b) * Wdown + b)                      [T][C], inner [T][F]
 *
 * Every member of the gang runs this same code and does its share of each step: columns of a matrix, (sequence, head) pairs, or
 * rows. Five barriers a layer; row-wise steps either need none (small batches: each member does all rows for itself) or one.
 * A token's numbers never depend on who computed them or beside what. */
#include "engine/cpu/context.h"

/* One member's view of the pass. */
typedef struct pass {
    qr_context *context;
    const qr_weights *weights;
    qr_gang *gang;
    qr_seat seat;
    qr_desk *desk;     /* where this member's rows are */
    size_t rows;       /* T, or B once only first tokens are left */
    size_t begin, end; /* rows of row-wise steps that this member does */
} pass;

static size_t hidden_size(const pass *p) {
    return p->weights->bert->info.hidden;
}

static void share(size_t count, const qr_seat *seat, size_t *begin, size_t *end) {
    *begin = count * (size_t)seat->rank / (size_t)seat->ranks;
    *end = count * ((size_t)seat->rank + 1) / (size_t)seat->ranks;
}

static void set_rows(pass *p, size_t rows) {
    p->rows = rows;
    p->begin = 0;
    p->end = rows;
    if (!p->context->own_desks)
        share(rows, &p->seat, &p->begin, &p->end);
}

/* Ends a row-wise step whose result all members read. */
static void meet_rows(const pass *p) {
    if (!p->context->own_desks)
        qr_gang_barrier(p->gang, &p->seat);
}

static void operand(const pass *p, const qr_matrix *matrix, const float *x, void *out) {
    qr_matrix_operand(matrix, x, qr_matrix_in(matrix), p->begin, p->end, out);
    meet_rows(p);
}

static void multiply(const pass *p, const qr_matrix *matrix, const void *in, qr_epilogue epilogue, float *y) {
    size_t begin, end;
    share(qr_matrix_panels(matrix), &p->seat, &begin, &end);
    qr_matrix_multiply(matrix, in, p->rows, epilogue, y, qr_matrix_out(matrix), begin, end);
}

static void embed(pass *p) {
    const qr_bert *bert = p->weights->bert;
    const qr_batch *batch = p->context->batch;
    size_t C = hidden_size(p), b = 0;
    const qr_words *words = p->weights->words;
    size_t word_bytes = C * (words->half ? sizeof(uint16_t) : sizeof(float));
    for (size_t t = p->begin; t < p->end; t++) {
        while (batch->starts[b + 1] <= t)
            b++;
        const char *word = (const char *)words->rows + (size_t)batch->ids[t] * word_bytes;
        const float *position = bert->position + (t - batch->starts[b]) * C;
        const float *type = NULL;
        if (bert->info.types > 0)
            type = bert->type + (batch->types == NULL ? 0 : batch->types[t]) * C;
        p->weights->kernels.embed(p->desk->hidden + t * C, word, words->half, position, type, C);
    }
    float *mine = p->desk->hidden + p->begin * C;
    p->weights->kernels.layer_norm(mine, mine, NULL, bert->embedding_norm.gamma, bert->embedding_norm.beta,
                                   bert->info.layer_norm_eps, p->end - p->begin, C);
}

/* out = LayerNorm(x + residual), my rows */
static void add_norm(const pass *p, float *out, const float *x, const float *residual, const qr_bert_norm *norm) {
    size_t C = hidden_size(p), at = p->begin * C;
    p->weights->kernels.layer_norm(out + at, x + at, residual + at, norm->gamma, norm->beta,
                                   p->weights->bert->info.layer_norm_eps, p->end - p->begin, C);
}

/* What attention over S tokens costs, in some unit: products, and the packing of keys and values. */
static size_t attention_cost(size_t S) {
    return S * (S + 32);
}

/* My share of the (sequence, head) pairs, by cost. q is [T or B][ld_q], k and v are [T][ld_kv]. */
static void attention(const pass *p, const float *q, size_t ld_q, const float *kv, size_t ld_kv, bool first_only) {
    const qr_batch *batch = p->context->batch;
    size_t C = hidden_size(p), H = p->weights->bert->info.heads, D = C / H;
    size_t total = 0, before = 0, ranks = (size_t)p->seat.ranks, rank = (size_t)p->seat.rank;
    for (size_t b = 0; b < batch->sequences; b++)
        total += H * attention_cost(batch->starts[b + 1] - batch->starts[b]);
    for (size_t b = 0; b < batch->sequences; b++) {
        size_t start = batch->starts[b], S = batch->starts[b + 1] - start, cost = attention_cost(S);
        size_t row = first_only ? b : start;
        for (size_t h = 0; h < H; h++, before += cost) {
            if (before * ranks / total != rank)
                continue;
            const float *k = kv + start * ld_kv + h * D;
            qr_attention task = {
                .out = p->context->mixed + row * C + h * D, .ld_out = C,
                .q = q + row * ld_q + h * D, .ld_q = ld_q,
                .k = k, .v = k + C, .ld_kv = ld_kv,
                .queries = first_only ? 1 : S, .keys = S, .D = D,
                .scratch = p->context->desks[p->seat.rank].scratch,
            };
            p->weights->kernels.attention(&task);
        }
    }
}

/* Queries, keys, values and their attention, for all tokens. */
static void attend(pass *p, const qr_weights_layer *w) {
    size_t C = hidden_size(p), T = p->rows;
    float *wide = p->context->wide;
    if (w->qkv != NULL) {
        operand(p, w->qkv, p->desk->hidden, p->desk->operand);
        multiply(p, w->qkv, p->desk->operand, QR_EPILOGUE_BIAS, wide);
        qr_gang_barrier(p->gang, &p->seat);
        attention(p, wide, 3 * C, wide + C, 3 * C, false);
    } else {
        operand(p, w->kv, p->desk->hidden, p->desk->operand);
        operand(p, w->q, p->desk->hidden, p->desk->operand_q);
        multiply(p, w->kv, p->desk->operand, QR_EPILOGUE_BIAS, wide);
        multiply(p, w->q, p->desk->operand_q, QR_EPILOGUE_BIAS, wide + 2 * C * T);
        qr_gang_barrier(p->gang, &p->seat);
        attention(p, wide + 2 * C * T, C, wide, 2 * C, false);
    }
    qr_gang_barrier(p->gang, &p->seat);
}

/* The same where only first tokens are wanted: keys and values of all tokens, one query a sequence. Leaves B rows to go on with. */
static void attend_first(pass *p, const qr_weights_layer *w) {
    const qr_batch *batch = p->context->batch;
    size_t C = hidden_size(p), T = p->rows;
    float *wide = p->context->wide, *q = wide + 2 * C * T;
    operand(p, w->kv, p->desk->hidden, p->desk->operand);
    multiply(p, w->kv, p->desk->operand, QR_EPILOGUE_BIAS, wide);
    set_rows(p, batch->sequences);
    for (size_t b = p->begin; b < p->end; b++)
        memcpy(p->desk->first + b * C, p->desk->hidden + batch->starts[b] * C, C * sizeof(float));
    operand(p, w->q, p->desk->first, p->desk->operand_q);
    multiply(p, w->q, p->desk->operand_q, QR_EPILOGUE_BIAS, q);
    qr_gang_barrier(p->gang, &p->seat);
    attention(p, q, C, wide, 2 * C, true);
    qr_gang_barrier(p->gang, &p->seat);
}

/* From `mixed` to `narrow`, which is to join the residual stream; `residual` is the layer's input. */
static void feed_forward(const pass *p, const qr_weights_layer *w, const float *residual) {
    qr_context *c = p->context;
    operand(p, w->output, c->mixed, p->desk->operand);
    multiply(p, w->output, p->desk->operand, QR_EPILOGUE_BIAS, c->narrow);
    qr_gang_barrier(p->gang, &p->seat);
    add_norm(p, p->desk->middle, c->narrow, residual, &w->attention_norm);

    operand(p, w->up, p->desk->middle, p->desk->operand);
    multiply(p, w->up, p->desk->operand, p->weights->activation, c->wide);
    qr_gang_barrier(p->gang, &p->seat);
    operand(p, w->down, c->wide, p->desk->operand);
    multiply(p, w->down, p->desk->operand, QR_EPILOGUE_BIAS, c->narrow);
}

static void layer(pass *p, size_t l) {
    const qr_weights_layer *w = &p->weights->layers[l];
    if (p->context->first_only && l + 1 == p->weights->bert->info.layers) {
        attend_first(p, w);
        feed_forward(p, w, p->desk->first);
    } else {
        attend(p, w);
        feed_forward(p, w, p->desk->hidden);
    }
}

/* One member's pass, from layer seat.stage on: the leader's from 0, a recruit's from where it was let in. */
static void forward(void *argument, qr_gang *gang, qr_seat seat) {
    qr_context *c = argument;
    pass p = {.context = c, .weights = c->weights, .gang = gang, .seat = seat};
    p.desk = &c->desks[c->own_desks ? seat.rank : 0];
    const float *middle = c->desks[0].middle; /* a recruit finds its residual on the leader's desk */
    size_t L = c->weights->bert->info.layers;
    for (size_t l = seat.stage; l <= L; l++) {
        set_rows(&p, c->first_only && l == L ? c->batch->sequences : c->tokens);
        if (l > 0)
            add_norm(&p, p.desk->hidden, c->narrow, middle, &c->weights->layers[l - 1].output_norm);
        else if (seat.rank == 0 || c->own_desks)
            embed(&p);
        if (l == L)
            break;
        if (l == 0 && seat.rank == 0) {
            qr_gang_admit(gang, &p.seat, 0); /* those that were awake have come by now */
            set_rows(&p, c->tokens);
        }
        layer(&p, l);
        middle = p.desk->middle;
        if (l + 1 < L)
            qr_gang_admit(gang, &p.seat, l + 1);
        else
            qr_gang_barrier(gang, &p.seat);
    }
}

const float *qr__forward(qr_context *context) {
    qr_gang_open(&context->gang, context->team, context->members, forward, context);
    forward(context, &context->gang, (qr_seat){.rank = 0, .ranks = 1, .stage = 0});
    qr_gang_close(&context->gang);
    return context->desks[0].hidden;
}
