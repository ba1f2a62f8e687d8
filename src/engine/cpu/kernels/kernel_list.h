/* engine/cpu/kernels/kernel_list.h: the rows of the kernels' table, and the prototypes of their
 * functions.
 *
 * X(operation, function type and name's stem, precision, ISA, ISA's file name, tolerance).
 * Functions are named qr_<stem>_<f32|...>__<isa>. Rows of one operation stand from the plainest to
 * the fastest. Attention in f32 stands in int8's rows as well where AVX-512 has no VNNI: int8 on
 * AVX2, half as wide, is not faster. */
#ifndef QR_ENGINE_CPU_KERNEL_LIST_H
#define QR_ENGINE_CPU_KERNEL_LIST_H

#include "engine/cpu/kernels/kernels.h"

#define QR_KERNELS_PORTABLE(X)                                                                     \
    X(LAYER_NORM, layer_norm, layer_norm_f32, F32, REF, ref, 0)                                    \
    X(GELU, activation, gelu_f32, F32, REF, ref, 0)                                                \
    X(GELU_NEW, activation, gelu_new_f32, F32, REF, ref, 0)                                        \
    X(RELU, activation, relu_f32, F32, REF, ref, 0)                                                \
    X(TANH, activation, tanh_f32, F32, REF, ref, 0)                                                \
    X(ATTENTION, attention, attention_f32, F32, REF, ref, 0)                                       \
    X(POOL, pool, pool_f32, F32, REF, ref, 0)                                                      \
    X(EMBED, embed, embed_f32, F32, REF, ref, 0)                                                   \
    X(HALVE, halve, halve_f32, F32, REF, ref, 0)

#if defined(__x86_64__)
#define QR_KERNELS_X86(X)                                                                          \
    X(LAYER_NORM, layer_norm, layer_norm_f32, F32, AVX2, avx2, 1e-5)                               \
    X(GELU, activation, gelu_f32, F32, AVX2, avx2, 4e-7)                                           \
    X(GELU_NEW, activation, gelu_new_f32, F32, AVX2, avx2, 4e-7)                                   \
    X(RELU, activation, relu_f32, F32, AVX2, avx2, 0)                                              \
    X(TANH, activation, tanh_f32, F32, AVX2, avx2, 5e-7)                                           \
    X(ATTENTION, attention, attention_f32, F32, AVX2, avx2, 2e-6)                                  \
    X(POOL, pool, pool_f32, F32, AVX2, avx2, 1e-6)                                                 \
    X(EMBED, embed, embed_f32, F32, AVX2, avx2, 0)                                                 \
    X(HALVE, halve, halve_f32, F32, AVX2, avx2, 0)                                                 \
    X(LAYER_NORM, layer_norm, layer_norm_f32, F32, AVX512F, avx512f, 1e-5)                         \
    X(GELU, activation, gelu_f32, F32, AVX512F, avx512f, 4e-7)                                     \
    X(GELU_NEW, activation, gelu_new_f32, F32, AVX512F, avx512f, 4e-7)                             \
    X(RELU, activation, relu_f32, F32, AVX512F, avx512f, 0)                                        \
    X(TANH, activation, tanh_f32, F32, AVX512F, avx512f, 5e-7)                                     \
    X(ATTENTION, attention, attention_f32, F32, AVX512F, avx512f, 2e-6)                            \
    X(POOL, pool, pool_f32, F32, AVX512F, avx512f, 1e-6)                                           \
    X(EMBED, embed, embed_f32, F32, AVX512F, avx512f, 0)                                           \
    X(HALVE, halve, halve_f32, F32, AVX512F, avx512f, 0)                                           \
    X(ATTENTION, attention, attention_bf16, BF16, AVX512BF16, avx512bf16, 2e-2)                    \
    X(ATTENTION, attention, attention_int8, INT8, AVX2, avx2, 6e-2)                                \
    X(ATTENTION, attention, attention_int8, INT8, AVX2VNNI, avx2vnni, 6e-2)                        \
    X(ATTENTION, attention, attention_f32, INT8, AVX512F, avx512f, 2e-6)                           \
    X(ATTENTION, attention, attention_int8, INT8, AVX512VNNI, avx512vnni, 6e-2)                    \
    X(ATTENTION, attention, attention_int8, INT8, AVX512BF16, avx512bf16, 6e-2)                    \
    X(ATTENTION, attention, attention_bf16, BF16, AMX, amx, 2e-2)                                  \
    X(ATTENTION, attention, attention_int8, INT8, AMX, amx, 6e-2)
#else
#define QR_KERNELS_X86(X)
#endif

#if defined(__aarch64__)
#define QR_KERNELS_ARM(X)                                                                          \
    X(LAYER_NORM, layer_norm, layer_norm_f32, F32, NEON, neon, 1e-5)                               \
    X(GELU, activation, gelu_f32, F32, NEON, neon, 4e-7)                                           \
    X(GELU_NEW, activation, gelu_new_f32, F32, NEON, neon, 4e-7)                                   \
    X(RELU, activation, relu_f32, F32, NEON, neon, 0)                                              \
    X(TANH, activation, tanh_f32, F32, NEON, neon, 5e-7)                                           \
    X(ATTENTION, attention, attention_f32, F32, NEON, neon, 2e-6)                                  \
    X(ATTENTION, attention, attention_int8, INT8, NEONDOT, neondot, 6e-2)                          \
    X(POOL, pool, pool_f32, F32, NEON, neon, 1e-6)                                                 \
    X(EMBED, embed, embed_f32, F32, NEON, neon, 0)                                                 \
    X(HALVE, halve, halve_f32, F32, NEON, neon, 0)
#else
#define QR_KERNELS_ARM(X)
#endif

#define QR_KERNEL_LIST(X) QR_KERNELS_PORTABLE(X) QR_KERNELS_X86(X) QR_KERNELS_ARM(X)

#define QR_KERNEL_PROTOTYPE(operation, type, stem, precision, isa, suffix, tolerance)              \
    qr__##type##_kernel qr__##stem##__##suffix;
QR_KERNEL_LIST(QR_KERNEL_PROTOTYPE)
#undef QR_KERNEL_PROTOTYPE

#endif
