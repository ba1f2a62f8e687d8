/* recognise/layers.c: from the last layer's states back to the embeddings: each step must be a
 * BERT's, and gives its weights. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "engine/model/recognise/assemble.h"
#include "engine/model/recognise/functions.h"

/* A layer's terms. */
typedef struct layer_terms {
    const qr__term *query, *key, *value; /* LINEARs, the same or others */
    const qr__term *probs, *attended, *attention_output, *attention_sum, *attention_norm;
    const qr__term *up, *down, *sum, *norm;
    const qr__term *before; /* the states that it reads */
} layer_terms;

bool qr__has_all_rows(const qr__term *linear) {
    if (linear->rows != linear->of->rows)
        return false;
    for (size_t i = 0; i < linear->rows; i++)
        if (linear->row_of[i] != i)
            return false;
    return true;
}

uint32_t *qr__inputs_by_column(qr__reading *r, const qr__term *linear) {
    const size_t cols = linear->of->cols;
    uint32_t *inputs = qr__reading_take(r, cols, sizeof *inputs);
    uint8_t *seen = qr__reading_take(r, cols, 1);
    if (inputs == NULL || seen == NULL || linear->depth != cols)
        return NULL;
    for (size_t k = 0; k < cols; k++) {
        if (linear->col_of[k] >= cols || seen[linear->col_of[k]]++)
            return NULL;
        inputs[linear->col_of[k]] = (uint32_t)k;
    }
    return inputs;
}

/* SUM's product with a matrix is the one whose input is of this kind; the other are the states. */
static bool sides(const qr__term *sum, qr__term_kind kind, const qr__term **linear,
                  const qr__term **states) {
    if (sum->kind != QR__TERM_SUM)
        return false;
    *linear = sum->of;
    *states = sum->other;
    if ((*linear)->of->kind == kind)
        return true;
    *linear = sum->other;
    *states = sum->of;
    return (*linear)->kind == QR__TERM_LINEAR && (*linear)->of->kind == kind;
}

static qr_status find_layer(qr__reading *r, const qr__term *norm, layer_terms *t, qr_error *error) {
    t->norm = norm;
    t->sum = norm->of;
    if (!sides(t->sum, QR__TERM_LINEAR, &t->down, &t->attention_norm) ||
        t->attention_norm->kind != QR__TERM_NORM)
        return qr__refuse_at(r, t->sum->node,
                             "a feed-forward part: two products with an activation between them, "
                             "added to the attention's states",
                             error);
    t->up = t->down->of;
    if (!qr__term_same(t->up->of, t->attention_norm))
        return qr__refuse_at(r, t->up->node, "a feed-forward part that reads what it is added to",
                             error);
    t->attention_sum = t->attention_norm->of;
    if (!sides(t->attention_sum, QR__TERM_ATTENDED, &t->attention_output, &t->before))
        return qr__refuse_at(r, t->attention_sum->node,
                             "an attention part, its product with a matrix, added to the states",
                             error);
    t->attended = t->attention_output->of;
    t->probs = t->attended->of;
    t->query = t->probs->kind == QR__TERM_PROBS && t->probs->of->kind == QR__TERM_SCORES
                   ? t->probs->of->of
                   : t->probs->of;
    t->key = t->probs->other;
    t->value = t->attended->other;
    const qr__term *const all[] = {t->query, t->key, t->value};
    for (size_t i = 0; i < 3; i++)
        if (!qr__term_same(all[i]->of, t->before))
            return qr__refuse_at(
                r, all[i]->node,
                "queries, keys and values of the states that attention is added to", error);
    const qr__term *const linears[] = {t->query, t->key, t->value, t->attention_output,
                                       t->up,    t->down};
    for (size_t i = 0; i < 6; i++)
        if (linears[i]->in_steps || !qr__has_all_rows(linears[i]))
            return qr__refuse_at(r, linears[i]->node, "a product over all tokens", error);
    for (size_t i = 0; i < 5; i++)
        if (linears[i]->function != NULL)
            return qr__refuse_at(r, linears[i]->node, "no activation before this product", error);
    return QR_OK;
}

/* Columns of a LINEAR, head by head, which must be the same for every sequence. NULL: they are not.
 * right: of slot's right side. */
static uint32_t *head_columns(qr__reading *r, const qr__term *term, bool right) {
    const size_t heads = term->slot_count / r->batch;
    const size_t D = term->head_size;
    uint32_t *out = qr__reading_take(r, heads * D, sizeof *out);
    size_t *seen = qr__reading_take(r, r->batch, sizeof *seen);
    if (out == NULL || seen == NULL)
        return NULL;
    for (size_t j = 0; j < term->slot_count; j++) {
        const qr__head_slot *slot = &term->slots[j];
        if (slot->batch >= r->batch || seen[slot->batch] >= heads)
            return NULL;
        const size_t head = seen[slot->batch]++;
        const uint32_t *cols = right ? slot->right : slot->left;
        for (size_t d = 0; d < D; d++) {
            if (slot->batch == term->slots[0].batch)
                out[head * D + d] = cols[d];
            else if (out[head * D + d] != cols[d])
                return NULL;
        }
    }
    return out;
}

