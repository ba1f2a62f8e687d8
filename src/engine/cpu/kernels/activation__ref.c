/* engine/cpu/kernels/activation__ref.c: activations in plain C, by libm. */
#include "engine/cpu/kernels/kernel_list.h"

#include <math.h>

void qr__gelu_f32__ref(float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(0.5 * (double)x[i] * (1 + erf((double)x[i] * M_SQRT1_2)));
}

void qr__gelu_new_f32__ref(float *x, size_t n) {
    for (size_t i = 0; i < n; i++) {
        double v = (double)x[i];
        x[i] = (float)(0.5 * v * (1 + tanh(sqrt(M_2_PI) * (v + 0.044715 * v * v * v))));
    }
}

void qr__relu_f32__ref(float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] = x[i] > 0 ? x[i] : 0;
}

void qr__tanh_f32__ref(float *x, size_t n) {
    for (size_t i = 0; i < n; i++)
        x[i] = tanhf(x[i]);
}
