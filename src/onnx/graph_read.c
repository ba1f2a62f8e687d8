/* onnx/graph_read.c: values and nodes of the file's graph.
 *
 * Values are numbered: the graph's inputs, the initializers, then what nodes make, each in the
 * file's order. Names are sorted to be found: no file can make that slow, as it could a hash.
 */
#include <stdio.h>
#include <stdlib.h>

#include "onnx/reader.h"

typedef struct named {
    const char *name;
    size_t value;
} named;

/* The reading of one graph. */
typedef struct reading {
    qr__onnx_reader *r;
    const Onnx__ModelProto *model;
    const Onnx__GraphProto *proto;
    qr_onnx_graph *graph;
    named *names; /* sorted by name, then by value; owned */
    size_t name_count;
} reading;

static int by_name(const void *a, const void *b) {
    const named *x = a;
    const named *y = b;
    const int order = strcmp(x->name, y->name);
    return order != 0 ? order : (x->value > y->value) - (x->value < y->value);
}

static int by_name_alone(const void *a, const void *b) {
    return strcmp(((const named *)a)->name, ((const named *)b)->name);
}

static size_t find_value(const reading *g, const char *name) {
    const named wanted = {name, 0};
    const named *found = bsearch(&wanted, g->names, g->name_count, sizeof *g->names, by_name_alone);
    return found == NULL ? QR_ONNX_NONE : found->value;
}

static void sort_names(reading *g) {
    for (g->name_count = 0; g->name_count < g->graph->value_count; g->name_count++)
        g->names[g->name_count] = (named){g->graph->values[g->name_count].name, g->name_count};
    qsort(g->names, g->name_count, sizeof *g->names, by_name);
}

static qr_status check_names_once(const reading *g) {
    for (size_t i = 1; i < g->name_count; i++) {
        if (strcmp(g->names[i - 1].name, g->names[i].name) != 0)
            continue;
        char where[QR__ONNX_WHERE_BYTES];
        snprintf(where, sizeof where, "value `%.200s`", g->names[i].name);
        return qr__onnx_refuse(g->r, where, "it is made twice (by inputs, tensors or nodes)");
    }
    return QR_OK;
}

static qr_onnx_value *add_value(reading *g, const char *name) {
    qr_onnx_value *value = &g->graph->values[g->graph->value_count++];
    *value = (qr_onnx_value){.name = name, .producer = QR_ONNX_NONE, .rank = SIZE_MAX};
    return value;
}

/* A value that is there but of a type that we do not hold, which value->type then says. */
static bool is_not_held(const qr_onnx_value *value) {
    return value->producer == QR_ONNX_NONE && !value->is_input && value->constant == NULL;
}

/* Room for every value, named or not. */
static qr_status make_room(reading *g) {
    const Onnx__GraphProto *proto = g->proto;
    size_t values = proto->n_input + proto->n_initializer;
    for (size_t i = 0; i < proto->n_node; i++)
        values += proto->node[i]->n_output;
    qr_onnx_graph *graph = g->graph;
    graph->values = qr__onnx_array(g->r, values, sizeof *graph->values);
    graph->nodes = qr__onnx_array(g->r, proto->n_node, sizeof *graph->nodes);
    graph->inputs = qr__onnx_array(g->r, proto->n_input, sizeof *graph->inputs);
    graph->outputs = qr__onnx_array(g->r, proto->n_output, sizeof *graph->outputs);
    g->names = calloc(values + 1, sizeof *g->names);
    if (graph->values == NULL || graph->nodes == NULL || graph->inputs == NULL ||
        graph->outputs == NULL || g->names == NULL)
        return qr__onnx_no_memory(g->r);
    return QR_OK;
}

/* What an input or output is declared to be. Lengths that are not numbers are dynamic. */
static qr_status read_declared(const reading *g, const Onnx__ValueInfoProto *info,
                               qr_onnx_value *value) {
    const Onnx__TypeProto *type = info->type;
    if (type == NULL || type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE)
        return QR_OK;
    const Onnx__TensorShapeProto *shape = type->tensor_type->shape;
    value->type = (qr_onnx_type)type->tensor_type->elem_type;
    if (shape == NULL)
        return QR_OK;
    if (shape->n_dim > QR_ONNX_RANK_MAX) {
        char where[QR__ONNX_WHERE_BYTES];
        snprintf(where, sizeof where, "value `%.200s`", value->name);
        return qr__onnx_refuse(g->r, where, "it is declared with %zu axes, more than %d",
                               shape->n_dim, QR_ONNX_RANK_MAX);
    }
    value->rank = shape->n_dim;
    for (size_t i = 0; i < shape->n_dim; i++) {
        const Onnx__TensorShapeProto__Dimension *dim = shape->dim[i];
        const bool is_number =
            dim->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
        value->dims[i] = is_number && dim->dim_value >= 0 ? dim->dim_value : -1;
    }
    return QR_OK;
}