static bool set_activation(const qr__term *down, qr_activation *out) {
    double ignored;
    switch (down->function == NULL ? QR__FN_NONE : qr__function_name(down->function, &ignored)) {
    case QR__FN_GELU:
        *out = QR_GELU;
        return true;
    case QR__FN_GELU_NEW:
        *out = QR_GELU_NEW;
        return true;
    case QR__FN_RELU:
        *out = QR_RELU;
        return true;
    default:
        return false;
    }
}

/* What must be alike in all layers. */
static qr_status check_alike(qr__reading *r, const layer_terms *t, qr_model_info *info, bool first,
                             qr_error *error) {
    qr_activation activation;
    const size_t heads = t->attended->slot_count / r->batch;
    if (!set_activation(t->down, &activation))
        return qr__refuse_at(r, t->down->node, "GELU (by erf or tanh) or ReLU before this product",
                             error);
    if (first) {
        info->hidden = t->norm->cols;
        info->heads = heads;
        info->feed_forward = t->up->cols;
        info->activation = activation;
        info->layer_norm_eps = (float)t->norm->eps;
    }
    if (t->norm->cols != info->hidden || heads != info->heads ||
        t->up->cols != info->feed_forward || activation != info->activation)
        return qr__refuse_at(r, t->norm->node, "layers of one size, heads and activation", error);
    if ((float)t->norm->eps != info->layer_norm_eps ||
        (float)t->attention_norm->eps != info->layer_norm_eps)
        return qr__refuse_at(r, t->norm->node, "one epsilon in all layer norms", error);
    if (t->attended->cols != info->hidden || info->hidden % heads != 0 ||
        t->attended->slot_count != heads * r->batch)
        return qr__refuse_at(r, t->attended->node, "heads that fill the hidden size", error);
    return QR_OK;
}

static bool add_norm(qr__recognised *found, const char *name, const qr__term *norm) {
    char full[96];
    snprintf(full, sizeof full, "%s.weight", name);
    bool ok = qr__add_vector(found, full, norm->gamma, 1, norm->cols);
    snprintf(full, sizeof full, "%s.bias", name);
    return ok && qr__add_vector(found, full, norm->beta, 0, norm->cols);
}

static qr_status add_layer(qr__reading *r, const layer_terms *t, size_t number,
                           qr__recognised *found, qr_error *error) {
    char name[64];
    const size_t C = found->info.hidden;
    const double D = (double)t->attended->head_size;
    const double factor = t->probs->scale * sqrt(D);
    const uint32_t *q = head_columns(r, t->probs, false);
    const uint32_t *k = head_columns(r, t->probs, true);
    const uint32_t *v = head_columns(r, t->attended, true);
    if (q == NULL || k == NULL || v == NULL)
        return qr__refuse_at(r, t->attended->node, "the same heads in every sequence", error);
    const struct {
        const char *suffix;
        const qr__term *linear;
        const uint32_t *out_of;
        size_t rows;
        double factor;
    } rows[] = {{"attention.self.query", t->query, q, C, fabs(factor - 1) < 1e-6 ? 1 : factor},
                {"attention.self.key", t->key, k, C, 1},
                {"attention.self.value", t->value, v, C, t->attended->scale},
                {"attention.output.dense", t->attention_output, NULL, C, 1},
                {"intermediate.dense", t->up, NULL, found->info.feed_forward, 1},
                {"output.dense", t->down, NULL, C, 1}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const uint32_t *in_of = qr__inputs_by_column(r, rows[i].linear);
        if (in_of == NULL || (rows[i].out_of == NULL && rows[i].linear->cols != rows[i].rows))
            return qr__refuse_at(r, rows[i].linear->node, "a product of all channels", error);
        snprintf(name, sizeof name, "encoder.layer.%zu.%s", number, rows[i].suffix);
        if (!qr__add_linear(found, name, rows[i].linear, rows[i].out_of, rows[i].rows, in_of,
                            rows[i].factor, true))
            return qr__no_memory(r, error);
    }
    snprintf(name, sizeof name, "encoder.layer.%zu.attention.output.LayerNorm", number);
    bool ok = add_norm(found, name, t->attention_norm);
    snprintf(name, sizeof name, "encoder.layer.%zu.output.LayerNorm", number);
    ok = ok && add_norm(found, name, t->norm);
    return ok ? QR_OK : qr__no_memory(r, error);
}

