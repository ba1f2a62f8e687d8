/* What transformers computed, on the GPU: random models of every kind, and the two real ones. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "golden.h"
#include "gpu_fixture.h"

TestSuite(gpu_goldens, .timeout = 300);

/* f16 by the largest number of an output, as gpu_fixture.c has it. */
static void compare(const struct golden_model *model, const char *path) {
    struct golden golden;
    golden_load(model->name, &golden);
    qr_engine *engine = gpu_engine(path, QR_PRECISION_F16);
    qr_context *context = gpu_context(engine, golden.tokens, golden.batch.sequences);
    for (size_t i = 0; i < GOLDEN_OUTPUTS; i++) {
        const float *out;
        if (golden.outputs[i].numbers == NULL)
            continue;
        cr_assert_eq(qr_context_forward(context, &golden.batch, (qr_output)i, &out), QR_OK);
        struct gpu_distance d =
            gpu_compare(golden.outputs[i].numbers, out, golden.outputs[i].count);
        if (getenv("GPU_SHOW") != NULL)
            printf("%s output %zu: worst %.2e, 1 - cosine %.2e\n", model->name, i, d.worst,
                   1 - d.cosine);
        cr_expect_leq(d.worst, 2e-3, "%s, output %zu: %g", model->name, i, d.worst);
        cr_expect_geq(d.cosine, 1 - 2e-6, "%s, output %zu: %.9f", model->name, i, d.cosine);
    }
    qr_context_destroy(context);
    qr_engine_destroy(engine);
    golden_deinit(&golden);
}

Test(gpu_goldens, f16_gives_what_transformers_gives) {
    char temp[64], path[512];
    for (const struct golden_model *model = golden_models; model->name != NULL; model++) {
        temp_dir_create(temp);
        const char *where = golden_model_dir(model, temp, path);
        if (where != NULL)
            compare(model, where);
        temp_dir_remove(temp);
    }
    cr_assert_eq(gpu_live(), 0);
}
