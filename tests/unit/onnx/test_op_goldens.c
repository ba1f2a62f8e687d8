/* ONNX Runtime's own operators: what it answered (tools/make_onnx_op_goldens.py) and what we do. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>

#include "onnx/onnx.h"

#define FOLDER QR_SOURCE_DIR "/tests/golden/onnx_ops"
#define CASES  71

/* Relative to the greatest number of the answer; floats of 16 bits have 11 bits of their own. */
#define TOLERANCE      1e-5f
#define TOLERANCE_HALF 2e-3f

static size_t find_value(const qr_onnx_graph *graph, const char *name) {
    for (size_t v = 0; v < graph->value_count; v++)
        if (strcmp(graph->values[v].name, name) == 0)
            return v;
    return QR_ONNX_NONE;
}

static void expect_alike(const char *file, const qr_onnx_tensor *got, const qr_onnx_tensor *want) {
    (void)file; /* the plain runner prints no messages */
    const bool floats = qr_onnx_is_float(want->type);
    float greatest = 0.0f, furthest = 0.0f;
    cr_assert_eq(got->type, want->type, "%s: another type", file);
    cr_assert_eq(got->rank, want->rank, "%s: another rank", file);
    cr_assert_arr_eq(got->shape, want->shape, want->rank * sizeof(size_t), "%s: shape", file);
    cr_assert(got->count > 0, "%s", file);
    for (size_t i = 0; i < got->count; i++) {
        if (!floats) {
            cr_expect_eq(qr_onnx_int(got, i), qr_onnx_int(want, i), "%s at %zu", file, i);
            continue;
        }
        cr_assert(isfinite(got->floats[i]), "%s at %zu", file, i);
        greatest = fmaxf(greatest, fabsf(want->floats[i]));
        furthest = fmaxf(furthest, fabsf(got->floats[i] - want->floats[i]));
    }
    const float tolerance = want->type == QR_ONNX_FLOAT16 ? TOLERANCE_HALF : TOLERANCE;
    cr_expect_leq(furthest, tolerance * fmaxf(greatest, 1.0f), "%s: %g off", file, furthest);
}

static void check_file(const char *file) {
    char path[4096], want[256];
    qr_error error = {0};
    qr_onnx_graph *graph;
    qr_onnx_run *run;
    cr_assert(qr_file_join(FOLDER, file, path, sizeof path));
    cr_assert_eq(qr_onnx_open(path, &graph, &error), QR_OK, "%s", error.message);
    cr_assert_eq(qr_onnx_run_create(graph, &(qr_onnx_run_options){0}, &run, &error), QR_OK);
    cr_assert_eq(qr_onnx_run_forward(run, &error), QR_OK, "%s: %s", file, error.message);
    cr_assert(graph->output_count > 0, "%s", file);
    for (size_t o = 0; o < graph->output_count; o++) {
        snprintf(want, sizeof want, "want:%s", graph->values[graph->outputs[o]].name);
        const size_t value = find_value(graph, want);
        cr_assert_neq(value, QR_ONNX_NONE, "%s: %s", file, want);
        const qr_onnx_tensor *got = qr_onnx_run_value(run, graph->outputs[o]);
        cr_assert_not_null(got, "%s: %s", file, want);
        expect_alike(file, got, graph->values[value].constant);
    }
    qr_onnx_run_destroy(run);
    qr_onnx_close(graph);
}

Test(op_goldens, operators_answer_as_onnx_runtime_does) {
    DIR *folder = opendir(FOLDER);
    size_t files = 0;
    cr_assert_not_null(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (strstr(entry->d_name, ".onnx") == NULL)
            continue;
        check_file(entry->d_name);
        files++;
    }
    closedir(folder);
    cr_expect_eq(files, CASES);
}
