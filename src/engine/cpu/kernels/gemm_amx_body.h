/* engine/cpu/kernels/gemm_amx_body.h: the body of the matrix products by AMX tiles, 32 x 32 at a
 * time.
 *
 *     #define QR_GEMM_INT8 1             // 0: sums are floats
 *     #define QR_GEMM_MAC(sum, a, b)     // a tile instruction, by the tiles' numbers
 *     #include "engine/cpu/kernels/gemm_amx_body.h"
 *     ... multiply_tiles(task);
 *
 * A tile register holds 16 rows of 64 bytes. 16 steps of a panel are two of them as they stand
 * (gemm.h: a step is 32 columns of 4 bytes), and 64 bytes of 16 operand rows are another, so
 * nothing is packed otherwise than for vectors. Four tiles of sums stay in registers over all of K:
 *
 *                    B0 (columns 0..15)   B1 (columns 16..31)
 *     A0 (16 rows)   SUM00                SUM01
 *     A1 (16 rows)   SUM10                SUM11
 *
 * Rows go in tiles of 16. The last tile of M > 16 rows begins at M - 16, so that all tiles of a
 * call have one height (a change of the tiles' configuration costs more than a tile); what two
 * tiles compute alike is stored over itself. int8's sums are exact; bf16's have the order that the
 * instruction gives them, whatever the tile's height. Figures, and what was tried beside this:
 * docs/KERNELS.md. */
#include "engine/cpu/kernels/gemm_epilogue_body.h"
#include "engine/cpu/kernels/gemm_list.h"
#include "engine/cpu/kernels/vec_tiles_amx.h"

#define STEP_BYTES 128u /* of a panel */
#define BLOCK_ROWS (2 * QR_TILE_ROWS)

/* sums[32][32] = operand rows * one panel: 16 from `low` on and, with `two`, 16 from `high` on,
 * whose sums begin at row `high_at`. */
QR_INLINE void multiply_block(const qr__gemm_shape *shape, const char *low, const char *high,
                              const bool two, size_t high_at, const char *panel, float *sums) {
    _tile_zero(QR_TILE_SUM00);
    _tile_zero(QR_TILE_SUM01);
    if (two) {
        _tile_zero(QR_TILE_SUM10);
        _tile_zero(QR_TILE_SUM11);
    }
    for (size_t steps = shape->steps; steps > 0; steps -= QR_TILE_ROWS) {
        _tile_loadd(QR_TILE_A0, low, shape->stride);
        _tile_loadd(QR_TILE_B0, panel, STEP_BYTES);
        QR_GEMM_MAC(QR_TILE_SUM00, QR_TILE_A0, QR_TILE_B0);
        _tile_loadd(QR_TILE_B1, panel + STEP_BYTES / 2, STEP_BYTES);
        QR_GEMM_MAC(QR_TILE_SUM01, QR_TILE_A0, QR_TILE_B1);
        if (two) {
            _tile_loadd(QR_TILE_A1, high, shape->stride);
            QR_GEMM_MAC(QR_TILE_SUM10, QR_TILE_A1, QR_TILE_B0);
            QR_GEMM_MAC(QR_TILE_SUM11, QR_TILE_A1, QR_TILE_B1);
            high += QR_TILE_BYTES;
        }
        low += QR_TILE_BYTES;
        panel += QR_TILE_ROWS * STEP_BYTES;
    }
    _tile_stored(QR_TILE_SUM00, sums, STEP_BYTES);
    _tile_stored(QR_TILE_SUM01, sums + QR_VEC_LANES, STEP_BYTES);
    if (two) {
        sums += high_at * QR_GEMM_COLUMNS;
        _tile_stored(QR_TILE_SUM10, sums, STEP_BYTES);
        _tile_stored(QR_TILE_SUM11, sums + QR_VEC_LANES, STEP_BYTES);
    }
    qr__tiles_sync();
}

/* Rows [row, row + 32), or what is there of them, times panel p. */
QR_INLINE void multiply_panel(const qr__gemm_task *task, size_t row, size_t p, float *sums) {
    const qr__gemm_shape *shape = task->shape;
    const char *operand = task->operand;
    const char *panel = (const char *)task->panels + p * shape->panel_bytes;
    const float *constants = (const float *)(const void *)(panel + shape->constants_at);
    const size_t column = p * QR_GEMM_COLUMNS, columns = shape->N - column;
    const size_t rows = task->rows - row;
    const size_t last = task->rows < QR_TILE_ROWS ? 0 : task->rows - QR_TILE_ROWS;
    const size_t low = row < last ? row : last;
    const size_t high = low + QR_TILE_ROWS < last ? low + QR_TILE_ROWS : last;
    const char *low_rows = operand + low * shape->stride;
    if (rows > QR_TILE_ROWS)
        multiply_block(shape, low_rows, operand + high * shape->stride, true, high - low, panel,
                       sums);
    else
        multiply_block(shape, low_rows, NULL, false, 0, panel, sums);
    finish_tile(task->epilogue, rows < BLOCK_ROWS ? rows : BLOCK_ROWS, shape,
                operand + row * shape->stride, constants, sums + (row - low) * QR_GEMM_COLUMNS,
                qr__gemm_column(task, column) + row * task->ldy, task->ldy,
                columns < QR_GEMM_COLUMNS ? columns : QR_GEMM_COLUMNS);
}

/* Rows go 64 at a time through all panels: as many stay in L1, while a matrix (a shard of one)
 * comes again from L2. */
#define STRIP_ROWS (2 * BLOCK_ROWS)

static void multiply_tiles(const qr__gemm_task *task) {
    _Alignas(64) float sums[BLOCK_ROWS * QR_GEMM_COLUMNS];
    qr__tiles_configure(task->rows < QR_TILE_ROWS ? task->rows : QR_TILE_ROWS);
    for (size_t strip = 0; strip < task->rows; strip += STRIP_ROWS) {
        const size_t left = task->rows - strip,
                     end = strip + (left < STRIP_ROWS ? left : STRIP_ROWS);
        for (size_t p = task->begin; p < task->end; p++)
            for (size_t row = strip; row < end; row += BLOCK_ROWS)
                multiply_panel(task, row, p, sums);
    }
    _tile_release();
}
