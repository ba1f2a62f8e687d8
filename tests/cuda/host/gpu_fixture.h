/* tests: engines on the GPU of the fake driver (tests/cuda/driver), through the module's binary. */
#ifndef QR_TESTS_GPU_FIXTURE_H
#define QR_TESTS_GPU_FIXTURE_H

#include "driver/fake_cuda.h"
#include "engine/engine.h"
#include "model_maker.h"

/** The fake driver's own calls. */
struct gpu_fake {
    void (*fail)(const char *call, unsigned nth, int code, int sticky);
    unsigned (*calls)(const char *call);
    void (*count_live)(qr_fake_cuda_live *live);
};

/** Loads the fake driver into this process: libcuda.so.1 is this from now on. */
const struct gpu_fake *gpu_fake(void);

/** Loads the fake cuBLASLt too, and takes it for all products. */
void gpu_fake_lt(void);

/** What lives on the device, all kinds together. */
unsigned gpu_live(void);

/** An engine on "cuda", or the test fails. */
qr_engine *gpu_engine(const char *dir, qr_precision precision);

qr_context *gpu_context(const qr_engine *engine, size_t tokens, size_t sequences);

/** A batch on the heap. */
struct gpu_batch {
    int32_t *ids;
    uint8_t *types;
    uint32_t *starts, *skip;
    qr_batch batch; /* of the above */
};

/** Sequences of these lengths (0 ends them), drawn from `seed`; `skipping`: pooling leaves some
 * tokens out. */
void gpu_draw(struct gpu_batch *out, const qr_model_info *model, const size_t *lengths,
              unsigned seed, bool skipping);
void gpu_batch_free(struct gpu_batch *batch);

/** The oracle's numbers for the model in `dir`; free() them. */
float *gpu_expected(const char *dir, const qr_batch *batch, qr_output wanted, size_t *floats);

/** How far two results are apart. */
struct gpu_distance {
    double worst;  /* largest difference, by the largest magnitude of what is expected */
    double cosine; /* of all numbers as one vector */
};
struct gpu_distance gpu_compare(const float *expected, const float *actual, size_t n);

/** A pass gives the oracle's numbers, as near as the precision lets it. GPU_SHOW: how near. */
void gpu_check(const char *dir, qr_context *context, const struct gpu_batch *drawn,
               qr_output wanted, qr_precision precision);

#endif
