/* engine/cpu/kernels/kernels.c: the table of kernels and the choice among them. */
#include "engine/cpu/kernels/attention_groups.h"
#include "engine/cpu/kernels/kernel_list.h"

#define ROW(op, type, stem, dtype, need, suffix, error)                                            \
    {QR_OPERATION_##op,                                                                            \
     QR_PRECISION_##dtype,                                                                         \
     QR_ISA_##need,                                                                                \
     #stem "__" #suffix,                                                                           \
     error,                                                                                        \
     (void (*)(void))qr__##stem##__##suffix},

const qr__kernel qr__kernel_table[] = {QR_KERNEL_LIST(ROW)};
const size_t qr__kernel_table_len = sizeof qr__kernel_table / sizeof qr__kernel_table[0];

const qr__kernel *qr__kernel_find(qr__operation operation, qr_precision precision, qr__isa isa) {
    const qr__kernel *best = NULL;
    for (size_t i = 0; i < qr__kernel_table_len; i++) {
        const qr__kernel *row = &qr__kernel_table[i];
        bool fits = row->operation == operation && row->precision <= precision &&
                    qr__isa_includes(isa, row->isa);
        if (fits && (best == NULL || row->precision > best->precision ||
                     (row->precision == best->precision && row->isa >= best->isa)))
            best = row;
    }
    return best; /* never NULL: plain C has every operation */
}

void qr__kernels_choose(qr__isa isa, qr_precision precision, qr__kernels *out) {
    void (*found[QR_OPERATION_COUNT])(void);
    for (qr__operation operation = 0; operation < QR_OPERATION_COUNT; operation++)
        found[operation] = qr__kernel_find(operation, precision, isa)->function;
    *out = (qr__kernels){
        .layer_norm = (qr__layer_norm_kernel *)found[QR_OPERATION_LAYER_NORM],
        .gelu = (qr__activation_kernel *)found[QR_OPERATION_GELU],
        .gelu_new = (qr__activation_kernel *)found[QR_OPERATION_GELU_NEW],
        .relu = (qr__activation_kernel *)found[QR_OPERATION_RELU],
        .tanh = (qr__activation_kernel *)found[QR_OPERATION_TANH],
        .attention = (qr__attention_kernel *)found[QR_OPERATION_ATTENTION],
        .pool = (qr__pool_kernel *)found[QR_OPERATION_POOL],
        .embed = (qr__embed_kernel *)found[QR_OPERATION_EMBED],
        .halve = (qr__halve_kernel *)found[QR_OPERATION_HALVE],
    };
}

/* f32: scores and queries of a block of 16. bf16: the same, powers, keys and values. int8: scores
 * twice, powers twice, keys and values; queries in f32 and twice as codes, channels (seven numbers
 * each). */
size_t qr__attention_scratch_bytes(size_t keys, size_t D) {
    size_t whole = qr_round_up(keys, QR_ATTENTION_TILE_KEYS);
    size_t single = (keys + D) * 16 * sizeof(float);
    size_t half = whole * (16 * sizeof(float) + 16 * 2 + 4 * D) + D * 16 * 2;
    size_t quarter =
        whole * (2 * 16 * sizeof(int32_t) + 2 * 16 + 2 * D) + D * (16 + 16 + 7) * sizeof(float);
    return qr_max(single, qr_max(half, quarter));
}
