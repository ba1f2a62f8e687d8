/* Counting and the page: valid text, edges, sums, a bounded number of series. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "server/api/api.h"
#include "server/ops/metrics.h"

static const char *const routes[] = {"/embed", "/span"};
static const qr_route embed = {.path = "/embed", .name = "/embed", .needs_model = true};
static const qr_route strange = {.path = "/x", .name = "/x"};

static qr_metrics *make(void) {
    qr_metrics *metrics;
    cr_assert_eq(
        qr_metrics_create(&(qr_metrics_options){.routes = routes, .routes_len = 2}, &metrics),
        QR_OK);
    return metrics;
}

static char *page_of(const qr_metrics *metrics) {
    static qr_buf buf;
    qr_buf_init(&buf, 1u << 20);
    qr_metrics_render(metrics, 17, true, &buf);
    qr_buf_byte(&buf, '\0');
    cr_assert_not(qr_buf_failed(&buf));
    return buf.data;
}

static void expect_line(const char *page, const char *line) {
    char whole[300];
    snprintf(whole, sizeof whole, "\n%s\n", line);
    cr_expect_not_null(strstr(page, whole), "no line %s", line);
}

Test(metrics, edges_belong_to_the_lower_bucket) {
    qr__histogram h = {0};
    qr_buf out;
    qr_buf_init(&out, 1u << 16);
    qr__histogram_count(&h, &qr__scale_seconds, 5 * QR_NS_PER_MS);
    qr__histogram_count(&h, &qr__scale_seconds, 5 * QR_NS_PER_MS + 1);
    qr__histogram_count(&h, &qr__scale_seconds, 0);
    qr__histogram_count(&h, &qr__scale_seconds, 60 * QR_NS_PER_S);
    qr_buf_byte(&out, '\n');
    qr__histogram_render(&h, &qr__scale_seconds, "x_seconds", qr_text_of("a=\"b\""), &out);
    qr_buf_byte(&out, '\0');
    expect_line(out.data, "x_seconds_bucket{a=\"b\",le=\"0.0001\"} 1");
    expect_line(out.data, "x_seconds_bucket{a=\"b\",le=\"0.003\"} 1");
    expect_line(out.data, "x_seconds_bucket{a=\"b\",le=\"0.005\"} 2");
    expect_line(out.data, "x_seconds_bucket{a=\"b\",le=\"0.01\"} 3");
    expect_line(out.data, "x_seconds_bucket{a=\"b\",le=\"10\"} 3");
    expect_line(out.data, "x_seconds_bucket{a=\"b\",le=\"+Inf\"} 4");
    expect_line(out.data, "x_seconds_sum{a=\"b\"} 60.010000001");
    expect_line(out.data, "x_seconds_count{a=\"b\"} 4");
    qr_buf_deinit(&out);
}

Test(metrics, edges_rise_and_their_labels_say_the_same) {
    const qr__scale *scales[] = {&qr__scale_seconds, &qr__scale_tokens, &qr__scale_items};
    for (size_t s = 0; s < 3; s++)
        for (size_t i = 0; i < scales[s]->len; i++) {
            double unit = scales[s]->seconds ? 1e9 : 1;
            cr_expect_float_eq(strtod(scales[s]->edges[i].label, NULL) * unit,
                               (double)scales[s]->edges[i].value, 1e-3);
            cr_expect(i == 0 || scales[s]->edges[i].value > scales[s]->edges[i - 1].value);
        }
}

Test(metrics, exchanges_count_by_route_and_code) {
    qr_metrics *metrics = make();
    qr_exchange x = {
        .route = &embed, .http_code = 200, .received_ns = 100, .deadline_ns = 2 * QR_NS_PER_MS};
    x.stages = (qr_stages){.tokenize_ns = 150000, .compute_ns = 400000};
    qr_metrics_exchange(metrics, &x, QR_NS_PER_MS + 100);
    qr_metrics_exchange(metrics, &x, 3 * QR_NS_PER_MS); /* answered, but after its deadline */
    x.status = QR_LATE;
    x.http_code = 504;
    qr_metrics_exchange(metrics, &x, 3 * QR_NS_PER_MS);
    x = (qr_exchange){.status = QR_NO_ROUTE, .http_code = 404};
    qr_metrics_exchange(metrics, &x, 1);
    x.route = &strange;
    qr_metrics_exchange(metrics, &x, 1);
    qr_metrics_refused(metrics, QR_TOO_LARGE);
    qr_metrics_connections(metrics, 3);
    qr_metrics_batch(metrics, NULL, 4, 40, 123);
    qr_metrics_loop_lag(metrics, 50);
    char *page = page_of(metrics);
    expect_line(
        page, "querent_request_duration_seconds_count{route=\"/embed\",model=\"\",code=\"200\"} 2");
    expect_line(page, "querent_request_duration_seconds_bucket{route=\"/"
                      "embed\",model=\"\",code=\"200\",le=\"0.001\"} 1");
    expect_line(
        page, "querent_request_duration_seconds_count{route=\"/embed\",model=\"\",code=\"504\"} 1");
    expect_line(
        page, "querent_request_duration_seconds_count{route=\"other\",model=\"\",code=\"404\"} 2");
    expect_line(page, "querent_stage_duration_seconds_count{stage=\"tokenize\"} 3");
    expect_line(page, "querent_stage_duration_seconds_count{stage=\"queue\"} 0");
    expect_line(page, "querent_deadline_misses_total 2");
    expect_line(page, "querent_rejections_total{reason=\"late\"} 1");
    expect_line(page, "querent_rejections_total{reason=\"no_route\"} 2");
    expect_line(page, "querent_rejections_total{reason=\"too_large\"} 1");
    expect_line(page, "querent_connections 3");
    expect_line(page, "querent_queue_depth 17");
    expect_line(page, "querent_ready 1");
    expect_line(page, "querent_batch_tokens_sum 40");
    expect_line(page, "querent_loop_lag_seconds_count 1");
    free(page);
    qr_metrics_destroy(metrics);
}

