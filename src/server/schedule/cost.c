/* server/schedule/cost.c: Newton's interpolation through three points, and a line with what a long
 * text costs above it. */
#include "server/schedule/cost.h"

static double slope(const qr_cost_sample *a, const qr_cost_sample *b) {
    return (b->ns - a->ns) / (double)(b->tokens - a->tokens);
}

static double positive(double x) {
    return x > 0 ? x : 0;
}

qr_cost qr_cost_fit(const qr_cost_sample samples[3]) {
    const qr_cost_sample *a = &samples[0], *b = &samples[1], *c = &samples[2];
    double A = (double)a->tokens, B = (double)b->tokens, C = (double)c->tokens;
    qr_cost cost = {0};
    if (A == B || B == C)
        return (qr_cost){.token_ns = c->ns / C};
    cost.square_ns = positive((slope(b, c) - slope(a, b)) / (C - A));
    cost.token_ns = positive(slope(a, b) - cost.square_ns * (A + B));
    cost.fixed_ns = positive(a->ns - cost.token_ns * A - cost.square_ns * A * A);
    return cost;
}

qr_cost qr_cost_fit_batches(const qr_cost_batches *b) {
    double few = (double)b->short_tokens, many = (double)b->full_tokens, S = (double)b->long_tokens;
    qr_cost cost = {0};
    if (many > few)
        cost.token_ns = positive((b->full_ns - b->short_ns) / (many - few));
    cost.fixed_ns = positive(b->short_ns - cost.token_ns * few);
    if (S > 0)
        cost.square_ns = positive((b->long_ns - cost.fixed_ns - cost.token_ns * S) / (S * S));
    return cost;
}
