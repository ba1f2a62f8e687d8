/* tests: from logits to answers, on windows made by hand and against a slow, obvious decoder. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "pipeline/span_rules.h"
#include "span_fixture.h"

#define ROOM 16

/* One context in up to two windows. */
typedef struct scene {
    const char *context;
    qr_encoding items[2];
    qr_windows windows;
    float *logits[2];
    qr_span_options options;
    qr_span spans[ROOM];
    size_t count;
} scene;

static void add_window(scene *s, const char *marked, size_t first_byte, uint32_t first_word) {
    size_t w = s->windows.len++;
    fixture_window(&s->items[w], 2, marked, first_byte, first_word);
    s->logits[w] = malloc(2 * s->items[w].len * sizeof(float));
    for (size_t i = 0; i < 2 * s->items[w].len; i++)
        s->logits[w][i] = -8;
}

static scene scene_of(const char *context, const char *marked) {
    scene s = {.context = context, .options = QR_SPAN_OPTIONS_DEFAULT};
    add_window(&s, marked, 0, 0);
    return s;
}

static void prefer(scene *s, size_t w, size_t first, size_t last, float logit) {
    s->logits[w][2 * fixture_token(&s->items[w], first)] = logit;
    s->logits[w][2 * fixture_token(&s->items[w], last) + 1] = logit;
}

static qr_status decode(scene *s) {
    s->windows.items = s->items; /* here: scenes are copied while they are made */
    return qr_span_decode(&s->windows, (const float *const *)s->logits, qr_text_of(s->context),
                          &s->options, s->spans, &s->count);
}

static void expect(const scene *s, size_t i, const char *text, double score) {
    cr_assert_lt(i, s->count);
    const qr_span *span = &s->spans[i];
    qr_text found = {s->context + span->begin_byte, span->end_byte - span->begin_byte};
    cr_assert(qr_text_is(found, text), "answer %zu: \"%.*s\", not \"%s\"", i, (int)found.len,
              found.data, text);
    cr_assert_float_eq(span->score, score, 1e-6, "score %zu: %.9g, not %.9g", i, span->score,
                       score);
}

static void end(scene *s) {
    for (size_t w = 0; w < s->windows.len; w++) {
        fixture_free(&s->items[w]);
        free(s->logits[w]);
    }
}

/* The probability of one token when the others of `allowed` have -8. */
static double share(double logit, size_t allowed) {
    return exp(logit) / (exp(logit) + (double)(allowed - 1) * exp(-8));
}

Test(span_decode, takes_the_best_pair) {
    scene s = scene_of("The bell hangs in the tower .", "The bell hangs in the tow|er .");
    prefer(&s, 0, 1, 1, 2);
    cr_assert_eq(decode(&s), QR_OK);
    cr_assert_eq(s.count, 1);
    expect(&s, 0, "bell", share(2, 9) * share(2, 9)); /* eight tokens and [CLS] */
    cr_assert_eq(s.spans[0].begin, 4);
    cr_assert_eq(s.spans[0].end, 8);
    end(&s);
}

Test(span_decode, aligns_to_words_or_keeps_tokens) {
    scene s = scene_of("old clocktower now", "old clo|ck|tower now");
    prefer(&s, 0, 2, 2, 3);
    cr_assert_eq(decode(&s), QR_OK);
    cr_assert(qr_text_is(
        (qr_text){s.context + s.spans[0].begin_byte, s.spans[0].end_byte - s.spans[0].begin_byte},
        "clocktower"));
    s.options.align_to_words = false;
    cr_assert_eq(decode(&s), QR_OK);
    expect(&s, 0, "ck", share(3, 6) * share(3, 6));
    cr_assert_eq(s.spans[0].begin, 7);
    end(&s);
}

Test(span_decode, a_word_is_clipped_to_its_window) {
    scene s = (scene){.context = "overlong tail", .options = QR_SPAN_OPTIONS_DEFAULT};
    add_window(&s, "lo|ng tail", 4, 0); /* "over" stands in another window */
    prefer(&s, 0, 1, 1, 3);
    cr_assert_eq(decode(&s), QR_OK);
    cr_assert_eq(s.spans[0].begin, 4);
    cr_assert_eq(s.spans[0].end, 8);
    end(&s);
}

