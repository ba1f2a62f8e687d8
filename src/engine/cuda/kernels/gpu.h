/* engine/cuda/kernels/gpu.h: all that the kernels use of a GPU, each instruction behind one
 * function.
 *
 *     QR_KERNEL(qr_cuda_widen_f16, qr_widen_args, 128) {
 *         grid_wait();                                     // the kernel before has written
 *         float *row = shared_memory<float>();
 *         ...
 *     }
 *
 * The kernels are compiled twice from the same sources: by nvcc for the device, where these are PTX
 * instructions, and as C++ for the host, where tests/cuda/emulator has bodies that follow the PTX
 * ISA's layouts. So nothing else of CUDA may stand in a kernel but threadIdx, blockIdx, blockDim,
 * gridDim and plain C++ over pointers: no cuda_fp16.h, no __shared__, no intrinsics.
 *
 * Shared memory is dynamic only, and its contents are undefined when a block begins (the emulator
 * fills it with NaN). Threads meet in block_sync() (all of the block) and in every function that
 * says "warp": all 32 lanes must come to it together.
 */
#ifndef QR_ENGINE_CUDA_GPU_H
#define QR_ENGINE_CUDA_GPU_H

#include <stdint.h>

/** 16-bit floats, as bits: conversions are to_float and from_float. */
struct qr_f16 {
    uint16_t bits;
};
struct qr_bf16 {
    uint16_t bits;
};

#ifdef __CUDACC__
#include "engine/cuda/kernels/gpu_ptx_body.h"
#else
#include "gpu_emulated.h" /* of tests/cuda/emulator */
#endif

#endif
