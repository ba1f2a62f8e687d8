/* base/buf.c: growth by doubling, later by a quarter, up to the maximum. */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/checked.h"

#define FIRST_BYTES 256u

/* Of a buffer so long it matters more that little is held in vain; the kernel moves it by moving
 * pages. */
#define DOUBLED_BYTES ((size_t)1 << 20)

void qr_buf_init(qr_buf *buf, size_t max_bytes) {
    *buf = (qr_buf){.max_bytes = max_bytes};
}

void qr_buf_deinit(qr_buf *buf) {
    qr_quota_give(buf->quota, buf->capacity);
    free(buf->data);
    *buf = (qr_buf){.max_bytes = buf->max_bytes, .quota = buf->quota};
}

void qr_buf_reset(qr_buf *buf) {
    buf->len = buf->refused_bytes = 0;
    buf->vital = buf->failed = false;
}

void qr_buf_recycle(qr_buf *buf) {
    if (buf->capacity > QR_QUOTA_SMALL_BYTES || qr_quota_is_short(buf->quota, 0))
        qr_buf_deinit(buf);
    qr_buf_reset(buf);
}

/* To this capacity. False: there is no room, or no memory. */
static bool grow(qr_buf *buf, size_t capacity) {
    size_t more = capacity - buf->capacity;
    if (buf->vital) {
        qr_quota_force(buf->quota, more);
    } else if (!qr_quota_take(buf->quota, more, capacity)) {
        buf->refused_bytes = more;
        return false;
    }
    char *data = realloc(buf->data, capacity);
    if (data == NULL) {
        qr_quota_give(buf->quota, more);
        return false;
    }
    buf->data = data;
    buf->capacity = capacity;
    return true;
}

char *qr_buf_reserve(qr_buf *buf, size_t bytes) {
    size_t need;
    if (buf->failed || !qr_checked_add(buf->len, bytes, &need) || need > buf->max_bytes) {
        buf->failed = true;
        return NULL;
    }
    if (need > buf->capacity || buf->data == NULL) {
        size_t more = buf->capacity < DOUBLED_BYTES ? buf->capacity : buf->capacity / 4;
        size_t capacity = qr_max(qr_max(need, buf->capacity + more), FIRST_BYTES);
        capacity = qr_min(capacity, qr_max(buf->max_bytes, 1));
        if (!grow(buf, capacity)) {
            buf->failed = true;
            return NULL;
        }
    }
    return buf->data + buf->len;
}

void qr_buf_append(qr_buf *buf, const void *data, size_t len) {
    char *to = qr_buf_reserve(buf, len);
    if (to == NULL || len == 0)
        return;
    memcpy(to, data, len);
    buf->len += len;
}

void qr_buf_text(qr_buf *buf, qr_text text) {
    qr_buf_append(buf, text.data, text.len);
}

void qr_buf_byte(qr_buf *buf, char byte) {
    qr_buf_append(buf, &byte, 1);
}

void qr_buf_u64(qr_buf *buf, uint64_t number) {
    char digits[20];
    size_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    qr_buf_append(buf, digits + at, sizeof digits - at);
}

void qr_buf_printf(qr_buf *buf, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int need = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *to = need < 0 ? NULL : qr_buf_reserve(buf, (size_t)need + 1);
    if (to != NULL) {
        vsnprintf(to, (size_t)need + 1, format, again);
        buf->len += (size_t)need;
    } else {
        buf->failed = true;
    }
    va_end(again);
}
