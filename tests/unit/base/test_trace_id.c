/* Trace ids: what a traceparent must be, and new ones. */
#include <criterion/criterion.h>

#include "base/trace_id.h"

#define ID "4bf92f3577b34da6a3ce929d0e0e4736"

Test(trace_id, of_a_valid_traceparent) {
    static const char *const good[] = {
        "00-" ID "-00f067aa0ba902b7-01",
        "01-" ID "-00f067aa0ba902b7-01-more",
        "fe-" ID "-00f067aa0ba902b7-00",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        qr_trace_id id;
        cr_expect(qr_trace_id_parse(qr_text_of(good[i]), &id), "%s", good[i]);
        cr_expect_str_eq(id.text, ID);
    }
}

Test(trace_id, of_none) {
    static const char *const bad[] = {
        "",
        "00",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "ff-" ID "-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-" ID "-00f067aa0ba902b7-01-x",
        "01-" ID "-00f067aa0ba902b7-01x",
        "00_" ID "-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
        "0g-" ID "-00f067aa0ba902b7-01",
    };
    qr_trace_id id;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        cr_expect_not(qr_trace_id_parse(qr_text_of(bad[i]), &id), "%s", bad[i]);
    cr_expect_not(qr_trace_id_parse((qr_text){0}, &id));
}

Test(trace_id, drawn) {
    qr_random random = {0};
    qr_trace_id a, b;
    qr_trace_id_draw(&random, &a);
    qr_trace_id_draw(&random, &b);
    cr_expect_eq(strspn(a.text, "0123456789abcdef"), 32);
    cr_expect_eq(strlen(a.text), 32);
    cr_expect_neq(strcmp(a.text, b.text), 0);
}
