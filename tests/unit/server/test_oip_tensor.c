/* Tensors of requests: what is taken, each fault by its sentence, and mutated bodies. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "fuzz.h"
#include "server/api/oip/oip_tensor.h"
#include "server/api_fixture_oip.h"
#include "server/tiny_models.h"

#define EMBED OIP_INFER("embedding")
#define KNOWN                                                                                      \
    "one of the model's tensors, each at most once: `text`, `input_ids`, `attention_mask`, "       \
    "`token_type_ids`"
#define NEEDS                                                                                      \
    "`inputs` must be `text`, or `input_ids` with or without `attention_mask` and "                \
    "`token_type_ids`"
#define TEXTS_SHAPE                                                                                \
    "`text.shape` must be a list of one number, how many texts, or of two, the second being 1"
#define IDS_SHAPE                                                                                  \
    "`input_ids.shape` must be a list of two numbers, how many inputs and how many tokens each "   \
    "has"
#define DATA " must be a list of as many elements as `shape` says, nested as it says or flat"

/* A request of one tensor with this rest of members. */
#define ONE(members)  "{\"inputs\":[{" members "}]}"
#define TEXT(members) ONE("\"name\":\"text\",\"datatype\":\"BYTES\"," members)
#define IDS(members)  ONE("\"name\":\"input_ids\",\"datatype\":\"INT64\"," members)
#define WITH(a, b)    "{\"inputs\":[" a "," b "]}"
#define ID_ROW        "{\"name\":\"input_ids\",\"datatype\":\"INT64\",\"shape\":[1,2],\"data\":[5,6]}"
#define MASK(shape, data)                                                                          \
    "{\"name\":\"attention_mask\",\"datatype\":\"INT64\",\"shape\":" shape ",\"data\":" data "}"
#define TYPES(shape, data)                                                                         \
    "{\"name\":\"token_type_ids\",\"datatype\":\"INT64\",\"shape\":" shape ",\"data\":" data "}"
#define SIZE(bytes) "\"parameters\":{\"binary_data_size\":" bytes "}"

static api_fixture f;

static void setup(void) {
    api_fixture_init_tiny(&f);
}
static void teardown(void) {
    api_fixture_deinit(&f);
}

TestSuite(oip_tensor, .init = setup, .fini = teardown, .timeout = 3600);

static void expect_jobs(const char *json, const void *tail, size_t tail_bytes, size_t jobs,
                        size_t tokens) {
    int code;
    qr_text answer = oip_ask_tail(&f, EMBED, json, tail, tail_bytes, &code);
    cr_assert(code == 200, "%s: %d %.*s", json, code, (int)answer.len, answer.data);
    cr_assert_eq(f.exchange->ticket.jobs_len, jobs);
    cr_assert(f.exchange->tokens == tokens, "%s: %zu tokens", json, f.exchange->tokens);
}

Test(oip_tensor, json_is_taken_flat_and_nested) {
    expect_jobs(TEXT("\"shape\":[2],\"data\":[\"w5\",\"w6 w7\"]"), NULL, 0, 2, 7);
    expect_jobs(TEXT("\"shape\":[2,1],\"data\":[\"w5\",\"w6 w7\"]"), NULL, 0, 2, 7);
    expect_jobs(TEXT("\"shape\":[2,1],\"data\":[[\"w5\"],[\"w6 w7\"]]"), NULL, 0, 2, 7);
    expect_jobs(IDS("\"shape\":[2,3],\"data\":[2,5,3,2,6,3]"), NULL, 0, 2, 6);
    expect_jobs(IDS("\"shape\":[2,3],\"data\":[[2,5,3],[2,6,3]]"), NULL, 0, 2, 6);
    cr_assert_eq(f.exchange->ticket.jobs[1].ids[1], 6);
}