static bool as_they_are(const uint32_t *cols, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (cols[i] != i)
            return false;
    return true;
}

static bool add_stages(qr__reading *r, const layer_terms *t, size_t number, qr__recognised *found) {
    const size_t C = found->info.hidden;
    const uint32_t *const cols[] = {head_columns(r, t->probs, false),
                                    head_columns(r, t->probs, true),
                                    head_columns(r, t->attended, true)};
    const qr__term *const terms[] = {t->query, t->key, t->value};
    bool ok = true;
    for (size_t i = 0; i < 3; i++) {
        if (cols[i] == NULL)
            return false;
        if (terms[i]->cols == C && as_they_are(cols[i], C))
            ok = ok && qr__add_stage(r, found, (qr__stage_kind)(QR__STAGE_QUERY + i), number,
                                     terms[i], NULL);
        qr__mark(terms[i], QR__BLOCK_QKV, number);
    }
    if (as_they_are(t->attention_output->col_of, C))
        ok = ok && qr__add_stage(r, found, QR__STAGE_ATTENDED, number, t->attended, NULL);
    ok = ok && qr__add_stage(r, found, QR__STAGE_ATTENTION_NORM, number, t->attention_norm, NULL);
    if (as_they_are(t->down->col_of, t->up->cols))
        ok =
            ok && qr__add_stage(r, found, QR__STAGE_INTERMEDIATE, number, t->up, t->down->function);
    ok = ok && qr__add_stage(r, found, QR__STAGE_OUTPUT_NORM, number, t->norm, NULL);
    qr__mark(t->probs->of, QR__BLOCK_ATTENTION, number);
    qr__mark(t->query, QR__BLOCK_QKV, number);
    qr__mark(t->probs, QR__BLOCK_ATTENTION, number);
    qr__mark(t->attended, QR__BLOCK_ATTENTION, number);
    qr__mark(t->attention_output, QR__BLOCK_ATTENTION_OUTPUT, number);
    qr__mark(t->attention_sum, QR__BLOCK_ATTENTION_OUTPUT, number);
    qr__mark(t->attention_norm, QR__BLOCK_ATTENTION_OUTPUT, number);
    qr__mark(t->up, QR__BLOCK_UP, number);
    qr__mark(t->down, QR__BLOCK_DOWN, number);
    qr__mark(t->sum, QR__BLOCK_DOWN, number);
    qr__mark(t->norm, QR__BLOCK_DOWN, number);
    return ok;
}

/* What a lookup's rows are: those that were fed for one of the inputs, or the places of tokens. */
static bool is_fed(const qr__reading *r, const qr__lookup *lookup, size_t rows,
                   qr__graph_input_kind kind) {
    for (size_t i = 0; i < r->input_count; i++) {
        size_t t = 0;
        while (r->inputs[i].kind == kind && t < rows && lookup->row[t] == r->fed[i][t])
            t++;
        if (t == rows)
            return true;
    }
    return false;
}

typedef enum role { WORDS, POSITIONS, TYPES, CONSTANT, OTHER } role;

static role role_of(const qr__reading *r, const qr__lookup *lookup, size_t rows) {
    bool positions = true;
    bool constant = true;
    for (size_t t = 0; t < rows; t++) {
        positions = positions && lookup->row[t] == (int64_t)(t % r->tokens);
        constant = constant && lookup->row[t] == lookup->row[0];
    }
    if (is_fed(r, lookup, rows, QR__GRAPH_IDS))
        return WORDS;
    if (positions)
        return POSITIONS;
    if (is_fed(r, lookup, rows, QR__GRAPH_TYPES))
        return TYPES;
    return constant ? CONSTANT : OTHER;
}

static double table_number(const qr__lookup *lookup, size_t row, size_t c, size_t cols) {
    return (qr__number(lookup->table, row * cols + c) - lookup->zero) *
           (lookup->scale == NULL ? 1 : lookup->scale[c]);
}

