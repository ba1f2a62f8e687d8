#include "ptx_warp.h"
#include "ptx_arithmetic.h"
#include <cstring>

using emulated::LANES;

namespace ptx {

void all_of_warp(uint32_t mask, place where) {
    if (mask != ~0u)
        emulated::fail(where, "the mask of members is %08x, and not of all lanes", mask);
}

/* --- shfl.sync --- */

struct shuffled {
    uint32_t value, b, c;
    uint32_t result, in_range;
};

/* The source is lane j; where that is beyond the segment's last lane, the lane keeps its own. */
template <class F> static void exchange(void *const operands[LANES], F source) {
    for (uint32_t lane = 0; lane < LANES; lane++) {
        auto *own = static_cast<shuffled *>(operands[lane]);
        const uint32_t segment = own->c >> 8 & 31, clamp = own->c & 31;
        const uint32_t last = (lane & segment) | (clamp & ~segment);
        const uint32_t j = source(lane, own->b & 31, segment);
        own->in_range = j <= last;
        own->result = static_cast<shuffled *>(operands[own->in_range ? j : lane])->value;
    }
}

void exchange_bfly(void *const operands[LANES]) {
    exchange(operands, [](uint32_t lane, uint32_t b, uint32_t) { return lane ^ b; });
}

void exchange_idx(void *const operands[LANES]) {
    exchange(operands, [](uint32_t lane, uint32_t b, uint32_t segment) {
        return (lane & segment) | (b & ~segment & 31);
    });
}

void shuffle(uint32_t *slots, const op &o, emulated::collective exchange_all, place where) {
    all_of_warp(slots[o.x[5]], where);
    shuffled own = {slots[o.x[2]], slots[o.x[3]], slots[o.x[4]], 0, 0};
    emulated::meet(exchange_all, "shfl.sync", &own, where);
    slots[o.x[0]] = own.result;
    slots[o.x[1]] = own.in_range;
}

/* --- ldmatrix --- */

struct loaded {
    uint16_t row[8]; /* lane 8 m + r: row r of matrix m */
    uint32_t result[4];
};

/* Lane l gets the elements (l / 4, 2 * (l % 4)) and the one behind it of each matrix, the first in
 * the lower half; transposed, rows and columns trade names. */
template <bool transposed> static void deal(void *const operands[LANES]) {
    for (uint32_t m = 0; m < 4; m++) {
        const uint16_t *rows[8];
        for (uint32_t r = 0; r < 8; r++)
            rows[r] = static_cast<const loaded *>(operands[8 * m + r])->row;
        for (uint32_t lane = 0; lane < LANES; lane++) {
            const uint32_t i = lane / 4, j = 2 * (lane % 4);
            const uint32_t low = transposed ? rows[j][i] : rows[i][j];
            const uint32_t high = transposed ? rows[j + 1][i] : rows[i][j + 1];
            static_cast<loaded *>(operands[lane])->result[m] = high << 16 | low;
        }
    }
}

void deal_matrices(void *const operands[LANES]) {
    deal<false>(operands);
}

void deal_transposed(void *const operands[LANES]) {
    deal<true>(operands);
}

void load_matrices(uint32_t *slots, const op &o, const void *row, emulated::collective deal_all,
                   place where) {
    loaded own;
    memcpy(own.row, row, sizeof own.row);
    emulated::meet(deal_all, "ldmatrix", &own, where);
    for (int m = 0; m < 4; m++)
        slots[o.x[m]] = own.result[m];
}

/* --- mma --- */

struct multiplied {
    uint32_t a[4], b[2];
    float c[4], d[4];
};

struct matrices {
    uint16_t a[16][16], b[16][8];
    float c[16][8];
};

/* Fragments: element i of a lane's a is in the lower (i even) or upper half of its register i / 2.
 * The ISA: groupID = lane >> 2, threadID_in_group = lane % 4. */
static uint32_t a_row(uint32_t lane, uint32_t i) {
    return i < 2 || (i >= 4 && i < 6) ? lane >> 2 : (lane >> 2) + 8;
}
static uint32_t a_column(uint32_t lane, uint32_t i) {
    return i < 4 ? lane % 4 * 2 + (i & 1) : lane % 4 * 2 + (i & 1) + 8;
}
static uint32_t b_row(uint32_t lane, uint32_t i) {
    return i < 2 ? lane % 4 * 2 + (i & 1) : lane % 4 * 2 + (i & 1) + 8;
}
static uint32_t c_row(uint32_t lane, uint32_t i) {
    return i < 2 ? lane >> 2 : (lane >> 2) + 8;
}
static uint32_t c_column(uint32_t lane, uint32_t i) {
    return lane % 4 * 2 + (i & 1);
}

static void gather(void *const operands[LANES], matrices &all) {
    for (uint32_t lane = 0; lane < LANES; lane++) {
        const auto *own = static_cast<const multiplied *>(operands[lane]);
        for (uint32_t i = 0; i < 8; i++)
            all.a[a_row(lane, i)][a_column(lane, i)] = (uint16_t)(own->a[i / 2] >> (i & 1) * 16);
        for (uint32_t i = 0; i < 4; i++) {
            all.b[b_row(lane, i)][lane >> 2] = (uint16_t)(own->b[i / 2] >> (i & 1) * 16);
            all.c[c_row(lane, i)][c_column(lane, i)] = own->c[i];
        }
    }
}

template <float widened(uint16_t)>
static inline __attribute__((always_inline)) void product(matrices &all) {
    float a[16][16], b[16][8];
    for (int m = 0; m < 16; m++)
        for (int k = 0; k < 16; k++)
            a[m][k] = widened(all.a[m][k]);
    for (int k = 0; k < 16; k++)
        for (int n = 0; n < 8; n++)
            b[k][n] = widened(all.b[k][n]);
    for (int m = 0; m < 16; m++)
        for (int k = 0; k < 16; k++)
            for (int n = 0; n < 8; n++)
                all.c[m][n] += a[m][k] * b[k][n];
}

#if defined(__x86_64__)
template <float widened(uint16_t)>
__attribute__((target("avx2,fma"))) static void product_wide(matrices &all) {
    product<widened>(all);
}
static const bool has_wide = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif

template <float widened(uint16_t)> static void product_here(matrices &all) {
#if defined(__x86_64__)
    if (has_wide)
        return product_wide<widened>(all);
#endif
    product<widened>(all);
}

static void multiply_all(void *const operands[LANES], void (*add_product)(matrices &)) {
    matrices all;
    gather(operands, all);
    add_product(all);
    for (uint32_t lane = 0; lane < LANES; lane++)
        for (uint32_t i = 0; i < 4; i++)
            static_cast<multiplied *>(operands[lane])->d[i] =
                all.c[c_row(lane, i)][c_column(lane, i)];
}

void multiply_f16(void *const operands[LANES]) {
    multiply_all(operands, product_here<float_of_f16>);
}

void multiply_bf16(void *const operands[LANES]) {
    multiply_all(operands, product_here<float_of_bf16>);
}

void multiply(uint32_t *slots, const uint16_t *list, emulated::collective product_all,
              place where) {
    multiplied own;
    for (int i = 0; i < 4; i++) {
        own.a[i] = slots[list[4 + i]];
        own.c[i] = float_of(slots[list[10 + i]]);
    }
    for (int i = 0; i < 2; i++)
        own.b[i] = slots[list[8 + i]];
    emulated::meet(product_all, "mma.sync", &own, where);
    for (int i = 0; i < 4; i++)
        slots[list[i]] = bits_of(own.d[i]);
}

} // namespace ptx
