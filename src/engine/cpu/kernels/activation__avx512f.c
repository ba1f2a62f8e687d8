/* engine/cpu/kernels/activation__avx512f.c: activation_body.h for this instruction set. */
#include "engine/cpu/kernels/activation_body.h"
#include "engine/cpu/kernels/kernel_list.h"

void qr_gelu_f32__avx512f(float *x, size_t n) {
    ACTIVATE(x, n, GELU_ERF);
}

void qr_gelu_new_f32__avx512f(float *x, size_t n) {
    ACTIVATE(x, n, GELU_TANH);
}

void qr_relu_f32__avx512f(float *x, size_t n) {
    ACTIVATE(x, n, RELU);
}

void qr_tanh_f32__avx512f(float *x, size_t n) {
    ACTIVATE(x, n, qr_vec_tanh);
}
