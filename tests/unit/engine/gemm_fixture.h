/* A matrix product of the table with everything that its kernel reads: numbers by chance, packed
 * and converted as the engine does it. Sizes are exact: AddressSanitizer sees one byte too far in
 * x, and behind operand and panels stands a page that cannot be read, under an emulator too. */
#ifndef QR_TESTS_GEMM_FIXTURE_H
#define QR_TESTS_GEMM_FIXTURE_H

#include "engine/cpu/kernels/gemm.h"

struct gemm_problem {
    const qr__gemm_kernel *kernel;
    qr__gemm_shape shape;
    size_t rows;
    float *x, *w, *bias;
    void *operand, *panels;
    double *wide; /* W as packed */
};

/* -1..1, owned. */
float *gemm_noises(size_t n);

double gemm_from_bf16(uint16_t half);

/* To nearest even. */
uint16_t gemm_to_bf16(float f);

void gemm_problem_init(struct gemm_problem *p, const qr__gemm_kernel *kernel, size_t rows, size_t K,
                       size_t N);
void gemm_problem_deinit(struct gemm_problem *p);

/* Packs again, after w or the bias was changed (`wide` is not). */
void gemm_problem_pack(const struct gemm_problem *p);

/* Rows [first, first + rows) by panels [begin, end). */
void gemm_problem_run(const struct gemm_problem *p, size_t first, size_t rows, size_t begin,
                      size_t end, qr__epilogue epilogue, float *y, size_t ldy);

/* An int8 row's code at k. */
int gemm_code_at(const qr__gemm_kernel *kernel, const void *row, size_t k);

#endif
