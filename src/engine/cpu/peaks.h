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
typedef float qr__peak_loop(size_t turns);

/** Reads `bytes` (a multiple of 1024) from `from` (64-byte aligned). */
typedef uint64_t qr__peak_read(const void *from, size_t bytes);

typedef struct qr__peak {
    qr__isa isa;
    qr_precision precision;
    double operations; /* a turn: 2 a multiply-add */
    qr__peak_loop *loop;
} qr__peak;

#define QR_PEAK_SUMS 12 /* latency 4 to 6, two units at most */

#if defined(__clang__)
#define QR_PEAK_UNROLL _Pragma("clang loop unroll(full)")
#else
#define QR_PEAK_UNROLL _Pragma("GCC unroll 16")
#endif

qr__peak_loop qr__peak_f32__ref, qr__peak_f32__avx2, qr__peak_f32__avx512f;
qr__peak_loop qr__peak_bf16__avx512bf16, qr__peak_bf16__amx, qr__peak_int8__amx;
qr__peak_loop qr__peak_int8__avx2, qr__peak_int8_halves__avx2, qr__peak_int8__avx512f;
qr__peak_loop qr__peak_int8__avx2vnni, qr__peak_int8__avx512vnni;
qr__peak_read qr__peak_read__ref, qr__peak_read__avx2, qr__peak_read__avx512f;
qr__peak_loop qr__peak_f32__neon, qr__peak_int8__neondot;
qr__peak_loop qr__peak_int8__neoni8mm, qr__peak_bf16__neoni8mm;
qr__peak_read qr__peak_read__neon;

#endif
