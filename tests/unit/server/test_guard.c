/* Each rule of the HTTP guard alone, over heads as the parser would hand them out. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "server/http/guard.h"

#define MAX_BODY 1000
#define FIELDS   8

typedef struct head_case {
    char name[48];
    char method[16], target[64], version[16];
    char fields[FIELDS][2][64]; /* ends at an empty name, but {"", "x"} is a field without a name */
    qr_status expected;
} head_case;

static qr_status check_target(qr_text target) {
    qr_text authority, path;
    return qr__guard_target(target, &authority, &path);
}

static qr_status check_fields(const char *method, const char *target, const char *version,
                              const char fields[FIELDS][2][64], qr_http_facts *facts) {
    qr__http_field list[FIELDS];
    size_t len = 0;
    while (len < FIELDS && (fields[len][0][0] != '\0' || fields[len][1][0] != '\0')) {
        list[len] = (qr__http_field){qr_text_of(fields[len][0]), qr_text_of(fields[len][1])};
        len++;
    }
    qr__http_head head = {qr_text_of(method), qr_text_of(target), qr_text_of(version), list, len};
    return qr__guard_check(&head, MAX_BODY, facts);
}

#define HOST {"Host", "a"}
#define ROW(name, method, target, version, expected, ...)                                          \
    {name, method, target, version, {__VA_ARGS__}, expected}

