/* recognise/hash.h: hashes, for tables that live as long as a reading. Private to recognise/. */
#ifndef QR_ENGINE_MODEL_RECOGNISE_HASH_H
#define QR_ENGINE_MODEL_RECOGNISE_HASH_H

#include "engine/model/recognise/reading.h"

/** FNV-1a of bytes. */
static inline uint64_t qr__hash(const void *data, size_t len) {
    const uint8_t *bytes = data;
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < len; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return hash;
}

/** Of a tensor's shape and first numbers; NULL: 0. */
static inline uint64_t qr__hash_tensor(const qr_onnx_tensor *tensor) {
    if (tensor == NULL)
        return 0;
    uint64_t hash = qr__hash(tensor->shape, tensor->rank * sizeof *tensor->shape);
    for (size_t i = 0; i < tensor->count && i < 64; i++) {
        const double number = qr__number(tensor, i);
        hash = 31 * hash + qr__hash(&number, sizeof number);
    }
    return hash;
}

#endif
