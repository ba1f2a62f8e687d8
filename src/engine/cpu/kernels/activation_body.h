/* engine/cpu/kernels/activation_body.h: activations in place, for the instruction set of the
 * including file. Lanes are independent, so a number's result depends on neither its place nor the
 * array's length. Most matrices apply GELU within their own epilogues; these are for int8's on
 * 256 bits, for the OpenBLAS path and for heads. */
#include "engine/cpu/kernels/vec_math.h"

#include "engine/cpu/kernels/vec_gelu.h"

#define GELU_ERF(v)  qr__vec_gelu((v), &QR_GELU_ERF_TABLE)
#define GELU_TANH(v) qr__vec_gelu((v), &QR_GELU_TANH_TABLE)
#define RELU(v)      qr__vec_max(qr__vec_set(0), (v))

#define ACTIVATE(x, n, activation)                                                                 \
    do {                                                                                           \
        size_t i_ = 0;                                                                             \
        for (; i_ + QR_VEC_LANES <= (n); i_ += QR_VEC_LANES)                                       \
            qr__vec_store((x) + i_, activation(qr__vec_load((x) + i_)));                           \
        if (i_ < (n))                                                                              \
            qr__vec_store_first((x) + i_, activation(qr__vec_load_first((x) + i_, (n) - i_)),      \
                                (n) - i_);                                                         \
    } while (0)
