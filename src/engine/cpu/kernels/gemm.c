/* engine/cpu/kernels/gemm.c: the table of matrix products, the choice among them, and the sizes of
 * their panels. */
#include "engine/cpu/kernels/gemm_list.h"

#define ROW(dtype, need, suffix, stem, columns, step, bytes, together, group, invariant,           \
            tolerance, convert)                                                                    \
    {#stem "__" #suffix,                                                                           \
     QR_PRECISION_##dtype,                                                                         \
     QR_ISA_##need,                                                                                \
     columns,                                                                                      \
     step,                                                                                         \
     bytes,                                                                                        \
     together,                                                                                     \
     group,                                                                                        \
     invariant,                                                                                    \
     tolerance,                                                                                    \
     convert,                                                                                      \
     qr__##stem##__##suffix},

const qr__gemm_kernel qr__gemm_table[] = {QR_GEMM_LIST(ROW)};
const size_t qr__gemm_table_len = sizeof qr__gemm_table / sizeof qr__gemm_table[0];

#if defined(__x86_64__)
/* AMD's Zen, Zen+ and Zen 2, and Hygon's of the same design, have one unit that multiplies integers
 * (llvm's models znver1 and znver2, VPMADDUBSW); those after them have two. */
static bool has_one_multiplier(const qr__cpu_id *cpu) {
    return (strcmp(cpu->vendor, "AuthenticAMD") == 0 && cpu->family == 23) ||
           (strcmp(cpu->vendor, "HygonGenuine") == 0 && cpu->family == 24);
}

/* False for a kernel that is faster on other CPUs only. */
static bool suits(const qr__gemm_kernel *row, const qr__cpu_id *cpu) {
    return row->multiply != qr__gemm_int8_halves__avx2 || has_one_multiplier(cpu);
}
#else
static bool suits(const qr__gemm_kernel *row, const qr__cpu_id *cpu) {
    (void)row;
    (void)cpu;
    return true;
}
#endif

const qr__gemm_kernel *qr__gemm_find_for(qr_precision precision, qr__isa isa,
                                         const qr__cpu_id *cpu) {
    const qr__gemm_kernel *best = NULL;
    for (size_t i = 0; i < qr__gemm_table_len; i++) {
        const qr__gemm_kernel *row = &qr__gemm_table[i];
        if (row->precision == precision && qr__isa_includes(isa, row->isa) && suits(row, cpu) &&
            (best == NULL || row->isa >= best->isa))
            best = row;
    }
    return best;
}

const qr__gemm_kernel *qr__gemm_find(qr_precision precision, qr__isa isa) {
    const qr__cpu_id cpu = qr__isa_cpu();
    return qr__gemm_find_for(precision, isa, &cpu);
}

/* An odd number of cache lines, so that rows of one block fall into different sets. */
static size_t odd_lines(size_t bytes) {
    const size_t lines = (bytes + 63) / 64;
    return (lines | 1) * 64;
}

qr__gemm_shape qr__gemm_shape_of(const qr__gemm_kernel *kernel, size_t K, size_t N) {
    qr__gemm_shape shape = {.K = K, .N = N};
    const bool scaled = kernel->precision == QR_PRECISION_INT8;
    shape.steps = qr_round_up((K + kernel->step - 1) / kernel->step, kernel->together);
    shape.panels = (N + kernel->columns - 1) / kernel->columns;
    const size_t weights = shape.steps * kernel->step * kernel->columns * kernel->weight_bytes;
    shape.constants_at = qr_round_up(weights, 64);
    shape.panel_bytes =
        qr_round_up(shape.constants_at + (scaled ? 3 : 1) * kernel->columns * sizeof(float), 64);
    /* What a step takes of a row: f32 may meet weights of fewer bytes. */
    const size_t unit = qr_max(kernel->step * kernel->weight_bytes, sizeof(float));
    shape.row_at = qr_round_up(shape.steps * unit, 64);
    shape.stride = odd_lines(shape.row_at + (scaled ? sizeof(qr__gemm_row) : 0));
    return shape;
}

static void copy_row(const qr__gemm_shape *shape, const float *x, void *row) {
    memcpy(row, x, shape->K * sizeof(float));
}

void qr__quantize_f32(const qr__gemm_shape *shape, const float *x, size_t ldx, size_t rows,
                      void *operand) {
    qr__quantize_each(shape, x, ldx, rows, operand, copy_row);
}
