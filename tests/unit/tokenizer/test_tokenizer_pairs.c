/* Pairs whose first text is tokenized once, and pairs of which only a part is tokenized: the same
 * as cutting both texts' whole tokens. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "tokenizer_fixture.h"

enum { ROUNDS = 20000, TEXT_BYTES = 256 };

static uint64_t state = 0x2545F4914F6CDD1Dull;

static uint32_t random_below(uint32_t n) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)((state >> 33) % n);
}

/* Words of one piece and of several, and nothing at all. */
static size_t random_text(char out[TEXT_BYTES]) {
    static const char *const parts[] = {"the ",   "cats ", "unaffable ",   ".",    "sat",
                                        "[MASK]", " ",     "\xe4\xb8\xad", "a b ", "zz "};
    size_t len = 0, pieces = random_below(22);
    for (size_t i = 0; i < pieces; i++) {
        const char *part = parts[random_below(sizeof parts / sizeof *parts)];
        size_t n = strlen(part);
        memcpy(out + len, part, n);
        len += n;
    }
    return len;
}

static qr_encode_options random_options(void) {
    return (qr_encode_options){.special = random_below(2) == 0,
                               .truncation = (qr_truncation)random_below(3),
                               .truncate_left = random_below(2) == 0,
                               .max_tokens = random_below(5) == 0 ? 0 : random_below(40)};
}

static bool same_numbers(const void *a, const void *b, size_t len, size_t size) {
    return len == 0 || memcmp(a, b, len * size) == 0;
}

static void assert_same(const qr_encoding *a, const qr_encoding *b) {
    cr_assert_eq(a->len, b->len);
    cr_assert_eq(a->truncated, b->truncated);
    cr_assert(same_numbers(a->ids, b->ids, a->len, sizeof *a->ids));
    cr_assert(same_numbers(a->begin, b->begin, a->len, sizeof *a->begin));
    cr_assert(same_numbers(a->end, b->end, a->len, sizeof *a->end));
    cr_assert(same_numbers(a->word, b->word, a->len, sizeof *a->word));
    cr_assert(same_numbers(a->types, b->types, a->len, 1));
    cr_assert(same_numbers(a->special, b->special, a->len, 1));
}

/* How many tokens of two texts the package keeps, cutting the longest: from whole lengths. */
static void longest_first(size_t len[2], size_t room) {
    size_t shorter = len[0] < len[1] ? len[0] : len[1], half = room / 2;
    bool first_is_longer = len[0] > len[1];
    if (len[0] + len[1] <= room)
        return;
    if (shorter <= half) {
        len[first_is_longer ? 0 : 1] = room - shorter;
    } else {
        len[first_is_longer ? 0 : 1] = half + room % 2;
        len[first_is_longer ? 1 : 0] = half;
    }
}

/* The ids of what stays of one text. */
static void assert_part(const qr_encoding *pair, size_t at, const qr_encoding *whole, size_t kept,
                        bool left) {
    size_t from = left ? whole->len - kept : 0;
    cr_assert(same_numbers(pair->ids + at, whole->ids + from, kept, sizeof *pair->ids));
}

Test(tokenizer_pairs, a_first_text_that_is_tokenized_once_gives_the_same) {
    qr_tokenizer *tokenizer = fixture_load((tokenizer_sections){0});
    qr_encoding whole = {0}, joined = {0};
    qr_first_text first = {0};
    char bytes[2][TEXT_BYTES];
    size_t cuts = 0, refusals = 0;
    for (size_t round = 0; round < ROUNDS; round++) {
        const qr_encode_options options = random_options();
        const qr_text text = {bytes[0], random_text(bytes[0])};
        qr_status made = qr_tokenizer_encode_first(tokenizer, text, &options, &first);
        for (size_t i = 0; i < 3; i++) {
            const qr_text second = {bytes[1], random_text(bytes[1])};
            qr_status status = qr_tokenizer_encode(tokenizer, text, &second, &options, &whole);
            qr_status other = made == QR_OK ? qr_tokenizer_encode_pair(tokenizer, &first, second,
                                                                       &options, &joined)
                                            : made;
            cr_assert_eq(status, other);
            refusals += status != QR_OK;
            if (status != QR_OK)
                continue;
            assert_same(&whole, &joined);
            cuts += whole.truncated;
        }
    }
    cr_assert(cuts > ROUNDS / 4 && refusals > ROUNDS / 100);
    qr_first_text_deinit(&first);
    qr_first_text_deinit(NULL);
    qr_encoding_deinit(&whole);
    qr_encoding_deinit(&joined);
    qr_tokenizer_destroy(tokenizer);
}

