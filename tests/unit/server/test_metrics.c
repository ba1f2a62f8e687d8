/* Counting and the page: valid text, edges, sums, a bounded number of series. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "server/ops/metrics.h"

static const char *const routes[] = {"/embed", "/span"};

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
    static const qr_model_labels models[] = {{"new", "span", "f32", "avx2"}};
    const qr_metrics_now now = {
        .ready = true, .queue_depth = 17, .models = models, .models_len = 1};
    qr_metrics_render(metrics, &now, &buf);
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

Test(metrics, requests_count_by_route_and_code) {
    qr_metrics *metrics = make();
    qr_record record = {.route = "/embed",
                        .model = QR_NO_MODEL_SLOT,
                        .code = 200,
                        .head_ns = 100,
                        .budget_ns = 2 * QR_NS_PER_MS,
                        .end_ns = QR_NS_PER_MS + 100,
                        .stages = {.tokenize_ns = 150000, .compute_ns = 400000}};
    qr_metrics_request(metrics, &record);
    record.end_ns = 2 * QR_NS_PER_MS + 101; /* answered, but after its deadline */
    qr_metrics_request(metrics, &record);
    record.status = QR_LATE;
    record.code = 504;
    qr_metrics_request(metrics, &record);
    record = (qr_record){.model = QR_NO_MODEL_SLOT, .status = QR_NO_ROUTE, .code = 404};
    qr_metrics_request(metrics, &record);
    record.route = "/x"; /* of no table */
    qr_metrics_request(metrics, &record);
    qr_metrics_refused(metrics, QR_TOO_LARGE);
    qr_metrics_connections(metrics, 3);
    qr_metrics_batch(metrics, QR_NO_MODEL_SLOT, 4, 40, 123);
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
    char name[16];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "m%d", i);
        qr_metrics_batch(metrics, qr_metrics_model(metrics, name), 1, 1, 1);
    }
    for (int code = 100; code < 600; code++) {
        const qr_record record = {
            .route = "/embed", .model = QR_NO_MODEL_SLOT, .code = code, .end_ns = 1000};
        qr_metrics_request(metrics, &record);
    }
    char *page = page_of(metrics);
    size_t series = 0;
    for (char *line = page; line != NULL && *line != '\0';
         line = strchr(line, '\n') == NULL ? NULL : strchr(line, '\n') + 1)
        series += *line != '#';
    cr_expect_lt(series + QR_LIMIT_MODELS, 2000, "%zu series", series); /* one model is shown */
    expect_line(page, "querent_model_batches_total{model=\"m31\"} 1");
    expect_line(page, "querent_model_batches_total{model=\"other\"} 68");
    expect_line(page, "querent_request_duration_seconds_count{route=\"other\",model=\"other\",code="
                      "\"other\"} 428");
    free(page);
    qr_metrics_destroy(metrics);
    qr_metrics_destroy(NULL);
}

/* Counters belong to names: a model that is replaced by another of its name goes on counting; what
 * a model is comes from whoever asks for the page. */
Test(metrics, counters_of_a_name_go_on) {
    qr_metrics *metrics = make();
    size_t a = qr_metrics_model(metrics, "a"), b = qr_metrics_model(metrics, "b\"");
    cr_expect_neq(a, b);
    cr_expect_eq(qr_metrics_model(metrics, "a"), a);
    qr_metrics_batch(metrics, a, 2, 20, QR_NS_PER_MS);
    qr_metrics_batch(metrics, b, 1, 5, 1);
    qr_metrics_batch(metrics, qr_metrics_model(metrics, "a"), 3, 30, QR_NS_PER_MS);
    const qr_record record = {.route = "/embed", .model = b, .code = 200};
    qr_metrics_request(metrics, &record);
    char *page = page_of(metrics);
    expect_line(page, "querent_model_batches_total{model=\"a\"} 2");
    expect_line(page, "querent_model_items_total{model=\"a\"} 5");
    expect_line(page, "querent_model_tokens_total{model=\"a\"} 50");
    expect_line(page, "querent_model_compute_seconds_total{model=\"a\"} 0.002000000");
    expect_line(page, "querent_model_tokens_total{model=\"b\\\"\"} 5");
    expect_line(page, "querent_request_duration_seconds_count{route=\"/embed\",model=\"b\\\"\","
                      "code=\"200\"} 1");
    expect_line(page, "querent_model_info{model=\"new\",kind=\"span\",precision=\"f32\","
                      "isa=\"avx2\"} 1");
    cr_expect_null(strstr(page, "model=\"other\""));
    free(page);
    qr_metrics_destroy(metrics);
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
