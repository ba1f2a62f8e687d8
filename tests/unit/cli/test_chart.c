/* The picture of a sweep: whatever was measured, numbers that can be drawn. That it is good to look
 * at is for people to say. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "cli/chart.h"

static qr_buf out;

/* The picture as a C string. */
static const char *draw(const qr__chart *chart) {
    qr_buf_init(&out, 1u << 20);
    qr__chart_svg(chart, &out);
    qr_buf_byte(&out, '\0');
    cr_assert(!qr_buf_failed(&out));
    cr_expect_eq(strncmp(out.data, "<svg ", 5), 0);
    cr_expect_eq(strcmp(out.data + out.len - 8, "</svg>\n"), 0);
    cr_expect_eq(strstr(out.data, "nan"), NULL, "%s", out.data);
    cr_expect_eq(strstr(out.data, "inf"), NULL, "%s", out.data);
    return out.data;
}

static size_t count(const char *text, const char *what) {
    size_t found = 0;
    for (; (text = strstr(text, what)) != NULL; text++)
        found++;
    return found;
}

static const qr__sweep sweep = {
    .points = {{.rate = 100, .p50_ms = 0.5, .p99_ms = 1, .goodput = 100},
               {.rate = 1000, .p50_ms = 0.7, .p99_ms = 9, .goodput = 990},
               {.rate = 4000, .p50_ms = 60, .p99_ms = 80, .goodput = 2500, .miss_share = 0.4}},
    .len = 3};

Test(chart, a_line_a_percentile_and_one_for_goodput) {
    const qr__chart chart = {
        .title = "m", .note = "n", .budget_ms = 100, .runs = {{"simulated", &sweep}}};
    const char *svg = draw(&chart);
    cr_expect_eq(count(svg, "<circle class=\"dot p50 run0\""), 3);
    cr_expect_eq(count(svg, "<circle class=\"dot p99 run0\""), 3);
    cr_expect_eq(count(svg, "<circle class=\"dot good run0\""), 3);
    cr_expect_eq(count(svg, "run1\""), 0);
    cr_expect_eq(count(svg, ">budget<"), 1);
    cr_expect_eq(count(svg, ">p99<"), 1);
    for (const char *const *tick = (const char *const[]){">0.2<", ">100<", ">4000<", NULL};
         *tick != NULL; tick++)
        cr_expect_geq(count(svg, *tick), 1, "%s", *tick);
    qr_buf_deinit(&out);
}

Test(chart, two_runs_share_the_axes) {
    qr__sweep measured = sweep;
    measured.points[2].rate = 8000;
    measured.points[2].p99_ms = 700;
    const qr__chart chart = {
        .title = "m", .note = "n", .runs = {{"simulated", &sweep}, {"measured", &measured}}};
    const char *svg = draw(&chart);
    cr_expect_eq(count(svg, "<circle class=\"dot p99 run1\""), 3);
    cr_expect_eq(count(svg, ">p99, measured<"), 1);
    cr_expect_eq(count(svg, ">p50, simulated<"), 1);
    cr_expect_eq(count(svg, ">8000<"), 2, "once below each panel");
    cr_expect_eq(count(svg, ">1000<"), 4, "and on both left sides");
    cr_expect_eq(count(svg, ">budget<"), 0);
    qr_buf_deinit(&out);
}

/* A rate without a good answer has no latency, and interrupts the lines. */
Test(chart, what_has_no_answer_is_not_drawn) {
    qr__sweep gap = sweep;
    gap.points[1] = (qr__sweep_point){.rate = 1000, .miss_share = 1};
    const char *svg = draw(&(qr__chart){.title = "", .note = "", .runs = {{"x", &gap}}});
    cr_expect_eq(count(svg, "<circle class=\"dot p50 run0\""), 2);
    cr_expect_eq(count(svg, "<circle class=\"dot good run0\""), 3);
    const char *line = strstr(svg, "<path class=\"line p50 run0\" d=\"");
    cr_assert_neq(line, NULL);
    cr_expect_eq(count(line, "M") - count(strchr(line, '>'), "M"), 2, "%.80s", line);
    qr_buf_deinit(&out);
}

Test(chart, extremes_can_be_drawn) {
    const qr__sweep_point points[] = {
        {.rate = 1000000},
        {.rate = 0.001, .goodput = 0.001, .p50_ms = 1e-6, .p99_ms = 4e6},
        {.rate = 1, .p50_ms = 5, .p99_ms = 5, .goodput = 1e9},
        {.rate = 7, .p50_ms = 1, .p99_ms = 1, .goodput = 7}};
    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        qr__sweep one = {.points = {points[i]}, .len = 1};
        for (double budget = 0; budget < 1e7; budget = 10 * budget + 1) {
            draw(&(qr__chart){
                .title = "m", .note = "n", .budget_ms = budget, .runs = {{"x", &one}}});
            qr_buf_deinit(&out);
        }
    }
}

Test(chart, a_title_is_text) {
    const char *svg = draw(
        &(qr__chart){.title = "<b>&\x01\xff\"", .note = "caf\xc3\xa9", .runs = {{"x", &sweep}}});
    cr_expect_eq(count(svg, "<title>&lt;b&gt;&amp;\xef\xbf\xbd\"</title>"), 1);
    cr_expect_eq(count(svg, ">caf\xc3\xa9<"), 1);
    qr_buf_deinit(&out);
}
