/* engine/cpu/cpu.h: the CPU as a backend: packed weights, kernels for each instruction set,
 * teams of threads.
 *
 * Targets are instruction sets ("ref", "avx2", "avx512vnni", ...: docs/ENGINE.md); without one
 * the environment's QUERENT_ISA counts, else the fastest of this machine
 * (engine/cpu/target.h). */
#ifndef QR_ENGINE_CPU_H
#define QR_ENGINE_CPU_H

#include "engine/backend.h"

extern const qr_backend qr_backend_cpu;

#endif
