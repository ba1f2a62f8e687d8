/* The routes of other dialects by hand, on tiny models of every kind: shapes of answers and errors.
 * Their real clients do the same to a real server in tests/server. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdlib.h>

#include "server/api/call.h"
#include "server/api_fixture.h"

static api_fixture f;

static void setup(void) {
    api_fixture_init_tiny(&f);
}
static void teardown(void) {
    api_fixture_deinit(&f);
}

TestSuite(dialects, .init = setup, .fini = teardown, .timeout = 60);

static json_t *ask(const char *route, const char *body, int code) {
    int got;
    qr_text answer = api_ask(&f, route, qr_text_of(body), &got);
    json_t *json = json_loadb(answer.data, answer.len, 0, NULL);
    cr_assert_eq(got, code, "%s: %d: %.*s", route, got, (int)answer.len, answer.data);
    cr_assert_not_null(json, "%s: no JSON: %.*s", route, (int)answer.len, answer.data);
    return json;
}

static const char *text_at(const json_t *json, const char *key) {
    const char *text = json_string_value(json_object_get(json, key));
    return text == NULL ? "(none)" : text;
}

/* The same text under all of the names that clients of rerankers read it by. */
static void expect_rerank_error(const char *route, const char *body, int code, const char *text) {
    json_t *json = ask(route, body, code);
    const json_t *error = json_object_get(json, "error");
    cr_expect_str_eq(text_at(json, "message"), text);
    cr_expect_str_eq(text_at(json, "detail"), text);
    cr_expect_str_eq(json_is_string(error) ? json_string_value(error) : text_at(error, "message"),
                     text);
    json_decref(json);
}

Test(dialects, rerankers_errors_have_all_the_names) {
    expect_rerank_error("/rerank", "{\"texts\":[\"t\"]}", 422, "`query` is missing");
    expect_rerank_error("/rerank", "{\"query\":\"q\"}", 422, "`texts` is missing");
    expect_rerank_error("/rerank", "[]", 422, "the request body must be a JSON object");
    expect_rerank_error("/rerank", "{\"query\":\"q\",\"documents\":[1]}", 422,
                        "`documents[0]` must be a text, or an object with a `text`");
    expect_rerank_error("/v1/rerank", "{\"query\":\"q\"}", 422, "`documents` is missing");
    expect_rerank_error("/v2/rerank", "{\"query\":\"q\",\"texts\":[1]}", 422,
                        "`texts[0]` must be a text");
    expect_rerank_error("/v1/rerank", "{\"query\":\"q\",\"documents\":[\"a\"],\"top_n\":-1}", 422,
                        "`top_n` must be a whole number from 0 to 4294967295");
    expect_rerank_error("/v1/rerank", "{", 400,
                        "the request body is not valid JSON: line 1, column 2: expected a member's "
                        "name or `}`");
    expect_rerank_error("/rerank", "{\"query\":\"q\",\"texts\":[]}", 400,
                        "Input validation error: `inputs` cannot be empty");
    expect_rerank_error("/rerank", "{\"query\":\"q\",\"documents\":[]}", 400,
                        "Input validation error: `documents` cannot be empty");
    expect_rerank_error("/v2/embed", "{\"texts\":\"a\"}", 422, "`texts` must be a list of texts");
    expect_rerank_error("/v2/embed", "{\"texts\":[\"a\"],\"embedding_types\":[\"float\",\"x\"]}",
                        422,
                        "`embedding_types[1]` must be one of the types that embeddings can have");
    expect_rerank_error("/v2/embed", "{\"texts\":[\"a\"],\"embedding_types\":[\"int8\"]}", 422,
                        "`embedding_types[0]` must be another one: int8 needs the option "
                        "--int8-vectors");
}

