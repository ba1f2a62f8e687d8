/* jansson with memory that ends, at every allocation of it. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"

static size_t taken, held, fail_at, fail_again_at; /* pieces; 0: none fails */
static bool for_good;

static void *may_fail(size_t bytes) {
    taken++;
    if (fail_at != 0 && (for_good ? taken >= fail_at : taken == fail_at || taken == fail_again_at))
        return NULL;
    held++;
    return malloc(bytes);
}

static void give_back(void *piece) {
    held -= piece != NULL;
    free(piece);
}

/* Whatever fails, there is no memory for the text, and nothing of it stays behind. */
static void parse_without(qr_text body) {
    json_t *root, *whole;
    json_error_t error;
    qr_status status;
    fail_at = 0;
    cr_assert_eq(qr_json_parse(body, 0, &whole, &error), QR_OK);
    const size_t held_by_whole = held;
    size_t n = 0;
    do {
        taken = 0;
        fail_at = ++n;
        status = qr_json_parse(body, 0, &root, &error);
        const bool failed = taken >= n;
        fail_at = 0;
        cr_assert_eq(status, failed ? QR_NO_MEMORY : QR_OK, "allocation %zu of %s: %s, %s", n,
                     body.data, qr_status_name(status), error.text);
        cr_assert(root == NULL || json_equal(root, whole));
        json_decref(root);
        cr_assert_eq(held, held_by_whole, "allocation %zu of %s", n, body.data);
    } while (status != QR_OK);
    json_decref(whole);
    cr_expect_eq(held, 0);
}

Test(json_parse, without_memory) {
    static const char *const texts[] = {"a text, and one that has to grow where a byte was lost",
                                        "\\u00e4\\u00f6\\u00fc\\ud83d\\ude00\\u00df\\u4e16\\u754c",
                                        "\\n\\t\\\\\\n\\t\\\"\\n\\t\\\\\\n\\t\\\"\\n\\t\\\\"};
    char body[256];
    json_set_alloc_funcs(may_fail, give_back);
    qr_json_guard_memory();
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        /* Of all lengths: the byte that finds no room may be any, and a text's last. */
        for (int blanks = 0; blanks < 32; blanks++) {
            for_good = blanks % 2 == 1;
            snprintf(body, sizeof body, "{\"a\": [\"%*s%s\", -1.5e-3, 123456789012345, {}]}",
                     blanks, "", texts[i]);
            parse_without(qr_text_of(body));
        }
    }
}

/* All tokens have room in jansson's first buffer: where that has to grow without memory, only the
 * guard helps. */
Test(json_parse, without_memory_or_guard) {
    enum { ONCE, TWICE, FOR_GOOD };
    const qr_text body =
        qr_text_of("{\"a\": [\"text\", -1.5e-3, 1234, {\"b\": null}], \"c\": true}");
    json_t *root, *whole;
    json_error_t error;
    bool failed = true;
    json_set_alloc_funcs(may_fail, give_back);
    cr_assert_eq(qr_json_parse(body, 0, &whole, &error), QR_OK);
    const size_t held_by_whole = held;
    for (size_t n = 1; failed; n++)
        for (int fails = ONCE; fails <= FOR_GOOD; fails++) {
            taken = 0;
            fail_at = n;
            for_good = fails == FOR_GOOD;
            fail_again_at =
                fails == TWICE ? 2 * n + 1 : 0; /* the next one, when it is read again */
            const qr_status status = qr_json_parse(body, 0, &root, &error);
            failed = taken >= n;
            fail_at = fail_again_at = 0;
            const bool again = fails == FOR_GOOD ? failed : fails == TWICE && taken > 2 * n;
            cr_assert_eq(status, again ? QR_NO_MEMORY : QR_OK, "allocation %zu: %s", n, error.text);
            cr_assert(status != QR_OK || json_equal(root, whole));
            json_decref(root);
            cr_assert_eq(held, held_by_whole, "allocation %zu", n);
        }
    json_decref(whole);
}

Test(json_parse, faults_are_told_apart) {
    json_t *root;
    json_error_t error;
    for (int guarded = 0; guarded < 2; guarded++) {
        cr_expect_eq(qr_json_parse(qr_text_of("{\"a\" 1}"), 0, &root, &error), QR_BAD_JSON);
        cr_expect_null(root);
        cr_expect_eq(error.line, 1);
        cr_expect_eq(qr_json_parse(qr_text_of("{\"a\": 1}"), 0, &root, &error), QR_OK);
        json_decref(root);
        qr_json_guard_memory();
    }
}
