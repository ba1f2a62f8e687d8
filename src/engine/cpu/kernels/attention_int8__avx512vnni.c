/* engine/cpu/kernels/attention_int8__avx512vnni.c: attention in int8, beside attention in f32. */
#include "engine/cpu/kernels/attention_int8_vnni_body.h"

#define QR_ATTENTION_ELSE qr__attention_f32__avx512f
#include "engine/cpu/kernels/attention_int8_body.h"

void qr__attention_int8__avx512vnni(const qr__attention *a) {
    attend_int8(a);
}
