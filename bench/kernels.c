/* bench/kernels.c: every matrix product of the registry, by shape and number of rows, against what the machine can do. */
#include "engine/cpu/kernels/gemm.h"
#include "engine/cpu/matrix.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct layer { qr_matrix *m[4]; } layer;

int main(int argc, char **argv) {
    qr_precision precision = QR_PRECISION_INT8;
    size_t C = 384, L = 6;
    const char *isa = NULL;
    if (argc > 1) (void)qr_precision_parse(qr_text_of(argv[1]), &precision);
    if (argc > 2) C = (size_t)strtoul(argv[2], NULL, 10);
    if (argc > 3) L = (size_t)strtoul(argv[3], NULL, 10);
    if (argc > 4) isa = argv[4];
    qr_error error = {0};
    qr_memory_huge *memory;
    if (qr_memory_huge_create(&memory, &error) != QR_OK) return 1;
    float *w = malloc(4 * C * C * sizeof *w);
    for (size_t i = 0; i < 4 * C * C; i++) w[i] = (float)((int)(i * 2654435761u >> 16 & 0xff) - 128) / 1000;
    layer *layers = calloc(L, sizeof *layers);
    uint64_t t0 = qr_clock_ns();
    for (size_t l = 0; l < L; l++) for (int i = 0; i < 4; i++) {
        size_t N[4] = {3 * C, C, 4 * C, C}, K[4] = {C, C, C, 4 * C};
        qr_matrix_source s = {.weights = w, .in = K[i], .out = N[i], .memory = memory};
        if (qr_matrix_pack(&s, precision, isa, &layers[l].m[i], &error) != QR_OK) { puts(error.message); return 1; }
    }
    printf("packed in %.1f ms, %zu bytes, %s\n", (double)(qr_clock_ns() - t0) / 1e6, qr_memory_huge_used(memory), qr_matrix_kernel(layers[0].m[0]));
    static const size_t Ms[] = {1, 4, 9, 12, 16, 32, 128};
    float *x = aligned_alloc(64, 128 * 4 * C * sizeof *x), *y = aligned_alloc(64, 128 * 4 * C * sizeof *y);
    for (size_t i = 0; i < 128 * 4 * C; i++) x[i] = (float)((i * 40503u) & 1023) / 512 - 1;
    void *op = aligned_alloc(64, qr_matrix_operand_bytes(layers[0].m[3], 128) * 2);
    for (size_t q = 0; q < sizeof Ms / sizeof *Ms; q++) {
        size_t M = Ms[q];
        uint64_t best = ~0ull, bestm = ~0ull;
        uint64_t part[4] = {0};
        for (int r = 0; r < 50; r++) {
            uint64_t a = qr_clock_ns(), mm = 0, pp[4] = {0};
            for (size_t l = 0; l < L; l++) for (int i = 0; i < 4; i++) {
                qr_matrix *m = layers[l].m[i];
                qr_matrix_operand(m, x, qr_matrix_in(m), 0, M, op);
                uint64_t b = qr_clock_ns();
                qr_matrix_multiply(m, op, M, i == 2 ? QR_EPILOGUE_BIAS_GELU : QR_EPILOGUE_BIAS, y, qr_matrix_out(m), 0, qr_matrix_panels(m));
                b = qr_clock_ns() - b; mm += b; pp[i] += b;
            }
            a = qr_clock_ns() - a;
            if (a < best) { best = a; memcpy(part, pp, sizeof pp); }
            if (mm < bestm) bestm = mm;
        }
        double ops = 24.0 * (double)(C * C * L * M);
        printf("M %3zu: all %.3f ms %.0f GOP/s, multiply %.3f ms %.0f GOP/s; qkv %.0f o %.0f up %.0f down %.0f\n", M, (double)best / 1e6, ops / (double)best, (double)bestm / 1e6, ops / (double)bestm,
            ops / 4 / (double)part[0], ops / 12 / (double)part[1], ops / 3 / (double)part[2], ops / 3 / (double)part[3]);
    }
    return 0;
}
