/* The Open Inference Protocol's answers: descriptions as they are written, tensors as numbers that
 * the other routes give. */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/api_fixture_oip.h"
#include "server/tiny_models.h"

static api_fixture f;

static void setup(void) {
    api_fixture_init_tiny(&f);
}
static void teardown(void) {
    api_fixture_deinit(&f);
}

TestSuite(oip, .init = setup, .fini = teardown, .timeout = 60);

#define INPUT(name, rest) "{\"name\":\"" name "\",\"datatype\":" rest "}"
#define TEXTS(name)       INPUT(name, "\"BYTES\",\"shape\":[-1]")
#define IDS(name)         INPUT(name, "\"INT64\",\"shape\":[-1,-1]")
#define ALL_IDS           IDS("input_ids") "," IDS("attention_mask") "," IDS("token_type_ids")
#define METADATA(name, inputs, outputs)                                                            \
    "{\"name\":\"" name "\",\"versions\":[\"1\"],\"platform\":\"querent\",\"inputs\":[" inputs     \
    "],\"outputs\":[" outputs "]}"

Test(oip, descriptions) {
    api_expect(&f, "/v2", NULL, 200,
               "{\"name\":\"querent\",\"version\":\"" QR_VERSION "\",\"extensions\":["
               "\"binary_tensor_data\",\"model_configuration\",\"parameters\"]}");
    api_expect(&f, "/v2/models/embedding", NULL, 200,
               METADATA("embedding", TEXTS("text") "," ALL_IDS,
                        INPUT("embedding", "\"FP32\",\"shape\":[-1,32]")));
    api_expect(
        &f, "/v2/models/span/versions/1", NULL, 200,
        METADATA(
            "span", TEXTS("question") "," TEXTS("context"),
            TEXTS("answer") "," INPUT("score", "\"FP32\",\"shape\":[-1]") "," INPUT(
                "start", "\"INT32\",\"shape\":[-1]") "," INPUT("end", "\"INT32\",\"shape\":[-1]")));
    api_expect(&f, "/v2/models/classifier", NULL, 200,
               METADATA("classifier", TEXTS("text") "," TEXTS("text_pair") "," ALL_IDS,
                        INPUT("scores", "\"FP32\",\"shape\":[-1,3]") "," TEXTS("label")));
    api_expect(&f, "/v2/models/rer%61nker", NULL, 200,
               METADATA("reranker", TEXTS("query") "," TEXTS("text") "," ALL_IDS,
                        INPUT("score", "\"FP32\",\"shape\":[-1]")));
}

Test(oip, configuration) {
    api_expect(&f, "/v2/models/span/config", NULL, 200,
               "{\"name\":\"span\",\"platform\":\"querent\",\"backend\":\"querent\","
               "\"version_policy\":{\"latest\":{\"num_versions\":1}},\"max_batch_size\":0,"
               "\"input\":[{\"name\":\"question\",\"data_type\":\"TYPE_STRING\",\"dims\":[-1]},"
               "{\"name\":\"context\",\"data_type\":\"TYPE_STRING\",\"dims\":[-1]}],"
               "\"output\":[{\"name\":\"answer\",\"data_type\":\"TYPE_STRING\",\"dims\":[-1]},"
               "{\"name\":\"score\",\"data_type\":\"TYPE_FP32\",\"dims\":[-1]},"
               "{\"name\":\"start\",\"data_type\":\"TYPE_INT32\",\"dims\":[-1]},"
               "{\"name\":\"end\",\"data_type\":\"TYPE_INT32\",\"dims\":[-1]}]}");
    int code;
    qr_text answer = api_ask(&f, "/v2/models/embedding/versions/1/config", (qr_text){0}, &code);
    static const char part[] =
        "{\"name\":\"input_ids\",\"data_type\":\"TYPE_INT64\",\"dims\":[-1,-1],\"optional\":true}";
    cr_assert_eq(code, 200);
    qr_buf_byte(&f.exchange->out, '\0');
    cr_assert(strstr(f.exchange->out.data, part) != NULL, "%.*s", (int)answer.len, answer.data);
}

