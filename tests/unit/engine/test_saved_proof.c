/* Kept proofs: what is found is what was written, for the model that was opened and no other.
 * tests/cli/test_onnx_models.py has what a person meets: damage, owners, links, starts at once. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "engine/backend.h"
#include "engine/cpu/cpu.h"
#include "engine/saved/saved.h"
#include "forward_fixture.h"

static char dir[64], cache[80];
static qr_model *model;
static qr_device *device;
static const qr_proof good = {.error = 1e-6, .allowed = 1e-3, .cosine = 0.99};

/* A real export, opened a while after it was written: times have steps of 4 ms. */
static void set_up(void) {
    static const char golden[] = QR_SOURCE_DIR "/tests/golden/onnx/bert-torchscript-17";
    const struct timespec long_ago[] = {{1000, 0}, {1000, 0}};
    char path[100];
    size_t len;
    temp_dir_create(dir);
    snprintf(cache, sizeof cache, "%s/cache", dir);
    cr_assert_eq(mkdir(cache, 0700), 0);
    char *graph = read_file(golden, "model.onnx", &len);
    write_file(dir, "model.onnx", graph, len);
    free(graph);
    snprintf(path, sizeof path, "%s/model.onnx", dir);
    cr_assert_eq(utimensat(AT_FDCWD, path, long_ago, 0), 0);
    cr_assert_eq(qr_model_open(dir, &model, NULL), QR_OK);
    cr_assert_eq(qr_backend_cpu.open(NULL, &device, NULL), QR_OK);
}

static void tear_down(void) {
    qr_backend_cpu.close(device);
    qr_model_close(model);
    temp_dir_remove(dir);
}

TestSuite(saved_proof, .init = set_up, .fini = tear_down, .timeout = 60);

static qr_saved_proof *open_proof(void) {
    qr_saved_proof *saved = qr_saved_proof_open(cache, model, device);
    cr_assert_not_null(saved);
    return saved;
}

static bool is_known(void) {
    qr_proof proof;
    qr_saved_proof *saved = open_proof();
    const bool known = qr_saved_proof_load(saved, &proof);
    if (known)
        cr_assert(proof.error == good.error && proof.allowed == good.allowed &&
                  proof.cosine == good.cosine);
    qr_saved_proof_close(saved);
    return known;
}

static void keep(const qr_proof *proof) {
    qr_saved_proof *saved = open_proof();
    qr_saved_proof_write(saved, proof);
    qr_saved_proof_close(saved);
}

Test(saved_proof, what_is_written_is_found) {
    cr_assert(!is_known());
    keep(&good);
    cr_assert(is_known());
    cr_assert(is_known());
}

/* Numbers that no proof which passed can have, behind a right checksum. */
Test(saved_proof, what_cannot_be_is_not_believed) {
    static const qr_proof wrong[] = {
        {.error = 2e-3, .allowed = 1e-3, .cosine = 1}, {.error = -1, .allowed = 1e-3, .cosine = 1},
        {.error = 0, .allowed = 2, .cosine = 1},       {.error = 0, .allowed = 1e-3, .cosine = 1.5},
        {.error = 0, .allowed = 1e-3, .cosine = -0.5}, {.error = 0, .allowed = 0, .cosine = 0}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        keep(&wrong[i]);
        cr_assert(!is_known(), "%zu", i);
    }
    keep(&good);
    cr_assert(is_known());
}

static void touch(void) {
    size_t len;
    char *graph = read_file(dir, "model.onnx", &len);
    write_file(dir, "model.onnx", graph, len);
    free(graph);
}

/* The key was made of the file as it was: another may have come in its place. */
Test(saved_proof, a_model_that_changes_is_neither_kept_nor_known) {
    qr_proof proof;
    qr_saved_proof *saved = open_proof();
    touch();
    qr_saved_proof_write(saved, &good);
    cr_assert(!qr_saved_proof_load(saved, &proof));
    qr_saved_proof_close(saved);
    cr_assert_null(qr_saved_proof_open(cache, model, device), "of a file that was not read");
    qr_model_close(model);
    cr_assert_eq(qr_model_open(dir, &model, NULL), QR_OK);
    cr_assert(!is_known());
    keep(&good);
    saved = open_proof();
    touch();
    cr_assert(!qr_saved_proof_load(saved, &proof), "written for the file before");
    qr_saved_proof_close(saved);
}

Test(saved_proof, nothing_is_kept_nowhere) {
    qr_proof proof;
    cr_assert_null(qr_saved_proof_open(QR_SAVED_NOTHING, model, device));
    cr_assert_null(qr_saved_proof_open("/nonexistent/cache", model, device));
    cr_assert(!qr_saved_proof_load(NULL, &proof));
    qr_saved_proof_write(NULL, &good);
    qr_saved_proof_close(NULL);
}

/* What a sandbox has to leave to be written. */
Test(saved_proof, where_files_are_kept) {
    char out[QR_PATH_BYTES], own[96];
    setenv("XDG_CACHE_HOME", cache, 1);
    cr_assert(!qr_engine_cache_dir(NULL, false, out) && !qr_engine_cache_dir("", false, out));
    cr_assert(!qr_engine_cache_dir("none", true, out), "a folder of that name is nobody's");
    cr_assert(qr_engine_cache_dir(NULL, true, out) && qr_engine_cache_dir("", true, out));
    snprintf(own, sizeof own, "%s//querent", cache);
    cr_assert_str_eq(out, own);
    cr_assert(qr_engine_cache_dir("plans", false, out));
    cr_assert_str_eq(out, "plans/");
}
