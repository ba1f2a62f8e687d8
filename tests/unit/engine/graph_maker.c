/* tests: see graph_maker.h. */
#include "graph_maker.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { NODES_MOST = 1024, VALUES_MOST = 4096, STAGES_MOST = 256 };

typedef struct maker {
    struct made_graph *made;
    const struct graph_options *options;
    const qr_bert *bert;
    size_t mask, bias; /* values; QR_ONNX_NONE: no mask */
} maker;

static void *room(maker *m, size_t count, size_t size) {
    void *memory = qr_arena_array(&m->made->arena, count, size);
    cr_assert_not_null(memory);
    return memory;
}

static size_t add_value(maker *m, const char *name) {
    qr_onnx_graph *graph = &m->made->graph;
    cr_assert_lt(graph->value_count, VALUES_MOST);
    graph->values[graph->value_count] =
        (qr_onnx_value){.name = qr_arena_text(&m->made->arena, qr_text_of(name)).data,
                        .producer = QR_ONNX_NONE,
                        .rank = SIZE_MAX};
    return graph->value_count++;
}

static size_t add_constant(maker *m, qr_onnx_type type, size_t rank, const size_t *shape) {
    size_t value = add_value(m, "constant");
    m->made->graph.values[value].constant = qr_onnx_tensor_create(type, rank, shape);
    cr_assert_not_null(m->made->graph.values[value].constant);
    return value;
}

static size_t floats(maker *m, size_t rank, const size_t *shape, const float *from) {
    size_t value = add_constant(m, QR_ONNX_FLOAT, rank, shape);
    qr_onnx_tensor *tensor = m->made->graph.values[value].constant;
    memcpy(qr_onnx_floats(tensor), from, tensor->count * sizeof *from);
    return value;
}

static size_t vector(maker *m, const float *from, size_t len) {
    return floats(m, 1, &len, from);
}

static size_t number(maker *m, float x) {
    return floats(m, 0, NULL, &x);
}

static size_t longs(maker *m, size_t len, const int64_t *from) {
    size_t value = add_constant(m, QR_ONNX_INT64, 1, &len);
    memcpy(qr_onnx_longs(m->made->graph.values[value].constant), from, len * sizeof *from);
    return value;
}

/* A node of one output; inputs end with QR_ONNX_NONE. */
static size_t add_node(maker *m, const char *name, const char *op, const size_t *inputs) {
    qr_onnx_graph *graph = &m->made->graph;
    cr_assert_lt(graph->node_count, NODES_MOST);
    qr_onnx_node *node = &graph->nodes[graph->node_count];
    *node = (qr_onnx_node){.name = qr_arena_text(&m->made->arena, qr_text_of(name)).data,
                           .op = op,
                           .domain = "",
                           .output_count = 1};
    while (inputs[node->input_count] != QR_ONNX_NONE)
        node->input_count++;
    node->inputs = room(m, node->input_count, sizeof *node->inputs);
    memcpy(node->inputs, inputs, node->input_count * sizeof *inputs);
    node->outputs = room(m, 3, sizeof *node->outputs);
    node->attributes = room(m, 2, sizeof *node->attributes);
    node->outputs[0] = add_value(m, name);
    graph->values[node->outputs[0]].producer = graph->node_count++;
    return node->outputs[0];
}

#define NODE(m, name, op, ...) add_node(m, name, op, (size_t[]){__VA_ARGS__, QR_ONNX_NONE})

/* Attributes of the node that was added last. */
static qr_onnx_attribute *attribute(maker *m, const char *name, qr_onnx_kind kind) {
    qr_onnx_node *node = &m->made->graph.nodes[m->made->graph.node_count - 1];
    qr_onnx_attribute *added = &node->attributes[node->attribute_count++];
    *added = (qr_onnx_attribute){.name = name, .kind = kind};
    return added;
}

static size_t with_int(maker *m, size_t value, const char *name, int64_t i) {
    attribute(m, name, QR_ONNX_ATTR_INT)->i = i;
    return value;
}

static size_t reshaped(maker *m, size_t x, const char *name, size_t len, const int64_t *shape) {
    return NODE(m, name, "Reshape", x, longs(m, len, shape));
}

static size_t transposed(maker *m, size_t x, const char *name, const int64_t *perm) {
    size_t value = NODE(m, name, "Transpose", x);
    qr_onnx_attribute *added = attribute(m, "perm", QR_ONNX_ATTR_INTS);
    int64_t *ints = room(m, 4, sizeof *ints);
    memcpy(ints, perm, 4 * sizeof *ints);
    added->ints = ints;
    added->count = 4;
    return value;
}