Test(oip, ready_is_who_would_answer) {
    static const char *const of_models[] = {"/v2/models/embedding", "/v2/models/embedding/ready",
                                            "/v2/models/embedding/config"};
    api_expect(&f, "/v2/models/span/ready", NULL, 200, "{\"name\":\"span\",\"ready\":true}");
    api_expect(&f, "/v2/models/span/versions/1/ready", NULL, 200,
               "{\"name\":\"span\",\"ready\":true}");
    api_expect(&f, "/v2/models/nobody/ready", NULL, 404,
               "{\"error\":\"no model of that name is loaded\"}");
    f.ready = false;
    api_expect(&f, "/v2/models/span/ready", NULL, 503, "{\"error\":\"the server is not ready\"}");
    for (size_t i = 0; i < sizeof of_models / sizeof of_models[0]; i++) {
        cr_assert_eq(api_begin(&f, of_models[i], (qr_text){0}), QR_OK);
        qr_serving_unpin(f.exchange->serving);
        f.exchange->serving = NULL; /* as while models are loading */
        cr_assert_eq(qr_api_decode(f.api, f.exchange), QR_NOT_READY);
    }
}

#define ASK_TEXT(model, name, text, more)                                                          \
    "{\"inputs\":[{\"name\":\"" name "\",\"datatype\":\"BYTES\",\"shape\":[1],\"data\":[\"" text   \
    "\"]}]" more "}"

/* The numbers of the other route's answer, without what stands around them. */
static void numbers_of(const char *route, const char *body, qr_buf *out) {
    int code;
    qr_text answer = api_ask(&f, route, qr_text_of(body), &code);
    cr_assert_eq(code, 200);
    cr_assert(answer.len > 4);
    qr_buf_append(out, answer.data + 1, answer.len - 2); /* [[...]] -> [...] */
}

Test(oip, an_answer_as_it_is_written) {
    qr_buf expected;
    qr_buf_init(&expected, 64u << 10);
    qr_buf_literal(&expected,
                   "{\"model_name\":\"embedding\",\"model_version\":\"1\",\"id\":\"a\\\"b\","
                   "\"outputs\":[{\"name\":\"embedding\",\"datatype\":\"FP32\",\"shape\":[1,"
                   "3],\"data\":");
    numbers_of("/embed", "{\"inputs\":\"w5 w6\",\"dimensions\":3,\"model\":\"embedding\"}",
               &expected);
    qr_buf_literal(&expected, "}]}");
    qr_buf_byte(&expected, '\0');
    api_expect(&f, OIP_INFER("embedding"),
               ASK_TEXT("embedding", "text", "w5 w6",
                        ",\"id\":\"a\\\"b\",\"parameters\":{\"dimensions\":3,\"other\":[{}]}"),
               200, expected.data);
    api_expect(&f, "/v2/models/embedding/versions/1/infer",
               ASK_TEXT("embedding", "text", "w5 w6",
                        ",\"id\":\"a\\\"b\",\"parameters\":{\"dimensions\":3},\"outputs\":[]"),
               200, expected.data);
    qr_buf_deinit(&expected);
}

/* The JSON ends where a float may stand, and what is behind it is what the tensors say. */
Test(oip, binary_answers) {
    static const char text[] = "\5\0\0\0w5 w6";
    int code;
    for (size_t blanks = 0; blanks < 8; blanks++) {
        char json[256];
        snprintf(
            json, sizeof json,
            "{\"id\":\"%.*s\",\"parameters\":{\"binary_data_output\":true},\"inputs\":[{\"name\":"
            "\"text\",\"datatype\":\"BYTES\",\"shape\":[1],\"parameters\":{\"binary_data_size\":9}"
            "}]}",
            (int)blanks, "        ");
        qr_text answer = oip_ask_tail(&f, OIP_INFER("classifier"), json, text, 9, &code);
        const qr_exchange *x = f.exchange;
        cr_assert_eq(code, 200);
        cr_assert_eq(x->notes_len, 1);
        cr_assert_str_eq(x->notes[0].name, "Inference-Header-Content-Length");
        cr_assert_str_eq(x->content_type, "application/octet-stream");
        size_t head = (size_t)strtoul(x->notes[0].value, NULL, 10);
        cr_assert_eq(head % 8, 0);
        json_t *about = json_loadb(answer.data, head, 0, NULL);
        cr_assert(about != NULL);
        size_t index, bytes = 0;
        json_t *output;
        json_array_foreach(json_object_get(about, "outputs"), index, output) {
            const json_t *parameters = json_object_get(output, "parameters");
            bytes += (size_t)json_integer_value(json_object_get(parameters, "binary_data_size"));
        }
        cr_assert_eq(bytes, answer.len - head);
        const char *label = answer.data + head + 3 * sizeof(float);
        float scores[3], sum = 0;
        uint32_t len;
        memcpy(scores, answer.data + head, sizeof scores);
        memcpy(&len, label, sizeof len);
        cr_assert_eq(len, answer.len - head - sizeof scores - sizeof len);
        for (size_t i = 0; i < 3; i++)
            sum += scores[i];
        cr_assert(sum > 0.999f && sum < 1.001f);
        json_decref(about);
    }
}

