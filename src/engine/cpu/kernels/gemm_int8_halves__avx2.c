/* engine/cpu/kernels/gemm_int8_halves__avx2.c: u8 activations x s8 weights for CPUs that have one
 * unit for the multiplication of integers (AMD's Zen, Zen+ and Zen 2), a row at a time.
 *
 * There gemm_int8__avx2.c waits for that unit, where each eight values of k take three
 * instructions: VPMADDUBSW twice, and VPMADDWD only to add a sum's two halves of 16 bits. Here the
 * halves are added without it. Both are moved up by 2^15, so that they count from 0 and lend
 * nothing to each other; `all` adds them up as one number, high * 2^16 + low, and `high` the upper
 * ones alone, so that
 *
 *     sum of both = all - high * 2^16 + high - 2 * 2^15 * steps        modulo 2^32
 *
 * which is exact, since the true sum fits in 32 bits (quantize_weights.h). That is seven
 * instructions for five, of which two wait for the unit instead of three.
 *
 * It pays only as long as the unit never waits for anything else, and the scheduler is small. So a
 * step of one column vector, a `unit` here, is spread over the four that follow it, in an order
 * that was found by trial (docs/KERNELS.md, "One multiplier"); all is `asm volatile`, which gcc
 * keeps in order. One row needs few sums and leaves the registers to units on their way; its panel
 * comes from L1 for every row but the first, which takes less time than the multiplications. */
#include "engine/cpu/kernels/vec_avx2.h"

#include "engine/cpu/kernels/gemm_shared_body.h"
#include "engine/cpu/kernels/quantize.h"

#define QR_INT8_ROWS_MAX 1

#define STEP_BYTES       128 /* of a panel: eight values of k of 16 columns */
#define ROW_BYTES        8
#define TURN             4 /* steps that the main loop takes at once */
#define UNITS            (2 * TURN)

/* What units that follow each other have on their way, by their number. */
typedef struct units {
    __m256i first[UNITS];  /* of each column the products of k and k + 1, and of k + 2 and k + 3,
                              16 bits each; with the second's, moved up; the upper alone */
    __m256i second[UNITS]; /* of the next four k */
} units;

/* A row's sums of one panel. */
typedef struct row_sums {
    __m256i all[2], high[2]; /* of each column vector */
} row_sums;

QR_INLINE __m256i four_codes(const char *row) {
    __m256i x;
    __asm__ volatile("vpbroadcastd %1, %0" : "=x"(x) : "m"(*(const char(*)[4])row));
    return x;
}

QR_INLINE __m256i products(__m256i codes, const char *weights) {
    __m256i x;
    __asm__ volatile("vpmaddubsw %2, %1, %0"
                     : "=x"(x)
                     : "x"(codes), "m"(*(const char(*)[32])weights));
    return x;
}

QR_INLINE __m256i moved_up(__m256i x) {
    const __m256i sign = _mm256_set1_epi16(INT16_MIN);
    __m256i up;
    __asm__ volatile("vpxor %2, %1, %0" : "=x"(up) : "x"(x), "x"(sign));
    return up;
}

QR_INLINE __m256i add_halves(__m256i x, __m256i y) {
    __m256i sum;
    __asm__ volatile("vpaddw %2, %1, %0" : "=x"(sum) : "x"(x), "x"(y));
    return sum;
}

QR_INLINE __m256i add(__m256i x, __m256i y) {
    __asm__ volatile("vpaddd %1, %0, %0" : "+x"(x) : "x"(y));
    return x;
}

QR_INLINE __m256i upper(__m256i x) {
    __m256i half;
    __asm__ volatile("vpsrld $16, %1, %0" : "=x"(half) : "x"(x));
    return half;
}

/* A unit's sums of 16 bits, added at once. */
QR_INLINE void add_unit(row_sums *sums, const size_t vector, __m256i first, __m256i second) {
    const __m256i both = add_halves(moved_up(first), second);
    sums->all[vector] = add(sums->all[vector], both);
    sums->high[vector] = add(sums->high[vector], upper(both));
}