/* What dynamic quantization does to a product's input. */
static size_t quantized(maker *m, size_t x) {
    if (!m->options->quantized)
        return x;
    size_t codes = NODE(m, "quantize", "DynamicQuantizeLinear", x);
    qr_onnx_node *node = &m->made->graph.nodes[m->made->graph.node_count - 1];
    size_t scale = add_value(m, "scale"), zero = add_value(m, "zero");
    node->output_count = 3;
    node->outputs[1] = scale;
    node->outputs[2] = zero;
    m->made->graph.values[scale].producer = m->made->graph.values[zero].producer =
        m->made->graph.node_count - 1;
    return NODE(m, "dequantize", "DequantizeLinear", codes, scale, zero);
}

static size_t linear(maker *m, const char *name, const qr_bert_linear *layer, size_t x) {
    char product[96];
    size_t value = add_constant(m, QR_ONNX_FLOAT, 2, (size_t[]){layer->in, layer->out});
    float *to = qr_onnx_floats(m->made->graph.values[value].constant);
    for (size_t n = 0; n < layer->out; n++)
        for (size_t k = 0; k < layer->in; k++)
            to[k * layer->out + n] = layer->weight[n * layer->in + k];
    snprintf(product, sizeof product, "%s/MatMul", name);
    value = NODE(m, product, "MatMul", quantized(m, x), value);
    return layer->bias == NULL ? value
                               : NODE(m, name, "Add", value, vector(m, layer->bias, layer->out));
}

static size_t layer_norm(maker *m, const char *name, const qr_bert_norm *norm, size_t width,
                         size_t x) {
    size_t value = NODE(m, name, "LayerNormalization", x, vector(m, norm->gamma, width),
                        vector(m, norm->beta, width));
    with_int(m, value, "axis", -1);
    attribute(m, "epsilon", QR_ONNX_ATTR_FLOAT)->f = m->bert->info.layer_norm_eps;
    return value;
}

static size_t gelu(maker *m, const char *name, bool by_tanh, size_t x) {
    size_t value = NODE(m, name, "Gelu", x);
    attribute(m, "approximate", QR_ONNX_ATTR_STRING)->s = by_tanh ? "tanh" : "none";
    return value;
}

static void add_stage(maker *m, qr__stage_kind kind, size_t layer, size_t value) {
    qr__recognised *found = &m->made->found;
    cr_assert_lt(found->stage_count, STAGES_MOST);
    found->stages[found->stage_count++] = (qr__graph_stage){kind, layer, value};
}

static size_t add_input(maker *m, const char *name, qr__graph_input_kind kind) {
    qr__recognised *found = &m->made->found;
    size_t value = add_value(m, name);
    qr_onnx_value *about = &m->made->graph.values[value];
    about->is_input = true;
    about->type = QR_ONNX_INT64;
    about->rank = 2;
    about->dims[0] = about->dims[1] = -1;
    m->made->graph.inputs[m->made->graph.input_count++] = value;
    found->inputs[found->input_count++] = (qr__graph_input){value, kind};
    return value;
}

static void add_output(maker *m, size_t value, qr__graph_output_kind kind) {
    qr_onnx_graph *graph = &m->made->graph;
    graph->values[value].is_output = true;
    m->made->found.outputs[graph->output_count] = (qr__graph_output){value, kind};
    graph->outputs[graph->output_count++] = value;
}

/* (1 - mask) * -1e9, [B][1][1][S] */
static void add_mask(maker *m) {
    m->bias = m->mask = QR_ONNX_NONE;
    if (m->options->no_mask)
        return;
    size_t mask = add_input(m, "attention_mask", QR__GRAPH_MASK);
    m->mask = with_int(m, NODE(m, "mask/Cast", "Cast", mask), "to", QR_ONNX_FLOAT);
    size_t rows = reshaped(m, m->mask, "mask/Reshape", 4, (int64_t[]){0, 1, 1, -1});
    size_t open = NODE(m, "mask/Sub", "Sub", number(m, 1), rows);
    m->bias = NODE(m, "mask/Mul", "Mul", open, number(m, -1e9f));
}