static qr_status read_inputs(reading *g) {
    for (size_t i = 0; i < g->proto->n_input; i++) {
        const Onnx__ValueInfoProto *info = g->proto->input[i];
        qr_onnx_value *value = add_value(g, qr__onnx_text(info->name));
        value->is_input = true;
        if (value->name[0] == '\0')
            return qr__onnx_refuse(g->r, "graph", "it has an input without a name");
        const qr_status status = read_declared(g, info, value);
        if (status != QR_OK)
            return status;
    }
    sort_names(g);
    return check_names_once(g);
}

/* Before IR 4 every initializer had to be an input too; either way such an input is a constant. */
static qr_status read_initializer(reading *g, const Onnx__TensorProto *from) {
    const char *name = qr__onnx_text(from->name);
    char where[QR__ONNX_WHERE_BYTES];
    snprintf(where, sizeof where, "tensor `%.200s`", name);
    if (name[0] == '\0')
        return qr__onnx_refuse(g->r, "graph", "it has a tensor without a name");
    const size_t input = find_value(g, name);
    if (input != QR_ONNX_NONE && !g->graph->values[input].is_input)
        return qr__onnx_refuse(g->r, where, "it is there twice");
    qr_onnx_value *value = input == QR_ONNX_NONE ? add_value(g, name) : &g->graph->values[input];
    value->is_input = false;
    value->type = (qr_onnx_type)from->data_type;
    return qr__onnx_tensor_read(g->r, where, from, &value->constant);
}

static qr_status read_initializers(reading *g) {
    if (g->proto->n_sparse_initializer > 0)
        return qr__onnx_refuse(g->r, "graph", "it has sparse tensors, which are not read");
    for (size_t i = 0; i < g->proto->n_initializer; i++) {
        const qr_status status = read_initializer(g, g->proto->initializer[i]);
        if (status != QR_OK)
            return status;
    }
    for (size_t i = 0; i < g->proto->n_input; i++)
        if (g->graph->values[i].is_input)
            g->graph->inputs[g->graph->input_count++] = i;
    return QR_OK;
}

static int by_call(const void *a, const void *b) {
    const Onnx__FunctionProto *x = *(Onnx__FunctionProto *const *)a;
    const Onnx__FunctionProto *y = *(Onnx__FunctionProto *const *)b;
    const int order = strcmp(qr__onnx_text(x->name), qr__onnx_text(y->name));
    return order != 0 ? order : strcmp(qr__onnx_domain(x->domain), qr__onnx_domain(y->domain));
}

/* Field 8 of a node (IR 10) chooses among the file's functions of one name. The schema of Debian 12
 * does not know it, that of 13 does. */
static bool has_overload(const Onnx__NodeProto *from) {
    const unsigned overload = 8;
    const ProtobufCFieldDescriptor *field =
        protobuf_c_message_descriptor_get_field(from->base.descriptor, overload);
    for (unsigned i = 0; i < from->base.n_unknown_fields; i++)
        if (from->base.unknown_fields[i].tag == overload && from->base.unknown_fields[i].len > 1)
            return true;
    return field != NULL && field->type == PROTOBUF_C_TYPE_STRING &&
           qr__onnx_text(*(char *const *)(const void *)((const char *)from + field->offset))[0] !=
               '\0';
}

/* A file may carry functions of its own and call them as operators. */
static qr_status check_call(const reading *g, const Onnx__NodeProto *from) {
    char where[QR__ONNX_WHERE_BYTES];
    Onnx__FunctionProto call = {.name = from->op_type, .domain = from->domain};
    Onnx__FunctionProto *wanted = &call;
    qr__onnx_node_where(from, where);
    if (from->op_type == NULL || from->op_type[0] == '\0')
        return qr__onnx_refuse(g->r, where, "it has no operator");
    if (has_overload(from))
        return qr__onnx_refuse(g->r, where, "it has an `overload`, which is not read");
    if (g->model->n_functions > 0 && bsearch(&wanted, g->model->functions, g->model->n_functions,
                                             sizeof(void *), by_call) != NULL)
        return qr__onnx_refuse(g->r, where,
                               "it calls a function of the file's own (domain `%.80s`), which is "
                               "not read (inline functions first: onnx.inliner)",
                               qr__onnx_text(from->domain));
    return QR_OK;
}

