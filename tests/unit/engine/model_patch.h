/* tests: a good little model directory, changed in one place. */
#ifndef QR_TESTS_MODEL_PATCH_H
#define QR_TESTS_MODEL_PATCH_H

#include "engine/model/model.h"
#include "model_maker.h"

/** 1 layer x 4, 2 heads, 6 words, 3 positions, feed-forward 5: the options that the patches below
 * rely on. */
extern const struct model_options tiny_model;

/** Replaces the first `from` in dir/name by `to`; `from` must be there. */
void patch_file(const char *dir, const char *name, const char *from, const char *to);

/** The same in the header of dir/model.safetensors, whose length field follows. */
void patch_header(const char *dir, const char *from, const char *to);

/** Replaces header and data as they are: `length` is what the length field says. */
void write_weights(const char *dir, uint64_t length, qr_text header, const void *data,
                   size_t data_bytes);

/** The header of dir/model.safetensors, NUL behind it; free() it. */
char *read_header(const char *dir, size_t *header_bytes, size_t *data_bytes);

/** Where a tensor stands in `file`, the whole contents of dir/model.safetensors; any address. */
char *tensor_in(const char *dir, char *file, const char *name);

/** Loads, expects success, returns the model. */
qr_bert *load_good(const char *dir);

/** Loads, expects a refusal whose message holds all the texts (NULL-terminated list of at most 3).
 */
void load_refused(const char *dir, const char *const texts[3]);

#endif
