/* engine/cpu/kernels/attention__neon.c: attention_body.h for this instruction set. */
#include "engine/cpu/kernels/attention_body.h"
#include "engine/cpu/kernels/kernel_list.h"

void qr__attention_f32__neon(const qr__attention *a) {
    attend(a);
}
