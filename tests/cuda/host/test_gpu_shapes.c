/* Buckets, tiles and splits for any size; tables and rows as the device reads them. */
#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>

#include "engine/cuda/module/gpu_cutter.h"
#include "engine/cuda/module/gpu_shapes.h"
#include "engine/cuda/module/gpu_upload.h"
#include "engine/cuda/module/gpu_weights.h"

TestSuite(gpu_shapes, .timeout = 60);

Test(gpu_shapes, buckets_rise_to_the_contexts_size) {
    uint32_t buckets[QR__GPU_BUCKETS_MAX];
    static const size_t sizes[] = {1, 15, 16, 17, 300, 512, 513, 16384, QR_LIMIT_TEXT_TOKENS};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t count = qr__gpu_buckets(sizes[i], buckets);
        cr_assert_leq(count, QR__GPU_BUCKETS_MAX);
        cr_assert_eq(buckets[0], 16);
        for (size_t b = 1; b < count; b++)
            cr_assert(buckets[b] > buckets[b - 1] && buckets[b] <= 2 * buckets[b - 1]);
        cr_assert(buckets[count - 1] >= sizes[i] && buckets[count - 1] < sizes[i] + 16);
    }
}

/* What the kernels' header asks of a grid. */
static void check_gemm(qr_precision precision, uint32_t bucket, uint32_t n, uint32_t k,
                       bool partial, unsigned multiprocessors) {
    static const uint32_t tiles[] = {16, 32, 64, 128};
    const qr__gpu_kinds *kinds = qr__gpu_kinds_of(precision);
    const qr__gpu_gemm gemm = qr__gpu_gemm_of(precision, bucket, n, k, partial, multiprocessors);
    uint32_t tile = 0;
    for (size_t i = 0; i < 4; i++)
        tile = kinds->gemm[i] == gemm.kernel && tile == 0 ? tiles[i] : tile;
    if (precision == QR_PRECISION_F32)
        tile = QR_CUDA_GEMM_F32_TILE;
    cr_assert_eq(gemm.grid[0] * QR_CUDA_GEMM_COLUMNS(tile), n);
    cr_assert(gemm.grid[1] * tile >= bucket && (gemm.grid[1] - 1) * tile < bucket);
    cr_assert_eq(gemm.grid[2], gemm.splits);
    cr_assert(gemm.splits >= 1 && gemm.splits <= QR__GPU_SPLITS_MAX);
    cr_assert_eq(k / QR_CUDA_PAD % gemm.splits, 0);
    cr_assert(partial || gemm.splits == 1);
    cr_assert(precision != QR_PRECISION_F32 || gemm.splits == 1);
}

Test(gpu_shapes, every_product_is_covered_once) {
    static const uint32_t buckets[] = {16, 32, 48, 64, 128, 256, 304, 512, 16384};
    for (size_t b = 0; b < sizeof buckets / sizeof buckets[0]; b++)
        for (uint32_t n = 64; n <= 4096; n += 64)
            for (uint32_t k = 64; k <= 4096; k *= 2)
                for (qr_precision p = QR_PRECISION_F32; p <= QR_PRECISION_BF16; p++)
                    for (int partial = 0; partial < 2; partial++)
                        check_gemm(p, buckets[b], n, k, partial, b % 2 == 0 ? 132 : 108);
}

/* 3x768 at 16 tokens on an H100: no multiprocessor without a block, where K can be cut. */
Test(gpu_shapes, few_tokens_keep_all_multiprocessors_busy) {
    const qr__gpu_gemm output = qr__gpu_gemm_of(QR_PRECISION_F16, 16, 768, 768, true, 132);
    const qr__gpu_gemm down = qr__gpu_gemm_of(QR_PRECISION_F16, 16, 768, 3072, true, 132);
    cr_assert_geq(output.grid[0] * output.splits, 132);
    cr_assert_geq(down.grid[0] * down.splits, 132);
    cr_assert_leq(down.grid[0] * down.splits, 2 * 132);
}

Test(gpu_shapes, tables_have_every_token_and_tile) {
    static const uint32_t starts[] = {0, 1, 65, 129, 300};
    static const uint32_t skip[] = {0, 3, 0, 1};
    static const uint32_t firsts[] = {0, 1, 65, 129, 193, 257};
    int32_t ids[300], to_ids[300];
    uint8_t types[300];
    uint32_t positions[300], to_types[300], to_starts[5], to_skip[4];
    qr_cuda_counts counts;
    qr_cuda_tile tiles[16];
    const qr_cuda_table table = {&counts, to_ids, positions, to_types, to_starts, to_skip, tiles};
    const qr_batch batch = {ids, types, starts, 4, skip};
    for (int t = 0; t < 300; t++) {
        ids[t] = 1000 + t;
        types[t] = t % 2;
    }
    qr__gpu_table_fill(&table, &batch, true, true);
    cr_assert(counts.tokens == 300 && counts.sequences == 4 && counts.tiles == 6);
    cr_assert_leq(counts.tiles, qr__gpu_tiles_max(300, 4));
    for (size_t i = 0; i < 6; i++)
        cr_assert_eq(tiles[i].first, firsts[i]);
    cr_assert(tiles[5].begin == 129 && tiles[5].end == 300);
    cr_assert(positions[0] == 0 && positions[1] == 0 && positions[64] == 63 &&
              positions[299] == 170);
    cr_assert(to_ids[299] == 1299 && to_types[1] == 1 && to_skip[1] == 3);
    qr__gpu_table_fill(&table, &batch, false, false);
    cr_assert(counts.tiles == 6 && to_types[1] == 0 && to_skip[1] == 0);
}

