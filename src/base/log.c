/* base/log.c: lines on stderr, or messages to a sink. A line is built on the stack and written with
 * one system call, so that lines of different threads never mix; what does not fit is cut. */
#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/clock.h"

#define LINE_BYTES 2048
#define LOOK_MS    100 /* how soon a line that waits hears that it shall not */

_Static_assert(2 * LINE_BYTES <= PIPE_BUF,
               "a pipe with room takes two lines whole, or would block");

static qr_log_level lowest_level = QR_LOG_INFO;
static bool as_json;
static qr_log_sink *log_sink; /* NULL: stderr */
static void *sink_state;
static pthread_mutex_t writing = PTHREAD_MUTEX_INITIALIZER; /* nobody waits with it */
static _Atomic uint64_t wait_until_ns = UINT64_MAX, lost;
static uint64_t lost_told; /* under `writing` */
static _Thread_local bool waits_always;

static const char *const level_names[] = {"debug", "info", "warn", "error"};

void qr_log_init(qr_log_level lowest, qr_log_format format) {
    lowest_level = lowest;
    as_json = format == QR_LOG_AS_JSON;
}

void qr_log_set_sink(qr_log_sink *sink, void *state) {
    log_sink = sink;
    sink_state = state;
}

bool qr_log_enabled(qr_log_level level) {
    return level >= lowest_level;
}

typedef struct line {
    char bytes[LINE_BYTES];
    size_t len;
    qr_log_level level;
    bool json;
} line;

/* Leaves room for the closing brace and the newline. */
static void put(line *l, const char *data, size_t len) {
    len = qr_min(len, LINE_BYTES - 3 - l->len);
    memcpy(l->bytes + l->len, data, len);
    l->len += len;
}

static void put_format(line *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* For the short pieces that this file writes itself: what is above 63 bytes is cut. */
static void put_format(line *l, const char *format, ...) {
    char piece[64];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(piece, sizeof piece, format, args);
    va_end(args);
    if (n > 0)
        put(l, piece, qr_min((size_t)n, sizeof piece - 1));
}

/* Control bytes (and quotes in JSON) are escaped, so that a value cannot forge a line. Bytes above
 * 7F pass: callers log UTF-8. */
static void put_escaped(line *l, qr_text text) {
    for (size_t i = 0; i < text.len && l->len < LINE_BYTES - 16; i++) {
        unsigned char c = (unsigned char)text.data[i];
        if (c < 0x20 || c == 0x7F)
            put_format(l, "\\u%04x", c);
        else if (l->json && (c == '"' || c == '\\'))
            put_format(l, "\\%c", c);
        else
            put(l, (const char *)&c, 1);
    }
}

/* Time, level and message; for a sink the message alone. Times are UTC with milliseconds, so that
 * lines sort as text. */
static void begin(line *l, qr_log_level level, qr_text message) {
    struct timespec now;
    struct tm utc;
    char stamp[32];
    l->len = 0;
    l->level = level;
    l->json = as_json && log_sink == NULL;
    if (log_sink != NULL) {
        put_escaped(l, message);
        return;
    }
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &utc);
    if (l->json) {
        put_format(l, "{\"time\":\"%s.%03ldZ\",\"level\":\"%s\",\"message\":\"", stamp,
                   now.tv_nsec / 1000000, level_names[level]);
        put_escaped(l, message);
        put(l, "\"", 1);
    } else {
        put_format(l, "%s.%03ldZ %-5s ", stamp, now.tv_nsec / 1000000, level_names[level]);
        put_escaped(l, message);
    }
}

static void end(line *l) {
    if (l->json)
        l->bytes[l->len++] = '}';
    l->bytes[l->len++] = '\n';
}

typedef enum outcome { WRITTEN, FULL, FAILED } outcome;

/* How many lines were lost since that was told, as a line; or nothing. */
static void make_notice(line *l, uint64_t count) {
    char message[64];
    l->len = 0;
    if (count == 0)
        return;
    int n = snprintf(message, sizeof message, "lines lost while stderr was full: %llu",
                     (unsigned long long)count);
    begin(l, QR_LOG_WARN, (qr_text){message, (size_t)n});
    end(l);
}

/* The call alone must not wait for a pipe or a socket: O_NONBLOCK would be set for all who share
 * it. Pipes know that from Linux 6.4 on, and files do not wait. */
