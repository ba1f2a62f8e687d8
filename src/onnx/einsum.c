/* onnx/einsum.c: the operator Einsum: a sum over all letters, one term a tensor. Read as written:
 * each number of the result is a sum over the letters that it does not name. */
#include "onnx/product.h"

#define LETTERS   QR_ONNX_RANK_MAX /* different ones in an equation, at most: twice this */
#define TERMS_MAX 4
#define DOTS      8 /* axes of "...", named '0' to '7' */

typedef struct equation {
    char letters[2 * LETTERS]; /* the result's, then those that are summed over */
    size_t sizes[2 * LETTERS];
    size_t count, kept;                    /* letters; of them the result's */
    size_t terms;                          /* = inputs */
    size_t steps[TERMS_MAX][2 * LETTERS];  /* numbers from one place of a letter to the next */
    char text[TERMS_MAX + 1][LETTERS + 1]; /* the terms' letters; the result's at last */
    bool is_explicit;
} equation;

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Writes the places of "..." at the end of a term: '7' for the last of `axes`, '6' before it. */
static bool write_dots(char *term, size_t *at, size_t axes) {
    if (axes > DOTS || *at + axes > LETTERS)
        return false;
    for (size_t i = 0; i < axes; i++)
        term[(*at)++] = (char)('0' + DOTS - axes + i);
    return true;
}

/* Axes of the input that "..." stands for in the term whose text begins here. */
static size_t dotted_axes(const qr_onnx_tensor *x, const char *text) {
    size_t letters = 0;
    for (; *text != '\0' && *text != ',' && *text != '-'; text++)
        letters += is_letter(*text);
    return x != NULL && x->rank > letters ? x->rank - letters : 0;
}

/* Cuts "ij, jk -> ik" into terms. False: it is not of this form. */
static bool cut(const char *text, const qr__op_call *call, equation *e) {
    size_t term = 0, at = 0, dots = 0;
    const char *start = text;
    for (; *text != '\0'; text++) {
        char *written = e->text[e->is_explicit ? TERMS_MAX : term];
        if (*text == ' ')
            continue;
        if (is_letter(*text) && at < LETTERS) {
            written[at++] = *text;
        } else if (*text == ',' && !e->is_explicit && term + 1 < TERMS_MAX) {
            term++;
            at = 0;
            start = text + 1;
        } else if (strncmp(text, "->", 2) == 0 && !e->is_explicit) {
            e->is_explicit = true;
            at = 0;
            text++;
        } else if (strncmp(text, "...", 3) == 0) {
            const size_t here = e->is_explicit ? dots : dotted_axes(qr__op_in(call, term), start);
            dots = qr_max(dots, here);
            if (!write_dots(written, &at, here))
                return false;
            text += 2;
        } else {
            return false;
        }
    }
    e->terms = term + 1;
    return true;
}

static size_t find(const equation *e, char letter) {
    for (size_t i = 0; i < e->count; i++)
        if (e->letters[i] == letter)
            return i;
    return QR_ONNX_NONE;
}

static size_t times_used(const equation *e, char letter) {
    size_t times = 0;
    for (size_t t = 0; t < e->terms; t++)
        for (const char *c = e->text[t]; *c != '\0'; c++)
            times += *c == letter;
    return times;
}

/* Without an arrow the result has the axes of "...", then the letters that occur once, in
 * alphabetical order. */
static bool imply_result(equation *e) {
    size_t at = 0;
    for (int c = '0'; c <= 'z'; c++) {
        const size_t times = times_used(e, (char)c);
        if (times == 0 || (is_letter((char)c) && times != 1))
            continue;
        if (at == LETTERS)
            return false;
        e->text[TERMS_MAX][at++] = (char)c;
    }
    return true;
}

