/* tests: ONNX models from a few calls. */
#include "onnx_maker.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define ATTRIBUTES_MOST 32
#define NAMES_MOST      64

void *onnx_maker_alloc(onnx_maker *m, size_t bytes) {
    void *memory = qr_arena_alloc(&m->arena, qr_max(bytes, 1));
    cr_assert_not_null(memory);
    return memory;
}

char *onnx_maker_text(onnx_maker *m, const char *text) {
    char *copy = onnx_maker_alloc(m, strlen(text) + 1);
    memcpy(copy, text, strlen(text));
    return copy;
}

static void *copied(onnx_maker *m, const void *bytes, size_t count) {
    void *copy = onnx_maker_alloc(m, count);
    if (count > 0)
        memcpy(copy, bytes, count);
    return copy;
}

static void add_opset(onnx_maker *m, const char *domain, int64_t version) {
    Onnx__OperatorSetIdProto *id = onnx_maker_alloc(m, sizeof *id);
    onnx__operator_set_id_proto__init(id);
    id->domain = onnx_maker_text(m, domain);
    id->has_version = 1;
    id->version = version;
    m->model->opset_import[m->model->n_opset_import++] = id;
}

onnx_maker *onnx_maker_create(int64_t opset) {
    onnx_maker *m = calloc(1, sizeof *m);
    cr_assert_not_null(m);
    qr_arena_init(&m->arena, (size_t)1 << 30);
    m->model = onnx_maker_alloc(m, sizeof *m->model);
    m->graph = onnx_maker_alloc(m, sizeof *m->graph);
    onnx__model_proto__init(m->model);
    onnx__graph_proto__init(m->graph);
    m->model->has_ir_version = 1;
    m->model->ir_version = 8;
    m->model->producer_name = onnx_maker_text(m, "onnx_maker");
    m->model->producer_version = onnx_maker_text(m, "1");
    m->model->graph = m->graph;
    m->model->opset_import = onnx_maker_alloc(m, 8 * sizeof(void *));
    add_opset(m, "", opset);
    add_opset(m, "com.microsoft", 1);
    m->graph->name = onnx_maker_text(m, "main");
    m->graph->node = onnx_maker_alloc(m, ONNX_MAKER_MOST * sizeof(void *));
    m->graph->initializer = onnx_maker_alloc(m, ONNX_MAKER_MOST * sizeof(void *));
    m->graph->input = onnx_maker_alloc(m, ONNX_MAKER_MOST * sizeof(void *));
    m->graph->output = onnx_maker_alloc(m, ONNX_MAKER_MOST * sizeof(void *));
    return m;
}

void onnx_maker_destroy(onnx_maker *m) {
    qr_arena_deinit(&m->arena);
    free(m);
}

static Onnx__TensorShapeProto *make_shape(onnx_maker *m, size_t rank, const int64_t *dims) {
    Onnx__TensorShapeProto *shape = onnx_maker_alloc(m, sizeof *shape);
    onnx__tensor_shape_proto__init(shape);
    shape->dim = onnx_maker_alloc(m, rank * sizeof(void *));
    for (; shape->n_dim < rank; shape->n_dim++) {
        Onnx__TensorShapeProto__Dimension *dim = onnx_maker_alloc(m, sizeof *dim);
        onnx__tensor_shape_proto__dimension__init(dim);
        char name[32];
        snprintf(name, sizeof name, "axis%zu", shape->n_dim);
        if (dims[shape->n_dim] < 0) {
            dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
            dim->dim_param = onnx_maker_text(m, name);
        } else {
            dim->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
            dim->dim_value = dims[shape->n_dim];
        }
        shape->dim[shape->n_dim] = dim;
    }
    return shape;
}

static Onnx__ValueInfoProto *make_info(onnx_maker *m, const char *name, qr_onnx_type type,
                                       size_t rank, const int64_t *dims) {
    Onnx__ValueInfoProto *info = onnx_maker_alloc(m, sizeof *info);
    onnx__value_info_proto__init(info);
    info->name = onnx_maker_text(m, name);
    info->type = onnx_maker_alloc(m, sizeof *info->type);
    onnx__type_proto__init(info->type);
    Onnx__TypeProto__Tensor *tensor = onnx_maker_alloc(m, sizeof *tensor);
    onnx__type_proto__tensor__init(tensor);
    info->type->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
    info->type->tensor_type = tensor;
    tensor->has_elem_type = 1;
    tensor->elem_type = (int32_t)type;
    if (rank != SIZE_MAX)
        tensor->shape = make_shape(m, rank, dims);
    return info;
}