Test(oip_tensor, binary_is_taken_at_any_place) {
    static const char two[] = "\2\0\0\0w5\5\0\0\0w6 w7";
    static const int64_t wide[] = {2, 5, 3};
    static const int32_t narrow[] = {2, 5, 3};
    expect_jobs(TEXT("\"shape\":[2]," SIZE("15")), two, 15, 2, 7);
    expect_jobs(IDS("\"shape\":[1,3]," SIZE("24")), wide, sizeof wide, 1, 3);
    /* With a blank more the numbers stand at odd addresses. */
    expect_jobs(
        " " ONE("\"name\":\"input_ids\",\"datatype\":\"INT32\",\"shape\":[1,3]," SIZE("12")),
        narrow, sizeof narrow, 1, 3);
    cr_assert_eq(f.exchange->ticket.jobs[0].ids[1], 5);
}

Test(oip_tensor, masked_tokens_are_left_out) {
    expect_jobs(WITH("{\"name\":\"input_ids\",\"datatype\":\"INT64\",\"shape\":[2,3],"
                     "\"data\":[2,3,-7,9999,2,3]}",
                     MASK("[2,3]", "[1,1,0,0,1,1]")),
                NULL, 0, 2, 4);
    cr_assert_eq(f.exchange->ticket.jobs[1].ids[0], 2);
    cr_assert_eq(f.exchange->ticket.jobs[1].tokens, 2);
    expect_jobs(WITH(TYPES("[1,2]", "[0,1]"), ID_ROW), NULL, 0, 1, 2);
    cr_assert_eq(f.exchange->ticket.jobs[0].types[1], 1);
}

