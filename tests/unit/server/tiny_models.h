/* tests: models that load in a millisecond: one layer of random weights and a vocabulary of 200
 * words, "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "w5" to "w199". */
#ifndef QR_TESTS_SERVER_TINY_MODELS_H
#define QR_TESTS_SERVER_TINY_MODELS_H

#include "server/serving.h"

#define TINY_WORDS     200
#define TINY_HIDDEN    32
#define TINY_POSITIONS 64

/** A model of that kind, at f32 (returns owned). Another seed gives other weights; a classifier has
 * three labels. */
qr_pipeline *tiny_model(const char *name, qr_kind kind, uint64_t seed);

/** A generation of these models, each named as its pipeline (takes them); `options` NULL: for one
 * worker. */
qr_serving *tiny_serving(qr_pipeline *const *models, size_t len, const qr__served_options *options);

/** The same as a directory of its own, for those who load it more than once. */
void tiny_model_write(char dir[64], qr_kind kind, uint64_t seed);
void tiny_model_remove(const char *dir);

#endif
