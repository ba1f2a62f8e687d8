/* recognise/heads.c: what the graph's outputs are: states, logits of a head, or pooled vectors. */
#include <stdio.h>
#include <stdlib.h>

#include "engine/model/config_json.h"
#include "engine/model/recognise/assemble.h"
#include "engine/model/recognise/functions.h"
#include "engine/model/recognise/pooled.h"

/* The states that a term was made of; *depth: layers below. NULL: none. */
static const qr__term *states_under(const qr__term *term, size_t *depth) {
    while (term != NULL && term->kind != QR__TERM_NORM) {
        if (term->kind == QR__TERM_CONCAT)
            term = term->part_views[0].term;
        else if (term->kind == QR__TERM_LINEAR || term->kind == QR__TERM_POOLED ||
                 term->kind == QR__TERM_MAXIMUM || term->kind == QR__TERM_NORMALIZED ||
                 term->kind == QR__TERM_WEIGHTED || term->kind == QR__TERM_FILLED)
            term = term->of;
        else
            return NULL;
    }
    *depth = 0;
    for (const qr__term *at = term; at != NULL && at->kind == QR__TERM_NORM;
         at = at->of->kind == QR__TERM_SUM ? at->of->other : NULL)
        ++*depth;
    return term;
}

/* Whether row i of a LINEAR's input is the states' row of sequence i's first token: [CLS]. */
static bool is_first_token(const qr__reading *r, const qr__term *linear) {
    if (linear->rows != r->batch)
        return false;
    for (size_t b = 0; b < r->batch; b++) {
        size_t row = linear->row_of[b];
        if (linear->of->kind == QR__TERM_LINEAR) /* a dense layer between, of these or all rows */
            row = linear->of->row_of[row];
        if (row != b * r->tokens)
            return false;
    }
    return true;
}

/* One column of all rows: one logit a token. */
static bool one_column(const qr__view *view, size_t count, size_t *column) {
    if (view->map == NULL || count != view->term->rows)
        return false;
    *column = (size_t)view->map[0] % view->term->cols;
    for (size_t i = 0; i < count; i++)
        if ((size_t)view->map[i] != i * view->term->cols + *column)
            return false;
    return true;
}

static qr_status add_dense(qr__reading *r, const char *name, const qr__term *linear,
                           const uint32_t *out_of, size_t rows, qr__recognised *found,
                           qr_error *error) {
    const uint32_t *in_of = qr__inputs_by_column(r, linear);
    if (in_of == NULL || linear->in_steps)
        return qr__refuse_at(r, linear->node, "a product of all channels", error);
    if (!qr__add_linear(found, name, linear, out_of, rows, in_of, 1, true))
        return qr__no_memory(r, error);
    qr__mark(linear, QR__BLOCK_HEAD, 0);
    return QR_OK;
}

/* ---- Labels and spans. ---- */

typedef struct output_view {
    qr__view view;
    const qr_onnx_tensor *tensor;
    size_t value;
    bool known; /* follows from the inputs alone */
} output_view;

static bool is_token_linear(const qr__term *term, const qr__term *states) {
    return term->kind == QR__TERM_LINEAR && term->of == states && term->function == NULL &&
           qr__has_all_rows(term);
}

/* classifier(activation(dense([CLS]))) */
static bool is_label_head(const qr__reading *r, const qr__term *term, const qr__term *states,
                          qr_pooler_activation *activation) {
    double ignored;
    if (term->kind != QR__TERM_LINEAR || term->of->kind != QR__TERM_LINEAR ||
        term->of->of != states || term->of->function != NULL || term->function == NULL ||
        !is_first_token(r, term))
        return false;
    const qr__named_function name = qr__function_name(term->function, &ignored);
    *activation = name == QR__FN_TANH   ? QR_POOLER_TANH
                  : name == QR__FN_RELU ? QR_POOLER_RELU
                                        : QR_POOLER_GELU;
    return name == QR__FN_TANH || name == QR__FN_RELU || name == QR__FN_GELU;
}

