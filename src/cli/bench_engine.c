/* cli/bench_engine.c: `querent bench engine`: a model's time by length beside its floor on this
 * machine, and queries a second.
 *
 * The floor of a length is max(operations / peak rate, weight bytes / read bandwidth), peaks
 * measured on the spot with as many threads; docs/SPEED.md has the formula. With --interactive it
 * answers commands on stdin instead, for bench/peers.py. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/bench_engine_run.h"
#include "cli/cli.h"
#include "cli/model_options.h"
#include "cli/output.h"

#define LENGTHS_MAX   32u
#define OUT_MAX_BYTES (1u << 20)

typedef struct bench_report {
    qr_peaks peaks;
    qr__engine_latency latencies[LENGTHS_MAX];
    size_t lengths;
    qr__engine_throughput throughput;
} bench_report;

static double element_bytes(qr_precision precision) {
    return precision == QR_PRECISION_F32 ? 4 : precision == QR_PRECISION_INT8 ? 1 : 2;
}

/* The peak of a precision; where the plan's instructions have none of its own (bf16 without
 * AVX512_BF16), f32's. */
static double peak_of(const qr_peaks *peaks, qr_precision precision) {
    double peak = precision == QR_PRECISION_BF16   ? peaks->bf16_flops
                  : precision == QR_PRECISION_INT8 ? peaks->int8_ops
                                                   : 0;
    return peak > 0 ? peak : peaks->f32_flops;
}

/* Bytes of the matrices that one forward pass streams: 4 of C x C and 2 of C x F a layer. */
static double streamed_bytes(const qr_engine *engine) {
    const qr_model_info *model = qr_engine_model(engine);
    double matrices = 4.0 * (double)model->hidden * (double)model->hidden +
                      2.0 * (double)model->hidden * (double)model->feed_forward;
    return (double)model->layers * matrices * element_bytes(qr_engine_plan(engine)->precision);
}

/* No machine can do better: either its arithmetic or its memory is the limit. */
static double floor_ms(const qr_engine *engine, const qr_peaks *peaks, size_t tokens) {
    const uint32_t starts[2] = {0, (uint32_t)tokens};
    double operations = qr_model_operations(qr_engine_model(engine), starts, 1);
    double compute = operations / peak_of(peaks, qr_engine_plan(engine)->precision);
    double stream = streamed_bytes(engine) / peaks->read_bytes;
    return 1e3 * (compute > stream ? compute : stream);
}

/* "9,32,128" into out; QR_FLAGS_GO or an exit code. */
static int parse_lengths(const qr__command *command, const char *text, size_t positions,
                         size_t *out, size_t *len) {
    *len = 0;
    for (const char *at = text;; at++) {
        size_t digits = strcspn(at, ",");
        uint64_t length;
        if (!qr_text_to_u64((qr_text){at, digits}, positions, &length) || length == 0)
            return qr__flags_refuse(command,
                                    "--lengths %s: %.*s: must be in 1..%zu, the model's positions",
                                    text, (int)digits, at, positions);
        if (*len == LENGTHS_MAX)
            return qr__flags_refuse(command, "--lengths: more than %u", LENGTHS_MAX);
        out[(*len)++] = (size_t)length;
        at += digits;
        if (*at == '\0')
            return QR_FLAGS_GO;
    }
}

static void write_json(const bench_report *report, const qr_pipeline *pipeline, size_t threads,
                       qr_buf *out) {
    const qr_engine *engine = qr_pipeline_engine(pipeline);
    const qr_plan_info *plan = qr_engine_plan(engine);
    qr_buf_literal(out, "{\"model\":");
    qr_json_text(out, qr_text_of(qr_pipeline_name(pipeline)));
    qr_buf_printf(out, ",\"precision\":\"%s\",\"isa\":\"%s\",\"threads\":%zu,\"load_ms\":%.1f,",
                  qr_precision_name(plan->precision), plan->target, threads,
                  plan->load_ms + plan->pack_ms + plan->gate_ms);
    qr_buf_literal(out, "\"rates\":");
    qr_json_text(out, qr_text_of(plan->rates.name));
    qr_buf_printf(out,
                  ",\"peaks\":{\"f32_gflops\":%.1f,\"bf16_gflops\":%.1f,\"int8_gops\":%.1f,\"read_"
                  "gb_s\":%.1f},",
                  report->peaks.f32_flops / 1e9, report->peaks.bf16_flops / 1e9,
                  report->peaks.int8_ops / 1e9, report->peaks.read_bytes / 1e9);
    qr_buf_literal(out, "\"latency_ms\":{");
    for (size_t i = 0; i < report->lengths; i++) {
        const qr__engine_latency *one = &report->latencies[i];
        double floor = floor_ms(engine, &report->peaks, one->tokens);
        qr_buf_printf(
            out,
            "%s\"%zu\":{\"p50\":%.4f,\"p99\":%.4f,\"min\":%.4f,\"mean\":%.4f,\"calls\":%zu,"
            "\"floor\":%.4f,\"share\":%.3f}",
            i == 0 ? "" : ",", one->tokens, one->p50_ms, one->p99_ms, one->min_ms, one->mean_ms,
            one->calls, floor, floor / one->p50_ms);
    }
    qr_buf_printf(out,
                  "},\"throughput_qps\":%.1f,\"throughput\":{\"queries\":%zu,\"tokens\":%zu,"
                  "\"seconds\":%.3f}}\n",
                  report->throughput.qps, report->throughput.queries, report->throughput.tokens,
                  report->throughput.seconds);
}

