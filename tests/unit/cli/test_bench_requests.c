/* cli/bench_requests.h and bench_queries.h: what is sent, byte for byte. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/bench_requests.h"

static char path[] = "/tmp/querent-queries-XXXXXX";

static void write_file(const char *text, size_t len) {
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, len), (ssize_t)len);
    close(fd);
}

Test(queries, lines_without_their_ends_and_without_blank_ones) {
    static const char text[] = "one\n\n  \ntwo words\r\n\xC3\xA9\nlast";
    qr__queries queries = {0};
    qr_error error = {0};
    write_file(text, sizeof text - 1);
    cr_assert_eq(qr__queries_read(path, &queries, &error), QR_OK, "%s", error.message);
    cr_assert_eq(queries.len, 4);
    cr_expect(qr_text_is(queries.items[0], "one"));
    cr_expect(qr_text_is(queries.items[1], "two words"));
    cr_expect(qr_text_is(queries.items[2], "\xC3\xA9"));
    cr_expect(qr_text_is(queries.items[3], "last"));
    qr__queries_deinit(&queries);
    unlink(path);
}

Test(queries, none_is_a_fault_that_names_the_file) {
    qr__queries queries = {0};
    qr_error error = {0};
    write_file(" \n\n", 3);
    cr_expect_neq(qr__queries_read(path, &queries, &error), QR_OK);
    cr_expect(strstr(error.message, path) != NULL);
    qr__queries_deinit(&queries);
    unlink(path);
    cr_expect_neq(qr__queries_read("/nonexistent/queries", &queries, &error), QR_OK);
    cr_expect(strstr(error.message, "/nonexistent/queries") != NULL);
    qr__queries_deinit(&queries);
}

static void expect_request(const char *route, size_t budget_ms, size_t at, const char *expected) {
    qr_text items[] = {qr_text_of("a \"q\""), qr_text_of("b")};
    const qr__queries queries = {.items = items, .len = 2};
    qr__requests requests = {0};
    qr_error error = {0};
    const qr__requests_options options = {"127.0.0.1:8080", route, budget_ms};
    cr_assert_eq(qr__requests_build(&options, &queries, &requests, &error), QR_OK, "%s",
                 error.message);
    cr_assert_gt(requests.len, at);
    cr_expect(qr_text_is(requests.items[at], expected), "%s: %.*s", route,
              (int)requests.items[at].len, requests.items[at].data);
    qr__requests_deinit(&requests);
}

#define POST(route) "POST " route " HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n"
#define JSON        "Content-Type: application/json\r\nContent-Length: "

Test(requests, each_route_has_its_body) {
    expect_request("/embed", 0, 0, POST("/embed") JSON "20\r\n\r\n{\"inputs\":\"a \\\"q\\\"\"}");
    expect_request("/embed", 25, 1,
                   POST("/embed") "X-Request-Budget-Ms: 25\r\n" JSON
                                  "14\r\n\r\n{\"inputs\":\"b\"}");
    expect_request("/v1/embeddings", 0, 1,
                   POST("/v1/embeddings") JSON "31\r\n\r\n{\"model\":\"querent\",\"input\":\"b\"}");
    expect_request("/health", 0, 0, "GET /health HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n");
    cr_expect(qr__requests_need_queries("/span"));
    cr_expect_not(qr__requests_need_queries("/metrics"));
}
