/* cli/simulate.c: `querent simulate`: the scheduler's own code, on a simulated clock with measured
 * costs, says how many workers a load needs. docs/SCHEDULE.md tells what is modelled. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/arrivals.h"
#include "cli/chart.h"
#include "cli/cli.h"
#include "cli/latencies.h"
#include "cli/model_options.h"
#include "cli/output.h"
#include "cli/simulate_run.h"

#define OUT_MAX_BYTES (1u << 20)
#define TEXT_BYTES    256

typedef struct simulate_arguments {
    qr__cli_model model;
    const char *queries, *sweep, *arrival, *svg, *beside;
    double rate, seconds, warmup;
    const char *overhead;
    qr__delays way; /* what it says */
    size_t workers, seed, answer_us;
    qr_option_value budget_ms, batch_tokens, queue_items;
    bool json;
} simulate_arguments;

/* What is simulated, from the model's loading to the picture. */
typedef struct simulate {
    const simulate_arguments *arguments;
    qr_pipeline *pipeline;
    qr__queries queries;
    size_t *lengths;
    qr_costs costs;
    qr__simulate_load load;
    qr__sweep sweep, beside; /* beside: len 0 without --beside */
    qr_buf out;
} simulate;

static void write_cost_json(const char *name, const qr_cost *cost, qr_buf *out) {
    qr_buf_printf(out, "\"%s\":{\"fixed_us\":%.3f,\"token_us\":%.4f,\"square_us\":%.6f}", name,
                  cost->fixed_ns / 1e3, cost->token_ns / 1e3, cost->square_ns / 1e3);
}

static void write_json(const simulate *s, double rate, const qr__simulate_result *result,
                       const qr__sweep_point *point, qr_buf *out) {
    const simulate_arguments *arguments = s->arguments;
    const qr_plan_info *plan = qr_engine_plan(qr_pipeline_engine(s->pipeline));
    qr_buf_literal(out, "{\"model\":");
    qr_json_text(out, qr_text_of(qr_pipeline_name(s->pipeline)));
    qr_buf_printf(out,
                  ",\"precision\":\"%s\",\"isa\":\"%s\",\"workers\":%zu,\"budget_ms\":%zu,"
                  "\"loop\":\"open\",\"arrival\":\"%s\",\"rate\":%.3f,\"seconds\":%.3f,",
                  qr_precision_name(plan->precision), plan->target, arguments->workers,
                  arguments->budget_ms.number, arguments->arrival, rate, arguments->seconds);
    qr_buf_printf(out, "\"offered\":%llu,\"ok\":%llu,\"refused\":%llu,\"late\":%llu,",
                  (unsigned long long)result->offered, (unsigned long long)result->ok,
                  (unsigned long long)result->refused, (unsigned long long)result->late);
    qr_buf_printf(out, "\"p50_ms\":%.4f,\"p99_ms\":%.4f,\"goodput\":%.2f,\"miss_share\":%.6f,",
                  point->p50_ms, point->p99_ms, point->goodput, point->miss_share);
    qr_buf_literal(out, "\"latency_ms\":");
    qr__latencies_json(&result->succeeded, out);
    qr_buf_literal(out, ",\"overhead_us\":[");
    for (size_t i = 0; i < arguments->way.len; i++)
        qr_buf_printf(out, "%s%.0f", i == 0 ? "" : ",", arguments->way.us[i]);
    qr_buf_printf(out, "],\"answer_us\":%zu,\"costs\":{", arguments->answer_us);
    write_cost_json("alone", &s->costs.alone, out);
    qr_buf_byte(out, ',');
    write_cost_json("team", &s->costs.team, out);
    qr_buf_printf(out, ",\"team_workers\":%d}}\n", s->costs.team_len);
}

