/* What the warp's instructions do, by the layouts of the PTX ISA. */
#include "gpu.h"
#include <type_traits>

#pragma GCC diagnostic ignored "-Wpsabi" // all that takes vectors is inlined
#define ALWAYS_INLINE static inline __attribute__((always_inline))

namespace emulated {

void exchange(void *const operands[LANES]) {
    uint32_t values[LANES];
    for (uint32_t l = 0; l < LANES; l++)
        values[l] = static_cast<shuffle_operands *>(operands[l])->value;
    for (uint32_t l = 0; l < LANES; l++) {
        auto *own = static_cast<shuffle_operands *>(operands[l]);
        own->value = values[own->from];
    }
}

/* Lane l gets of matrix m the elements (l / 4, 2 * (l % 4)) and the next; transposed: of its
 * columns. */
template <int count, bool transposed> static void load_matrices(void *const operands[LANES]) {
    uint16_t rows[count][8][8];
    for (uint32_t l = 0; l < 8 * count; l++)
        memcpy(rows[l / 8][l % 8], static_cast<matrix_operands *>(operands[l])->row, 16);
    for (uint32_t l = 0; l < LANES; l++) {
        uint32_t *r = static_cast<matrix_operands *>(operands[l])->r;
        uint32_t row = l / 4, column = 2 * (l % 4);
        for (uint32_t m = 0; m < (uint32_t)count; m++) {
            uint32_t low = transposed ? rows[m][column][row] : rows[m][row][column];
            uint32_t high = transposed ? rows[m][column + 1][row] : rows[m][row][column + 1];
            r[m] = low | high << 16;
        }
    }
}

template <int count, bool transposed>
void meet_matrices(uint32_t *r, const void *row, const char *what, place where) {
    matrix_operands operands;
    operands.r = r;
    if (current->number % LANES < 8 * count) {
        check_shared(row, what, where);
        memcpy(operands.row, row, 16);
    }
    meet(load_matrices<count, transposed>, what, &operands, where);
}
template void meet_matrices<4, false>(uint32_t *, const void *, const char *, place);
template void meet_matrices<2, false>(uint32_t *, const void *, const char *, place);
template void meet_matrices<4, true>(uint32_t *, const void *, const char *, place);
template void meet_matrices<2, true>(uint32_t *, const void *, const char *, place);

typedef float floats __attribute__((vector_size(32)));
typedef uint32_t words __attribute__((vector_size(32)));
typedef uint16_t halves __attribute__((vector_size(16)));

/* emulated_float.h's widen for eight at once. */
template <class T> ALWAYS_INLINE floats widen8(const uint16_t *at) {
    halves narrow;
    memcpy(&narrow, at, sizeof narrow);
    words bits = __builtin_convertvector(narrow, words);
    if constexpr (std::is_same_v<T, qr_bf16>)
        return (floats)(bits << 16);
    floats scaled = (floats)((bits & 0x7fffu) << 13) * 0x1p112f;
    words special = (words)((bits & 0x7c00u) == 0x7c00u) & 0x7f800000u;
    return (floats)((words)scaled | special | (bits & 0x8000u) << 16);
}

/* c[16][8] += a[16][16] * b[16][8]. */
template <class T>
ALWAYS_INLINE void product(float (&c)[16][8], const uint16_t (&a)[16][16],
                           const uint16_t (&b)[16][8]) {
    floats wide[16];
    for (int k = 0; k < 16; k++)
        wide[k] = widen8<T>(b[k]);
    for (int m = 0; m < 16; m++) {
        alignas(32) float row[16];
        *(floats *)row = widen8<T>(a[m]);
        *(floats *)(row + 8) = widen8<T>(a[m] + 8);
        floats sum;
        memcpy(&sum, c[m], sizeof sum);
        for (int k = 0; k < 16; k++)
            sum += row[k] * wide[k];
        memcpy(c[m], &sum, sizeof sum);
    }
}

#if defined(__x86_64__)
template <class T>
__attribute__((target("avx2,fma"))) void
product_wide(float (&c)[16][8], const uint16_t (&a)[16][16], const uint16_t (&b)[16][8]) {
    product<T>(c, a, b);
}
static const bool has_wide = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif

template <class T>
static void product_here(float (&c)[16][8], const uint16_t (&a)[16][16],
                         const uint16_t (&b)[16][8]) {
#if defined(__x86_64__)
    if (has_wide)
        return product_wide<T>(c, a, b);
#endif
    product<T>(c, a, b);
}

/* Lane l = 4 * g + t has of a, in pairs of columns: (g, 2t), (g + 8, 2t), (g, 2t + 8) and
 * (g + 8, 2t + 8); of b, in pairs of rows: (2t, g) and (2t + 8, g); of c: (g, 2t), (g, 2t + 1),
 * (g + 8, 2t) and (g + 8, 2t + 1). */
static void gather(void *const operands[LANES], float (&c)[16][8], uint32_t (&a)[16][8],
                   uint16_t (&b)[16][8]) {
    for (uint32_t l = 0; l < LANES; l++) {
        auto *own = static_cast<const mma_operands *>(operands[l]);
        uint32_t g = l / 4, t = l % 4;
        a[g][t] = own->a[0];
        a[g + 8][t] = own->a[1];
        a[g][t + 4] = own->a[2];
        a[g + 8][t + 4] = own->a[3];
        b[2 * t][g] = (uint16_t)own->b[0];
        b[2 * t + 1][g] = (uint16_t)(own->b[0] >> 16);
        b[2 * t + 8][g] = (uint16_t)own->b[1];
        b[2 * t + 9][g] = (uint16_t)(own->b[1] >> 16);
        memcpy(&c[g][2 * t], own->c, 8);
        memcpy(&c[g + 8][2 * t], own->c + 2, 8);
    }
}

template <class T> void multiply(void *const operands[LANES]) {
    alignas(32) float c[16][8];
    uint32_t pairs[16][8];
    uint16_t a[16][16], b[16][8];
    gather(operands, c, pairs, b);
    memcpy(a, pairs, sizeof a);
    product_here<T>(c, a, b);
    for (uint32_t l = 0; l < LANES; l++) {
        float *own = static_cast<const mma_operands *>(operands[l])->c;
        memcpy(own, &c[l / 4][2 * (l % 4)], 8);
        memcpy(own + 2, &c[l / 4 + 8][2 * (l % 4)], 8);
    }
}
template void multiply<qr_f16>(void *const[LANES]);
template void multiply<qr_bf16>(void *const[LANES]);

} // namespace emulated
