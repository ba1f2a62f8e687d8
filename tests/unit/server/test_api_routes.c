/* Every route by hand: answers, defaults and error bodies. Real clients do the same to a real
 * server in tests/server. */
#include <criterion/criterion.h>
#include <jansson.h>

#include "server/api/call.h"
#include "server/api_fixture.h"

static api_fixture f;

static void setup(void) {
    api_fixture_init(&f);
}
static void teardown(void) {
    api_fixture_deinit(&f);
}

TestSuite(api, .init = setup, .fini = teardown, .timeout = 60);

static json_t *ask_json(const char *route, const char *body) {
    int code;
    qr_text answer = api_ask(&f, route, qr_text_of(body), &code);
    json_t *json = json_loadb(answer.data, answer.len, 0, NULL);
    cr_assert_eq(code, 200, "%s: %.*s", route, (int)answer.len, answer.data);
    cr_assert_not_null(json, "%s: no JSON: %.*s", route, (int)answer.len, answer.data);
    return json;
}

#define BOTH (QR_LISTENER_MAIN | QR_LISTENER_OPS)

static const qr_route *find(unsigned listeners, const char *method, const char *path,
                            qr_status *status) {
    qr_text model;
    return qr_api_route(listeners, qr_text_of(method), qr_text_of(path), &model, status);
}

static bool has_label(const char *pattern) {
    const char *labels[QR_ROUTES_MAX];
    size_t len = qr_api_patterns(labels);
    for (size_t i = 0; i < len; i++)
        if (strcmp(labels[i], pattern) == 0)
            return true;
    return false;
}

Test(api, routes_by_path_and_method) {
    static const char *const none[] = {"", "/embe", "/embed/", "/EMBED", "//embed", "/metricsx"};
    char allow[QR_ALLOW_BYTES];
    const qr_route *row;
    qr_status status;
    for (size_t i = 0; (row = qr__route_at(i)) != NULL; i++) {
        const char *pattern = row->pattern;
        bool admin = (row->flags & QR__ROUTE_ADMIN) != 0;
        unsigned listeners = BOTH | (admin ? QR_LISTENER_ADMIN : 0);
        const qr_route *route = find(listeners, row->method, pattern, &status);
        cr_assert_not_null(route, "%s %s", row->method, pattern);
        cr_expect_str_eq(qr_api_pattern(route), pattern);
        cr_expect_null(find(listeners, "BREW", pattern, &status));
        cr_expect_eq(status, QR_BAD_METHOD);
        qr_api_allow(listeners, qr_text_of(pattern), allow);
        cr_expect_not_null(strstr(allow, row->method), "%s: %s", pattern, allow);
        bool probe = (row->flags & QR__ROUTE_OPS) != 0, both = (row->flags & QR__ROUTE_BOTH) != 0;
        bool ops = find(QR_LISTENER_OPS, row->method, pattern, &status) != NULL;
        bool main = find(QR_LISTENER_MAIN, row->method, pattern, &status) != NULL;
        cr_expect(ops == (!admin && (probe || both)), "%s", pattern);
        cr_expect(main == (!admin && (!probe || both)), "%s", pattern);
        cr_expect(qr_api_is_open(row) || has_label(pattern));
        cr_expect(!probe || !has_label(pattern), "probes have no label of their own");
        for (size_t a = 0; row->aliases != NULL && row->aliases[a] != NULL; a++)
            cr_expect(find(BOTH, row->method, row->aliases[a], &status) == row);
    }
    cr_expect(!has_label("/docs") && has_label("/embed"));
    qr_api_allow(BOTH, qr_text_of("/"), allow);
    cr_expect_str_eq(allow, "POST, GET, HEAD");
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        cr_expect_null(find(BOTH, "POST", none[i], &status));
        cr_expect_eq(status, QR_NO_ROUTE);
    }
    api_expect(&f, "/nowhere", "{}", 404,
               "{\"error\":\"no such route\",\"error_type\":\"Validation\"}");
    api_expect(&f, "/embed", NULL, 405,
               "{\"error\":\"the route does not take this method\",\"error_type\":\"Validation\"}");
}

