/* engine/cpu/kernels/gemm_list.h: the rows of the matrix products' table, and the prototypes of
 * their functions.
 *
 * X(precision, ISA, file's ISA, name's stem, columns of a panel, k a step, bytes a weight, steps
 * together, group, invariant, tolerance, row conversion). Of two rows for one ISA the later is
 * taken, if it suits the CPU (gemm.c). */
#ifndef QR_ENGINE_CPU_GEMM_LIST_H
#define QR_ENGINE_CPU_GEMM_LIST_H

#include "engine/cpu/kernels/gemm.h"

#define QR_GEMM_PORTABLE(X) X(F32, REF, ref, gemm_f32, 96, 1, 4, 1, 1, true, 1e-6, qr__quantize_f32)

#if defined(QR_OPENBLAS)
#define QR_GEMM_LIBRARY(X)                                                                         \
    X(F32, REF, openblas, gemm_f32, 96, 1, 4, 1, 1, false, 1e-6, qr__quantize_f32)
#else
#define QR_GEMM_LIBRARY(X)
#endif

#if defined(__x86_64__)
#define QR_GEMM_X86(X)                                                                             \
    X(F32, AVX2, avx2, gemm_f32, 16, 1, 4, 1, 1, true, 1e-6, qr__quantize_f32)                     \
    X(F32, AVX512F, avx512f, gemm_f32, 32, 1, 4, 1, 1, true, 1e-6, qr__quantize_f32)               \
    X(BF16, AVX2, avx2, gemm_bf16, 16, 1, 2, 1, 1, true, 1e-6, qr__quantize_f32)                   \
    X(BF16, AVX512F, avx512f, gemm_bf16, 32, 1, 2, 1, 1, true, 1e-6, qr__quantize_f32)             \
    X(BF16, AVX512BF16, avx512bf16, gemm_bf16, 32, 2, 2, 1, 1, true, 1e-6,                         \
      qr__quantize_bf16__avx512bf16)                                                               \
    X(INT8, AVX2, avx2, gemm_int8, 16, 4, 1, 2, 4, true, 1e-6, qr__quantize_int8__avx2)            \
    X(INT8, AVX2, avx2, gemm_int8_halves, 16, 4, 1, 2, 4, true, 1e-6, qr__quantize_int8__avx2)     \
    X(INT8, AVX2VNNI, avx2vnni, gemm_int8, 16, 4, 1, 1, 1, true, 1e-6,                             \
      qr__quantize_int8__avx2vnni)                                                                 \
    X(INT8, AVX512F, avx512f, gemm_int8, 32, 4, 1, 2, 4, true, 1e-6, qr__quantize_int8__avx512f)   \
    X(INT8, AVX512VNNI, avx512vnni, gemm_int8, 32, 4, 1, 1, 1, true, 1e-6,                         \
      qr__quantize_int8__avx512vnni)                                                               \
    X(BF16, AMX, amx, gemm_bf16, 32, 2, 2, 16, 1, true, 1e-6, qr__quantize_bf16__avx512bf16)       \
    X(INT8, AMX, amx, gemm_int8, 32, 4, 1, 16, 1, true, 1e-6, qr__quantize_int8__avx512vnni)
#else
#define QR_GEMM_X86(X)
#endif

#if defined(__aarch64__)
#define QR_GEMM_ARM(X)                                                                             \
    X(F32, NEON, neon, gemm_f32, 16, 1, 4, 1, 1, true, 1e-6, qr__quantize_f32)                     \
    X(BF16, NEON, neon, gemm_bf16, 16, 1, 2, 1, 1, true, 1e-6, qr__quantize_f32)                   \
    X(INT8, NEONDOT, neondot, gemm_int8, 16, 4, 1, 1, 1, true, 1e-6, qr__quantize_int8__neondot)   \
    X(BF16, NEONI8MM, neoni8mm, gemm_bf16, 16, 4, 2, 1, 1, true, 1e-6,                             \
      qr__quantize_bf16__neoni8mm)                                                                 \
    X(INT8, NEONI8MM, neoni8mm, gemm_int8, 16, 8, 1, 1, 1, true, 1e-6, qr__quantize_int8__neoni8mm)
#else
#define QR_GEMM_ARM(X)
#endif

#define QR_GEMM_LIST(X) QR_GEMM_PORTABLE(X) QR_GEMM_LIBRARY(X) QR_GEMM_X86(X) QR_GEMM_ARM(X)

#define QR_GEMM_PROTOTYPE(precision, isa, suffix, stem, columns, step, bytes, together, group,     \
                          invariant, tolerance, convert)                                           \
    void qr__##stem##__##suffix(const qr__gemm_task *task);                                        \
    void convert(const qr__gemm_shape *shape, const float *x, size_t ldx, size_t rows,             \
                 void *operand);
QR_GEMM_LIST(QR_GEMM_PROTOTYPE)
#undef QR_GEMM_PROTOTYPE

#endif
