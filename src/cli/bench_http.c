/* cli/bench_http.c: `querent bench http`: latency and rate of a running server, measured as its
 * clients would feel them. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/arrivals.h"
#include "cli/bench_load.h"
#include "cli/bench_requests.h"
#include "cli/bench_target.h"
#include "cli/chart.h"
#include "cli/cli.h"
#include "cli/latencies.h"
#include "cli/output.h"

#define OUT_MAX_BYTES (1u << 20)

typedef struct bench_arguments {
    const char *url, *queries, *route, *arrival, *sweep, *svg, *title;
    double rate, seconds, warmup, timeout;
    size_t concurrency, connections, budget_ms, seed;
    bool json, allow_remote;
} bench_arguments;

static void write_json(const bench_arguments *arguments, const qr__bench_target *target,
                       double rate, const qr__load_result *result, qr_buf *out) {
    bool first = true;
    qr_buf_literal(out, "{\"url\":");
    qr_json_text(out, qr_text_of(arguments->url));
    qr_buf_literal(out, ",\"route\":");
    qr_json_text(out, qr_text_of(target->route));
    if (rate > 0)
        qr_buf_printf(out, ",\"loop\":\"open\",\"arrival\":\"%s\",\"rate\":%.3f",
                      arguments->arrival, rate);
    else
        qr_buf_printf(out, ",\"loop\":\"closed\",\"concurrency\":%zu", arguments->concurrency);
    qr_buf_printf(out,
                  ",\"seconds\":%.3f,\"connections\":%zu,\"requests\":%llu,\"answered\":%llu,"
                  "\"achieved_rps\":%.2f,",
                  result->seconds, result->connections, (unsigned long long)result->due,
                  (unsigned long long)result->answered, (double)result->in_time / result->seconds);
    qr_buf_literal(out, "\"status\":{");
    for (int code = 0; code < 600; code++) {
        if (result->codes[code] == 0)
            continue;
        qr_buf_printf(out, "%s\"%d\":%llu", first ? "" : ",", code,
                      (unsigned long long)result->codes[code]);
        first = false;
    }
    qr_buf_printf(
        out, "},\"errors\":{\"connection\":%llu,\"timeout\":%llu,\"unsent\":%llu},\"latency_ms\":",
        (unsigned long long)result->failed, (unsigned long long)result->timed_out,
        (unsigned long long)result->unsent);
    qr__latencies_json(&result->succeeded, out);
    if (result->refused.total > 0) {
        qr_buf_literal(out, ",\"refused_latency_ms\":");
        qr__latencies_json(&result->refused, out);
    }
    qr_buf_literal(out, "}\n");
}

static void write_text(const bench_arguments *arguments, const qr__bench_target *target,
                       double rate, const qr__load_result *result, qr_buf *out) {
    qr_buf_printf(out, "http://%s%s, ", target->authority, target->route);
    if (rate > 0)
        qr_buf_printf(out, "open loop, %g requests a second (%s), ", rate, arguments->arrival);
    else
        qr_buf_printf(out, "closed loop, %zu clients, ", arguments->concurrency);
    qr_buf_printf(out, "%g s, at most %zu connections\n", result->seconds, result->connections);
    qr_buf_printf(out, "requests %llu, answered %llu:", (unsigned long long)result->due,
                  (unsigned long long)result->answered);
    for (int code = 0; code < 600; code++)
        if (result->codes[code] > 0)
            qr_buf_printf(out, " %d x %llu", code, (unsigned long long)result->codes[code]);
    qr_buf_printf(out, "; connection errors %llu, timeouts %llu, unsent %llu\n",
                  (unsigned long long)result->failed, (unsigned long long)result->timed_out,
                  (unsigned long long)result->unsent);
    qr_buf_printf(out, "%.1f good answers a second\n", (double)result->in_time / result->seconds);
    qr__latencies_text("2xx", &result->succeeded, out);
    if (result->refused.total > 0)
        qr__latencies_text("others", &result->refused, out);
}

/* All that every rate shares. */
typedef struct bench {
    const bench_arguments *arguments;
    const qr__bench_target *target;
    qr__queries queries;
    qr__requests requests;
    qr__sweep sweep; /* with --sweep, or one rate; 0: the closed loop */
    qr_buf out;
} bench;