static head_case cases[] = {
    ROW("get", "GET", "/x", "HTTP/1.1", QR_OK, HOST),
    ROW("get 1.0", "GET", "/x", "HTTP/1.0", QR_OK),
    ROW("post", "POST", "/x", "HTTP/1.1", QR_OK, HOST, {"Content-Length", "1000"}),
    ROW("post of nothing", "POST", "/x", "HTTP/1.1", QR_OK, HOST, {"content-length", "0"}),
    ROW("version 1.2", "GET", "/x", "HTTP/1.2", QR_BAD_HTTP, HOST),
    ROW("version empty", "GET", "/x", "", QR_BAD_HTTP, HOST),
    ROW("method not a token", "G(T", "/x", "HTTP/1.1", QR_BAD_HTTP, HOST),
    ROW("method empty", "", "/x", "HTTP/1.1", QR_BAD_HTTP, HOST),
    ROW("no host", "GET", "/x", "HTTP/1.1", QR_BAD_HTTP),
    ROW("two hosts", "GET", "/x", "HTTP/1.1", QR_BAD_HTTP, HOST, HOST),
    ROW("two hosts in 1.0", "GET", "/x", "HTTP/1.0", QR_BAD_HTTP, HOST, HOST),
    ROW("host in capitals", "GET", "/x", "HTTP/1.1", QR_OK, {"HOST", "A.example:80"}),
    ROW("host IPv6", "GET", "/x", "HTTP/1.1", QR_OK, {"Host", "[::1]:80"}),
    ROW("host with slash", "GET", "/x", "HTTP/1.1", QR_BAD_HTTP, {"Host", "a/b"}),
    ROW("host with at", "GET", "/x", "HTTP/1.1", QR_BAD_HTTP, {"Host", "u@b"}),
    ROW("absolute", "GET", "http://a:80/x", "HTTP/1.1", QR_OK, {"Host", " a:80 "}),
    ROW("absolute in 1.0", "GET", "http://a/x", "HTTP/1.0", QR_OK, HOST),
    ROW("absolute of another host", "GET", "http://b/x", "HTTP/1.1", QR_BAD_HTTP, HOST),
    ROW("absolute of a longer host", "GET", "http://ab/x", "HTTP/1.1", QR_BAD_HTTP, HOST),
    ROW("absolute of another port", "GET", "http://a:80/x", "HTTP/1.1", QR_BAD_HTTP, HOST),
    ROW("absolute without host", "GET", "http:///x", "HTTP/1.1", QR_BAD_HTTP, HOST),
    ROW("absolute with user", "GET", "http://a@a/x", "HTTP/1.1", QR_BAD_HTTP, HOST),
    ROW("absolute and no field", "GET", "http://a/x", "HTTP/1.1", QR_BAD_HTTP),
    ROW("absolute and no field in 1.0", "GET", "http://a/x", "HTTP/1.0", QR_BAD_HTTP),
    ROW("nothing in 1.0", "GET", "http:///x", "HTTP/1.0", QR_BAD_HTTP),
    ROW("absolute and two fields", "GET", "http://a/x", "HTTP/1.1", QR_BAD_HTTP, HOST, HOST),
    ROW("length twice", "POST", "/x", "HTTP/1.1", QR_BAD_HTTP, HOST, {"Content-Length", "5"},
        {"Content-Length", "5"}),
    ROW("length list", "POST", "/x", "HTTP/1.1", QR_BAD_HTTP, HOST, {"Content-Length", "5,5"}),
    ROW("length sign", "POST", "/x", "HTTP/1.1", QR_BAD_HTTP, HOST, {"Content-Length", "+5"}),
    ROW("length minus", "POST", "/x", "HTTP/1.1", QR_BAD_HTTP, HOST, {"Content-Length", "-5"}),
    ROW("length hex", "POST", "/x", "HTTP/1.1", QR_BAD_HTTP, HOST, {"Content-Length", "0x5"}),
    ROW("length word", "POST", "/x", "HTTP/1.1", QR_BAD_HTTP, HOST, {"Content-Length", "five"}),
    ROW("length blank", "POST", "/x", "HTTP/1.1", QR_BAD_HTTP, HOST, {"Content-Length", " "}),
    ROW("length too large", "POST", "/x", "HTTP/1.1", QR_TOO_LARGE, HOST,
        {"Content-Length", "1001"}),
    ROW("length far too large", "POST", "/x", "HTTP/1.1", QR_TOO_LARGE, HOST,
        {"Content-Length", "99999999999999999999999999999999999999"}),
    ROW("length huge, then a letter", "POST", "/x", "HTTP/1.1", QR_BAD_HTTP, HOST,
        {"Content-Length", "99999999999999999999999999999999999999a"}),
    ROW("length with zeros", "POST", "/x", "HTTP/1.1", QR_OK, HOST,
        {"Content-Length", "0000000000000000000000000012"}),
    ROW("no length", "POST", "/x", "HTTP/1.1", QR_LENGTH_REQUIRED, HOST),
    ROW("get with body", "GET", "/x", "HTTP/1.1", QR_BAD_HTTP, HOST, {"Content-Length", "5"}),
    ROW("head with body", "HEAD", "/x", "HTTP/1.1", QR_BAD_HTTP, HOST, {"Content-Length", "5"}),
    ROW("get with length zero", "GET", "/x", "HTTP/1.1", QR_OK, HOST, {"Content-Length", "0"}),
    ROW("put with body", "PUT", "/x", "HTTP/1.1", QR_OK, HOST, {"Content-Length", "5"}),
    ROW("chunked", "POST", "/x", "HTTP/1.1", QR_OK, HOST, {"Transfer-Encoding", "chunked"}),
    ROW("chunked on get", "GET", "/x", "HTTP/1.1", QR_BAD_HTTP, HOST,
        {"Transfer-Encoding", "chunked"}),
    ROW("chunked in 1.0", "POST", "/x", "HTTP/1.0", QR_BAD_HTTP, HOST,
        {"Transfer-Encoding", "chunked"}),
    ROW("chunked and length", "POST", "/x", "HTTP/1.1", QR_BAD_HTTP, HOST,
        {"Transfer-Encoding", "chunked"}, {"Content-Length", "5"}),
    ROW("length and chunked", "POST", "/x", "HTTP/1.1", QR_BAD_HTTP, HOST, {"Content-Length", "5"},
        {"Transfer-Encoding", "chunked"}),
    ROW("chunked twice", "POST", "/x", "HTTP/1.1", QR_BAD_HTTP, HOST,
        {"Transfer-Encoding", "chunked"}, {"Transfer-Encoding", "chunked"}),
    ROW("gzip", "POST", "/x", "HTTP/1.1", QR_NOT_IMPLEMENTED, HOST, {"Transfer-Encoding", "gzip"}),
    ROW("gzip, chunked", "POST", "/x", "HTTP/1.1", QR_NOT_IMPLEMENTED, HOST,
        {"Transfer-Encoding", "gzip, chunked"}),
    ROW("name with space", "GET", "/x", "HTTP/1.1", QR_BAD_HTTP, HOST, {"a b", "c"}),
    ROW("name ends in space", "POST", "/x", "HTTP/1.1", QR_BAD_HTTP, HOST,
        {"Content-Length ", "5"}),
    ROW("name ends in tab", "POST", "/x", "HTTP/1.1", QR_BAD_HTTP, HOST, {"Content-Length\t", "5"}),
    ROW("name empty", "GET", "/x", "HTTP/1.1", QR_BAD_HTTP, HOST, {"", "c"}),
    ROW("name with control", "GET", "/x", "HTTP/1.1", QR_BAD_HTTP, HOST, {"a\x01", "c"}),
    ROW("name with high byte", "GET", "/x", "HTTP/1.1", QR_BAD_HTTP, HOST, {"a\xff", "c"}),
    ROW("value with control", "GET", "/x", "HTTP/1.1", QR_BAD_HTTP, HOST, {"a", "b\x02z"}),
    ROW("value with CR", "GET", "/x", "HTTP/1.1", QR_BAD_HTTP, HOST, {"a", "b\rc"}),
    ROW("value with LF", "GET", "/x", "HTTP/1.1", QR_BAD_HTTP, HOST, {"a", "b\nc"}),
    ROW("value with DEL", "GET", "/x", "HTTP/1.1", QR_BAD_HTTP, HOST, {"a", "b\x7f"}),
    ROW("value with tab and high bytes", "GET", "/x", "HTTP/1.1", QR_OK, HOST,
        {"a", "b\tc\xc3\xa4"}),
    ROW("budget", "GET", "/x", "HTTP/1.1", QR_OK, HOST, {"X-Request-Budget-Ms", "25"}),
    /* A budget is not the guard's business, whatever it is: the connection is kept. */
    ROW("budget with sign", "GET", "/x", "HTTP/1.1", QR_OK, HOST, {"X-Request-Budget-Ms", "-25"}),
    ROW("budget twice", "GET", "/x", "HTTP/1.1", QR_OK, HOST, {"X-Request-Budget-Ms", "2"},
        {"x-request-budget-ms", "2"}),
    ROW("two types", "POST", "/x", "HTTP/1.1", QR_BAD_HTTP, HOST, {"Content-Length", "2"},
        {"Content-Type", "text/plain"}, {"Content-Type", "application/json"}),
};

