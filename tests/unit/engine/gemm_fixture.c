/* tests: see gemm_fixture.h. */
#include "gemm_fixture.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/cpu/matrix_pack.h"
#include "engine/cpu/quantize_weights.h"

static uint32_t state = 1;

/* -1..1 */
static float noise(void) {
    state = state * 1664525u + 1013904223u;
    return (float)(int32_t)state / 2147483648.0f;
}

float *gemm_noises(size_t n) {
    float *x = malloc(n * sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = noise();
    return x;
}

double gemm_from_bf16(uint16_t half) {
    uint32_t bits = (uint32_t)half << 16;
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

uint16_t gemm_to_bf16(float f) {
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/* Memory of whole pages for `bytes`, and one that none may touch. */
static size_t guarded_bytes(size_t bytes) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    return qr_round_up(bytes, page) + page;
}

/* `bytes`, a multiple of 64, up to the end of what may be touched. */
static void *guarded_alloc(size_t bytes) {
    const size_t whole = guarded_bytes(bytes), page = (size_t)sysconf(_SC_PAGESIZE);
    char *memory = mmap(NULL, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert_neq((void *)memory, MAP_FAILED);
    cr_assert_eq(mprotect(memory + whole - page, page, PROT_NONE), 0);
    return memory + whole - page - bytes;
}

static void guarded_free(void *p, size_t bytes) {
    const size_t whole = guarded_bytes(bytes), page = (size_t)sysconf(_SC_PAGESIZE);
    munmap((char *)p + bytes + page - whole, whole);
}

static size_t operand_bytes(const struct gemm_problem *p) {
    return p->rows * p->shape.stride;
}

static size_t panels_bytes(const struct gemm_problem *p) {
    return p->shape.panels * p->shape.panel_bytes;
}

/* int8's codes have a test of their own (test_quantize_weights.c). */
static void widen_weights(struct gemm_problem *p) {
    const size_t K = p->shape.K, N = p->shape.N;
    int8_t *codes = malloc(K + QR__GROUP_SPAN);
    p->wide = malloc(K * N * sizeof *p->wide);
    for (size_t n = 0; n < N; n++) {
        const float *w = p->w + n * K;
        double scale = 0;
        if (p->kernel->precision == QR_PRECISION_INT8)
            scale = (double)qr__quantize_weights(w, K, p->kernel->group, codes);
        for (size_t k = 0; k < K; k++)
            p->wide[n * K + k] = p->kernel->precision == QR_PRECISION_INT8 ? codes[k] * scale
                                 : p->kernel->precision == QR_PRECISION_BF16
                                     ? gemm_from_bf16(gemm_to_bf16(w[k]))
                                     : (double)w[k];
    }
    free(codes);
}

void gemm_problem_pack(const struct gemm_problem *p) {
    const size_t K = p->shape.K;
    const qr__matrix_rows rows = {
        .weights = p->w, .stride = K, .rows = p->shape.N, .bias = p->bias, .scale = 1};
    const qr__matrix_source source = {.blocks = &rows, .blocks_len = 1, .in = K};
    cr_assert_eq(qr__matrix_pack_panels(p->kernel, &p->shape, &source, p->panels), QR_OK);
}

void gemm_problem_init(struct gemm_problem *p, const qr__gemm_kernel *kernel, size_t rows, size_t K,
                       size_t N) {
    *p = (struct gemm_problem){
        .kernel = kernel, .rows = rows, .shape = qr__gemm_shape_of(kernel, K, N)};
    p->x = gemm_noises(rows * K);
    p->w = gemm_noises(N * K);
    p->bias = gemm_noises(N);
    p->operand = guarded_alloc(operand_bytes(p));
    memset(p->operand, 0xff, operand_bytes(p)); /* whatever was there before */
    p->panels = guarded_alloc(panels_bytes(p)); /* zeros */
    gemm_problem_pack(p);
    kernel->quantize(&p->shape, p->x, K, rows, p->operand);
    widen_weights(p);
}

void gemm_problem_deinit(struct gemm_problem *p) {
    free(p->x);
    free(p->w);
    free(p->bias);
    guarded_free(p->operand, operand_bytes(p));
    guarded_free(p->panels, panels_bytes(p));
    free(p->wide);
}

void gemm_problem_run(const struct gemm_problem *p, size_t first, size_t rows, size_t begin,
                      size_t end, qr__epilogue epilogue, float *y, size_t ldy) {
    p->kernel->multiply(
        &(qr__gemm_task){.shape = &p->shape,
                         .panels = p->panels,
                         .operand = (const char *)p->operand + first * p->shape.stride,
                         .rows = rows,
                         .epilogue = epilogue,
                         .y = y,
                         .ldy = ldy,
                         .begin = begin,
                         .end = end});
}

/* SDOT's codes are signed, 128 less than u8's. */
int gemm_code_at(const qr__gemm_kernel *kernel, const void *row, size_t k) {
    return kernel->isa == QR_ISA_NEONDOT ? ((const int8_t *)row)[k] : ((const uint8_t *)row)[k];
}
