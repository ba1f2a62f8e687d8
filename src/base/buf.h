/* base/buf.h: a byte buffer that grows, born with its maximum.
 *
 *     qr_buf out;
 *     qr_buf_init(&out, QR_LIMIT_RESPONSE_BYTES);
 *     qr_buf_literal(&out, "{\"error\":");
 *     if (qr_buf_failed(&out)) ...                 // one check at the end is enough
 *     qr_buf_deinit(&out);
 *
 * A failed append (maximum reached, no memory, no room in the quota) leaves the contents as they
 * were and sets a flag that stays until qr_buf_reset, so writers check once. Not thread-safe.
 */
#ifndef QR_BASE_BUF_H
#define QR_BASE_BUF_H

#include "base/quota.h"
#include "base/text.h"

typedef struct qr_buf {
    char *data; /* owned; not NUL-terminated */
    size_t len;
    size_t capacity;
    size_t max_bytes;
    qr_quota *quota; /* what its capacity is taken from (borrowed); NULL: none */
    bool vital;      /* it takes what it needs whether or not there is room; until a reset */
    bool failed;
    size_t refused_bytes; /* that the quota had no room for, since a reset */
} qr_buf;

/** An empty buffer that may never grow above `max_bytes`, of no quota. Allocates nothing. */
void qr_buf_init(qr_buf *buf, size_t max_bytes);

/** Gives the memory back; the buffer may be used again, with the same maximum and quota. */
void qr_buf_deinit(qr_buf *buf);

/** Empties it, forgets a failure, and is not vital any more; memory is kept. */
void qr_buf_reset(qr_buf *buf);

/** As reset, for the next user of a buffer that is used again and again: what is long
 * (QR_QUOTA_SMALL_BYTES) or its quota short of gives its memory back. */
void qr_buf_recycle(qr_buf *buf);

/** Makes room for `bytes` more and returns where to write them, or NULL (and fails). The caller
 * adds to `len` what it wrote. */
char *qr_buf_reserve(qr_buf *buf, size_t bytes);

/** Appends `len` bytes; `data` may be NULL when that is 0. */
void qr_buf_append(qr_buf *buf, const void *data, size_t len);

/** As qr_buf_append for a text. */
void qr_buf_text(qr_buf *buf, qr_text text);

/** Appends one byte. */
void qr_buf_byte(qr_buf *buf, char byte);

/** Appends a number in decimal. */
void qr_buf_u64(qr_buf *buf, uint64_t number);

/** Appends as printf does; all of it or nothing. */
void qr_buf_printf(qr_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** As qr_buf_append for a string literal, whose length is known at compile time. */
#define qr_buf_literal(buf, literal) qr_buf_append((buf), (literal), sizeof(literal) - 1)

/** Exchanges two buffers with all that they are; nothing is copied. */
static inline void qr_buf_swap(qr_buf *a, qr_buf *b) {
    qr_buf kept = *a;
    *a = *b;
    *b = kept;
}

/** The contents; borrowed until the buffer changes. */
static inline qr_text qr_buf_contents(const qr_buf *buf) {
    return (qr_text){buf->data, buf->len};
}

/** True when any append since init or reset has failed: the contents are not whole. */
static inline bool qr_buf_failed(const qr_buf *buf) {
    return buf->failed;
}

#endif