/* Numbers the letters: the result's first. False: too many, or one stands twice in the result. */
static bool number_letters(equation *e) {
    for (const char *c = e->text[TERMS_MAX]; *c != '\0'; c++) {
        if (find(e, *c) != QR_ONNX_NONE || times_used(e, *c) == 0)
            return false;
        e->letters[e->count++] = *c;
    }
    e->kept = e->count;
    for (size_t t = 0; t < e->terms; t++)
        for (const char *c = e->text[t]; *c != '\0'; c++) {
            if (find(e, *c) != QR_ONNX_NONE)
                continue;
            if (e->count == sizeof e->letters)
                return false;
            e->letters[e->count++] = *c;
        }
    return true;
}

/* Takes sizes from the tensors; an axis of 1 is repeated. False: they do not fit. */
static bool measure(equation *e, const qr__op_call *call) {
    for (size_t i = 0; i < e->count; i++)
        e->sizes[i] = 1;
    for (size_t t = 0; t < e->terms; t++) {
        const qr_onnx_tensor *x = call->in[t];
        if (x == NULL || strlen(e->text[t]) != x->rank)
            return false;
        size_t step = 1;
        for (size_t axis = x->rank; axis > 0; axis--) {
            const size_t at = find(e, e->text[t][axis - 1]), size = x->shape[axis - 1];
            if (size != 1 && e->sizes[at] != 1 && e->sizes[at] != size)
                return false;
            if (size != 1) {
                e->sizes[at] = size;
                e->steps[t][at] += step;
            }
            step *= size;
        }
    }
    return true;
}

/* The offset in term `t` of place `at` among letters [from, to). */
static size_t offset(const equation *e, size_t t, size_t from, size_t to, size_t at) {
    size_t sum = 0;
    for (size_t i = to; i > from; i--) {
        sum += at % e->sizes[i - 1] * e->steps[t][i - 1];
        at /= e->sizes[i - 1];
    }
    return sum;
}

static float sum_at(const equation *e, const qr__op_call *call, size_t place, size_t summed) {
    size_t base[TERMS_MAX];
    double sum = 0;
    for (size_t t = 0; t < e->terms; t++)
        base[t] = offset(e, t, 0, e->kept, place);
    for (size_t s = 0; s < summed; s++) {
        double product = 1;
        for (size_t t = 0; t < e->terms; t++)
            product *= call->in[t]->floats[base[t] + offset(e, t, e->kept, e->count, s)];
        sum += product;
    }
    return (float)sum;
}

qr_status qr__op_einsum(qr__op_call *call) {
    equation e = {0};
    const char *text = qr_onnx_attribute_text(call->node, "equation", "");
    if (!cut(text, call, &e) || (!e.is_explicit && !imply_result(&e)) || !number_letters(&e) ||
        e.terms != call->ins)
        return qr__op_refuse(call, "the equation `%s` is not done", text);
    for (size_t t = 0; t < call->ins; t++)
        if (call->in[t] != NULL && !qr_onnx_is_float(call->in[t]->type))
            return qr__op_refuse(call, "it sums floats, not %s",
                                 qr_onnx_type_name(call->in[t]->type));
    if (!measure(&e, call))
        return qr__op_refuse(call, "the inputs' shapes do not fit the equation `%s`", text);
    size_t summed = 1;
    for (size_t i = e.kept; i < e.count; i++)
        if (!qr_checked_mul(summed, e.sizes[i], &summed))
            return qr__op_refuse(call, "the equation `%s` sums over too many numbers", text);
    qr_onnx_tensor *y = qr__op_out(call, 0, call->in[0]->type, e.kept, e.sizes);
    if (y == NULL)
        return qr__op_no_memory(call);
    if (!qr__op_spend(call, qr_saturating_mul(summed, y->count), QR__STEPS_LOOP * call->ins))
        return QR_BAD_MODEL;
    float *numbers = qr_onnx_floats(y);
    for (size_t i = 0; i < y->count; i++)
        numbers[i] = sum_at(&e, call, i, summed);
    qr__round_all(y);
    return QR_OK;
}
