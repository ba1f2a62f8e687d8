/* build/tests/onnx_node_tests: runs tests in the form of ONNX's own node tests.
 *
 *     onnx_node_tests --operators         the operators that the interpreter knows: "DOMAIN NAME"
 *     onnx_node_tests FOLDER...           model.onnx, test_data_set_N/{input,output}_M.pb
 *     onnx_node_tests --atol X FOLDER...  numbers that are so near are alike
 *
 * A line a folder: "passed FOLDER", "refused FOLDER: why", "failed FOLDER: why". Each model runs
 * twice, as it stands and folded. Exits with 1 where any failed. */
#include "onnx/op.h"

#include <math.h>
#include <onnx.pb-c.h>
#include <stdio.h>
#include <stdlib.h>

/* As onnx's own runner compares: |a - b| <= atol + RTOL |b|. */
#define RTOL 1e-3
static double near_enough = 1e-7; /* atol */

#define FILE_BYTES (64u << 20)

typedef enum outcome { PASSED, REFUSED, FAILED } outcome;

typedef struct story {
    char why[1400];
} story;

/* Tensors. */

static float half_to_float(uint32_t bits) {
    const uint32_t exponent = bits >> 10 & 31, fraction = bits & 1023;
    const float sign = (bits & 0x8000) != 0 ? -1.0f : 1.0f;
    if (exponent == 31)
        return fraction != 0 ? NAN : sign * INFINITY;
    return exponent == 0 ? sign * ldexpf((float)fraction, -24)
                         : sign * ldexpf((float)(fraction + 1024), (int)exponent - 25);
}

