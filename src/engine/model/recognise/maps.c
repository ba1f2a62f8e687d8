/* recognise/maps.c: where a value's numbers stand in the term that it is a view of. */
#include <stdlib.h>

#include "engine/model/recognise/maps.h"
#include "engine/model/recognise/reading.h"

/* steps[axis of like]: how far the operand's number moves; false: the shapes do not fit. */
static bool broadcast_steps(const qr_onnx_tensor *from, const qr_onnx_tensor *like,
                            size_t steps[QR_ONNX_RANK_MAX]) {
    if (from->rank > like->rank)
        return false;
    size_t step = 1;
    for (size_t i = 0; i < like->rank; i++) { /* from the last axis on */
        size_t axis = like->rank - 1 - i;
        steps[axis] = 0;
        if (i >= from->rank)
            continue;
        size_t size = from->shape[from->rank - 1 - i];
        if (size != 1 && size != like->shape[axis])
            return false;
        if (size != 1)
            steps[axis] = step;
        step *= size;
    }
    return true;
}

/* at[i] becomes the number of `from` that number i of `like` is made of. */
static int64_t *broadcast_places(qr__reading *r, const qr_onnx_tensor *from,
                                 const qr_onnx_tensor *like) {
    size_t steps[QR_ONNX_RANK_MAX];
    size_t index[QR_ONNX_RANK_MAX] = {0};
    if (!broadcast_steps(from, like, steps))
        return NULL;
    int64_t *places = qr__reading_take(r, like->count, sizeof *places);
    if (places == NULL)
        return NULL;
    size_t place = 0;
    for (size_t i = 0; i < like->count; i++) {
        places[i] = (int64_t)place;
        for (size_t axis = like->rank; axis-- > 0;) {
            place += steps[axis];
            if (++index[axis] < like->shape[axis])
                break;
            place -= steps[axis] * like->shape[axis];
            index[axis] = 0;
        }
    }
    return places;
}

int64_t *qr__map_expand(qr__reading *r, const qr__view *view, const qr_onnx_tensor *shape_of,
                        const qr_onnx_tensor *like) {
    int64_t *places = broadcast_places(r, shape_of, like);
    if (places != NULL && view->map != NULL)
        for (size_t i = 0; i < like->count; i++)
            places[i] = view->map[places[i]];
    return places;
}

double *qr__numbers_expand(qr__reading *r, const qr_onnx_tensor *known,
                           const qr_onnx_tensor *like) {
    int64_t *places = broadcast_places(r, known, like);
    double *numbers = qr__reading_take(r, like->count, sizeof *numbers);
    if (places == NULL || numbers == NULL)
        return NULL;
    for (size_t i = 0; i < like->count; i++)
        numbers[i] = qr__number(known, (size_t)places[i]);
    return numbers;
}

/* The view's map as a tensor of the value's shape. NULL: no memory. */
static qr_onnx_tensor *map_tensor(qr__reading *r, const int64_t *map, const qr_onnx_tensor *like) {
    qr_onnx_tensor *tensor = qr_onnx_tensor_create(QR_ONNX_INT64, like->rank, like->shape);
    if (tensor == NULL) {
        r->no_memory = true;
        return NULL;
    }
    int64_t *longs = qr_onnx_longs(tensor);
    for (size_t i = 0; i < tensor->count; i++)
        longs[i] = map == NULL ? (int64_t)i : map[i];
    return tensor;
}

static int64_t *take_map(qr__reading *r, const qr_onnx_tensor *tensor) {
    int64_t *map = qr__reading_take(r, tensor->count, sizeof *map);
    if (map != NULL)
        for (size_t i = 0; i < tensor->count; i++)
            map[i] = qr_onnx_int(tensor, i);
    return map;
}

/* Runs the node with maps in place of the views among its inputs; outputs as qr_onnx_apply. */
static bool apply_to_maps(qr__reading *r, const qr_onnx_node *node, int64_t *const *maps,
                          qr_onnx_tensor **outputs) {
    qr_onnx_tensor **inputs = qr__reading_take(r, node->input_count, sizeof *inputs);
    qr_onnx_tensor **made = qr__reading_take(r, node->input_count, sizeof *made);
    bool fits = inputs != NULL && made != NULL;
    for (size_t i = 0; fits && i < node->input_count; i++) {
        if (!qr__has_input(node, i))
            continue;
        const qr_onnx_tensor *tensor = qr__input_tensor(r, node, i);
        if (tensor == NULL)
            fits = false;
        else if (maps[i] != NULL)
            fits = (inputs[i] = made[i] = map_tensor(r, maps[i], tensor)) != NULL;
        else
            inputs[i] = (qr_onnx_tensor *)(uintptr_t)tensor; /* operators do not write to these */
    }
    if (fits) {
        qr_error ignored = {0};
        const qr_status status = qr_onnx_apply(r->graph, node, inputs, false, outputs, &ignored);
        r->no_memory = r->no_memory || status == QR_NO_MEMORY;
        fits = status == QR_OK;
    }
    for (size_t i = 0; made != NULL && i < node->input_count; i++)
        qr_onnx_tensor_destroy(made[i]);
    return fits;
}