/* By the names that Cohere's bodies have, and `param` is one of them. */
Test(dialects, cohere_errors_name_its_own_fields) {
    static const struct {
        const char *route, *body, *param, *text;
        int code;
    } cases[] = {
        {"/v2/embed", "{\"texts\":[\"a\"],\"output_dimension\":33}", "output_dimension",
         "`output_dimension` must be a whole number from 1 to 32", 422},
        {"/v1/embed", "{\"texts\":[\"a\"],\"output_dimension\":0}", "output_dimension",
         "`output_dimension` must be a whole number from 1 to 32", 422},
        {"/v2/embed", "{\"texts\":[\"a\"],\"embedding_types\":[\"float\",\"float\",\"uint8\"]}",
         "embedding_types",
         "`embedding_types[2]` must be another one: int8 needs the option --int8-vectors", 422},
        {"/v2/embed", "{\"texts\":[]}", "texts", "Input validation error: `texts` cannot be empty",
         400},
        {"/v2/embed", "{\"texts\":[\"a\",\"\"]}", "texts",
         "Input validation error: `texts[1]` cannot be empty", 400},
        {"/v1/rerank", "{\"query\":\"a\",\"documents\":[]}", "documents",
         "Input validation error: `documents` cannot be empty", 400},
        {"/v2/rerank", "{\"query\":\"\",\"documents\":[{\"text\":\"\"}]}", "documents",
         "Input validation error: `documents[0]` cannot be empty", 400},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        expect_rerank_error(cases[i].route, cases[i].body, cases[i].code, cases[i].text);
        json_t *json = ask(cases[i].route, cases[i].body, cases[i].code);
        cr_expect_str_eq(text_at(json_object_get(json, "error"), "param"), cases[i].param);
        json_decref(json);
    }
}

Test(dialects, cohere_says_which_text_is_too_long) {
    char body[4096] = "{\"truncate\":\"NONE\",\"texts\":[\"a\",\"";
    size_t at = strlen(body);
    for (size_t i = 0; i < 600; i++, at += 2)
        memcpy(body + at, "a ", 2);
    memcpy(body + at, "\"]}", sizeof "\"]}");
    json_t *json = ask("/v2/embed", body, 422);
    cr_expect(
        strncmp(text_at(json, "message"), "Input validation error: `texts[1]` must have", 44) == 0);
    cr_expect_str_eq(text_at(json_object_get(json, "error"), "param"), "texts");
    json_decref(json);
}

Test(dialects, the_shape_of_the_body_tells_whose_it_is) {
    static const char *const paths[] = {"/rerank", "/v1/rerank", "/v1/v2/rerank", "/reranking"};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        json_t *tei = ask(paths[i], "{\"query\":\"w11\",\"texts\":[\"w12\",\"w13\"]}", 200);
        json_t *cohere = ask(paths[i], "{\"query\":\"w11\",\"documents\":[\"w12\",\"w13\"]}", 200);
        const json_t *results = json_object_get(cohere, "results");
        cr_assert_eq(json_array_size(tei), 2);
        cr_assert_eq(json_array_size(results), 2);
        cr_expect_eq(
            json_real_value(json_object_get(json_array_get(tei, 0), "score")),
            json_real_value(json_object_get(json_array_get(results, 0), "relevance_score")));
        cr_expect_null(json_object_get(json_array_get(results, 0), "document"));
        json_decref(tei);
        json_decref(cohere);
    }
}

Test(dialects, cohere_top_n_documents_and_nulls) {
    json_t *json = ask("/v2/rerank",
                       "{\"query\":\"w11\",\"documents\":[\"w12\",{\"text\":\"w13\"},\"w14\"],"
                       "\"top_n\":2,\"return_documents\":true,\"max_tokens_per_doc\":null,"
                       "\"rank_fields\":null,\"model\":\"rerank-v3.5\"}",
                       200);
    const json_t *results = json_object_get(json, "results");
    cr_assert_eq(json_array_size(results), 2);
    static const char *const texts[] = {"w12", "w13", "w14"};
    for (size_t i = 0; i < 2; i++) {
        const json_t *item = json_array_get(results, i);
        size_t index = (size_t)json_integer_value(json_object_get(item, "index"));
        cr_expect_str_eq(text_at(json_object_get(item, "document"), "text"), texts[index]);
    }
    cr_expect_str_eq(text_at(json, "model"), "reranker");
    json_decref(json);
    json = ask("/rerank", "{\"query\":\"w11\",\"documents\":[\"w12\"],\"top_n\":null}", 200);
    cr_expect_eq(json_array_size(json_object_get(json, "results")), 1);
    json_decref(json);
}