/* Constant nodes are values, not nodes. */
static qr_status read_constant(reading *g, const Onnx__NodeProto *from) {
    int type;
    qr_onnx_tensor *constant;
    const qr_status status = qr__onnx_constant_read(g->r, from, &type, &constant);
    if (status != QR_OK)
        return status;
    qr_onnx_value *value = add_value(g, from->output[0]);
    value->constant = constant;
    value->type = (qr_onnx_type)type;
    return QR_OK;
}

static qr_status read_node(reading *g, const Onnx__NodeProto *from) {
    qr_onnx_node *node = &g->graph->nodes[g->graph->node_count++];
    node->outputs = qr__onnx_array(g->r, from->n_output, sizeof *node->outputs);
    node->inputs = qr__onnx_array(g->r, from->n_input, sizeof *node->inputs);
    if (node->outputs == NULL || node->inputs == NULL)
        return qr__onnx_no_memory(g->r);
    for (size_t i = 0; i < from->n_output; i++) {
        node->outputs[node->output_count++] = QR_ONNX_NONE;
        if (from->output[i][0] == '\0')
            continue;
        node->outputs[i] = g->graph->value_count;
        add_value(g, from->output[i])->producer = g->graph->node_count - 1;
    }
    return qr__onnx_node_read(g->r, from, node);
}

static bool is_constant(const Onnx__NodeProto *node) {
    return strcmp(qr__onnx_text(node->op_type), "Constant") == 0 &&
           qr__onnx_domain(node->domain)[0] == '\0';
}

static qr_status read_nodes(reading *g) {
    if (g->model->n_functions > 1)
        qsort(g->model->functions, g->model->n_functions, sizeof(void *), by_call);
    for (size_t i = 0; i < g->proto->n_node; i++) {
        const Onnx__NodeProto *from = g->proto->node[i];
        qr_status status = check_call(g, from);
        if (status == QR_OK)
            status = is_constant(from) ? read_constant(g, from) : read_node(g, from);
        if (status != QR_OK)
            return status;
    }
    sort_names(g);
    return check_names_once(g);
}

static qr_status read_reads(const reading *g, const Onnx__NodeProto *from, qr_onnx_node *node) {
    char where[QR__ONNX_WHERE_BYTES];
    qr__onnx_node_where(from, where);
    for (size_t i = 0; i < from->n_input; i++) {
        const char *name = from->input[i];
        node->inputs[node->input_count++] = QR_ONNX_NONE;
        if (name[0] == '\0')
            continue;
        node->inputs[i] = find_value(g, name);
        if (node->inputs[i] == QR_ONNX_NONE)
            return qr__onnx_refuse(g->r, where, "it reads `%.200s`, which nothing makes", name);
        const qr_onnx_value *value = &g->graph->values[node->inputs[i]];
        if (is_not_held(value)) {
            char type[48];
            qr__onnx_type_text((int)value->type, type);
            return qr__onnx_refuse(g->r, where, "it reads `%.200s`, whose type %s is not read",
                                   name, type);
        }
    }
    return QR_OK;
}

static qr_status read_outputs(const reading *g) {
    for (size_t i = 0; i < g->proto->n_output; i++) {
        const Onnx__ValueInfoProto *info = g->proto->output[i];
        const char *name = qr__onnx_text(info->name);
        const size_t at = find_value(g, name);
        char where[QR__ONNX_WHERE_BYTES];
        snprintf(where, sizeof where, "output `%.200s`", name);
        if (at == QR_ONNX_NONE)
            return qr__onnx_refuse(g->r, where, "nothing makes it");
        qr_onnx_value *value = &g->graph->values[at];
        if (value->is_output)
            return qr__onnx_refuse(g->r, where, "it is there twice");
        if (is_not_held(value))
            return qr__onnx_refuse(g->r, where, "it is a constant of a type that is not read");
        value->is_output = true;
        g->graph->outputs[g->graph->output_count++] = at;
        const qr_status status = value->is_input ? QR_OK : read_declared(g, info, value);
        if (status != QR_OK)
            return status;
    }
    return QR_OK;
}

qr_status qr__onnx_graph_read(qr__onnx_reader *r) {
    reading g = {.r = r, .model = r->file->model, .graph = r->graph};
    g.proto = g.model->graph;
    qr_status status = make_room(&g);
    if (status == QR_OK)
        status = read_inputs(&g);
    if (status == QR_OK)
        status = read_initializers(&g);
    if (status == QR_OK)
        status = read_nodes(&g);
    size_t node = 0;
    for (size_t i = 0; status == QR_OK && i < g.proto->n_node; i++)
        if (!is_constant(g.proto->node[i]))
            status = read_reads(&g, g.proto->node[i], &g.graph->nodes[node++]);
    if (status == QR_OK)
        status = read_outputs(&g);
    free(g.names);
    return status;
}
