/* Where a text is no JSON, and what should have stood there; and that the scanner and the parser
 * agree on what is JSON at all. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/api/json_fault.h"
#include "server/api/json_in.h"

static void expect_fault(qr_text text, size_t line, size_t column, const char *expected) {
    qr__json_fault fault;
    int shown = (int)qr_min(text.len, 100);
    (void)shown; /* the plain runner prints no messages */
    cr_assert(qr__json_fault_find(text, &fault), "found nothing wrong with %.*s", shown, text.data);
    cr_expect(fault.line == line && fault.column == column && strcmp(fault.expected, expected) == 0,
              "%.*s: line %zu, column %zu: %s", shown, text.data, fault.line, fault.column,
              fault.expected);
}

Test(json_fault, places) {
    static const struct {
        const char *text;
        size_t line, column;
        const char *expected;
    } cases[] = {
        {"", 1, 1, "expected a value"},
        {"  \n ", 2, 2, "expected a value"},
        {"{\"a\":1,\n \"b\":2,\n \"c\": x}", 3, 7, "expected a value"},
        {"[1,]", 1, 4, "expected a value"},
        {"[,1]", 1, 2, "expected a value or `]`"},
        {"[", 1, 2, "expected a value or `]`"},
        {"[1", 1, 3, "expected `,` or `]`"},
        {"[1 2]", 1, 4, "expected `,` or `]`"},
        {"[1}", 1, 3, "expected `,` or `]`"},
        {"{\"a\":1]", 1, 7, "expected `,` or `}`"},
        {"{\"a\":1 \"b\":2}", 1, 8, "expected `,` or `}`"},
        {"{\"a\" 1}", 1, 6, "expected `:`"},
        {"{\"a\"", 1, 5, "expected `:`"},
        {"{", 1, 2, "expected a member's name or `}`"},
        {"{1:2}", 1, 2, "expected a member's name or `}`"},
        {"{'a':1}", 1, 2, "expected a member's name or `}`"},
        {"{\"a\":1,}", 1, 8, "expected a member's name"},
        {"{\"a\":}", 1, 6, "expected a value"},
        {"{}x", 1, 3, "expected the end of the body"},
        {"1 2", 1, 3, "expected the end of the body"},
        {"]", 1, 1, "expected a value"},
        {"nul", 1, 1, "expected a value"},
        {"[truth]", 1, 2, "expected a value"},
        {"truex", 1, 5, "expected the end of the body"},
        {"NaN", 1, 1, "expected a value"},
        {"+1", 1, 1, "expected a value"},
        {".5", 1, 1, "expected a value"},
        {"-", 1, 2, "expected a digit"},
        {"-x", 1, 2, "expected a digit"},
        {"1.", 1, 3, "expected a digit"},
        {"[1.x]", 1, 4, "expected a digit"},
        {"1e", 1, 3, "expected a digit"},
        {"1e+", 1, 4, "expected a digit"},
        {"01", 1, 2, "expected the end of the body"},
        {"0x1", 1, 2, "expected the end of the body"},
        {"[9223372036854775808]", 1, 2, "expected a number of at most 64 bits"},
        {"[-9223372036854775809]", 1, 2, "expected a number of at most 64 bits"},
        {"[1e999]", 1, 2, "expected a smaller number"},
        {"[-1e309]", 1, 2, "expected a smaller number"},
        {"\"abc", 1, 5, "expected a closing quote"},
        {"[\"a]", 1, 5, "expected a closing quote"},
        {"\"\\x41\"", 1, 2, "expected a valid escape"},
        {"\"a\\u12g4\"", 1, 3, "expected a valid escape"},
        {"\"\\", 1, 2, "expected a valid escape"},
        {"\"\\u12", 1, 2, "expected a valid escape"},
        {"\"\\ud800\"", 1, 2, "expected a valid escape"},
        {"\"\\ud800\\u0041\"", 1, 2, "expected a valid escape"},
        {"\"\\udc00\"", 1, 2, "expected a valid escape"},
        {"{\"\\u0000\":1}", 1, 3, "expected a name without \\u0000"},
        {"\"a\tb\"", 1, 3, "expected a control character to be escaped"},
        {"\"a\x1f\"", 1, 3, "expected a control character to be escaped"},
        {"\"a\nb\"", 1, 3, "expected a control character to be escaped"},
        {"\"a\xff\"", 1, 3, "expected valid UTF-8"},
        {"\"\xc0\x80\"", 1, 2, "expected valid UTF-8"},
        {"\"\xed\xa0\x80\"", 1, 2, "expected valid UTF-8"},
        {"\"\xf4\x90\x80\x80\"", 1, 2, "expected valid UTF-8"},
        {"\xef\xbb\xbf{}", 1, 1, "expected a value"},
        {"\"gr\xc3\xb6\xc3\x9f\x65\" x", 1, 9, "expected the end of the body"}, /* characters */
        {"[1,\r\n2,\r\n x]", 3, 2, "expected a value"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_fault(qr_text_of(cases[i].text), cases[i].line, cases[i].column, cases[i].expected);
    expect_fault((qr_text){"{}\0", 3}, 1, 3, "expected the end of the body");
    expect_fault((qr_text){"123\0", 4}, 1, 4, "expected the end of the body");
    expect_fault((qr_text){"\"a\0\"", 4}, 1, 3, "expected a control character to be escaped");
    expect_fault((qr_text){NULL, 0}, 1, 1, "expected a value");
}

Test(json_fault, finds_nothing_in_good_texts) {
    static const char *const good[] = {
        "{}",
        "[]",
        " [ ] ",
        "[1,2]",
        "{\"a\":[{\"b\":null}],\"c\":true,\"d\":false}",
        "-0",
        "0.5",
        "-1.5e+3",
        "1E5",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\\u0000\"",
        "\"gr\xc3\xb6\xc3\x9f\x65 \xef\xbf\xbd \xf0\x9f\x98\x80\"",
        "9223372036854775807",
        "-9223372036854775808",
        "1e308",
        "1e-999",
        "\t\n\r 1\r\n",
        "[[[[]]]]",
    };
    qr__json_fault fault;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        cr_expect_not(qr__json_fault_find(qr_text_of(good[i]), &fault), "%s: column %zu: %s",
                      good[i], fault.column, fault.expected);
}

Test(json_fault, our_limits) {
    char deep[2 * QR_LIMIT_JSON_DEPTH + 2];
    memset(deep, '[', sizeof deep);
    expect_fault((qr_text){deep, sizeof deep}, 1, QR_LIMIT_JSON_DEPTH + 1,
                 "expected at most 32 levels of nesting");
    memset(deep + QR_LIMIT_JSON_DEPTH, ']', QR_LIMIT_JSON_DEPTH);
    qr__json_fault fault;
    cr_expect_not(qr__json_fault_find((qr_text){deep, 2 * QR_LIMIT_JSON_DEPTH}, &fault));
    size_t len = 2 * (size_t)QR_LIMIT_JSON_VALUES + 1;
    char *many = malloc(len);
    for (size_t i = 0; i < len; i++)
        many[i] = i == 0 ? '[' : i == len - 1 ? ']' : i % 2 == 1 ? '1' : ',';
    expect_fault((qr_text){many, len}, 1, len - 1, "expected at most 2097152 values");
    free(many);
}

/* The whole way: what the parser's refusal becomes. */
static void expect_parse_fault(const char *text, size_t line, size_t column, const char *expected) {
    qr__value *value;
    qr__value_room room = {0};
    qr_fault fault = {0};
    cr_assert_eq(qr__value_parse(qr_text_of(text), &room, &value, &fault), QR_BAD_JSON, "%s", text);
    cr_expect(fault.line == line && fault.column == column && strcmp(fault.expected, expected) == 0,
              "%s: line %zu, column %zu: %s", text, fault.line, fault.column, fault.expected);
}

Test(json_fault, members_of_one_name) {
    static const char expected[] = "expected a name that the object does not have yet";
    expect_parse_fault("{\"a\":1,\"a\":2}", 1, 8, expected);
    expect_parse_fault("{\"a\":1,\n \"b\":{\"a\":1},  \"a\"  :2, }", 2, 16, expected);
    expect_parse_fault("[{\"\\u00e9\":1,\"\xc3\xa9\":2}]", 1, 14, expected);
    expect_parse_fault("{\"a\":1, x", 1, 9, "expected a member's name");
}

/* What the parser says, but for members of one name, the scanner must say too. */
static void compare(qr_text text) {
    qr__value *value;
    qr__value_room room = {0};
    qr_fault fault = {0};
    qr__json_fault found;
    qr_status status = qr__value_parse(text, &room, &value, &fault);
    qr__value_free(value, &room);
    bool duplicate = status == QR_BAD_JSON && strstr(fault.expected, "have yet") != NULL;
    bool faulty = qr__json_fault_find(text, &found);
    if (!duplicate)
        cr_assert_eq(faulty, status == QR_BAD_JSON, "parser %s, scanner %s: %.*s",
                     qr_status_name(status), faulty ? found.expected : "nothing", (int)text.len,
                     text.data);
    if (faulty)
        cr_assert(found.byte <= text.len && found.line > 0 && found.column > 0);
    cr_assert_neq(fault.expected == NULL ? 1 : strcmp(fault.expected, "expected JSON"), 0);
}

Test(json_fault, agrees_with_the_parser_on_mutations, .timeout = 120) {
    static const char *const seeds[] = {
        "{\"inputs\":[\"tall\",[101,2129]],\"x\":null,\"n\":-1.5e3,\"u\":\"\\u00e9\"}",
        "{\"question\":\"a\\n\\ud83d\\ude00 b\",\"parameters\":{\"top_k\":3,\"x\":[true,false]}}",
        "[[1,2.25,-3e-7],{\"a\":{\"b\":{}}},\"gr\xc3\xb6\xc3\x9f\x65\",9223372036854775807]",
    };
    static const char pieces[] = "{}[]:,\"\\u0dD8eE+-.19tfn \n\t\x01\x7f\x80\xc3\xef\xff";
    uint64_t seed = 3;
    for (int round = 0; round < 60000; round++) {
        char text[256];
        const char *from = seeds[round % 3];
        size_t len = strlen(from);
        memcpy(text, from, len);
        seed = seed * 6364136223846793005ull + 1442695040888963407ull;
        for (uint64_t dice = seed >> 20, edits = 1 + dice % 3; edits > 0; edits--) {
            seed = seed * 6364136223846793005ull + 1442695040888963407ull;
            dice = seed >> 24;
            size_t at = dice % len;
            char piece = pieces[(dice >> 12) % (sizeof pieces - 1)];
            if (dice % 3 == 0) {
                text[at] = piece;
            } else if (dice % 3 == 1 && len > 2) {
                memmove(text + at, text + at + 1, --len - at);
            } else if (len < sizeof text) {
                memmove(text + at + 1, text + at, len++ - at);
                text[at] = piece;
            }
        }
        compare((qr_text){text, len});
        compare((qr_text){text, (seed >> 40) % (len + 1)});
    }
}

Test(json_fault, json_test_suite) {
    const char *dir = QR_SOURCE_DIR "/../shared/data/json-test-suite";
    DIR *list = opendir(dir);
    size_t refused = 0;
    if (list == NULL)
        cr_skip("no %s", dir);
    for (struct dirent *entry = readdir(list); entry != NULL; entry = readdir(list)) {
        char path[QR_PATH_BYTES], *data;
        size_t len;
        if (strstr(entry->d_name, ".json") == NULL)
            continue;
        cr_assert(qr_file_join(dir, entry->d_name, path, sizeof path));
        cr_assert_eq(qr_file_read(path, 1u << 20, &data, &len, NULL), QR_OK);
        compare((qr_text){data, len});
        qr__json_fault fault;
        if (entry->d_name[0] == 'n') {
            cr_expect(qr__json_fault_find((qr_text){data, len}, &fault), "%s", entry->d_name);
            refused++;
        }
        free(data);
    }
    closedir(list);
    cr_expect(refused > 180, "%zu n_ files", refused);
}
