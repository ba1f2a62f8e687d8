/* Request bodies: what is refused before jansson, what by it, and numbers' bounds. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/api/json_in.h"

static qr__value_room room; /* of no quota, unless a test says so */

static qr_status parse(qr_text text, qr__value **out) {
    qr_fault fault = {0};
    qr_status status = qr__value_parse(text, &room, out, &fault);
    cr_expect_eq(status == QR_OK, *out != NULL);
    cr_expect_eq(status == QR_BAD_JSON,
                 fault.line > 0 && fault.column > 0 && fault.expected != NULL);
    return status;
}

static qr_status verdict(qr_text text) {
    qr__value *value;
    qr_status status = parse(text, &value);
    qr__value_free(value, &room);
    return status;
}

static qr_status nested(size_t depth, bool objects) {
    qr_buf buf;
    qr_buf_init(&buf, 4u << 20);
    for (size_t i = 0; i < depth; i++)
        qr_buf_text(&buf, qr_text_of(objects ? "{\"a\":" : "["));
    qr_buf_literal(&buf, "1");
    for (size_t i = 0; i < depth; i++)
        qr_buf_byte(&buf, objects ? '}' : ']');
    qr_status status = verdict((qr_text){buf.data, buf.len});
    qr_buf_deinit(&buf);
    return status;
}