static qr_status prepare(bench *b, qr_error *error) {
    qr_status status = QR_OK;
    if (qr__requests_need_queries(b->target->route))
        status = qr__queries_read(b->arguments->queries, &b->queries, error);
    if (status == QR_OK)
        status = qr__requests_build(&(qr__requests_options){b->target->authority, b->target->route,
                                                            b->arguments->budget_ms},
                                    &b->queries, &b->requests, error);
    return status;
}

static qr_status load(const bench *b, double rate, qr__load_result *result, qr_error *error) {
    const bench_arguments *arguments = b->arguments;
    const qr__load_options options = {.address = (const struct sockaddr *)&b->target->address,
                                      .address_len = b->target->address_len,
                                      .requests = b->requests.items,
                                      .requests_len = b->requests.len,
                                      .rate = rate,
                                      .uniform = qr__arrivals_uniform(arguments->arrival),
                                      .connections = rate > 0 ? arguments->connections
                                                              : arguments->concurrency,
                                      .warmup_s = arguments->warmup,
                                      .seconds = arguments->seconds,
                                      .timeout_s = arguments->timeout,
                                      .seed = arguments->seed};
    qr_status status = qr__load_run(&options, result, error);
    if (status != QR_OK || result->answered > 0)
        return status;
    return qr_error_set(error, QR_IO,
                        "%s: no answer to %llu requests (%llu connection errors, %llu timeouts)",
                        arguments->url, (unsigned long long)result->due,
                        (unsigned long long)result->failed, (unsigned long long)result->timed_out);
}

static void report(bench *b, qr__sweep_point *point, const qr__load_result *result) {
    double rate = point->rate, goodput = (double)result->in_time / result->seconds;
    *point = qr__sweep_point_of(rate, &result->succeeded, result->due, goodput);
    if (b->arguments->json)
        write_json(b->arguments, b->target, rate, result, &b->out);
    else if (b->arguments->sweep != NULL)
        qr__sweep_table_row(point, &b->out);
    else
        write_text(b->arguments, b->target, rate, result, &b->out);
}

/* One rate after the other, each printed when it is there. */
static int run_rates(bench *b) {
    qr_error error = {0};
    if (b->arguments->sweep != NULL && !b->arguments->json)
        qr__sweep_table_head(&b->out);
    for (size_t i = 0; i < b->sweep.len; i++) {
        qr__load_result result;
        qr_status status = load(b, b->sweep.points[i].rate, &result, &error);
        if (status == QR_OK)
            report(b, &b->sweep.points[i], &result);
        else
            fprintf(stderr, "querent bench http: %s\n", error.message);
        qr__load_result_deinit(&result);
        if (status != QR_OK || !qr__cli_write(&b->out))
            return QR_EXIT_FAULT;
        qr_buf_reset(&b->out);
    }
    return QR_EXIT_OK;
}

static int draw(bench *b) {
    const bench_arguments *arguments = b->arguments;
    char title[QR_LIMIT_URI_BYTES + sizeof b->target->authority], note[128], budget[64] = "";
    snprintf(title, sizeof title, "%s%s", b->target->authority, b->target->route);
    if (arguments->budget_ms > 0)
        snprintf(budget, sizeof budget, ", budget %zu ms", arguments->budget_ms);
    snprintf(note, sizeof note, "measured, %s arrivals, %g s a rate%s", arguments->arrival,
             arguments->seconds, budget);
    const qr__chart chart = {.title = arguments->title == NULL ? title : arguments->title,
                             .note = note,
                             .budget_ms = (double)arguments->budget_ms,
                             .runs = {{"measured", &b->sweep}}};
    qr__chart_svg(&chart, &b->out);
    return qr__cli_write_file(arguments->svg, &b->out) ? QR_EXIT_OK : QR_EXIT_FAULT;
}

static int run(bench *b) {
    qr_error error = {0};
    int code = QR_EXIT_FAULT;
    qr_buf_init(&b->out, OUT_MAX_BYTES);
    if (prepare(b, &error) == QR_OK)
        code = run_rates(b);
    else
        fprintf(stderr, "querent bench http: %s\n", error.message);
    if (code == QR_EXIT_OK && b->arguments->svg != NULL)
        code = draw(b);
    qr__requests_deinit(&b->requests);
    qr__queries_deinit(&b->queries);
    qr_buf_deinit(&b->out);
    return code;
}

