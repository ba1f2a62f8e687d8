/* recognise/inputs.c: what each of the graph's inputs is follows from what is done with it. */
#include "engine/model/recognise/inputs.h"

#include <stdarg.h>
#include <stdio.h>

#include "engine/model/recognise/reading.h"

/* The batch: of sizes that are unlikely to be a model's own. */
#define BATCH      3u
#define TOKENS     7u
#define PADDING    2u /* at the end of the second sequence, or of the only one */

#define FIXED_MOST 65536u /* tokens of one batch that a graph may be made for */

static bool passes_on(const qr_onnx_node *node) {
    static const char *const names[] = {"Cast",    "Identity", "Unsqueeze", "Squeeze", "Reshape",
                                        "Flatten", "Expand",   "Transpose", "Slice"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(node->op, names[i]) == 0)
            return true;
    return false;
}

/* The table whose rows input `at` of a node chooses; NULL: none. */
static const qr_onnx_tensor *table_chosen_by(const qr_onnx_graph *graph, const qr_onnx_node *node,
                                             size_t at, bool *positions) {
    const bool embeds = strcmp(node->op, "EmbedLayerNormalization") == 0;
    size_t table = node->input_count; /* the input that is the table */
    if (strcmp(node->op, "Gather") == 0 && at == 1)
        table = 0;
    else if (embeds && at < 2)
        table = at == 0 ? 2 : 4;
    else if (embeds && at == 8) {
        table = 3;
        *positions = true;
    }
    const qr_onnx_tensor *found =
        qr__has_input(node, table) ? graph->values[node->inputs[table]].constant : NULL;
    return found != NULL && found->rank == 2 ? found : NULL;
}

/* What a value indexes: the rows of the largest table, 0: of none; whether it is the position ids
 * of a fused node. */
typedef struct indexed {
    size_t rows;
    bool positions;
} indexed;

/* Of each value, from the last node up: nodes stand behind those that they read. */
static void find_indexed(const qr_onnx_graph *graph, indexed *of) {
    for (size_t n = graph->node_count; n-- > 0;) {
        const qr_onnx_node *node = &graph->nodes[n];
        for (size_t i = 0; i < node->input_count; i++) {
            if (!qr__has_input(node, i))
                continue;
            indexed *in = &of[node->inputs[i]];
            const qr_onnx_tensor *table = table_chosen_by(graph, node, i, &in->positions);
            if (table != NULL)
                in->rows = qr_max(in->rows, table->shape[0]);
            else if (i == 0 && passes_on(node) && node->output_count > 0 &&
                     node->outputs[0] != QR_ONNX_NONE) {
                in->rows = qr_max(in->rows, of[node->outputs[0]].rows);
                in->positions = in->positions || of[node->outputs[0]].positions;
            }
        }
    }
}

__attribute__((format(printf, 3, 4))) static qr_status
refuse_inputs(const qr__reading *r, qr_error *error, const char *format, ...) {
    char why[320];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    return qr_error_set(error, QR_BAD_MODEL,
                        "%s: not recognised as a BERT: %s (its inputs should be token ids, and may "
                        "be a mask, segment ids and position ids)",
                        r->graph->path, why);
}

/* The largest table's index is the ids; of two others the one with fewer rows is the types; what
 * indexes none is the mask. Names break ties: they are the interface. */
static qr_status name_inputs(qr__reading *r, const indexed *of, qr_error *error) {
    const qr_onnx_graph *graph = r->graph;
    size_t ids = 0;
    const char *mask = NULL;
    r->input_count = graph->input_count;
    for (size_t i = 0; i < graph->input_count; i++)
        if (of[graph->inputs[i]].rows > of[graph->inputs[ids]].rows)
            ids = i;
    if (of[graph->inputs[ids]].rows == 0)
        return refuse_inputs(r, error, "none of its inputs (`%.60s`%s) chooses rows of a table",
                             graph->values[graph->inputs[0]].name,
                             graph->input_count > 1 ? " and others" : "");
    for (size_t i = 0; i < graph->input_count; i++) {
        const size_t value = graph->inputs[i];
        const char *name = graph->values[value].name;
        const indexed *in = &of[value];
        const bool named = strstr(name, "position") != NULL;
        qr__graph_input_kind kind = i == ids                                  ? QR__GRAPH_IDS
                                    : in->rows == 0                           ? QR__GRAPH_MASK
                                    : in->positions || named || in->rows > 16 ? QR__GRAPH_POSITIONS
                                                                              : QR__GRAPH_TYPES;
        r->inputs[i] = (qr__graph_input){value, kind};
        r->rows[i] = qr_max(in->rows, 1);
        if (kind == QR__GRAPH_MASK && mask != NULL)
            return refuse_inputs(r, error,
                                 "neither input `%.100s` nor `%.100s` chooses rows of a table, and "
                                 "only one of them can be a mask",
                                 mask, name);
        if (kind == QR__GRAPH_MASK)
            mask = name;
    }
    r->has_mask = mask != NULL;
    return QR_OK;
}

