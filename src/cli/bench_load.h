/* cli/bench_load.h: load on one server from one thread: an open loop (requests at their times, come
 * what may) or a closed one (N clients, each sends when it has its answer).
 *
 *     qr__load_result result;
 *     qr__load_run(&(qr__load_options){...}, &result, &error);
 *     printf("%f ms\n", qr__hdr_percentile(&result.succeeded, 99) / 1e6);
 *     qr__load_result_deinit(&result);
 *
 * Open loop: latency counts from the time at which a request was meant to be sent, so a server that
 * stalls is charged for everyone who would have waited (no coordinated omission). Closed loop: from
 * the sending. Bounded in time: warm-up + seconds + timeout.
 */
#ifndef QR_CLI_BENCH_LOAD_H
#define QR_CLI_BENCH_LOAD_H

#include <sys/socket.h>

#include "cli/hdr_histogram.h"

typedef struct qr__load_options {
    const struct sockaddr *address;
    socklen_t address_len;
    const qr_text *requests; /* whole HTTP requests, sent in turn */
    size_t requests_len;
    double rate;        /* a second; 0: closed loop */
    bool uniform;       /* open loop: equal gaps instead of exponential ones */
    size_t connections; /* closed loop: how many; open loop: at most */
    double warmup_s, seconds, timeout_s;
    uint64_t seed;
} qr__load_options;

typedef struct qr__load_result {
    qr__hdr succeeded;   /* latencies of 2xx answers, ns */
    qr__hdr refused;     /* of all others */
    uint64_t codes[600]; /* answers by status code */
    uint64_t due;        /* requests whose time fell within the measured seconds: each is one of */
    uint64_t answered;   /*   answered, */
    uint64_t failed;     /*   failed: connection refused or reset, or no HTTP, */
    uint64_t timed_out;  /*   timed out: no answer within timeout_s, */
    uint64_t unsent;     /*   unsent (open loop): every connection stayed busy to the end */
    uint64_t in_time;    /* 2xx answers that arrived within the measured seconds */
    size_t connections;  /* most open at once */
    double seconds;
} qr__load_result;

/** Loads the server and returns when all is answered or given up. What the server does is no fault
 * here, it is counted; QR_NO_MEMORY, QR_IO: this side lacks memory or descriptors. Deinit `out`
 * also then. */
QR_MUST_USE qr_status qr__load_run(const qr__load_options *options, qr__load_result *out,
                                   qr_error *error);

/** Frees the histograms; NULL is allowed. */
void qr__load_result_deinit(qr__load_result *result);

#endif
