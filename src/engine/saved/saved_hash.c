/* engine/saved/saved_hash.c: libxxhash's XXH3. */
#include "engine/saved/saved_hash.h"

#include <xxhash.h>

/* The library's state, under our name. */
static XXH3_state_t *state_of(qr__saved_hash *hash) {
    return (XXH3_state_t *)(void *)hash;
}

qr__saved_hash *qr__saved_hash_create(void) {
    XXH3_state_t *state = XXH3_createState();
    if (state != NULL)
        XXH3_128bits_reset(state);
    return (qr__saved_hash *)(void *)state;
}

void qr__saved_hash_add(qr__saved_hash *hash, const void *data, size_t bytes) {
    if (bytes > 0)
        XXH3_128bits_update(state_of(hash), data, bytes);
}

void qr__saved_hash_digest(const qr__saved_hash *hash, qr__saved_digest *out) {
    XXH128_canonical_t canonical;
    _Static_assert(sizeof canonical == sizeof out->bytes, "a digest is 16 bytes");
    XXH128_canonicalFromHash(&canonical,
                             XXH3_128bits_digest((const XXH3_state_t *)(const void *)hash));
    memcpy(out->bytes, canonical.digest, sizeof out->bytes);
}

void qr__saved_hash_destroy(qr__saved_hash *hash) {
    XXH3_freeState(state_of(hash));
}