/* Texts before numbers: these stand at any address. */
Test(oip, outputs_come_in_the_order_that_is_asked_for) {
    int code;
    qr_text answer = api_ask(
        &f, OIP_INFER("span"),
        qr_text_of(
            "{\"inputs\":[{\"name\":\"context\",\"datatype\":\"BYTES\",\"shape\":[2],\"data\":["
            "\"w5 w6 w7\",\"w8\"]},{\"name\":\"question\",\"datatype\":\"BYTES\",\"shape\":[1],"
            "\"data\":[\"w9\"]}],\"parameters\":{\"binary_data_output\":true},\"outputs\":[{"
            "\"name\":\"answer\"},{\"name\":\"score\"},{\"name\":\"end\",\"parameters\":{"
            "\"binary_data\":false}},{\"name\":\"start\"}]}"),
        &code);
    cr_assert(code == 200, "%.*s", (int)answer.len, answer.data);
    size_t at = (size_t)strtoul(f.exchange->notes[0].value, NULL, 10);
    for (size_t i = 0; i < 2; i++) {
        uint32_t len;
        cr_assert(at + sizeof len <= answer.len);
        memcpy(&len, answer.data + at, sizeof len);
        cr_assert(len > 0 && answer.data[at + 4] == 'w');
        at += sizeof len + len;
    }
    float scores[2];
    int32_t starts[2];
    cr_assert_eq(at + sizeof scores + sizeof starts, answer.len);
    memcpy(scores, answer.data + at, sizeof scores);
    memcpy(starts, answer.data + at + sizeof scores, sizeof starts);
    for (size_t i = 0; i < 2; i++)
        cr_assert(scores[i] > 0 && scores[i] <= 1 && starts[i] >= 0 && starts[i] < 8);
}

#define BOTH_TEXTS(more)                                                                           \
    "{\"inputs\":[{\"name\":\"question\",\"datatype\":\"BYTES\",\"shape\":[1],\"data\":[\"w5\"]}," \
    "{"                                                                                            \
    "\"name\":\"context\",\"datatype\":\"BYTES\",\"shape\":[1],\"data\":[\"w6\"]}]" more "}"

