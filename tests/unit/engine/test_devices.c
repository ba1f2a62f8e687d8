/* Which kind of device a model ends on: by name, or with "auto" the fastest that is here and takes
 * it. The kinds are the CPU and a double of a GPU. */
#include <criterion/criterion.h>

#include "engine/device_double.h"
#include "forward_fixture.h"

static char dir[64];
static qr_error error;

static void set_up(void) {
    device_double_begin();
    temp_dir_create(dir);
    make_model(dir, &(struct model_options){.layers = 2,
                                            .hidden = 64,
                                            .heads = 2,
                                            .feed_forward = 128,
                                            .vocab = 100,
                                            .positions = 64,
                                            .pooling = "mean"});
}

static void tear_down(void) {
    cr_expect_eq(device_double.contexts, 0);
    cr_expect_eq(device_double.packed, 0);
    cr_expect_eq(device_double.opened, 0);
    device_double_end();
    temp_dir_remove(dir);
}

TestSuite(devices, .init = set_up, .fini = tear_down);

static qr_status create(const char *device, qr_precision precision, qr_engine **out) {
    const qr_engine_options options = {.precision = precision, .device = device, .threads = 1};
    *out = NULL;
    error = (qr_error){0};
    return forward_create(dir, &options, out, &error);
}

/* Ends on this device, with this part in the plan's reason for it ("": none). */
static void ends_on(const char *asked, const char *device, const char *part) {
    qr_engine *engine;
    cr_assert_eq(create(asked, QR_PRECISION_F32, &engine), QR_OK, "%s", error.message);
    const qr_plan_info *plan = qr_engine_plan(engine);
    cr_expect_str_eq(plan->device, device);
    cr_expect(part[0] == '\0' ? plan->passed_over[0] == '\0'
                              : strstr(plan->passed_over, part) != NULL,
              "%s", plan->passed_over);
    cr_expect_eq(plan->is_absent, device_double.open == QR_IO);
    cr_expect_null(strstr(plan->passed_over, "or auto")); /* where it is what is in use */
    cr_expect_eq(device_double.opened, strcmp(device, "cuda") == 0);
    struct forward_batch batch;
    forward_draw(&batch, qr_engine_model(engine), (size_t[]){9, 1, 33, 0}, 3);
    qr_context *context = forward_context(engine, NULL);
    const float *out;
    cr_expect_eq(qr_context_forward(context, &batch.batch, QR_OUTPUT_POOLED, &out), QR_OK);
    qr_context_destroy(context);
    qr_engine_destroy(engine);
}

Test(devices, auto_takes_the_fastest_kind_that_is_here) {
    ends_on("auto", "cuda", "");
    ends_on(NULL, "cuda", "");
    ends_on("cuda", "cuda", "");
    ends_on("cuda:0", "cuda", "");
    ends_on("cpu", "cpu", "");
}

Test(devices, auto_passes_over_what_does_not_open) {
    device_double.open = QR_BAD_OPTION;
    ends_on("auto", "cpu", "not on cuda: the double cannot be opened");
    device_double.open = QR_IO; /* not of this machine */
    ends_on("auto", "cpu", "not on cuda: the double cannot be opened");
    device_double.open = QR_NOT_IMPLEMENTED; /* not of this build: nothing to be said */
    ends_on("auto", "cpu", "");
}

Test(devices, auto_passes_over_what_refuses_the_model) {
    static const qr_status refusals[] = {QR_NO_MEMORY, QR_BAD_OPTION, QR_DEVICE, QR_BAD_MODEL};
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        device_double.pack = refusals[i];
        ends_on("auto", "cpu", "not on cuda: the double cannot pack");
    }
}

Test(devices, by_name_a_refusal_is_an_error) {
    qr_engine *engine;
    device_double.pack = QR_NO_MEMORY;
    cr_assert_eq(create("cuda", QR_PRECISION_F32, &engine), QR_NO_MEMORY);
    cr_assert_str_eq(error.message, "the double cannot pack");
    cr_assert_eq(create("cuda:1", QR_PRECISION_F32, &engine), QR_BAD_OPTION);
    device_double.pack = QR_OK;
    device_double.open = QR_NOT_IMPLEMENTED;
    cr_assert_eq(create("cuda", QR_PRECISION_F32, &engine), QR_BAD_OPTION);
    cr_assert_str_eq(error.message, "the double cannot be opened (or use cpu or auto)");
}