Test(span_decode, respects_the_longest_answer) {
    scene s = scene_of("a b c d e", "a b c d e");
    s.options.align_to_words = false;
    s.options.max_answer_len = 3;
    prefer(&s, 0, 0, 3, 5); /* four tokens: too long */
    cr_assert_eq(decode(&s), QR_OK);
    cr_assert_neq(s.spans[0].end - s.spans[0].begin, 7);
    s.options.max_answer_len = 4;
    cr_assert_eq(decode(&s), QR_OK);
    expect(&s, 0, "a b c d", share(5, 6) * share(5, 6));
    end(&s);
}

Test(span_decode, never_ends_before_it_begins) {
    scene s = scene_of("a b c", "a b c");
    s.logits[0][2 * fixture_token(&s.items[0], 2)] = 6;     /* starts at c */
    s.logits[0][2 * fixture_token(&s.items[0], 0) + 1] = 6; /* ends at a */
    s.options.top_k = ROOM;
    cr_assert_eq(decode(&s), QR_OK);
    for (size_t i = 0; i < s.count; i++)
        cr_assert_leq(s.spans[i].begin, s.spans[i].end);
    end(&s);
}

Test(span_decode, cls_takes_probability_but_is_no_answer) {
    scene s = scene_of("a b c", "a b c");
    s.logits[0][0] = s.logits[0][1] = 1;
    prefer(&s, 0, 1, 1, 1);
    double half = exp(1) / (2 * exp(1) + 2 * exp(-8));
    cr_assert_eq(decode(&s), QR_OK);
    expect(&s, 0, "b", half * half);
    end(&s);
}

Test(span_decode, the_question_is_no_answer) {
    scene s = scene_of("a b c", "a b c");
    s.logits[0][2] = s.logits[0][3] = 50; /* the question's first token */
    prefer(&s, 0, 2, 2, 1);
    cr_assert_eq(decode(&s), QR_OK);
    expect(&s, 0, "c", share(1, 4) * share(1, 4));
    end(&s);
}

Test(span_decode, no_answer_competes_when_it_may) {
    scene s = scene_of("a b c", "a b c");
    s.logits[0][0] = s.logits[0][1] = 2;
    s.options.handle_impossible = true;
    s.options.top_k = 2;
    cr_assert_eq(decode(&s), QR_OK);
    expect(&s, 0, "", share(2, 4) * share(2, 4));
    cr_assert_eq(s.spans[0].begin, 0);
    cr_assert_eq(s.spans[0].end, 0);
    s.options.top_k = 1;
    prefer(&s, 0, 1, 1, 9);
    cr_assert_eq(decode(&s), QR_OK);
    cr_assert_eq(s.spans[0].begin, 2);
    end(&s);
}

Test(span_decode, no_answer_has_the_least_score_of_all_windows) {
    scene s = scene_of("a b c d", "a b");
    add_window(&s, "c d", 4, 2);
    s.logits[0][0] = s.logits[0][1] = 4;
    s.logits[1][0] = s.logits[1][1] = -1;
    s.options.handle_impossible = true;
    s.options.top_k = ROOM;
    cr_assert_eq(decode(&s), QR_OK);
    double least = share(-1, 3) * share(-1, 3);
    bool found = false;
    for (size_t i = 0; i < s.count; i++)
        found = found || (s.spans[i].end == 0 && fabs(s.spans[i].score - least) < 1e-6);
    cr_assert(found);
    end(&s);
}

Test(span_decode, equal_pairs_keep_the_order_of_the_text) {
    scene s = scene_of("a b c d", "a b c d");
    s.options.top_k = 4;
    s.options.max_answer_len = 1;
    cr_assert_eq(decode(&s), QR_OK);
    cr_assert_eq(s.count, 4);
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(s.spans[i].begin, 2 * i);
    end(&s);
}

Test(span_decode, equal_texts_are_one_answer) {
    scene s = scene_of("Rome or ROME", "Rome or ROME");
    s.options.max_answer_len = 1;
    s.options.top_k = 3;
    prefer(&s, 0, 0, 0, 1);
    s.logits[0][2 * fixture_token(&s.items[0], 2)] = 1.5f;
    s.logits[0][2 * fixture_token(&s.items[0], 2) + 1] = 1.5f;
    double sum = exp(1) + exp(1.5) + 2 * exp(-8);
    cr_assert_eq(decode(&s), QR_OK);
    /* The better pair comes first, so its place is kept. */
    expect(&s, 0, "ROME", (exp(2) + exp(3)) / (sum * sum));
    expect(&s, 1, "or", exp(-16) / (sum * sum));
    end(&s);
}

