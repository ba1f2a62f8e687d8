/* engine/cpu/target.h: the instruction set that plans for the CPU are made for.
 *
 *     qr__isa isa;
 *     status = qr__target_choose("avx2", &isa, &error);    // --device cpu:avx2
 *     status = qr__target_choose(NULL, &isa, &error);      // QUERENT_ISA, else the fastest here
 *
 * By itself a process takes the fastest that its machine runs, which need not be the highest: the
 * committed table of rates says (engine/cpu/rates.h). Thread-safe.
 */
#ifndef QR_ENGINE_CPU_TARGET_H
#define QR_ENGINE_CPU_TARGET_H

#include "engine/cpu/kernels/isa.h"

/** The instruction set called `name`; NULL: what QUERENT_ISA says, else the fastest of this
 * machine. "avx512" means the fastest where that is one of AVX-512. QR_BAD_OPTION: no such name,
 * one of another architecture, or this machine cannot run it. */
QR_MUST_USE qr_status qr__target_choose(const char *name, qr__isa *out, qr_error *error);

#endif
