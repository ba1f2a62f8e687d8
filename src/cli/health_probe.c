/* cli/health_probe.c: `querent health`: one probe of a server, for an image without a shell.
 *
 * Options, environment and file are those of `querent serve`, so that HEALTHCHECK in the server's
 * own container finds it by itself: at its ops port, else at its UNIX socket if that is all it has,
 * else at its port. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/un.h>

#include "cli/bench_client.h"
#include "cli/bench_target.h"
#include "cli/cli.h"

#define REQUEST_BYTES (QR_HOST_BYTES + 128)

typedef struct health {
    const char *url, *uds;
    bool live, ready;
    size_t timeout_ms;
    qr__bench_target target;
    char name[QR_LIMIT_URI_BYTES]; /* for messages */
} health;

static int aim_at_uds(const qr__command *command, const char *path, health *h) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (path[0] == '\0' || strlen(path) >= sizeof address.sun_path)
        return qr__flags_refuse(command, "--uds %s: must have 1 to %zu bytes", path,
                                sizeof address.sun_path - 1);
    memcpy(address.sun_path, path, strlen(path) + 1);
    memcpy(&h->target.address, &address, sizeof address);
    h->target.address_len = sizeof address;
    snprintf(h->target.authority, sizeof h->target.authority, "localhost");
    snprintf(h->name, sizeof h->name, "unix:%s", path);
    return QR_FLAGS_GO;
}

static int aim_at_url(const qr__command *command, const char *url, health *h) {
    int code = qr__bench_target_resolve(command, url, NULL, true, &h->target);
    snprintf(h->name, sizeof h->name, "http://%s", h->target.authority);
    return code;
}

/* Who listens on every address is asked on loopback. */
static const char *host_to_ask(const char *host) {
    if (host == NULL || strcmp(host, "0.0.0.0") == 0)
        return "127.0.0.1";
    return strcmp(host, "::") == 0 ? "::1" : host;
}

static int aim_at_config(const qr__command *command, health *h) {
    qr_config *config = NULL;
    qr_error error = {0};
    if (qr_config_load(0, NULL, &config, &error) != QR_OK)
        return qr__flags_refuse(command, "%s", error.message);
    const char *uds = qr_config_text(config, QR_OPTION_UDS);
    const char *host = host_to_ask(qr_config_text(config, QR_OPTION_HOST));
    size_t port = qr_config_number(config, QR_OPTION_OPS_PORT);
    int code;
    if (port == 0 && uds != NULL && !qr_config_given(config, QR_OPTION_PORT)) {
        code = aim_at_uds(command, uds, h);
    } else {
        char url[QR_HOST_BYTES];
        if (port == 0)
            port = qr_config_number(config, QR_OPTION_PORT);
        snprintf(url, sizeof url, strchr(host, ':') == NULL ? "http://%s:%zu" : "http://[%s]:%zu",
                 host, port);
        code = aim_at_url(command, url, h);
    }
    qr_config_destroy(config);
    return code;
}

/* Until the answer, the end of the connection, or the end of patience. */
static qr__client_state exchange(qr__client *client, size_t timeout_ms) {
    const uint64_t end_ns = qr_clock_ns() + timeout_ms * QR_NS_PER_MS;
    for (;;) {
        qr__client_state state = qr__client_advance(client);
        uint64_t now_ns = qr_clock_ns();
        if (state != QR_CLIENT_WAITING || now_ns >= end_ns)
            return state;
        struct pollfd event = {.fd = client->fd, .events = POLLIN};
        if (client->sent < client->request.len)
            event.events |= POLLOUT;
        int left_ms = (int)((end_ns - now_ns) / QR_NS_PER_MS) + 1;
        if (poll(&event, 1, left_ms) < 0 && errno != EINTR)
            return QR_CLIENT_FAILED;
    }
}

static int fault(const health *h, const char *what) {
    fprintf(stderr, "querent health: %s: %s\n", h->name, what);
    return QR_EXIT_FAULT;
}

static int probe(const health *h) {
    const char *what = h->live ? "live" : "ready";
    char request[REQUEST_BYTES], message[64];
    qr__client client;
    int len = snprintf(request, sizeof request,
                       "GET /v2/health/%s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", what,
                       h->target.authority);
    if (!qr__client_open(&client, (const struct sockaddr *)&h->target.address,
                         h->target.address_len))
        return fault(h, "cannot connect");
    qr__client_send(&client, (qr_text){request, (size_t)len});
    qr__client_state state = exchange(&client, h->timeout_ms);
    qr__client_close(&client);
    switch (state) {
    case QR_CLIENT_ANSWERED:
        break;
    case QR_CLIENT_WAITING:
        snprintf(message, sizeof message, "no answer within %zu ms", h->timeout_ms);
        return fault(h, message);
    case QR_CLIENT_CLOSED:
    case QR_CLIENT_FAILED:
        return fault(h, "cannot connect, or no answer of HTTP");
    }
    if (client.code == 200)
        return QR_EXIT_OK;
    snprintf(message, sizeof message, "not %s: %d", what, client.code);
    return fault(h, message);
}

int qr_cli_health(int argc, char **argv) {
    health h = {.timeout_ms = 1000};
    const qr__flag flags[] = {
        {"url", QR_FLAG_TEXT, &h.url, .value = "URL", .help = "http://HOST:PORT of the server"},
        {"uds", QR_FLAG_TEXT, &h.uds, .value = "PATH", .help = "its UNIX socket instead"},
        {"ready", QR_FLAG_BOOL, &h.ready, .help = "are requests taken? (default)"},
        {"live", QR_FLAG_BOOL, &h.live, .help = "does it answer at all?"},
        {"timeout-ms", QR_FLAG_NUMBER, &h.timeout_ms, .min = 1, .max = 600000, .value = "MS",
         .help = "patience with the answer [default 1000]"},
        {0}};
    const qr__command command = {
        "health",
        "Asks a server whether it is ready: exit code 0, or 1 and why not on stderr.\n"
        "Without --url and --uds it asks where a server with this environment listens.",
        flags, NULL};
    int code = qr__flags_parse(&command, argc, argv, NULL);
    if (code != QR_FLAGS_GO)
        return code;
    if (h.live && h.ready)
        return qr__flags_refuse(&command, "--live and --ready: one of them");
    if (h.url != NULL && h.uds != NULL)
        return qr__flags_refuse(&command, "--url and --uds: one of them");
    if (h.url != NULL)
        code = aim_at_url(&command, h.url, &h);
    else if (h.uds != NULL)
        code = aim_at_uds(&command, h.uds, &h);
    else
        code = aim_at_config(&command, &h);
    return code == QR_FLAGS_GO ? probe(&h) : code;
}