static void write_text(const bench_report *report, const qr_pipeline *pipeline, size_t threads,
                       qr_buf *out) {
    const qr_engine *engine = qr_pipeline_engine(pipeline);
    const qr_plan_info *plan = qr_engine_plan(engine);
    qr_buf_printf(out, "%s, %s on %s, %zu thread%s\n", qr_pipeline_name(pipeline),
                  qr_precision_name(plan->precision), plan->target, threads,
                  threads == 1 ? "" : "s");
    qr_buf_printf(out, "rates of %s\n", plan->rates.name);
    qr_buf_printf(out,
                  "peaks: f32 %.0f GFLOP/s, bf16 %.0f GFLOP/s, int8 %.0f GOP/s, weights read at "
                  "%.1f GB/s\n\n",
                  report->peaks.f32_flops / 1e9, report->peaks.bf16_flops / 1e9,
                  report->peaks.int8_ops / 1e9, report->peaks.read_bytes / 1e9);
    qr_buf_literal(out, "tokens     p50 ms     p99 ms   floor ms   share\n");
    for (size_t i = 0; i < report->lengths; i++) {
        const qr__engine_latency *one = &report->latencies[i];
        double floor = floor_ms(engine, &report->peaks, one->tokens);
        qr_buf_printf(out, "%6zu %10.3f %10.3f %10.3f   %4.0f%%\n", one->tokens, one->p50_ms,
                      one->p99_ms, floor, 100 * floor / one->p50_ms);
    }
    qr_buf_printf(out, "\n%.0f queries a second (%zu queries, %.1f tokens each, %.1f s)\n",
                  report->throughput.qps, report->throughput.queries,
                  (double)report->throughput.tokens / (double)report->throughput.queries,
                  report->throughput.seconds);
}

static qr_status measure(qr__engine_bench *bench, const qr_pipeline *pipeline, size_t threads,
                         const size_t *lengths, double seconds, bench_report *report,
                         qr_error *error) {
    size_t footprint = (size_t)streamed_bytes(qr_pipeline_engine(pipeline));
    const char *target = qr_engine_plan(qr_pipeline_engine(pipeline))->target;
    qr_status status = qr_peaks_measure(target, (int)threads, footprint, &report->peaks);
    if (status != QR_OK)
        return qr_error_set(error, status, "the machine's peaks could not be measured");
    for (size_t i = 0; i < report->lengths && status == QR_OK; i++)
        status = qr__engine_bench_latency(bench, lengths[i], seconds, &report->latencies[i], error);
    if (status == QR_OK)
        status = qr__engine_bench_throughput(bench, seconds, &report->throughput, error);
    return status;
}

/* One command: "latency LENGTH SECONDS" or "throughput [SECONDS]". */
static qr_status answer(qr__engine_bench *bench, char *line, qr_buf *out, qr_error *error) {
    char word[16] = "", first[16] = "", second[16] = "";
    char *const words[] = {word, first, second};
    char *at = line;
    for (size_t i = 0; i < 3; i++) {
        at += strspn(at, " \n");
        size_t len = strcspn(at, " \n");
        snprintf(words[i], sizeof word, "%.*s", (int)len, at);
        at += len;
    }
    uint64_t length = 0;
    if (strcmp(word, "latency") == 0 &&
        qr_text_to_u64(qr_text_of(first), QR_LIMIT_POSITIONS, &length)) {
        qr__engine_latency latency = {0};
        qr_status status =
            qr__engine_bench_latency(bench, (size_t)length, strtod(second, NULL), &latency, error);
        qr_buf_printf(out, "{\"p50_ms\":%.5f,\"p99_ms\":%.5f,\"min_ms\":%.5f,\"calls\":%zu}\n",
                      latency.p50_ms, latency.p99_ms, latency.min_ms, latency.calls);
        return status;
    }
    if (strcmp(word, "throughput") == 0) {
        qr__engine_throughput throughput = {0};
        qr_status status =
            qr__engine_bench_throughput(bench, strtod(first, NULL), &throughput, error);
        qr_buf_printf(out, "{\"qps\":%.2f,\"queries\":%zu}\n", throughput.qps, throughput.queries);
        return status;
    }
    return qr_error_set(error, QR_BAD_OPTION,
                        "%s: expected `latency LENGTH SECONDS` or `throughput [SECONDS]`", word);
}

