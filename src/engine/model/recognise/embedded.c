/* recognise/embedded.c: sums of tables' rows: of words, positions and segments, in any order. */
#include "engine/model/recognise/maps.h"
#include "engine/model/recognise/steps.h"

qr__view qr__embedded_with_known(qr__reading *r, size_t node, const char *op, const qr__view *view,
                                 const qr_onnx_tensor *shape, size_t known_value,
                                 const qr_onnx_tensor *like) {
    qr__term *sum = qr__term_copy(r, view->term, node);
    int64_t *map = qr__map_expand(r, view, shape, like);
    const size_t cols = sum->cols;
    const size_t rows = like->count / cols;
    if (r->no_memory || map == NULL || like->count % cols != 0)
        return qr__unknown(r, node, "rows of embeddings");
    for (size_t l = 0; l < sum->lookup_count; l++) { /* the sum's rows as they are repeated */
        int64_t *row = qr__reading_take(r, rows, sizeof *row);
        for (size_t i = 0; row != NULL && i < rows; i++)
            row[i] = sum->lookups[l].row[(size_t)map[i * cols] / cols];
        sum->lookups[l].row = row;
    }
    sum->rows = rows;
    const bool subtracts = strcmp(op, "Sub") == 0;
    if (strcmp(op, "Add") == 0 || subtracts) {
        const qr_onnx_tensor *table = NULL;
        const qr_onnx_tensor *known = qr__tensor_of(r, known_value);
        int64_t *places = qr__map_to_constant(r, known_value, &table);
        if (places == NULL || table->rank == 0 || table->shape[table->rank - 1] != cols ||
            sum->lookup_count == QR__LOOKUPS_MAX)
            return qr__unknown(r, node, "a table of embeddings for what is added");
        const qr__view at = {.term = NULL, .map = places};
        int64_t *spread = qr__map_expand(r, &at, known, like);
        qr__lookup *lookup = &sum->lookups[sum->lookup_count++];
        *lookup =
            (qr__lookup){.table = table, .row = qr__reading_take(r, rows, sizeof *lookup->row)};
        for (size_t i = 0; spread != NULL && lookup->row != NULL && i < like->count; i++) {
            if ((size_t)spread[i] % cols != i % cols)
                return qr__unknown(r, node, "whole rows of a table");
            lookup->row[i / cols] = spread[i] / (int64_t)cols;
        }
        if (subtracts && (lookup->scale = qr__reading_take(r, cols, sizeof(float))) != NULL)
            for (size_t c = 0; c < cols; c++)
                lookup->scale[c] = -1;
        return (qr__view){.term = sum};
    }
    double *numbers = qr__numbers_expand(r, qr__tensor_of(r, known_value), like);
    double *scale = NULL;
    if (strcmp(op, "Mul") != 0 || numbers == NULL)
        return qr__unknown(r, node, "a sum of embeddings");
    int64_t *plain = qr__reading_take(r, like->count, sizeof *plain);
    for (size_t i = 0; plain != NULL && i < like->count; i++)
        plain[i] = (int64_t)i;
    qr__spread spread = qr__spread_of(r, sum, plain, numbers, like->count, 1, &scale);
    if (spread != QR__UNIFORM && spread != QR__BY_COLUMN)
        return qr__unknown(r, node, "one scale for a table, or one for each of its columns");
    for (size_t l = 0; l < sum->lookup_count; l++) {
        float *scales = qr__reading_take(r, cols, sizeof *scales);
        for (size_t c = 0; scales != NULL && c < cols; c++)
            scales[c] = (float)(scale[spread == QR__UNIFORM ? 0 : c] *
                                (sum->lookups[l].scale == NULL ? 1 : sum->lookups[l].scale[c]));
        sum->lookups[l].scale = scales;
    }
    return (qr__view){.term = sum};
}

qr__view qr__embedded_sum(qr__reading *r, size_t node, const qr__view *a, const qr__view *b,
                          const int64_t *map_a, const int64_t *map_b, size_t count) {
    const size_t cols = a->term->cols;
    if (cols != b->term->cols || count % cols != 0 ||
        a->term->lookup_count + b->term->lookup_count > QR__LOOKUPS_MAX)
        return qr__unknown(r, node, "tables of embeddings of one width");
    qr__term *sum = qr__term_create(r, QR__TERM_EMBEDDED, node, count / cols, cols);
    for (size_t side = 0; side < 2 && !r->no_memory; side++) {
        const qr__term *term = side == 0 ? a->term : b->term;
        const int64_t *map = side == 0 ? map_a : map_b;
        for (size_t i = 0; i < count; i++)
            if ((size_t)map[i] % cols != i % cols)
                return qr__unknown(r, node, "whole rows of embeddings");
        for (size_t l = 0; l < term->lookup_count; l++) {
            qr__lookup *lookup = &sum->lookups[sum->lookup_count++];
            *lookup = term->lookups[l];
            lookup->row = qr__reading_take(r, sum->rows, sizeof *lookup->row);
            for (size_t i = 0; lookup->row != NULL && i < sum->rows; i++)
                lookup->row[i] = term->lookups[l].row[(size_t)map[i * cols] / cols];
        }
    }
    return (qr__view){.term = sum};
}
