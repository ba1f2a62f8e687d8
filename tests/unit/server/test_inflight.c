/* The memory of requests: how much they may hold, who is refused, and that all of it comes back.
 * (flow_close asserts the last of every test that opens a flow.) */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/api_fixture.h"
#include "server/flow_fixture.h"
#include "server/inflight.h"

#define MB         UINT64_C(1000000)
#define LARGE_BODY 100000 /* of more than QR_QUOTA_SMALL_BYTES */

static flow_house house;

static void count_requests(void *open) {
    *(size_t *)open = qr_http_open_requests(house.http);
}

static void wait_requests(size_t wanted) {
    for (size_t open = 0; open != wanted; usleep(500))
        flow_on_loop(&house, count_requests, &open);
}

/* A head, and so much of the body that it announces. */
static void begin_body(int fd, size_t announced, size_t sent) {
    qr_buf buf;
    qr_buf_init(&buf, LARGE_BODY + 1000);
    qr_buf_printf(&buf,
                  "POST /v1/embeddings HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                  "Content-Length: %zu\r\n\r\n",
                  announced);
    for (size_t i = 0; i < sent; i++)
        qr_buf_byte(&buf, ' ');
    cr_assert_eq(send(fd, buf.data, buf.len, MSG_NOSIGNAL), (ssize_t)buf.len);
    qr_buf_deinit(&buf);
}

/* While a quarter is held, bodies that are long are refused at their head, on a connection that
 * goes on; short ones, and probes, get in until all of it is. */
Test(inflight, what_is_large_is_refused_before_its_body, .timeout = 120) {
    char *body;
    flow_open(&house, 1);
    int fd = client_connect(&house);
    client_send(fd, 0, LARGE_BODY, NULL);
    client_expect(fd, 0, 0);
    const size_t others = qr_quota_max(&house.quota) / 4 + 1;
    qr_quota_force(&house.quota, others);
    client_send(fd, 0, LARGE_BODY, NULL);
    cr_expect_eq(client_receive(fd, &body), 503);
    cr_expect_not_null(strstr(body, "out of memory"), "%s", body);
    free(body);
    client_send(fd, 1, 0, NULL);
    client_expect(fd, 1, 0);
    int slow = client_connect(&house);
    begin_body(slow, LARGE_BODY, QR_QUOTA_SMALL_BYTES - 1); /* so much would find room */
    wait_requests(1);
    for (int i = 0; i < 3; i++) { /* meanwhile it has been read */
        client_send(fd, 1, 0, NULL);
        client_expect(fd, 1, 0);
    }
    cr_expect_lt(qr_quota_held(&house.quota), others + QR_QUOTA_SMALL_BYTES / 2, "it was kept");
    close(slow);
    qr_quota_force(&house.quota, qr_quota_max(&house.quota));
    client_send(fd, 1, 20000, NULL);
    cr_expect_eq(client_receive(fd, &body), 503, "there is no room at all");
    cr_expect_not_null(strstr(body, "out of memory"), "what is said of it finds room: %s", body);
    free(body);
    client_post(fd, "/health", ""); /* 405 */
    cr_expect_eq(client_receive(fd, &body), 405);
    cr_expect_not_null(strstr(body, "method"), "%s", body);
    free(body);
    qr_quota_give(&house.quota, others + qr_quota_max(&house.quota));
    client_send(fd, 0, LARGE_BODY, NULL);
    client_expect(fd, 0, 0);
    cr_expect_gt(flow_metric(&house, "querent_rejections_total{reason=\"no_memory\"}"), 1);
    close(fd);
    flow_close(&house);
}