/* However a batch is cut, its tiles fit. */
Test(gpu_shapes, tiles_never_exceed_their_room) {
    for (size_t tokens = 1; tokens <= 700; tokens += 3)
        for (size_t sequences = 1; sequences <= 12 && sequences <= tokens; sequences++) {
            size_t tiles = 0, rest = tokens - (sequences - 1); /* one long, the others of 1 */
            tiles = (rest + QR_CUDA_TILE - 1) / QR_CUDA_TILE + sequences - 1;
            cr_assert_leq(tiles, qr__gpu_tiles_max(tokens, sequences));
        }
    cr_assert_leq(qr__gpu_tiles_max(16, 16), 16);
}

Test(gpu_shapes, widths_are_padded_and_large_heads_refused) {
    qr__gpu_widths widths;
    qr_error error = {0};
    qr_model_info info = {.hidden = 312, .heads = 12, .feed_forward = 1200, .word_size = 128};
    cr_assert_eq(qr__gpu_widths_of(&info, &widths, &error), QR_OK);
    cr_assert(widths.hidden == 320 && widths.inner == 1216 && widths.words == 128);
    cr_assert(widths.head == 32 && widths.attended == 384 && widths.qkv == 1152);
    info.hidden = 1560;
    cr_assert_eq(qr__gpu_widths_of(&info, &widths, &error), QR_BAD_OPTION);
    cr_assert_not_null(strstr(error.message, "heads of 130 numbers"), "%s", error.message);
    info.hidden = 12 * 128;
    cr_assert_eq(qr__gpu_widths_of(&info, &widths, &error), QR_OK);
    cr_assert_eq(widths.head, 128);
}

/* Heads of 3 in rows of 5 a head, zeros behind. */
Test(gpu_shapes, rows_of_heads_are_padded_inside) {
    static const float numbers[] = {1, 2, 3, 4, 5, 6};
    static const float expected[] = {2, 4, 6, 0, 0, 8, 10, 12, 0, 0, 0, 0};
    float out[12];
    memset(out, 0xff, sizeof out);
    qr__gpu_row_write(QR_PRECISION_F32, &(qr__gpu_row){numbers, 2, 3, 5, 12, 2}, out);
    cr_assert(memcmp(out, expected, sizeof out) == 0);
    qr__gpu_row_write(QR_PRECISION_F32, &(qr__gpu_row){.pitch = 12}, out);
    for (size_t i = 0; i < 12; i++)
        cr_assert_eq(out[i], 0);
}

static double value_of_bf16(uint16_t bits) {
    uint32_t wide = (uint32_t)bits << 16;
    float value;
    memcpy(&value, &wide, sizeof value);
    return value;
}

/* Of 2^k times 1 plus odd sixteenths of the last place: the nearest, ties to the even one. */
Test(gpu_shapes, numbers_are_rounded_to_the_nearest) {
    for (int exponent = -10; exponent <= 10; exponent++)
        for (int sixteenth = 0; sixteenth <= 32; sixteenth++) {
            const double last = ldexp(1, exponent - 7);
            const float x = (float)(ldexp(1, exponent) + sixteenth / 16.0 * last);
            double nearest = ldexp(1, exponent) + nearbyint(sixteenth / 16.0) * last;
            uint16_t bits;
            qr__gpu_elements(QR_PRECISION_BF16, &x, 1, 1, &bits);
            cr_assert_eq(value_of_bf16(bits), nearest, "%g", x);
        }
    static const float halves[] = {
        1, -2, 65504, 1e6f, 1 + 1 / 2048.0f, 1 + 3 / 2048.0f, 0x1p-24f, -0.0f, 0x1.8p-25f};
    static const uint16_t expected[] = {0x3c00, 0xc000, 0x7bff, 0x7bff, 0x3c00,
                                        0x3c02, 1,      0x8000, 1};
    uint16_t out[9];
    qr__gpu_elements(QR_PRECISION_F16, halves, 9, 1, out);
    cr_assert(memcmp(out, expected, sizeof out) == 0);
}

Test(gpu_shapes, sums_of_bytes_are_checked) {
    qr__gpu_cutter cutter = {.base = 4096};
    cr_assert_eq(qr__gpu_cut(&cutter, 3, 5, 4), 4096);
    cr_assert_eq(qr__gpu_cut(&cutter, 1, 1, 1), 4096 + 256);
    cr_assert(!cutter.overflow && cutter.used == 512);
    qr__gpu_cut(&cutter, SIZE_MAX / 8, 1, 4);
    cr_assert(!cutter.overflow);
    qr__gpu_cut(&cutter, SIZE_MAX / 8, 5, 4);
    cr_assert(cutter.overflow);
}
