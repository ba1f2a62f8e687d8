/* A query beside many passages is tokenized once: each pair's ids are those of the pair tokenized
 * alone, whichever route it came by. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "server/api_fixture.h"
#include "server/tiny_models.h"

static api_fixture f;

static void setup(void) {
    api_fixture_init_tiny(&f);
}
static void teardown(void) {
    api_fixture_deinit(&f);
}

TestSuite(shared_query, .init = setup, .fini = teardown, .timeout = 60);

enum { PASSAGES = 6, TEXT_BYTES = 1024 };

/* So many words, others for another seed. */
static void words(char out[TEXT_BYTES], size_t count, size_t seed) {
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < count; i++)
        len += (size_t)snprintf(out + len, TEXT_BYTES - len, "w%zu ", 5 + (seed + 7 * i) % 190);
}

typedef struct form {
    const char *route, *head, *passages, *tail;
} form;

/* Asks in one of the forms, and compares the jobs with pairs that are tokenized alone. */
static void expect_pairs(const form *asked, size_t query_words, bool left) {
    static const size_t lens[PASSAGES] = {1, 80, 30, 61, 29, 100};
    char query[TEXT_BYTES], passages[PASSAGES][TEXT_BYTES];
    qr_buf body;
    qr_buf_init(&body, 1 << 20);
    words(query, query_words, 0);
    qr_buf_printf(&body, asked->head, query);
    qr_buf_text(&body, qr_text_of(asked->passages));
    for (size_t i = 0; i < PASSAGES; i++) {
        words(passages[i], lens[i], i + 1);
        qr_buf_printf(&body, "%s\"%s\"", i == 0 ? "" : ",", passages[i]);
    }
    qr_buf_text(&body, qr_text_of(asked->tail));
    cr_assert_eq(api_begin(&f, asked->route, qr_buf_contents(&body)), QR_OK);
    cr_assert_eq(qr_api_decode(f.api, f.exchange), QR_OK, "%s", asked->route);
    cr_assert_eq(f.exchange->ticket.jobs_len, PASSAGES);
    const qr_pipeline *model = f.exchange->model->pipeline;
    const qr_encode_options options = {
        .special = true, .max_tokens = qr_pipeline_max_tokens(model), .truncate_left = left};
    qr_encoding pair = {0};
    size_t characters = 0;
    for (size_t i = 0; i < PASSAGES; i++) {
        const qr_job *job = &f.exchange->ticket.jobs[i];
        const qr_text second = qr_text_of(passages[i]);
        cr_assert_eq(qr_tokenizer_encode(qr_pipeline_tokenizer(model), qr_text_of(query), &second,
                                         &options, &pair),
                     QR_OK);
        cr_assert_eq(job->tokens, pair.len);
        cr_expect_eq(memcmp(job->ids, pair.ids, pair.len * sizeof *pair.ids), 0);
        cr_expect_eq(memcmp(job->types, pair.types, pair.len), 0);
        characters += strlen(query) + second.len;
    }
    cr_expect_eq(f.exchange->characters, characters);
    qr_encoding_deinit(&pair);
    qr_buf_deinit(&body);
}

#define OIP(n)                                                                                     \
    {"/v2/models/reranker/infer",                                                                  \
     "{\"inputs\":[{\"name\":\"query\",\"datatype\":\"BYTES\",\"shape\":[1],\"data\":[\""          \
     "%s\"]},{\"name\":\"text\",\"datatype\":\"BYTES\",\"shape\":[" n "],\"data\":",               \
     "[", "]}]}"}

Test(shared_query, every_form_gives_the_pairs_alone) {
    static const form forms[] = {
        {"/rerank", "{\"query\":\"%s\",\"truncate\":true,\"texts\":", "[", "]}"},
        {"/v2/rerank", "{\"query\":\"%s\",\"documents\":", "[", "]}"},
        OIP("6"),
    };
    static const form from_left = {
        "/rerank", "{\"query\":\"%s\",\"truncation_direction\":\"left\",\"texts\":", "[", "]}"};
    static const size_t lens[] = {1, 29, 30, 31, 60, 61, 62, 90};
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        for (size_t k = 0; k < sizeof forms / sizeof forms[0]; k++)
            expect_pairs(&forms[k], lens[i], false);
        expect_pairs(&from_left, lens[i], true);
    }
}

