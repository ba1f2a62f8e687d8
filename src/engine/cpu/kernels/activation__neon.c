/* engine/cpu/kernels/activation__neon.c: activation_body.h for this instruction set. */
#include "engine/cpu/kernels/activation_body.h"
#include "engine/cpu/kernels/kernel_list.h"

void qr__gelu_f32__neon(float *x, size_t n) {
    ACTIVATE(x, n, GELU_ERF);
}

void qr__gelu_new_f32__neon(float *x, size_t n) {
    ACTIVATE(x, n, GELU_TANH);
}

void qr__relu_f32__neon(float *x, size_t n) {
    ACTIVATE(x, n, RELU);
}

void qr__tanh_f32__neon(float *x, size_t n) {
    ACTIVATE(x, n, qr__vec_tanh);
}