/* Operators that only move their first input's numbers (Concat: all of its inputs'), or repeat or
 * leave out some. */
static bool is_move(const qr_onnx_node *node) {
    static const char *const names[] = {
        "Reshape", "Transpose", "Squeeze", "Unsqueeze",      "Flatten",  "Expand", "Split",
        "Slice",   "Gather",    "Tile",    "GatherElements", "GatherND", "Concat"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(node->op, names[i]) == 0 && node->domain[0] == '\0')
            return true;
    return false;
}

/* Identity, and what makes numbers of the same kind. */
static bool is_pass(const qr_onnx_node *node) {
    return node->domain[0] == '\0' &&
           (strcmp(node->op, "Identity") == 0 || strcmp(node->op, "Dropout") == 0 ||
            strcmp(node->op, "Cast") == 0 || strcmp(node->op, "CastLike") == 0);
}

/* Concat of views of different terms: poolings side by side. */
static qr__view concat_terms(qr__reading *r, const qr_onnx_node *node, size_t number) {
    const qr_onnx_tensor *whole = qr__tensor_of(r, node->outputs[0]);
    if (node->input_count > QR_POOLINGS || whole->rank != 2)
        return qr__unknown(r, number, "parts of one matrix, or pooled vectors, side by side");
    qr__term *concat =
        qr__term_create(r, QR__TERM_CONCAT, number, whole->shape[0], whole->shape[1]);
    concat->part_views = qr__reading_take(r, node->input_count, sizeof *concat->part_views);
    if (r->no_memory)
        return (qr__view){.term = concat};
    concat->part_count = node->input_count;
    size_t width = 0;
    for (size_t i = 0; i < node->input_count; i++) {
        const qr_onnx_tensor *part = qr__input_tensor(r, node, i);
        if (qr__input_known(r, node, i) || part->rank != 2 || part->shape[0] != whole->shape[0])
            return qr__unknown(r, number, "pooled vectors, side by side");
        concat->part_views[i] = *qr__input_view(r, node, i);
        width += part->shape[1];
    }
    if (width != whole->shape[1])
        return qr__unknown(r, number, "pooled vectors, side by side");
    return (qr__view){.term = concat};
}

static void set_all(qr__reading *r, const qr_onnx_node *node, qr__view view) {
    for (size_t o = 0; o < node->output_count; o++)
        qr__output_set(r, node, o, view);
}

static void move_maps(qr__reading *r, const qr_onnx_node *node, size_t number) {
    const bool concat = strcmp(node->op, "Concat") == 0;
    const qr__view first = *qr__input_view(r, node, 0);
    int64_t **maps = qr__reading_take(r, node->input_count, sizeof *maps);
    qr_onnx_tensor **outputs = qr__reading_take(r, node->output_count, sizeof *outputs);
    if (maps == NULL || outputs == NULL)
        return;
    for (size_t i = 0; i < (concat ? node->input_count : 1); i++) {
        const qr_onnx_tensor *tensor = qr__input_tensor(r, node, i);
        const qr__view *view = qr__input_view(r, node, i);
        if (concat && (qr__input_known(r, node, i) || view->term != first.term ||
                       view->function != first.function)) {
            set_all(r, node, concat_terms(r, node, number));
            return;
        }
        maps[i] = qr__map_expand(r, view, tensor, tensor);
        if (maps[i] == NULL)
            return;
    }
    if (!apply_to_maps(r, node, maps, outputs)) {
        set_all(r, node, qr__unknown(r, number, "a movement of numbers that can be followed"));
        return;
    }
    for (size_t o = 0; o < node->output_count; o++) {
        if (outputs[o] == NULL)
            continue;
        const qr__view moved = {first.term, take_map(r, outputs[o]), first.function};
        if (moved.map != NULL)
            qr__output_set(r, node, o, moved);
        qr_onnx_tensor_destroy(outputs[o]);
    }
}