static ssize_t write_at_once(const struct iovec *parts, int len) {
    struct stat is;
    if (fstat(STDERR_FILENO, &is) == 0 && (S_ISFIFO(is.st_mode) || S_ISSOCK(is.st_mode))) {
        ssize_t written = pwritev2(STDERR_FILENO, parts, len, -1, RWF_NOWAIT);
        if (written >= 0 || errno == EAGAIN || errno == EINTR)
            return written;
    }
    return writev(STDERR_FILENO, parts, len);
}

/* Under the lock. Does not block: what poll calls writable takes PIPE_BUF bytes whole, and nobody
 * else of this process has the room meanwhile; if another process had, the line is told so. */
static outcome try_write(line *l) {
    struct pollfd fd = {.fd = STDERR_FILENO, .events = POLLOUT};
    const uint64_t lost_now = atomic_load(&lost);
    line notice;
    ssize_t written;
    int ready;
    do
        ready = poll(&fd, 1, 0);
    while (ready < 0 && errno == EINTR); /* a signal is no room */
    if (ready == 0)
        return FULL;
    make_notice(&notice, lost_now - lost_told);
    const struct iovec parts[] = {{notice.bytes, notice.len}, {l->bytes, l->len}};
    do
        written = write_at_once(parts, 2);
    while (written < 0 && errno == EINTR);
    if (written < 0)
        return errno == EAGAIN ? FULL : FAILED;
    lost_told = lost_now;
    return WRITTEN;
}

/* False: the time to wait is over. */
static bool wait_for_room(void) {
    uint64_t until_ns = waits_always ? UINT64_MAX : atomic_load(&wait_until_ns);
    struct pollfd fd = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (until_ns == 0 || qr_clock_ns() >= until_ns)
        return false;
    poll(&fd, 1, LOOK_MS);
    return true;
}

static void write_line(line *l) {
    outcome is;
    do {
        pthread_mutex_lock(&writing);
        is = try_write(l);
        pthread_mutex_unlock(&writing);
    } while (is == FULL && wait_for_room());
    if (is != WRITTEN)
        atomic_fetch_add(&lost, 1);
}

static void finish(line *l) {
    if (log_sink != NULL) {
        l->bytes[l->len] = '\0';
        log_sink(sink_state, l->level, (qr_text){l->bytes, l->len});
        return;
    }
    end(l);
    write_line(l);
}

void qr_log_wait_until(uint64_t ns) {
    atomic_store(&wait_until_ns, ns);
}

void qr_log_wait_always(void) {
    waits_always = true;
}

uint64_t qr_log_lost(void) {
    return atomic_load(&lost);
}

void qr_log_plain(qr_text text) {
    line l = {.len = 0};
    put(&l, text.data, text.len);
    l.bytes[l.len++] = '\n';
    write_line(&l);
}

void qr_log(qr_log_level level, const char *format, ...) {
    if (!qr_log_enabled(level))
        return;
    char message[LINE_BYTES];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(message, sizeof message, format, args);
    va_end(args);
    line l;
    begin(&l, level, (qr_text){message, n < 0 ? 0 : qr_min((size_t)n, sizeof message - 1)});
    finish(&l);
}

/* Whole numbers without a point: counts and bytes are doubles here too. JSON has no word for
 * infinities and NaN. */
static void put_number(line *l, double number) {
    if (!isfinite(number))
        put(l, "null", 4);
    else if (number == floor(number) && fabs(number) < 1e15)
        put_format(l, "%.0f", number);
    else
        put_format(l, "%.6g", number);
}

void qr_log_fields(qr_log_level level, const char *event, const qr_log_field *fields,
                   size_t count) {
    if (!qr_log_enabled(level))
        return;
    line l;
    begin(&l, level, qr_text_of(event));
    for (size_t i = 0; i < count; i++) {
        const qr_log_field *f = &fields[i];
        put_format(&l, l.json ? ",\"%s\":" : " %s=", f->key);
        if (f->text.data == NULL) {
            put_number(&l, f->number);
        } else {
            put(&l, "\"", l.json ? 1 : 0);
            put_escaped(&l, f->text);
            put(&l, "\"", l.json ? 1 : 0);
        }
    }
    finish(&l);
}
