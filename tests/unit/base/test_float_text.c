/* Float printing: round trip, shortness, and the forms that JSON readers see. All 2^32 floats were
 * compared once with C++'s std::to_chars; this is a sample. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/base.h"

static const char *text_of_float(float value) {
    static char text[QR_FLOAT_TEXT_BYTES + 1];
    text[qr_float_to_text(value, text)] = '\0';
    return text;
}

Test(float_text, forms) {
    static const struct {
        float value;
        const char *text;
    } cases[] = {
        {0.0f, "0.0"},
        {-0.0f, "-0.0"},
        {1.0f, "1.0"},
        {-1.5f, "-1.5"},
        {0.1f, "0.1"},
        {100.0f, "100.0"},
        {16777216.0f, "16777216.0"},
        {0.3f, "0.3"},
        {0.00001f, "0.00001"},
        {0.000001f, "1e-6"},
        {1.5e-20f, "1.5e-20"},
        {3.4028235e38f, "3.4028235e38"},
        {1.1754944e-38f, "1.1754944e-38"},
        {1e-45f, "1e-45"},
        {1e10f, "1e10"},
        {1e9f, "1000000000.0"},
        {1e11f, "1e11"},
        {33554432.0f, "33554432.0"},
        {0.123456789f, "0.12345679"},
        {NAN, "null"},
        {INFINITY, "null"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_expect_str_eq(text_of_float(cases[i].value), cases[i].text, "%.9g gave %s, not %s",
                         (double)cases[i].value, text_of_float(cases[i].value), cases[i].text);
}

/* Significant digits of a decimal, without leading and trailing zeros. */
static int digits_of(const char *text) {
    int digits = 0, zeros = 0;
    for (; *text != '\0' && *text != 'e'; text++) {
        if (*text < '0' || *text > '9' || (*text == '0' && digits == 0))
            continue;
        digits++;
        zeros = *text == '0' ? zeros + 1 : 0;
    }
    return digits - zeros;
}

Test(float_text, a_million_read_back_and_are_shortest, .timeout = 120) {
    uint32_t bits = 12345;
    for (int i = 0; i < 1000000; i++) {
        char shorter[40];
        float value, back;
        bits = bits * 1664525u + 1013904223u;
        uint32_t mixed = bits ^ bits >> 15;
        memcpy(&value, &mixed, sizeof value);
        if (!isfinite(value))
            continue;
        const char *text = text_of_float(value);
        back = strtof(text, NULL);
        cr_assert(memcmp(&back, &value, sizeof back) == 0, "%s reads back as another float (%08x)",
                  text, mixed);
        int digits = digits_of(text);
        if (digits < 2)
            continue;
        snprintf(shorter, sizeof shorter, "%.*e", digits - 2, (double)value);
        cr_assert_neq(strtof(shorter, NULL), value, "%s would have done for %s", shorter, text);
    }
}