/* "minilm, int8 on avx512vnni, 2 workers, budget 100 ms" */
static void name_it(const simulate *s, char out[TEXT_BYTES]) {
    const qr_plan_info *plan = qr_engine_plan(qr_pipeline_engine(s->pipeline));
    size_t workers = s->arguments->workers;
    snprintf(out, TEXT_BYTES, "%.120s, %s on %s, %zu worker%s, budget %zu ms",
             qr_pipeline_name(s->pipeline), qr_precision_name(plan->precision), plan->target,
             workers, workers == 1 ? "" : "s", s->arguments->budget_ms.number);
}

static double lonely_ms(const qr_cost *cost, size_t tokens) {
    return (cost->fixed_ns + qr_cost_job(cost, tokens)) / 1e6;
}

/* What is simulated, and on what costs it stands. */
static void write_text_head(const simulate *s, qr_buf *out) {
    char name[TEXT_BYTES];
    size_t tokens = 0;
    for (size_t i = 0; i < s->queries.len; i++)
        tokens += s->lengths[i];
    name_it(s, name);
    qr_buf_printf(out, "%s\n", name);
    size_t mean = (tokens + s->queries.len / 2) / s->queries.len;
    qr_buf_printf(out,
                  "a query of %zu tokens, the mean: %.3f ms on one worker, %.3f on %d together; "
                  "%.0f us around it\n",
                  mean, lonely_ms(&s->costs.alone, mean), lonely_ms(&s->costs.team, mean),
                  s->costs.team_len, s->arguments->way.us[0] + (double)s->arguments->answer_us);
}

static void write_text(const simulate *s, double rate, const qr__simulate_result *result,
                       const qr__sweep_point *point, qr_buf *out) {
    qr_buf_printf(out, "open loop, %g requests a second (%s), %g s\n", rate, s->arguments->arrival,
                  s->arguments->seconds);
    qr_buf_printf(out, "requests %llu: ok %llu, refused %llu, late %llu; missed %.2f %%\n",
                  (unsigned long long)result->offered, (unsigned long long)result->ok,
                  (unsigned long long)result->refused, (unsigned long long)result->late,
                  100 * point->miss_share);
    qr_buf_printf(out, "%.1f good answers a second\n", point->goodput);
    qr__latencies_text("ok", &result->succeeded, out);
}

static bool flush(qr_buf *out) {
    bool written = qr__cli_write(out);
    qr_buf_reset(out);
    return written;
}

/* One rate after the other, each printed when it is there. */
static int run_rates(simulate *s) {
    bool table = s->arguments->sweep != NULL && !s->arguments->json;
    qr_error error = {0};
    if (!s->arguments->json)
        write_text_head(s, &s->out);
    if (table)
        qr__sweep_table_head(&s->out);
    for (size_t i = 0; i < s->sweep.len; i++) {
        qr__simulate_result result;
        qr__sweep_point *point = &s->sweep.points[i];
        qr_status status = qr__simulate_rate(&s->load, point->rate, &result, &error);
        if (status == QR_OK) {
            *point =
                qr__sweep_point_of(point->rate, &result.succeeded, result.offered, result.goodput);
            if (table)
                qr__sweep_table_row(point, &s->out);
            else
                (s->arguments->json ? write_json : write_text)(s, point->rate, &result, point,
                                                               &s->out);
        }
        qr__simulate_result_deinit(&result);
        if (status != QR_OK)
            fprintf(stderr, "querent simulate: %s\n", error.message);
        if (status != QR_OK || !flush(&s->out))
            return QR_EXIT_FAULT;
    }
    return QR_EXIT_OK;
}

static int draw(simulate *s) {
    const simulate_arguments *arguments = s->arguments;
    char title[TEXT_BYTES], note[TEXT_BYTES];
    bool beside = s->beside.len > 0;
    name_it(s, title);
    snprintf(note, sizeof note, "%s, %s arrivals, %g s a rate",
             beside ? "simulated (solid) and measured (dashed)" : "simulated", arguments->arrival,
             arguments->seconds);
    const qr__chart chart = {
        .title = title,
        .note = note,
        .budget_ms = (double)arguments->budget_ms.number,
        .runs = {{"simulated", &s->sweep}, {"measured", beside ? &s->beside : NULL}}};
    qr__chart_svg(&chart, &s->out);
    return qr__cli_write_file(arguments->svg, &s->out) ? QR_EXIT_OK : QR_EXIT_FAULT;
}

