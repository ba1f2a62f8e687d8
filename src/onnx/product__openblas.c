/* onnx/product__openblas.c: f32 products by OpenBLAS's sgemm: the one file of this room that knows
 * cblas. In the calling thread, as the engine has it (kernels/gemm_f32__openblas.c). */
#include "onnx/product.h"

#include <cblas.h>
#include <pthread.h>

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void prepare(void) {
    openblas_set_num_threads(1);
}

void qr__product__openblas(const qr__product_task *task) {
    pthread_once(&once, prepare);
    cblas_sgemm(CblasRowMajor, task->a_transposed ? CblasTrans : CblasNoTrans,
                task->b_transposed ? CblasTrans : CblasNoTrans, (blasint)task->M, (blasint)task->N,
                (blasint)task->K, task->alpha, task->a, (blasint)task->lda, task->b,
                (blasint)task->ldb, 0.0f, task->y, (blasint)task->ldy);
}
