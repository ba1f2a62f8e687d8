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
        qr_metrics_create(&(qr_metrics_options){.routes = routes, .routes_len = 2, .workers = 3},
                          &metrics),
        QR_OK);
    return metrics;
}

static char *page_of(const qr_metrics *metrics) {
    static qr_buf buf;
    qr_buf_init(&buf, 1u << 20);
    static const qr_model_labels models[] = {{"new", "span", "f32", "cpu", "avx2", true}};
    const qr_metrics_now now = {.ready = true,
                                .queue_depth = 17,
                                .models = models,
                                .models_len = 1,
                                .memory_limit_bytes = UINT64_C(5) << 30};
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
    const qr__scale *scales[] = {&qr__scale_seconds, &qr__scale_ratio, &qr__scale_tokens,
                                 &qr__scale_items};
    for (size_t s = 0; s < 4; s++)
        for (size_t i = 0; i < scales[s]->len; i++) {
            double unit = scales[s]->billionths ? 1e9 : 1;
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
    record = (qr_record){.route = "/health", .model = QR_NO_MODEL_SLOT, .code = 200};
    qr_metrics_request(metrics, &record); /* of no table: a probe */
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
    expect_line(page,
                "querent_request_duration_seconds_count{route=\"other\",model=\"\",code=\"\"} 2");
    expect_line(page, "querent_deadline_misses_total 2");
    expect_line(page, "querent_rejections_total{reason=\"late\"} 1");
    expect_line(page, "querent_rejections_total{reason=\"no_route\"} 1");
    expect_line(page, "querent_rejections_total{reason=\"too_large\"} 1");
    expect_line(page, "querent_connections 3");
    expect_line(page, "querent_queue_depth 17");
    expect_line(page, "querent_ready 1");
    expect_line(page, "querent_batch_tokens_sum 40");
    expect_line(page, "querent_loop_lag_seconds_count 1");
    free(page);
    qr_metrics_destroy(metrics);
}

/* Each stage of each model, where it was reached. */
Test(metrics, stages_count_by_model) {
    qr_metrics *metrics = make();
    size_t a = qr_metrics_model(metrics, "a"), b = qr_metrics_model(metrics, "b");
    qr_record record = {.route = "/embed",
                        .model = a,
                        .code = 200,
                        .stages = {.tokenize_ns = 150000, .queue_ns = 1, .compute_ns = 400000}};
    qr_metrics_request(metrics, &record);
    record.model = b;
    record.stages = (qr_stages){.tokenize_ns = 250000};
    qr_metrics_request(metrics, &record);
    qr_metrics_request(metrics, &record);
    char *page = page_of(metrics);
    expect_line(page, "querent_stage_duration_seconds_sum{stage=\"tokenize\",model=\"a\"} "
                      "0.000150000");
    expect_line(page, "querent_stage_duration_seconds_count{stage=\"queue\",model=\"a\"} 1");
    expect_line(page, "querent_stage_duration_seconds_count{stage=\"compute\",model=\"a\"} 1");
    expect_line(page, "querent_stage_duration_seconds_count{stage=\"tokenize\",model=\"b\"} 2");
    cr_expect_null(strstr(page, "stage=\"compute\",model=\"b\""), "it was not reached");
    cr_expect_null(strstr(page, "stage=\"encode\""));
    free(page);
    qr_metrics_destroy(metrics);
}

static void end(qr_metrics *metrics, qr_status status, bool budgeted, uint64_t took_ns) {
    const qr_record record = {.route = "/embed",
                              .model = QR_NO_MODEL_SLOT,
                              .status = status,
                              .code = qr_status_http(status),
                              .budget_ns = 1000,
                              .end_ns = took_ns,
                              .budgeted = budgeted};
    qr_metrics_request(metrics, &record);
}

/* Each budget has one outcome; faults of the request or the server are none. */
Test(metrics, outcomes_of_budgets) {
    qr_metrics *metrics = make();
    for (int i = 0; i < 4; i++)
        end(metrics, QR_OK, true, 1000);
    end(metrics, QR_OK, true, 1001);
    end(metrics, QR_LATE, true, 1001);
    end(metrics, QR_LATE, true, 1);
    end(metrics, QR_OVERLOADED, true, 1);
    end(metrics, QR_IMPOSSIBLE, true, 1);
    end(metrics, QR_GONE, true, 5000);
    for (qr_status status = QR_OK; status < QR_STATUS_COUNT; status++) {
        end(metrics, status, false, 2000);
        if (status != QR_OK && status != QR_OVERLOADED && status != QR_IMPOSSIBLE &&
            status != QR_LATE && status != QR_GONE)
            end(metrics, status, true, 2000);
    }
    char *page = page_of(metrics);
    expect_line(page, "querent_budget_requests_total{outcome=\"met\"} 4");
    expect_line(page, "querent_budget_requests_total{outcome=\"late\"} 3");
    expect_line(page, "querent_budget_requests_total{outcome=\"refused\"} 2");
    expect_line(page, "querent_budget_requests_total{outcome=\"gone\"} 1");
    free(page);
    qr_metrics_destroy(metrics);
}

/* Read bodies say what a byte costs, those that need no computing among them; unread ones are
 * counted by it. */
Test(metrics, offered_compute) {
    qr_metrics *metrics = make();
    size_t a = qr_metrics_model(metrics, "a"), b = qr_metrics_model(metrics, "b");
    qr_metrics_offered_unread(metrics, a, 1000000); /* nothing is known yet */
    qr_metrics_offered(metrics, a, 100, 3000000);
    qr_metrics_offered(metrics, a, 100, 5000000);
    qr_metrics_offered(metrics, a, 200, 0);
    qr_metrics_offered(metrics, b, 1000, 7);
    qr_metrics_offered_unread(metrics, a, 50);
    qr_metrics_offered_unread(metrics, a, 50); /* and does not change what a byte costs */
    char *page = page_of(metrics);
    expect_line(page, "querent_offered_compute_seconds_total{model=\"a\"} 0.010000000");
    expect_line(page, "querent_offered_compute_seconds_total{model=\"b\"} 0.000000007");
    free(page);
    qr_metrics_destroy(metrics);
}

Test(metrics, what_workers_do) {
    qr_metrics *metrics = make();
    qr_metrics_predicted(metrics, 400, 500);
    qr_metrics_predicted(metrics, 1000000, 900000);
    qr_metrics_predicted(metrics, 0, 900000); /* nothing was expected */
    qr_metrics_slack(metrics, 20 * QR_NS_PER_MS);
    qr_metrics_worked(metrics, QR_NS_PER_S);
    qr_metrics_worked(metrics, 1);
    qr_metrics_joined(metrics);
    qr_metrics_joined(metrics);
    char *page = page_of(metrics);
    expect_line(page, "querent_workers 3");
    expect_line(page, "querent_predicted_ratio_bucket{le=\"0.8\"} 0");
    expect_line(page, "querent_predicted_ratio_bucket{le=\"0.9\"} 1");
    expect_line(page, "querent_predicted_ratio_bucket{le=\"1.25\"} 2");
    expect_line(page, "querent_predicted_ratio_sum 2.150000000");
    expect_line(page, "querent_slack_seconds_bucket{le=\"0.01\"} 0");
    expect_line(page, "querent_slack_seconds_bucket{le=\"0.02\"} 1");
    expect_line(page, "querent_worker_busy_seconds_total 1.000000001");
    expect_line(page, "querent_joins_total 2");
    free(page);
    qr_metrics_destroy(metrics);
}

static size_t series_of(const char *page) {
    size_t series = 0;
    for (const char *line = page; line != NULL && *line != '\0';
         line = strchr(line, '\n') == NULL ? NULL : strchr(line, '\n') + 1)
        series += *line != '#';
    return series;
}

/* Whatever is asked of whatever models, the page stays below 2,000 series; what has no room counts
 * under "other". */
Test(metrics, series_are_bounded) {
    qr_metrics *metrics = make();
    char name[16];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "m%d", i);
        size_t model = qr_metrics_model(metrics, name);
        const qr_record record = {
            .route = "/span", .model = model, .code = 200, .end_ns = 1, .stages = {1, 1, 1, 1}};
        qr_metrics_batch(metrics, model, 1, 1, 1);
        qr_metrics_offered(metrics, model, 1, 1);
        qr_metrics_request(metrics, &record);
    }
    for (int code = 100; code < 600; code++) {
        qr_record record = {
            .route = "/embed", .model = QR_NO_MODEL_SLOT, .code = code, .end_ns = 1000};
        qr_metrics_request(metrics, &record);
        record.route = "/health";
        qr_metrics_request(metrics, &record);
    }
    for (qr_status status = QR_OK; status < QR_STATUS_COUNT; status++)
        end(metrics, status, true, 1);
    char *page = page_of(metrics);
    size_t series = series_of(page) + 2 * (QR_LIMIT_MODELS - 1); /* one model is shown */
    cr_expect_lt(series, 2000, "%zu series", series);
    cr_expect_gt(series, 1800, "%zu series: not all were filled", series);
    expect_line(page, "querent_model_batches_total{model=\"m31\"} 1");
    expect_line(page, "querent_model_batches_total{model=\"other\"} 68");
    expect_line(page, "querent_offered_compute_seconds_total{model=\"other\"} 0.000000068");
    expect_line(page, "querent_stage_duration_seconds_count{stage=\"encode\",model=\"m5\"} 1");
    expect_line(page, "querent_stage_duration_seconds_count{stage=\"encode\",model=\"other\"} 94");
    expect_line(page, "querent_request_duration_seconds_count{route=\"other\",model=\"\",code="
                      "\"\"} 500");
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
                      "device=\"cpu\",isa=\"avx2\"} 1");
    expect_line(page, "querent_model_plan_fallback{model=\"new\"} 1");
    expect_line(page, "querent_memory_limit_bytes 5368709120");
    cr_expect_null(strstr(page, "model=\"other\""));
    free(page);
    qr_metrics_destroy(metrics);
}

Test(metrics, without_a_limit_none_is_shown) {
    qr_metrics *metrics = make();
    qr_buf out;
    qr_buf_init(&out, 1u << 20);
    const qr_model_labels model = {.name = "m", .kind = "span", .precision = "f32", .isa = "avx2"};
    const qr_metrics_now now = {.ready = true, .models = &model, .models_len = 1};
    qr_metrics_render(metrics, &now, &out);
    qr_buf_byte(&out, '\0');
    cr_expect_null(strstr(out.data, "querent_memory_limit_bytes"));
    expect_line(out.data, "querent_model_plan_fallback{model=\"m\"} 0");
    qr_buf_deinit(&out);
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