/* A body takes what has come of it: who announces much and sends little keeps nobody out. */
Test(inflight, what_is_announced_is_not_held, .timeout = 120) {
    int idle[40];
    const size_t len = sizeof idle / sizeof idle[0];
    flow_open(&house, 1);
    qr_quota_limit(&house.quota, 16u << 20);
    for (size_t i = 0; i < len; i++) {
        idle[i] = client_connect(&house);
        begin_body(idle[i], 2 * LARGE_BODY, 1000); /* together nearly all of a half */
    }
    wait_requests(len);
    cr_expect_lt(qr_quota_held(&house.quota), len * 10000);
    int fd = client_connect(&house);
    client_send(fd, 0, LARGE_BODY, NULL);
    client_expect(fd, 0, 0);
    close(fd);
    for (size_t i = 0; i < len; i++)
        close(idle[i]);
    flow_close(&house);
}

/* What has begun to come is refused where others hold much by then: what it held is given back, the
 * rest is dropped, and the connection goes on. Its own bytes are not others'. */
Test(inflight, a_body_is_refused_on_its_way, .timeout = 120) {
    enum { first = LARGE_BODY * 2 / 3, second = LARGE_BODY * 4 / 5 }; /* the room for it doubles */
    static char rest[2 * LARGE_BODY - first];
    char *body;
    memset(rest, ' ', sizeof rest);
    flow_open(&house, 1);
    int fd = client_connect(&house);
    begin_body(fd, 2 * LARGE_BODY, first);
    while (qr_quota_held(&house.quota) < first)
        usleep(500);
    const size_t quarter = qr_quota_max(&house.quota) / 4;
    qr_quota_force(&house.quota, quarter + 1);
    cr_assert_eq(send(fd, rest, second, MSG_NOSIGNAL), second);
    while (qr_quota_held(&house.quota) >= quarter + 1 + first)
        usleep(500); /* given back while the rest is awaited */
    cr_assert_eq(send(fd, rest, sizeof rest - second, MSG_NOSIGNAL), sizeof rest - second);
    cr_expect_eq(client_receive(fd, &body), 503);
    cr_expect_not_null(strstr(body, "out of memory"), "%s", body);
    free(body);
    qr_quota_give(&house.quota, quarter + 1);
    qr_quota_force(&house.quota, quarter - LARGE_BODY / 2);
    client_send(fd, 0, LARGE_BODY, NULL);
    client_expect(fd, 0, 0);
    qr_quota_give(&house.quota, quarter - LARGE_BODY / 2);
    close(fd);
    flow_close(&house);
}

/* Clients that leave, are late, refused or answered, with bodies of all lengths. */
Test(inflight, all_of_it_comes_back, .timeout = 240) {
    flow_open(&house, 2);
    clients_start(&house, 6, LARGE_BODY, "1");
    usleep(500000);
    clients_stop();
    flow_close(&house);
}

static api_fixture f;

static void write_text(qr_buf *body, size_t tokens) {
    qr_buf_reset(body);
    qr_buf_literal(body, "{\"inputs\":\"");
    for (size_t i = 0; i < tokens - 2; i++) /* beside [CLS] and [SEP] */
        qr_buf_literal(body, "a ");
    qr_buf_literal(body, "\"}");
}

/* So many texts of 128 tokens each, the last one of so many more. */
static void write_texts(qr_buf *body, size_t texts, size_t more) {
    qr_buf_reset(body);
    qr_buf_literal(body, "{\"inputs\":[\"");
    for (size_t i = 0; i < texts; i++) {
        if (i > 0)
            qr_buf_literal(body, "\",\"");
        for (size_t t = 0; t < 126 + (i == texts - 1 ? more : 0); t++)
            qr_buf_literal(body, "a ");
    }
    qr_buf_literal(body, "\"]}");
}

TestSuite(inflight_api, .timeout = 240);