Test(guard, rules) {
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const head_case *c = &cases[i];
        qr_http_facts facts;
        qr_status status =
            check_fields(c->method, c->target, c->version, (const char(*)[2][64])c->fields, &facts);
        cr_expect_eq(status, c->expected, "%s: %s", c->name, qr_status_name(status));
    }
}

Test(guard, targets) {
    static const struct {
        const char *target;
        qr_status expected;
    } targets[] = {
        {"/", QR_OK},
        {"/embed?a=b&c=/../d", QR_OK}, /* a query may say what it likes */
        {"/a.b/..c/...", QR_OK},
        {"/%41", QR_OK},
        {"/a%2500", QR_OK}, /* "%25" is a percent sign, then "00" */
        {"", QR_BAD_HTTP},
        {"a", QR_BAD_HTTP},
        {"*", QR_BAD_HTTP},
        {"http://a/b?c=/../d", QR_OK},
        {"HTTP://a", QR_OK},
        {"http:/a", QR_BAD_HTTP},
        {"http:a", QR_BAD_HTTP},
        {"https://a/", QR_BAD_HTTP},
        {"ftp://a/", QR_BAD_HTTP},
        {"http://a/..", QR_BAD_HTTP},
        {"http://a/b/./c", QR_BAD_HTTP},
        {"http://a/%00", QR_BAD_HTTP},
        {"http://a/b#c", QR_BAD_HTTP},
        {"/%00", QR_BAD_HTTP},
        {"/a?%00", QR_BAD_HTTP},
        {"/a b", QR_BAD_HTTP},
        {"/a\tb", QR_BAD_HTTP},
        {"/a\x7f", QR_BAD_HTTP},
        {"/\xc3\xa4", QR_BAD_HTTP},
        {"/a#b", QR_BAD_HTTP},
        {"/a\\b", QR_BAD_HTTP},
        {"/..", QR_BAD_HTTP},
        {"/.", QR_BAD_HTTP},
        {"/a/../b", QR_BAD_HTTP},
        {"/a/./b", QR_BAD_HTTP},
        {"/a/..?b", QR_BAD_HTTP},
    };
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++)
        cr_expect_eq(check_target(qr_text_of(targets[i].target)), targets[i].expected, "%s",
                     targets[i].target);
    char longest[QR_LIMIT_URI_BYTES + 2];
    memset(longest, 'a', sizeof longest);
    longest[0] = '/';
    cr_expect_eq(check_target((qr_text){longest, QR_LIMIT_URI_BYTES}), QR_OK);
    cr_expect_eq(check_target((qr_text){longest, QR_LIMIT_URI_BYTES + 1}), QR_URI_TOO_LONG);
    cr_expect_eq(check_target((qr_text){"/a\0b", 4}), QR_BAD_HTTP);
}

