/* engine/cpu/kernels/kernels.c: the table of kernels and the choice among them. */
#include "engine/cpu/kernels/kernel_list.h"

#define ROW(op, type, stem, dtype, need, suffix, error)                                            \
    {QR_OPERATION_##op,                                                                            \
     QR_PRECISION_##dtype,                                                                         \
     QR_ISA_##need,                                                                                \
     #stem "__" #suffix,                                                                           \
     error,                                                                                        \
     (void (*)(void))qr_##stem##__##suffix},

const qr_kernel qr_kernel_table[] = {QR_KERNEL_LIST(ROW)};
const size_t qr_kernel_table_len = sizeof qr_kernel_table / sizeof qr_kernel_table[0];

const qr_kernel *qr_kernel_find(qr_operation operation, qr_precision precision, qr_isa isa) {
    const qr_kernel *best = NULL;
    for (size_t i = 0; i < qr_kernel_table_len; i++) {
        const qr_kernel *row = &qr_kernel_table[i];
        bool fits = row->operation == operation && row->precision <= precision &&
                    qr_isa_includes(isa, row->isa);
        if (fits && (best == NULL || row->precision > best->precision ||
                     (row->precision == best->precision && row->isa >= best->isa)))
            best = row;
    }
    return best; /* never NULL: plain C has every operation */
}

void qr_kernels_choose(qr_isa isa, qr_precision precision, qr_kernels *out) {
    void (*found[QR_OPERATION_COUNT])(void);
    for (qr_operation operation = 0; operation < QR_OPERATION_COUNT; operation++)
        found[operation] = qr_kernel_find(operation, precision, isa)->function;
    *out = (qr_kernels){
        .layer_norm = (qr_layer_norm_kernel *)found[QR_OPERATION_LAYER_NORM],
        .gelu = (qr_activation_kernel *)found[QR_OPERATION_GELU],
        .gelu_new = (qr_activation_kernel *)found[QR_OPERATION_GELU_NEW],
        .relu = (qr_activation_kernel *)found[QR_OPERATION_RELU],
        .tanh = (qr_activation_kernel *)found[QR_OPERATION_TANH],
        .attention = (qr_attention_kernel *)found[QR_OPERATION_ATTENTION],
        .pool = (qr_pool_kernel *)found[QR_OPERATION_POOL],
        .embed = (qr_embed_kernel *)found[QR_OPERATION_EMBED],
        .halve = (qr_halve_kernel *)found[QR_OPERATION_HALVE],
    };
}

/* f32: scores and queries of a block of 16. bf16: keys and values, rounded up to a pair, then the
 * same in halves. */
size_t qr_attention_scratch_bytes(size_t keys, size_t D) {
    size_t single = (keys + D) * 16 * sizeof(float);
    size_t half = (keys + 1) * D * 4 + (keys + 1 + D) * 16 * 2;
    return qr_max(single, half);
}
