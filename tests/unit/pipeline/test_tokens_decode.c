/* Labels of tokens, over windows and logits made by hand: groups, what is left out, overlapping
 * windows, and what is refused. The goldens (test_tokens_goldens.c) hold the rest. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "pipeline/pipeline.h"

#define MOST 300

static char *names[] = {"O", "B-PER", "I-PER", "S-PER", "x-y-z"};
enum { O, B_PER, I_PER, S_PER, XYZ, LABELS };
static const qr_model_info model = {.labels = LABELS, .label_names = names};

/* A window of [CLS], one token a letter of the text from `from` on, [SEP]. */
typedef struct window {
    int32_t ids[MOST];
    uint8_t types[MOST], special[MOST];
    uint32_t begin[MOST], end[MOST], word[MOST];
    float logits[MOST * LABELS];
} window;

static qr_encoding fill(window *w, size_t from, const int *labels, size_t len, float height) {
    memset(w, 0, sizeof *w);
    for (size_t t = 0; t < len; t++) {
        w->begin[t + 1] = (uint32_t)(from + t);
        w->end[t + 1] = (uint32_t)(from + t + 1);
        w->logits[(t + 1) * LABELS + (size_t)labels[t]] = height;
    }
    w->special[0] = w->special[len + 1] = 1;
    w->logits[B_PER] = w->logits[(len + 1) * LABELS + B_PER] = 9; /* nobody may see these */
    return (qr_encoding){.ids = w->ids,
                         .types = w->types,
                         .special = w->special,
                         .begin = w->begin,
                         .end = w->end,
                         .word = w->word,
                         .len = len + 2};
}

static window one, two;
static qr_entity found[2 * MOST];
static size_t count;

static qr_status decode(qr_encoding *items, size_t len, const char *text,
                        const qr_tokens_options *options) {
    const float *logits[] = {one.logits, two.logits};
    const qr_windows windows = {.items = items, .len = len};
    cr_assert_eq(qr_tokens_most(&windows), items[0].len + (len > 1 ? items[1].len : 0));
    return qr_tokens_decode(&model, &windows, logits, qr_text_of(text), options, found, &count);
}

static void expect(size_t i, const char *label, size_t begin, size_t end) {
    cr_assert(i < count);
    cr_assert(qr_text_is(found[i].label, label), "%zu: %.*s", i, (int)found[i].label.len,
              found[i].label.data);
    cr_assert_eq(found[i].begin, begin, "%zu", i);
    cr_assert_eq(found[i].end, end, "%zu", i);
}

Test(tokens_decode, groups) {
    const int labels[] = {I_PER, I_PER, B_PER, I_PER, B_PER, O, O, S_PER, S_PER, XYZ, I_PER};
    const qr_tokens_options options = {.aggregation = QR_AGGREGATION_SIMPLE};
    qr_encoding items[] = {fill(&one, 0, labels, 11, 5)};
    cr_assert_eq(decode(items, 1, "abcdefghijk", &options), QR_OK);
    cr_assert_eq(count, 6);
    expect(0, "PER", 0, 2); /* a leading I- opens one */
    expect(1, "PER", 2, 4);
    expect(2, "PER", 4, 5); /* B- never goes on */
    expect(3, "PER", 7, 9); /* S-PER is a tag of its own, and is called PER */
    expect(4, "y-z", 9, 10);
    expect(5, "PER", 10, 11);
    cr_assert_eq(found[3].first, 8);
    cr_assert_eq(found[3].last, 9);
}

Test(tokens_decode, every_token) {
    const int labels[] = {O, B_PER, I_PER};
    const qr_text both[] = {{"B-PER", 5}, {"PER", 3}};
    qr_tokens_options options = {0};
    qr_encoding items[] = {fill(&one, 0, labels, 3, 5)};
    cr_assert_eq(decode(items, 1, "abc", &options), QR_OK);
    cr_assert_eq(count, 2);
    expect(0, "B-PER", 1, 2);
    expect(1, "I-PER", 2, 3);
    cr_assert_eq(found[0].first, 2, "[CLS] is token 0");
    options.ignored = both; /* whole labels, not groups; O is left out no more */
    options.ignored_len = 2;
    cr_assert_eq(decode(items, 1, "abc", &options), QR_OK);
    cr_assert_eq(count, 2);
    expect(0, "O", 0, 1);
    expect(1, "I-PER", 2, 3);
    options.ignored_len = 0;
    cr_assert_eq(decode(items, 1, "abc", &options), QR_OK);
    cr_assert_eq(count, 3);
    options = (qr_tokens_options){QR_AGGREGATION_SIMPLE, both + 1, 1, false, 0};
    cr_assert_eq(decode(items, 1, "abc", &options), QR_OK);
    cr_assert_eq(count, 1);
    expect(0, "O", 0, 1);
}