static const struct fault {
    const char *json, *tail;
    size_t tail_bytes;
    const char *sentence;
} faults[] = {
    {"{}", NULL, 0, "`inputs` is missing"},
    {"[]", NULL, 0, "the request body must be a JSON object"},
    {"{\"inputs\":7}", NULL, 0, "`inputs` must be a list of tensors"},
    {"{\"inputs\":[]}", NULL, 0, NEEDS},
    {"{\"inputs\":[7]}", NULL, 0, "`inputs[0]` must be " KNOWN},
    {ONE("\"name\":\"nobody\""), NULL, 0, "`inputs[0]` must be " KNOWN},
    {ONE("\"name\":7"), NULL, 0, "`inputs[0]` must be " KNOWN},
    {ONE("\"name\":\"document\""), NULL, 0, "`inputs[0]` must be " KNOWN},
    {WITH(ID_ROW, ID_ROW), NULL, 0, "`inputs[1]` must be " KNOWN},
    {ONE("\"name\":\"text\""), NULL, 0, "`text.datatype` must be \"BYTES\""},
    {ONE("\"name\":\"text\",\"datatype\":\"INT64\""), NULL, 0, "`text.datatype` must be \"BYTES\""},
    {ONE("\"name\":\"input_ids\",\"datatype\":\"UINT64\""), NULL, 0,
     "`input_ids.datatype` must be \"INT64\" or \"INT32\""},
    {TEXT("\"data\":[]"), NULL, 0, TEXTS_SHAPE},
    {TEXT("\"shape\":[],\"data\":[\"w5\"]"), NULL, 0, TEXTS_SHAPE},
    {TEXT("\"shape\":[-1],\"data\":[\"w5\"]"), NULL, 0, TEXTS_SHAPE},
    {TEXT("\"shape\":[1.0],\"data\":[\"w5\"]"), NULL, 0, TEXTS_SHAPE},
    {TEXT("\"shape\":[1,2],\"data\":[\"w5\",\"w6\"]"), NULL, 0, TEXTS_SHAPE},
    {TEXT("\"shape\":[1,1,1],\"data\":[\"w5\"]"), NULL, 0, TEXTS_SHAPE},
    {IDS("\"shape\":[2],\"data\":[5,6]"), NULL, 0, IDS_SHAPE},
    {IDS("\"shape\":[4,9223372036854775807],\"data\":[5]"), NULL, 0, IDS_SHAPE},
    {TEXT("\"shape\":[1]"), NULL, 0, "`text.data` is missing"},
    {TEXT("\"shape\":[1],\"data\":\"w5\""), NULL, 0, "`text.data`" DATA},
    {TEXT("\"shape\":[2],\"data\":[\"w5\"]"), NULL, 0, "`text.data`" DATA},
    {TEXT("\"shape\":[1],\"data\":[\"w5\",\"w6\"]"), NULL, 0, "`text.data`" DATA},
    {TEXT("\"shape\":[2,1],\"data\":[[\"w5\"],\"w6\"]"), NULL, 0, "`text.data`" DATA},
    {TEXT("\"shape\":[1],\"data\":[[\"w5\"]]"), NULL, 0, "`text.data[0]` must be a text"},
    {TEXT("\"shape\":[2],\"data\":[\"w5\",7]"), NULL, 0, "`text.data[1]` must be a text"},
    {IDS("\"shape\":[2,2],\"data\":[[5,6],[5]]"), NULL, 0, "`input_ids.data`" DATA},
    {IDS("\"shape\":[2,2],\"data\":[[5,6]]"), NULL, 0, "`input_ids.data`" DATA},
    {IDS("\"shape\":[1,2],\"data\":[5,200]"), NULL, 0,
     "`input_ids.data[1]` must be a token id from 0 to 199"},
    {IDS("\"shape\":[1,2],\"data\":[[5,-1]]"), NULL, 0,
     "`input_ids.data[1]` must be a token id from 0 to 199"},
    {IDS("\"shape\":[1,2],\"data\":[5,6.0]"), NULL, 0,
     "`input_ids.data[1]` must be a token id from 0 to 199"},
    {WITH(ID_ROW, MASK("[2,1]", "[1,1]")), NULL, 0,
     "`attention_mask.shape` must be that of `input_ids`"},
    {WITH(ID_ROW, MASK("[1,2]", "[1,2]")), NULL, 0,
     "`attention_mask.data[1]` must be a whole number from 0 to 1"},
    {WITH(ID_ROW, TYPES("[1,3]", "[0,0,0]")), NULL, 0,
     "`token_type_ids.shape` must be that of `input_ids`"},
    {WITH(ID_ROW, TYPES("[1,2]", "[0,2]")), NULL, 0,
     "`token_type_ids.data[1]` must be a segment from 0 to 1"},
    {"{\"inputs\":[" MASK("[1,2]", "[1,1]") "]}", NULL, 0, NEEDS},
    {WITH(ID_ROW, "{\"name\":\"text\",\"datatype\":\"BYTES\",\"shape\":[1],\"data\":[\"w5\"]}"),
     NULL, 0, NEEDS},
    /* Binary: \2\0\0\0w5 is a text. */
    {TEXT("\"shape\":[1]," SIZE("6")), NULL, 0,
     "`text.binary_data_size` must be the number of bytes that it has behind the body's JSON from "
     "0 "
     "to 0"},
    {TEXT("\"shape\":[1]," SIZE("7")), "\2\0\0\0w5", 6,
     "`text.binary_data_size` must be the number of bytes that it has behind the body's JSON from "
     "0 "
     "to 6"},
    {TEXT("\"shape\":[1]," SIZE("\"6\"")), "\2\0\0\0w5", 6,
     "`text.binary_data_size` must be the number of bytes that it has behind the body's JSON from "
     "0 "
     "to 6"},
    {TEXT("\"shape\":[1]," SIZE("3")), "\2\0\0", 3,
     "`text.binary_data_size` must be what a tensor of this shape takes"},
    {TEXT("\"shape\":[1],\"data\":[\"w5\"]," SIZE("6")), "\2\0\0\0w5", 6,
     "`text.data` must be left out beside `binary_data_size`"},
    {TEXT("\"shape\":[1]," SIZE("6")), "\3\0\0\0w5", 6,
     "`text.data[0]` must be a text behind its length, within the tensor"},
    {TEXT("\"shape\":[1]," SIZE("6")), "\377\377\377\377w5", 6,
     "`text.data[0]` must be a text behind its length, within the tensor"},
    {TEXT("\"shape\":[2]," SIZE("9")), "\2\0\0\0w5\0\0\0", 9,
     "`text.data[1]` must be a text behind its length, within the tensor"},
    {TEXT("\"shape\":[1]," SIZE("6")), "\1\0\0\0w5", 6,
     "`text.binary_data_size` must be what its texts and their lengths take"},
    {TEXT("\"shape\":[1]," SIZE("6")), "\2\0\0\0w\xff", 6,
     "`text.data[0]` must be a text in UTF-8"},
    {TEXT("\"shape\":[1]," SIZE("6")), "\2\0\0\0w5x", 7,
     "the request body must be the JSON and its binary tensors, and end with them"},
    {TEXT("\"shape\":[1],\"data\":[\"w5\"]"), "x", 1,
     "the request body must be the JSON and its binary tensors, and end with them"},
    {IDS("\"shape\":[1,1]," SIZE("4")), "\5\0\0\0", 4,
     "`input_ids.binary_data_size` must be what a tensor of this shape takes"},
    {IDS("\"shape\":[1,1]," SIZE("12")), "\5\0\0\0\0\0\0\0\0\0\0\0", 12,
     "`input_ids.binary_data_size` must be what a tensor of this shape takes"},
    {IDS("\"shape\":[1,1]," SIZE("8")), "\5\0\0\0\1\0\0\0", 8,
     "`input_ids.data[0]` must be a token id from 0 to 199"},
    {IDS("\"shape\":[1,1]," SIZE("8")), "\377\377\377\377\377\377\377\377", 8,
     "`input_ids.data[0]` must be a token id from 0 to 199"},
};

