/* What a head comes to, question by question, and the budget's grammar. */
#include <criterion/criterion.h>

#include "server/api/api.h"
#include "server/budget.h"
#include "server/decision.h"
#include "server/tiny_models.h"

#define BOTH (QR_LISTENER_MAIN | QR_LISTENER_OPS)

Test(budget, what_is_one) {
    static const struct {
        const char *text;
        uint64_t ns;
    } cases[] = {
        {"0", 0},
        {"1", 1000000},
        {"250", 250000000},
        {"0.25", 250000},
        {"0.5", 500000},
        {"12.345678", 12345678},
        {"0.0000019", 1}, /* below a nanosecond: dropped */
        {"007", 7000000},
        {"600000", QR_LIMIT_BUDGET_MS * QR_NS_PER_MS},
        {"600000.1", QR_LIMIT_BUDGET_MS * QR_NS_PER_MS},
        {"599999.999999", QR_LIMIT_BUDGET_MS * QR_NS_PER_MS - 1},
        {"600001", QR_LIMIT_BUDGET_MS * QR_NS_PER_MS},
        {"18446744073709551615", QR_LIMIT_BUDGET_MS * QR_NS_PER_MS},
        {"288230376151711744",
         QR_LIMIT_BUDGET_MS * QR_NS_PER_MS}, /* 2^58 ms are 0 ns modulo 2^64 */
        {"999999999999999999999999999999", QR_LIMIT_BUDGET_MS * QR_NS_PER_MS},
        {"0.999999999999999999999999999999", 999999},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t ns;
        const char *fault = qr__budget_parse(qr_text_of(cases[i].text), &ns);
        cr_expect_null(fault, "%s: %s", cases[i].text, fault);
        cr_expect_eq(ns, cases[i].ns, "%s: %llu", cases[i].text, (unsigned long long)ns);
    }
}

Test(budget, what_is_none_and_why) {
    static const char *const cases[][2] = {
        {"", "it is empty"},
        {"-1", "it is negative"},
        {"-0.5", "it is negative"},
        {"1e3", "it has an exponent"},
        {"1E3", "it has an exponent"},
        {"1.5e3", "it has an exponent"},
        {".5", "it is not a decimal number"},
        {"5.", "it is not a decimal number"},
        {".", "it is not a decimal number"},
        {"-", "it is not a decimal number"},
        {"e3", "it is not a decimal number"},
        {"+1", "it is not a decimal number"},
        {"0x1", "it is not a decimal number"},
        {"1_000", "it is not a decimal number"},
        {"1,5", "it is not a decimal number"},
        {"1.2.3", "it is not a decimal number"},
        {"5 0", "it is not a decimal number"},
        {"NaN", "it is not a decimal number"},
        {"inf", "it is not a decimal number"},
        {"soon", "it is not a decimal number"},
        {"\xd9\xa3", "it is not a decimal number"},      /* ARABIC-INDIC DIGIT THREE */
        {"1\xef\xbc\x95", "it is not a decimal number"}, /* FULLWIDTH DIGIT FIVE */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t ns = 7;
        const char *fault = qr__budget_parse(qr_text_of(cases[i][0]), &ns);
        cr_assert_not_null(fault, "%s was taken", cases[i][0]);
        cr_expect_str_eq(fault, cases[i][1], "%s", cases[i][0]);
        cr_expect_eq(ns, 0);
    }
}

static qr_serving *serving;

static void setup(void) {
    qr_pipeline *model = tiny_model("tiny", QR_KIND_EMBEDDING, 1);
    qr_log_init(QR_LOG_ERROR, QR_LOG_AS_TEXT);
    serving = tiny_serving(&model, 1, NULL);
}

static void teardown(void) {
    qr_serving_unpin(serving);
}

TestSuite(decision, .init = setup, .fini = teardown);

#define DEFAULT_NS 5000000u

/* The decision about one head, in an exchange that the caller destroys. */
static qr_exchange *decide(unsigned listener, bool ready, const char *method, const char *path,
                           const char *type, const char *budget, size_t budgets) {
    const qr__rules rules = {
        .listener = listener, .default_budget_ns = DEFAULT_NS, .max_budget_ns = QR_NS_PER_S};
    const qr_http_facts facts = {.method = qr_text_of(method),
                                 .content_type = {qr_text_of(type), type != NULL},
                                 .budget = {qr_text_of(budget), budgets}};
    qr_exchange *x = qr_exchange_create(100, NULL);
    x->received_ns = 1000;
    if (ready)
        qr_serving_pin(x->serving = serving);
    cr_expect_eq(qr__decide(&rules, qr_text_of(path), &facts, x), x->status);
    return x;
}

