/* bench/kernels.c: every matrix product of the registry against what this machine can do.
 *
 *     build/bench/kernels [PART OF A KERNEL'S NAME]
 *     build/bench/kernels --rates
 *
 * Two tables, of the kernels that a plan for their instruction set would take on this CPU. First
 * each kernel alone, by shape and rows M, its panels warm; then all matrices of a model in turn, as
 * a forward pass reads them (row conversion, bias and GELU included, one thread). The floor is the
 * greater of operations / measured peak and bytes / measured read bandwidth at that footprint;
 * "share" is floor / time. Times are the least of 31, on the thread's own CPU clock, so that other
 * processes disturb little.
 *
 * --rates prints what tools/make_rates.py puts into the engine's table of rates: for each
 * instruction set of this machine the CPU, and GOP/s in f32, bf16 and int8 of all matrices of 6x384
 * in turn at M = 9 (0: no kernel). */
#include "engine/cpu/kernels/gemm.h"
#include "engine/cpu/matrix.h"
#include "engine/engine.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const size_t row_counts[] = {1, 4, 9, 16, 32, 128};
#define ROW_COUNTS (sizeof row_counts / sizeof row_counts[0])
#define ROWS_MAX   128

typedef struct shape {
    const char *name;
    size_t N, K; /* in units of C */
    qr__epilogue epilogue;
} shape;

static const shape shapes[] = {
    {"qkv", 3, 1, QR_EPILOGUE_BIAS},
    {"out", 1, 1, QR_EPILOGUE_BIAS},
    {"up", 4, 1, QR_EPILOGUE_BIAS_GELU},
    {"down", 1, 4, QR_EPILOGUE_BIAS},
};
#define SHAPES (sizeof shapes / sizeof shapes[0])

static float weight_of(size_t i) {
    return (float)((int)(i * 2654435761u >> 16 & 0xff) - 128) / 1000;
}

/* Buffers that every measurement shares, for C up to 768. */
typedef struct desk {
    float *weights, *x, *y;
    void *operand;
} desk;

#define C_MAX ((size_t)768)

static desk desk_init(void) {
    const size_t wide = ROWS_MAX * 4 * C_MAX;
    desk d = {
        .weights = malloc(4 * C_MAX * C_MAX * sizeof(float)),
        .x = malloc(wide * sizeof(float)),
        .y = malloc(wide * sizeof(float)),
        .operand = aligned_alloc(64, 2 * wide * sizeof(float)),
    };
    if (d.weights == NULL || d.x == NULL || d.y == NULL || d.operand == NULL)
        abort();
    for (size_t i = 0; i < 4 * C_MAX * C_MAX; i++)
        d.weights[i] = weight_of(i);
    for (size_t i = 0; i < wide; i++)
        d.x[i] = (float)(i * 40503u & 1023) / 512 - 1;
    return d;
}

static void desk_deinit(desk *d) {
    free(d->weights);
    free(d->x);
    free(d->y);
    free(d->operand);
}

static qr__matrix *pack(const desk *d, const qr__gemm_kernel *kernel, const shape *s, size_t C,
                        qr__memory_huge *memory) {
    const qr__matrix_rows rows = {
        .weights = d->weights, .stride = s->K * C, .rows = s->N * C, .scale = 1};
    const qr__matrix_source source = {
        .blocks = &rows, .blocks_len = 1, .in = s->K * C, .memory = memory};
    qr__matrix *m = NULL;
    qr_error error = {0};
    if (qr__matrix_pack(&source, kernel->precision, kernel->isa, &m, &error) != QR_OK) {
        fprintf(stderr, "kernels: %s\n", error.message);
        exit(1);
    }
    return m;
}

/* ns of CPU that this thread had. */
static double cpu_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

#define REPEATS 31

/* The least time of `run(argument, M)`, in ns; short runs are timed several at once. */
static double least(void (*run)(void *argument, size_t rows), void *argument, size_t rows) {
    double best = INFINITY;
    int together = 1;
    for (int i = 0; i < REPEATS; i++) {
        const double begin = cpu_ns();
        for (int j = 0; j < together; j++)
            run(argument, rows);
        const double took = (cpu_ns() - begin) / together;
        best = fmin(best, took);
        if (i == 0)
            together = 1 + (int)(200e3 / took);
    }
    return best;
}

