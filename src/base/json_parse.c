/* base/json_parse.c: every piece that jansson takes has a link before it, so that a parse that is
 * left halfway can give them back. Links of a tree that is whole are looked at no more. */
#include "base/json_parse.h"

#include <jansson.h>
#include <setjmp.h>
#include <string.h>

#include "base/checked.h"
#include "base/list.h"

typedef struct parse {
    jmp_buf full;
    qr_link pieces;
} parse;

static _Thread_local parse *under_way;
static json_malloc_t malloc_below; /* NULL: there is no guard */
static json_free_t free_below;

static void *take(size_t bytes) {
    size_t all;
    qr_link *piece =
        qr_checked_add(bytes, sizeof *piece, &all) ? (qr_link *)malloc_below(all) : NULL;
    if (under_way != NULL) {
        if (piece == NULL)
            longjmp(under_way->full, 1);
        qr_list_append(&under_way->pieces, piece);
    }
    return piece == NULL ? NULL : piece + 1;
}

static void give(void *data) {
    if (data == NULL)
        return;
    qr_link *piece = (qr_link *)data - 1;
    if (under_way != NULL)
        qr_list_remove(piece);
    free_below(piece);
}

void qr_json_guard_memory(void) {
    if (malloc_below != NULL)
        return;
    json_get_alloc_funcs(&malloc_below, &free_below);
    json_set_alloc_funcs(take, give);
}

/* NULL, and *full: memory ended. */
static json_t *load(parse *p, qr_text text, size_t flags, json_error_t *error, bool *full) {
    if (setjmp(p->full) != 0) {
        for (qr_link *piece; (piece = qr_list_first(&p->pieces)) != NULL;) {
            qr_list_remove(piece);
            free_below(piece);
        }
        *full = true;
        return NULL;
    }
    return json_loadb(text.data, text.len, flags, error);
}

/* Without a guard jansson takes a token that it had no memory for as a fault of the text. Such a
 * fault is not there, or not at the same place, when the text is read again. */
static json_t *load_again(qr_text text, size_t flags, json_error_t *error, bool *full) {
    const json_error_t first = *error;
    json_t *root = json_loadb(text.data, text.len, flags, error);
    *full = root == NULL && (first.position != error->position || strcmp(first.text, error->text));
    return root;
}

qr_status qr_json_parse(qr_text text, size_t flags, json_t **out, json_error_t *error) {
    parse p = {0};
    bool full = false;
    qr_list_init(&p.pieces);
    under_way = malloc_below == NULL ? NULL : &p;
    *out = load(&p, text, flags, error, &full);
    under_way = NULL;
    if (*out == NULL && malloc_below == NULL)
        *out = load_again(text, flags, error, &full);
    if (*out != NULL)
        return QR_OK;
    /* Without a guard: of memory jansson has a word of its own, or none. */
    return full || error->text[0] == '\0' || json_error_code(error) == json_error_out_of_memory
               ? QR_NO_MEMORY
               : QR_BAD_JSON;
}
