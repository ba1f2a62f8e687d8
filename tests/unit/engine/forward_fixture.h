/* tests: engines over the random models of model_maker.h, pools, and ragged batches. */
#ifndef QR_TESTS_FORWARD_FIXTURE_H
#define QR_TESTS_FORWARD_FIXTURE_H

#include "engine/engine.h"
#include "model_maker.h"

/** Instruction sets that this machine runs; NULL ends them. */
const char *const *forward_isas(void);

/** False where `isa` has no kernel for `precision`. */
bool forward_has(const char *isa, qr_precision precision);

/** Opens the model in `dir` and makes an engine of it. */
qr_status forward_create(const char *dir, const qr_engine_options *options, qr_engine **out,
                         qr_error *error);

/** The same for one precision and instruction set (NULL: the best), or the test fails. */
qr_engine *forward_load(const char *dir, qr_precision precision, const char *isa);

/** `members` - 1 helpers; NULL for one member. */
qr_pool *forward_pool(int members);

/** A context for 512 tokens and 64 sequences. */
qr_context *forward_context(const qr_engine *engine, qr_pool *pool);

struct forward_batch {
    int32_t ids[512];
    uint8_t types[512];
    uint32_t starts[65];
    qr_batch batch; /* of the above */
};

/** Sequences of these lengths (0 ends them) with ids and types drawn from `seed`. */
void forward_draw(struct forward_batch *out, const qr_model_info *model, const size_t *lengths,
                  unsigned seed);

/** A small generator with a state, so that tests do not depend on libc's. */
unsigned forward_random(unsigned *state, unsigned below);

#endif