/* What /tokenize lists is bounded, in one text or in many, and no more is tokenized than that. */
Test(inflight_api, tokens_that_are_listed_have_a_maximum) {
    int code;
    qr_buf body;
    qr_buf_init(&body, 8u << 20);
    api_fixture_init_tiny(&f);
    write_text(&body, QR_LIMIT_TOKENIZED);
    api_ask(&f, "/tokenize", qr_buf_contents(&body), &code);
    cr_expect_eq(code, 200);
    write_text(&body, QR_LIMIT_TOKENIZED + 1);
    qr_text answer = api_ask(&f, "/tokenize", qr_buf_contents(&body), &code);
    cr_expect_eq(code, 422);
    cr_expect(qr_text_is(answer,
                         "{\"error\":\"Input validation error: `inputs` must have less than "
                         "262144 tokens. Given: 262145\",\"error_type\":\"Validation\"}"),
              "%.*s", (int)answer.len, answer.data);
    cr_expect_lt(f.exchange->arena.held_bytes, 1u << 20, "nothing was kept of it");
    write_text(&body, 2000000);
    answer = api_ask(&f, "/tokenize", qr_buf_contents(&body), &code);
    cr_expect_eq(code, 422);
    cr_expect_not_null(memmem(answer.data, answer.len, "Given: 262145", 13), "it was read on");
    for (size_t more = 0; more < 2; more++) {
        write_texts(&body, 2048, more);
        api_ask(&f, "/tokenize", qr_buf_contents(&body), &code);
        cr_expect_eq(code, more == 0 ? 200 : 422);
    }
    api_fixture_deinit(&f);
    qr_buf_deinit(&body);
}

Test(inflight_api, ids_that_are_decoded_have_a_maximum) {
    int code;
    qr_buf body;
    qr_buf_init(&body, 1u << 20);
    api_fixture_init_tiny(&f);
    for (size_t ids = QR_LIMIT_TOKENIZED; ids <= QR_LIMIT_TOKENIZED + 1; ids++) {
        qr_buf_reset(&body);
        qr_buf_literal(&body, "{\"ids\":[7");
        for (size_t i = 1; i < ids; i++)
            qr_buf_literal(&body, ",7");
        qr_buf_literal(&body, "]}");
        qr_text answer = api_ask(&f, "/decode", qr_buf_contents(&body), &code);
        cr_expect_eq(code, ids == QR_LIMIT_TOKENIZED ? 200 : 422);
        if (code == 422)
            cr_expect_not_null(memmem(answer.data, answer.len, "`ids` must have less", 20));
    }
    api_fixture_deinit(&f);
    qr_buf_deinit(&body);
}

/* While others hold much of it the request is to come again; where the quota is smaller than what
 * it needs, it need not. */
static void expect_later_or_never(const char *path, const qr_buf *body, qr_quota *quota,
                                  size_t too_small) {
    int code;
    qr_quota_force(quota, 28u << 20);
    qr_text answer = api_ask(&f, path, qr_buf_contents(body), &code);
    cr_expect_eq(code, 503, "others have it: %.*s", (int)answer.len, answer.data);
    qr_quota_give(quota, 28u << 20);
    qr_quota_limit(quota, too_small);
    answer = api_ask(&f, path, qr_buf_contents(body), &code);
    cr_expect_eq(code, 422, "%.*s", (int)answer.len, answer.data);
}

/* Of what finds no room, it is told whether it ever would. */
Test(inflight_api, what_never_finds_room_is_not_told_to_come_again) {
    int code;
    qr_buf body;
    qr_quota quota;
    qr_buf_init(&body, 1u << 20);
    api_fixture_init_tiny(&f);
    f.quota = &quota;
    write_text(&body, 100000);
    qr_quota_init(&quota, 64u << 20);
    api_ask(&f, "/tokenize", qr_buf_contents(&body), &code);
    cr_expect_eq(code, 200);
    size_t held = qr_quota_held(&quota);
    cr_expect_eq(held, f.exchange->body.capacity + f.exchange->arena.held_bytes +
                           f.exchange->out.capacity);
    qr_exchange_lighten(f.exchange);
    cr_expect_eq(qr_quota_held(&quota), f.exchange->out.capacity, "the answer alone is left");
    expect_later_or_never("/tokenize", &body, &quota, 12u << 20);
    api_fixture_deinit(&f);
    cr_expect_eq(qr_quota_held(&quota), 0);
    qr_buf_deinit(&body);
}

