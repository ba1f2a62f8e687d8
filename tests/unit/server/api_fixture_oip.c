#include "server/api_fixture_oip.h"

#include <criterion/criterion.h>
#include <stdlib.h>

/* Exact, so that ASan sees a read past the end. */
static void set_body(qr_exchange *x, qr_text body) {
    qr_buf_deinit(&x->body);
    x->body.data = malloc(body.len == 0 ? 1 : body.len);
    cr_assert(x->body.data != NULL);
    memcpy(x->body.data, body.data, body.len);
    x->body.len = x->body.capacity = body.len;
}

qr_text oip_ask(api_fixture *f, const char *route, qr_text body, size_t json_bytes, int *code) {
    cr_assert_eq(api_begin(f, route, body), QR_OK);
    qr_exchange *x = f->exchange;
    set_body(x, body);
    x->json_bytes = json_bytes;
    if (qr_api_decode(f->api, x) == QR_OK && x->ticket.jobs_len > 0)
        api_run_jobs(f);
    qr_api_encode(f->api, x);
    *code = x->http_code;
    return qr_buf_contents(&x->out);
}

qr_text oip_ask_tail(api_fixture *f, const char *route, const char *json, const void *tail,
                     size_t tail_bytes, int *code) {
    qr_buf body;
    size_t len = strlen(json);
    qr_buf_init(&body, QR_LIMIT_BODY_BYTES);
    qr_buf_append(&body, json, len);
    qr_buf_append(&body, tail, tail_bytes);
    qr_text answer = oip_ask(f, route, qr_buf_contents(&body), tail_bytes == 0 ? 0 : len, code);
    qr_buf_deinit(&body);
    return answer;
}

void oip_expect_error(api_fixture *f, const char *route, const char *json, const void *tail,
                      size_t tail_bytes, int code, const char *sentence) {
    int got;
    qr_text answer = oip_ask_tail(f, route, json, tail, tail_bytes, &got);
    qr_buf expected;
    qr_buf_init(&expected, 4096);
    qr_buf_literal(&expected, "{\"error\":");
    qr_json_text(&expected, qr_text_of(sentence));
    qr_buf_byte(&expected, '}');
    cr_assert(got == code && qr_text_equal(answer, qr_buf_contents(&expected)),
              "%s: %d %.*s, not %d %s", json, got, (int)answer.len, answer.data, code, sentence);
    qr_buf_deinit(&expected);
}
