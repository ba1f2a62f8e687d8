/* cli/bench_http.c: `querent bench http`: latency and rate of a running server, measured as its
 * clients would feel them. */
#include <arpa/inet.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/bench_load.h"
#include "cli/bench_requests.h"
#include "cli/cli.h"
#include "cli/flags.h"
#include "cli/output.h"

#define OUT_MAX_BYTES (1u << 20)
#define HOST_BYTES    256

typedef struct bench_arguments {
    const char *url, *queries, *route, *arrival;
    double rate, seconds, warmup, timeout;
    size_t concurrency, connections, budget_ms, seed;
    bool json, allow_remote;
} bench_arguments;

typedef struct bench_target {
    char authority[HOST_BYTES + 8]; /* "127.0.0.1:8080" */
    char host[HOST_BYTES], port[8];
    char route[QR_LIMIT_URI_BYTES];
    struct sockaddr_storage address;
    socklen_t address_len;
} bench_target;

/* "http://HOST[:PORT][/ROUTE]", HOST may be [::1]. */
static bool split_url(const char *url, bench_target *target) {
    static const char scheme[] = "http://";
    uint64_t port = 80;
    if (strncmp(url, scheme, sizeof scheme - 1) != 0)
        return false;
    url += sizeof scheme - 1;
    size_t len = strcspn(url, "/");
    if (len >= sizeof target->authority || strlen(url + len) >= sizeof target->route)
        return false;
    snprintf(target->authority, sizeof target->authority, "%.*s", (int)len, url);
    snprintf(target->route, sizeof target->route, "%s", url[len] == '\0' ? "/" : url + len);
    bool bracket = target->authority[0] == '[';
    const char *host = target->authority + bracket;
    size_t host_len = strcspn(host, bracket ? "]" : ":");
    if (host_len == 0 || host_len >= sizeof target->host || (bracket && host[host_len] != ']'))
        return false;
    snprintf(target->host, sizeof target->host, "%.*s", (int)host_len, host);
    const char *rest = host + host_len + bracket;
    if (*rest != '\0' &&
        (*rest != ':' || !qr_text_to_u64(qr_text_of(rest + 1), 65535, &port) || port == 0))
        return false;
    snprintf(target->port, sizeof target->port, "%u", (unsigned)port);
    return true;
}

