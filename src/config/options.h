/* config/options.h: the option table. One row an option; nothing about an option is written anywhere else.
 * QR_X(ID, "name", TYPE, "default", min, max, "choices", "help"). Numbers: default within [min, max]; CHOICE: "a|b|c". */
#ifndef QR_CONFIG_OPTIONS_H
#define QR_CONFIG_OPTIONS_H

#define QR_OPTION_LIST(X)                                                                                              \
    X(CONFIG, "config", TEXT, "", 0, 0, "", "read options from this YAML file")                                        \
    X(MODEL, "model", LIST, "", 0, 0, "", "[NAME=]DIR of a model; repeat for more than one")                           \
    X(HOST, "host", TEXT, "127.0.0.1", 0, 0, "", "address to listen on")                                               \
    X(ALLOW_REMOTE, "allow-remote", FLAG, "false", 0, 0, "", "allow --host to be reachable from other machines")       \
    X(PORT, "port", NUMBER, "8080", 0, 65535, "", "port to listen on; 0 takes a free one")                             \
    X(OPS_PORT, "ops-port", NUMBER, "0", 0, 65535, "", "port for health, metrics and admin alone; 0: on the main port") \
    X(PRECISION, "precision", CHOICE, "auto", 0, 0, "auto|f32|bf16|int8", "arithmetic of the plan")                    \
    X(DEVICE, "device", TEXT, "auto", 0, 0, "", "cpu, cuda[:N] or auto")                                               \
    X(THREADS, "threads", NUMBER, "0", 0, 256, "", "worker threads; 0: one a core")                                    \
    X(BATCH_TOKENS, "batch-tokens", NUMBER, "512", 1, 65536, "", "most tokens in one batch")                           \
    X(BUDGET_MS, "budget-ms", NUMBER, "1000", 1, 600000, "", "default latency budget of a request, in ms")             \
    X(QUEUE_ITEMS, "queue-items", NUMBER, "4096", 1, 65536, "", "most sequences waiting or running; more get 429")     \
    X(MAX_INPUTS, "max-inputs", NUMBER, "2048", 1, 2048, "", "most inputs in one request")                             \
    X(MAX_BODY_BYTES, "max-body-bytes", NUMBER, "2000000", 1024, 67108864, "", "largest request body")                 \
    X(MAX_CONNECTIONS, "max-connections", NUMBER, "1024", 1, 65536, "", "most open connections")                       \
    X(DRAIN_DELAY_MS, "drain-delay", NUMBER, "0", 0, 600000, "", "ms to keep accepting after SIGTERM")                 \
    X(DRAIN_TIMEOUT_MS, "drain-timeout", NUMBER, "10000", 0, 600000, "", "ms until open requests are given up")        \
    X(CACHE_BYTES, "cache-bytes", NUMBER, "0", 0, 1073741824, "", "memory for remembered results (not yet used)")      \
    X(LOG_LEVEL, "log-level", CHOICE, "info", 0, 0, "debug|info|warn|error", "lowest level that is logged")            \
    X(LOG_FORMAT, "log-format", CHOICE, "text", 0, 0, "text|json", "form of the log lines")                            \
    X(LOG_TEXT, "log-text", FLAG, "false", 0, 0, "", "allow users' text in the log")                                   \
    X(SLOW_MS, "slow-ms", NUMBER, "500", 1, 600000, "", "requests slower than this get an info line")

#endif
