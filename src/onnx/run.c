/* onnx/run.c: one node, one run of a graph, and the folding of what is constant.
 *
 * A run holds a tensor for each value's number: what was fed, then what nodes made. Constants stay
 * the graph's. */
#include "onnx/op.h"

#include <stdlib.h>

/* What one constant may add to what it is made of, and all of them together to eight times
 * the file's own (int8 weights become constants some four times on their way: Cast, Sub, Mul,
 * Transpose): beyond it a node stays as it is, so that a file of a few bytes cannot ask for the
 * machine's memory at load. */
#define FOLD_NUMBERS (16u << 20)

struct qr_onnx_run {
    const qr_onnx_graph *graph;
    qr_onnx_run_options options;
    qr_onnx_tensor **values; /* [value_count], each one reference; NULL: none (yet, or any more) */
    size_t *readers;         /* [value_count]: nodes that have yet to read it */
    size_t numbers;          /* that nodes made and that are still there */
    uint64_t steps;          /* left of this pass */
};

static void drop(qr_onnx_tensor **tensor) {
    qr_onnx_tensor_destroy(*tensor);
    *tensor = NULL;
}

/* The numbers that go with this reference to a tensor: none, where another one keeps them. */
static size_t own_numbers(const qr_onnx_tensor *tensor) {
    if (tensor == NULL || tensor->refs > 1)
        return 0;
    if (tensor->base != NULL)
        return own_numbers(tensor->base);
    return tensor->owned != NULL ? tensor->count : 0;
}

static bool spend_on_inputs(qr__op_call *call) {
    uint64_t numbers = 0;
    for (size_t i = 0; i < call->ins; i++)
        numbers += call->in[i] == NULL ? 0 : call->in[i]->count;
    return qr__op_spend(call, numbers, QR__STEPS_READ);
}

qr_status qr__op_run(qr__op_call *call) {
    const qr_onnx_node *node = call->node;
    const qr__op *op = qr__op_find(node->domain, node->op);
    qr_status status = QR_OK;
    if (op == NULL)
        status =
            qr__op_refuse(call, "the operator%s%s is not known (docs/ONNX.md has those that are)",
                          node->domain[0] == '\0' ? "" : " of ", node->domain);
    else if (call->outs == 0)
        status = qr__op_refuse(call, "it has no output");
    else
        status = spend_on_inputs(call) ? op->run(call) : QR_BAD_MODEL;
    if (status != QR_OK && call->too_large)
        status = qr__op_refuse(call, "its output has too many numbers");
    else if (status != QR_OK && call->too_long)
        status = qr__op_refuse(call, "with it the graph takes more work than is done for one");
    for (size_t i = 0; i < call->outs && status == QR_OK; i++)
        if (node->outputs[i] != QR_ONNX_NONE && call->out[i] == NULL)
            status = qr__op_refuse(call, "output %zu is not made by this interpreter", i);
    for (size_t i = 0; i < call->outs; i++)
        if (status != QR_OK || node->outputs[i] == QR_ONNX_NONE)
            drop(&call->out[i]);
    return status;
}

/* As qr_onnx_apply; `most`: numbers of an output; `steps`: as the call has it. */
static qr_status apply(const qr_onnx_graph *graph, const qr_onnx_node *node,
                       qr_onnx_tensor *const *inputs, bool bypass, size_t most, uint64_t *steps,
                       qr_onnx_tensor **outputs, qr_error *error) {
    for (size_t i = 0; i < node->output_count; i++)
        outputs[i] = NULL;
    qr__op_call call = {
        .graph = graph,
        .node = node,
        .in = inputs,
        .ins = node->input_count,
        .out = outputs,
        .outs = node->output_count,
        .bypass = bypass,
        .max_numbers = most,
        .steps = steps,
        .error = error,
    };
    return qr__op_run(&call);
}

qr_status qr_onnx_apply(const qr_onnx_graph *graph, const qr_onnx_node *node,
                        qr_onnx_tensor *const *inputs, bool bypass, qr_onnx_tensor **outputs,
                        qr_error *error) {
    uint64_t steps = QR_LIMIT_ONNX_RUN_STEPS;
    return apply(graph, node, inputs, bypass, QR_LIMIT_ONNX_NUMBERS, &steps, outputs, error);
}

/* Room for the tensors of any node of the graph: its inputs, then its outputs. */
typedef struct node_places {
    qr_onnx_tensor **in, **out;
} node_places;

