/* recognise/masks.c: what a mask does to scores and states, which is held against the mask that was
 * fed. */
#include <math.h>

#include "engine/model/recognise/functions.h"
#include "engine/model/recognise/maps.h"
#include "engine/model/recognise/steps.h"

/* What a mask adds to scores: nothing for tokens, very much less for padding; *hidden: the least
 * of that. */
static bool mask_is_right(const qr__reading *r, const qr__term *scores, const int64_t *map,
                          const double *added, size_t count, double *hidden) {
    const size_t S = r->tokens;
    const int64_t *mask = qr__fed_mask(r);
    if (mask == NULL)
        return false;
    *hidden = -INFINITY;
    for (size_t i = 0; i < count; i++) {
        const size_t place = (size_t)map[i];
        const size_t row = place / S;
        const size_t b = scores->slots[row / S].batch;
        if (mask[b * S + row % S] == 0)
            continue; /* what padding asks does not matter */
        const bool token = mask[b * S + place % S] != 0;
        if (token ? fabs(added[i]) > 1e-6 : !(added[i] <= QR__MASK_HIDES))
            return false;
        if (!token)
            *hidden = fmax(*hidden, added[i]);
    }
    return true;
}

qr__view qr__mask_scores(qr__reading *r, size_t node, const qr__view *view, const int64_t *map,
                         const double *added, size_t count) {
    double scale = 1;
    if (qr__function_name(view->function, &scale) != QR__FN_SCALED)
        return qr__unknown(r, node, "scores that are scaled and masked, and no more");
    bool nothing = true;
    for (size_t i = 0; i < count && nothing; i++)
        nothing = added[i] == 0;
    if (nothing)
        return (qr__view){view->term, map, view->function};
    double hidden = 0;
    if (!mask_is_right(r, view->term, map, added, count, &hidden))
        return qr__unknown(r, node, "a mask that adds 0 for tokens and -10000 or less for padding");
    qr__term *scores = qr__term_copy(r, view->term, node);
    if (r->no_memory)
        return (qr__view){.term = scores};
    scores->hidden = hidden / scale; /* what follows scales both */
    scores->masked = true;
    return (qr__view){scores, map, view->function};
}

/* Where(condition, x, y) with a known condition: a mask, or padding that is made very small. */
static qr__view choose(qr__reading *r, const qr_onnx_node *node, size_t number, bool view_first) {
    const qr_onnx_tensor *like = qr__tensor_of(r, node->outputs[0]);
    const size_t at = view_first ? 1 : 2;
    const qr__view *view = qr__input_view(r, node, at);
    int64_t *map = qr__map_expand(r, view, qr__input_tensor(r, node, at), like);
    double *chosen = qr__numbers_expand(r, qr__input_tensor(r, node, 0), like);
    double *other = qr__numbers_expand(r, qr__input_tensor(r, node, 3 - at), like);
    if (map == NULL || chosen == NULL || other == NULL)
        return qr__unknown(r, number, "shapes that fit");
    bool all = true;
    bool small = true;
    for (size_t i = 0; i < like->count; i++) {
        const bool taken = (chosen[i] != 0) == view_first;
        all = all && taken;
        small = small && (taken || other[i] <= -1e4);
        chosen[i] = taken;
        other[i] = taken ? 0 : other[i];
    }
    if (all)
        return (qr__view){view->term, map, view->function};
    if (view->term->kind == QR__TERM_SCORES)
        return qr__mask_scores(r, number, view, map, other, like->count);
    double *by_row = NULL;
    qr__spread spread = qr__spread_of(r, view->term, map, chosen, like->count, 1, &by_row);
    if (view->function != NULL || view->term->kind != QR__TERM_NORM || spread != QR__BY_ROW)
        return qr__unknown(r, number, "a mask on scores, or on the last layer's states");
    if (!small)
        for (size_t i = 0; i < like->count; i++)
            if (other[i] != 0)
                return qr__unknown(r, number, "padding that becomes 0 or -10000 and less");
    qr__term *term = qr__term_create(r, small ? QR__TERM_FILLED : QR__TERM_WEIGHTED, number,
                                     view->term->rows, view->term->cols);
    if (r->no_memory)
        return (qr__view){.term = term};
    term->of = view->term;
    term->weights = by_row;
    return (qr__view){.term = term, .map = map};
}

void qr__read_where(qr__reading *r, const qr_onnx_node *node, size_t number) {
    qr__view out = qr__unknown(r, number, "a mask");
    const bool known = qr__input_known(r, node, 0);
    if (known && !qr__input_known(r, node, 1) && qr__input_known(r, node, 2)) {
        out = choose(r, node, number, true);
    } else if (known && qr__input_known(r, node, 1) && !qr__input_known(r, node, 2)) {
        out = choose(r, node, number, false);
    } else if (!known && qr__input_view(r, node, 0)->term->kind == QR__TERM_NAN_CHECK &&
               !qr__input_known(r, node, 2)) {
        const qr__view *kept = qr__input_view(r, node, 2); /* what is no number becomes one */
        if (qr__input_view(r, node, 0)->term->of == kept->term)
            out = *kept;
    }
    qr__output_set(r, node, 0, out);
}
