/* engine/cuda/kernels/cuda_kernel_list.h: every kernel of the module: its name, its argument,
 * threads of a block, bytes of dynamic shared memory.
 *
 *     #define NAME(name, args, threads, shared) "qr_cuda_" #name,
 *     static const char *const names[] = {QR_CUDA_KERNEL_LIST(NAME)};
 *     #undef NAME
 *
 * The host finds a kernel as "qr_cuda_NAME" and launches it so, with one argument, a struct of
 * cuda_kernels.h; the kernels' own files take their threads from here and check their bytes against
 * it. What is above 48 KB the host has to allow (cuFuncSetAttribute).
 */
#ifndef QR_ENGINE_CUDA_KERNEL_LIST_H
#define QR_ENGINE_CUDA_KERNEL_LIST_H

#include "engine/cuda/kernels/cuda_encoder.h"
#include "engine/cuda/kernels/cuda_kernels.h"

/* Kernels of which a block works at a row: widths up to 8 * 4 * threads (QR_LIMIT_HIDDEN). */
#define QR_CUDA_ROW_THREADS 256
#define QR_CUDA_ROW_SHARED  64

#define QR_CUDA_KERNEL_LIST(X)                                                                     \
    X(embed_f16, qr_cuda_embed_args, QR_CUDA_ROW_THREADS, QR_CUDA_ROW_SHARED)                      \
    X(embed_bf16, qr_cuda_embed_args, QR_CUDA_ROW_THREADS, QR_CUDA_ROW_SHARED)                     \
    X(embed_f32, qr_cuda_embed_args, QR_CUDA_ROW_THREADS, QR_CUDA_ROW_SHARED)                      \
    X(add_norm_f16, qr_cuda_add_norm_args, QR_CUDA_ROW_THREADS, QR_CUDA_ROW_SHARED)                \
    X(add_norm_bf16, qr_cuda_add_norm_args, QR_CUDA_ROW_THREADS, QR_CUDA_ROW_SHARED)               \
    X(add_norm_f32, qr_cuda_add_norm_args, QR_CUDA_ROW_THREADS, QR_CUDA_ROW_SHARED)                \
    X(gemm_f16_16, qr_cuda_gemm_args, 128, 65536)                                                  \
    X(gemm_f16_32, qr_cuda_gemm_args, 128, 81920)                                                  \
    X(gemm_f16_64, qr_cuda_gemm_args, 128, 86016)                                                  \
    X(gemm_f16_128, qr_cuda_gemm_args, 256, 73728)                                                 \
    X(gemm_bf16_16, qr_cuda_gemm_args, 128, 65536)                                                 \
    X(gemm_bf16_32, qr_cuda_gemm_args, 128, 81920)                                                 \
    X(gemm_bf16_64, qr_cuda_gemm_args, 128, 86016)                                                 \
    X(gemm_bf16_128, qr_cuda_gemm_args, 256, 73728)                                                \
    X(gemm_f32, qr_cuda_gemm_args, 128, 8704)                                                      \
    X(attention_f16_16, qr_cuda_attention_args, 128, 10240)                                        \
    X(attention_f16_32, qr_cuda_attention_args, 128, 20480)                                        \
    X(attention_f16_64, qr_cuda_attention_args, 128, 40960)                                        \
    X(attention_f16_128, qr_cuda_attention_args, 128, 81920)                                       \
    X(attention_bf16_16, qr_cuda_attention_args, 128, 10240)                                       \
    X(attention_bf16_32, qr_cuda_attention_args, 128, 20480)                                       \
    X(attention_bf16_64, qr_cuda_attention_args, 128, 40960)                                       \
    X(attention_bf16_128, qr_cuda_attention_args, 128, 81920)                                      \
    X(attention_f32, qr_cuda_attention_args, 128, 2048)                                            \
    X(encoder_f16_16, qr_cuda_encoder_args, 256, 166016)                                           \
    X(encoder_f16_32, qr_cuda_encoder_args, 256, 160000)                                           \
    X(encoder_bf16_16, qr_cuda_encoder_args, 256, 166016)                                          \
    X(encoder_bf16_32, qr_cuda_encoder_args, 256, 160000)                                          \
    X(activate_f16, qr_cuda_activate_args, QR_CUDA_ROW_THREADS, 0)                                 \
    X(activate_bf16, qr_cuda_activate_args, QR_CUDA_ROW_THREADS, 0)                                \
    X(widen_f16, qr_cuda_widen_args, QR_CUDA_ROW_THREADS, 0)                                       \
    X(widen_bf16, qr_cuda_widen_args, QR_CUDA_ROW_THREADS, 0)                                      \
    X(widen_f32, qr_cuda_widen_args, QR_CUDA_ROW_THREADS, 0)                                       \
    X(pool_f32, qr_cuda_pool_args, QR_CUDA_ROW_THREADS, 0)                                         \
    X(linear_f32, qr_cuda_linear_args, 256, 0)

#endif