/* By what is multiplied: a row of one value a step is f32, and so may bf16 weights be met. */
static double peak_of(const qr__gemm_kernel *kernel, const qr_peaks *peaks) {
    return kernel->precision == QR_PRECISION_INT8 ? peaks->int8_ops
           : kernel->step > 1                     ? peaks->bf16_flops
                                                  : peaks->f32_flops;
}

static void report(const char *what, const char *kernel_name, size_t rows, double ns,
                   double operations, double peak, double bytes, double bandwidth) {
    const double compute = operations / peak * 1e9, read = bytes / bandwidth * 1e9;
    printf(
        "%-26s %-16s %4zu %10.1f us %8.1f GOP/s %7.1f GB/s  floor %10.1f us (%s)  share %3.0f %%\n",
        kernel_name, what, rows, ns / 1e3, operations / ns, bytes / ns,
        (compute > read ? compute : read) / 1e3, compute > read ? "compute" : "read",
        100 * (compute > read ? compute : read) / ns);
}

typedef struct product {
    const desk *desk;
    const qr__matrix *matrix;
    const shape *shape;
} product;

static void multiply(void *argument, size_t rows) {
    const product *p = argument;
    qr__matrix_multiply(p->matrix, p->desk->operand, rows, p->shape->epilogue, p->desk->y,
                        qr__matrix_out(p->matrix), 0, qr__matrix_panels(p->matrix));
}

static void bench_products(const desk *d, const qr__gemm_kernel *kernel, const qr_peaks *peaks,
                           size_t C) {
    qr__memory_huge *memory;
    if (qr__memory_huge_create(&memory, NULL) != QR_OK)
        abort();
    for (size_t i = 0; i < SHAPES; i++) {
        qr__matrix *m = pack(d, kernel, &shapes[i], C, memory);
        product p = {d, m, &shapes[i]};
        qr__matrix_operand(m, d->x, qr__matrix_in(m), 0, ROWS_MAX, d->operand);
        char what[32];
        snprintf(what, sizeof what, "%s %zux%zu", shapes[i].name, qr__matrix_out(m),
                 qr__matrix_in(m));
        for (size_t r = 0; r < ROW_COUNTS; r++)
            report(what, kernel->name, row_counts[r], least(multiply, &p, row_counts[r]),
                   2.0 * (double)(qr__matrix_in(m) * qr__matrix_out(m) * row_counts[r]),
                   peak_of(kernel, peaks), (double)qr__matrix_bytes(m), peaks->read_bytes);
        qr__matrix_destroy(m);
    }
    qr__memory_huge_destroy(memory);
}

typedef struct model {
    const desk *desk;
    size_t count;
    qr__matrix *matrices[64];
} model;

static void pass(void *argument, size_t rows) {
    const model *m = argument;
    const desk *d = m->desk;
    for (size_t i = 0; i < m->count; i++) {
        const qr__matrix *matrix = m->matrices[i];
        qr__matrix_operand(matrix, d->x, qr__matrix_in(matrix), 0, rows, d->operand);
        qr__matrix_multiply(matrix, d->operand, rows, shapes[i % SHAPES].epilogue, d->y,
                            qr__matrix_out(matrix), 0, qr__matrix_panels(matrix));
    }
}

static model model_create(const desk *d, const qr__gemm_kernel *kernel, size_t L, size_t C,
                          qr__memory_huge **memory) {
    if (qr__memory_huge_create(memory, NULL) != QR_OK)
        abort();
    model m = {.desk = d, .count = L * SHAPES};
    for (size_t i = 0; i < m.count; i++)
        m.matrices[i] = pack(d, kernel, &shapes[i % SHAPES], C, *memory);
    return m;
}

static void model_destroy(model *m, qr__memory_huge *memory) {
    for (size_t i = 0; i < m->count; i++)
        qr__matrix_destroy(m->matrices[i]);
    qr__memory_huge_destroy(memory);
}