/* Whatever codes occur, the page stays below 2,000 series; what has no room counts under "other".
 */
Test(metrics, series_are_bounded) {
    qr_metrics *metrics = make();
    for (int code = 100; code < 600; code++) {
        qr_exchange x = {.route = &embed, .http_code = code};
        qr_metrics_exchange(metrics, &x, 1000);
    }
    char *page = page_of(metrics);
    size_t series = 0;
    for (char *line = page; line != NULL && *line != '\0';
         line = strchr(line, '\n') == NULL ? NULL : strchr(line, '\n') + 1)
        series += *line != '#';
    /* 16 models would add 5 series each. */
    cr_expect_lt(series + 5 * QR_LIMIT_MODELS, 2000, "%zu series", series);
    expect_line(page, "querent_request_duration_seconds_count{route=\"other\",model=\"other\",code="
                      "\"other\"} 428");
    free(page);
    qr_metrics_destroy(metrics);
    qr_metrics_destroy(NULL);
}

Test(metrics, the_process_knows_itself) {
    qr_metrics *metrics = make();
    char *page = page_of(metrics);
    const char *rss = strstr(page, "\nquerent_process_resident_memory_bytes ");
    const char *fds = strstr(page, "\nquerent_process_open_fds ");
    const char *start = strstr(page, "\nquerent_process_start_time_seconds ");
    cr_assert(rss != NULL && fds != NULL && start != NULL);
    double bytes = strtod(strchr(rss, ' '), NULL), began = strtod(strchr(start, ' '), NULL);
    cr_expect(bytes > 1e6 && bytes < 1e9);
    cr_expect_geq(strtod(strchr(fds, ' '), NULL), 3);
    cr_expect(began > (double)time(NULL) - 3600 && began <= (double)time(NULL) + 1);
    free(page);
    qr_metrics_destroy(metrics);
}