/* Code points are those of the whole text, whatever was left out before. */
Test(tokens_decode, code_points) {
    const int labels[] = {O, O, B_PER};
    qr_tokens_options options = {0};
    qr_encoding items[] = {fill(&one, 0, labels, 3, 5)};
    one.end[2] = 1, one.begin[3] = 6, one.end[3] = 9;
    one.begin[2] = 0;
    cr_assert_eq(decode(items, 1, "\xc3\xa9\xf0\x9f\x99\x82\xe6\x9d\xb1", &options), QR_OK);
    cr_assert_eq(count, 1);
    expect(0, "B-PER", 2, 3);
    cr_assert_eq(found[0].begin_byte, 6);
}

/* Where windows overlap the longer wins, of equals the likelier, of those the first. */
Test(tokens_decode, windows_are_merged) {
    const int short_one[] = {O, B_PER, I_PER, O}, long_one[] = {B_PER, I_PER, I_PER, O};
    const qr_tokens_options options = {.aggregation = QR_AGGREGATION_SIMPLE, .windows = true};
    qr_encoding items[2] = {fill(&one, 0, short_one, 4, 5), fill(&two, 1, long_one, 4, 5)};
    cr_assert_eq(decode(items, 2, "abcdef", &options), QR_OK);
    cr_assert_eq(count, 1);
    expect(0, "PER", 1, 4);
    for (int likelier = 0; likelier < 2; likelier++) {
        const int same[] = {B_PER, I_PER, O};
        items[0] = fill(&one, 0, short_one, 4, 5);
        items[1] = fill(&two, 1, same, 3, likelier ? 6 : 5);
        cr_assert_eq(decode(items, 2, "abcdef", &options), QR_OK);
        cr_assert_eq(count, 1);
        expect(0, "PER", 1, 3);
        cr_assert_eq(found[0].window, (size_t)likelier);
    }
    items[1] = fill(&two, 3, long_one, 3, 5); /* begins where the other ends */
    cr_assert_eq(decode(items, 2, "abcdef", &options), QR_OK);
    cr_assert_eq(count, 2);
    expect(1, "PER", 3, 6);
}

/* The mean of n equal scores is that score, whatever the order of the sum: to its last bit only
 * where n is a power of two. */
Test(tokens_decode, long_groups) {
    const qr_tokens_options options = {.aggregation = QR_AGGREGATION_SIMPLE};
    static int labels[MOST];
    for (size_t n = 1; n < MOST - 2; n++) {
        float score = 0;
        for (size_t t = 0; t < n; t++)
            labels[t] = I_PER;
        qr_encoding items[] = {fill(&one, 0, labels, n, 3)};
        char text[MOST + 1];
        memset(text, 'x', n);
        text[n] = '\0';
        cr_assert_eq(decode(items, 1, text, &options), QR_OK);
        cr_assert_eq(count, 1);
        score = expf(0) / (expf(0) + 4 * expf(-3));
        cr_assert(fabsf(found[0].score - score) < 1e-6f, "%zu: %g, not %g", n,
                  (double)found[0].score, (double)score);
    }
}

Test(tokens_decode, what_is_refused) {
    const int labels[] = {O, B_PER};
    const float wrong[] = {NAN, INFINITY, -INFINITY};
    const qr_tokens_options options = {0};
    for (size_t i = 0; i < 3; i++) {
        qr_encoding items[] = {fill(&one, 0, labels, 2, 5)};
        one.logits[2 * LABELS] = wrong[i];
        cr_assert_eq(decode(items, 1, "ab", &options), QR_INTERNAL);
        cr_assert_eq(count, 0);
    }
    qr_encoding items[] = {fill(&one, 0, labels, 2, 5)};
    cr_assert_eq(decode(items, 1, "a", &options), QR_INTERNAL, "of another text");
    items[0] = fill(&one, 0, labels, 0, 5);
    cr_assert_eq(decode(items, 1, "", &options), QR_OK);
    cr_assert_eq(count, 0);
}