static size_t embed(maker *m) {
    const qr_bert *bert = m->bert;
    const qr_model_info *info = &bert->info;
    size_t E = info->word_size;
    size_t word =
        NODE(m, "embeddings/word", "Gather", floats(m, 2, (size_t[]){info->vocab, E}, bert->word),
             add_input(m, "input_ids", QR__GRAPH_IDS));
    size_t position = NODE(m, "embeddings/position", "Gather",
                           floats(m, 2, (size_t[]){info->positions, E}, bert->position),
                           add_input(m, "position_ids", QR__GRAPH_POSITIONS));
    size_t sum = NODE(m, "embeddings/Add", "Add", word, position);
    if (bert->type != NULL && m->options->no_types)
        sum = NODE(m, "embeddings/Add_1", "Add", sum, vector(m, bert->type, E));
    else if (bert->type != NULL)
        sum = NODE(m, "embeddings/Add_1", "Add", sum,
                   NODE(m, "embeddings/type", "Gather",
                        floats(m, 2, (size_t[]){info->types, E}, bert->type),
                        add_input(m, "token_type_ids", QR__GRAPH_TYPES)));
    size_t x = layer_norm(m, "embeddings/LayerNorm", &bert->embedding_norm, E, sum);
    if (E != info->hidden)
        x = linear(m, "embeddings/project", &bert->projection, x);
    add_stage(m, QR__STAGE_EMBEDDINGS, 0, x);
    return x;
}

/* [B][S][C] -> [B][H][S][D] */
static size_t split(maker *m, size_t x, const char *name) {
    const int64_t H = (int64_t)m->bert->info.heads, D = (int64_t)m->bert->info.hidden / H;
    return transposed(m, reshaped(m, x, name, 4, (int64_t[]){0, 0, H, D}), name,
                      (int64_t[]){0, 2, 1, 3});
}

static size_t attend(maker *m, size_t q, size_t k, size_t v) {
    const int64_t C = (int64_t)m->bert->info.hidden;
    const float D = (float)m->bert->info.hidden / (float)m->bert->info.heads;
    size_t keys = transposed(m, split(m, k, "split k"), "k/t", (int64_t[]){0, 1, 3, 2});
    size_t scores = NODE(m, "scores", "MatMul", split(m, q, "split q"), keys);
    scores = NODE(m, "scores/Div", "Div", scores, number(m, sqrtf(D)));
    if (m->bias != QR_ONNX_NONE && !m->options->ignores_mask)
        scores = NODE(m, "scores/Add", "Add", scores, m->bias);
    size_t shares = with_int(m, NODE(m, "Softmax", "Softmax", scores), "axis", -1);
    size_t mixed = NODE(m, "mixed", "MatMul", shares, split(m, v, "split v"));
    mixed = transposed(m, mixed, "mixed/t", (int64_t[]){0, 2, 1, 3});
    return reshaped(m, mixed, "mixed/join", 3, (int64_t[]){0, 0, C});
}

static const char *named(maker *m, size_t layer, const char *name) {
    char text[64];
    snprintf(text, sizeof text, "layer.%zu/%s", layer, name);
    return qr_arena_text(&m->made->arena, qr_text_of(text)).data;
}

static size_t add_layer(maker *m, size_t l, size_t x) {
    const qr_bert_layer *layer = &m->bert->layers[l];
    const qr_activation activation = m->bert->info.activation;
    const size_t C = m->bert->info.hidden;
    size_t q = linear(m, named(m, l, "query"), &layer->query, x);
    size_t k = linear(m, named(m, l, "key"), &layer->key, x);
    size_t v = linear(m, named(m, l, "value"), &layer->value, x);
    add_stage(m, QR__STAGE_QUERY, l, q);
    add_stage(m, QR__STAGE_KEY, l, k);
    add_stage(m, QR__STAGE_VALUE, l, v);
    size_t mixed = attend(m, q, k, v);
    add_stage(m, QR__STAGE_ATTENDED, l, mixed);
    size_t out = linear(m, named(m, l, "attention"), &layer->attention_output, mixed);
    x = layer_norm(m, named(m, l, "attention/LayerNorm"), &layer->attention_norm, C,
                   NODE(m, named(m, l, "attention/residual"), "Add", out, x));
    add_stage(m, QR__STAGE_ATTENTION_NORM, l, x);
    size_t inner = linear(m, named(m, l, "up"), &layer->intermediate, x);
    inner = activation == QR_RELU
                ? NODE(m, named(m, l, "activation"), "Relu", inner)
                : gelu(m, named(m, l, "activation"), activation == QR_GELU_NEW, inner);
    add_stage(m, QR__STAGE_INTERMEDIATE, l, inner);
    out = linear(m, named(m, l, "down"), &layer->output, inner);
    x = layer_norm(m, named(m, l, "output/LayerNorm"), &layer->output_norm, C,
                   NODE(m, named(m, l, "output/residual"), "Add", out, x));
    add_stage(m, QR__STAGE_OUTPUT_NORM, l, x);
    return x;
}

