/* tests/unit/engine/test_quantize_weights.c: int8 codes of a column: near the weights, and never
 * more in a group than 16 bits hold. */
#include "engine/cpu/quantize_weights.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#define K_MAX 1600

static uint32_t state = 7;

static float noise(void) {
    state = state * 1664525u + 1013904223u;
    return (float)(int32_t)state / 2147483648.0f;
}

/* Of every group the positive codes' sum and the negative ones', by the rule of the instructions:
 * VPMADDUBSW's pairs, and the pair four bytes on. */
static int fullest_group(const int8_t *codes, size_t K) {
    int fullest = 0;
    for (size_t k = 0; k < K; k += 8)
        for (size_t half = 0; half < 4; half += 2) {
            const int8_t *g = codes + k + half;
            const int four[4] = {g[0], g[1], g[4], g[5]};
            int up = 0, down = 0;
            for (size_t i = 0; i < 4; i++)
                *(four[i] > 0 ? &up : &down) += abs(four[i]);
            fullest = up > fullest ? up : fullest;
            fullest = down > fullest ? down : fullest;
        }
    return fullest;
}

static double worst_error(const float *w, size_t K, float scale, const int8_t *codes) {
    double worst = 0;
    for (size_t k = 0; k < K; k++)
        worst = fmax(worst, fabs((double)w[k] - (double)scale * codes[k]));
    return worst / (double)scale;
}

Test(quantize_weights, one_scale_from_the_greatest_weight) {
    float w[37];
    int8_t codes[37];
    for (size_t k = 0; k < 37; k++)
        w[k] = noise();
    w[11] = -2.54f;
    const float scale = qr__quantize_weights(w, 37, 1, codes);
    cr_assert_float_eq(scale, 0.02f, 1e-8);
    cr_assert_eq(codes[11], -127);
    cr_assert_leq(worst_error(w, 37, scale, codes), 0.5001);
}

Test(quantize_weights, no_group_holds_more_than_16_bits) {
    static const size_t Ks[] = {1, 2, 3, 5, 8, 13, 64, 383, 384, 1536};
    float w[K_MAX];
    int8_t codes[K_MAX];
    size_t cut = 0;
    for (size_t i = 0; i < sizeof Ks / sizeof Ks[0]; i++)
        for (size_t round = 0; round < 50; round++) {
            const size_t K = Ks[i];
            for (size_t k = 0; k < K; k++) /* round % 3: flat, like trained weights, few large */
                w[k] = powf(fabsf(noise()), (float)(1 + 2 * (round % 3))) * (noise() < 0 ? -1 : 1);
            memset(codes, 0x55, sizeof codes);
            const float scale = qr__quantize_weights(w, K, 4, codes);
            cr_assert_leq(fullest_group(codes, qr_round_up(K, 8)), 128);
            for (size_t k = K; k < qr_round_up(K, 8); k++)
                cr_assert_eq(codes[k], 0);
            cr_assert_eq(codes[qr_round_up(K, 8)], 0x55, "wrote behind its end");
            const double error = worst_error(w, K, scale, codes);
            cr_assert_leq(error, 1.5001, "K %zu round %zu: %g", K, round, error);
            cut += error > 0.5001;
        }
    cr_assert_gt(cut, 0, "no group was ever rounded above its bound: the rule went untested");
}

/* The scale is no coarser than the fullest group asks for: signs do not add up. */
Test(quantize_weights, opposite_signs_share_a_group) {
    const float w[8] = {100, -100, 0, 0, 28, -28, 0, 0};
    int8_t codes[8];
    cr_assert_float_eq(qr__quantize_weights(w, 8, 4, codes), 1, 1e-6);
    cr_assert_arr_eq(codes, ((int8_t[]){100, -100, 0, 0, 28, -28, 0, 0}), 8);
    const float same[8] = {0, 0, 127, 127, 0, 0, 127, 127};
    cr_assert_float_eq(qr__quantize_weights(same, 8, 4, codes), 508.0f / 128, 1e-6);
    cr_assert_arr_eq(codes, ((int8_t[]){0, 0, 32, 32, 0, 0, 32, 32}), 8);
}

Test(quantize_weights, next_to_nothing_is_zero) {
    float w[9] = {0};
    int8_t codes[16];
    for (size_t group = 1; group <= 4; group += 3) {
        memset(codes, 1, sizeof codes);
        w[4] = 0;
        cr_assert_eq(qr__quantize_weights(w, 9, group, codes), 0);
        w[4] = 1e-40f;
        cr_assert_eq(qr__quantize_weights(w, 9, group, codes), 0);
        for (size_t k = 0; k < 9; k++)
            cr_assert_eq(codes[k], 0);
        w[4] = 3e38f;
        const float scale = qr__quantize_weights(w, 9, group, codes);
        cr_assert(isfinite(scale) && codes[4] == 127);
    }
}