static qr__graph_output_kind kind_of(const qr__reading *r, const output_view *o,
                                     const qr__term *states, qr_pooler_activation *activation,
                                     size_t *column) {
    const qr__term *term = o->view.term;
    if (o->view.function != NULL)
        return QR__GRAPH_LEFT_OUT;
    if (term == states && o->view.map == NULL)
        return QR__GRAPH_HIDDEN;
    if (is_token_linear(term, states) && o->view.map == NULL && o->tensor->rank == 3)
        return QR__GRAPH_TOKEN_LABELS;
    if (is_token_linear(term, states) && term->cols == 2 &&
        one_column(&o->view, o->tensor->count, column))
        return *column == 0 ? QR__GRAPH_SPAN_START : QR__GRAPH_SPAN_END;
    if (is_label_head(r, term, states, activation) && o->view.map == NULL)
        return QR__GRAPH_LABELS;
    return QR__GRAPH_LEFT_OUT;
}

/* ---- All outputs together. ---- */

static void default_pooling(qr_model_info *info, size_t hidden) {
    info->pooling[0] = QR_POOLING_MEAN;
    info->poolings = 1;
    info->normalize = true;
    info->embedding = hidden;
}

/* Weights of the head that an output shows. */
static qr_status take_head(qr__reading *r, const output_view *o, qr__graph_output_kind kind,
                           qr__recognised *found, qr_error *error) {
    static const uint32_t start_and_end[] = {0, 1};
    qr_model_info *info = &found->info;
    const qr__term *term = o->view.term;
    switch (kind) {
    case QR__GRAPH_SPAN_START:
        info->head = QR_HEAD_SPAN;
        found->steps++;
        return add_dense(r, "qa_outputs", term, start_and_end, 2, found, error);
    case QR__GRAPH_TOKEN_LABELS:
        info->head = QR_HEAD_TOKENS;
        info->labels = term->cols;
        found->steps++;
        return add_dense(r, "classifier", term, NULL, term->cols, found, error);
    case QR__GRAPH_LABELS: {
        info->head = QR_HEAD_LABELS;
        info->labels = term->cols;
        found->steps++;
        qr_status status =
            add_dense(r, "pooler.dense", term->of, NULL, term->of->cols, found, error);
        return status == QR_OK ? add_dense(r, "classifier", term, NULL, term->cols, found, error)
                               : status;
    }
    default:
        return QR_OK;
    }
}

static const qr__term *last_states(const output_view *views, size_t count) {
    const qr__term *states = NULL;
    size_t deepest = 0;
    for (size_t i = 0; i < count; i++) {
        size_t depth = 0;
        const qr__term *under = states_under(views[i].view.term, &depth);
        if (under != NULL && depth > deepest) {
            deepest = depth;
            states = under;
        }
    }
    return states;
}

/* Whether an output that is not served is one that nobody misses: what was fed, states of a layer,
 * attention's weights, BERT's pooler, or one that is served already. */
static bool may_be_left_out(const qr__reading *r, const output_view *o, const qr__term *states,
                            bool seen) {
    const qr__term *term = o->view.term;
    if (o->known) /* but not numbers that would be a vector */
        return !qr_onnx_is_float(o->tensor->type) || o->tensor->count == r->batch * r->tokens;
    if (seen || term->kind == QR__TERM_NORM || term->kind == QR__TERM_SCORES ||
        term->kind == QR__TERM_PROBS)
        return true;
    return term->kind == QR__TERM_LINEAR && term->of == states && is_first_token(r, term);
}

static qr_status check_left_out(const qr__reading *r, const output_view *views, const bool *seen,
                                const qr__term *states, const qr__recognised *found,
                                qr_error *error) {
    for (size_t i = 0; i < r->graph->output_count; i++) {
        const qr__term *term = views[i].view.term;
        if (found->outputs[i].kind == QR__GRAPH_LEFT_OUT &&
            !may_be_left_out(r, &views[i], states, seen[i]))
            return qr__refuse_at(r, term->node,
                                 term->kind == QR__TERM_UNKNOWN
                                     ? term->why
                                     : "states, logits of a head, or pooled vectors as an output",
                                 error);
    }
    return QR_OK;
}

