/* engine/cpu/kernels/gemm_pairs_tile.h: the tile of matrix products whose instruction multiplies
 * two rows by two columns, eight bytes of k at once (USMMLA, BFMMLA). gemm_tile.h includes this.
 *
 *     #define QR_GEMM_PAIRS                      // and, as for other tiles, ROWS_MAX (an even
 *                                                // number), STEP_BYTES, INT8 and NAME
 *     #define QR_GEMM_SUM int32x4_t              // sums of 2 rows x 2 columns, rows outermost
 *     #define QR_GEMM_ZERO ...                   // and STORE(to, sum)
 *     #define QR_GEMM_MAC(sum, rows, columns)    // of two registers of 2 x 8 bytes (uint8x16_t)
 *
 * A step of a panel, [column][8 bytes of k], is eight such registers as it stands; those of the
 * rows are put together from two rows' eight bytes each. Of an odd number of rows the last is its
 * own partner, and that half of the sums is dropped: an instruction's four sums know nothing of
 * each other, so a row's partner changes no bit of it.
 *
 * 6 rows are 24 sums, three registers of rows and one of weights, of 32. One row costs what it
 * costs by SDOT, two cost the same, and from there on half.
 */
#define QR_GEMM_PAIRS_MAX    ((QR_GEMM_ROWS_MAX + 1) / 2)
#define QR_GEMM_COLUMN_PAIRS (QR_GEMM_COLUMNS / 2)

/* One step: all columns, two by two, against eight bytes of each row. */
QR_INLINE void tile_step(const size_t pairs, const char **row, const char *weights,
                         QR_GEMM_SUM acc[][QR_GEMM_COLUMN_PAIRS]) {
    uint8x16_t a[QR_GEMM_PAIRS_MAX];
    QR_UNROLL
    for (size_t i = 0; i < pairs; i++) {
        a[i] = vcombine_u8(vld1_u8((const uint8_t *)row[2 * i]),
                           vld1_u8((const uint8_t *)row[2 * i + 1]));
        row[2 * i] += 8;
        row[2 * i + 1] += 8;
    }
    QR_UNROLL
    for (size_t c = 0; c < QR_GEMM_COLUMN_PAIRS; c += 2) {
        const uint8x16_t left = vld1q_u8((const uint8_t *)weights);
        const uint8x16_t right = vld1q_u8((const uint8_t *)weights + 16);
        weights += 32;
        QR_UNROLL
        for (size_t i = 0; i < pairs; i++) {
            acc[i][c] = QR_GEMM_MAC(acc[i][c], a[i], left);
            acc[i][c + 1] = QR_GEMM_MAC(acc[i][c + 1], a[i], right);
            /* The next weights come after these, else gcc reads all of them first, and spills
             * sums. */
            __asm__("" : "+r"(weights) : "w"(acc[i][c]), "w"(acc[i][c + 1]));
        }
    }
}

/* sums[rows][columns] = operand rows * one panel. `rows` is a constant where this is inlined. */
QR_INLINE void tile(const size_t rows, const qr__gemm_shape *shape, const char *operand,
                    const char *panel, prefetch *stream, float *sums) {
    const size_t pairs = (rows + 1) / 2;
    QR_GEMM_SUM acc[QR_GEMM_PAIRS_MAX][QR_GEMM_COLUMN_PAIRS];
    const char *row[2 * QR_GEMM_PAIRS_MAX];
    QR_UNROLL
    for (size_t i = 0; i < pairs; i++) {
        row[2 * i] = operand + 2 * i * shape->stride;
        row[2 * i + 1] = row[2 * i] + (2 * i + 1 < rows ? shape->stride : 0);
        QR_UNROLL
        for (size_t c = 0; c < QR_GEMM_COLUMN_PAIRS; c++)
            acc[i][c] = QR_GEMM_ZERO;
    }
    prefetch ahead = *stream;
    for (size_t steps = shape->steps; steps > 0; steps--) {
        prefetch_share(&ahead, QR_GEMM_STEP_BYTES);
        tile_step(pairs, row, panel, acc);
        panel += QR_GEMM_STEP_BYTES;
    }
    *stream = ahead;
    QR_UNROLL
    for (size_t i = 0; i < pairs; i++) {
        float *first = sums + 2 * i * QR_GEMM_COLUMNS, *second = first + QR_GEMM_COLUMNS;
        QR_UNROLL
        for (size_t c = 0; c < QR_GEMM_COLUMN_PAIRS; c += 2) {
            const uint64x2_t left = (uint64x2_t)acc[i][c], right = (uint64x2_t)acc[i][c + 1];
            QR_GEMM_STORE(first + 2 * c, (QR_GEMM_SUM)vzip1q_u64(left, right));
            if (2 * i + 1 < rows)
                QR_GEMM_STORE(second + 2 * c, (QR_GEMM_SUM)vzip2q_u64(left, right));
        }
    }
}
