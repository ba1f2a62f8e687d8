/* tests: generations of one tiny model that come and go, and what each must answer. */
#ifndef QR_TESTS_SERVER_SERVING_FIXTURE_H
#define QR_TESTS_SERVER_SERVING_FIXTURE_H

#include "server/serving.h"
#include "server/tiny_models.h"

#define SEEDS                                                                                      \
    3 /* generations differ by their weights' seed, and are named after it: "seed-0", ... */
#define INPUTS 4

extern const qr_text fixture_inputs[INPUTS]; /* texts of the tiny vocabulary */

/** Computes what each seed's model answers to each input, alone. */
void fixture_expect(void);
void fixture_forget(void);

/** The floats of an answer; TINY_HIDDEN of them, not normalised. */
const float *fixture_expected(size_t seed, size_t input);

/** The token ids of an input. */
const int32_t *fixture_ids(size_t input, size_t *len);

/** A generation of the seed's model, for that many workers of the schedule; `checked` as
 * qr__served_options has it. */
qr_serving *fixture_serving(size_t seed, int workers, qr_schedule *schedule, qr_metrics *metrics,
                            bool checked);

/** The seed's model, for who puts generations together; `options` NULL: for one worker. */
qr_served *fixture_served(size_t seed, const qr__served_options *options);

/** The same for one worker, under another name than its seed's. */
qr_served *fixture_served_as(const char *name, size_t seed);

/** Which seed a generation, or a model by its name, has. */
size_t fixture_seed_of(const char *model_name);

#endif
