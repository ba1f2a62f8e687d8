/* tests: what transformers computed (tests/golden/engine, made by tools/make_goldens.py), and the
 * models it computed it with. */
#ifndef QR_TESTS_GOLDEN_H
#define QR_TESTS_GOLDEN_H

#include "engine/engine.h"
#include "model_maker.h"

#define GOLDEN_OUTPUTS 5

struct golden {
    qr_batch batch;
    size_t tokens;
    struct {
        const float *numbers; /* NULL: the golden has not this output */
        size_t count;
    } outputs[GOLDEN_OUTPUTS]; /* by qr_output */
    uint32_t *skip;            /* batch.skip, owned; NULL: none */
    char *file;                /* owns all of the above */
};

/* A model that a golden was made with: random (options.layers > 0) or a directory of the
 * repository. */
struct golden_model {
    const char *name; /* of the golden file */
    struct model_options options;
    const char *dir;
};

/** All goldens; ends with a NULL name. Those of models/minilm come last. */
extern const struct golden_model golden_models[];

void golden_load(const char *name, struct golden *out);
void golden_deinit(struct golden *golden);

/** The model's directory, made in `temp` when it is a random one; NULL: models/minilm has not been
 * fetched, or the model is large and this build is for an emulator. */
const char *golden_model_dir(const struct golden_model *model, const char *temp, char out[512]);

/** max |a - b|; infinite when a number is not finite. */
double max_difference(const float *a, const float *b, size_t count);

#endif