Test(dialects, ties_rise_for_cohere_and_fall_for_tei) {
    json_t *tei = ask("/rerank", "{\"query\":\"w11\",\"texts\":[\"w12\",\"w12\",\"w12\"]}", 200);
    json_t *cohere =
        ask("/rerank", "{\"query\":\"w11\",\"documents\":[\"w12\",\"w12\",\"w12\"]}", 200);
    for (int i = 0; i < 3; i++) {
        const json_t *item = json_array_get(json_object_get(cohere, "results"), (size_t)i);
        cr_expect_eq(json_integer_value(json_object_get(item, "index")), i);
        item = json_array_get(tei, (size_t)i);
        cr_expect_eq(json_integer_value(json_object_get(item, "index")), 2 - i);
    }
    json_decref(tei);
    json_decref(cohere);
}

Test(dialects, cohere_embed_by_type_or_floats) {
    json_t *floats = ask("/v1/embed", "{\"texts\":[\"w11 w12\"],\"truncate\":\"START\"}", 200);
    json_t *typed = ask("/v1/embed",
                        "{\"texts\":[\"w11 w12\"],\"embedding_types\":[\"float\",\"ubinary\","
                        "\"float\"],\"input_type\":\"search_query\"}",
                        200);
    json_t *v2 = ask("/v2/embed", "{\"texts\":[\"w11 w12\"],\"embedding_types\":null}", 200);
    const json_t *vectors = json_object_get(floats, "embeddings");
    cr_expect_str_eq(text_at(floats, "response_type"), "embeddings_floats");
    cr_expect_str_eq(text_at(typed, "response_type"), "embeddings_by_type");
    const json_t *types = json_object_get(typed, "embeddings");
    cr_expect_eq(json_object_size(types), 2);
    cr_expect(json_equal(json_object_get(types, "float"), vectors));
    cr_expect(json_equal(json_object_get(json_object_get(v2, "embeddings"), "float"), vectors));
    size_t bits = json_array_size(json_array_get(vectors, 0));
    cr_expect_eq(json_array_size(json_array_get(json_object_get(types, "ubinary"), 0)),
                 (bits + 7) / 8);
    cr_expect_str_eq(json_string_value(json_array_get(json_object_get(v2, "texts"), 0)), "w11 w12");
    json_decref(floats);
    json_decref(typed);
    json_decref(v2);
}

Test(dialects, cohere_inputs_of_one_text_are_texts) {
    json_t *texts = ask("/v2/embed", "{\"texts\":[\"w11 w12\",\"w9\"]}", 200);
    json_t *inputs = ask("/v1/v2/embed",
                         "{\"inputs\":[{\"content\":[{\"type\":\"text\",\"text\":\"w11 w12\"}]},"
                         "{\"content\":[{\"type\":\"text\",\"text\":\"w9\"}]}],\"texts\":null}",
                         200);
    cr_expect_eq(json_array_size(json_object_get(inputs, "texts")), 2);
    cr_expect(json_equal(json_object_get(inputs, "texts"), json_object_get(texts, "texts")));
    cr_expect(
        json_equal(json_object_get(inputs, "embeddings"), json_object_get(texts, "embeddings")));
    json_decref(texts);
    json_decref(inputs);
    /* Version 1 has no such field, and goes on not to look at it. */
    json_decref(ask("/v1/embed", "{\"texts\":[\"a\"],\"inputs\":[]}", 200));
}