static bool places_create(const qr_onnx_graph *graph, node_places *places) {
    size_t ins = 1, outs = 1;
    for (size_t n = 0; n < graph->node_count; n++) {
        ins = qr_max(ins, graph->nodes[n].input_count);
        outs = qr_max(outs, graph->nodes[n].output_count);
    }
    places->in = calloc(ins, sizeof(qr_onnx_tensor *));
    places->out = calloc(outs, sizeof(qr_onnx_tensor *));
    return places->in != NULL && places->out != NULL;
}

static void places_destroy(node_places *places) {
    free(places->in);
    free(places->out);
}

static qr_status no_memory(const qr_onnx_graph *graph, qr_error *error) {
    return qr_error_set(error, QR_NO_MEMORY, "%s: no memory to run the graph", graph->path);
}

/* Folding. None of the operators that are known draws random numbers. */

/* Fills places->in with the node's constants and says how many numbers they have. False: an input
 * is none. */
static bool gather_constants(const qr_onnx_graph *graph, const qr_onnx_node *node,
                             node_places *places, size_t *numbers) {
    *numbers = 0;
    for (size_t i = 0; i < node->input_count; i++) {
        places->in[i] = NULL;
        if (node->inputs[i] == QR_ONNX_NONE)
            continue;
        places->in[i] = graph->values[node->inputs[i]].constant;
        if (places->in[i] == NULL)
            return false;
        *numbers += places->in[i]->count;
    }
    return true;
}

/* *left: numbers that may still be added. */
static qr_status fold_node(qr_onnx_graph *graph, qr_onnx_node *node, node_places *places,
                           size_t *left, uint64_t *steps, qr_error *error) {
    size_t numbers;
    if (node->folded || !gather_constants(graph, node, places, &numbers))
        return QR_OK;
    qr_error ignored = {0}; /* a node that fails may never be needed */
    for (size_t i = 0; i < node->output_count; i++)
        places->out[i] = NULL;
    qr__op_call call = {
        .graph = graph,
        .node = node,
        .in = places->in,
        .ins = node->input_count,
        .out = places->out,
        .outs = node->output_count,
        .max_numbers = qr_min(qr_min(numbers + FOLD_NUMBERS, QR_LIMIT_ONNX_NUMBERS), *left),
        .steps = steps,
        .error = &ignored,
    };
    const qr_status status = qr__op_run(&call);
    if (status == QR_NO_MEMORY) {
        *error = ignored;
        return status;
    }
    if (status != QR_OK)
        return QR_OK;
    for (size_t i = 0; i < node->output_count; i++)
        if (places->out[i] != NULL) {
            graph->values[node->outputs[i]].constant = places->out[i];
            *left -= qr_min(*left, own_numbers(places->out[i]));
        }
    node->folded = true;
    return QR_OK;
}

qr_status qr_onnx_fold(qr_onnx_graph *graph, qr_error *error) {
    node_places places = {NULL, NULL};
    qr_status status = QR_OK;
    size_t left = FOLD_NUMBERS;
    uint64_t steps = QR_LIMIT_ONNX_RUN_STEPS;
    if (!places_create(graph, &places))
        status = no_memory(graph, error);
    for (size_t v = 0; v < graph->value_count; v++)
        if (graph->values[v].constant != NULL)
            left += 8 * graph->values[v].constant->count;
    for (size_t n = 0; n < graph->node_count && status == QR_OK; n++)
        status = fold_node(graph, &graph->nodes[n], &places, &left, &steps, error);
    places_destroy(&places);
    return status;
}

/* Running. */

qr_status qr_onnx_run_create(const qr_onnx_graph *graph, const qr_onnx_run_options *options,
                             qr_onnx_run **out, qr_error *error) {
    *out = NULL;
    qr_onnx_run *run = calloc(1, sizeof *run);
    if (run == NULL)
        return no_memory(graph, error);
    run->graph = graph;
    run->options = *options;
    if (options->most == 0)
        run->options.most = QR_LIMIT_ONNX_RUN_NUMBERS;
    if (options->steps == 0)
        run->options.steps = QR_LIMIT_ONNX_RUN_STEPS;
    run->values = calloc(graph->value_count + 1, sizeof(qr_onnx_tensor *));
    run->readers = calloc(graph->value_count + 1, sizeof(size_t));
    if (run->values == NULL || run->readers == NULL) {
        qr_onnx_run_destroy(run);
        return no_memory(graph, error);
    }
    *out = run;
    return QR_OK;
}

void qr_onnx_run_feed(qr_onnx_run *run, size_t value, qr_onnx_tensor *tensor) {
    drop(&run->values[value]);
    run->values[value] = qr_onnx_tensor_share(tensor);
}

