/* Opening a device: what is told when there is none, and which one is taken. */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "engine/cuda/cuda.h"
#include "engine/cuda/module_file.h"
#include "gpu_fixture.h"

TestSuite(gpu_open, .timeout = 60);

static void check_refused(const char *device, const char *words) {
    qr_error error = {0};
    cr_assert_eq(qr_device_check(device, &error), QR_BAD_OPTION, "%s", device);
    cr_assert_not_null(strstr(error.message, words), "%s: %s", device, error.message);
}

/* This machine has no driver: if it had, the module would open it. */
Test(gpu_open, no_driver_says_what_to_install) {
    check_refused("cuda", "there is no NVIDIA driver");
    check_refused("cuda:3", "install it");
    cr_assert_eq(qr_device_check("auto", NULL), QR_OK);
}

Test(gpu_open, an_old_driver_says_which_is_needed) {
    setenv("QR_FAKE_CUDA_RELEASE", "11080", 1);
    gpu_fake();
    check_refused("cuda", "serves CUDA 11.8, and this build needs");
}

Test(gpu_open, no_device) {
    setenv("QR_FAKE_CUDA_COUNT", "0", 1);
    gpu_fake();
    check_refused("cuda", "finds no GPU");
}

Test(gpu_open, an_old_card) {
    setenv("QR_FAKE_CUDA_CAPABILITY", "75", 1);
    gpu_fake();
    check_refused("cuda:0", "compute capability 7.5");
    cr_assert_eq(gpu_live(), 0);
}

Test(gpu_open, numbers_of_devices) {
    static const char *const wrong[] = {"cuda:-1", "cuda:+1", "cuda: 1",  "cuda:1x",
                                        "cuda:x",  "cuda:",   "cuda:0x1", "cuda:1 "};
    setenv("QR_FAKE_CUDA_COUNT", "3", 1);
    gpu_fake();
    cr_assert_eq(qr_device_check("cuda", NULL), QR_OK);
    cr_assert_eq(qr_device_check("cuda:0", NULL), QR_OK);
    cr_assert_eq(qr_device_check("cuda:2", NULL), QR_OK);
    check_refused("cuda:3", "the highest number here is 2");
    check_refused("cuda:99999999999999999999", "the highest number here is 2");
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        cr_assert_eq(qr_device_check(wrong[i], NULL), QR_BAD_OPTION, "%s", wrong[i]);
    cr_assert_eq(gpu_live(), 0);
}

Test(gpu_open, a_device_says_what_it_is) {
    qr_device *device = NULL;
    qr_error error = {0};
    setenv("QR_FAKE_CUDA_CAPABILITY", "80", 1);
    setenv("QR_FAKE_CUDA_NAME", "Some GPU", 1);
    gpu_fake();
    cr_assert_eq(qr_backend_cuda.open(NULL, &device, &error), QR_OK, "%s", error.message);
    cr_assert_str_eq(device->backend->name, "cuda");
    cr_assert_str_eq(device->target, "sm_80");
    cr_assert_str_eq(device->rates.name, "Some GPU, no rates measured");
    cr_assert(device->runs[QR_PRECISION_F16] && device->runs[QR_PRECISION_BF16] &&
              device->runs[QR_PRECISION_F32] && !device->runs[QR_PRECISION_INT8]);
    cr_assert_eq(device->order[0], QR_PRECISION_F16);
    cr_assert_eq(device->order[2], QR_PRECISION_F32);
    cr_assert(!device->backend->lost(device));
    device->backend->close(device);
    cr_assert_eq(gpu_live(), 0);
}

/* One cut of L1 and shared memory for all kernels, or none could start early beside another. A card
 * that does not take the wish serves. */
Test(gpu_open, kernels_wish_for_one_cut_of_shared_memory) {
    qr_device *device = NULL;
    qr_error error = {0};
    const struct gpu_fake *fake = gpu_fake();
    for (int refused = 0; refused < 2; refused++) {
        const unsigned functions = fake->calls("cuModuleGetFunction");
        const unsigned wishes = fake->calls("cuFuncSetAttribute");
        if (refused) /* the first kernel's second attribute */
            fake->fail("cuFuncSetAttribute", 2, 1, 0);
        cr_assert_eq(qr_backend_cuda.open(NULL, &device, &error), QR_OK, "%s", error.message);
        cr_assert_eq(fake->calls("cuFuncSetAttribute") - wishes,
                     2 * (fake->calls("cuModuleGetFunction") - functions));
        device->backend->close(device);
    }
}