Test(api, content_types) {
    static const struct {
        const char *type;
        bool taken;
    } cases[] = {{"application/json", true},
                 {"Application/JSON", true},
                 {"application/json; charset=utf-8", true},
                 {"application/json;x", true},
                 {"application/json\t; charset=utf-8", true},
                 {"application/vnd.api+json", true},
                 {"application/problem+JSON;charset=utf-8", true},
                 {"application/jsonx", false},
                 {"application/jso", false},
                 {"application/+json", false},
                 {"application/vnd.api+jsonx", false},
                 {"application/vnd.api+xml; a=+json", false},
                 {"application/json+xml", false},
                 {"image/svg+json", false},
                 {"+json", false},
                 {"text/plain", false},
                 {"", false}};
    qr_status status;
    const qr_route *embed = find(BOTH, "POST", "/embed", &status),
                   *health = find(BOTH, "GET", "/health", &status);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_expect_eq(qr_api_accepts(embed, qr_text_of(cases[i].type)), cases[i].taken, "%s",
                     cases[i].type);
        cr_expect(qr_api_accepts(health, qr_text_of(cases[i].type)));
    }
    cr_expect_not(qr_api_accepts(embed, (qr_text){0}));
    cr_expect(qr_api_needs_model(embed) && !qr_api_needs_model(health));
}

Test(api, health_follows_the_server) {
    static const char *const healths[] = {"/health", "/ping", "/"};
    for (size_t i = 0; i < sizeof healths / sizeof healths[0]; i++) {
        f.ready = true;
        api_expect(&f, healths[i], NULL, 200, "");
        f.ready = false;
        api_expect(&f, healths[i], NULL, 503,
                   "{\"error\":\"unhealthy\",\"error_type\":\"Unhealthy\"}");
    }
    f.ready = true;
    api_expect(&f, "/v2/health/live", NULL, 200, "{\"live\":true}");
    api_expect(&f, "/v2/health/ready", NULL, 200, "{\"ready\":true}");
    f.ready = false;
    api_expect(&f, "/v2/health/live", NULL, 200, "{\"live\":true}");
    api_expect(&f, "/v2/health/ready", NULL, 503, "{\"ready\":false}");
}

/* A 422's body: the sentence as JSON holds it. */
#define BAD(sentence)  "{\"error\":\"" sentence "\",\"error_type\":\"Validation\"}"
#define MISSING(field) BAD("`" field "` is missing")
#define NO_JSON(place) BAD("the request body is not valid JSON: line 1, " place)
#define WRONG_KIND                                                                                 \
    "{\"error\":\"no loaded model can answer this route\",\"error_type\":\"Backend\"}"
#define EMPTY_AT(place)                                                                            \
    "{\"error\":\"Input validation error: `" place "` cannot be empty\",\"error_type\":\"Empty\"}"
#define EMPTY  EMPTY_AT("inputs")
#define INPUTS "a text, a list of token ids, or a list of these"

