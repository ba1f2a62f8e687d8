/* server/schedule/cost.h: what a batch costs one worker.
 *
 *     ns = fixed + token * T + square * (sum of S * S)        T tokens, sequences of S tokens
 *
 * The matrices of a layer take time for each token, attention for each pair of tokens of a
 * sequence, and a batch has its own price. Threads: pure.
 */
#ifndef QR_SERVER_SCHEDULE_COST_H
#define QR_SERVER_SCHEDULE_COST_H

#include "base/base.h"

/** Nanoseconds of one worker without help. Zeroed: nothing is known, all is free. */
typedef struct qr_cost {
    double fixed_ns, token_ns, square_ns;
} qr_cost;

/** The time that one sequence of so many tokens took, alone. */
typedef struct qr_cost_sample {
    size_t tokens;
    double ns;
} qr_cost_sample;

/** The cost that passes through three samples, the shortest first; where a term would be negative
 * it is 0. Of lengths that do not differ only the last is used, for a price a token. */
qr_cost qr_cost_fit(const qr_cost_sample samples[3]);

/** The same for a device whose batches cost about as much as one text, up to some hundred tokens:
 * a short text alone, a full batch of such texts, and one long text. What lies between is taken for
 * a straight line, which is more than it costs. */
typedef struct qr_cost_batches {
    size_t short_tokens, full_tokens, long_tokens;
    double short_ns, full_ns, long_ns;
} qr_cost_batches;

/** The cost of these three; where a term would be negative it is 0. */
qr_cost qr_cost_fit_batches(const qr_cost_batches *batches);

/** What a sequence adds to a batch. */
static inline double qr_cost_job(const qr_cost *cost, size_t tokens) {
    double S = (double)tokens;
    return cost->token_ns * S + cost->square_ns * S * S;
}

#endif
