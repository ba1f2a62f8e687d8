/* engine/cpu/rates.h: which instruction set and which precision is fast on which CPU, from a
 * committed table of measured rates.
 *
 *     qr__cpu_id id = qr__isa_cpu();
 *     qr__isa isa = qr__rates_fastest_isa(qr__rates_table, qr__rates_table_len, &id, runs);
 *     const qr__rates *row = qr__rates_find(qr__rates_table, qr__rates_table_len, &id, isa);
 *     qr__rates_describe(row, &id, &rates);
 *     qr__rates_order(&rates, device->runs, device->order);
 *
 * A table and not a clock at start: replicas on the same kind of machine must choose the same plan
 * and give the same bits. tools/make_rates.py writes this machine's rows (rates_tables.c).
 * Thread-safe.
 */
#ifndef QR_ENGINE_CPU_RATES_H
#define QR_ENGINE_CPU_RATES_H

#include "engine/backend.h"
#include "engine/cpu/kernels/isa.h"

/** What a plan for one instruction set reaches on one CPU. */
typedef struct qr__rates {
    qr__cpu_id cpu;   /* vendor "": no CPU of this instruction set was measured */
    const char *name; /* "Intel Ice Lake server" */
    qr__isa isa;
    bool stands_in;                        /* for CPUs of its vendor that have no row of their own;
                                              one an instruction set and vendor */
    const char *date;                      /* of the measurement: "2026-11-25"; "": none */
    double f32_gops, bf16_gops, int8_gops; /* billions of operations a second of one thread: all
                                              matrices of a 6x384 model in turn, 9 rows; 0: not
                                              measured */
} qr__rates;

extern const qr__rates qr__rates_table[];
extern const size_t qr__rates_table_len;

/** The row of this CPU and instruction set; without one, the row that stands in for its vendor's
 * CPUs; without that, the first that stands in at all; NULL: there is none. */
const qr__rates *qr__rates_find(const qr__rates *rows, size_t len, const qr__cpu_id *cpu,
                                qr__isa isa);

/** The highest instruction set of those that `runs` has which is not slower than a lower one that
 * it includes. Slower: in some precision, and faster in none, by more than QR_RATES_TIE, both as
 * measured on one CPU: this one, or that which stands in for it. (VDPBF16PS of Intel's CPUs has
 * half of the rate that f32 has, so avx512bf16 is slower than avx512vnni there.) */
qr__isa qr__rates_fastest_isa(const qr__rates *rows, size_t len, const qr__cpu_id *cpu,
                              const bool runs[QR_ISA_COUNT]);

/** The name and figures of a row, for people: "Intel Ice Lake server, avx512vnni, 2026-11-25". A
 * row that only stands in for `cpu` says so. NULL: "none". */
void qr__rates_describe(const qr__rates *row, const qr__cpu_id *cpu, qr_rates *out);

/** Precisions worth trying, the fastest first, up to f32, which ends the list. Left out is what
 * does not run, was not measured, or is not faster than f32. Of rates within QR_RATES_TIE of the
 * best the most exact precision goes first. */
void qr__rates_order(const qr_rates *rates, const bool runs[QR_PRECISIONS],
                     qr_precision order[QR_PRECISIONS]);

#endif