Test(api, faults_name_the_field_and_what_it_must_be) {
    static const char *const posts[] = {"/embed", "/span", "/tokenize", "/predict"};
    for (size_t i = 0; i < sizeof posts / sizeof posts[0]; i++) {
        api_expect(&f, posts[i], "{\"inputs\":", 400, NO_JSON("column 11: expected a value"));
        api_expect(&f, posts[i], "", 400, NO_JSON("column 1: expected a value"));
        api_expect(&f, posts[i], "[]", 422, BAD("the request body must be a JSON object"));
    }
    api_expect(&f, "/span", "{}", 422, MISSING("question"));
    api_expect(&f, "/span", "{\"question\":\"q\",\"context\":7}", 422,
               BAD("`context` must be a text"));
    api_expect(&f, "/span", "{\"inputs\":{\"question\":\"q\"}}", 422, MISSING("inputs.context"));
    api_expect(&f, "/span", "{\"inputs\":[1]}", 422,
               BAD("`inputs[0]` must be an object with `question` and `context`"));
    api_expect(&f, "/span", "{\"question\":\"q\",\"context\":\"c\",\"parameters\":7}", 422,
               BAD("`parameters` must be an object"));
    api_expect(&f, "/span",
               "{\"inputs\":{\"question\":\"q\",\"context\":\"c\"},\"parameters\":{\"top_k\":0}}",
               422, BAD("`parameters.top_k` must be a whole number from 1 to 1024"));
    api_expect(&f, "/span", "{\"question\":\"q\",\"context\":\"c\",\"top_k\":1.0}", 422,
               BAD("`top_k` must be a whole number from 1 to 1024"));
    api_expect(&f, "/span", "{\"question\":\"q\",\"context\":\"c\",\"max_seq_len\":513}", 422,
               BAD("`max_seq_len` must be a whole number from 1 to 512"));
    api_expect(&f, "/span",
               "{\"question\":\"q\",\"context\":\"c\",\"parameters\":{\"max_seq_len\":9,\"doc_"
               "stride\":10}}",
               422, BAD("`parameters.doc_stride` must be a whole number from 1 to 9"));
    api_expect(&f, "/span", "{\"question\":\"q\",\"context\":\"c\",\"align_to_words\":1}", 422,
               BAD("`align_to_words` must be true or false"));
    api_expect(&f, "/span", "{\"question\":\"\",\"context\":\"c\"}", 400, EMPTY_AT("question"));
    api_expect(&f, "/span", "{\"question\":\"q\",\"context\":\"\"}", 400, EMPTY_AT("context"));
    api_expect(&f, "/span", "{\"inputs\":{\"question\":\"q\",\"context\":\"\"}}", 400,
               EMPTY_AT("inputs.context"));
    api_expect(&f, "/span",
               "{\"inputs\":[{\"question\":\"q\",\"context\":\"c\"},"
               "{\"question\":\"\",\"context\":\"c\"}]}",
               400, EMPTY_AT("inputs[1]"));
    api_expect(&f, "/spans", "{\"question\":\"q\",\"passages\":[]}", 400, EMPTY_AT("passages"));
    api_expect(&f, "/spans", "{\"question\":\"q\",\"passages\":[\"c\",\"\"]}", 400,
               EMPTY_AT("passages[1]"));
    api_expect(&f, "/spans", "{\"question\":\"\",\"passages\":[\"c\"]}", 400, EMPTY_AT("question"));
    api_expect(&f, "/decode", "{\"ids\":[]}", 400, EMPTY_AT("ids"));
    api_expect(&f, "/vertex", "{\"instances\":[]}", 400, EMPTY_AT("instances"));
    api_expect(&f, "/similarity", "{\"inputs\":{\"source_sentence\":\"a\",\"sentences\":[]}}", 400,
               EMPTY_AT("inputs.sentences"));
    api_expect(&f, "/span", "{\"question\":\"q\",\"context\":\"c\",\"model\":\"none\"}", 404,
               "{\"error\":\"no model of that name is loaded\",\"error_type\":\"Validation\"}");
    api_expect(&f, "/predict", "{\"inputs\":\"text\"}", 424, WRONG_KIND);
    api_expect(&f, "/tokenize", "{\"inputs\":[]}", 400, EMPTY);
    api_expect(&f, "/tokenize", "{\"inputs\":[\"a\",1]}", 422, BAD("`inputs[1]` must be a text"));
    api_expect(&f, "/tokenize", "{\"inputs\":7}", 422,
               BAD("`inputs` must be a text or a list of texts"));
    api_expect(&f, "/tokenize", "{\"inputs\":\"x\",\"model\":1}", 422,
               BAD("`model` must be a text"));
    cr_expect_eq(f.exchange->ticket.jobs_len, 0);
}

/* Nothing of a client's body comes back, whatever it is. */
Test(api, faults_never_hold_the_clients_text) {
    static const char *const bodies[] = {
        "{\"SECRET\":1}",
        "{\"inputs\":{\"SECRET\":\"SECRET\"}}",
        "{\"inputs\":\"a\",\"truncation_direction\":\"SECRET\"}",
        "{\"inputs\":\"a\",\"model\":\"SECRET\",\"SECRET\":\"SECRET\"}",
        "{\"SECRET\":1,\"SECRET\":2}",
        "{\"inputs\":SECRET}",
        "\"SECRET",
        "{\"question\":\"SECRET\",\"context\":[\"SECRET\"],\"query\":\"SECRET\"}",
    };
    static const char *const posts[] = {
        "/embed",  "/span",   "/v1/embeddings", "/tokenize",  "/rerank",   "/predict", "/",
        "/vertex", "/decode", "/similarity",    "/v1/rerank", "/v2/embed", "/SECRET"};
    for (size_t p = 0; p < sizeof posts / sizeof posts[0]; p++)
        for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
            int code;
            qr_text answer = api_ask(&f, posts[p], qr_text_of(bodies[i]), &code);
            cr_expect_null(memmem(answer.data, answer.len, "SECRET", 6), "%s %s: %.*s", posts[p],
                           bodies[i], (int)answer.len, answer.data);
        }
}