Test(tokenizer_pairs, what_is_not_tokenized_does_not_matter) {
    qr_tokenizer *tokenizer = fixture_load((tokenizer_sections){0});
    qr_encoding whole[2] = {{0}, {0}}, pair = {0};
    char bytes[2][TEXT_BYTES];
    for (size_t round = 0; round < ROUNDS; round++) {
        const qr_encode_options options = {.max_tokens = 1 + random_below(24),
                                           .truncate_left = random_below(2) == 0};
        qr_text texts[2];
        size_t kept[2];
        for (size_t i = 0; i < 2; i++) {
            texts[i] = (qr_text){bytes[i], random_text(bytes[i])};
            cr_assert_eq(
                qr_tokenizer_encode(tokenizer, texts[i], NULL, &(qr_encode_options){0}, &whole[i]),
                QR_OK);
            kept[i] = whole[i].len;
        }
        longest_first(kept, options.max_tokens);
        cr_assert_eq(qr_tokenizer_encode(tokenizer, texts[0], &texts[1], &options, &pair), QR_OK);
        cr_assert_eq(pair.len, kept[0] + kept[1]);
        cr_assert_eq(pair.truncated, kept[0] < whole[0].len || kept[1] < whole[1].len);
        assert_part(&pair, 0, &whole[0], kept[0], options.truncate_left);
        assert_part(&pair, kept[0], &whole[1], kept[1], options.truncate_left);
    }
    qr_encoding_deinit(&whole[0]);
    qr_encoding_deinit(&whole[1]);
    qr_encoding_deinit(&pair);
    qr_tokenizer_destroy(tokenizer);
}

/* A text beyond what the encoder takes of it: its length is counted, its tokens are not kept. */
Test(tokenizer_pairs, a_huge_first_text_keeps_what_a_pair_can_hold) {
    enum { BYTES = 50000 };
    qr_tokenizer *tokenizer = fixture_load((tokenizer_sections){0});
    char *dots = malloc(BYTES);
    cr_assert(dots != NULL);
    memset(dots, '.', BYTES);
    qr_first_text first = {0};
    qr_encoding pair = {0};
    const qr_text second = TEXT("the cat");
    for (size_t left = 0; left < 2; left++) {
        const qr_encode_options options = {
            .special = true, .max_tokens = 512, .truncate_left = left == 1};
        cr_assert_eq(qr_tokenizer_encode_first(tokenizer, (qr_text){dots, BYTES}, &options, &first),
                     QR_OK);
        cr_assert_eq(first.len, BYTES); /* 509 is odd */
        cr_assert_eq(first.kept.len, 509);
        cr_assert_eq(first.kept.begin[0], left == 1 ? BYTES - 509 : 0);
        cr_assert_eq(qr_tokenizer_encode_pair(tokenizer, &first, second, &options, &pair), QR_OK);
        cr_assert_eq(pair.len, 512);
    }
    const qr_encode_options even = {.special = true, .max_tokens = 511}, all = {.special = true};
    cr_assert_eq(qr_tokenizer_encode_first(tokenizer, (qr_text){dots, BYTES}, &even, &first),
                 QR_OK);
    cr_assert_eq(first.len, 509); /* one more than the room, and no further */
    cr_assert_eq(qr_tokenizer_encode_first(tokenizer, (qr_text){dots, BYTES}, &all, &first), QR_OK);
    cr_assert_eq(qr_tokenizer_encode_pair(tokenizer, &first, second, &all, &pair), QR_OK);
    cr_assert_eq(pair.len, BYTES + 5);
    qr_first_text_deinit(&first);
    qr_encoding_deinit(&pair);
    free(dots);
    qr_tokenizer_destroy(tokenizer);
}