Test(oip_tensor, each_fault_has_its_sentence) {
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        oip_expect_error(&f, EMBED, faults[i].json, faults[i].tail, faults[i].tail_bytes, 400,
                         faults[i].sentence);
}

#define EMPTY(place) "Input validation error: `" place "` cannot be empty"

Test(oip_tensor, other_faults_have_the_statuses_of_all_routes) {
    static const char bad_header[] =
        "a header field of the request is not valid: `Inference-Header-Content-Length` must be at "
        "most the length of the body";
    int code;
    oip_expect_error(&f, EMBED, TEXT("\"shape\":[0],\"data\":[]"), NULL, 0, 400, EMPTY("text"));
    oip_expect_error(&f, EMBED, TEXT("\"shape\":[2],\"data\":[\"a\",\"\"]"), NULL, 0, 400,
                     EMPTY("text.data[1]"));
    oip_expect_error(&f, EMBED, TEXT("\"shape\":[1]," SIZE("4")), "\0\0\0\0", 4, 400,
                     EMPTY("text.data[0]"));
    oip_expect_error(&f, EMBED, IDS("\"shape\":[0,3],\"data\":[]"), NULL, 0, 400,
                     EMPTY("input_ids"));
    oip_expect_error(&f, EMBED, IDS("\"shape\":[3,0],\"data\":[]"), NULL, 0, 400,
                     EMPTY("input_ids.data[0]"));
    oip_expect_error(&f, EMBED, IDS("\"shape\":[3,0],\"data\":[[],[],[]]"), NULL, 0, 400,
                     EMPTY("input_ids.data[0]"));
    oip_expect_error(&f, EMBED, WITH(ID_ROW, MASK("[1,2]", "[0,0]")), NULL, 0, 400,
                     EMPTY("input_ids.data[0]"));
    oip_expect_error(&f, EMBED, TEXT("\"shape\":[2049],\"data\":[]"), NULL, 0, 422,
                     "batch size 2049 > maximum allowed batch size 2048");
    oip_expect_error(&f, EMBED, "{\"inputs\":", NULL, 0, 400,
                     "the request body is not valid JSON: line 1, column 11: expected a value");
    oip_expect_error(&f, OIP_INFER("nobody"), "{\"inputs\":[]}", NULL, 0, 404,
                     "no model of that name is loaded");
    qr_text body = qr_text_of("{}");
    qr_text answer = oip_ask(&f, EMBED, body, body.len + 1, &code);
    cr_assert_eq(code, 400);
    cr_assert(strstr(answer.data, bad_header) != NULL);
    qr_buf longer;
    qr_buf_init(&longer, 4096);
    qr_buf_printf(&longer,
                  "{\"inputs\":[{\"name\":\"input_ids\",\"datatype\":\"INT32\",\"shape\":"
                  "[1,%d],\"data\":[5",
                  TINY_POSITIONS + 1);
    for (int i = 0; i < TINY_POSITIONS; i++)
        qr_buf_literal(&longer, ",5");
    qr_buf_literal(&longer, "]}]}");
    qr_buf_byte(&longer, '\0');
    oip_expect_error(
        &f, EMBED, longer.data, NULL, 0, 422,
        "Input validation error: `input_ids.data[0]` must have less than 64 tokens. Given: 65");
    qr_buf_deinit(&longer);
}