static bool is_loopback(const struct sockaddr *address) {
    if (address->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24 ==
               127;
    return address->sa_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
}

/* Fills the target from --url and --route. Another machine is refused without --allow-remote: a
 * typing error must not load somebody's server. */
static int resolve(const qr__command *command, const bench_arguments *arguments,
                   bench_target *target) {
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (!split_url(arguments->url, target))
        return qr__flags_refuse(command, "--url %s: expected http://HOST:PORT", arguments->url);
    if (arguments->route != NULL) {
        if (arguments->route[0] != '/' || strlen(arguments->route) >= sizeof target->route)
            return qr__flags_refuse(command, "--route %s: must begin with /", arguments->route);
        snprintf(target->route, sizeof target->route, "%s", arguments->route);
    }
    if (strcmp(target->route, "/") == 0)
        snprintf(target->route, sizeof target->route, "/embed");
    int fault = getaddrinfo(target->host, target->port, &hints, &found);
    if (fault != 0) {
        fprintf(stderr, "querent bench http: %s: %s\n", target->host, gai_strerror(fault));
        return QR_EXIT_FAULT;
    }
    memcpy(&target->address, found->ai_addr, found->ai_addrlen);
    target->address_len = found->ai_addrlen;
    freeaddrinfo(found);
    if (!is_loopback((const struct sockaddr *)&target->address) && !arguments->allow_remote)
        return qr__flags_refuse(command,
                                "--url %s: is another machine; load on it needs --allow-remote",
                                arguments->url);
    return QR_FLAGS_GO;
}

static const double percents[] = {50, 90, 99, 99.9};

static void write_latency_json(const qr__hdr *hdr, qr_buf *out) {
    qr_buf_byte(out, '{');
    for (size_t i = 0; i < sizeof percents / sizeof *percents; i++)
        qr_buf_printf(out, "\"p%g\":%.4f,", percents[i],
                      qr__hdr_percentile(hdr, percents[i]) / 1e6);
    qr_buf_printf(out, "\"max\":%.4f,\"mean\":%.4f,\"count\":%llu}", (double)hdr->max / 1e6,
                  qr__hdr_mean(hdr) / 1e6, (unsigned long long)hdr->total);
}

static void write_json(const bench_arguments *arguments, const bench_target *target,
                       const qr__load_result *result, qr_buf *out) {
    bool first = true;
    qr_buf_literal(out, "{\"url\":");
    qr_json_text(out, qr_text_of(arguments->url));
    qr_buf_literal(out, ",\"route\":");
    qr_json_text(out, qr_text_of(target->route));
    if (arguments->rate > 0)
        qr_buf_printf(out, ",\"loop\":\"open\",\"arrival\":\"%s\",\"rate\":%.3f",
                      arguments->arrival, arguments->rate);
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
    write_latency_json(&result->succeeded, out);
    if (result->refused.total > 0) {
        qr_buf_literal(out, ",\"refused_latency_ms\":");
        write_latency_json(&result->refused, out);
    }
    qr_buf_literal(out, "}\n");
}

static void write_latency_text(const char *what, const qr__hdr *hdr, qr_buf *out) {
    qr_buf_printf(out, "%-14s", what);
    for (size_t i = 0; i < sizeof percents / sizeof *percents; i++)
        qr_buf_printf(out, "  p%g %.3f", percents[i], qr__hdr_percentile(hdr, percents[i]) / 1e6);
    qr_buf_printf(out, "  max %.3f  mean %.3f ms\n", (double)hdr->max / 1e6,
                  qr__hdr_mean(hdr) / 1e6);
}

static void write_text(const bench_arguments *arguments, const bench_target *target,
                       const qr__load_result *result, qr_buf *out) {
    qr_buf_printf(out, "http://%s%s, ", target->authority, target->route);
    if (arguments->rate > 0)
        qr_buf_printf(out, "open loop, %g requests a second (%s), ", arguments->rate,
                      arguments->arrival);
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
    write_latency_text("2xx", &result->succeeded, out);
    if (result->refused.total > 0)
        write_latency_text("others", &result->refused, out);
}

static int run(const bench_arguments *arguments, const bench_target *target) {
    qr__queries queries = {0};
    qr__requests requests = {0};
    qr__load_result result = {0};
    qr_error error = {0};
    qr_buf out;
    int code = QR_EXIT_FAULT;
    qr_status status = QR_OK;
    qr_buf_init(&out, OUT_MAX_BYTES);
    if (qr__requests_need_queries(target->route))
        status = qr__queries_read(arguments->queries, &queries, &error);
    if (status == QR_OK)
        status = qr__requests_build(
            &(qr__requests_options){target->authority, target->route, arguments->budget_ms},
            &queries, &requests, &error);
    const qr__load_options options = {.address = (const struct sockaddr *)&target->address,
                                      .address_len = target->address_len,
                                      .requests = requests.items,
                                      .requests_len = requests.len,
                                      .rate = arguments->rate,
                                      .uniform = strcmp(arguments->arrival, "uniform") == 0,
                                      .connections = arguments->rate > 0 ? arguments->connections
                                                                         : arguments->concurrency,
                                      .warmup_s = arguments->warmup,
                                      .seconds = arguments->seconds,
                                      .timeout_s = arguments->timeout,
                                      .seed = arguments->seed};
    if (status == QR_OK)
        status = qr__load_run(&options, &result, &error);
    if (status != QR_OK) {
        fprintf(stderr, "querent bench http: %s\n", error.message);
    } else if (result.answered == 0) {
        fprintf(stderr,
                "querent bench http: %s: no answer to %llu requests (%llu connection errors, %llu "
                "timeouts)\n",
                arguments->url, (unsigned long long)result.due, (unsigned long long)result.failed,
                (unsigned long long)result.timed_out);
    } else {
        (arguments->json ? write_json : write_text)(arguments, target, &result, &out);
        code = qr__cli_write(&out) ? QR_EXIT_OK : QR_EXIT_FAULT;
    }
    qr__load_result_deinit(&result);
    qr__requests_deinit(&requests);
    qr__queries_deinit(&queries);
    qr_buf_deinit(&out);
    return code;
}

/* What no single option can know. */
static int check(const qr__command *command, const bench_arguments *arguments,
                 const bench_target *target) {
    if ((arguments->rate > 0) == (arguments->concurrency > 0))
        return qr__flags_refuse(command,
                                "give either --rate (open loop) or --concurrency (closed loop)");
    if (arguments->seconds <= 0 || arguments->timeout <= 0)
        return qr__flags_refuse(command, "--seconds and --timeout must be above 0");
    if (strcmp(arguments->arrival, "poisson") != 0 && strcmp(arguments->arrival, "uniform") != 0)
        return qr__flags_refuse(command, "--arrival %s: must be poisson or uniform",
                                arguments->arrival);
    if (qr__requests_need_queries(target->route) && arguments->queries == NULL)
        return qr__flags_refuse(command, "--queries FILE is missing; %s takes one a request",
                                target->route);
    return QR_FLAGS_GO;
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
        {"rate", QR_FLAG_REAL, &arguments.rate, .max = 1000000, .value = "R",
         .help = "open loop: requests a second"},
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
    bench_target target = {0};
    int code = qr__flags_parse(&command, argc, argv, NULL);
    if (code == QR_FLAGS_GO)
        code = resolve(&command, &arguments, &target);
    if (code == QR_FLAGS_GO)
        code = check(&command, &arguments, &target);
    return code == QR_FLAGS_GO ? run(&arguments, &target) : code;
}