Test(guard, paths) {
    static const struct {
        const char *target, *authority, *path;
    } targets[] = {
        {"/a/b?c", NULL, "/a/b"},
        {"//a/b", NULL, "//a/b"},
        {"http://a/b?c", "a", "/b"},
        {"hTTp://a:80//b", "a:80", "//b"},
        {"http://a", "a", "/"},
        {"http://a?b/c", "a", "/"},
        {"http:///b", "", "/b"},
        {"http://", "", "/"},
        {"http://u@a/b", "u@a", "/b"},
        {"/http://a/b", NULL, "/http://a/b"},
        {"/b?http://a/c", NULL, "/b"},
        {"http://a/http://b/c", "a", "/http://b/c"},
        {"http://[::1]:8/b?", "[::1]:8", "/b"},
    };
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        qr_text authority, path;
        cr_assert_eq(qr__guard_target(qr_text_of(targets[i].target), &authority, &path), QR_OK);
        cr_expect_eq(authority.data == NULL, targets[i].authority == NULL, "%s", targets[i].target);
        cr_expect(qr_text_is(authority, targets[i].authority), "%s", targets[i].target);
        cr_expect(qr_text_is(path, targets[i].path), "%s", targets[i].target);
    }
}

Test(guard, tokens_are_rfc_9110s) {
    for (int c = 0; c < 256; c++) {
        char byte = (char)c;
        bool expected = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                        (c >= 'A' && c <= 'Z') || (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL);
        cr_expect_eq(qr__guard_token((qr_text){&byte, 1}), expected, "byte %d", c);
    }
    cr_expect_not(qr__guard_token((qr_text){"", 0}));
}

Test(guard, number_of_fields) {
    qr__http_field fields[QR_LIMIT_HEADER_FIELDS + 1];
    qr_http_facts facts;
    for (size_t i = 0; i <= QR_LIMIT_HEADER_FIELDS; i++)
        fields[i] = (qr__http_field){qr_text_of(i == 0 ? "Host" : "X"), qr_text_of("a")};
    qr__http_head head = {qr_text_of("GET"), qr_text_of("/"), qr_text_of("HTTP/1.1"), fields,
                          QR_LIMIT_HEADER_FIELDS};
    cr_expect_eq(qr__guard_check(&head, MAX_BODY, &facts), QR_OK);
    head.fields_len++;
    cr_expect_eq(qr__guard_check(&head, MAX_BODY, &facts), QR_HEAD_TOO_LARGE);
}

Test(guard, facts) {
    qr_http_facts facts;
    const char fields[FIELDS][2][64] = {
        {"Host", " a "},
        {"Content-Length", "\t12 "},
        {"X-REQUEST-BUDGET-MS", "25"},
        {"Content-Type", "application/json; charset=utf-8"},
        {"TraceParent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}};
    cr_assert_eq(check_fields("POST", "/x", "HTTP/1.1", fields, &facts), QR_OK);
    cr_expect_eq(facts.body_bytes, 12);
    cr_expect(qr_text_is(facts.method, "POST"));
    cr_expect(qr_text_is(facts.host.text, "a"), "without its blanks");
    cr_expect(qr_text_is(facts.budget.text, "25") && facts.budget.count == 1);
    cr_expect(qr_text_is(facts.content_type.text, "application/json; charset=utf-8"));
    cr_expect_eq(facts.traceparent.text.len, 55);
    const char none[FIELDS][2][64] = {HOST};
    cr_assert_eq(check_fields("GET", "/x", "HTTP/1.1", none, &facts), QR_OK);
    cr_expect_eq(facts.body_bytes, 0);
    cr_expect_eq(facts.budget.count, 0);
    cr_expect_null(facts.content_type.text.data);
    cr_expect_null(facts.traceparent.text.data);
    const char twice[FIELDS][2][64] = {
        HOST, {"X-Request-Budget-Ms", "1"}, {"x-request-budget-ms", "2"}};
    cr_assert_eq(check_fields("GET", "/x", "HTTP/1.1", twice, &facts), QR_OK);
    cr_expect(qr_text_is(facts.budget.text, "2") && facts.budget.count == 2);
}
