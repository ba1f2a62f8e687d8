/* engine/cpu/kernels/isa.h: the instruction sets that kernels are written for, and which of them
 * this machine runs.
 *
 *     if (qr__isa_available(QR_ISA_AVX512F)) ...        // can this machine run it?
 *     if (qr__isa_includes(isa, QR_ISA_AVX512F)) ...    // may a plan for `isa` use its kernels?
 *
 * A name stands for the whole set below it: "avx512bf16" runs VNNI's, AVX-512F's and AVX2's
 * kernels too, "neoni8mm" those of "neondot" and "neon". The one reader of cpuid and getauxval in
 * the engine. Which of them a plan takes is engine/cpu/target.h's. Thread-safe.
 */
#ifndef QR_ENGINE_CPU_ISA_H
#define QR_ENGINE_CPU_ISA_H

#include "base/base.h"

typedef enum qr__isa {
    QR_ISA_REF,        /* plain C, and OpenBLAS for f32 matrices: any machine */
    QR_ISA_AVX2,       /* AVX2, FMA, F16C, BMI2 */
    QR_ISA_AVX2VNNI,   /* and AVX-VNNI */
    QR_ISA_AVX512F,    /* AVX2's and AVX-512 F, BW, DQ, VL */
    QR_ISA_AVX512VNNI, /* and AVX512_VNNI */
    QR_ISA_AVX512BF16, /* and AVX512_BF16 */
    QR_ISA_AMX,        /* and AMX-TILE, AMX-INT8, AMX-BF16 */
    QR_ISA_NEON,       /* ARMv8.0's: every aarch64 */
    QR_ISA_NEONDOT,    /* and SDOT (FEAT_DotProd) */
    QR_ISA_NEONI8MM,   /* and USMMLA, BFMMLA (FEAT_I8MM, FEAT_BF16) */
    QR_ISA_COUNT
} qr__isa;

/** "ref", "avx2", ...: what `--device cpu:ISA` and QUERENT_ISA take (engine/cpu/target.h). */
const char *qr__isa_name(qr__isa isa);

/** True when a plan for `isa` may use kernels written for `need`. */
bool qr__isa_includes(qr__isa isa, qr__isa need);

/** True when `isa` is one of the architecture that this program is built for, on this machine or
 * on another. */
bool qr__isa_native(qr__isa isa);

/** True when this machine (CPU and operating system) runs `isa`. Linux lets a process use AMX only
 * when it has asked to: the first question about QR_ISA_AMX does, for all its threads. */
bool qr__isa_available(qr__isa isa);

/** A model of CPU. */
typedef struct qr__cpu_id {
    char vendor[13];        /* "GenuineIntel"; "": not told */
    unsigned family, model; /* with cpuid's extensions added, as /proc/cpuinfo has them */
} qr__cpu_id;

/** This machine's; all zero where there is no cpuid. */
qr__cpu_id qr__isa_cpu(void);

#endif