static size_t streams_of(const simulate *s) {
    size_t streams = qr_engine_plan(qr_pipeline_engine(s->pipeline))->streams;
    return qr_min(streams, s->arguments->workers);
}

/* The costs, and the queries' lengths. */
static qr_status prepare(simulate *s, qr_error *error) {
    const simulate_arguments *arguments = s->arguments;
    qr_status status = qr__simulate_lengths(s->pipeline, &s->queries, &s->lengths, error);
    if (status == QR_OK)
        status = qr_costs_measure(s->pipeline, (int)arguments->workers,
                                  arguments->batch_tokens.number, &s->costs, error);
    s->load = (qr__simulate_load){.machine = {.workers = (int)arguments->workers,
                                              .alone = s->costs.alone,
                                              .team = s->costs.team,
                                              .team_len = s->costs.team_len,
                                              .streams = streams_of(s),
                                              .queue_items = arguments->queue_items.number,
                                              .batch_tokens = arguments->batch_tokens.number,
                                              .job_tokens = qr_pipeline_max_tokens(s->pipeline),
                                              .after_ns = arguments->answer_us * 1000},
                                  .lengths = s->lengths,
                                  .lengths_len = s->queries.len,
                                  .uniform = qr__arrivals_uniform(arguments->arrival),
                                  .seed = arguments->seed,
                                  .way = arguments->way,
                                  .warmup_s = arguments->warmup,
                                  .seconds = arguments->seconds,
                                  .budget_ns = arguments->budget_ms.number * QR_NS_PER_MS};
    return status;
}

static int end(simulate *s, int code) {
    free(s->lengths);
    qr__queries_deinit(&s->queries);
    qr_pipeline_destroy(s->pipeline);
    qr_buf_deinit(&s->out);
    return code;
}

/* Files are read before the model: it takes longest. */
static int run(const qr__command *command, simulate *s) {
    const simulate_arguments *arguments = s->arguments;
    qr_error error = {0};
    qr_status status = QR_OK;
    int code = QR_FLAGS_GO;
    qr_buf_init(&s->out, OUT_MAX_BYTES);
    if (arguments->beside != NULL)
        status = qr__sweep_read(arguments->beside, &s->beside, &error);
    if (status == QR_OK)
        status = qr__queries_read(arguments->queries, &s->queries, &error);
    if (status == QR_OK)
        code = qr__cli_model_load(command, &arguments->model, &s->pipeline);
    if (code != QR_FLAGS_GO)
        return end(s, code);
    if (status == QR_OK)
        status = prepare(s, &error);
    if (status != QR_OK) {
        fprintf(stderr, "querent simulate: %s\n", error.message);
        return end(s, QR_EXIT_FAULT);
    }
    code = run_rates(s);
    if (code == QR_EXIT_OK && arguments->svg != NULL)
        code = draw(s);
    return end(s, code);
}

/* What no single option can know. */
static int check(const qr__command *command, simulate_arguments *arguments, qr__sweep *sweep) {
    if ((arguments->rate > 0) == (arguments->sweep != NULL))
        return qr__flags_refuse(command, "give either --rate or --sweep");
    if (arguments->seconds <= 0)
        return qr__flags_refuse(command, "--seconds must be above 0");
    int code = qr__arrivals_check(command, arguments->arrival);
    if (code == QR_FLAGS_GO)
        code = qr__delays_parse(command, "overhead-us", arguments->overhead, &arguments->way);
    if (code != QR_FLAGS_GO)
        return code;
    if (arguments->sweep == NULL && (arguments->svg != NULL || arguments->beside != NULL))
        return qr__flags_refuse(command, "--svg and --beside need --sweep");
    if (arguments->svg == NULL && arguments->beside != NULL)
        return qr__flags_refuse(command, "--beside needs --svg");
    return qr__sweep_parse(command, arguments->rate, arguments->sweep, sweep);
}