/* A module whose kernels are not those of this build. */
Test(gpu_open, a_kernel_that_is_missing_is_named) {
    static const struct {
        const char *call;
        unsigned nth;
        int code;
        const char *words;
    } faults[] = {{"cuModuleGetFunction", 3, 500, "qr_cuda_embed_f32"},
                  {"cuModuleLoadData", 1, 209, "does not take this build's kernels"}};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        qr_device *device = NULL;
        qr_error error = {0};
        gpu_fake()->fail(faults[i].call, faults[i].nth, faults[i].code, 0);
        cr_assert_eq(qr_backend_cuda.open("0", &device, &error), QR_BAD_OPTION);
        cr_assert_not_null(strstr(error.message, faults[i].words), "%s", error.message);
    }
    cr_assert_eq(gpu_live(), 0);
}

/* Before a model is read its device is looked for; what that costs must not be paid twice. */
Test(gpu_open, a_device_is_checked_without_being_opened) {
    gpu_fake();
    cr_assert_eq(qr_device_check("cuda", NULL), QR_OK);
    cr_assert_eq(qr_device_check("cuda:0", NULL), QR_OK);
    cr_assert_eq(gpu_fake()->calls("cuDevicePrimaryCtxRetain"), 0);
    cr_assert_eq(gpu_fake()->calls("cuModuleLoadData"), 0);
}

/* --- the module's file --- */

Test(gpu_open, places_are_absolute_and_beside_the_program) {
    char out[QR__MODULE_FILE_PLACES][4096];
    static char deep[5000];
    cr_assert_eq(qr__module_file_places("/opt/q/bin/querent", true, out, NULL), QR_OK);
    cr_assert_str_eq(out[0], "/opt/q/bin/libquerent_cuda.so");
    cr_assert_not_null(strstr(out[1], "/opt/q/bin/../lib"));
    cr_assert_not_null(strstr(out[1], "/querent/libquerent_cuda.so"));
    cr_assert_eq(qr__module_file_places("/usr/lib/libquerent.so.0", false, out, NULL), QR_OK);
    cr_assert_str_eq(out[0], "/usr/lib/libquerent_cuda.so");
    cr_assert_str_eq(out[1], "/usr/lib/querent/libquerent_cuda.so");
    cr_assert_eq(qr__module_file_places("querent", true, out, NULL), QR_BAD_OPTION);
    cr_assert_eq(qr__module_file_places("./querent", true, out, NULL), QR_BAD_OPTION);
    memset(deep, '/', sizeof deep - 1);
    cr_assert_eq(qr__module_file_places(deep, true, out, NULL), QR_BAD_OPTION);
}

Test(gpu_open, a_module_of_another_build_is_refused) {
    qr__cuda_module right = {.abi = QR__CUDA_ABI,
                             .version = QR_VERSION,
                             .stamp = qr__cuda_stamp,
                             .sizes = QR__CUDA_SIZES};
    qr__cuda_module wrong = right;
    qr_error error = {0};
    cr_assert_eq(qr__module_file_check(&right, "x.so", &error), QR_OK);
    cr_assert_eq(qr__module_file_check(NULL, "x.so", &error), QR_BAD_OPTION);
    wrong.abi++;
    cr_assert_eq(qr__module_file_check(&wrong, "x.so", &error), QR_BAD_OPTION);
    cr_assert_not_null(strstr(error.message, "x.so was made for another version"));
    wrong = right;
    wrong.version = "0.0.9";
    cr_assert_eq(qr__module_file_check(&wrong, "x.so", &error), QR_BAD_OPTION);
    cr_assert_not_null(strstr(error.message, "0.0.9"), "%s", error.message);
    cr_assert_eq(strlen(qr__cuda_stamp), 16);
    wrong = right;
    wrong.stamp = "0123456789abcdef";
    cr_assert_eq(qr__module_file_check(&wrong, "x.so", &error), QR_BAD_OPTION);
    cr_assert_not_null(strstr(error.message, "x.so was built from other sources"));
    cr_assert_not_null(strstr(error.message, "0123456789abcdef"), "%s", error.message);
    for (size_t i = 0; i < QR__CUDA_SIZES_LEN; i++) {
        wrong = right;
        wrong.sizes[i]++;
        cr_assert_eq(qr__module_file_check(&wrong, "x.so", &error), QR_BAD_OPTION);
    }
}
