/* tokenizer/windows.c: a context cut into overlapping parts, each beside the question. */
#include <stdlib.h>

#include "tokenizer/tokenizer_internal.h"

static qr_status grow(qr_windows *windows) {
    if (windows->len >= QR_LIMIT_WINDOWS)
        return QR_TOO_LONG;
    if (windows->len < windows->capacity)
        return QR_OK;
    size_t capacity = qr_max(4, windows->capacity * 2);
    qr_encoding *items = realloc(windows->items, capacity * sizeof *items);
    if (items == NULL)
        return QR_NO_MEMORY;
    memset(items + windows->capacity, 0, (capacity - windows->capacity) * sizeof *items);
    for (size_t i = windows->capacity; i < capacity; i++)
        items[i].quota = windows->context.quota;
    windows->items = items;
    windows->capacity = capacity;
    return QR_OK;
}

/* One window: the template with tokens [from, to) of the context, which stands at `cut`. */
static qr_status add_window(const qr__template *layout, int32_t cut, qr_windows *windows,
                            size_t from, size_t to) {
    qr_status status = grow(windows);
    if (status != QR_OK)
        return status;
    qr_encoding *out = &windows->items[windows->len++];
    out->len = 0;
    out->truncated = to - from < windows->context.len;
    for (size_t i = 0; i < layout->len && status == QR_OK; i++) {
        int32_t what = layout->pieces[i].what;
        size_t at = out->len;
        if (what == cut)
            status = qr__encoding_copy(out, &windows->context, from, to);
        else if (what == QR__PIECE_FIRST)
            status = qr__encoding_copy(out, &windows->question, 0, windows->question.len);
        else if ((status = qr__encoding_fit(out, 1)) == QR_OK)
            qr__encoding_push(out, what, 0, 0, QR_NO_WORD);
        qr__encoding_mark(out, at, layout->pieces[i].type, what >= 0);
    }
    return status;
}

/* How many windows there will be, of `max_tokens` each, is known before any is made: with a stride
 * of nearly a window, a text of a few kilobytes would become millions of tokens. */
static qr_status check_windows(size_t len, size_t room, size_t stride, size_t max_tokens) {
    size_t step = room - stride, windows = 1;
    if (len > room)
        windows += (len - room + step - 1) / step;
    return windows > QR_LIMIT_WINDOWS || windows > QR_LIMIT_WINDOW_TOKENS / max_tokens ? QR_TOO_LONG
                                                                                       : QR_OK;
}

/* Windows of `room` tokens of the context each, sharing `stride` of them. */
static qr_status cut_windows(const qr__template *layout, int32_t cut, size_t room, size_t stride,
                             size_t max_tokens, size_t most, qr_windows *out) {
    const size_t len = out->context.len;
    qr_status status = most == 1 ? QR_OK : check_windows(len, room, stride, max_tokens);
    for (size_t from = 0; status == QR_OK; from += room - stride) {
        size_t to = qr_min(len, from + room);
        status = add_window(layout, cut, out, from, to);
        if (to == len || out->len == most)
            break;
    }
    return status;
}

/* The context is tokenized once and cut by tokens; windows share `stride` of them. */
static qr_status encode_windows(const qr_tokenizer *tokenizer, qr_text question, qr_text context,
                                size_t max_tokens, size_t stride, qr_windows *out) {
    const bool same_question = out->same_question;
    const qr__template *layout = &tokenizer->pair;
    if (max_tokens < layout->specials)
        return QR_TOO_LONG;
    size_t room = max_tokens - layout->specials;
    qr_status status = QR_OK;
    if (!same_question) {
        out->question.len = 0;
        status = qr__encode_text(tokenizer, question, room, &out->question);
    }
    if (status == QR_OK)
        status = qr__encode_text(tokenizer, context, SIZE_MAX, &out->context);
    if (status != QR_OK)
        return status;
    size_t len = out->context.len;
    if (out->question.len + len <= room)
        return add_window(layout, QR__PIECE_SECOND, out, 0, len);
    if (out->question.len >= room || room - out->question.len <= stride)
        return QR_TOO_LONG; /* a window must move on by one token at least */
    return cut_windows(layout, QR__PIECE_SECOND, room - out->question.len, stride, max_tokens,
                       SIZE_MAX, out);
}

qr_status qr_tokenizer_encode_windows(const qr_tokenizer *tokenizer, qr_text question,
                                      qr_text context, size_t max_tokens, size_t stride,
                                      qr_windows *out) {
    out->len = out->context.len = 0;
    qr_status status = encode_windows(tokenizer, question, context, max_tokens, stride, out);
    out->same_question = false;
    if (status != QR_OK)
        out->len = 0;
    return status;
}

qr_status qr_tokenizer_encode_parts(const qr_tokenizer *tokenizer, qr_text text, size_t max_tokens,
                                    size_t stride, size_t most, qr_windows *out) {
    const qr__template *layout = &tokenizer->single;
    out->len = 0;
    out->question.len = out->context.len = 0;
    if (max_tokens < layout->specials || max_tokens - layout->specials <= stride)
        return QR_TOO_LONG;
    size_t room = max_tokens - layout->specials;
    qr_status status = qr__encode_text(tokenizer, text, most == 1 ? room : SIZE_MAX, &out->context);
    if (status == QR_OK)
        status = cut_windows(layout, QR__PIECE_FIRST, room, stride, max_tokens, most, out);
    if (status != QR_OK)
        out->len = 0;
    return status;
}

void qr_windows_deinit(qr_windows *windows) {
    if (windows == NULL)
        return;
    for (size_t i = 0; i < windows->capacity; i++)
        qr_encoding_deinit(&windows->items[i]);
    free(windows->items);
    qr_encoding_deinit(&windows->question);
    qr_encoding_deinit(&windows->context);
    *windows = (qr_windows){0};
}
