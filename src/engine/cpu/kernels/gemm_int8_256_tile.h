/* engine/cpu/kernels/gemm_int8_256_tile.h: the sums of a tile of several rows, u8 activations x s8
 * weights on AVX2's sixteen registers, with VNNI and without; a kernel's file says what a step is
 * and includes this.
 *
 *     #include "engine/cpu/kernels/vec_avx2.h"
 *     #define QR_INT8_WEIGHTS 2        // vectors of weights a step: 2 (4 values of k) or 4 (8)
 *     #define QR_INT8_ROWS_MAX 6       // of a tile
 *     #define QR_INT8_ROWS_TWICE 3     // up to so many rows steps take turns at two sets of sums
 *     static void multiply_add(const char *row, const __m256i w[QR_INT8_WEIGHTS], __m256i sums[2]);
 *     #include "engine/cpu/kernels/gemm_int8_256_tile.h"
 *
 * A row's step is one `asm`, which gcc can neither reorder nor make spill. What becomes of the sums
 * is gemm_int8_256_body.h's. */
#include "engine/cpu/kernels/gemm_shared_body.h"

#define STEP_BYTES (32 * QR_INT8_WEIGHTS) /* of a panel */
#define ROW_BYTES  (2 * QR_INT8_WEIGHTS)  /* of a row, a step */
#define STEPS      (shape->steps * 4 / ROW_BYTES)
#define TURN       4 /* steps that the main loop takes at once */

/* Where the rows of a tile are read: three by each pointer, which is what x86 addresses. */
typedef struct tile_rows {
    const char *at[2];
    size_t stride; /* bytes */
} tile_rows;

/* One step of k. `rows` is a constant where this is inlined. */
QR_INLINE void tile_step(const size_t rows, tile_rows *from, size_t offset, const char *panel,
                         __m256i sums[][2]) {
    __m256i w[QR_INT8_WEIGHTS];
    QR_UNROLL
    for (size_t i = 0; i < QR_INT8_WEIGHTS; i++) {
        w[i] = _mm256_load_si256((const __m256i *)(const void *)(panel + 32 * i));
        __asm__("" : "+x"(w[i])); /* else gcc reads them again for every row */
    }
    QR_UNROLL
    for (size_t i = 0; i < rows; i++)
        multiply_add(from->at[i / 3] + i % 3 * from->stride + offset, w, sums[i]);
    __asm__("" : "+r"(from->stride)); /* else gcc keeps a sum with it for every row and offset */
}

/* `turns` times TURN steps of a tile that reads the panel alone, or of one of several. */
QR_INLINE const char *tile_turns(const size_t rows, const bool alone, size_t turns, tile_rows *from,
                                 const char *panel, prefetch *ahead, __m256i even[][2],
                                 __m256i odd[][2]) {
    for (; turns > 0; turns--) {
        if (!alone)
            prefetch_share(ahead, TURN * STEP_BYTES);
        __asm__("" : "+r"(from->at[0]), "+r"(from->at[1]), "+r"(panel));
        QR_UNROLL
        for (size_t u = 0; u < TURN; u++) {
            if (alone)
                prefetch_lines(panel + u * STEP_BYTES + QR_GEMM_AHEAD, STEP_BYTES);
            tile_step(rows, from, u * ROW_BYTES, panel + u * STEP_BYTES, u % 2 == 0 ? even : odd);
        }
        from->at[0] += TURN * ROW_BYTES;
        from->at[1] += TURN * ROW_BYTES;
        panel += TURN * STEP_BYTES;
    }
    return panel;
}

/* sums[rows][columns] = codes of rows of the operand * those of one panel. */
QR_INLINE void tile_sums(const size_t rows, const qr__gemm_shape *shape, const char *operand,
                         const char *panel, prefetch *stream, __m256i sums[][2]) {
    const bool twice = rows <= QR_INT8_ROWS_TWICE;
    __m256i more[QR_INT8_ROWS_MAX][2];
    tile_rows from = {{operand, operand + 3 * shape->stride}, shape->stride};
    prefetch ahead = *stream;
    QR_UNROLL
    for (size_t i = 0; i < rows; i++)
        sums[i][0] = sums[i][1] = more[i][0] = more[i][1] = _mm256_setzero_si256();
    const size_t turns = STEPS / TURN;
    if (ahead.every == 1)
        panel = tile_turns(rows, true, turns, &from, panel, &ahead, sums, twice ? more : sums);
    else
        panel = tile_turns(rows, false, turns, &from, panel, &ahead, sums, twice ? more : sums);
    *stream = ahead;
    for (size_t left = STEPS % TURN; left > 0; left--) {
        tile_step(rows, &from, 0, panel, sums);
        from.at[0] += ROW_BYTES;
        from.at[1] += ROW_BYTES;
        panel += STEP_BYTES;
    }
    if (twice) {
        QR_UNROLL
        for (size_t i = 0; i < rows; i++) {
            sums[i][0] = _mm256_add_epi32(sums[i][0], more[i][0]);
            sums[i][1] = _mm256_add_epi32(sums[i][1], more[i][1]);
        }
    }
}
