/* RFC 4648's test vectors, and every remainder. */
#include <criterion/criterion.h>

#include "server/api/base64.h"

Test(base64, vectors) {
    static const char *const cases[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        qr_buf buf;
        qr_buf_init(&buf, 100);
        qr__base64_put(&buf, cases[i][0], strlen(cases[i][0]));
        cr_expect(qr_text_is((qr_text){buf.data, buf.len}, cases[i][1]), "%s", cases[i][0]);
        qr_buf_deinit(&buf);
    }
}

Test(base64, floats_and_high_bytes) {
    qr_buf buf;
    const float floats[] = {1.0f, -2.5f};
    qr_buf_init(&buf, 100);
    qr__base64_put(&buf, floats, sizeof floats);
    cr_expect(qr_text_is((qr_text){buf.data, buf.len}, "AACAPwAAIMA="), "%.*s", (int)buf.len,
              buf.data);
    qr_buf_reset(&buf);
    qr__base64_put(&buf, "\xff\xff\xff\xfb", 4);
    cr_expect(qr_text_is((qr_text){buf.data, buf.len}, "////+w=="));
    qr_buf_deinit(&buf);
}

Test(base64, a_full_buffer_fails) {
    qr_buf buf;
    qr_buf_init(&buf, 8);
    qr__base64_put(&buf, "foobarfoobar", 12);
    cr_expect(qr_buf_failed(&buf));
    cr_expect_eq(buf.len, 0);
    qr_buf_deinit(&buf);
}
