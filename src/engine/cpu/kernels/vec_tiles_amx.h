/* engine/cpu/kernels/vec_tiles_amx.h: the tile registers' shapes. Included by *__amx.c files only.
 *
 *     qr__tiles_configure(height);      // before a thread uses tiles
 *     _tile_loadd(QR_TILE_A0, ...);
 *     _tile_release();                  // else they take part in every switch of threads
 *
 * Eight registers hold 16 rows of 64 bytes each. Four are sums, two hold rows of the left factor
 * (`height` rows, as the sums), two the right factor: a row for each 4 bytes of k. The numbers are
 * macros because the intrinsics want literals. */
#ifndef QR_ENGINE_CPU_VEC_TILES_AMX_H
#define QR_ENGINE_CPU_VEC_TILES_AMX_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

#define QR_TILE_ROWS  16u
#define QR_TILE_BYTES 64u /* of a row */

#define QR_TILE_SUM00 0 /* A0 * B0 */
#define QR_TILE_SUM01 1 /* A0 * B1 */
#define QR_TILE_SUM10 2
#define QR_TILE_SUM11 3
#define QR_TILE_A0    4
#define QR_TILE_A1    5
#define QR_TILE_B0    6
#define QR_TILE_B1    7

/* What LDTILECFG reads (Intel SDM, volume 1, chapter 18). */
typedef struct qr__tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} qr__tile_config;

/* gcc 12 does not know that tile instructions read and write memory: what they are to read must be
 * there before, and what they wrote is not what the compiler remembers. */
static inline void qr__tiles_sync(void) {
    __asm__ volatile("" : : : "memory");
}

/* Eight registers of 16 rows of 64 bytes. */
static inline qr__tile_config qr__tiles_whole(void) {
    qr__tile_config config = {.palette = 1};
    for (size_t tile = 0; tile < 8; tile++) {
        config.row_bytes[tile] = QR_TILE_BYTES;
        config.rows[tile] = QR_TILE_ROWS;
    }
    return config;
}

static inline void qr__tiles_load(const qr__tile_config *config) {
    __asm__ volatile("" : : "r"(config) : "memory"); /* as qr__tiles_sync() */
    _tile_loadconfig(config);
}

/* For products of `height` (1 to 16) rows. */
static inline void qr__tiles_configure(size_t height) {
    qr__tile_config config = qr__tiles_whole();
    for (size_t tile = 0; tile < QR_TILE_B0; tile++)
        config.rows[tile] = (uint8_t)height;
    qr__tiles_load(&config);
}

/* All four tiles of sums. */
static inline void qr__tiles_zero(void) {
    _tile_zero(QR_TILE_SUM00);
    _tile_zero(QR_TILE_SUM01);
    _tile_zero(QR_TILE_SUM10);
    _tile_zero(QR_TILE_SUM11);
}

/* The same to memory: each begins so many bytes behind the one before, their rows `stride` apart.
 */
static inline void qr__tiles_store(void *to, size_t apart, size_t stride) {
    char *at = to;
    _tile_stored(QR_TILE_SUM00, at, stride);
    _tile_stored(QR_TILE_SUM01, at + apart, stride);
    _tile_stored(QR_TILE_SUM10, at + 2 * apart, stride);
    _tile_stored(QR_TILE_SUM11, at + 3 * apart, stride);
}

#endif