/* The tokenizer's memory counts there too: a long text that is cut at its left has its jobs'
 * arena small, and all of its tokens in between. */
Test(inflight_api, what_the_tokenizer_needs_decides_too) {
    int code;
    qr_buf body;
    qr_quota quota;
    qr_buf_init(&body, 1u << 20);
    qr_buf_literal(&body, "{\"truncation_direction\":\"left\",\"inputs\":\"");
    for (size_t i = 0; i < 400000; i++)
        qr_buf_literal(&body, "a ");
    qr_buf_literal(&body, "\"}");
    api_fixture_init_tiny(&f);
    f.quota = &quota;
    qr_quota_init(&quota, 64u << 20);
    api_ask(&f, "/embed", qr_buf_contents(&body), &code);
    cr_expect_eq(code, 200);
    expect_later_or_never("/embed", &body, &quota, 20u << 20);
    api_fixture_deinit(&f);
    cr_expect_eq(qr_quota_held(&quota), 0);
    qr_buf_deinit(&body);
}

/* A tree of values takes many times its text: of a long body it is counted while there is one. */
Test(inflight_api, the_tree_of_a_long_body_is_counted) {
    int code;
    qr_buf body;
    qr_quota quota;
    qr_buf_init(&body, 1u << 20);
    qr_buf_literal(&body, "{\"inputs\":\"a\",\"more\":[{}");
    while (body.len < 300000)
        qr_buf_literal(&body, ",{}");
    qr_buf_literal(&body, "]}");
    api_fixture_init_tiny(&f);
    f.quota = &quota;
    qr_quota_init(&quota, 128u << 20);
    api_ask(&f, "/embed", qr_buf_contents(&body), &code);
    cr_expect_eq(code, 200);
    qr_quota_force(&quota, 40u << 20);
    api_ask(&f, "/embed", qr_buf_contents(&body), &code);
    cr_expect_eq(code, 503);
    qr_quota_give(&quota, 40u << 20);
    qr_quota_limit(&quota, 32u << 20);
    api_ask(&f, "/embed", qr_buf_contents(&body), &code);
    cr_expect_eq(code, 422);
    api_fixture_deinit(&f);
    cr_expect_eq(qr_quota_held(&quota), 0);
    qr_buf_deinit(&body);
}

/* Hidden states of all tokens: both the floats and the answer must find room, or nothing is run. */
Test(inflight_api, hidden_states_are_refused_before_they_are_computed) {
    qr_buf body;
    qr_quota quota;
    qr_buf_init(&body, 1u << 20);
    qr_buf_literal(&body, "{\"inputs\":[\"a a a\"");
    for (size_t i = 1; i < 2000; i++)
        qr_buf_literal(&body, ",\"a a a\"");
    qr_buf_literal(&body, "]}");
    api_fixture_init_tiny(&f);
    f.quota = &quota;
    size_t hidden = qr_engine_model(qr_pipeline_engine(f.models[0]))->hidden;
    qr_quota_init(&quota, 2 * 18 * hidden * 10000);
    cr_assert_eq(api_begin(&f, "/embed_all", qr_buf_contents(&body)), QR_OK);
    cr_expect_neq(qr_api_decode(f.api, f.exchange), QR_TOO_MANY);
    qr_quota_limit(&quota, 2 * 18 * hidden * 10000 - 1);
    cr_assert_eq(api_begin(&f, "/embed_all", qr_buf_contents(&body)), QR_OK);
    cr_expect_eq(qr_api_decode(f.api, f.exchange), QR_TOO_MANY);
    api_fixture_deinit(&f);
    cr_expect_eq(qr_quota_held(&quota), 0);
    qr_buf_deinit(&body);
}