Test(json_in, depth_is_capped_before_anything_recurses) {
    cr_expect_eq(nested(QR_LIMIT_JSON_DEPTH, false), QR_OK);
    cr_expect_eq(nested(QR_LIMIT_JSON_DEPTH + 1, false), QR_BAD_JSON);
    cr_expect_eq(nested(QR_LIMIT_JSON_DEPTH, true), QR_OK);
    cr_expect_eq(nested(QR_LIMIT_JSON_DEPTH + 1, true), QR_BAD_JSON);
    cr_expect_eq(nested(100000, false), QR_BAD_JSON);
    /* Brackets in strings are text. */
    char text[1000];
    memset(text, '[', sizeof text);
    text[0] = text[sizeof text - 1] = '"';
    cr_expect_eq(verdict((qr_text){text, sizeof text}), QR_OK);
    cr_expect_eq(verdict(qr_text_of("\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"")),
                 QR_OK);
}

Test(json_in, number_of_values_is_capped) {
    size_t len = 2 * (size_t)QR_LIMIT_JSON_VALUES + 100;
    char *text = malloc(len);
    for (size_t i = 0; i < len; i++)
        text[i] = i == 0 ? '[' : i == len - 1 ? ']' : i % 2 == 1 ? '1' : ',';
    cr_expect_eq(verdict((qr_text){text, len}), QR_BAD_JSON);
    free(text);
}

Test(json_in, refuses) {
    static const char *const bad[] = {
        "",
        " ",
        "{",
        "[1,]",
        "{\"a\":1,}",
        "{\"a\":1}x",
        "[1] [2]",
        "{'a':1}",
        "{a:1}",
        "nul",
        "tru",
        "NaN",
        "Infinity",
        "01",
        "1.",
        ".5",
        "+1",
        "\"\\x41\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\n\"",
        "\"\xff\"",
        "\"\xc0\x80\"",
        "\"\xed\xa0\x80\"",
        "\xef\xbb\xbf{}",
        "{\"a\":1,\"a\":2}",
        "[1e999]",
        "99999999999999999999",
        "\"unclosed",
        "\"\\",
        "[1}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_eq(verdict(qr_text_of(bad[i])), QR_BAD_JSON, "case %zu: %s", i, bad[i]);
    cr_expect_eq(verdict((qr_text){NULL, 0}), QR_BAD_JSON);
    cr_expect_eq(verdict((qr_text){"{}\0", 3}), QR_BAD_JSON);
    cr_expect_eq(verdict((qr_text){"123\0", 4}), QR_BAD_JSON);
    cr_expect_eq(verdict((qr_text){"\"a\0\"", 4}), QR_BAD_JSON);
}

Test(json_in, values) {
    qr__value *body;
    cr_assert_eq(parse(qr_text_of("{\"t\":\"a\\u0000\\ud83d\\ude00\",\"n\":null,\"b\":true,\"i\":-"
                                  "7,\"r\":1.0,\"l\":[1,\"x\"]}"),
                       &body),
                 QR_OK);
    qr_text text = qr__value_text(qr__value_get(body, "t"));
    cr_expect(qr_text_equal(text, (qr_text){"a\0\xf0\x9f\x98\x80", 6}));
    cr_expect_null(qr__value_get(body, "n"));
    cr_expect_null(qr__value_get(body, "none"));
    cr_expect_null(qr__value_get(qr__value_get(body, "l"), "t"));
    bool flag = false;
    cr_expect(qr__value_flag(qr__value_get(body, "b"), &flag) && flag);
    cr_expect_not(qr__value_flag(qr__value_get(body, "i"), &flag));
    cr_expect_eq(qr__value_kind_of(qr__value_get(body, "i")), QR__VALUE_INTEGER);
    cr_expect_eq(qr__value_kind_of(qr__value_get(body, "r")), QR__VALUE_REAL);
    cr_expect_eq(qr__value_kind_of(NULL), QR__VALUE_NULL);
    const qr__value *list = qr__value_get(body, "l");
    cr_expect_eq(qr__value_len(list), 2);
    cr_expect_eq(qr__value_kind_of(qr__value_at(list, 1)), QR__VALUE_TEXT);
    cr_expect_null(qr__value_at(list, 2));
    cr_expect_eq(qr__value_text(list).len, 0);
    cr_expect_eq(qr__value_len(body), 0);
    qr__value_free(body, &room);
}

Test(json_in, numbers_keep_their_bounds) {
    static const struct {
        const char *text;
        size_t least, most;
        bool fits;
    } cases[] = {
        {"1", 1, 9, true},
        {"0", 1, 9, false},
        {"9", 1, 9, true},
        {"10", 1, 9, false},
        {"-1", 0, 9, false},
        {"0", 0, 9, true},
        {"-0", 0, 9, true},
        {"1.0", 1, 9, false},
        {"1e0", 1, 9, false},
        {"\"1\"", 1, 9, false},
        {"true", 1, 9, false},
        {"9223372036854775807", 1, 9, false},
        {"-9223372036854775808", 0, SIZE_MAX, false},
        {"[1]", 1, 9, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        qr__value *value;
        size_t number;
        cr_assert_eq(parse(qr_text_of(cases[i].text), &value), QR_OK);
        cr_expect_eq(qr__value_number(value, cases[i].least, cases[i].most, &number), cases[i].fits,
                     "%s", cases[i].text);
        qr__value_free(value, &room);
    }
}

/* Every prefix and every single-byte change of a real body: no crash, no leak (under the
 * sanitizers), a verdict each. */
Test(json_in, cut_and_changed_bodies) {
    static const char body[] =
        "{\"inputs\":[\"how "
        "tall\",[101,2129,102]],\"truncate\":null,\"n\":-1.5e3,\"u\":\"\\u00e9\"}";
    char changed[sizeof body];
    for (size_t len = 0; len < sizeof body - 1; len++)
        cr_expect_eq(verdict((qr_text){body, len}), QR_BAD_JSON);
    for (size_t i = 0; i < sizeof body - 1; i++)
        for (int byte = 0; byte < 256; byte++) {
            memcpy(changed, body, sizeof body);
            changed[i] = (char)byte;
            qr_status status = verdict((qr_text){changed, sizeof body - 1});
            cr_assert(status == QR_OK || status == QR_BAD_JSON);
        }
}

Test(json_in, json_test_suite) {
    const char *dir = QR_SOURCE_DIR "/../shared/data/json-test-suite";
    DIR *list = opendir(dir);
    size_t refused = 0, accepted = 0;
    if (list == NULL)
        cr_skip("no %s", dir);
    for (struct dirent *entry = readdir(list); entry != NULL; entry = readdir(list)) {
        char path[QR_PATH_BYTES], *data;
        size_t len;
        if (strstr(entry->d_name, ".json") == NULL)
            continue;
        cr_assert(qr_file_join(dir, entry->d_name, path, sizeof path));
        cr_assert_eq(qr_file_read(path, 1u << 20, &data, &len, NULL), QR_OK);
        qr_status status = verdict((qr_text){data, len});
        if (entry->d_name[0] == 'n') {
            cr_expect_eq(status, QR_BAD_JSON, "%s", entry->d_name);
            refused++;
        } else if (entry->d_name[0] == 'y' && strstr(entry->d_name, "duplicated_key") == NULL &&
                   strstr(entry->d_name, "null_in_key") == NULL) { /* keys: no duplicates, no NUL */
            cr_expect_eq(status, QR_OK, "%s", entry->d_name);
            accepted++;
        }
        free(data);
    }
    closedir(list);
    cr_expect(refused > 180 && accepted > 90, "%zu n_ and %zu y_ files", refused, accepted);
}

static size_t tree_held, tree_most; /* by jansson, in chunks of glibc's malloc */

#define HEADER_BYTES 16

static size_t chunk_of(size_t bytes) {
    return qr_max(32, (bytes + 8 + 15) / 16 * 16);
}

static void *tree_malloc(size_t bytes) {
    char *block = malloc(HEADER_BYTES + bytes);
    memcpy(block, &bytes, sizeof bytes);
    tree_held += chunk_of(bytes);
    tree_most = qr_max(tree_most, tree_held);
    return block + HEADER_BYTES;
}

static void tree_free(void *p) {
    size_t bytes;
    if (p == NULL)
        return;
    char *block = (char *)p - HEADER_BYTES;
    memcpy(&bytes, block, sizeof bytes);
    tree_held -= chunk_of(bytes);
    free(block);
}

/* What a body of one such item after the other takes is not more than was foreseen, and not so much
 * less that requests would be refused for nothing. */
static void expect_bound(size_t len, const char *open, const char *item, const char *close,
                         bool numbered) {
    qr_buf buf;
    qr__value *value;
    qr_buf_init(&buf, 4u << 20);
    qr_buf_text(&buf, qr_text_of(open));
    for (size_t i = 0; i < len; i++) {
        if (i > 0)
            qr_buf_byte(&buf, ',');
        if (numbered)
            qr_buf_printf(&buf, "\"%zu\":", i);
        qr_buf_text(&buf, qr_text_of(item));
    }
    qr_buf_text(&buf, qr_text_of(close));
    tree_held = tree_most = 0;
    cr_assert_eq(parse(qr_buf_contents(&buf), &value), QR_OK);
    size_t bound;
    cr_expect(qr__value_scan(qr_buf_contents(&buf), &bound));
    cr_expect_leq(tree_most, bound, "%s: %zu bytes of %zu", item, tree_most, bound);
    cr_expect_geq(7 * tree_most, bound, "%s: %zu bytes of %zu", item, tree_most, bound);
    qr__value_free(value, &room);
    qr_buf_deinit(&buf);
}

Test(json_in, what_a_tree_takes_is_foreseen) {
    json_set_alloc_funcs(tree_malloc, tree_free);
    qr_json_guard_memory(); /* which adds to each */
    static const char *const items[] = {"1",
                                        "1.5",
                                        "true",
                                        "\"\"",
                                        "\"a\"",
                                        "[]",
                                        "[1]",
                                        "[[]]",
                                        "{}",
                                        "null",
                                        "{\"a\":1}",
                                        "[1,2,3,4,5,6,7,8,9]",
                                        "\"a text of some thirty characters\"",
                                        "{\"a\":1,\"b\":2,\"c\":3,\"d\":4,\"e\":5,\"f\":6}"};
    static const size_t lengths[] = {4095, 6000, 8193}; /* tables double at powers of two */
    for (size_t i = 0; i < sizeof items / sizeof items[0]; i++) {
        for (size_t n = 0; n < sizeof lengths / sizeof lengths[0]; n++) {
            expect_bound(lengths[n], "[", items[i], "]", false);
            expect_bound(lengths[n], "{", items[i], "}", true);
        }
    }
}

/* So many bytes of this one item, in a list. */
static void fill(qr_buf *buf, const char *item, size_t bytes, const char *close) {
    qr_buf_reset(buf);
    qr_buf_literal(buf, "[0");
    while (buf->len < bytes) {
        qr_buf_byte(buf, ',');
        qr_buf_text(buf, qr_text_of(item));
    }
    qr_buf_text(buf, qr_text_of(close));
}

/* A long text's tree is taken from the quota for as long as there is one; a short one's is not, and
 * what no room could help is refused for what it is. */
Test(json_in, a_tree_has_its_room) {
    qr_quota quota;
    qr_buf buf;
    qr__value *value;
    qr_quota_init(&quota, 32u << 20);
    room.quota = &quota;
    qr_buf_init(&buf, 1u << 20);
    fill(&buf, "1", QR_QUOTA_SMALL_BYTES - 2, "]");
    cr_assert_eq(parse(qr_buf_contents(&buf), &value), QR_OK);
    cr_expect_eq(qr_quota_held(&quota), 0);
    qr__value_free(value, &room);
    fill(&buf, "1", 100000, "]");
    cr_assert_eq(parse(qr_buf_contents(&buf), &value), QR_OK);
    cr_expect_eq(qr_quota_held(&quota), room.held_bytes);
    cr_expect_gt(room.held_bytes, 50000 * sizeof(json_t));
    const size_t tree = room.held_bytes;
    qr__value_free(value, &room);
    cr_expect_eq(qr_quota_held(&quota), 0);
    fill(&buf, "1", 100000, ",]");
    cr_expect_eq(parse(qr_buf_contents(&buf), &value), QR_BAD_JSON);
    cr_expect_eq(qr_quota_held(&quota), 0, "of what was refused nothing is kept");
    qr_quota_force(&quota, 16u << 20);
    fill(&buf, "1", 100000, "]");
    cr_expect_eq(parse(qr_buf_contents(&buf), &value), QR_NO_MEMORY);
    cr_expect_eq(qr_quota_wanted(&quota), (16u << 20) + tree);
    cr_expect_eq(qr_quota_held(&quota), 16u << 20);
    fill(&buf, "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", 100000, "");
    cr_expect_eq(parse(qr_buf_contents(&buf), &value), QR_BAD_JSON, "it was looked at once");
    qr_buf_deinit(&buf);
}