Test(dialects, cohere_inputs_of_anything_else_are_refused) {
    static const char *const items[] = {
        "\"a\"",
        "{}",
        "{\"content\":\"a\"}",
        "{\"content\":[]}",
        "{\"content\":[\"a\"]}",
        "{\"content\":[{\"text\":\"a\"}]}",
        "{\"content\":[{\"type\":\"text\"}]}",
        "{\"content\":[{\"type\":\"text\",\"text\":1}]}",
        "{\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:\"},\"text\":\"a\"}]}",
        "{\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]}",
    };
    char body[512];
    for (size_t i = 0; i < sizeof items / sizeof items[0]; i++) {
        snprintf(body, sizeof body,
                 "{\"inputs\":[{\"content\":[{\"type\":\"text\",\"text\":\"a\"}]},%s]}", items[i]);
        expect_rerank_error("/v2/embed", body, 422,
                            "`inputs[1]` must be an object whose `content` is a list of one text: "
                            "{\"type\":\"text\",\"text\":...}");
    }
    expect_rerank_error("/v2/embed", "{\"inputs\":\"a\"}", 422,
                        "`inputs` must be a list of objects with a `content`");
    expect_rerank_error("/v2/embed", "{\"inputs\":[]}", 400,
                        "Input validation error: `inputs` cannot be empty");
    expect_rerank_error("/v2/embed",
                        "{\"inputs\":[{\"content\":[{\"type\":\"text\",\"text\":\"\"}]}]}", 400,
                        "Input validation error: `inputs[0]` cannot be empty");
    expect_rerank_error("/v2/embed", "{\"inputs\":[],\"texts\":[]}", 422,
                        "`texts` must be left out beside `inputs`");
    expect_rerank_error("/v2/embed", "{\"images\":[\"data:\"]}", 422, "`texts` is missing");
}

Test(dialects, similarity_is_the_cosine) {
    json_t *json =
        ask("/similarity",
            "{\"inputs\":{\"source_sentence\":\"w11 w12\",\"sentences\":[\"w11 w12\",\"w9\"]},"
            "\"parameters\":{\"truncate\":true}}",
            200);
    cr_assert_eq(json_array_size(json), 2);
    cr_expect_float_eq(json_real_value(json_array_get(json, 0)), 1, 1e-6);
    cr_expect_lt(json_real_value(json_array_get(json, 1)), 1);
    json_decref(json);
    json_decref(ask("/similarity", "{\"inputs\":{\"source_sentence\":\"a\"}}", 422));
    json_decref(ask("/similarity", "{\"inputs\":{\"sentences\":[\"a\"]}}", 422));
    json_decref(
        ask("/similarity", "{\"inputs\":{\"source_sentence\":\"a\",\"sentences\":[]}}", 400));
    api_expect(
        &f, "/similarity", "{\"inputs\":{\"source_sentence\":\"a\",\"sentences\":[1]}}", 422,
        "{\"error\":\"`inputs.sentences[0]` must be a text\",\"error_type\":\"Validation\"}");
}

Test(dialects, decode_undoes_tokenize) {
    json_t *tokens = ask("/tokenize", "{\"inputs\":\"w11 w12\",\"model\":\"embedding\"}", 200);
    char body[256];
    int len = snprintf(body, sizeof body, "{\"model\":\"embedding\",\"ids\":[");
    for (size_t i = 0; i < json_array_size(json_array_get(tokens, 0)); i++)
        len += snprintf(body + len, sizeof body - (size_t)len, "%s%lld", i == 0 ? "" : ",",
                        json_integer_value(
                            json_object_get(json_array_get(json_array_get(tokens, 0), i), "id")));
    snprintf(body + len, sizeof body - (size_t)len, "]}");
    api_expect(&f, "/decode", body, 200, "[\"w11 w12\"]");
    json_decref(tokens);
    json_decref(ask("/decode", "{\"ids\":[[],[1,2]]}", 200));
    json_decref(ask("/decode", "{\"ids\":[]}", 400));
    json_decref(ask("/decode", "{\"ids\":7}", 422));
    json_decref(ask("/decode", "{\"ids\":[[1],2]}", 422));
    json_decref(ask("/decode", "{\"ids\":[-1]}", 422));
}

