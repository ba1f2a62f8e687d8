/* tests/cuda/device/device_model.h: models of random weights in memory and batches for them: what
 * a GPU is tried and timed with where there is nothing but the checkout.
 *
 *     const device_shape shape = {.layers = 3, .hidden = 768, .heads = 12, .feed_forward = 3072};
 *     qr_bert *bert = device_model_create(&shape, 1);
 *     qr_packed *packed;
 *     status = device_pack(bert, QR_PRECISION_F16, &device, &packed, &error);
 *     device_batch *batch = device_batch_create(bert, lengths, 28, 1);
 *
 * Threads: no state.
 */
#ifndef QR_TESTS_DEVICE_MODEL_H
#define QR_TESTS_DEVICE_MODEL_H

#include "engine/backend.h"

typedef struct device_shape {
    const char *name;
    size_t layers, hidden, heads, feed_forward;
    size_t vocab, positions; /* 0: 1000; 512 */
    qr_head head;            /* NONE: mean pooling */
    size_t labels;
    qr_activation activation;
} device_shape;

/** A model with numbers as trained ones have them: norms near 1, and what a product adds to a row
 * is smaller than the row. Ends the program when there is no memory. */
qr_bert *device_model_create(const device_shape *shape, unsigned seed);

/** NULL is allowed. */
void device_model_destroy(qr_bert *bert);

/** Opens the first GPU and packs the model for it, as an engine does. Both are the caller's. */
QR_MUST_USE qr_status device_pack(const qr_bert *bert, qr_precision precision, qr_device **device,
                                  qr_packed **packed, qr_error *error);

typedef struct device_batch {
    qr_batch batch;
    size_t tokens;
    int32_t *ids;
    uint8_t *types;
    uint32_t *starts;
} device_batch;

/** Sequences of these lengths, ids and types at random; ends the program when there is no
 * memory. */
device_batch device_batch_create(const qr_bert *bert, const uint32_t *lengths, size_t sequences,
                                 unsigned seed);
void device_batch_destroy(device_batch *batch);

#endif