/* One line a command until stdin ends; answers are flushed at once, the other side waits. */
static int interact(qr__engine_bench *bench, qr_error *error) {
    char line[128];
    qr_buf out;
    int code = QR_EXIT_OK;
    qr_buf_init(&out, OUT_MAX_BYTES);
    qr_buf_literal(&out, "{\"ready\":\"querent\"}\n");
    while (code == QR_EXIT_OK) {
        code = qr__cli_write(&out) ? QR_EXIT_OK : QR_EXIT_FAULT;
        qr_buf_reset(&out);
        if (code != QR_EXIT_OK || fgets(line, sizeof line, stdin) == NULL)
            break;
        if (answer(bench, line, &out, error) != QR_OK) {
            fprintf(stderr, "querent bench engine: %s\n", error->message);
            code = QR_EXIT_FAULT;
        }
    }
    qr_buf_deinit(&out);
    return code;
}

typedef struct bench_arguments {
    qr__cli_model model;
    const char *queries, *lengths;
    double seconds;
    size_t batch_tokens;
    bool json, interactive;
} bench_arguments;

static int run(const bench_arguments *arguments, const qr_pipeline *pipeline, const size_t *lengths,
               bench_report *report) {
    size_t threads = arguments->model.threads.number;
    qr__engine_bench *bench = NULL;
    qr__queries queries = {0};
    qr_error error = {0};
    qr_buf out;
    int code = QR_EXIT_FAULT;
    qr_buf_init(&out, OUT_MAX_BYTES);
    qr_status status = qr__queries_read(arguments->queries, &queries, &error);
    if (status == QR_OK)
        status = qr__engine_bench_create(pipeline, threads, &queries, arguments->batch_tokens,
                                         &bench, &error);
    if (status == QR_OK && arguments->interactive) {
        code = interact(bench, &error);
        goto done;
    }
    if (status == QR_OK)
        status = measure(bench, pipeline, threads, lengths, arguments->seconds, report, &error);
    if (status != QR_OK) {
        fprintf(stderr, "querent bench engine: %s\n", error.message);
        goto done;
    }
    (arguments->json ? write_json : write_text)(report, pipeline, threads, &out);
    code = qr__cli_write(&out) ? QR_EXIT_OK : QR_EXIT_FAULT;
done:
    qr__engine_bench_destroy(bench);
    qr__queries_deinit(&queries);
    qr_buf_deinit(&out);
    return code;
}

int qr_cli_bench_engine(int argc, char **argv) {
    bench_arguments arguments = {.lengths = "9,32,128", .seconds = 1, .batch_tokens = 64};
    const qr__flag flags[] = {
        QR_CLI_MODEL_FLAGS(arguments.model),
        {"queries", QR_FLAG_TEXT, &arguments.queries, .value = "FILE",
         .help = "real queries, one a line", .required = true},
        {"lengths", QR_FLAG_TEXT, &arguments.lengths, .value = "N,N",
         .help = "tokens of a query, specials counted [default 9,32,128]"},
        {"seconds", QR_FLAG_REAL, &arguments.seconds, .max = 600, .value = "S",
         .help = "time for each length and for the file [default 1]"},
        {"batch-tokens", QR_FLAG_NUMBER, &arguments.batch_tokens, .min = 1, .max = 65536,
         .value = "N", .help = "most tokens a thread takes from the file at once [default 64]"},
        {"json", QR_FLAG_BOOL, &arguments.json, .help = "print JSON"},
        {"interactive", QR_FLAG_BOOL, &arguments.interactive,
         .help = "answer `latency LENGTH SECONDS` and `throughput SECONDS` on stdin"},
        {0}};
    const qr__command command = {
        "bench engine",
        "Measures one query by length (split over the threads), queries a second over a file\n"
        "(each thread on its own), and what share of this machine's floor is reached.",
        flags, NULL};
    qr_pipeline *pipeline = NULL;
    bench_report *report = NULL;
    size_t lengths[LENGTHS_MAX];
    int code = qr__flags_parse(&command, argc, argv, NULL);
    if (code == QR_FLAGS_GO)
        code = qr__cli_model_load(&command, &arguments.model, &pipeline);
    if (code == QR_FLAGS_GO && (report = calloc(1, sizeof *report)) == NULL)
        code = QR_EXIT_FAULT;
    if (code == QR_FLAGS_GO)
        code = parse_lengths(&command, arguments.lengths,
                             qr_engine_model(qr_pipeline_engine(pipeline))->positions, lengths,
                             &report->lengths);
    if (code == QR_FLAGS_GO)
        code = run(&arguments, pipeline, lengths, report);
    free(report);
    qr_pipeline_destroy(pipeline);
    return code;
}