/* What no single option can know. */
static int check(const qr__command *command, const bench_arguments *arguments,
                 const qr__bench_target *target, qr__sweep *sweep) {
    if ((arguments->rate > 0) + (arguments->concurrency > 0) + (arguments->sweep != NULL) != 1)
        return qr__flags_refuse(command, "give either --rate or --sweep (open loop) or "
                                         "--concurrency (closed loop)");
    if (arguments->sweep == NULL && (arguments->svg != NULL || arguments->title != NULL))
        return qr__flags_refuse(command, "--svg and --title need --sweep");
    if (arguments->seconds <= 0 || arguments->timeout <= 0)
        return qr__flags_refuse(command, "--seconds and --timeout must be above 0");
    int code = qr__arrivals_check(command, arguments->arrival);
    if (code != QR_FLAGS_GO)
        return code;
    if (qr__requests_need_queries(target->route) && arguments->queries == NULL)
        return qr__flags_refuse(command, "--queries FILE is missing; %s takes one a request",
                                target->route);
    return qr__sweep_parse(command, arguments->rate, arguments->sweep, sweep);
}

int qr_cli_bench_http(int argc, char **argv) {
    bench_arguments arguments = {.arrival = "poisson",
                                 .seconds = 10,
                                 .warmup = 1,
                                 .timeout = 10,
                                 .connections = 256,
                                 .seed = 1};
    const qr__flag flags[] = {
        {"url", QR_FLAG_TEXT, &arguments.url, .value = "URL", .help = "http://HOST:PORT[/ROUTE]",
         .required = true},
        {"queries", QR_FLAG_TEXT, &arguments.queries, .value = "FILE",
         .help = "queries to send in turn, one a line"},
        {"route", QR_FLAG_TEXT, &arguments.route, .value = "/ROUTE",
         .help =
             "/embed (default), /predict, /tokenize, /v1/embeddings, /rerank, /span; others: GET"},
        {"rate", QR_FLAG_REAL, &arguments.rate, .max = QR_RATE_MOST, .value = "R",
         .help = "open loop: requests a second"},
        {"sweep", QR_FLAG_TEXT, &arguments.sweep, .value = "R,R,...",
         .help = "open loop: one rate after the other, a row each"},
        {"svg", QR_FLAG_TEXT, &arguments.svg, .value = "FILE",
         .help = "draw the sweep: latency and goodput by offered load"},
        {"title", QR_FLAG_TEXT, &arguments.title, .value = "TEXT",
         .help = "of the picture [default: the URL]"},
        {"arrival", QR_FLAG_TEXT, &arguments.arrival, .value = "A",
         .help = "open loop: poisson (default) or uniform gaps"},
        {"connections", QR_FLAG_NUMBER, &arguments.connections, .min = 1, .max = 16384,
         .value = "N", .help = "open loop: most connections [default 256]"},
        {"concurrency", QR_FLAG_NUMBER, &arguments.concurrency, .max = 16384, .value = "N",
         .help = "closed loop: clients, each with one request at a time"},
        {"seconds", QR_FLAG_REAL, &arguments.seconds, .max = 3600, .value = "S",
         .help = "how long to measure [default 10]"},
        {"warmup", QR_FLAG_REAL, &arguments.warmup, .max = 600, .value = "S",
         .help = "load before that, not counted [default 1]"},
        {"timeout", QR_FLAG_REAL, &arguments.timeout, .max = 600, .value = "S",
         .help = "patience with one answer [default 10]"},
        {"budget-ms", QR_FLAG_NUMBER, &arguments.budget_ms, .max = QR_LIMIT_BUDGET_MS,
         .value = "MS", .help = "send X-Request-Budget-Ms"},
        {"seed", QR_FLAG_NUMBER, &arguments.seed, .max = SIZE_MAX, .value = "N",
         .help = "of the poisson gaps [default 1]"},
        {"allow-remote", QR_FLAG_BOOL, &arguments.allow_remote,
         .help = "allow a URL that is not this machine's"},
        {"json", QR_FLAG_BOOL, &arguments.json, .help = "print JSON"},
        {0}};
    const qr__command command = {
        "bench http",
        "Loads a running server and reports latency percentiles. Open loop "
        "latencies count from the\n"
        "intended sending time; closed loop ones from the sending.",
        flags, NULL};
    qr__bench_target target = {0};
    bench b = {.arguments = &arguments, .target = &target};
    int code = qr__flags_parse(&command, argc, argv, NULL);
    if (code == QR_FLAGS_GO)
        code = qr__bench_target_resolve(&command, arguments.url, arguments.route,
                                        arguments.allow_remote, &target);
    if (code == QR_FLAGS_GO)
        code = check(&command, &arguments, &target, &b.sweep);
    return code == QR_FLAGS_GO ? run(&b) : code;
}