/* Of the outputs of one kind the first is taken; a pooled one only where there is no head. */
static qr_status take_outputs(qr__reading *r, const output_view *views, const qr__term *states,
                              qr__recognised *found, qr_error *error) {
    size_t column = 0;
    bool seen[QR__GRAPH_LEFT_OUT + 1] = {false};
    qr_status status = QR_OK;
    bool *again = qr__reading_take(r, r->graph->output_count, sizeof *again);
    if (again == NULL)
        return qr__no_memory(r, error);
    for (size_t i = 0; status == QR_OK && i < r->graph->output_count; i++) {
        qr__graph_output *output = &found->outputs[i];
        output->value = views[i].value;
        output->kind = kind_of(r, &views[i], states, &found->pooler_activation, &column);
        again[i] = seen[output->kind] && output->kind != QR__GRAPH_LEFT_OUT;
        if (again[i])
            output->kind = QR__GRAPH_LEFT_OUT;
        seen[output->kind] = true;
        status = take_head(r, &views[i], output->kind, found, error);
    }
    const bool pooled_alone = !seen[QR__GRAPH_HIDDEN];
    for (size_t i = 0; status == QR_OK && found->info.head == QR_HEAD_NONE && !found->pools &&
                       i < r->graph->output_count;
         i++) {
        bool is_pooled = false;
        if (found->outputs[i].kind != QR__GRAPH_LEFT_OUT)
            continue;
        status = qr__take_pooled(r, &views[i].view, views[i].tensor->count, states, pooled_alone,
                                 found, &is_pooled, error);
        if (status != QR_OK || !is_pooled)
            continue;
        found->outputs[i].kind = QR__GRAPH_POOLED;
        found->steps++;
        seen[QR__GRAPH_POOLED] = true;
    }
    if (status == QR_OK)
        status = check_left_out(r, views, again, states, found, error);
    if (status == QR_OK && seen[QR__GRAPH_SPAN_START] != seen[QR__GRAPH_SPAN_END])
        return qr__refuse_at(r, views[0].view.term->node, "logits of an answer's start and end",
                             error);
    bool any = false;
    for (size_t kind = 0; kind < QR__GRAPH_LEFT_OUT; kind++)
        any = any || seen[kind];
    if (status == QR_OK && !any)
        return qr__refuse_at(r, views[0].view.term->node,
                             "states, logits of a head, or pooled vectors as an output", error);
    return status;
}

qr_status qr__assemble_outputs(qr__reading *r, qr__recognised *found, const qr__term **states,
                               qr_error *error) {
    const qr_onnx_graph *graph = r->graph;
    if (graph->output_count == 0)
        return qr__refuse_at(r, QR_ONNX_NONE, "an output", error);
    output_view *views = qr__reading_take(r, graph->output_count, sizeof *views);
    found->outputs = calloc(qr_max(graph->output_count, 1), sizeof *found->outputs);
    if (views == NULL || found->outputs == NULL)
        return qr__no_memory(r, error);
    const qr__term *unknown = NULL;
    for (size_t i = 0; i < graph->output_count; i++) {
        const size_t value = graph->outputs[i];
        views[i] = (output_view){.view = r->values[value].view,
                                 .tensor = qr__tensor_of(r, value),
                                 .value = value,
                                 .known = r->values[value].known};
        if (views[i].known)
            views[i].view = qr__unknown(r, graph->values[value].producer,
                                        "an output that follows from the ids");
        if (views[i].view.term->kind == QR__TERM_UNKNOWN && unknown == NULL)
            unknown = views[i].view.term;
    }
    *states = last_states(views, graph->output_count);
    if (*states == NULL && unknown != NULL)
        return qr__refuse_at(r, unknown->node, unknown->why, error);
    if (*states == NULL)
        return qr__refuse_at(r, views[0].view.term->node,
                             "an output that is made of a layer norm's states", error);
    default_pooling(&found->info, (*states)->cols);
    qr_status status = take_outputs(r, views, *states, found, error);
    snprintf(found->info.architecture, sizeof found->info.architecture, "%s",
             qr__config_architecture(QR__FAMILY_BERT, found->info.head));
    return status;
}
