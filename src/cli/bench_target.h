/* cli/bench_target.h: the server and the route that `querent bench http` loads. */
#ifndef QR_CLI_BENCH_TARGET_H
#define QR_CLI_BENCH_TARGET_H

#include <sys/socket.h>

#include "cli/flags.h"

#define QR_HOST_BYTES 256

typedef struct qr__bench_target {
    char authority[QR_HOST_BYTES + 8]; /* "127.0.0.1:8080" */
    char host[QR_HOST_BYTES], port[8];
    char route[QR_LIMIT_URI_BYTES];
    struct sockaddr_storage address;
    socklen_t address_len;
} qr__bench_target;

/** Fills a zeroed target from "http://HOST[:PORT][/ROUTE]" and `route`, which wins over the URL's
 * and may be NULL. QR_FLAGS_GO or, after a message on stderr, the exit code. */
QR_MUST_USE int qr__bench_target_resolve(const qr__command *command, const char *url,
                                         const char *route, bool allow_remote,
                                         qr__bench_target *target);

#endif
