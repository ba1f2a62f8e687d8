/* engine/cpu/kernels/attention__avx512f.c: attention_body.h for this instruction set. */
#include "engine/cpu/kernels/attention_body.h"
#include "engine/cpu/kernels/kernel_list.h"

void qr__attention_f32__avx512f(const qr__attention *a) {
    attend(a);
}