Onnx__ValueInfoProto *onnx_maker_input(onnx_maker *m, const char *name, qr_onnx_type type,
                                       size_t rank, const int64_t *dims) {
    cr_assert_lt(m->graph->n_input, ONNX_MAKER_MOST);
    return m->graph->input[m->graph->n_input++] = make_info(m, name, type, rank, dims);
}

Onnx__ValueInfoProto *onnx_maker_output(onnx_maker *m, const char *name, qr_onnx_type type,
                                        size_t rank, const int64_t *dims) {
    cr_assert_lt(m->graph->n_output, ONNX_MAKER_MOST);
    return m->graph->output[m->graph->n_output++] = make_info(m, name, type, rank, dims);
}

Onnx__TensorProto *onnx_maker_tensor(onnx_maker *m, const char *name, int type, size_t rank,
                                     const int64_t *dims, const void *raw, size_t raw_bytes) {
    Onnx__TensorProto *tensor = onnx_maker_alloc(m, sizeof *tensor);
    onnx__tensor_proto__init(tensor);
    tensor->name = onnx_maker_text(m, name);
    tensor->has_data_type = 1;
    tensor->data_type = type;
    tensor->n_dims = rank;
    tensor->dims = copied(m, dims, rank * sizeof *dims);
    tensor->has_raw_data = 1;
    tensor->raw_data.len = raw_bytes;
    tensor->raw_data.data = copied(m, raw, raw_bytes);
    return tensor;
}

Onnx__TensorProto *onnx_maker_initializer(onnx_maker *m, const char *name, int type, size_t rank,
                                          const int64_t *dims, const void *raw, size_t raw_bytes) {
    cr_assert_lt(m->graph->n_initializer, ONNX_MAKER_MOST);
    return m->graph->initializer[m->graph->n_initializer++] =
               onnx_maker_tensor(m, name, type, rank, dims, raw, raw_bytes);
}

static size_t product(size_t rank, const int64_t *dims) {
    size_t count = 1;
    for (size_t i = 0; i < rank; i++)
        count *= (size_t)dims[i];
    return count;
}

Onnx__TensorProto *onnx_maker_floats(onnx_maker *m, const char *name, size_t rank,
                                     const int64_t *dims, const float *numbers) {
    return onnx_maker_initializer(m, name, QR_ONNX_FLOAT, rank, dims, numbers,
                                  product(rank, dims) * sizeof *numbers);
}

Onnx__TensorProto *onnx_maker_longs(onnx_maker *m, const char *name, size_t rank,
                                    const int64_t *dims, const int64_t *numbers) {
    return onnx_maker_initializer(m, name, QR_ONNX_INT64, rank, dims, numbers,
                                  product(rank, dims) * sizeof *numbers);
}

static size_t split_names(onnx_maker *m, const char *names, char ***out) {
    size_t count = 0;
    *out = onnx_maker_alloc(m, NAMES_MOST * sizeof(char *));
    while (*names != '\0') {
        char name[256];
        const size_t len = strcspn(names, " ");
        cr_assert(len < sizeof name && count < NAMES_MOST);
        snprintf(name, sizeof name, "%.*s", (int)len, names);
        (*out)[count++] = onnx_maker_text(m, strcmp(name, "-") == 0 ? "" : name);
        names += len + (names[len] == ' ');
    }
    return count;
}

Onnx__NodeProto *onnx_maker_node(onnx_maker *m, const char *op, const char *inputs,
                                 const char *outputs) {
    Onnx__NodeProto *node = onnx_maker_alloc(m, sizeof *node);
    const char *colon = strchr(op, ':');
    onnx__node_proto__init(node);
    node->op_type = onnx_maker_text(m, colon == NULL ? op : colon + 1);
    node->domain = onnx_maker_text(m, colon == NULL ? "" : op);
    if (colon != NULL)
        node->domain[colon - op] = '\0';
    node->n_input = split_names(m, inputs, &node->input);
    node->n_output = split_names(m, outputs, &node->output);
    char name[300];
    snprintf(name, sizeof name, "%s/n", node->n_output == 0 ? "none" : node->output[0]);
    node->name = onnx_maker_text(m, name);
    node->attribute = onnx_maker_alloc(m, ATTRIBUTES_MOST * sizeof(void *));
    cr_assert_lt(m->graph->n_node, ONNX_MAKER_MOST);
    return m->graph->node[m->graph->n_node++] = node;
}