/* Multiplies for unit u of a turn; adds for the four before it. */
QR_INLINE void unit(const size_t u, units *on, row_sums *sums, __m256i codes[2], const char *row,
                    const char *panel) {
    const size_t vector = u % 2;
    const size_t two_before = (u + UNITS - 2) % UNITS, three_before = (u + UNITS - 3) % UNITS;
    const size_t four_before = (u + UNITS - 4) % UNITS;
    row += u / 2 * ROW_BYTES;
    panel += u / 2 * STEP_BYTES + vector * 32;
    if (vector == 0)
        codes[0] = four_codes(row);
    on->first[u] = products(codes[0], panel);
    sums->all[1 - vector] = add(sums->all[1 - vector], on->first[three_before]);
    if (vector == 0)
        codes[1] = four_codes(row + 4);
    on->second[u] = products(codes[1], panel + 64);
    sums->high[vector] = add(sums->high[vector], on->first[four_before]);
    on->first[two_before] = add_halves(moved_up(on->first[two_before]), on->second[two_before]);
    on->first[three_before] = upper(on->first[three_before]);
}

/* The rest of what the last four units of a turn have on their way. */
QR_INLINE void finish_units(units *on, row_sums *sums) {
    sums->high[0] = add(sums->high[0], on->first[UNITS - 4]);
    sums->all[1] = add(sums->all[1], on->first[UNITS - 3]);
    sums->high[1] = add(sums->high[1], upper(on->first[UNITS - 3]));
    for (size_t vector = 0; vector < 2; vector++)
        add_unit(sums, vector, on->first[UNITS - 2 + vector], on->second[UNITS - 2 + vector]);
}

/* One step without a thought of the next, for what is less than a turn. */
QR_INLINE void lone_step(row_sums *sums, const char *row, const char *panel) {
    for (size_t vector = 0; vector < 2; vector++) {
        const char *weights = panel + vector * 32;
        const __m256i first = products(four_codes(row), weights);
        add_unit(sums, vector, first, products(four_codes(row + 4), weights + 64));
    }
}

/* `turns` turns of a row that reads the panel alone, or of one of several. The units before the
 * first are zero: two of them are added as a step of its own, the two before them as nothing. */
QR_INLINE const char *row_turns(const bool alone, size_t turns, const char *row, const char *panel,
                                prefetch *ahead, row_sums *sums) {
    units on;
    __m256i codes[2];
    QR_UNROLL
    for (size_t u = UNITS - 4; u < UNITS; u++)
        on.first[u] = on.second[u] = _mm256_setzero_si256();
    for (; turns > 0; turns--) {
        if (!alone)
            prefetch_share(ahead, TURN * STEP_BYTES);
        QR_UNROLL
        for (size_t u = 0; u < UNITS; u++) {
            if (alone && u % 2 == 0)
                prefetch_lines(panel + u / 2 * STEP_BYTES + QR_GEMM_AHEAD, STEP_BYTES);
            unit(u, &on, sums, codes, row, panel);
        }
        row += TURN * ROW_BYTES;
        panel += TURN * STEP_BYTES;
    }
    finish_units(&on, sums);
    return panel;
}

/* sums[0][columns] = codes of one row * those of one panel. */
QR_INLINE void tile_sums(const size_t rows, const qr__gemm_shape *shape, const char *operand,
                         const char *panel, prefetch *stream, __m256i sums[][2]) {
    const size_t steps = shape->steps * 4 / ROW_BYTES, turns = steps / TURN;
    prefetch ahead = *stream;
    row_sums row;
    row.all[0] = row.all[1] = row.high[0] = row.high[1] = _mm256_setzero_si256();
    if (ahead.every == 1)
        panel = row_turns(true, turns, operand, panel, &ahead, &row);
    else
        panel = row_turns(false, turns, operand, panel, &ahead, &row);
    *stream = ahead;
    operand += turns * TURN * ROW_BYTES;
    for (size_t left = steps % TURN; left > 0; left--) {
        lone_step(&row, operand, panel);
        operand += ROW_BYTES;
        panel += STEP_BYTES;
    }
    const __m256i moved = _mm256_set1_epi32((int)(uint32_t)((steps + 1) << 16));
    for (size_t vector = 0; vector < rows * 2; vector++) {
        const __m256i low =
            _mm256_sub_epi32(row.all[vector], _mm256_slli_epi32(row.high[vector], 16));
        sums[0][vector] = _mm256_sub_epi32(_mm256_add_epi32(low, row.high[vector]), moved);
    }
}

static size_t blocks_of(size_t rows) {
    return rows;
}

static size_t rows_of_next(size_t left, size_t blocks) {
    (void)left;
    (void)blocks;
    return 1;
}

#define QR_GEMM_NAME qr__gemm_int8_halves__avx2
#include "engine/cpu/kernels/gemm_int8_256_body.h"
