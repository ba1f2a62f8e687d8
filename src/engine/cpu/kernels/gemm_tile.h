/* engine/cpu/kernels/gemm_tile.h: the body of most matrix products (AMX and int8 on 256 bits
 * have their own); a kernel's file defines its vectors and includes this.
 *
 *     #define QR_GEMM_ROWS_MAX 14                // of a tile: 2 accumulators a row; 6, 11 or 14
 *     #define QR_GEMM_SUM __m512i                // a vector of sums
 *     #define QR_GEMM_OPERAND __m512i            // a vector of factors
 *     #define QR_GEMM_ZERO ...                   // and LOAD(weights), BROADCAST(4 bytes of a row),
 *                                                // MAC(sum, row, weights), STORE(to, sum)
 *     #define QR_GEMM_STEP_BYTES 128             // of a panel: two vectors of weights
 *     #define QR_GEMM_PARTS 2                    // steps a MAC takes, 1 if not said; 2:
 *                                                // MAC(sum, row, weights, row 4 on, their weights)
 *     #define QR_GEMM_NAME qr__gemm_int8__avx512vnni
 *     #include "engine/cpu/kernels/gemm_tile.h"
 *
 * A tile is rows x one panel of two vectors. Its sums stay in registers over all of K and go
 * through a small buffer to the epilogue, so that the epilogue's code exists once, not once a tile
 * height. QR_GEMM_INT8 is 1 where sums are integers to be scaled. With QR_GEMM_PAIRS the tile is
 * that of gemm_pairs_tile.h, which says what it wants defined. Measured shares of peak:
 * docs/KERNELS.md.
 */
#include "engine/cpu/kernels/gemm_epilogue_body.h"

#if defined(__aarch64__)
#define QR_GEMM_REGISTER(v) "+w"((v).low), "+w"((v).high)
#elif defined(__AVX512F__)
#define QR_GEMM_REGISTER(v) "+v"(v)
#else
#define QR_GEMM_REGISTER(v) "+x"(v)
#endif

#if !defined(QR_GEMM_PARTS)
#define QR_GEMM_PARTS 1
#endif

#if defined(QR_GEMM_PAIRS)
#define QR_GEMM_ROWS_TOGETHER 2
#include "engine/cpu/kernels/gemm_pairs_tile.h"
#else
#define QR_GEMM_ROWS_TOGETHER 1

/* Rows that are addressed by one pointer, a few multiples of the stride from it. Fourteen pointers
 * are more than there are registers, and their additions take the multiply-adds' ports on Intel's
 * CPUs: 6 % of the time. */
#if QR_GEMM_ROWS_MAX > 6
#define QR_GEMM_ROWS_A_POINTER 5
#else
#define QR_GEMM_ROWS_A_POINTER 1
#endif
#define QR_GEMM_POINTERS(rows) (((rows) + QR_GEMM_ROWS_A_POINTER - 1) / QR_GEMM_ROWS_A_POINTER)

/* Where the rows of a tile are read. */
typedef struct tile_rows {
    const char *at[QR_GEMM_POINTERS(QR_GEMM_ROWS_MAX)];
    size_t stride, stride3; /* bytes; three times as many, the one multiple x86 does not address */
} tile_rows;

QR_INLINE const char *row_of(const tile_rows *rows, const size_t i) {
    const size_t beyond = i % QR_GEMM_ROWS_A_POINTER;
    return rows->at[i / QR_GEMM_ROWS_A_POINTER] +
           (beyond == 3 ? rows->stride3 : beyond * rows->stride);
}

/* One step of k: two vectors of weights against four bytes of each row; or as many of both for each
 * of QR_GEMM_PARTS steps, where a multiply-add takes several. */
