/* base/log.h: one line an event on stderr, as text or as JSON.
 *
 *     qr_log(QR_LOG_INFO, "model %s loaded in %.0f ms", name, ms);
 *     qr_log_fields(QR_LOG_DEBUG, "request", fields, n);
 *
 * Never pass query text, passages or keys, but where qr_log_text_allowed() (--log-text).
 * Thread-safe: a line is one write(2).
 */
#ifndef QR_BASE_LOG_H
#define QR_BASE_LOG_H

#include "base/text.h"

typedef enum qr_log_level { QR_LOG_DEBUG, QR_LOG_INFO, QR_LOG_WARN, QR_LOG_ERROR } qr_log_level;

/** One key with a number or a text (text wins when `text.data` is not NULL). Keys are plain ASCII
 * words. */
typedef struct qr_log_field {
    const char *key;
    double number;
    qr_text text;
} qr_log_field;

/** Sets the lowest level that is printed, the form of the lines, and whether users' text may be
 * logged. Call before threads start. */
void qr_log_init(qr_log_level lowest, bool json, bool allow_text);

bool qr_log_enabled(qr_log_level level);
bool qr_log_text_allowed(void);

void qr_log(qr_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
void qr_log_fields(qr_log_level level, const char *event, const qr_log_field *fields, size_t count);

#endif