/* Mutated bodies */

static const struct seed {
    const char *route, *json, *tail;
    size_t tail_bytes;
} seeds[] = {
    {EMBED,
     "{\"id\":\"SECRET\",\"parameters\":{\"dimensions\":3,\"binary_data_output\":true},\"inputs\":["
     "{"
     "\"name\":\"text\",\"datatype\":\"BYTES\",\"shape\":[2]," SIZE("22") "}]}",
     "\2\0\0\0w5\14\0\0\0w6 SECRET w7", 22},
    {EMBED,
     "{\"inputs\":[{\"name\":\"input_ids\",\"datatype\":\"INT64\",\"shape\":[1,2]," SIZE(
         "16") "},{"
               "\"name\":\"attention_mask\",\"datatype\":\"INT32\",\"shape\":[1,2]," SIZE(
                   "8") "}],"
                        "\"outputs\":[{\"name\":\"embedding\",\"parameters\":{\"binary_data\":true}"
                        "}]}",
     "\5\0\0\0\0\0\0\0\6\0\0\0\0\0\0\0\1\0\0\0\1\0\0\0", 24},
    {EMBED,
     WITH("{\"name\":\"input_ids\",\"datatype\":\"INT64\",\"shape\":[2,3],\"data\":[[2,5,3],[2,6,3]"
          "]}",
          TYPES("[2,3]", "[0,0,1,0,1,1]")),
     NULL, 0},
    {OIP_INFER("span"),
     "{\"parameters\":{\"top_k\":2,\"doc_stride\":4},\"inputs\":[{\"name\":\"question\","
     "\"datatype\":"
     "\"BYTES\",\"shape\":[1],\"data\":[\"w5 w6\"]},{\"name\":\"context\",\"datatype\":\"BYTES\","
     "\"shape\":[2]," SIZE("24") "}],\"outputs\":[{\"name\":\"answer\"},{\"name\":\"start\"}]}",
     "\5\0\0\0w7 w8\13\0\0\0w9 SECRET..", 24},
    {OIP_INFER("classifier"),
     WITH("{\"name\":\"text\",\"datatype\":\"BYTES\",\"shape\":[1],\"data\":[\"w5 SECRET\"]}",
          "{\"name\":\"text_pair\",\"datatype\":\"BYTES\",\"shape\":[1,1],\"data\":[[\"w6\"]]}"),
     NULL, 0},
};