QR_INLINE void tile_step(const size_t rows, const tile_rows *from, const char *weights,
                         QR_GEMM_SUM acc[][2]) {
    QR_GEMM_OPERAND w[QR_GEMM_PARTS][2];
    QR_UNROLL
    for (size_t part = 0; part < QR_GEMM_PARTS; part++) {
        w[part][0] = QR_GEMM_LOAD(weights + part * QR_GEMM_STEP_BYTES);
        w[part][1] = QR_GEMM_LOAD(weights + part * QR_GEMM_STEP_BYTES + QR_GEMM_STEP_BYTES / 2);
        /* Else gcc reads the weights again for every row, and small tiles become bound by loads. */
        __asm__("" : QR_GEMM_REGISTER(w[part][0]), QR_GEMM_REGISTER(w[part][1]));
    }
    QR_UNROLL
    for (size_t i = 0; i < rows; i++) {
        QR_GEMM_OPERAND a[QR_GEMM_PARTS];
        QR_UNROLL
        for (size_t part = 0; part < QR_GEMM_PARTS; part++)
            a[part] = QR_GEMM_BROADCAST(row_of(from, i) + 4 * part);
#if QR_GEMM_PARTS == 1
        acc[i][0] = QR_GEMM_MAC(acc[i][0], a[0], w[0][0]);
        acc[i][1] = QR_GEMM_MAC(acc[i][1], a[0], w[0][1]);
#else
        acc[i][0] = QR_GEMM_MAC(acc[i][0], a[0], w[0][0], a[1], w[1][0]);
        acc[i][1] = QR_GEMM_MAC(acc[i][1], a[0], w[0][1], a[1], w[1][1]);
        /* Else gcc reorders the products of many rows, and spills sums. */
        __asm__("" : QR_GEMM_REGISTER(acc[i][0]), QR_GEMM_REGISTER(acc[i][1]));
#endif
    }
}

/* The step that `weights` and `from` point to, and on to the next. */
QR_INLINE const char *tile_step_on(const size_t rows, tile_rows *from, const char *weights,
                                   QR_GEMM_SUM acc[][2]) {
    /* Else gcc adds the place in the row to the stride, not to the address: for a tile of 12 rows
     * that is more numbers than registers, and what it keeps in vectors comes back by their
     * ports. */
    __asm__("" : "+r"(from->stride), "+r"(from->stride3));
    tile_step(rows, from, weights, acc);
    QR_UNROLL
    for (size_t p = 0; p < QR_GEMM_POINTERS(rows); p++)
        from->at[p] += 4 * QR_GEMM_PARTS;
    return weights + QR_GEMM_PARTS * QR_GEMM_STEP_BYTES;
}

/* Steps that the main loop takes at once. */
#define QR_GEMM_UNROLL 4

/* Bytes of a panel that are asked for at once, whole cache lines. */
#define QR_GEMM_REQUEST                                                                            \
    (QR_GEMM_PARTS * QR_GEMM_STEP_BYTES < 64 ? 64 : QR_GEMM_PARTS * QR_GEMM_STEP_BYTES)

/* `turns` times as many steps of a block of rows that reads the panel alone, or of one of
 * several. */
QR_INLINE const char *tile_turns(const size_t rows, const bool alone, size_t turns, tile_rows *from,
                                 const char *panel, prefetch *ahead, QR_GEMM_SUM acc[][2]) {
    for (; turns > 0; turns--) {
        if (alone)
            prefetch_lines(panel + QR_GEMM_AHEAD, QR_GEMM_UNROLL * QR_GEMM_STEP_BYTES);
        /* Else gcc keeps a pointer a row. */
        QR_UNROLL
        for (size_t p = 0; p < QR_GEMM_POINTERS(rows); p++)
            __asm__("" : "+r"(from->at[p]));
        QR_UNROLL
        for (size_t u = 0; u < QR_GEMM_UNROLL; u += QR_GEMM_PARTS) {
            if (!alone && u * QR_GEMM_STEP_BYTES % QR_GEMM_REQUEST == 0)
                prefetch_share(ahead, QR_GEMM_REQUEST);
            panel = tile_step_on(rows, from, panel, acc);
        }
    }
    return panel;
}

