/* base/status.h: every way a call can end, in one table.
 *
 *     qr_status status = qr_file_read(path, max_bytes, &text, &len, error);
 *     if (status != QR_OK)
 *         return status;
 *
 * Each row is (enum suffix, HTTP status, sentence). The sentence is all that a client is told; what
 * happened where (file, option, byte) stands in a qr_error or in the log.
 */
#ifndef QR_BASE_STATUS_H
#define QR_BASE_STATUS_H

#define QR_MUST_USE __attribute__((warn_unused_result))

#define QR_STATUS_LIST(X)                                                                          \
    X(OK, 200, "ok")                                                                               \
    X(BAD_OPTION, 400, "an option is not valid")                                                   \
    X(BAD_MODEL, 500, "the model cannot be used")                                                  \
    X(BAD_HTTP, 400, "the request is not valid HTTP for this server")                              \
    X(BAD_HEADER, 400, "a header field of the request is not valid")                               \
    X(BAD_JSON, 400, "the request body is not valid JSON")                                         \
    X(BAD_REQUEST, 422, "the request has a missing or invalid field")                              \
    X(BAD_TENSOR, 400, "the request has a missing or invalid tensor")                              \
    X(EMPTY_INPUT, 400, "`inputs` cannot be empty")                                                \
    X(TOO_LONG, 422, "an input has more tokens than the model takes")                              \
    X(TOO_MANY, 422, "the request has more inputs than the server takes")                          \
    X(WRONG_KIND, 424, "no loaded model can answer this route")                                    \
    X(UNAUTHORIZED, 401, "the request has no valid API key")                                       \
    X(FORBIDDEN, 403, "web pages may not ask for this")                                            \
    X(NO_MODEL, 404, "no model of that name is loaded")                                            \
    X(NO_ROUTE, 404, "no such route")                                                              \
    X(BAD_METHOD, 405, "the route does not take this method")                                      \
    X(LENGTH_REQUIRED, 411, "a request body needs a Content-Length")                               \
    X(TOO_LARGE, 413, "the request body is too large")                                             \
    X(URI_TOO_LONG, 414, "the request target is too long")                                         \
    X(BAD_TYPE, 415, "expected a request with `Content-Type: application/json`")                   \
    X(BAD_CODING, 415, "expected a request body without a Content-Encoding")                       \
    X(HEAD_TOO_LARGE, 431, "the request's header fields are too large or too many")                \
    X(OVERLOADED, 429, "the server is overloaded")                                                 \
    X(IMPOSSIBLE, 429, "the request's time budget is too short even for an idle server")           \
    X(GONE, 499, "the client closed the connection")                                               \
    X(NOT_IMPLEMENTED, 501, "the server does not implement this")                                  \
    X(NO_MEMORY, 503, "the server is out of memory")                                               \
    X(DRAINING, 503, "the server is shutting down")                                                \
    X(NOT_READY, 503, "the server is not ready")                                                   \
    X(MODEL_OUT, 503, "the model is unloaded")                                                     \
    X(DEVICE, 503, "the device failed")                                                            \
    X(LATE, 504, "the request's time budget ran out")                                              \
    X(IO, 500, "a file could not be read or written")                                              \
    X(INTERNAL, 500, "internal error")

typedef enum qr_status {
#define QR_X(name, http, sentence) QR_##name,
    QR_STATUS_LIST(QR_X)
#undef QR_X
        QR_STATUS_COUNT
} qr_status;

/** The status's name in lower case, as logs and metrics print it ("too_long"). */
const char *qr_status_name(qr_status status);

/** The fixed sentence for clients. */
const char *qr_status_sentence(qr_status status);

/** The HTTP status code that answers it. */
int qr_status_http(qr_status status);

/** Room for one message of start-up's faults: where, what, and a hint. */
#define QR_ERROR_BYTES 1024

/** A status with its story. Callers own it (usually on the stack) and zero it with {0}. */
typedef struct qr_error {
    qr_status status;
    char message[QR_ERROR_BYTES];
} qr_error;

/** Writes the status and a printf-style message into `error` (NULL is allowed: the story is
 * dropped). Returns `status`, so that a fault is one line: `return qr_error_set(err, QR_BAD_MODEL,
 * ...)`. */
qr_status qr_error_set(qr_error *error, qr_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