/* A query that changes from pair to pair is not the last one's. */
Test(shared_query, every_pair_has_its_own) {
    static const char body[] = "{\"inputs\":[[\"w11\",\"w20\"],[\"w12\",\"w20\"],[\"w13\"],"
                               "[\"w11 w12\",\"w20\"],[\"w11\",\"w20\"]]}";
    static const int32_t ids[] = {11, 12, 13, 11, 11};
    cr_assert_eq(api_begin(&f, "/predict", qr_text_of(body)), QR_OK);
    cr_assert_eq(qr_api_decode(f.api, f.exchange), QR_OK);
    cr_assert_eq(f.exchange->ticket.jobs_len, 5);
    for (size_t i = 0; i < 5; i++)
        cr_expect_eq(f.exchange->ticket.jobs[i].ids[1], ids[i], "%zu", i);
    cr_expect_eq(f.exchange->ticket.jobs[3].tokens, 6);
    cr_expect_eq(f.exchange->ticket.jobs[4].tokens, 5);
}

/* What is refused is told with its whole length. */
Test(shared_query, refusals_count_all_tokens) {
    char query[TEXT_BYTES], body[2 * TEXT_BYTES];
    words(query, 100, 0);
    snprintf(body, sizeof body,
             "{\"query\":\"%s\",\"truncate\":false,\"texts\":[\"w7 w8\",\"w9\"]}", query);
    cr_assert_eq(api_begin(&f, "/rerank", qr_text_of(body)), QR_OK);
    cr_assert_eq(qr_api_decode(f.api, f.exchange), QR_TOO_LONG);
    cr_expect_eq(f.exchange->fault.given, 105);
    cr_expect_eq(f.exchange->fault.limit, TINY_POSITIONS);
    words(query, 58, 0); /* 63 tokens with the first text, 65 with the second */
    snprintf(body, sizeof body,
             "{\"query\":\"%s\",\"truncate\":false,\"texts\":[\"w7 w8\",\"w9 w9 w9 w9\"]}", query);
    cr_assert_eq(api_begin(&f, "/rerank", qr_text_of(body)), QR_OK);
    cr_assert_eq(qr_api_decode(f.api, f.exchange), QR_TOO_LONG);
    cr_expect_eq(f.exchange->fault.given, 65);
}

/* The same of questions: passages of one question, and questions of their own. */
Test(shared_query, questions_and_passages) {
    static const struct {
        const char *route, *body;
        int32_t first[3], second[3];
    } cases[] = {
        {"/spans",
         "{\"question\":\"w11\",\"passages\":[\"w20\",\"w21\",\"w22\"]}",
         {11, 11, 11},
         {20, 21, 22}},
        {"/span",
         "{\"inputs\":[{\"question\":\"w11\",\"context\":\"w20\"},{\"question\":\"w12\","
         "\"context\":\"w21\"},{\"question\":\"w13\",\"context\":\"w22\"}]}",
         {11, 12, 13},
         {20, 21, 22}},
        {"/v2/models/span/infer",
         "{\"inputs\":[{\"name\":\"question\",\"datatype\":\"BYTES\",\"shape\":[1],"
         "\"data\":[\"w11\"]},{\"name\":\"context\",\"datatype\":\"BYTES\",\"shape\":[3],"
         "\"data\":[\"w20\",\"w21\",\"w22\"]}]}",
         {11, 11, 11},
         {20, 21, 22}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cr_assert_eq(api_begin(&f, cases[i].route, qr_text_of(cases[i].body)), QR_OK);
        cr_assert_eq(qr_api_decode(f.api, f.exchange), QR_OK, "%s", cases[i].route);
        cr_assert_eq(f.exchange->ticket.jobs_len, 3);
        for (size_t k = 0; k < 3; k++) {
            const qr_job *job = &f.exchange->ticket.jobs[k];
            cr_assert_eq(job->tokens, 5);
            cr_expect_eq(job->ids[1], cases[i].first[k], "%s %zu", cases[i].route, k);
            cr_expect_eq(job->ids[3], cases[i].second[k], "%s %zu", cases[i].route, k);
        }
    }
}
