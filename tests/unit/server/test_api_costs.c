/* What the api says of costs and of refusals: /info's numbers, which model an unread request is
 * likely to mean, and how dialects word a budget that is too short. */
#include <criterion/criterion.h>
#include <jansson.h>

#include "server/api_fixture.h"
#include "server/schedule/schedule.h"

static api_fixture f;

static void setup(void) {
    api_fixture_init_tiny(&f);
}

static void teardown(void) {
    api_fixture_deinit(&f);
}

static double number_at(json_t *object, const char *key) {
    json_t *number = json_object_get(object, key);
    cr_assert(json_is_number(number), "%s", key);
    return json_number_value(number);
}

static void expect_cost(json_t *object, const qr_cost *cost) {
    cr_expect_float_eq(number_at(object, "fixed_ns"), cost->fixed_ns, 0.001);
    cr_expect_float_eq(number_at(object, "token_ns"), cost->token_ns, 0.001);
    cr_expect_float_eq(number_at(object, "square_ns"), cost->square_ns, 0.001);
}

Test(api_costs, info_shows_each_models, .init = setup, .fini = teardown) {
    qr_served *second = qr_serving_at(f.serving, 1);
    second->queue.cost = (qr_cost){1000.5, 250.25, 0.125};
    second->team_cost = (qr_cost){3000, 150.75, 0.0625};
    atomic_store(&second->queue.correction, 1.25);
    int code;
    qr_text body = api_ask(&f, "/info", (qr_text){0}, &code);
    cr_assert_eq(code, 200);
    json_t *info = json_loadb(body.data, body.len, 0, NULL);
    json_t *models = json_object_get(info, "models");
    cr_assert_eq(json_array_size(models), 4);
    json_t *cost = json_object_get(json_array_get(models, 1), "cost");
    expect_cost(json_object_get(cost, "worker"), &second->queue.cost);
    expect_cost(json_object_get(cost, "team"), &second->team_cost);
    cr_expect_eq(number_at(cost, "correction"), 1.25);
    cost = json_object_get(json_array_get(models, 0), "cost");
    expect_cost(json_object_get(cost, "worker"), &qr_serving_at(f.serving, 0)->queue.cost);
    cr_expect_eq(number_at(cost, "correction"), 1);
    json_decref(info);
}

/* Nobody helps a lone worker, so the team's cost is its own. */
Test(api_costs, one_worker_is_its_team, .init = setup, .fini = teardown) {
    for (size_t i = 0; i < 4; i++) {
        const qr_served *model = qr_serving_at(f.serving, i);
        cr_expect_eq(memcmp(&model->team_cost, &model->queue.cost, sizeof(qr_cost)), 0);
        cr_expect_eq(model->queue.team_cost, &model->team_cost);
        cr_expect_gt(model->queue.cost.token_ns + model->queue.cost.fixed_ns, 0);
    }
}

Test(api_costs, expected_models, .init = setup, .fini = teardown) {
    static const struct {
        const char *route;
        int kind; /* -1: none computes */
    } cases[] = {{"/embed", QR_KIND_EMBEDDING},
                 {"/v1/embeddings", QR_KIND_EMBEDDING},
                 {"/span", QR_KIND_SPAN},
                 {"/predict", QR_KIND_CLASSIFIER},
                 {"/rerank", QR_KIND_RERANKER},
                 {"/", QR_KIND_EMBEDDING},
                 {"/tokenize", -1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_assert_eq(api_begin(&f, cases[i].route, qr_text_of("{")), QR_OK);
        const qr_served *model = qr_api_expected_model(f.exchange);
        if (cases[i].kind < 0)
            cr_expect_null(model, "%s", cases[i].route);
        else
            cr_expect_eq(model, qr_serving_first(f.serving, QR_KIND_BIT(cases[i].kind)), "%s",
                         cases[i].route);
    }
}

static void expect_refusal(const char *route, const char *body, const char *expected) {
    cr_assert_eq(api_begin(&f, route, qr_text_of(body)), QR_OK);
    cr_assert_eq(qr_api_decode(f.api, f.exchange), QR_OK);
    f.exchange->status = QR_IMPOSSIBLE;
    qr_api_encode(f.api, f.exchange);
    cr_expect_eq(f.exchange->http_code, 429);
    qr_text answer = qr_buf_contents(&f.exchange->out);
    cr_expect(qr_text_is(answer, expected), "%.*s", (int)answer.len, answer.data);
}

#define SENTENCE "the request's time budget is too short even for an idle server"

Test(api_costs, a_budget_too_short_in_each_dialect, .init = setup, .fini = teardown) {
    expect_refusal("/embed", "{\"inputs\":\"w7\"}",
                   "{\"error\":\"" SENTENCE "\",\"error_type\":\"Overloaded\"}");
    expect_refusal("/v1/embeddings", "{\"input\":\"w7\"}",
                   "{\"message\":\"" SENTENCE "\",\"code\":429,\"type\":\"Overloaded\","
                   "\"detail\":\"" SENTENCE "\",\"error\":{"
                   "\"message\":\"" SENTENCE "\",\"type\":\"rate_limit_error\",\"param\":null,"
                   "\"code\":\"impossible\"}}");
}

/* What may cost more than its length says is left to a worker sooner. */
Test(api_costs, bodies_for_the_loop, .init = setup, .fini = teardown) {
    enum { RULE = 16384, PAIRS = 2048, WINDOWS = 512 };
    static const struct {
        const char *route;
        size_t bytes;
    } cases[] = {{"/embed", RULE},
                 {"/v1/embeddings", RULE},
                 {"/v2/models/embedding/infer", RULE},
                 {"/rerank", PAIRS},
                 {"/v1/rerank", PAIRS},
                 {"/predict", PAIRS},
                 {"/vertex", WINDOWS},
                 {"/v2/models/reranker/infer", PAIRS},
                 {"/v2/models/classifier/infer", PAIRS},
                 {"/span", WINDOWS},
                 {"/spans", WINDOWS},
                 {"/token_classification", WINDOWS},
                 {"/v2/models/span/infer", WINDOWS},
                 {"/v2/models/nobody/infer", RULE}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_assert_eq(api_begin(&f, cases[i].route, qr_text_of("{")), QR_OK);
        cr_expect_eq(qr_api_loop_bytes(f.exchange), cases[i].bytes, "%s", cases[i].route);
    }
}