int qr_cli_simulate(int argc, char **argv) {
    simulate_arguments arguments = {.arrival = "poisson",
                                    .seconds = 10,
                                    .warmup = 1,
                                    .seed = 1,
                                    .overhead = "80",
                                    .answer_us = 60};
    const qr__flag flags[] = {
        QR_CLI_DIR_FLAG(arguments.model),
        {"queries", QR_FLAG_TEXT, &arguments.queries, .value = "FILE",
         .help = "queries that come in turn, one a line", .required = true},
        {"workers", QR_FLAG_NUMBER, &arguments.workers, .min = 1, .max = QR_LIMIT_THREADS,
         .value = "N", .help = "threads of the server; may be more than this machine's cores",
         .required = true},
        {"rate", QR_FLAG_REAL, &arguments.rate, .max = QR_RATE_MOST, .value = "R",
         .help = "requests a second"},
        {"sweep", QR_FLAG_TEXT, &arguments.sweep, .value = "R,R,...",
         .help = "one rate after the other instead: a row each"},
        {"svg", QR_FLAG_TEXT, &arguments.svg, .value = "FILE",
         .help = "draw the sweep: latency and goodput by offered load"},
        {"beside", QR_FLAG_TEXT, &arguments.beside, .value = "FILE",
         .help = "draw what `bench http --sweep --json` printed into the same picture"},
        {"arrival", QR_FLAG_TEXT, &arguments.arrival, .value = "A",
         .help = "poisson (default) or uniform gaps"},
        {"seconds", QR_FLAG_REAL, &arguments.seconds, .max = 3600, .value = "S",
         .help = "how long to count, of simulated time [default 10]"},
        {"warmup", QR_FLAG_REAL, &arguments.warmup, .max = 600, .value = "S",
         .help = "load before that, not counted [default 1]"},
        {"seed", QR_FLAG_NUMBER, &arguments.seed, .max = SIZE_MAX, .value = "N",
         .help = "of the poisson gaps, as in bench http [default 1]"},
        {"overhead-us", QR_FLAG_TEXT, &arguments.overhead, .value = "US,US,US,US",
         .help = "a request's way to the scheduler: median[, of 90, 99, 99.9 %] [default 80]"},
        {"answer-us", QR_FLAG_NUMBER, &arguments.answer_us, .max = 1000000, .value = "US",
         .help = "of a core for each request beside its batch: answer, loop, client [default 60]"},
        qr__flag_option(QR_OPTION_BUDGET_MS, "1000", &arguments.budget_ms),
        qr__flag_option(QR_OPTION_PRECISION, "auto", &arguments.model.precision),
        qr__flag_option(QR_OPTION_CACHE_DIR, "", &arguments.model.cache_dir),
        qr__flag_option(QR_OPTION_DEVICE, "cpu", &arguments.model.device),
        qr__flag_option(QR_OPTION_BATCH_TOKENS, "512", &arguments.batch_tokens),
        qr__flag_option(QR_OPTION_QUEUE_ITEMS, "4096", &arguments.queue_items),
        {"json", QR_FLAG_BOOL, &arguments.json, .help = "print JSON, a line a rate"},
        {0}};
    const qr__command command = {
        "simulate",
        "Says what a server would do with a load: runs its scheduler on a simulated clock, with\n"
        "costs measured on this machine. Requests come as those of `bench http`.",
        flags, NULL};
    simulate *s = calloc(1, sizeof *s);
    int code = s == NULL ? QR_EXIT_FAULT : qr__flags_parse(&command, argc, argv, NULL);
    if (code == QR_FLAGS_GO)
        code = check(&command, &arguments, &s->sweep);
    if (code == QR_FLAGS_GO) {
        s->arguments = &arguments;
        code = run(&command, s);
    }
    free(s);
    return code;
}
