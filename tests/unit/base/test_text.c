/* UTF-8 in and out, numbers in text, statuses. */
#include <criterion/criterion.h>

#include "base/base.h"

Test(text, every_scalar_value_comes_back) {
    for (uint32_t code = 0; code < 0x110000; code++) {
        char bytes[4];
        size_t used;
        if (code >= 0xD800 && code < 0xE000)
            continue;
        qr_text text = {bytes, qr_utf8_encode(code, bytes)};
        cr_assert(qr_utf8_valid(text));
        cr_assert_eq(qr_utf8_decode(text, 0, &used), code);
        cr_assert_eq(used, text.len);
    }
}

/* What Python's bytes.decode("utf-8", "replace") makes of them. */
Test(text, ill_formed_subparts_are_one_replacement_each) {
    static const struct {
        const char *bytes;
        size_t code_points;
    } cases[] = {
        {"", 0},
        {"a", 1},
        {"\x80", 1},
        {"\xff\xfe", 2},
        {"\xc0\x80", 2},
        {"\xc3", 1},
        {"\xe2\x82", 1},
        {"\xe2\x82x", 2},
        {"\xed\xa0\x80", 3},
        {"\xf0\x9f\x98", 1},
        {"\xe0\x80", 2},
        {"\xf4\x90\x80", 3},
        {"\xf0\x80\x80", 3},
        {"\xf1\x80\x80x", 2},
        {"\xf5\x80", 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        qr_text text = qr_text_of(cases[i].bytes);
        size_t count = 0;
        for (size_t at = 0, bytes; at < text.len; at += bytes, count++)
            qr_utf8_decode(text, at, &bytes);
        cr_expect_eq(count, cases[i].code_points, "case %zu: %zu", i, count);
        cr_expect_eq(qr_utf8_valid(text), i < 2, "case %zu", i);
    }
}

Test(text, is_trimmed_of_blanks_and_tabs) {
    static const char *const cases[][2] = {
        {"", ""}, {" \t ", ""}, {"a", "a"}, {"\t a b\t ", "a b"}, {"\n a\r", "\n a\r"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect(qr_text_is(qr_text_trim(qr_text_of(cases[i][0])), cases[i][1]), "%zu", i);
}

Test(text, hexadecimal_digits) {
    static const char digits[] = "0123456789abcdefABCDEF";
    for (int c = -128; c < 128; c++) {
        const char *at = c > 0 ? strchr(digits, c) : NULL;
        int value = at == NULL ? -1 : (int)(at - digits);
        cr_expect_eq(qr_hex_digit((char)c), value > 15 ? value - 6 : value, "%d", c);
    }
}

Test(text, numbers) {
    uint64_t n;
    cr_expect(qr_text_to_u64(qr_text_of("0"), 10, &n));
    cr_expect_eq(n, 0);
    cr_expect(qr_text_to_u64(qr_text_of("18446744073709551615"), UINT64_MAX, &n));
    cr_expect_eq(n, UINT64_MAX);
    static const char *const bad[] = {"",
                                      " 1",
                                      "1 ",
                                      "-1",
                                      "+1",
                                      "1.0",
                                      "0x1",
                                      "18446744073709551616",
                                      "99999999999999999999",
                                      "000000000000000000001"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_not(qr_text_to_u64(qr_text_of(bad[i]), UINT64_MAX, &n), "%s", bad[i]);
    cr_expect_not(qr_text_to_u64(qr_text_of("11"), 10, &n));
}

Test(status, every_row_has_name_sentence_and_code) {
    for (qr_status s = QR_OK; s < QR_STATUS_COUNT; s++) {
        int http = qr_status_http(s);
        cr_expect(http == 200 || (http >= 400 && http < 600), "%s: %d", qr_status_name(s), http);
        cr_expect(strlen(qr_status_sentence(s)) > 0);
        cr_expect_null(strpbrk(qr_status_sentence(s), "\"\\\n"),
                       "error bodies write sentences unescaped");
        cr_expect_eq(strspn(qr_status_name(s), "abcdefghijklmnopqrstuvwxyz_"),
                     strlen(qr_status_name(s)));
    }
    cr_expect_eq(qr_status_http((qr_status)999), 500);
    cr_expect_str_eq(qr_status_name(QR_TOO_LONG), "too_long");
}

Test(status, errors_tell_their_story_and_fit) {
    qr_error error = {0};
    char longer[2 * QR_ERROR_BYTES];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    cr_expect_eq(qr_error_set(&error, QR_BAD_MODEL, "%s: %d", "file", 7), QR_BAD_MODEL);
    cr_expect_str_eq(error.message, "file: 7");
    cr_expect_eq(qr_error_set(&error, QR_IO, "%s", longer), QR_IO);
    cr_expect_eq(strlen(error.message), QR_ERROR_BYTES - 1);
    cr_expect_eq(qr_error_set(NULL, QR_IO, "dropped"), QR_IO);
}