static double model_operations(size_t L, size_t C, size_t rows) {
    return 24.0 * (double)(L * C * C * rows);
}

static void bench_model(const desk *d, const qr__gemm_kernel *kernel, size_t L, size_t C) {
    qr__memory_huge *memory;
    const double begin = cpu_ns();
    model m = model_create(d, kernel, L, C, &memory);
    const double pack_ms = (cpu_ns() - begin) / 1e6;
    qr_peaks peaks;
    if (qr_peaks_measure(qr__isa_name(kernel->isa), 1, qr__memory_huge_used(memory), &peaks) !=
        QR_OK)
        abort();
    char what[32];
    snprintf(what, sizeof what, "all %zux%zu", L, C);
    printf("%-26s %-16s packed in %.1f ms, %.1f MB; one core reads %.1f GB/s there\n", kernel->name,
           what, pack_ms, (double)qr__memory_huge_used(memory) / 1e6, peaks.read_bytes / 1e9);
    for (size_t r = 0; r < ROW_COUNTS; r++)
        report(what, kernel->name, row_counts[r], least(pass, &m, row_counts[r]),
               model_operations(L, C, row_counts[r]), peak_of(kernel, &peaks),
               (double)qr__memory_huge_used(memory), peaks.read_bytes);
    model_destroy(&m, memory);
}

#define RATES_LAYERS 6
#define RATES_HIDDEN 384
#define RATES_ROWS   9

/* Billions of operations a second of the kernel that a plan for `isa` would take; 0: none. */
static double rate(const desk *d, qr_precision precision, qr__isa isa) {
    const qr__gemm_kernel *kernel = qr__gemm_find(precision, isa);
    if (kernel == NULL)
        return 0;
    qr__memory_huge *memory;
    model m = model_create(d, kernel, RATES_LAYERS, RATES_HIDDEN, &memory);
    const double ns = least(pass, &m, RATES_ROWS);
    model_destroy(&m, memory);
    return model_operations(RATES_LAYERS, RATES_HIDDEN, RATES_ROWS) / ns;
}

/* A line for each instruction set of this machine: what tools/make_rates.py makes a row of. */
static void bench_rates(const desk *d) {
    const qr__cpu_id cpu = qr__isa_cpu();
    for (qr__isa isa = QR_ISA_AVX2; isa < QR_ISA_COUNT; isa++)
        if (qr__isa_available(isa))
            printf("%s %u %u %s %.1f %.1f %.1f\n", cpu.vendor, cpu.family, cpu.model,
                   qr__isa_name(isa), rate(d, QR_PRECISION_F32, isa),
                   rate(d, QR_PRECISION_BF16, isa), rate(d, QR_PRECISION_INT8, isa));
}

int main(int argc, char **argv) {
    const char *wanted = argc > 1 ? argv[1] : "";
    desk d = desk_init();
    const bool rates = strcmp(wanted, "--rates") == 0;
    if (rates)
        bench_rates(&d);
    for (size_t i = 0; i < qr__gemm_table_len && !rates; i++) {
        const qr__gemm_kernel *kernel = &qr__gemm_table[i];
        if (!qr__isa_available(kernel->isa) || strstr(kernel->name, wanted) == NULL)
            continue;
        /* A matrix takes what is found, whatever is named here. */
        if (qr__gemm_find(kernel->precision, kernel->isa) != kernel)
            continue;
        qr_peaks peaks;
        if (qr_peaks_measure(qr__isa_name(kernel->isa), 1, (size_t)512 << 10, &peaks) != QR_OK)
            abort();
        printf("one core: f32 %.0f GFLOP/s, bf16 %.0f, int8 %.0f GOP/s, reads %.0f GB/s from L2\n",
               peaks.f32_flops / 1e9, peaks.bf16_flops / 1e9, peaks.int8_ops / 1e9,
               peaks.read_bytes / 1e9);
        bench_products(&d, kernel, &peaks, 384);
        bench_products(&d, kernel, &peaks, 768);
        bench_model(&d, kernel, 6, 384);
        bench_model(&d, kernel, 3, 768);
    }
    desk_deinit(&d);
    return 0;
}