/* sums[rows][columns] = operand rows * one panel. `rows` is a constant where this is inlined. */
QR_INLINE void tile(const size_t rows, const qr__gemm_shape *shape, const char *operand,
                    const char *panel, prefetch *stream, float *sums) {
    QR_GEMM_SUM acc[QR_GEMM_ROWS_MAX][2];
    tile_rows from = {.stride = shape->stride, .stride3 = 3 * shape->stride};
    prefetch ahead = *stream;
    QR_UNROLL
    for (size_t p = 0; p < QR_GEMM_POINTERS(rows); p++)
        from.at[p] = operand + p * QR_GEMM_ROWS_A_POINTER * shape->stride;
    QR_UNROLL
    for (size_t i = 0; i < rows; i++)
        acc[i][0] = acc[i][1] = QR_GEMM_ZERO;
    __asm__("" : "+r"(from.stride), "+r"(from.stride3));
    const size_t turns = shape->steps / QR_GEMM_UNROLL;
    if (ahead.every == 1)
        panel = tile_turns(rows, true, turns, &from, panel, &ahead, acc);
    else
        panel = tile_turns(rows, false, turns, &from, panel, &ahead, acc);
    *stream = ahead;
    for (size_t steps = shape->steps % QR_GEMM_UNROLL; steps > 0; steps -= QR_GEMM_PARTS)
        panel = tile_step_on(rows, &from, panel, acc);
    QR_UNROLL
    for (size_t i = 0; i < rows; i++) {
        QR_GEMM_STORE(sums + i * QR_GEMM_COLUMNS, acc[i][0]);
        QR_GEMM_STORE(sums + i * QR_GEMM_COLUMNS + QR_VEC_LANES, acc[i][1]);
    }
}
#endif

typedef void tile_fn(const qr__gemm_shape *shape, const char *operand, const char *panel,
                     prefetch *stream, float *sums);
#define QR_TILE(n)                                                                                 \
    static void tile_##n(const qr__gemm_shape *shape, const char *operand, const char *panel,      \
                         prefetch *stream, float *sums) {                                          \
        tile(n, shape, operand, panel, stream, sums);                                              \
    }
QR_TILE(1)
QR_TILE(2)
QR_TILE(3)
QR_TILE(4)
QR_TILE(5)
QR_TILE(6)
#if QR_GEMM_ROWS_MAX > 6
QR_TILE(7)
QR_TILE(8)
QR_TILE(9)
QR_TILE(10)
QR_TILE(11)
#endif
#if QR_GEMM_ROWS_MAX > 11
QR_TILE(12)
QR_TILE(13)
QR_TILE(14)
#endif
static tile_fn *const tiles[QR_GEMM_ROWS_MAX + 1] = {
    NULL,    tile_1,  tile_2,  tile_3,  tile_4,  tile_5, tile_6,
#if QR_GEMM_ROWS_MAX > 6
    tile_7,  tile_8,  tile_9,  tile_10, tile_11,
#endif
#if QR_GEMM_ROWS_MAX > 11
    tile_12, tile_13, tile_14,
#endif
};

void QR_GEMM_NAME(const qr__gemm_task *task) {
    const qr__gemm_shape *shape = task->shape;
    _Alignas(64) float sums[QR_GEMM_ROWS_MAX * QR_GEMM_COLUMNS];
    const size_t blocks = (task->rows + QR_GEMM_ROWS_MAX - 1) / QR_GEMM_ROWS_MAX;
    for (size_t p = task->begin; p < task->end; p++) {
        const char *panel = (const char *)task->panels + p * shape->panel_bytes;
        const float *constants = (const float *)(const void *)(panel + shape->constants_at);
        const size_t column = p * QR_GEMM_COLUMNS;
        const size_t columns =
            shape->N - column < QR_GEMM_COLUMNS ? shape->N - column : QR_GEMM_COLUMNS;
        prefetch stream = {panel + (blocks == 1 ? QR_GEMM_AHEAD : shape->panel_bytes), blocks,
                           blocks};
        float *y = qr__gemm_column(task, column);
        size_t first = 0;
        /* Blocks as even as can be: 16 rows are 8 + 8, not 14 + 2. */
        for (size_t b = 0; b < blocks; b++) {
            const size_t left = task->rows - first;
            const size_t share = (left + blocks - b - 1) / (blocks - b);
            const size_t rows = qr_min(left, qr_round_up(share, QR_GEMM_ROWS_TOGETHER));
            const char *operand = (const char *)task->operand + first * shape->stride;
            tiles[rows](shape, operand, panel, &stream, sums);
            finish_tile(task->epilogue, rows, shape, operand, constants, sums,
                        y + first * task->ldy, task->ldy, columns);
            first += rows;
        }
    }
}