static float brain_to_float(uint32_t bits) {
    float x;
    bits <<= 16;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static size_t bytes_of(qr_onnx_type type) {
    switch (type) {
    case QR_ONNX_UINT8:
    case QR_ONNX_INT8:
    case QR_ONNX_BOOL:
        return 1;
    case QR_ONNX_UINT16:
    case QR_ONNX_INT16:
    case QR_ONNX_FLOAT16:
    case QR_ONNX_BFLOAT16:
        return 2;
    case QR_ONNX_FLOAT:
    case QR_ONNX_INT32:
    case QR_ONNX_UINT32:
        return 4;
    default:
        return 8;
    }
}

/* Number `i` as its bits in 64, from the raw bytes or from the list that its type has. */
static uint64_t bits_at(const Onnx__TensorProto *proto, size_t bytes, size_t i) {
    uint64_t bits = 0;
    if (proto->has_raw_data) {
        memcpy(&bits, proto->raw_data.data + i * bytes, bytes);
    } else if (i < proto->n_float_data) {
        memcpy(&bits, &proto->float_data[i], sizeof(float));
    } else if (i < proto->n_int32_data) {
        bits = (uint64_t)(int64_t)proto->int32_data[i];
    } else if (i < proto->n_int64_data) {
        bits = (uint64_t)proto->int64_data[i];
    } else if (i < proto->n_double_data) {
        memcpy(&bits, &proto->double_data[i], sizeof(double));
    } else if (i < proto->n_uint64_data) {
        bits = proto->uint64_data[i];
    }
    return bits;
}

static float float_of(qr_onnx_type type, uint64_t bits) {
    float x;
    double wide;
    if (type == QR_ONNX_FLOAT16)
        return half_to_float((uint32_t)bits);
    if (type == QR_ONNX_BFLOAT16)
        return brain_to_float((uint32_t)bits);
    if (type == QR_ONNX_DOUBLE) {
        memcpy(&wide, &bits, sizeof wide);
        return (float)wide;
    }
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* NULL: a type that is not held, or not a tensor. */
static qr_onnx_tensor *tensor_of(const Onnx__TensorProto *proto) {
    const qr_onnx_type type = (qr_onnx_type)proto->data_type;
    const size_t bytes = bytes_of(type);
    size_t shape[QR_ONNX_RANK_MAX];
    if (proto->n_dims > QR_ONNX_RANK_MAX)
        return NULL;
    for (size_t i = 0; i < proto->n_dims; i++)
        shape[i] = (size_t)proto->dims[i];
    qr_onnx_tensor *tensor = qr_onnx_tensor_create(type, proto->n_dims, shape);
    if (tensor == NULL)
        return NULL;
    if (proto->has_raw_data && proto->raw_data.len != tensor->count * bytes) {
        qr_onnx_tensor_destroy(tensor);
        return NULL;
    }
    for (size_t i = 0; i < tensor->count; i++) {
        const uint64_t bits = bits_at(proto, bytes, i);
        if (qr_onnx_is_float(type))
            qr_onnx_floats(tensor)[i] = float_of(type, bits);
        else
            qr_onnx_set_int(tensor, i, (int64_t)bits);
    }
    return tensor;
}

/* The tensor of FOLDER/test_data_set_SET/KIND_NUMBER.pb; *there: whether there is such a file. */
static qr_onnx_tensor *tensor_read(const char *folder, size_t set, const char *kind, size_t number,
                                   bool *there) {
    char path[QR_PATH_BYTES];
    char *data;
    size_t len;
    qr_error error = {0};
    snprintf(path, sizeof path, "%s/test_data_set_%zu/%s_%zu.pb", folder, set, kind, number);
    *there = qr_file_read(path, FILE_BYTES, &data, &len, &error) == QR_OK;
    if (!*there)
        return NULL;
    Onnx__TensorProto *proto = onnx__tensor_proto__unpack(NULL, len, (const uint8_t *)data);
    qr_onnx_tensor *tensor = proto == NULL ? NULL : tensor_of(proto);
    if (proto != NULL)
        onnx__tensor_proto__free_unpacked(proto, NULL);
    free(data);
    return tensor;
}

/* Comparing. */

static bool near(float a, float b) {
    if (isnan(a) || isnan(b))
        return isnan(a) && isnan(b);
    return a == b || fabs((double)a - (double)b) <= near_enough + RTOL * fabs((double)b);
}

static outcome compare(const qr_onnx_tensor *got, const qr_onnx_tensor *want, size_t output,
                       story *report) {
    char of_got[128], of_want[128];
    qr_onnx_shape_text(got, of_got);
    qr_onnx_shape_text(want, of_want);
    if (got->type != want->type || strcmp(of_got, of_want) != 0) {
        snprintf(report->why, sizeof report->why, "output %zu is %s %s, not %s %s", output,
                 qr_onnx_type_name(got->type), of_got, qr_onnx_type_name(want->type), of_want);
        return FAILED;
    }
    for (size_t i = 0; i < got->count; i++) {
        const bool floats = qr_onnx_is_float(got->type);
        const double a = floats ? got->floats[i] : (double)qr_onnx_int(got, i);
        const double b = floats ? want->floats[i] : (double)qr_onnx_int(want, i);
        if (floats ? near(got->floats[i], want->floats[i])
                   : qr_onnx_int(got, i) == qr_onnx_int(want, i))
            continue;
        snprintf(report->why, sizeof report->why, "output %zu has %.9g, not %.9g, at %zu of %s",
                 output, a, b, i, of_got);
        return FAILED;
    }
    return PASSED;
}

/* Running. */

static outcome compare_outputs(const qr_onnx_graph *graph, const qr_onnx_run *run,
                               const char *folder, size_t set, story *report) {
    outcome verdict = PASSED;
    for (size_t o = 0; o < graph->output_count && verdict == PASSED; o++) {
        bool there;
        qr_onnx_tensor *want = tensor_read(folder, set, "output", o, &there);
        const qr_onnx_tensor *got = qr_onnx_run_value(run, graph->outputs[o]);
        if (want == NULL || got == NULL) {
            snprintf(report->why, sizeof report->why, "output %zu is not %s", o,
                     got == NULL ? "there" : "in a file of a type that is held");
            verdict = got == NULL ? FAILED : REFUSED;
        } else {
            verdict = compare(got, want, o, report);
        }
        qr_onnx_tensor_destroy(want);
    }
    return verdict;
}

static outcome run_set(const qr_onnx_graph *graph, const char *folder, size_t set, bool keep,
                       bool *there, story *report) {
    qr_error error = {0};
    qr_onnx_run *run = NULL;
    outcome verdict = PASSED;
    if (qr_onnx_run_create(graph, &(qr_onnx_run_options){.keep = keep}, &run, &error) != QR_OK)
        abort();
    *there = graph->input_count == 0 && set == 0;
    for (size_t i = 0; i < graph->input_count && verdict == PASSED; i++) {
        qr_onnx_tensor *tensor = tensor_read(folder, set, "input", i, there);
        if (tensor != NULL && tensor->type == graph->values[graph->inputs[i]].type) {
            qr_onnx_run_feed(run, graph->inputs[i], tensor);
        } else {
            snprintf(report->why, sizeof report->why, "input %zu is of a type that is not held", i);
            verdict = REFUSED;
        }
        qr_onnx_tensor_destroy(tensor);
    }
    if (verdict == PASSED && *there) {
        if (qr_onnx_run_forward(run, &error) != QR_OK) {
            snprintf(report->why, sizeof report->why, "%s", error.message);
            verdict = REFUSED;
        } else {
            verdict = compare_outputs(graph, run, folder, set, report);
        }
    }
    qr_onnx_run_destroy(run);
    return verdict;
}

static outcome run_sets(const qr_onnx_graph *graph, const char *folder, bool keep, story *report) {
    for (size_t set = 0;; set++) {
        bool there;
        const outcome verdict = run_set(graph, folder, set, keep, &there, report);
        if (!there && set > 0)
            return PASSED;
        if (verdict != PASSED || !there) {
            if (!there)
                snprintf(report->why, sizeof report->why, "there is no data");
            return there ? verdict : REFUSED;
        }
    }
}

static outcome run_folder(const char *folder, story *report) {
    char path[QR_PATH_BYTES];
    qr_error error = {0};
    qr_onnx_graph *graph = NULL;
    outcome verdict = REFUSED;
    snprintf(path, sizeof path, "%s/model.onnx", folder);
    if (qr_onnx_open(path, &graph, &error) != QR_OK) {
        snprintf(report->why, sizeof report->why, "%s", error.message);
        return REFUSED;
    }
    verdict = run_sets(graph, folder, false, report);
    if (verdict == PASSED && qr_onnx_fold(graph, &error) != QR_OK) {
        snprintf(report->why, sizeof report->why, "folding: %s", error.message);
        verdict = FAILED;
    }
    if (verdict == PASSED)
        verdict = run_sets(graph, folder, true, report);
    qr_onnx_close(graph);
    return verdict;
}

static int print_operators(void) {
    const qr__op *op;
    for (size_t at = 0; (op = qr__op_at(at)) != NULL; at++)
        printf("%s %s\n", op->domain[0] == '\0' ? "ai.onnx" : op->domain, op->name);
    return 0;
}

int main(int argc, char **argv) {
    static const char *const names[] = {"passed", "refused", "failed"};
    int failed = 0;
    if (argc > 1 && strcmp(argv[1], "--operators") == 0)
        return print_operators();
    const bool given = argc > 2 && strcmp(argv[1], "--atol") == 0;
    if (given)
        near_enough = strtod(argv[2], NULL);
    for (int i = given ? 3 : 1; i < argc; i++) {
        story report = {""};
        const outcome verdict = run_folder(argv[i], &report);
        printf("%s %s%s%s\n", names[verdict], argv[i], verdict == PASSED ? "" : ": ",
               verdict == PASSED ? "" : report.why);
        fflush(stdout);
        failed += verdict == FAILED;
    }
    return failed > 0;
}
