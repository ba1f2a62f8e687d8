/* engine/cuda/kernels/querent_cuda.cu: all kernels, as one image for the device (cmake/Cuda.cmake).
 * Each file has a namespace; the kernels' own names are C's. */
#include "engine/cuda/kernels/attention_mma.cu"
#include "engine/cuda/kernels/encoder_mma.cu"
#include "engine/cuda/kernels/gemm_mma.cu"
#include "engine/cuda/kernels/head_kernels.cu"
#include "engine/cuda/kernels/plain_f32.cu"
#include "engine/cuda/kernels/row_kernels.cu"
