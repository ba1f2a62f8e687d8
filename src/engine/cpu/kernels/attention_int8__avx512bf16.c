/* engine/cpu/kernels/attention_int8__avx512bf16.c: attention in int8, beside attention in bf16. */
#include "engine/cpu/kernels/attention_int8_vnni_body.h"

#include "engine/cpu/kernels/attention_int8_body.h"

void qr__attention_int8__avx512bf16(const qr__attention *a) {
    if (fits_int8(a))
        attend_int8(a);
    else
        qr__attention_bf16__avx512bf16(a);
}