Test(oip, faults_of_what_is_around_the_tensors) {
    static const struct {
        const char *route, *body, *sentence;
    } cases[] = {
        {OIP_INFER("embedding"), ASK_TEXT("", "text", "w5", ",\"id\":7"),
         "`id` must be a text of at most 256 bytes"},
        {OIP_INFER("embedding"), ASK_TEXT("", "text", "w5", ",\"parameters\":7"),
         "`parameters` must be an object"},
        {OIP_INFER("embedding"), ASK_TEXT("", "text", "w5", ",\"parameters\":{\"dimensions\":33}"),
         "`parameters.dimensions` must be a whole number from 1 to 32"},
        {OIP_INFER("embedding"), ASK_TEXT("", "text", "w5", ",\"parameters\":{\"dimensions\":0}"),
         "`parameters.dimensions` must be a whole number from 1 to 32"},
        {OIP_INFER("embedding"), ASK_TEXT("", "text", "w5", ",\"parameters\":{\"timeout\":-1}"),
         "`parameters.timeout` must be a whole number from 0 to 9223372036854775807"},
        {OIP_INFER("embedding"), ASK_TEXT("", "text", "w5", ",\"outputs\":{}"),
         "`outputs` must be a list of outputs"},
        {OIP_INFER("embedding"),
         ASK_TEXT("", "text", "w5",
                  ",\"outputs\":[{\"name\":\"embedding\"},{\"name\":\"embedding\"}]"),
         "`outputs[1]` must be `embedding`, once"},
        {OIP_INFER("embedding"),
         ASK_TEXT("", "text", "w5",
                  ",\"outputs\":[{\"name\":\"embedding\",\"parameters\":{\"binary_data\":1}}]"),
         "`embedding.binary_data` must be true or false"},
        {OIP_INFER("embedding"),
         ASK_TEXT(
             "", "text", "w5",
             ",\"outputs\":[{\"name\":\"embedding\",\"parameters\":{\"shared_memory_region\":\"r\"}"
             "}]"),
         "`outputs[0]` must be without `classification` and `shared_memory_region`, which this "
         "server does not have"},
        {OIP_INFER("span"), BOTH_TEXTS(",\"outputs\":[{\"name\":\"embedding\"}]"),
         "`outputs[0]` must be `answer`, `score`, `start` or `end`, each once"},
        {OIP_INFER("span"), BOTH_TEXTS(",\"parameters\":{\"max_seq_len\":65}"),
         "`parameters.max_seq_len` must be a whole number from 1 to 64"},
        {OIP_INFER("reranker"), ASK_TEXT("", "query", "w5", ""),
         "`inputs` must be `query` and `text`, or `input_ids` with or without `attention_mask` and "
         "`token_type_ids`"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        oip_expect_error(&f, cases[i].route, cases[i].body, NULL, 0, 400, cases[i].sentence);
}

Test(oip, ids_and_answers_are_bounded) {
    qr_buf body;
    qr_buf_init(&body, 1u << 20);
    qr_buf_literal(&body, ASK_TEXT("", "text", "w5", ",\"id\":\""));
    body.len--; /* the brace behind the id's beginning */
    for (size_t i = 0; i <= QR_LIMIT_ID_BYTES; i++)
        qr_buf_byte(&body, 'x');
    qr_buf_literal(&body, "\"}");
    qr_buf_byte(&body, '\0');
    oip_expect_error(&f, OIP_INFER("embedding"), body.data, NULL, 0, 400,
                     "`id` must be a text of at most 256 bytes");
    qr_buf_reset(&body);
    qr_buf_literal(&body,
                   "{\"parameters\":{\"top_k\":656},\"inputs\":[{\"name\":\"question\","
                   "\"datatype\":\"BYTES\",\"shape\":[1],\"data\":[\"w5\"]},{\"name\":\"context\","
                   "\"datatype\":\"BYTES\",\"shape\":[100],\"data\":[\"w6\"");
    for (size_t i = 1; i < 100; i++)
        qr_buf_literal(&body, ",\"w6\"");
    qr_buf_literal(&body, "]}]}");
    qr_buf_byte(&body, '\0');
    oip_expect_error(&f, OIP_INFER("span"), body.data, NULL, 0, 400,
                     "`parameters.top_k` must be a whole number from 1 to 655");
    qr_buf_deinit(&body);
}

#define PASSAGES(question, first, second)                                                          \
    "{\"inputs\":[{\"name\":\"question\",\"datatype\":\"BYTES\",\"shape\":[1],\"data\":["          \
    "\"" question                                                                                  \
    "\"]},{\"name\":\"context\",\"datatype\":\"BYTES\",\"shape\":[2],\"data\":[\"" first           \
    "\",\"" second "\"]}]}"

Test(oip, an_empty_text_is_named_by_its_tensor) {
    oip_expect_error(&f, OIP_INFER("span"), PASSAGES("w5", "w6", ""), NULL, 0, 400,
                     "Input validation error: `context.data[1]` cannot be empty");
    oip_expect_error(&f, OIP_INFER("span"), PASSAGES("", "w6", "w7"), NULL, 0, 400,
                     "Input validation error: `question.data[0]` cannot be empty");
}

/* Parts of a request that only the loop acts on. */
Test(oip, a_timeout_is_noted) {
    int code;
    (void)api_ask(&f, OIP_INFER("embedding"),
                  qr_text_of(ASK_TEXT("", "text", "w5", ",\"parameters\":{\"timeout\":1500}")),
                  &code);
    cr_assert_eq(code, 200);
    cr_assert_eq(f.exchange->timeout_ns, 1500000);
    (void)api_ask(
        &f, OIP_INFER("embedding"),
        qr_text_of(ASK_TEXT("", "text", "w5", ",\"parameters\":{\"timeout\":9223372036854775807}")),
        &code);
    cr_assert_eq(f.exchange->timeout_ns, QR_LIMIT_BUDGET_MS * QR_NS_PER_MS);
}