static void expect(qr_exchange *x, qr_status status, const char *pattern, uint64_t budget_ns) {
    cr_expect_eq(x->status, status, "%s", qr_status_name(x->status));
    cr_expect_eq(x->route != NULL, pattern != NULL);
    if (x->route != NULL && pattern != NULL)
        cr_expect_str_eq(qr_api_pattern(x->route), pattern);
    cr_expect_eq(x->deadline_ns, 1000 + budget_ns);
    qr_exchange_destroy(x);
}

#define JSON "application/json"

Test(decision, in_order) {
    expect(decide(BOTH, true, "POST", "/embed", JSON, NULL, 0), QR_OK, "/embed", DEFAULT_NS);
    expect(decide(BOTH, true, "POST", "/nowhere", NULL, "-1", 1), QR_NO_ROUTE, NULL, DEFAULT_NS);
    expect(decide(BOTH, true, "PUT", "/embed", NULL, "-1", 1), QR_BAD_METHOD, NULL, DEFAULT_NS);
    expect(decide(BOTH, true, "POST", "/embed", NULL, "-1", 1), QR_BAD_TYPE, "/embed", DEFAULT_NS);
    expect(decide(BOTH, false, "POST", "/embed", JSON, "-1", 1), QR_BAD_HEADER, "/embed",
           DEFAULT_NS);
    expect(decide(BOTH, false, "POST", "/embed", JSON, "1", 1), QR_NOT_READY, "/embed",
           QR_NS_PER_MS);
    expect(decide(BOTH, false, "GET", "/health", NULL, NULL, 0), QR_OK, "/health", DEFAULT_NS);
}

Test(decision, bodies_come_as_they_are) {
    static const struct {
        const char *coding;
        size_t count, body_bytes;
        qr_status status;
    } cases[] = {{NULL, 0, 9, QR_OK},
                 {"identity", 1, 9, QR_OK},
                 {"IDENTITY", 1, 9, QR_OK},
                 {"", 1, 9, QR_OK},
                 {"gzip", 1, 0, QR_OK},
                 {"gzip", 1, 9, QR_BAD_CODING},
                 {"gzip, identity", 1, 9, QR_BAD_CODING},
                 {"identity", 2, 9, QR_BAD_CODING}, /* the one before it is not known */
                 {"zstd", 1, 9, QR_BAD_CODING}};
    const qr__rules rules = {.listener = QR_LISTENER_MAIN, .max_budget_ns = QR_NS_PER_S};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const qr_http_facts facts = {
            .method = qr_text_of("POST"),
            .content_type = {qr_text_of(JSON), 1},
            .content_encoding = {qr_text_of(cases[i].coding), cases[i].count},
            .body_bytes = cases[i].body_bytes};
        qr_exchange *x = qr_exchange_create(100, NULL);
        qr_serving_pin(x->serving = serving);
        cr_expect_eq(qr__decide(&rules, qr_text_of("/embed"), &facts, x), cases[i].status, "%zu",
                     i);
        qr_exchange_destroy(x);
    }
}

Test(decision, listeners) {
    expect(decide(QR_LISTENER_MAIN, true, "POST", "/embed", JSON, NULL, 0), QR_OK, "/embed",
           DEFAULT_NS);
    expect(decide(QR_LISTENER_MAIN, true, "GET", "/metrics", NULL, NULL, 0), QR_NO_ROUTE, NULL,
           DEFAULT_NS);
    expect(decide(QR_LISTENER_OPS, true, "GET", "/metrics", NULL, NULL, 0), QR_OK, "/metrics",
           DEFAULT_NS);
    expect(decide(QR_LISTENER_OPS, true, "POST", "/embed", JSON, NULL, 0), QR_NO_ROUTE, NULL,
           DEFAULT_NS);
}

Test(decision, budgets) {
    expect(decide(BOTH, true, "POST", "/embed", JSON, "0", 1), QR_OK, "/embed", 0);
    expect(decide(BOTH, true, "POST", "/embed", JSON, "0.25", 1), QR_OK, "/embed", 250000);
    qr_exchange *x = decide(BOTH, true, "POST", "/embed", JSON, "1", 2);
    cr_expect_str_eq(x->fault.why, "it comes more than once");
    expect(x, QR_BAD_HEADER, "/embed", DEFAULT_NS);
    x = decide(BOTH, true, "POST", "/embed", JSON, "1e3", 1);
    cr_expect_str_eq(x->fault.place.field, "X-Request-Budget-Ms");
    qr_buf out;
    qr_buf_init(&out, 1000);
    qr_api_fail(x->route, x->status, &x->fault, &out);
    cr_expect(qr_text_is(qr_buf_contents(&out),
                         "{\"error\":\"a header field of the request is not valid: "
                         "`X-Request-Budget-Ms` must be milliseconds, such as 250 or 0.25; it has "
                         "an exponent\",\"error_type\":\"Validation\"}"),
              "%.*s", (int)out.len, out.data);
    qr_buf_deinit(&out);
    expect(x, QR_BAD_HEADER, "/embed", DEFAULT_NS);
}

