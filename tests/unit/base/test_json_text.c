/* JSON values written: escapes, invalid UTF-8, numbers, and a buffer that is full. */
#include <criterion/criterion.h>
#include <math.h>

#include "base/base.h"

static qr_buf out;

static void setup(void) {
    qr_buf_init(&out, 1u << 20);
}
static void teardown(void) {
    qr_buf_deinit(&out);
}

static void expect(const char *text) {
    cr_expect(qr_text_is((qr_text){out.data, out.len}, text), "got %.*s, not %s", (int)out.len,
              out.data, text);
    qr_buf_reset(&out);
}

Test(json_text, strings, .init = setup, .fini = teardown) {
    qr_json_text(&out, qr_text_of("plain"));
    expect("\"plain\"");
    qr_json_text(&out, (qr_text){NULL, 0});
    expect("\"\"");
    qr_json_text(&out, (qr_text){"a\0b\"c\\d\b\t\n\v\f\r\x1f\x7f", 15});
    expect("\"a\\u0000b\\\"c\\\\d\\b\\t\\n\\u000b\\f\\r\\u001f\x7f\"");
    qr_json_text(&out, qr_text_of("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80"));
    expect("\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80\"");
    qr_json_text(&out, qr_text_of("\xff-\xed\xa0\x80-\xe2\x82"));
    expect("\"\xef\xbf\xbd-\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd-\xef\xbf\xbd\"");
}

Test(json_text, doubles, .init = setup, .fini = teardown) {
    qr_json_double(&out, 0.1);
    expect("0.1");
    qr_json_double(&out, 1);
    expect("1.0");
    qr_json_double(&out, 1.0 / 3);
    expect("0.3333333333333333");
    qr_json_double(&out, 5e-324);
    expect("4.94065645841247e-324");
    qr_json_double(&out, -HUGE_VAL);
    expect("null");
}

Test(json_text, float_arrays, .init = setup, .fini = teardown) {
    float many[200];
    qr_json_floats(&out, NULL, 0);
    expect("[]");
    qr_json_floats(&out, (const float[]){0.5f, -0.25f, 1e-7f}, 3);
    expect("[0.5,-0.25,1e-7]");
    for (size_t len = 60; len <= 200; len += 4) { /* across the blocks' borders */
        size_t commas = 0;
        for (size_t i = 0; i < len; i++)
            many[i] = 1.0f;
        qr_json_floats(&out, many, len);
        for (size_t i = 0; i < out.len; i++)
            commas += out.data[i] == ',';
        cr_expect_eq(commas, len - 1);
        cr_expect_eq(out.len, 2 + 3 * len + commas);
        qr_buf_reset(&out);
    }
}

Test(json_text, a_full_buffer_fails_and_stays_small) {
    qr_buf small;
    float many[100] = {0};
    qr_buf_init(&small, 64);
    qr_json_floats(&small, many, 100);
    cr_expect(qr_buf_failed(&small));
    cr_expect_leq(small.len, 64);
    qr_buf_reset(&small);
    for (int i = 0; i < 20; i++)
        qr_json_text(&small, qr_text_of("\"quoted\" and longer"));
    cr_expect(qr_buf_failed(&small));
    qr_buf_deinit(&small);
}
