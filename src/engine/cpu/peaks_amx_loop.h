/* engine/cpu/peaks_amx_loop.h: the body of an arithmetic loop over AMX tiles: four multiply-adds a
 * turn, as many as a product of two by two tiles has.
 *
 * The including file defines QR_PEAK_MAC(sum, a, b) and QR_PEAK_NAME. */
#include "engine/cpu/kernels/vec_tiles_amx.h"
#include "engine/cpu/peaks.h"

float QR_PEAK_NAME(size_t turns) {
    _Alignas(64) float sum[QR_TILE_ROWS * QR_TILE_BYTES / sizeof(float)] = {0};
    qr__tiles_configure(QR_TILE_ROWS);
    for (; turns > 0; turns--) {
        QR_PEAK_MAC(QR_TILE_SUM00, QR_TILE_A0, QR_TILE_B0);
        QR_PEAK_MAC(QR_TILE_SUM01, QR_TILE_A0, QR_TILE_B1);
        QR_PEAK_MAC(QR_TILE_SUM10, QR_TILE_A1, QR_TILE_B0);
        QR_PEAK_MAC(QR_TILE_SUM11, QR_TILE_A1, QR_TILE_B1);
    }
    _tile_stored(QR_TILE_SUM00, sum, QR_TILE_BYTES);
    _tile_release();
    qr__tiles_sync();
    return sum[0];
}