Test(api, openai_faults_satisfy_flat_and_nested_readers) {
#define SENTENCE "`encoding_format` must be \\\"float\\\" or \\\"base64\\\""
    api_expect(&f, "/v1/embeddings", "{\"input\":\"a\",\"encoding_format\":\"hex\"}", 422,
               "{\"message\":\"" SENTENCE
               "\",\"code\":422,\"type\":\"Validation\",\"detail\":\"" SENTENCE
               "\",\"error\":{\"message\":\"" SENTENCE
               "\",\"type\":\"invalid_request_error\",\"param\":\"encoding_format\",\"code\":"
               "\"bad_request\"}}");
#undef SENTENCE
#define SENTENCE                                                                                   \
    "the request body is not valid JSON: line 1, column 2: expected a member's name or `}`"
    api_expect(&f, "/v1/embeddings", "{", 400,
               "{\"message\":\"" SENTENCE
               "\",\"code\":400,\"type\":\"Validation\",\"detail\":\"" SENTENCE
               "\",\"error\":{\"message\":\"" SENTENCE
               "\",\"type\":\"invalid_request_error\",\"param\":null,\"code\":\"bad_json\"}}");
#undef SENTENCE
}

Test(api, span_in_both_forms) {
    json_t *flat = ask_json(
        "/span",
        "{\"question\":\"Who wrote the report?\",\"context\":\"In M\\u00fcnchen the report was "
        "written by Ada Byron in 1843.\"}");
    json_t *nested = ask_json(
        "/span",
        "{\"inputs\":{\"question\":\"Who wrote the report?\",\"context\":\"In M\\u00fcnchen the "
        "report was written by Ada Byron in 1843.\"},\"parameters\":{\"top_k\":1}}");
    cr_expect(json_equal(flat, nested));
    cr_expect_str_eq(json_string_value(json_object_get(flat, "answer")), "Ada Byron");
    cr_expect_eq(json_integer_value(json_object_get(flat, "start")), 37);
    cr_expect_eq(json_integer_value(json_object_get(flat, "end")), 46);
    cr_expect(json_real_value(json_object_get(flat, "score")) > 0.1);
    json_decref(flat);
    json_decref(nested);
    json_t *three = ask_json(
        "/span",
        "{\"question\":\"Who?\",\"context\":\"Ada met Bob and Carl in Rome.\",\"top_k\":3}");
    cr_assert(json_is_array(three));
    cr_expect(json_array_size(three) > 1 && json_array_size(three) <= 3);
    json_decref(three);
}

Test(api, root_answers_as_the_first_model_does) {
    json_t *root = ask_json("/", "{\"question\":\"Who?\",\"context\":\"Ada met Bob.\"}");
    json_t *span = ask_json("/span", "{\"question\":\"Who?\",\"context\":\"Ada met Bob.\"}");
    cr_expect(json_equal(root, span));
    json_decref(root);
    json_decref(span);
}

Test(api, tokenize_gives_bytes_and_pieces) {
    api_expect(&f, "/tokenize", "{\"inputs\":\"Caf\\u00e9 !\"}", 200,
               "[[{\"id\":101,\"text\":\"[CLS]\",\"special\":true,\"start\":null,\"stop\":null},"
               "{\"id\":7668,\"text\":\"Caf\xc3\xa9\",\"special\":false,\"start\":0,\"stop\":5},"
               "{\"id\":999,\"text\":\"!\",\"special\":false,\"start\":6,\"stop\":7},"
               "{\"id\":102,\"text\":\"[SEP]\",\"special\":true,\"start\":null,\"stop\":null}]]");
    api_expect(&f, "/tokenize", "{\"inputs\":[\"\",\"\\u0000\"],\"add_special_tokens\":false}", 200,
               "[[],[]]");
}