static qr_exchange *decide_priority(const char *priority, size_t count) {
    const qr__rules rules = {
        .listener = BOTH, .default_budget_ns = DEFAULT_NS, .max_budget_ns = QR_NS_PER_S};
    const qr_http_facts facts = {.method = qr_text_of("POST"),
                                 .content_type = {qr_text_of(JSON), 1},
                                 .priority = {qr_text_of(priority), count}};
    qr_exchange *x = qr_exchange_create(100, NULL);
    qr_serving_pin(x->serving = serving);
    (void)qr__decide(&rules, qr_text_of("/embed"), &facts, x);
    return x;
}

Test(decision, priorities) {
    static const struct {
        const char *text;
        size_t count;
        qr_status status;
        bool yields;
    } cases[] = {
        {NULL, 0, QR_OK, false},
        {"interactive", 1, QR_OK, false},
        {"batch", 1, QR_OK, true},
        {"Batch", 1, QR_BAD_HEADER, false},
        {"", 1, QR_BAD_HEADER, false},
        {"high", 1, QR_BAD_HEADER, false},
        {"batch", 2, QR_BAD_HEADER, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        qr_exchange *x = decide_priority(cases[i].text, cases[i].count);
        cr_expect_eq(x->status, cases[i].status, "%s", cases[i].text);
        cr_expect_eq(x->ticket.yields, cases[i].yields, "%s", cases[i].text);
        if (x->status != QR_OK)
            cr_expect_str_eq(x->fault.place.field, "X-Request-Priority");
        qr_exchange_destroy(x);
    }
}

/* The budget, from all who have a say. The wall clock stands at 2,000,000,000 s. */
static uint64_t wall(void) {
    return 2000000000ull * QR_NS_PER_S;
}

typedef struct say {
    const char *budget, *envoy, *start;
    bool trusted;
    uint64_t left_us; /* from the request's first line */
    bool stale;
} say;

Test(decision, whose_budget) {
    static const say cases[] = {
        {NULL, NULL, NULL, true, 5000, false},
        {"100", NULL, NULL, true, 100000, false},
        {"5000", NULL, NULL, true, 1000000, false}, /* --max-budget-ms */
        {NULL, "15000", NULL, true, 5000, false},   /* an upper bound, and no budget */
        {NULL, "3", NULL, true, 3000, false},
        {"100", "30", NULL, true, 30000, false},
        {"30", "100", NULL, true, 30000, false},
        {"30", "soon", NULL, true, 30000, false},
        {"30", "0", NULL, true, 30000, false},
        {"100", NULL, "t=1999999999.960", true, 60000, false}, /* 40 ms ago */
        {"100", NULL, "1999999999960", true, 60000, false},
        {"100", NULL, "t=1999999999960000", true, 60000, false},
        {"100", NULL, "t=1999999999960000", false, 100000, false},
        {"100", "50", "t=1999999999.960", true, 10000, false},
        {"100", NULL, "t=1999999999.8", true, 0, false},       /* over already */
        {"100", NULL, "t=2000000005", true, 100000, false},    /* clocks differ */
        {"100", NULL, "t=1999999998.999", true, 100000, true}, /* more than any budget */
        {"100", NULL, "yesterday", true, 100000, true},
    };
    qr__network network;
    cr_assert(qr__network_parse("10.0.0.0/8", &network));
    const qr__rules rules = {.listener = BOTH,
                             .default_budget_ns = DEFAULT_NS,
                             .max_budget_ns = QR_NS_PER_S,
                             .proxies = &network,
                             .proxies_len = 1,
                             .wall_ns = wall};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const say *c = &cases[i];
        qr_http_facts facts = {.method = qr_text_of("POST"),
                               .content_type = {qr_text_of(JSON), 1},
                               .budget = {qr_text_of(c->budget), c->budget != NULL},
                               .envoy = {qr_text_of(c->envoy), c->envoy != NULL},
                               .start = {qr_text_of(c->start), c->start != NULL},
                               .peer = {[10] = 0xFF, [11] = 0xFF, [12] = c->trusted ? 10 : 11}};
        qr_exchange *x = qr_exchange_create(100, NULL);
        x->received_ns = 1000;
        qr_serving_pin(x->serving = serving);
        cr_expect_eq(qr__decide(&rules, qr_text_of("/embed"), &facts, x), QR_OK);
        cr_expect_eq(x->deadline_ns, 1000 + c->left_us * 1000, "case %zu: %llu us", i,
                     (unsigned long long)(x->deadline_ns - 1000) / 1000);
        cr_expect_eq(x->stale_start, c->stale, "case %zu", i);
        qr_exchange_destroy(x);
    }
}

