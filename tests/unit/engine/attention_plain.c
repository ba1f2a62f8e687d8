/* attention_plain.h says what for. */
#include "attention_plain.h"

#include <assert.h>
#include <math.h>

enum { KEYS = ATTENTION_PLAIN_KEYS, WIDTH = ATTENTION_PLAIN_WIDTH };

/* Keys or values as codes, by channel. */
typedef struct coded {
    int code[KEYS][WIDTH]; /* -127 to 127 */
    float middle[WIDTH], scale[WIDTH];
} coded;

static void encode(const float *x, const qr__attention *a, coded *out) {
    for (size_t d = 0; d < a->D; d++) {
        float low = x[d], high = x[d];
        for (size_t j = 0; j < a->keys; j++) {
            low = fminf(low, x[j * a->ld_kv + d]);
            high = fmaxf(high, x[j * a->ld_kv + d]);
        }
        const float scale = (high - low) * (1 / 254.0f);
        out->middle[d] = fmaf(0.5f, low, 0.5f * high);
        out->scale[d] = scale;
        for (size_t j = 0; j < a->keys; j++)
            out->code[j][d] = (int)rintf((x[j * a->ld_kv + d] - out->middle[d]) * (1.0f / scale));
    }
}

/* 2^x to degree 3 above its floor; x is above -125. */
static float power_of(float x) {
    const float n = floorf(x), r = x - n;
    float p = fmaf(0.0780245215f, r, 0.226067156f);
    p = fmaf(p, r, 0.695833564f);
    return ldexpf(fmaf(p, r, 0.999925196f), (int)n);
}

/* Codes of one query's powers, 0 to 254, and their sum. */
static float find_powers(const float *q, const qr__attention *a, const coded *keys, int *code) {
    float value[WIDTH], most = 0, place[4] = {0};
    for (size_t d = 0; d < a->D; d++) {
        value[d] = q[d] * keys->scale[d];
        most = fmaxf(most, fabsf(value[d]));
    }
    const float scale = most / 127.0f;
    int score[KEYS], largest = INT32_MIN;
    for (size_t j = 0; j < a->keys; j++) {
        score[j] = 0;
        for (size_t d = 0; d < a->D; d++)
            score[j] += (int)rintf(value[d] * (127.0f / most)) * (keys->code[j][d] + 128);
        largest = largest > score[j] ? largest : score[j];
    }
    const float offset = fmaf(-(float)largest, scale, 7.98868469f);
    for (size_t j = 0; j < a->keys; j++) {
        const float x = fmaf((float)score[j], scale, offset);
        const float before = rintf(place[j % 4]);
        place[j % 4] += power_of(fmaxf(x, -125.0f));
        code[j] = (int)(rintf(place[j % 4]) - before);
    }
    return rintf(place[0]) + rintf(place[1]) + rintf(place[2]) + rintf(place[3]);
}

void attention_plain_int8(const qr__attention *a) {
    static coded keys, values;
    assert(a->keys <= KEYS && a->D <= WIDTH);
    encode(a->k, a, &keys);
    encode(a->v, a, &values);
    for (size_t q = 0; q < a->queries; q++) {
        int code[KEYS];
        const float share = 1.0f / find_powers(a->q + q * a->ld_q, a, &keys, code);
        for (size_t d = 0; d < a->D; d++) {
            int sum = 0;
            for (size_t j = 0; j < a->keys; j++)
                sum += code[j] * values.code[j][d];
            a->out[q * a->ld_out + d] = fmaf((float)sum * share, values.scale[d], values.middle[d]);
        }
    }
}
