/* base/log.h: one line an event on stderr, as text or as JSON, or a message to a sink.
 *
 *     qr_log(QR_LOG_INFO, "model %s loaded in %.0f ms", name, ms);
 *     qr_log_fields(QR_LOG_DEBUG, "request", fields, n);
 *
 * Never pass query text, passages or keys: no option allows users' text in the log. A line waits
 * for a stderr that is full, such as a pipe that nobody reads, unless qr_log_wait_until() says that
 * it is lost then: the request path must not block. Thread-safe: a line is one system call.
 */
#ifndef QR_BASE_LOG_H
#define QR_BASE_LOG_H

#include "base/text.h"

typedef enum qr_log_level { QR_LOG_DEBUG, QR_LOG_INFO, QR_LOG_WARN, QR_LOG_ERROR } qr_log_level;
typedef enum qr_log_format { QR_LOG_AS_TEXT, QR_LOG_AS_JSON } qr_log_format;

/** One key with a number or a text (text wins when `text.data` is not NULL). Keys are plain ASCII
 * words. */
typedef struct qr_log_field {
    const char *key;
    double number;
    qr_text text;
} qr_log_field;

/** Sets the lowest level that is printed and the form of the lines. Call before threads start. */
void qr_log_init(qr_log_level lowest, qr_log_format format);

/** Gets each message in place of stderr, without time, level and newline, fields as "key=value".
 * `message.data` ends in NUL and is borrowed for the call. Called from any thread. */
typedef void qr_log_sink(void *state, qr_log_level level, qr_text message);

/** NULL: stderr, as at the start. Call before threads start. */
void qr_log_set_sink(qr_log_sink *sink, void *state);

/** Until when (of qr_clock_ns) lines wait while stderr is full; later ones are lost, and how many
 * were is said before the next that finds room. UINT64_MAX, as at the start: for ever. 0: never.
 * Lines that wait when it is called go by it too. Any thread. */
void qr_log_wait_until(uint64_t ns);

/** Lines of the calling thread wait for ever all the same. */
void qr_log_wait_always(void);

/** How many lines were lost because stderr was full, or could not be written. Any thread. */
uint64_t qr_log_lost(void);

/** False when lines of this level are dropped, so that their parts need not be made. */
bool qr_log_enabled(qr_log_level level);

/** One line with a printf-style message. Control bytes in it are escaped, so that no value can
 * forge a line; what does not fit into 2 KiB is cut. */
void qr_log(qr_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** One line with an event's name and its fields, escaped and cut as in qr_log: "event key=1 k=v",
 * or as JSON the members of the line's object. */
void qr_log_fields(qr_log_level level, const char *event, const qr_log_field *fields, size_t count);

/** The text as a line of stderr, whatever level, format and sink are: for what programs wait
 * for. */
void qr_log_plain(qr_text text);

#endif