Test(api, info_describes_all_models) {
    json_t *info = ask_json("/info", NULL);
    json_t *models = json_object_get(info, "models");
    cr_expect_str_eq(json_string_value(json_object_get(info, "model_id")), "squad-3l");
    cr_expect_str_eq(json_string_value(json_object_get(info, "model_dtype")), "float32");
    cr_expect(json_is_null(json_object_get(info, "model_sha")));
    cr_expect(json_is_true(json_object_get(info, "auto_truncate")));
    cr_expect_not_null(json_object_get(json_object_get(info, "model_type"), "span"));
    cr_expect_eq(json_array_size(models), f.models_len);
    json_t *plan = json_object_get(json_array_get(models, 0), "plan");
    cr_expect_str_eq(json_string_value(json_object_get(plan, "precision")), "f32");
    cr_expect_gt(json_string_length(json_object_get(plan, "isa")), 0);
    json_decref(info);
}

static void need_embedding(void) {
    if (f.embedding == NULL)
        cr_skip("models/minilm is not there (tools/fetch-model)");
}

static float *vector_of(const char *body, size_t index) {
    static float vector[2][384];
    static int turn;
    turn = 1 - turn;
    json_t *rows = ask_json("/embed", body);
    json_t *row = json_array_get(rows, index);
    cr_assert_eq(json_array_size(row), 384, "%s", body);
    for (size_t i = 0; i < 384; i++)
        vector[turn][i] = (float)json_real_value(json_array_get(row, i));
    json_decref(rows);
    return vector[turn];
}

Test(api, embed_takes_texts_and_ids_alike) {
    need_embedding();
    float *text = vector_of("{\"inputs\":\"hello world\"}", 0);
    float *ids = vector_of("{\"inputs\":[101,7592,2088,102]}", 0);
    cr_expect_arr_eq(text, ids, 384 * sizeof *text);
    ids = vector_of("{\"inputs\":[\"other text\",[101,7592,2088,102]],\"truncate\":null}", 1);
    cr_expect_arr_eq(text, ids, 384 * sizeof *text);
    double norm = 0;
    for (size_t i = 0; i < 384; i++)
        norm += (double)text[i] * (double)text[i];
    cr_expect_float_eq(norm, 1.0, 1e-5);
}

#define FOREIGN                                                                                    \
    "; ids must be this model's own, as /tokenize gives them: if your client makes other ones, "   \
    "have it send texts"