/* A precision that a kind does not have is a refusal like others. */
Test(devices, a_precision_by_name_decides_too) {
    qr_engine *engine;
    device_double.f16 = true;
    cr_assert_eq(create("auto", QR_PRECISION_F16, &engine), QR_OK, "%s", error.message);
    cr_expect_str_eq(qr_engine_plan(engine)->device, "cuda");
    cr_expect_eq(qr_engine_plan(engine)->precision, QR_PRECISION_F16);
    qr_engine_destroy(engine);
    if (forward_has(NULL, QR_PRECISION_INT8)) {
        cr_assert_eq(create("auto", QR_PRECISION_INT8, &engine), QR_OK, "%s", error.message);
        cr_expect_str_eq(qr_engine_plan(engine)->device, "cpu");
        cr_expect(strstr(qr_engine_plan(engine)->passed_over, "which has f32, f16") != NULL, "%s",
                  qr_engine_plan(engine)->passed_over);
        qr_engine_destroy(engine);
    }
    device_double.open = QR_BAD_OPTION;
    cr_assert_eq(create("auto", QR_PRECISION_F16, &engine), QR_BAD_OPTION);
    cr_assert(strstr(error.message, "precision f16: no kernel for it on cpu:") != NULL, "%s",
              error.message);
}

/* Gate and search run on the device; a pass that fails there is a refusal. */
Test(devices, the_gate_chooses_among_the_kinds_precisions) {
    qr_engine *engine;
    int32_t ids[10 * 60];
    uint32_t starts[11];
    for (size_t i = 0; i < 600; i++)
        ids[i] = (int32_t)(i * 7 % 100);
    for (uint32_t i = 0; i <= 10; i++)
        starts[i] = 60 * i;
    const qr_batch probes = {ids, NULL, starts, 10, NULL};
    const qr_engine_options options = {.device = "auto", .threads = 5, .probes = &probes};
    device_double.f16 = device_double.varies = true;
    device_double.streams = 2;
    cr_assert_eq(forward_create(dir, &options, &engine, &error), QR_OK, "%s", error.message);
    const qr_plan_info *plan = qr_engine_plan(engine);
    cr_expect_eq(plan->precision, QR_PRECISION_F16);
    cr_expect_not(plan->fell_back);
    cr_expect(plan->varies && plan->streams == 2);
    cr_expect_eq(device_double.most_contexts, 2); /* no more threads than streams */
    qr_engine_destroy(engine);
    device_double.forward = QR_DEVICE;
    cr_assert_eq(forward_create(dir, &options, &engine, &error), QR_OK, "%s", error.message);
    plan = qr_engine_plan(engine);
    cr_expect_str_eq(plan->device, "cpu");
    cr_expect(strstr(plan->passed_over, "not on cuda: ") != NULL, "%s", plan->passed_over);
    cr_expect_eq(plan->varies, strcmp(plan->target, "ref") == 0); /* OpenBLAS's kernels */
    cr_expect_eq(plan->streams, 0);
    qr_engine_destroy(engine);
}

/* Each engine has a device of its own: models of one process run on both kinds. */
Test(devices, both_kinds_serve_side_by_side) {
    qr_engine *gpu, *cpu;
    cr_assert_eq(create("cuda", QR_PRECISION_F32, &gpu), QR_OK);
    cr_assert_eq(create("cpu", QR_PRECISION_F32, &cpu), QR_OK);
    struct forward_batch batch;
    forward_draw(&batch, qr_engine_model(gpu), (size_t[]){9, 0}, 3);
    qr_context *first = forward_context(gpu, NULL), *second = forward_context(cpu, NULL);
    const float *a, *b;
    cr_assert_eq(qr_context_forward(first, &batch.batch, QR_OUTPUT_POOLED, &a), QR_OK);
    cr_assert_eq(qr_context_forward(second, &batch.batch, QR_OUTPUT_POOLED, &b), QR_OK);
    cr_expect_arr_eq(a, b, 64 * sizeof *a);
    device_double.lost = true;
    cr_expect(qr_engine_lost(gpu) && !qr_engine_lost(cpu));
    cr_expect_eq(qr_context_forward(first, &batch.batch, QR_OUTPUT_POOLED, &a), QR_DEVICE);
    cr_expect_eq(qr_context_forward(second, &batch.batch, QR_OUTPUT_POOLED, &b), QR_OK);
    qr_context_destroy(first);
    qr_context_destroy(second);
    qr_engine_destroy(gpu);
    qr_engine_destroy(cpu);
}

Test(devices, names_are_checked_without_a_model) {
    cr_expect_eq(qr_device_check("auto", NULL), QR_OK);
    cr_expect_eq(qr_device_check("cuda:0", NULL), QR_OK);
    cr_expect_eq(qr_device_check("cuda:7", &error), QR_BAD_OPTION);
    cr_expect(qr_device_is_away("cuda") && qr_device_is_away("cuda:1"));
    cr_expect(!qr_device_is_away("auto") && !qr_device_is_away(NULL) && !qr_device_is_away("cpu"));
    device_double.open = QR_DEVICE;
    cr_expect_eq(qr_device_check("auto", NULL), QR_OK); /* the CPU is there */
    cr_expect_eq(qr_device_check("cuda", &error), QR_DEVICE);
    device_double.open = QR_NOT_IMPLEMENTED;
    cr_expect_eq(qr_device_check("cuda", &error), QR_BAD_OPTION);
    device_double.open = QR_IO;
    cr_expect_eq(qr_device_check("cuda", &error), QR_BAD_OPTION);
}
