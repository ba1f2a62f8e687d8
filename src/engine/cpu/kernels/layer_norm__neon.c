/* engine/cpu/kernels/layer_norm__neon.c: layer_norm_body.h for this instruction set. Bound by loads
 * and stores from L1: four passes' worth. */
#include "engine/cpu/kernels/kernel_list.h"
#include "engine/cpu/kernels/layer_norm_body.h"

void qr__layer_norm_f32__neon(const qr__layer_norm *n) {
    layer_norm(n);
}