static Onnx__AttributeProto *add_attribute(onnx_maker *m, Onnx__NodeProto *node, const char *name,
                                           Onnx__AttributeProto__AttributeType type) {
    Onnx__AttributeProto *attribute = onnx_maker_alloc(m, sizeof *attribute);
    onnx__attribute_proto__init(attribute);
    attribute->name = onnx_maker_text(m, name);
    attribute->has_type = 1;
    attribute->type = type;
    cr_assert_lt(node->n_attribute, ATTRIBUTES_MOST);
    return node->attribute[node->n_attribute++] = attribute;
}

Onnx__AttributeProto *onnx_maker_int(onnx_maker *m, Onnx__NodeProto *node, const char *name,
                                     int64_t i) {
    Onnx__AttributeProto *attribute =
        add_attribute(m, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
    attribute->has_i = 1;
    attribute->i = i;
    return attribute;
}

Onnx__AttributeProto *onnx_maker_float(onnx_maker *m, Onnx__NodeProto *node, const char *name,
                                       float f) {
    Onnx__AttributeProto *attribute =
        add_attribute(m, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
    attribute->has_f = 1;
    attribute->f = f;
    return attribute;
}

Onnx__AttributeProto *onnx_maker_string(onnx_maker *m, Onnx__NodeProto *node, const char *name,
                                        const char *s) {
    Onnx__AttributeProto *attribute =
        add_attribute(m, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
    attribute->has_s = 1;
    attribute->s.len = strlen(s);
    attribute->s.data = copied(m, s, strlen(s));
    return attribute;
}

Onnx__AttributeProto *onnx_maker_ints(onnx_maker *m, Onnx__NodeProto *node, const char *name,
                                      size_t count, const int64_t *ints) {
    Onnx__AttributeProto *attribute =
        add_attribute(m, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
    attribute->n_ints = count;
    attribute->ints = copied(m, ints, count * sizeof *ints);
    return attribute;
}

Onnx__AttributeProto *onnx_maker_attr_floats(onnx_maker *m, Onnx__NodeProto *node, const char *name,
                                             size_t count, const float *floats) {
    Onnx__AttributeProto *attribute =
        add_attribute(m, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS);
    attribute->n_floats = count;
    attribute->floats = copied(m, floats, count * sizeof *floats);
    return attribute;
}

Onnx__AttributeProto *onnx_maker_attr_tensor(onnx_maker *m, Onnx__NodeProto *node, const char *name,
                                             Onnx__TensorProto *t) {
    Onnx__AttributeProto *attribute =
        add_attribute(m, node, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR);
    attribute->t = t;
    return attribute;
}

uint8_t *onnx_maker_pack(const onnx_maker *m, size_t *bytes) {
    *bytes = onnx__model_proto__get_packed_size(m->model);
    uint8_t *packed = malloc(*bytes);
    cr_assert_not_null(packed);
    cr_assert_eq(onnx__model_proto__pack(m->model, packed), *bytes);
    return packed;
}

void onnx_maker_write_bytes(const char *path, const void *bytes, size_t count) {
    FILE *file = fopen(path, "wb");
    cr_assert_not_null(file);
    cr_assert_eq(fwrite(bytes, 1, count, file), count);
    cr_assert_eq(fclose(file), 0);
}

void onnx_maker_write(const onnx_maker *m, const char *path) {
    size_t bytes;
    uint8_t *packed = onnx_maker_pack(m, &bytes);
    onnx_maker_write_bytes(path, packed, bytes);
    free(packed);
}

qr_status onnx_maker_try(const onnx_maker *m, qr_onnx_graph **out, qr_error *error) {
    char path[] = "/tmp/querent-onnx-XXXXXX";
    const int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    onnx_maker_write(m, path);
    const qr_status status = qr_onnx_open(path, out, error);
    unlink(path);
    return status;
}

qr_onnx_graph *onnx_maker_open(const onnx_maker *m) {
    qr_onnx_graph *graph = NULL;
    qr_error error = {0};
    const qr_status status = onnx_maker_try(m, &graph, &error);
    cr_assert_eq(status, QR_OK, "%s", error.message);
    return graph;
}

size_t onnx_maker_value(const qr_onnx_graph *graph, const char *name) {
    for (size_t i = 0; i < graph->value_count; i++)
        if (strcmp(graph->values[i].name, name) == 0)
            return i;
    cr_assert(false, "no value %s", name);
    return QR_ONNX_NONE;
}
