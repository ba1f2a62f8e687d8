/* tokenizer/added.c: leftmost-longest search over a sorted list of patterns.
 *
 * Models have a handful of added tokens, mostly "[...]": a byte table (or memchr, when all begin
 * alike) finds the candidates, bisection narrows them byte by byte, so a long list costs no more
 * than the length of the match.
 */
#include "tokenizer/added.h"

#include <stdlib.h>

#include "tokenizer/unicode.h"

void qr__patterns_deinit(qr__patterns *patterns) {
    for (size_t i = 0; i < patterns->len; i++)
        free(patterns->items[i].text);
    free(patterns->items);
    *patterns = (qr__patterns){0};
}

bool qr__patterns_add(qr__patterns *patterns, qr_text text, int32_t id,
                      const qr__added_token *token) {
    if (patterns->len == patterns->capacity) {
        size_t capacity = qr_max(16, patterns->capacity * 2);
        qr__pattern *items = realloc(patterns->items, capacity * sizeof *items);
        if (items == NULL)
            return false;
        patterns->items = items;
        patterns->capacity = capacity;
    }
    char *copy = malloc(text.len + 1);
    if (copy == NULL)
        return false;
    memcpy(copy, text.data, text.len);
    patterns->items[patterns->len] = (qr__pattern){
        .text = copy,
        .len = text.len,
        .id = id,
        .order = (uint32_t)patterns->len,
        .single_word = token->single_word,
        .lstrip = token->lstrip,
        .rstrip = token->rstrip,
    };
    patterns->len++;
    return true;
}

/* Byte order, as the bisection needs it; of equal texts the one that was added first comes
 * first. */
static int by_text(const void *a, const void *b) {
    const qr__pattern *x = a, *y = b;
    int order = memcmp(x->text, y->text, qr_min(x->len, y->len));
    if (order != 0)
        return order;
    if (x->len != y->len)
        return x->len < y->len ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static void drop_repeated(qr__patterns *patterns) {
    size_t kept = 0;
    for (size_t i = 0; i < patterns->len; i++) {
        qr__pattern *item = &patterns->items[i];
        if (kept > 0 && patterns->items[kept - 1].len == item->len &&
            memcmp(patterns->items[kept - 1].text, item->text, item->len) == 0)
            free(item->text);
        else
            patterns->items[kept++] = *item;
    }
    patterns->len = kept;
}

void qr__patterns_seal(qr__patterns *patterns) {
    if (patterns->len > 0)
        qsort(patterns->items, patterns->len, sizeof *patterns->items, by_text);
    drop_repeated(patterns);
    size_t at = 0;
    for (unsigned byte = 0; byte <= 256; byte++) {
        while (at < patterns->len && (uint8_t)patterns->items[at].text[0] < byte)
            at++;
        patterns->first_at[byte] = (uint32_t)at;
    }
    patterns->only_first = -1;
    if (patterns->len > 0 &&
        patterns->items[0].text[0] == patterns->items[patterns->len - 1].text[0])
        patterns->only_first = (uint8_t)patterns->items[0].text[0];
}

/* The longest pattern that the text has at `at`. */
static const qr__pattern *match_at(const qr__patterns *patterns, qr_text text, size_t at) {
    uint8_t byte = (uint8_t)text.data[at];
    size_t low = patterns->first_at[byte], high = patterns->first_at[byte + 1];
    const qr__pattern *best = NULL;
    /* All of [low, high) agree with the text in their first `depth` bytes. */
    for (size_t depth = 1; low < high; depth++) {
        if (patterns->items[low].len == depth)
            best = &patterns->items[low++];
        if (at + depth >= text.len)
            break;
        uint8_t next = (uint8_t)text.data[at + depth];
        size_t from = low, to = high;
        while (from < to) { /* the first with a byte >= next */
            size_t middle = from + (to - from) / 2;
            if ((uint8_t)patterns->items[middle].text[depth] < next)
                from = middle + 1;
            else
                to = middle;
        }
        low = from;
        to = high;
        while (from < to) { /* the first with a byte > next */
            size_t middle = from + (to - from) / 2;
            if ((uint8_t)patterns->items[middle].text[depth] <= next)
                from = middle + 1;
            else
                to = middle;
        }
        high = from;
    }
    return best;
}

/* The next byte with which a pattern begins. */
static size_t next_candidate(const qr__patterns *patterns, qr_text text, size_t at) {
    if (at >= text.len)
        return text.len;
    if (patterns->only_first >= 0) {
        const char *found = memchr(text.data + at, patterns->only_first, text.len - at);
        return found == NULL ? text.len : (size_t)(found - text.data);
    }
    for (; at < text.len; at++) {
        uint8_t byte = (uint8_t)text.data[at];
        if (patterns->first_at[byte] != patterns->first_at[byte + 1])
            break;
    }
    return at;
}

/* The code point that ends at `at` (> 0) and where it begins; invalid bytes read as U+FFFD. */
static uint32_t char_before(qr_text text, size_t at, size_t *begin) {
    size_t low = at > 4 ? at - 4 : 0;
    for (size_t from = at - 1;; from--) {
        size_t bytes;
        uint32_t code = qr_utf8_decode(text, from, &bytes);
        if (code != 0xFFFD && from + bytes == at) {
            *begin = from;
            return code;
        }
        if (from == low)
            break;
    }
    *begin = at - 1;
    return 0xFFFD;
}

static bool has(uint32_t code, unsigned flag) {
    return (qr__unicode_flags(code) & flag) != 0;
}

/* single_word: no letter, digit or underscore may touch the match. */
static bool stands_alone(qr_text text, size_t begin, size_t end) {
    size_t ignored;
    if (begin > 0 && has(char_before(text, begin, &ignored), QR__WORD))
        return false;
    return end == text.len || !has(qr_utf8_decode(text, end, &ignored), QR__WORD);
}

static size_t skip_space_left(qr_text text, size_t begin, size_t low) {
    size_t before;
    while (begin > low && has(char_before(text, begin, &before), QR__SPACE))
        begin = before;
    return begin;
}

static size_t skip_space_right(qr_text text, size_t end) {
    size_t bytes;
    while (end < text.len && has(qr_utf8_decode(text, end, &bytes), QR__SPACE))
        end += bytes;
    return end;
}

bool qr__pattern_search_next(qr__pattern_search *search, qr__match *out) {
    const qr__patterns *patterns = search->patterns;
    qr_text text = search->text;
    if (patterns->len == 0)
        return false;
    while ((search->at = next_candidate(patterns, text, search->at)) < text.len) {
        const qr__pattern *found = match_at(patterns, text, search->at);
        if (found == NULL) {
            search->at++;
            continue;
        }
        size_t begin = search->at, end = begin + found->len;
        search->at = end; /* the next search starts here even where rstrip reaches further */
        if (found->single_word && !stands_alone(text, begin, end))
            continue;
        if (found->lstrip)
            begin = qr_max(skip_space_left(text, begin, search->done), search->done);
        if (found->rstrip)
            end = skip_space_right(text, end);
        if (begin >= end)
            continue;
        search->done = end;
        *out = (qr__match){begin, end, found->id};
        return true;
    }
    return false;
}