/* Sizes that the graph is made for, where its inputs say so. */
static qr_status take_sizes(qr__reading *r, qr__recognised *found, qr_error *error) {
    for (size_t i = 0; i < r->input_count; i++) {
        const qr_onnx_value *input = &r->graph->values[r->inputs[i].value];
        if (input->rank == SIZE_MAX)
            continue;
        if (input->rank != 2)
            return refuse_inputs(r, error, "input `%.100s` has %zu axes, not [batch, tokens]",
                                 input->name, input->rank);
        if (input->dims[0] > 0)
            found->fixed_batch = (size_t)input->dims[0];
        if (input->dims[1] > 0)
            found->fixed_tokens = (size_t)input->dims[1];
    }
    r->batch = found->fixed_batch > 0 ? found->fixed_batch : BATCH;
    r->tokens = found->fixed_tokens > 0 ? found->fixed_tokens : TOKENS;
    if (r->batch > 4096 || r->tokens > QR_LIMIT_POSITIONS)
        return refuse_inputs(r, error, "it was made for %zu sequences of %zu tokens", r->batch,
                             r->tokens);
    return QR_OK;
}

qr_status qr__inputs_name(qr__reading *r, qr__recognised *found, qr_error *error) {
    const qr_onnx_graph *graph = r->graph;
    indexed *of = qr__reading_take(r, graph->value_count, sizeof *of);
    if (of == NULL)
        return qr__no_memory(r, error);
    find_indexed(graph, of);
    if (graph->input_count == 0 || graph->input_count > QR__INPUTS_MAX)
        return refuse_inputs(r, error, "it has %zu inputs", graph->input_count);
    qr_status status = name_inputs(r, of, error);
    return status == QR_OK ? take_sizes(r, found, error) : status;
}

static int64_t number_for(const qr__reading *r, qr__graph_input_kind kind, size_t b, size_t s,
                          size_t rows) {
    const size_t i = b * r->tokens + s;
    switch (kind) {
    case QR__GRAPH_IDS:
        return (int64_t)((7 * i + 3) % qr_min(rows, 1009)); /* neither in order nor all alike */
    case QR__GRAPH_TYPES:
        return (int64_t)((i / 2 + b) % qr_min(rows, 2));
    case QR__GRAPH_POSITIONS:
        return (int64_t)s;
    case QR__GRAPH_MASK:
        break;
    }
    const bool padded = b == (r->batch > 1 ? 1u : 0u);
    return !(padded && s + PADDING >= r->tokens);
}

qr_status qr__inputs_feed(qr__reading *r, qr_error *error) {
    for (size_t i = 0; i < r->input_count; i++) {
        const qr_onnx_value *input = &r->graph->values[r->inputs[i].value];
        const size_t shape[2] = {r->batch, r->tokens};
        const qr_onnx_type type = input->type == QR_ONNX_UNDEFINED ? QR_ONNX_INT64 : input->type;
        qr_onnx_tensor *tensor = qr_onnx_tensor_create(type, 2, shape);
        r->fed[i] = qr__reading_take(r, r->batch * r->tokens, sizeof *r->fed[i]);
        if (tensor == NULL || r->fed[i] == NULL) {
            qr_onnx_tensor_destroy(tensor);
            return qr__no_memory(r, error);
        }
        float *floats = qr_onnx_floats(tensor);
        for (size_t at = 0; at < r->batch * r->tokens; at++) {
            r->fed[i][at] =
                number_for(r, r->inputs[i].kind, at / r->tokens, at % r->tokens, r->rows[i]);
            if (floats != NULL)
                floats[at] = (float)r->fed[i][at];
            else
                qr_onnx_set_int(tensor, at, r->fed[i][at]);
        }
        qr_onnx_run_feed(r->run, r->inputs[i].value, tensor);
        qr_onnx_tensor_destroy(tensor);
        r->values[r->inputs[i].value] = (qr__known_value){.known = true, .deps = 1u << i};
    }
    return QR_OK;
}