Test(span_decode, a_window_gives_twice_top_k_and_ten_candidates) {
    scene s = scene_of("w w w w w w w w w w w w w w w w w w w w",
                       "w w w w w w w w w w w w w w w w w w w w");
    s.options.max_answer_len = 1;
    cr_assert_eq(decode(&s), QR_OK);
    expect(&s, 0, "w", 12.0 / (21 * 21)); /* of 20 equal pairs, 12 are taken */
    s.options.top_k = 3;
    cr_assert_eq(decode(&s), QR_OK);
    expect(&s, 0, "w", 16.0 / (21 * 21));
    s.options.align_to_words = false;
    cr_assert_eq(decode(&s), QR_OK);
    expect(&s, 0, "w", 3.0 / (21 * 21));
    end(&s);
}

Test(span_decode, scores_add_up_over_windows_and_may_exceed_one) {
    scene s = scene_of("x Rome y rome", "x Rome y");
    add_window(&s, "y rome", 7, 2);
    prefer(&s, 0, 1, 1, 9);
    prefer(&s, 1, 1, 1, 9);
    cr_assert_eq(decode(&s), QR_OK);
    cr_assert_eq(s.count, 1);
    expect(&s, 0, "Rome", pow(share(9, 4), 2) + pow(share(9, 3), 2));
    cr_assert_gt(s.spans[0].score, 1.9);
    end(&s);
}

Test(span_decode, offsets_count_code_points) {
    /* "Zürich", an astral character and CJK before the answer; bytes are what the engine's tokens
     * have. */
    scene s = scene_of("Zürich 😀 東京 ok", "Zürich 😀 東京 ok");
    prefer(&s, 0, 3, 3, 5);
    cr_assert_eq(decode(&s), QR_OK);
    expect(&s, 0, "ok", share(5, 5) * share(5, 5));
    cr_assert_eq(s.spans[0].begin, 12);
    cr_assert_eq(s.spans[0].end, 14);
    cr_assert_eq(s.spans[0].begin_byte, 20);
    end(&s);
}

Test(span_decode, tiny_contexts_may_give_answers_of_score_zero) {
    scene s = scene_of("yes", "yes");
    s.options.top_k = 3;
    cr_assert_eq(decode(&s), QR_OK);
    expect(&s, 0, "yes", share(-8, 2) * share(-8, 2));
    for (size_t i = 1; i < s.count; i++)
        cr_assert_eq(s.spans[i].score, 0);
    end(&s);
}

Test(span_decode, a_context_without_tokens_has_an_empty_answer) {
    scene s = scene_of("   ", "");
    cr_assert_eq(decode(&s), QR_OK);
    cr_assert_eq(s.count, 1);
    expect(&s, 0, "", 0);
    end(&s);
}

Test(span_decode, refuses_what_is_not_finite) {
    scene s = scene_of("a b", "a b");
    s.logits[0][2 * fixture_token(&s.items[0], 1)] = NAN;
    cr_assert_eq(decode(&s), QR_INTERNAL);
    cr_assert_eq(s.count, 0);
    end(&s);
}

Test(span_decode, refuses_options_out_of_range) {
    scene s = scene_of("a b", "a b");
    s.options.top_k = 0;
    cr_assert_eq(decode(&s), QR_BAD_REQUEST);
    s.options.top_k = QR_LIMIT_TOP_K + 1;
    cr_assert_eq(decode(&s), QR_BAD_REQUEST);
    s.options = QR_SPAN_OPTIONS_DEFAULT;
    s.options.max_answer_len = 0;
    cr_assert_eq(decode(&s), QR_BAD_REQUEST);
    end(&s);
}

/* The slow selection: all pairs, sorted by score, then by place. */
static int by_score(const void *a, const void *b) {
    const qr__span_candidate *l = a, *r = b;
    if (l->score != r->score)
        return l->score > r->score ? -1 : 1;
    if (l->first != r->first)
        return l->first < r->first ? -1 : 1;
    return l->last < r->last ? -1 : l->last > r->last;
}

static size_t select_slowly(size_t len, const float *start, const float *end,
                            const qr_span_options *options, qr__span_candidate *out) {
    qr__span_candidate *all = calloc(len * len, sizeof *all);
    size_t count = 0;
    for (size_t i = 0; i < len; i++)
        for (size_t j = 0; j < len; j++) {
            bool within = j >= i && j - i < options->max_answer_len;
            all[count++] =
                (qr__span_candidate){within ? start[i] * end[j] : 0, (uint32_t)i, (uint32_t)j};
        }
    qsort(all, count, sizeof *all, by_score);
    count = qr_min(count, qr__span_candidates(options));
    memcpy(out, all, count * sizeof *all);
    free(all);
    return count;
}