/* Drops what a node made. */
static void release(qr_onnx_run *run, size_t value) {
    run->numbers -= qr_min(own_numbers(run->values[value]), run->numbers);
    drop(&run->values[value]);
}

/* Drops what an earlier pass left, checks that all inputs are there, counts readers. */
static qr_status prepare(qr_onnx_run *run, qr_error *error) {
    const qr_onnx_graph *graph = run->graph;
    run->steps = run->options.steps;
    for (size_t v = 0; v < graph->value_count; v++) {
        run->readers[v] = 0;
        if (graph->values[v].is_input && run->values[v] == NULL)
            return qr_error_set(error, QR_BAD_MODEL, "%s: input `%s` was not fed", graph->path,
                                graph->values[v].name);
        if (!graph->values[v].is_input)
            release(run, v);
    }
    for (size_t n = 0; n < graph->node_count; n++)
        for (size_t i = 0; i < graph->nodes[n].input_count && !graph->nodes[n].folded; i++)
            if (graph->nodes[n].inputs[i] != QR_ONNX_NONE)
                run->readers[graph->nodes[n].inputs[i]]++;
    return QR_OK;
}

/* The value as a node reads it; NULL: there is none. Borrowed. */
static qr_onnx_tensor *value_of(const qr_onnx_run *run, size_t value) {
    qr_onnx_tensor *made = run->values[value];
    return made != NULL ? made : run->graph->values[value].constant;
}

/* Whether nothing will ask for the value any more. Inputs stay for the next pass. */
static bool is_spent(const qr_onnx_run *run, size_t value) {
    const qr_onnx_value *v = &run->graph->values[value];
    const bool kept = run->options.keep || (run->options.kept != NULL && run->options.kept[value]);
    return !kept && run->readers[value] == 0 && !v->is_output && !v->is_input;
}

static void take(qr_onnx_run *run, size_t value, qr_onnx_tensor *made) {
    run->values[value] = made;
    run->numbers += own_numbers(made);
}

static qr_status run_node(qr_onnx_run *run, const qr_onnx_node *node, node_places *places,
                          qr_error *error) {
    const qr_onnx_graph *graph = run->graph;
    for (size_t i = 0; i < node->input_count; i++) {
        places->in[i] = NULL;
        if (node->inputs[i] == QR_ONNX_NONE)
            continue;
        places->in[i] = value_of(run, node->inputs[i]);
        if (places->in[i] == NULL) {
            char text[256];
            qr_onnx_node_text(graph, node, text);
            return qr_error_set(error, QR_BAD_MODEL, "%s: %s: nothing makes its input `%s`",
                                graph->path, text, graph->values[node->inputs[i]].name);
        }
    }
    const size_t most = run->options.most - qr_min(run->numbers, run->options.most);
    const qr_status status =
        apply(graph, node, places->in, run->options.bypass, most, &run->steps, places->out, error);
    if (status != QR_OK)
        return status;
    for (size_t i = 0; i < node->output_count; i++)
        if (places->out[i] != NULL)
            take(run, node->outputs[i], places->out[i]);
    for (size_t i = 0; i < node->output_count; i++)
        if (node->outputs[i] != QR_ONNX_NONE && is_spent(run, node->outputs[i]))
            release(run, node->outputs[i]);
    for (size_t i = 0; i < node->input_count; i++) {
        const size_t value = node->inputs[i];
        if (value == QR_ONNX_NONE)
            continue;
        run->readers[value]--;
        if (is_spent(run, value))
            release(run, value);
    }
    return QR_OK;
}

qr_status qr_onnx_run_forward(qr_onnx_run *run, qr_error *error) {
    const qr_onnx_graph *graph = run->graph;
    node_places places = {NULL, NULL};
    qr_status status = prepare(run, error);
    if (status == QR_OK && !places_create(graph, &places))
        status = no_memory(graph, error);
    for (size_t n = 0; n < graph->node_count && status == QR_OK; n++)
        if (!graph->nodes[n].folded)
            status = run_node(run, &graph->nodes[n], &places, error);
    places_destroy(&places);
    return status;
}

const qr_onnx_tensor *qr_onnx_run_value(const qr_onnx_run *run, size_t value) {
    return value_of(run, value);
}

void qr_onnx_run_destroy(qr_onnx_run *run) {
    if (run == NULL)
        return;
    for (size_t v = 0; run->values != NULL && v < run->graph->value_count; v++)
        qr_onnx_tensor_destroy(run->values[v]);
    free(run->values);
    free(run->readers);
    free(run);
}