static qr_status add_tables(qr__reading *r, const qr__term *sum, qr__recognised *found,
                            qr_error *error) {
    const qr__lookup *by_role[OTHER + 1] = {NULL};
    const size_t E = sum->cols;
    float *added = NULL;
    if (sum->rows != r->batch * r->tokens)
        return qr__refuse_at(r, sum->node, "embeddings of every token", error);
    for (size_t l = 0; l < sum->lookup_count; l++) {
        const qr__lookup *lookup = &sum->lookups[l];
        const role what = role_of(r, lookup, sum->rows);
        if (what == OTHER || by_role[what] != NULL)
            return qr__refuse_at(r, sum->node,
                                 "words, positions from 0 on, and segments, each once", error);
        by_role[what] = lookup;
    }
    if (by_role[WORDS] == NULL || by_role[POSITIONS] == NULL)
        return qr__refuse_at(r, sum->node, "embeddings of words and of positions from 0 on", error);
    if (by_role[CONSTANT] != NULL && (added = qr__reading_take(r, E, sizeof *added)) != NULL)
        for (size_t c = 0; c < E; c++)
            added[c] =
                (float)table_number(by_role[CONSTANT], (size_t)by_role[CONSTANT]->row[0], c, E);
    qr_model_info *info = &found->info;
    info->word_size = E;
    info->vocab = by_role[WORDS]->table->count / E;
    info->positions = by_role[POSITIONS]->table->count / E;
    info->types = by_role[TYPES] == NULL ? 0 : by_role[TYPES]->table->count / E;
    bool ok = qr__add_table(found, "embeddings.word_embeddings.weight", by_role[WORDS], info->vocab,
                            E, NULL) &&
              qr__add_table(found, "embeddings.position_embeddings.weight", by_role[POSITIONS],
                            info->positions, E, added);
    if (by_role[TYPES] != NULL)
        ok = ok && qr__add_table(found, "embeddings.token_type_embeddings.weight", by_role[TYPES],
                                 info->types, E, NULL);
    return ok ? QR_OK : qr__no_memory(r, error);
}

static qr_status add_embeddings(qr__reading *r, const qr__term *states, qr__recognised *found,
                                qr_error *error) {
    const qr__term *norm = states;
    const qr__term *projection = NULL;
    if (states->kind == QR__TERM_LINEAR) {
        projection = states;
        norm = states->of;
    }
    if (norm->kind != QR__TERM_NORM || norm->of->kind != QR__TERM_EMBEDDED)
        return qr__refuse_at(r, norm->node, "embeddings and their layer norm", error);
    if (found->info.layer_norm_eps != (float)norm->eps)
        return qr__refuse_at(r, norm->node, "one epsilon in all layer norms", error);
    qr_status status = add_tables(r, norm->of, found, error);
    if (status != QR_OK)
        return status;
    bool ok = add_norm(found, "embeddings.LayerNorm", norm);
    if (projection != NULL) {
        const uint32_t *in_of = qr__inputs_by_column(r, projection);
        if (in_of == NULL || !qr__has_all_rows(projection) || projection->function != NULL ||
            projection->cols == norm->cols)
            return qr__refuse_at(r, projection->node,
                                 "a product from the embeddings' size to the hidden size", error);
        ok = ok && qr__add_linear(found, "embeddings_project", projection, NULL, projection->cols,
                                  in_of, 1, true);
        qr__mark(projection, QR__BLOCK_EMBEDDINGS, 0);
    } else if (norm->cols != found->info.hidden) {
        return qr__refuse_at(r, norm->node, "embeddings of the hidden size", error);
    }
    qr__mark(norm->of, QR__BLOCK_EMBEDDINGS, 0);
    qr__mark(norm, QR__BLOCK_EMBEDDINGS, 0);
    ok = ok && qr__add_stage(r, found, QR__STAGE_EMBEDDINGS, 0, states, NULL);
    return ok ? QR_OK : qr__no_memory(r, error);
}

qr_status qr__assemble_layers(qr__reading *r, const qr__term *states, qr__recognised *found,
                              qr_error *error) {
    layer_terms *layers = qr__reading_take(r, QR_LIMIT_LAYERS, sizeof *layers);
    size_t count = 0; /* from the last to the first */
    qr_status status = QR_OK;
    if (layers == NULL)
        return qr__no_memory(r, error);
    while (status == QR_OK && states->kind == QR__TERM_NORM && states->of->kind == QR__TERM_SUM) {
        if (count == QR_LIMIT_LAYERS)
            return qr__refuse_at(r, states->node, "at most 128 layers", error);
        status = find_layer(r, states, &layers[count], error);
        if (status == QR_OK)
            status = check_alike(r, &layers[count], &found->info, count == 0, error);
        if (status == QR_OK)
            states = layers[count++].before;
    }
    if (status == QR_OK && count == 0)
        return qr__refuse_at(r, states->node, "at least one layer", error);
    found->info.layers = count;
    if (status == QR_OK)
        status = add_embeddings(r, states, found, error);
    for (size_t l = 0; status == QR_OK && l < count; l++) {
        status = add_layer(r, &layers[count - 1 - l], l, found, error);
        if (status == QR_OK && !add_stages(r, &layers[count - 1 - l], l, found))
            status = qr__no_memory(r, error);
    }
    if (status == QR_OK && !qr__assign_blocks(r, found))
        status = qr__no_memory(r, error);
    found->steps += 1 + 5 * count;
    return status;
}
