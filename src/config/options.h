/* config/options.h: the option table. One row an option; nothing about an option is written
 * anywhere else.
 *
 * X(ID, "name", TYPE, "default", min, max, "values", "help")
 *
 *   TYPE     min, max                 values
 *   NUMBER   bounds of the number     what help calls it ("N", "MS", "BYTES")
 *   THREADS  bounds of the number     what help calls it; 0 becomes one a core
 *   FLAG     -                        -
 *   MODE     -                        what help calls it; permissions in octal, as chmod takes them
 *   TEXT     of its bytes; 0: any     what help calls it ("FILE")
 *   CHOICE   -                        the choices: "a|b|c"; an enum of the user has their order
 *   DEVICE   -                        what help calls it
 *   LIST     bounds of the count      what help calls an item; the default is the empty list
 *
 * An option with a unit carries it: budget-ms, max-body-bytes.
 */
#ifndef QR_CONFIG_OPTIONS_H
#define QR_CONFIG_OPTIONS_H

/* The default of max-body-bytes is the payload limit of text-embeddings-inference. */
/* clang-format off */
#define QR_OPTION_LIST(X) \
    X(CONFIG, "config", TEXT, "", 0, 0, "FILE", "read options from this YAML file") \
    X(MODEL, "model", LIST, "", 0, QR_LIMIT_MODELS, "[NAME=]PATH", "a model's directory or .onnx file; repeat for more than one") \
    X(HOST, "host", TEXT, "127.0.0.1", 0, 0, "ADDRESS", "address to listen on") \
    X(ALLOW_REMOTE, "allow-remote", FLAG, "false", 0, 0, "", "allow a --host that other machines can reach") \
    X(PORT, "port", NUMBER, "8080", 0, 65535, "N", "port to listen on; 0 takes a free one") \
    X(UDS, "uds", TEXT, "", 0, 0, "PATH", "UNIX socket to listen on; without --port it is the only one") \
    X(UDS_MODE, "uds-mode", MODE, "0660", 0, 0777, "OCTAL", "permissions of the UNIX socket") \
    X(UDS_GROUP, "uds-group", TEXT, "", 0, 0, "GROUP", "group of the UNIX socket, a name or a number; empty: the server's") \
    X(OPS_PORT, "ops-port", NUMBER, "0", 0, 65535, "N", "port of health, metrics and admin alone; 0: on the main port") \
    X(API_KEY_FILE, "api-key-file", TEXT, "", 0, 0, "FILE", "API keys, one a line; requests bring one as Authorization: Bearer KEY; empty: nobody needs one") \
    X(CORS_ALLOW_ORIGIN, "cors-allow-origin", LIST, "", 0, QR_LIMIT_ORIGINS, "ORIGIN", "pages of this origin may read answers (*: of any); repeat for more than one") \
    X(PLAYGROUND, "playground", FLAG, "true", 0, 0, "", "serve a page to try the models with at / to browsers; --no-playground: / tells health to them too") \
    X(ADMIN, "admin", FLAG, "false", 0, 0, "", "serve /v2/repository, which loads and unloads models: on --ops-port, or with --admin-key-file") \
    X(ADMIN_KEY_FILE, "admin-key-file", TEXT, "", 0, 0, "FILE", "keys of --admin, one a line; empty: those of --api-key-file") \
    X(INT8_VECTORS, "int8-vectors", FLAG, "false", 0, 0, "", "measure at load what embedding_dtype int8 and uint8 need") \
    X(PRECISION, "precision", CHOICE, "auto", 0, 0, "auto|f32|f16|bf16|int8", "arithmetic of the plan") \
    X(DEVICE, "device", DEVICE, "auto", 0, 0, "cpu[:ISA]|cuda[:N]|auto", "where models run") \
    X(THREADS, "threads", THREADS, "0", 0, QR_LIMIT_THREADS, "N", "worker threads, of the CPU and of each GPU in use; 0: one a core") \
    X(BATCH_TOKENS, "batch-tokens", NUMBER, "512", 1, 65536, "N", "most tokens in one batch") \
    X(BUDGET_MS, "budget-ms", NUMBER, "1000", 1, QR_LIMIT_BUDGET_MS, "MS", "default latency budget of a request") \
    X(MAX_BUDGET_MS, "max-budget-ms", NUMBER, "600000", 1, QR_LIMIT_BUDGET_MS, "MS", "largest latency budget; more is capped") \
    X(TRUST_PROXY, "trust-proxy", LIST, "", 0, QR_LIMIT_NETWORKS, "CIDR", "networks of proxies whose X-Request-Start counts against the budget") \
    X(QUEUE_ITEMS, "queue-items", NUMBER, "4096", 1, QR_LIMIT_QUEUE_ITEMS, "N", "most sequences waiting or running, on the CPU and on each GPU; more get 429") \
    X(MAX_INPUTS, "max-inputs", NUMBER, "2048", 1, QR_LIMIT_INPUTS, "N", "most inputs in one request") \
    X(MAX_BODY_BYTES, "max-body-bytes", NUMBER, "2000000", 1024, QR_LIMIT_BODY_BYTES, "BYTES", "largest request body") \
    X(INFLIGHT_BYTES, "inflight-bytes", NUMBER, "268435456", 16777216, 17179869184, "BYTES", "memory for bodies, what is made of them, and answers, of all requests; more get 503; by default no more than a quarter of a memory limit") \
    X(MAX_CONNECTIONS, "max-connections", NUMBER, "1024", 1, 65536, "N", "most open connections") \
    X(MAX_CONNECTION_AGE_S, "max-connection-age-s", NUMBER, "600", 0, 86400, "S", "how old a connection gets, a tenth more or less: then its next answer says to close it; 0: any age") \
    X(DRAIN_DELAY_MS, "drain-delay-ms", NUMBER, "0", 0, 600000, "MS", "how long to keep accepting after SIGTERM") \
    X(DRAIN_TIMEOUT_MS, "drain-timeout-ms", NUMBER, "10000", 0, 600000, "MS", "when open requests are given up after SIGTERM") \
    X(CACHE_BYTES, "cache-bytes", NUMBER, "67108864", 0, 17179869184, "BYTES", "memory for results of texts that are asked for again; 0: every request is computed by itself") \
    X(CACHE_DIR, "cache-dir", TEXT, "", 0, 0, "DIR", "an existing directory in which plans and packed weights are kept for the next start; empty: only proofs of ONNX models, in the user's cache; none: nothing") \
    X(SANDBOX, "sandbox", CHOICE, "auto", 0, 0, "auto|on|off", "take from the process what serving does not need: files but models' and libraries', programs, connections of its own; auto: as far as the kernel can, and not with a GPU; on: or do not start") \
    X(VERIFY_PPM, "verify-ppm", NUMBER, "0", 0, 1000000, "N", "of a million answers so many are computed again, when idle, and compared; 0: none") \
    X(LOG_LEVEL, "log-level", CHOICE, "info", 0, 0, "debug|info|warn|error", "lowest level that is logged") \
    X(LOG_FORMAT, "log-format", CHOICE, "text", 0, 0, "text|json", "form of the log lines") \
    X(SLOW_MS, "slow-ms", NUMBER, "500", 1, 600000, "MS", "requests slower than this get an info line")

/* Names that options once had, X("old name", ID of today): refused, in every source, with the new
 * name. An old variable that was silently ignored would change what a deployment does. */
#define QR_OPTION_RENAMED_LIST(X) \
    X("drain-delay", DRAIN_DELAY_MS) \
    X("drain-timeout", DRAIN_TIMEOUT_MS)
/* clang-format on */

#endif