Test(api, embed_faults) {
    need_embedding();
    static const struct {
        const char *body;
        int code;
        const char *answer;
    } cases[] = {
        {"{}", 422, MISSING("inputs")},
        {"{\"inputs\":null}", 422, MISSING("inputs")},
        {"{\"inputs\":\"\"}", 400, EMPTY},
        {"{\"inputs\":[]}", 400, EMPTY},
        {"{\"inputs\":[[]]}", 400, EMPTY},
        {"{\"inputs\":[\"a\",\"\"]}", 400, EMPTY},
        {"{\"inputs\":7}", 422, BAD("`inputs` must be " INPUTS)},
        {"{\"inputs\":{\"a\":1}}", 422, BAD("`inputs` must be " INPUTS)},
        {"{\"inputs\":[1,\"a\"]}", 422,
         BAD("`inputs[1]` must be a token id from 0 to 30521" FOREIGN)},
        {"{\"inputs\":[30522]}", 422,
         BAD("`inputs[0]` must be a token id from 0 to 30521" FOREIGN)},
        {"{\"inputs\":[-1]}", 422, BAD("`inputs[0]` must be a token id from 0 to 30521" FOREIGN)},
        {"{\"inputs\":[[5,6,1.0]]}", 422,
         BAD("`inputs[0][2]` must be a token id from 0 to 30521" FOREIGN)},
        {"{\"inputs\":[1.5]}", 422, BAD("`inputs[0]` must be a text or a list of token ids")},
        {"{\"inputs\":[\"a\",\"b\",\"c\",1]}", 422,
         BAD("`inputs[3]` must be a text or a list of token ids")},
        {"{\"inputs\":\"a\",\"dimensions\":0}", 422,
         BAD("`dimensions` must be a whole number from 1 to 384")},
        {"{\"inputs\":\"a\",\"dimensions\":9999}", 422,
         BAD("`dimensions` must be a whole number from 1 to 384")},
        {"{\"inputs\":\"a\",\"dimensions\":\"7\"}", 422,
         BAD("`dimensions` must be a whole number from 1 to 384")},
        {"{\"inputs\":\"a\",\"dimensions\":385}", 422,
         BAD("`dimensions` must be a whole number from 1 to 384")},
        {"{\"inputs\":\"a\",\"truncate\":\"yes\"}", 422, BAD("`truncate` must be true or false")},
        {"{\"inputs\":\"a\",\"normalize\":1}", 422, BAD("`normalize` must be true or false")},
        {"{\"inputs\":\"a\",\"prompt_name\":\"query\"}", 422,
         BAD("`prompt_name` must be one of the model's prompts, which /info lists")},
        {"{\"inputs\":\"a\",\"truncation_direction\":\"up\"}", 422,
         BAD("`truncation_direction` must be \\\"left\\\" or \\\"right\\\"")},
        {"{\"inputs\":\"a\",\"model\":\"squad-3l\"}", 424, WRONG_KIND},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        api_expect(&f, "/embed", cases[i].body, cases[i].code, cases[i].answer);
}

/* A name that no model has may be a client's constant; one that a model of another kind has is
 * meant. */
Test(api, openai_serves_unknown_names_and_refuses_wrong_ones) {
    need_embedding();
    int code;
    api_ask(&f, "/v1/embeddings", qr_text_of("{\"input\":\"a\",\"model\":\"gpt\"}"), &code);
    cr_expect_eq(code, 200);
    api_ask(&f, "/v1/embeddings", qr_text_of("{\"input\":\"a\",\"model\":\"minilm\"}"), &code);
    cr_expect_eq(code, 200);
    api_ask(&f, "/v1/embeddings", qr_text_of("{\"input\":\"a\",\"model\":\"squad-3l\"}"), &code);
    cr_expect_eq(code, 424);
}

/* "a " n times: n + 2 tokens. */
static qr_text long_body(qr_buf *buf, size_t words, const char *rest) {
    qr_buf_init(buf, 1u << 20);
    qr_buf_literal(buf, "{\"inputs\":\"");
    for (size_t i = 0; i < words; i++)
        qr_buf_literal(buf, "a ");
    qr_buf_printf(buf, "\"%s}", rest);
    return (qr_text){buf->data, buf->len};
}

Test(api, long_inputs_are_cut_or_refused) {
    need_embedding();
    size_t longest = qr_pipeline_max_tokens(f.embedding);
    char expected[200];
    qr_buf buf;
    int code;
    api_ask(&f, "/embed", long_body(&buf, 600, ""), &code);
    cr_expect_eq(code, 200);
    cr_expect_eq(f.exchange->ticket.jobs[0].tokens, longest);
    qr_buf_deinit(&buf);
    snprintf(expected, sizeof expected,
             "{\"error\":\"Input validation error: `inputs` must have less than %zu tokens. Given: "
             "602\",\"error_type\":"
             "\"Validation\"}",
             longest);
    long_body(&buf, 600, ",\"truncate\":false");
    qr_buf_byte(&buf, '\0');
    api_expect(&f, "/embed", buf.data, 422, expected);
    qr_buf_deinit(&buf);
}

/* The ids of a text, cut, are the ids of the cut text. */
Test(api, ids_are_cut_as_texts_are) {
    need_embedding();
    static const char *const directions[] = {"left", "right"};
    for (size_t d = 0; d < 2; d++) {
        char rest[64];
        qr_buf text, ids;
        int code;
        int32_t kept[QR_LIMIT_POSITIONS];
        snprintf(rest, sizeof rest, ",\"truncation_direction\":\"%s\"", directions[d]);
        api_ask(&f, "/embed", long_body(&text, 600, rest), &code);
        size_t len = f.exchange->ticket.jobs[0].tokens;
        memcpy(kept, f.exchange->ticket.jobs[0].ids, len * sizeof *kept);
        qr_buf_init(&ids, 1u << 20);
        qr_buf_literal(&ids, "{\"inputs\":[101");
        for (size_t i = 0; i < 600; i++)
            qr_buf_literal(&ids, ",1037");
        qr_buf_printf(&ids, ",102]%s}", rest);
        api_ask(&f, "/embed", (qr_text){ids.data, ids.len}, &code);
        cr_expect_eq(code, 200);
        cr_expect_eq(f.exchange->ticket.jobs[0].tokens, len);
        cr_expect_arr_eq(f.exchange->ticket.jobs[0].ids, kept, len * sizeof *kept);
        qr_buf_deinit(&text);
        qr_buf_deinit(&ids);
    }
}

Test(api, openai_base64_is_the_floats) {
    need_embedding();
    json_t *floats =
        ask_json("/v1/embeddings",
                 "{\"input\":[\"one two\",\"three\"],\"model\":\"anything\",\"user\":\"u\"}");
    cr_expect_str_eq(json_string_value(json_object_get(floats, "object")), "list");
    cr_expect_str_eq(json_string_value(json_object_get(floats, "model")), "minilm");
    cr_expect_eq(
        json_integer_value(json_object_get(json_object_get(floats, "usage"), "prompt_tokens")),
        4 + 3);
    json_t *second = json_array_get(json_object_get(floats, "data"), 1);
    cr_expect_eq(json_integer_value(json_object_get(second, "index")), 1);
    cr_expect_eq(json_array_size(json_object_get(second, "embedding")), 384);
    json_decref(floats);
    json_t *base64 = ask_json(
        "/v1/embeddings", "{\"input\":\"three\",\"encoding_format\":\"base64\",\"dimensions\":12}");
    json_t *first = json_array_get(json_object_get(base64, "data"), 0);
    cr_expect_eq(json_string_length(json_object_get(first, "embedding")), 64);
    json_decref(base64);
}

Test(api, an_answer_that_will_never_fit_is_a_small_422) {
    int code;
    api_ask(&f, "/tokenize", qr_text_of("{\"inputs\":\"some words of text\"}"), &code);
    cr_assert_eq(code, 200);
    f.exchange->out.max_bytes = 100;
    qr_api_encode(f.api, f.exchange);
    cr_expect_eq(f.exchange->http_code, 422);
    cr_expect(qr_text_is(qr_buf_contents(&f.exchange->out),
                         "{\"error\":\"the request has more inputs than the server takes\","
                         "\"error_type\":\"Validation\"}"));
    f.exchange->out.max_bytes = 10;
    f.exchange->status = QR_OVERLOADED;
    qr_api_encode(f.api, f.exchange);
    cr_expect_eq(f.exchange->http_code, 429);
    cr_expect_eq(f.exchange->out.len, 0);
}

Test(api, memory_that_runs_out_is_a_503) {
    static const char *const bodies[][2] = {
        {"/span", "{\"question\":\"Who?\",\"context\":\"Ada met Bob.\",\"top_k\":5}"},
        {"/tokenize", "{\"inputs\":[\"some words\",\"and more\"]}"},
    };
    for (size_t i = 0; i < 2; i++) {
        bool done = false;
        for (size_t max_bytes = 0; !done; max_bytes += 64) {
            cr_assert_eq(api_begin(&f, bodies[i][0], qr_text_of(bodies[i][1])), QR_OK);
            qr_exchange *x = f.exchange;
            x->arena.max_bytes = max_bytes;
            done = qr_api_decode(f.api, x) == QR_OK;
            cr_assert(done || x->status == QR_NO_MEMORY);
            if (!done) {
                cr_assert_eq(x->ticket.jobs_len, 0);
                qr_api_encode(f.api, x);
                cr_assert_eq(x->http_code, 503);
            }
            cr_assert_lt(max_bytes, 1u << 20);
        }
    }
}

Test(api_rank, best_first_and_ties_from_the_end) {
    qr__ranked items[] = {{0.5f, 0}, {0.9f, 1}, {0.5f, 2}, {0.1f, 3}, {0.9f, 4}};
    static const uint32_t order[] = {4, 1, 2, 0, 3};
    qr__rank(items, 5, QR__TIES_FALL);
    for (size_t i = 0; i < 5; i++)
        cr_expect_eq(items[i].index, order[i]);
}