static void mutate(qr_buf *body) {
    static const char *const pieces[] = {"0",
                                         "9",
                                         "-",
                                         ",",
                                         "[",
                                         "]",
                                         "{",
                                         "}",
                                         "\"",
                                         "[0,0]",
                                         "null",
                                         "1e9",
                                         "4294967296",
                                         "18446744073709551615",
                                         "9223372036854775807",
                                         "\"INT32\"",
                                         "\"BYTES\"",
                                         "[1,1]",
                                         "\xc3",
                                         "\xff\xff\xff\xff",
                                         "\"data\":[],"};
    size_t at = fuzz_below(body->len), len = qr_min(1 + fuzz_below(8), body->len - at);
    const char *piece = pieces[fuzz_below(sizeof pieces / sizeof pieces[0])];
    switch (fuzz_below(5)) {
    case 0:
        body->data[at] = (char)fuzz_below(256);
        break;
    case 1: /* cut out */
        memmove(body->data + at, body->data + at + len, body->len - at - len);
        body->len -= len;
        break;
    case 2:
        if (qr_buf_reserve(body, strlen(piece)) == NULL)
            break;
        memmove(body->data + at + strlen(piece), body->data + at, body->len - at);
        memcpy(body->data + at, piece, strlen(piece));
        body->len += strlen(piece);
        break;
    default: /* a digit: the numbers are what the rules are about */
        for (size_t i = 0; i < body->len; i++) {
            size_t k = (at + i) % body->len;
            if (body->data[k] >= '0' && body->data[k] <= '9') {
                body->data[k] = (char)('0' + fuzz_below(10));
                break;
            }
        }
    }
    if (body->len == 0)
        qr_buf_byte(body, '{');
}

/* What was taken can be run, and what was refused says nothing of the request. */
static bool check(qr_text answer, int code) {
    const qr_ticket *ticket = &f.exchange->ticket;
    if (code != 200) {
        cr_assert(code == 400 || code == 422, "%d: %.*s", code, (int)answer.len, answer.data);
        cr_assert(answer.len > 12 && memcmp(answer.data, "{\"error\":\"", 10) == 0);
        for (size_t i = 0; i + 6 <= answer.len; i++)
            cr_assert(memcmp(answer.data + i, "SECRET", 6) != 0, "%.*s", (int)answer.len,
                      answer.data);
        return false;
    }
    cr_assert(ticket->jobs_len > 0);
    for (size_t i = 0; i < ticket->jobs_len; i++) {
        cr_assert(ticket->jobs[i].tokens > 0 && ticket->jobs[i].tokens <= TINY_POSITIONS);
        for (size_t t = 0; t < ticket->jobs[i].tokens; t++)
            cr_assert(ticket->jobs[i].ids[t] >= 0 && ticket->jobs[i].ids[t] < TINY_WORDS);
    }
    return true;
}

Test(oip_tensor, mutated_bodies) {
    size_t count = fuzz_runs(20000), taken = 0;
    qr_buf body;
    qr_buf_init(&body, 64u << 10);
    for (size_t run = 0; run < count; run++) {
        const struct seed *seed = &seeds[run % (sizeof seeds / sizeof seeds[0])];
        size_t json_bytes = strlen(seed->json);
        int code;
        qr_buf_reset(&body);
        qr_buf_append(&body, seed->json, json_bytes);
        qr_buf_append(&body, seed->tail, seed->tail_bytes);
        for (size_t i = fuzz_below(3); i > 0; i--)
            mutate(&body);
        if (fuzz_below(8) == 0)
            json_bytes = 1 + fuzz_below(body.len + 2);
        else if (seed->tail_bytes == 0 && fuzz_below(2) == 0)
            json_bytes = 0;
        else
            json_bytes = body.len - qr_min(seed->tail_bytes, body.len - 1);
        qr_text answer = oip_ask(&f, seed->route, qr_buf_contents(&body), json_bytes, &code);
        taken += check(answer, code);
    }
    cr_assert(taken > count / 10 && taken < count, "%zu of %zu", taken, count);
    qr_buf_deinit(&body);
}
