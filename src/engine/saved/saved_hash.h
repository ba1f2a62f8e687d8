/* engine/saved/saved_hash.h: XXH3 of 128 bits over bytes that come piece by piece. Private to
 * saved/; saved_hash.c alone knows the library.
 *
 *     qr__saved_hash *hash = qr__saved_hash_create();          // NULL: no memory
 *     qr__saved_hash_add(hash, data, bytes);
 *     qr__saved_hash_digest(hash, &digest);                    // of all so far
 *     qr__saved_hash_destroy(hash);
 */
#ifndef QR_ENGINE_SAVED_HASH_H
#define QR_ENGINE_SAVED_HASH_H

#include "base/base.h"

typedef struct qr__saved_hash qr__saved_hash;

/** The same bytes on every machine (XXH128_canonical_t). */
typedef struct qr__saved_digest {
    uint8_t bytes[16];
} qr__saved_digest;

/** Of nothing so far. NULL: no memory. */
qr__saved_hash *qr__saved_hash_create(void);

/** `data` may be NULL when `bytes` is 0. */
void qr__saved_hash_add(qr__saved_hash *hash, const void *data, size_t bytes);

/** May be asked for at any time; more may follow. */
void qr__saved_hash_digest(const qr__saved_hash *hash, qr__saved_digest *out);

/** NULL is allowed. */
void qr__saved_hash_destroy(qr__saved_hash *hash);

#endif