Test(dialects, vertex_answers_each_instance_as_its_route_does) {
    int code;
    qr_text one = api_ask(&f, "/rerank",
                          qr_text_of("{\"query\":\"w11\",\"texts\":[\"w12\",\"w13\"]}"), &code);
    char expected[1024];
    snprintf(expected, sizeof expected, "{\"predictions\":[%.*s,%.*s]}", (int)one.len, one.data,
             (int)one.len, one.data);
    api_expect(&f, "/vertex",
               "{\"instances\":[{\"query\":\"w11\",\"texts\":[\"w12\",\"w13\"]},"
               "{\"query\":\"w11\",\"texts\":[\"w12\",\"w13\"]}]}",
               200, expected);
    json_decref(ask("/vertex", "{\"instances\":[]}", 400));
    json_decref(ask("/vertex", "{\"instances\":[1]}", 422));
    json_decref(ask("/vertex", "{\"instances\":{}}", 422));
    json_decref(ask("/vertex", "{}", 422));
    /* One bad instance fails all; so does one for another model. */
    json_decref(ask("/vertex",
                    "{\"instances\":[{\"query\":\"w11\",\"texts\":[\"w12\"]},"
                    "{\"query\":\"w11\",\"texts\":[7]}]}",
                    422));
    json_decref(ask("/vertex",
                    "{\"instances\":[{\"query\":\"w11\",\"texts\":[\"w12\"]},"
                    "{\"inputs\":\"w11\",\"model\":\"embedding\"}]}",
                    422));
}

/* The loop reads the jobs of a ticket while a worker writes its answer. */
Test(dialects, vertex_leaves_the_ticket_as_it_is) {
    static const char body[] = "{\"instances\":[{\"query\":\"w11\",\"texts\":[\"w12\",\"w13\"]},"
                               "{\"query\":\"w11\",\"texts\":[\"w14\"]}]}";
    int code;
    qr_text answer = api_ask(&f, "/vertex", qr_text_of(body), &code);
    cr_assert_eq(code, 200);
    char *first = strndup(answer.data, answer.len);
    const qr_ticket *ticket = &f.exchange->ticket;
    const qr_job *jobs = ticket->jobs;
    cr_expect_eq(ticket->jobs_len, 3);
    qr_api_encode(f.api, f.exchange);
    cr_expect_eq(ticket->jobs, jobs);
    cr_expect_eq(ticket->jobs_len, 3);
    cr_expect(qr_text_is(qr_buf_contents(&f.exchange->out), first));
    free(first);
}

Test(dialects, models_are_listed_and_found) {
    int code;
    qr_text answer = api_ask(&f, "/v1/models", (qr_text){NULL, 0}, &code);
    json_t *json = json_loadb(answer.data, answer.len, 0, NULL);
    cr_assert_eq(code, 200);
    cr_expect_eq(json_array_size(json_object_get(json, "data")), f.models_len);
    json_decref(json);
    answer = api_ask(&f, "/v1/models/reranker", (qr_text){NULL, 0}, &code);
    cr_expect_eq(code, 200);
    cr_expect_not_null(memmem(answer.data, answer.len, "\"id\":\"reranker\"", 15));
    api_ask(&f, "/v1/models/nobody", (qr_text){NULL, 0}, &code);
    cr_expect_eq(code, 404);
    api_ask(&f, "/v1/models/a/b", (qr_text){NULL, 0}, &code);
    cr_expect_eq(code, 404);
}

Test(dialects, no_model_is_sparse) {
    api_expect(&f, "/embed_sparse", "{\"inputs\":\"a\"}", 424,
               "{\"error\":\"no loaded model can answer this route\",\"error_type\":\"Backend\"}");
}