Test(span_select, equals_the_slow_selection) {
    uint64_t seed = 7;
    for (int round = 0; round < 300; round++) {
        char marked[128] = "";
        size_t words = 1 + (size_t)round % 40;
        for (size_t i = 0; i < words; i++)
            memcpy(marked + 2 * i, "w ", 3);
        marked[2 * words - 1] = '\0';
        qr_encoding window;
        fixture_window(&window, (size_t)round % 5, marked, 0, 0);
        float logits[256], start[128], end_[128];
        uint8_t allowed[128];
        for (size_t i = 0; i < 2 * window.len; i++) { /* few values, so that many pairs tie */
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            logits[i] = (float)(seed >> 61) - 3.0f;
        }
        qr_span_options options = QR_SPAN_OPTIONS_DEFAULT;
        options.top_k = 1 + (size_t)round % 7;
        options.align_to_words = round % 2 == 0;
        options.max_answer_len = 1 + (size_t)round % 6;
        qr__span_candidate fast[32], slow[32];
        double null_score = 1000000;
        qr__span_scratch scratch = {start, end_, allowed};
        size_t kept = qr__span_select(&window, logits, &options, &scratch, &null_score, fast);
        size_t expected = select_slowly(window.len, start, end_, &options, slow), at = 0;
        for (size_t i = 0; i < expected; i++) {
            size_t f = slow[i].first, l = slow[i].last;
            if ((f != 0 && (window.types[f] != 1 || window.special[f])) ||
                (l != 0 && (window.types[l] != 1 || window.special[l])))
                continue;
            cr_assert_lt(at, kept);
            cr_assert_eq(fast[at].score, slow[i].score);
            cr_assert_eq(fast[at].first, f, "round %d, place %zu", round, at);
            cr_assert_eq(fast[at].last, l, "round %d, place %zu", round, at);
            at++;
        }
        cr_assert_eq(at, kept);
        fixture_free(&window);
    }
}

Test(span_answers, compare_in_lower_case) {
    /* Greek with a final sigma, a dotted capital I (two code points in lower case), German, plain.
     */
    const char *context = "ΟΔΟΣ οδος İX i̇x ÄÖ äö no";
    struct {
        const char *first, *second;
    } same[] = {{"ΟΔΟΣ", "οδος"}, {"İX", "i̇x"}, {"ÄÖ", "äö"}};
    qr__answers *answers;
    qr_span best[8];
    size_t count;
    cr_assert_eq(qr__answers_create(qr_text_of(context), 8, &answers), QR_OK);
    for (size_t i = 0; i < 3; i++) {
        size_t a = (size_t)(strstr(context, same[i].first) - context),
               b = (size_t)(strstr(context, same[i].second) - context);
        cr_assert_eq(qr__answers_add(answers, 0.25 + (double)i, a, a + strlen(same[i].first)),
                     QR_OK);
        cr_assert_eq(qr__answers_add(answers, 0.5, b, b + strlen(same[i].second)), QR_OK);
    }
    cr_assert_eq(qr__answers_best(answers, 8, best, &count), QR_OK);
    cr_assert_eq(count, 3);
    for (size_t i = 0; i < 3; i++)
        cr_assert_float_eq(best[i].score, 2.75 - (double)i, 1e-12);
    qr__answers_destroy(answers);
}

Test(span_answers, many_answers_keep_their_order) {
    char context[4096];
    qr__answers *answers;
    qr_span best[1024];
    size_t count;
    for (size_t i = 0; i < sizeof context; i++)
        context[i] = (char)('a' + i % 4 * 3 + i / 4 % 23);
    cr_assert_eq(qr__answers_create((qr_text){context, sizeof context}, 1000, &answers), QR_OK);
    for (size_t i = 0; i < 1000; i++) /* texts of different lengths: all different */
        cr_assert_eq(qr__answers_add(answers, 1.0, 0, i), QR_OK);
    cr_assert_eq(qr__answers_best(answers, 1024, best, &count), QR_OK);
    cr_assert_eq(count, 1000);
    for (size_t i = 0; i < count; i++)
        cr_assert_eq(best[i].end_byte, i);
    qr__answers_destroy(answers);
}
