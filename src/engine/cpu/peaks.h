/* engine/cpu/peaks.h: the loops that qr_peaks_measure() times, one set an instruction set.
 *
 * An arithmetic loop has enough independent sums in registers to hide the latency of the
 * multiply-add, and nothing else; a read loop loads whole cache lines and keeps nothing. Each adds
 * to a sink, so that no compiler may drop it.
 */
#ifndef QR_ENGINE_CPU_PEAKS_H
#define QR_ENGINE_CPU_PEAKS_H

#include "engine/cpu/kernels/isa.h"
#include "engine/engine.h"

/** Runs `turns` turns of the loop; returns what it computed (nothing of meaning). */
typedef float qr_peak_loop(size_t turns);

/** Reads `bytes` (a multiple of 1024) from `from` (64-byte aligned). */
typedef uint64_t qr_peak_read(const void *from, size_t bytes);

typedef struct qr_peak {
    qr_isa isa;
    qr_precision precision;
    double operations; /* a turn: 2 a multiply-add */
    qr_peak_loop *loop;
} qr_peak;

#define QR_PEAK_SUMS 12 /* latency 4 to 6, two units at most */

qr_peak_loop qr_peak_f32__ref, qr_peak_f32__avx2, qr_peak_f32__avx512f;
qr_peak_loop qr_peak_bf16__avx512bf16;
qr_peak_loop qr_peak_int8__avx2vnni, qr_peak_int8__avx512vnni;
qr_peak_read qr_peak_read__ref, qr_peak_read__avx2, qr_peak_read__avx512f;

#endif
