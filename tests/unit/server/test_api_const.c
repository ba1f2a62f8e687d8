/* Results are const: encoders leave the floats as the engine wrote them, and an answer made twice
 * of them is the same answer. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "server/api_fixture.h"

static api_fixture f;

static void setup(void) {
    api_fixture_init_tiny(&f);
}

static void teardown(void) {
    api_fixture_deinit(&f);
}

TestSuite(api_const, .init = setup, .fini = teardown, .timeout = 60);

static size_t floats_of(const qr_job *job) {
    return qr_pipeline_output_floats(f.exchange->model->pipeline, job->tokens);
}

static float *copy_results(size_t *len) {
    const qr_ticket *ticket = &f.exchange->ticket;
    float *all = NULL;
    *len = 0;
    for (size_t i = 0; i < ticket->jobs_len; i++) {
        size_t floats = floats_of(&ticket->jobs[i]);
        all = realloc(all, (*len + floats) * sizeof *all);
        memcpy(all + *len, ticket->jobs[i].result, floats * sizeof *all);
        *len += floats;
    }
    return all;
}

static void expect_twice_the_same(const char *route, const char *body) {
    int code;
    size_t left_len, written_len;
    qr_text answer = api_ask(&f, route, qr_text_of(body), &code);
    cr_assert_eq(code, 200, "%s: %.*s", route, (int)answer.len, answer.data);
    char *first = strndup(answer.data, answer.len);
    qr_api_encode(f.api, f.exchange);
    qr_text second = qr_buf_contents(&f.exchange->out);
    cr_expect(qr_text_is(second, first), "%s: %s, then %.*s", route, first, (int)second.len,
              second.data);
    float *left = copy_results(&left_len);
    api_run_jobs(&f);
    float *written = copy_results(&written_len);
    cr_assert(left_len == written_len && left_len > 0);
    cr_expect_arr_eq(left, written, left_len * sizeof *left, "%s changed its results", route);
    free(first);
    free(left);
    free(written);
}

Test(api_const, encoding_again_gives_the_same_answer) {
    expect_twice_the_same("/embed", "{\"inputs\":[\"w7 w8\",\"w9\"]}");
    expect_twice_the_same("/embed", "{\"inputs\":\"w7\",\"dimensions\":5}");
    expect_twice_the_same("/embed", "{\"inputs\":\"w7\",\"normalize\":false}");
    expect_twice_the_same("/v1/embeddings", "{\"input\":[\"w7 w8\",\"w9\"]}");
    expect_twice_the_same("/v1/embeddings", "{\"input\":\"w7\",\"encoding_format\":\"base64\"}");
    expect_twice_the_same("/predict", "{\"inputs\":[[\"w7\",\"w8\"],[\"w9\"]]}");
    expect_twice_the_same("/predict", "{\"inputs\":\"w7\",\"raw_scores\":true}");
    expect_twice_the_same("/rerank", "{\"query\":\"w7\",\"texts\":[\"w8\",\"w9 w10\"]}");
    expect_twice_the_same("/span", "{\"question\":\"w7 w8\",\"context\":\"w9 w10 w11 w12\"}");
}