static qr_config *options(const char *name, const char *value, const char *bodies) {
    const char *arguments[] = {"--model", "m", "--max-body-bytes", bodies, name, value};
    qr_config *config;
    qr_error error = {0};
    cr_assert_eq(qr_config_load(name == NULL ? 4 : 6, (char **)arguments, &config, &error), QR_OK,
                 "%s", error.message);
    return config;
}

static size_t size_of(const char *value, const char *bodies, uint64_t limit_bytes) {
    qr_config *config = options(value == NULL ? NULL : "--inflight-bytes", value, bodies);
    qr_quota quota;
    qr_error error = {0};
    qr_status status = qr__inflight_init(config, limit_bytes, &quota, &error);
    cr_expect_eq(status == QR_BAD_OPTION, error.message[0] != '\0');
    qr_config_destroy(config);
    return status == QR_OK ? qr_quota_max(&quota) : 0;
}

Test(inflight, the_default_is_a_quarter_of_a_memory_limit) {
    cr_expect_eq(size_of(NULL, "2000000", 0), 256u << 20);
    cr_expect_eq(size_of(NULL, "2000000", UINT64_C(8) << 30), 256u << 20);
    cr_expect_eq(size_of(NULL, "2000000", 400u << 20), 100u << 20);
    cr_expect_eq(size_of(NULL, "2000000", 10u << 20), 16u << 20, "as any body needs");
    cr_expect_eq(size_of(NULL, "50000000", 400u << 20), 200000000);
    cr_expect_eq(size_of("500000000", "2000000", 400u << 20), 500000000, "asked for");
    cr_expect_eq(size_of("199999999", "50000000", 0), 0, "bodies would never get in");
    cr_expect_eq(size_of("200000000", "50000000", 0), 200000000);
}

/* What is left beside the models is enough, or the start is refused with the sum. */
static size_t fit(const char *value, uint64_t max_bytes, qr_error *error) {
    static const qr__memory_item models[] = {{"a", 300 * MB, 100 * MB}};
    const qr__memory_group group = {max_bytes, 10 * MB, "memory.max of its cgroup"};
    qr_config *config = options(value == NULL ? NULL : "--inflight-bytes", value, "2000000");
    qr_quota quota;
    *error = (qr_error){0};
    cr_assert_eq(qr__inflight_init(config, 0, &quota, error), QR_OK);
    qr_status status = qr__inflight_fit(config, &group, models, 1, &quota, error);
    cr_expect_eq(status, error->message[0] == '\0' ? QR_OK : QR_NO_MEMORY);
    qr_config_destroy(config);
    return status == QR_OK ? qr_quota_max(&quota) : 0;
}

Test(inflight, requests_must_fit_beside_the_models) {
    qr_error error;
    qr_log_init(QR_LOG_ERROR, QR_LOG_AS_TEXT);
    cr_expect_eq(fit(NULL, 700 * MB, &error), 256u << 20);
    cr_expect_eq(fit(NULL, 310 * MB, &error), 100 * MB, "nobody asked for more");
    cr_expect_eq(fit(NULL, 128 * MB, &error), 16u << 20, "less than half is left for the cache");
    cr_expect_eq(fit(NULL, 120 * MB, &error), 0);
    cr_expect_str_eq(error.message,
                     "the models and requests in flight take 127 MB, and memory.max of its cgroup "
                     "is 120 MB (raise it, or ask for less): 10 MB in use + 100 MB a + 17 MB "
                     "requests in flight");
    cr_expect_eq(fit("200000000", 310 * MB, &error), 200 * MB);
    cr_expect_eq(fit("200000000", 309 * MB, &error), 0);
    cr_expect_str_eq(error.message,
                     "the models and requests in flight take 310 MB, and memory.max of its cgroup "
                     "is 309 MB (raise it, or ask for less): 10 MB in use + 100 MB a + 200 MB "
                     "--inflight-bytes");
}
