/* Who decodes stops when nobody waits any more: before the body is read, and between its inputs. */
#include <criterion/criterion.h>

#include "server/api/call.h"
#include "server/api_fixture.h"

static api_fixture f;

static void setup(void) {
    api_fixture_init_tiny(&f);
}
static void teardown(void) {
    api_fixture_deinit(&f);
}

TestSuite(late_decode, .init = setup, .fini = teardown, .timeout = 60);

#define BODY "{\"query\":\"w11\",\"texts\":[\"w12\",\"w13\"]}"

static qr_status decode(uint64_t deadline_ns, bool unwanted) {
    cr_assert_eq(api_begin(&f, "/rerank", qr_text_of(BODY)), QR_OK);
    f.exchange->deadline_ns = deadline_ns;
    atomic_store(&f.exchange->unwanted, unwanted);
    return qr_api_decode(f.api, f.exchange);
}

Test(late_decode, a_body_that_nobody_waits_for_is_not_read) {
    cr_expect_eq(decode(UINT64_MAX, false), QR_OK);
    cr_expect_eq(f.exchange->ticket.jobs_len, 2);
    cr_expect_eq(decode(1, false), QR_LATE);
    cr_expect_null(f.exchange->model);
    cr_expect_eq(f.exchange->ticket.jobs_len, 0);
    cr_expect_eq(decode(UINT64_MAX, true), QR_LATE);
    cr_expect_null(f.exchange->model);
    qr_api_encode(f.api, f.exchange);
    cr_expect_eq(f.exchange->http_code, 504);
}

/* The client leaves, or the deadline passes, behind the third of many inputs. */
Test(late_decode, the_rest_of_its_inputs_is_left_alone) {
    enum { INPUTS = 64, LEAVES_AFTER = 3 };
    static const int32_t ids[] = {2, 11, 3};
    for (size_t i = 0; i < 2; i++) {
        cr_assert_eq(decode(UINT64_MAX, false), QR_OK);
        qr_exchange *x = f.exchange;
        qr__decoded request = {0};
        qr__call call = {.api = f.api, .exchange = x, .request = &request};
        size_t made = 0;
        x->ticket.jobs_len = 0;
        cr_assert_eq(qr__call_jobs(&call, INPUTS), QR_OK);
        qr_status status = QR_OK;
        for (; made < INPUTS && status == QR_OK; made++) {
            status = qr__call_tokens(&call, ids, NULL, 3);
            if (made == LEAVES_AFTER && i == 0)
                x->deadline_ns = 1;
            else if (made == LEAVES_AFTER)
                atomic_store(&x->unwanted, true);
        }
        cr_expect_eq(status, QR_LATE);
        cr_expect_lt(x->ticket.jobs_len, INPUTS / 2);
    }
}