static size_t first_token(maker *m, size_t x) {
    size_t at = add_constant(m, QR_ONNX_INT64, 0, NULL); /* 0 */
    return with_int(m, NODE(m, "first", "Gather", x, at), "axis", 1);
}

/* [B][C]: the first token's, or the mean of those that are no padding. */
static size_t pool(maker *m, size_t x) {
    if (m->bert->info.pooling[0] == QR_POOLING_CLS)
        return first_token(m, x);
    cr_assert(m->bert->info.pooling[0] == QR_POOLING_MEAN && m->mask != QR_ONNX_NONE);
    size_t ones = reshaped(m, m->mask, "pool/Reshape", 3, (int64_t[]){0, -1, 1});
    size_t axis = longs(m, 1, (int64_t[]){1});
    size_t sum =
        with_int(m, NODE(m, "pool/sum", "ReduceSum", NODE(m, "pool/Mul", "Mul", x, ones), axis),
                 "keepdims", 0);
    size_t count = with_int(m, NODE(m, "pool/count", "ReduceSum", ones, axis), "keepdims", 0);
    return NODE(m, "pool/Div", "Div", sum, count);
}

static size_t column(maker *m, const char *name, size_t x, int64_t number) {
    return with_int(m, NODE(m, name, "Gather", x, longs(m, 1, &number)), "axis", 2);
}

static void add_tail(maker *m, size_t x) {
    const qr_bert *bert = m->bert;
    switch (m->options->output) {
    case QR_OUTPUT_HIDDEN:
        break;
    case QR_OUTPUT_POOLED:
        m->made->found.pools = true;
        x = pool(m, x);
        if (bert->info.normalize)
            x = with_int(m, NODE(m, "normalize", "LpNormalization", x), "axis", -1);
        add_output(m, x, QR__GRAPH_POOLED);
        break;
    case QR_OUTPUT_SPAN:
        x = linear(m, "span", &bert->span, x);
        add_output(m, column(m, "start", x, 0), QR__GRAPH_SPAN_START);
        add_output(m, column(m, "end", x, 1), QR__GRAPH_SPAN_END);
        break;
    case QR_OUTPUT_LABELS:
        x = linear(m, "pooler", &bert->pooler, first_token(m, x));
        x = bert->pooler_activation == QR_POOLER_GELU
                ? gelu(m, "pooler/gelu", false, x)
                : NODE(m, "pooler/activation",
                       bert->pooler_activation == QR_POOLER_TANH ? "Tanh" : "Relu", x);
        add_output(m, linear(m, "classifier", &bert->classifier, x), QR__GRAPH_LABELS);
        break;
    case QR_OUTPUT_TOKEN_LABELS:
        add_output(m, linear(m, "classifier", &bert->classifier, x), QR__GRAPH_TOKEN_LABELS);
        break;
    }
}

struct made_graph *graph_make(const qr_bert *bert, const struct graph_options *options) {
    struct made_graph *made = calloc(1, sizeof *made);
    cr_assert_not_null(made);
    maker m = {.made = made, .options = options, .bert = bert};
    qr_arena_init(&made->arena, 64u << 20);
    made->graph = (qr_onnx_graph){.path = "made.onnx", .opset = 20, .producer = "tests"};
    made->graph.nodes = room(&m, NODES_MOST, sizeof *made->graph.nodes);
    made->graph.values = room(&m, VALUES_MOST, sizeof *made->graph.values);
    made->graph.inputs = room(&m, 4, sizeof *made->graph.inputs);
    made->graph.outputs = room(&m, 4, sizeof *made->graph.outputs);
    made->found = (qr__recognised){.graph = &made->graph,
                                   .info = bert->info,
                                   .pooler_activation = bert->pooler_activation,
                                   .quantized = options->quantized,
                                   .fixed_batch = options->fixed_batch,
                                   .fixed_tokens = options->fixed_tokens};
    made->found.outputs = room(&m, 4, sizeof *made->found.outputs);
    made->found.stages = room(&m, STAGES_MOST, sizeof *made->found.stages);
    made->import.found = &made->found;
    add_mask(&m);
    size_t x = embed(&m);
    for (size_t l = 0; l < bert->info.layers; l++)
        x = add_layer(&m, l, x);
    if (!options->no_hidden)
        add_output(&m, x, QR__GRAPH_HIDDEN);
    add_tail(&m, x);
    return made;
}

void graph_free(struct made_graph *made) {
    for (size_t v = 0; v < made->graph.value_count; v++)
        qr_onnx_tensor_destroy(made->graph.values[v].constant);
    qr_arena_deinit(&made->arena);
    free(made);
}
