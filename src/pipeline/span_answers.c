/* pipeline/span_answers.c: spans of the same text become one answer.
 *
 * Texts are compared in lower case, over all windows, by a hash table that is sized once: the
 * number of candidates is known. The earlier span keeps its place in the text and its place among
 * ties; scores add up in double, in order of arrival.
 */
#include <stdlib.h>

#include "pipeline/span_rules.h"

typedef struct answer {
    double score;
    uint64_t hash; /* of the text in lower case */
    size_t begin_byte, end_byte;
    size_t arrival;
} answer;

struct qr__answers {
    qr_text context;
    answer *items; /* [capacity + 1]: room for the empty answer */
    size_t len, capacity;
    uint32_t *slots; /* [slots_mask + 1], open addressing: index + 1 into items, 0 when free */
    size_t slots_mask;
    qr_buf lower, other; /* scratch */
};

qr_status qr__answers_create(qr_text context, size_t capacity, qr__answers **out) {
    *out = NULL;
    size_t slots = 16;
    while (slots < 2 * capacity)
        slots *= 2;
    qr__answers *answers = calloc(1, sizeof *answers);
    if (answers == NULL)
        return QR_NO_MEMORY;
    /* Lower case grows a text by half at most (U+0130: two bytes become three). */
    qr_buf_init(&answers->lower, context.len + context.len / 2 + 4);
    qr_buf_init(&answers->other, context.len + context.len / 2 + 4);
    answers->context = context;
    answers->capacity = capacity;
    answers->slots_mask = slots - 1;
    answers->items = calloc(capacity + 1, sizeof *answers->items);
    answers->slots = calloc(slots, sizeof *answers->slots);
    if (answers->items == NULL || answers->slots == NULL) {
        qr__answers_destroy(answers);
        return QR_NO_MEMORY;
    }
    *out = answers;
    return QR_OK;
}

void qr__answers_destroy(qr__answers *answers) {
    if (answers == NULL)
        return;
    qr_buf_deinit(&answers->lower);
    qr_buf_deinit(&answers->other);
    free(answers->items);
    free(answers->slots);
    free(answers);
}

static void lower_span(const qr__answers *answers, size_t begin_byte, size_t end_byte,
                       qr_buf *out) {
    qr_buf_reset(out);
    qr_unicode_lower((qr_text){answers->context.data + begin_byte, end_byte - begin_byte}, out);
}

/* FNV-1a, then a mix: the table uses the low bits. */
static uint64_t hash_of(const qr_buf *text) {
    uint64_t hash = 0xCBF29CE484222325u;
    for (size_t i = 0; i < text->len; i++)
        hash = (hash ^ (uint8_t)text->data[i]) * 0x100000001B3u;
    return hash ^ hash >> 32;
}

/* Only after the hashes agree: lowering a text again costs less than keeping all of them. */
static bool same_text(qr__answers *answers, const answer *item) {
    lower_span(answers, item->begin_byte, item->end_byte, &answers->other);
    return qr_text_equal((qr_text){answers->other.data, answers->other.len},
                         (qr_text){answers->lower.data, answers->lower.len});
}

qr_status qr__answers_add(qr__answers *answers, double score, size_t begin_byte, size_t end_byte) {
    lower_span(answers, begin_byte, end_byte, &answers->lower);
    uint64_t hash = hash_of(&answers->lower);
    size_t slot = hash & answers->slots_mask;
    for (; answers->slots[slot] != 0; slot = (slot + 1) & answers->slots_mask) {
        answer *item = &answers->items[answers->slots[slot] - 1];
        if (item->hash == hash && same_text(answers, item)) {
            item->score += score;
            return QR_OK;
        }
    }
    if (qr_buf_failed(&answers->lower) || qr_buf_failed(&answers->other))
        return QR_NO_MEMORY;
    answers->items[answers->len] = (answer){score, hash, begin_byte, end_byte, answers->len};
    answers->slots[slot] = (uint32_t)++answers->len;
    return QR_OK;
}

void qr__answers_add_null(qr__answers *answers, double score) {
    answers->items[answers->len] = (answer){.score = score, .arrival = answers->len};
    answers->len++;
}

/* By score falling, then by arrival. */
static int by_rank(const void *a, const void *b) {
    const answer *left = a, *right = b;
    if (left->score != right->score)
        return left->score > right->score ? -1 : 1;
    return left->arrival < right->arrival ? -1 : left->arrival > right->arrival;
}

/* One end of a span, to be counted in code points. */
typedef struct border {
    size_t byte;
    size_t *code_points;
} border;

static int by_byte(const void *a, const void *b) {
    size_t left = ((const border *)a)->byte, right = ((const border *)b)->byte;
    return left < right ? -1 : left > right;
}

/* Counts code points up to every span's ends in one pass over the context. */
static void count_code_points(qr_text context, border *borders, size_t len) {
    qsort(borders, len, sizeof *borders, by_byte);
    size_t at = 0, count = 0;
    for (size_t i = 0; i < len; i++) {
        for (size_t bytes; at < borders[i].byte; at += bytes, count++)
            qr_utf8_decode(context, at, &bytes);
        *borders[i].code_points = count;
    }
}

qr_status qr__answers_best(qr__answers *answers, size_t top_k, qr_span *out, size_t *count) {
    *count = 0;
    size_t len = qr_min(answers->len, top_k);
    if (len == 0)
        return QR_OK;
    border *borders = calloc(2 * len, sizeof *borders);
    if (borders == NULL)
        return QR_NO_MEMORY;
    qsort(answers->items, answers->len, sizeof *answers->items, by_rank);
    for (size_t i = 0; i < len; i++) {
        const answer *item = &answers->items[i];
        out[i] = (qr_span){item->score, item->begin_byte, item->end_byte, 0, 0};
        borders[2 * i] = (border){item->begin_byte, &out[i].begin};
        borders[2 * i + 1] = (border){item->end_byte, &out[i].end};
    }
    count_code_points(answers->context, borders, 2 * len);
    free(borders);
    *count = len;
    return QR_OK;
}