/* A model's own budget stands in for the server's, in all that was known of that: not for one that
 * the request brings, under Envoy's bound and --max-budget-ms, less what was spent. And it can be
 * undone, when the body names another model. */
Test(decision, the_budget_of_a_model) {
    static const struct {
        const char *budget, *envoy, *start;
        unsigned model_ms, left_ms;
    } cases[] = {
        {NULL, NULL, NULL, 50, 50},
        {NULL, NULL, NULL, 5000, 1000},
        {NULL, NULL, NULL, 0, 5},
        {"30", NULL, NULL, 50, 30},
        {NULL, "20", NULL, 50, 20},
        {NULL, NULL, "t=1999999999.960", 50, 10},
        {NULL, NULL, "t=1999999999.940", 50, 0},
    };
    const qr__rules rules = {.listener = BOTH,
                             .default_budget_ns = DEFAULT_NS,
                             .max_budget_ns = QR_NS_PER_S,
                             .wall_ns = wall};
    const qr_served without = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const qr_served model = {.budget_ns = cases[i].model_ms * QR_NS_PER_MS};
        const qr_http_facts facts = {
            .method = qr_text_of("POST"),
            .content_type = {qr_text_of(JSON), 1},
            .budget = {qr_text_of(cases[i].budget), cases[i].budget != NULL},
            .envoy = {qr_text_of(cases[i].envoy), cases[i].envoy != NULL},
            .start = {qr_text_of(cases[i].start), cases[i].start != NULL},
            .local = true};
        qr_exchange *x = qr_exchange_create(100, NULL);
        x->received_ns = 1000;
        qr_serving_pin(x->serving = serving);
        cr_assert_eq(qr__decide(&rules, qr_text_of("/embed"), &facts, x), QR_OK);
        uint64_t before = x->deadline_ns;
        qr__decide_budget(x, &model);
        cr_assert_eq(x->deadline_ns, 1000 + cases[i].left_ms * QR_NS_PER_MS, "case %zu", i);
        qr__decide_budget(x, &without);
        cr_assert_eq(x->deadline_ns, before, "case %zu", i);
        qr_exchange_destroy(x);
    }
}

static bool holds(const char *network, const char *address) {
    qr__network of, at;
    cr_assert(qr__network_parse(network, &of), "%s", network);
    cr_assert(qr__network_parse(address, &at), "%s", address);
    return qr__network_holds(&of, at.address);
}

Test(proxy, networks) {
    cr_expect(holds("10.0.0.0/8", "10.255.0.1"));
    cr_expect_not(holds("10.0.0.0/8", "11.0.0.0"));
    cr_expect(holds("127.0.0.1", "127.0.0.1"));
    cr_expect_not(holds("127.0.0.1", "127.0.0.2"));
    cr_expect(holds("0.0.0.0/0", "203.0.113.9"));
    cr_expect_not(holds("0.0.0.0/0", "2001:db8::1"));
    cr_expect(holds("::/0", "203.0.113.9"));
    cr_expect(holds("fd00::/9", "fd7f::1"));
    cr_expect_not(holds("fd00::/9", "fd80::1"));
    static const char *const bad[] = {"",
                                      "10.0.0.0/33",
                                      "10.0.0.0/",
                                      "10.0.0.1/8",
                                      "10.0.0",
                                      "::1/129",
                                      "fd00::1/9",
                                      "localhost",
                                      "10.0.0.0/-1",
                                      "10.0.0.0 /8",
                                      "1.2.3.4/8/8",
                                      "1111:2222:3333:4444:5555:6666:7777:8888:9999/64"};
    qr__network network;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_not(qr__network_parse(bad[i], &network), "%s", bad[i]);
}

Test(proxy, starts) {
    static const struct {
        const char *text;
        uint64_t ns;
    } good[] = {
        {"t=1700000000", 1700000000000000000},
        {"1700000000.123456789", 1700000000123456789},
        {"t=1700000000123", 1700000000123000000},
        {"1700000000123.5", 1700000000123500000},
        {"t=1700000000123456", 1700000000123456000},
        {"t=1700000000.1234567891", 1700000000123456789},
        {"18446744073709550.999", 18446744073709550999u},
    };
    static const char *const bad[] = {"",
                                      "t=",
                                      "t=1",
                                      "0",
                                      "-1700000000",
                                      "1700000000.",
                                      ".5",
                                      "t=t=1700000000",
                                      "1e9",
                                      "1700000000.5x",
                                      "99999999999999999999999",
                                      "18446744073709551.999",
                                      "170000000000000000000"};
    uint64_t ns;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        cr_assert(qr__start_parse(qr_text_of(good[i].text), &ns), "%s", good[i].text);
        cr_expect_eq(ns, good[i].ns, "%s: %llu", good[i].text, (unsigned long long)ns);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_not(qr__start_parse(qr_text_of(bad[i]), &ns), "%s", bad[i]);
}