void qr__move(qr__reading *r, const qr_onnx_node *node, size_t number) {
    if (is_pass(node)) {
        const qr_onnx_tensor *out = qr__tensor_of(r, node->outputs[0]);
        const qr__view view = *qr__input_view(r, node, 0);
        bool counts = view.term->kind == QR__TERM_ZERO || view.term->kind == QR__TERM_NAN_CHECK ||
                      view.term->kind == QR__TERM_EMBEDDED;
        if (!counts && out != NULL && !qr_onnx_is_float(out->type))
            set_all(r, node, qr__unknown(r, number, "a type for numbers with a fraction"));
        else
            qr__output_set(r, node, 0, view);
        return;
    }
    if (is_move(node) && !qr__input_known(r, node, 0)) {
        for (size_t i = 1; i < node->input_count && strcmp(node->op, "Concat") != 0; i++)
            if (qr__has_input(node, i) && !qr__input_known(r, node, i)) {
                set_all(r, node,
                        qr__unknown(r, number,
                                    "shapes and indices that do not depend on "
                                    "the model's states"));
                return;
            }
        move_maps(r, node, number);
        return;
    }
    if (strcmp(node->op, "Concat") == 0)
        set_all(r, node, concat_terms(r, node, number));
    else
        set_all(r, node, qr__unknown(r, number, "an operator that a BERT has here"));
}

int64_t *qr__map_to_constant(qr__reading *r, size_t value, const qr_onnx_tensor **constant) {
    const qr_onnx_value *about = &r->graph->values[value];
    const qr_onnx_tensor *tensor = qr__tensor_of(r, value);
    if (tensor == NULL || !r->values[value].known)
        return NULL;
    if (about->constant != NULL) {
        const qr__view whole = {0};
        *constant = about->constant;
        return qr__map_expand(r, &whole, tensor, tensor);
    }
    if (about->producer == QR_ONNX_NONE)
        return NULL;
    const qr_onnx_node *node = &r->graph->nodes[about->producer];
    if ((!is_move(node) && !is_pass(node)) || strcmp(node->op, "Concat") == 0)
        return NULL;
    int64_t **maps = qr__reading_take(r, node->input_count, sizeof *maps);
    qr_onnx_tensor **outputs = qr__reading_take(r, node->output_count, sizeof *outputs);
    if (maps == NULL || outputs == NULL ||
        (maps[0] = qr__map_to_constant(r, node->inputs[0], constant)) == NULL)
        return NULL;
    if (is_pass(node))
        return maps[0];
    int64_t *map = NULL;
    if (!apply_to_maps(r, node, maps, outputs))
        return NULL;
    for (size_t o = 0; o < node->output_count; o++) {
        if (outputs[o] != NULL && node->outputs[o] == value)
            map = take_map(r, outputs[o]);
        qr_onnx_tensor_destroy(outputs[o]);
    }
    return map;
}

/* Whether the numbers are one for each `unit`; fills out. */
static bool one_for_each(const int64_t *map, const double *numbers, size_t count, size_t cols,
                         bool by_row, double *out, uint8_t *seen) {
    for (size_t i = 0; i < count; i++) {
        size_t at = by_row ? (size_t)map[i] / cols : (size_t)map[i] % cols;
        if (seen[at] && out[at] != numbers[i])
            return false;
        seen[at] = 1;
        out[at] = numbers[i];
    }
    return true;
}

qr__spread qr__spread_of(qr__reading *r, const qr__term *term, const int64_t *map,
                         const double *numbers, size_t count, double otherwise, double **out) {
    size_t most = qr_max(term->rows, term->cols);
    double *values = qr__reading_take(r, most, sizeof *values);
    uint8_t *seen = qr__reading_take(r, most, 1);
    *out = values;
    if (values == NULL || seen == NULL || count == 0)
        return QR__BY_NOTHING;
    size_t i = 1;
    while (i < count && numbers[i] == numbers[0])
        i++;
    if (i == count) {
        values[0] = numbers[0];
        return QR__UNIFORM;
    }
    for (int by_row = 0; by_row < 2; by_row++) {
        for (size_t at = 0; at < most; at++) {
            values[at] = otherwise;
            seen[at] = 0;
        }
        if (one_for_each(map, numbers, count, term->cols, by_row, values, seen))
            return by_row ? QR__BY_ROW : QR__BY_COLUMN;
    }
    return QR__BY_NOTHING;
}

bool qr__rows_and_columns(qr__reading *r, const qr__view *view, size_t rows, size_t depth,
                          uint32_t **row_of, uint32_t **col_of) {
    const size_t cols = view->term->cols;
    *row_of = qr__reading_take(r, rows, sizeof **row_of);
    *col_of = qr__reading_take(r, depth, sizeof **col_of);
    if (*row_of == NULL || *col_of == NULL)
        return false;
    if (view->map == NULL && cols != depth)
        return false;
    for (size_t i = 0; i < rows; i++) {
        for (size_t k = 0; k < depth; k++) {
            size_t place = qr__place(view, i * depth + k);
            if (k == 0)
                (*row_of)[i] = (uint32_t)(place / cols);
            if (i == 0)
                (*col_of)[k] = (uint32_t)(place % cols);
            if (place != (size_t)(*row_of)[i] * cols + (*col_of)[k])
                return false;
        }
    }
    return true;
}
