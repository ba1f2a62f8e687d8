/* Tensors: shapes and limits, references and views, integers of each width, rounding. */
#include <criterion/criterion.h>
#include <math.h>

#include "onnx/onnx.h"

#define SHAPE(...) ((size_t[]){__VA_ARGS__})

Test(tensor, holds_each_type_in_one_way) {
    static const qr_onnx_type types[] = {
        QR_ONNX_FLOAT,  QR_ONNX_FLOAT16, QR_ONNX_BFLOAT16, QR_ONNX_DOUBLE, QR_ONNX_UINT8,
        QR_ONNX_INT8,   QR_ONNX_BOOL,    QR_ONNX_UINT16,   QR_ONNX_INT16,  QR_ONNX_INT32,
        QR_ONNX_UINT32, QR_ONNX_INT64,   QR_ONNX_UINT64};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        qr_onnx_tensor *tensor = qr_onnx_tensor_create(types[i], 2, SHAPE(2, 3));
        cr_assert_not_null(tensor);
        cr_expect_eq(tensor->count, 6);
        cr_expect_eq(qr_onnx_floats(tensor) != NULL, i < 4);
        cr_expect_eq(qr_onnx_bytes(tensor) != NULL, i >= 4 && i < 7);
        cr_expect_eq(qr_onnx_longs(tensor) != NULL, i >= 7);
        cr_expect_eq(qr_onnx_is_float(types[i]), i < 4);
        cr_expect_eq(qr_onnx_is_bytes(types[i]), i >= 4 && i < 7);
        qr_onnx_tensor_destroy(tensor);
    }
    cr_expect_null(qr_onnx_tensor_create(QR_ONNX_STRING, 0, NULL));
    cr_expect_null(qr_onnx_tensor_create(QR_ONNX_UNDEFINED, 0, NULL));
    cr_expect_null(qr_onnx_tensor_create((qr_onnx_type)17, 0, NULL));
    qr_onnx_tensor_destroy(NULL);
}

Test(tensor, counts_its_numbers) {
    qr_onnx_tensor *one = qr_onnx_tensor_create(QR_ONNX_FLOAT, 0, NULL);
    cr_assert_not_null(one);
    cr_expect_eq(one->count, 1);
    qr_onnx_tensor_destroy(one);
    qr_onnx_tensor *none = qr_onnx_tensor_create(QR_ONNX_INT64, 3, SHAPE(4, 0, 5));
    cr_assert_not_null(none);
    cr_expect_eq(none->count, 0);
    qr_onnx_tensor_destroy(none);
}

Test(tensor, refuses_what_is_too_large) {
    cr_expect_null(qr_onnx_tensor_create(QR_ONNX_BOOL, 2, SHAPE(1u << 31, 2)));
    cr_expect_null(qr_onnx_tensor_create(QR_ONNX_BOOL, 3, SHAPE(1ull << 32, 1ull << 32, 1)));
    /* An empty axis excuses nothing: strides are made of the others. */
    cr_expect_null(qr_onnx_tensor_create(QR_ONNX_BOOL, 3, SHAPE(0, 1ull << 40, 1ull << 40)));
    cr_expect_null(qr_onnx_tensor_create(QR_ONNX_BOOL, 9, SHAPE(1, 1, 1, 1, 1, 1, 1, 1, 1)));
}

/* The views' numbers live as long as a view does; the leak checker sees what is kept too long. */
Test(tensor, views_share_numbers) {
    qr_onnx_tensor *whole = qr_onnx_tensor_create(QR_ONNX_FLOAT, 2, SHAPE(2, 3));
    for (size_t i = 0; i < 6; i++)
        qr_onnx_floats(whole)[i] = (float)i;
    qr_onnx_tensor *view = qr_onnx_tensor_reshaped(whole, 1, SHAPE(6));
    cr_assert_not_null(view);
    qr_onnx_tensor *again = qr_onnx_tensor_reshaped(view, 3, SHAPE(3, 1, 2));
    cr_assert_not_null(again);
    cr_expect_null(qr_onnx_tensor_reshaped(view, 1, SHAPE(7)));
    cr_expect_null(qr_onnx_tensor_reshaped(view, 1, SHAPE(0)));
    cr_expect_eq(again->floats, whole->floats);
    cr_expect_eq(again->rank, 3);
    cr_expect_eq(again->shape[2], 2);
    qr_onnx_tensor_destroy(whole);
    qr_onnx_tensor_destroy(qr_onnx_tensor_share(view));
    qr_onnx_tensor_destroy(view);
    cr_expect_eq(again->floats[5], 5.0f);
    qr_onnx_tensor_destroy(again);
}

Test(tensor, views_of_borrowed_numbers) {
    static const float numbers[4] = {1, 2, 3, 4};
    qr_onnx_tensor *borrowed = calloc(1, sizeof *borrowed);
    *borrowed = (qr_onnx_tensor){
        .type = QR_ONNX_FLOAT, .rank = 1, .shape = {4}, .count = 4, .floats = numbers, .refs = 1};
    qr_onnx_tensor *view = qr_onnx_tensor_reshaped(borrowed, 2, SHAPE(2, 2));
    qr_onnx_tensor_destroy(borrowed);
    cr_expect_eq(view->floats, numbers);
    qr_onnx_tensor_destroy(view);
}

Test(tensor, integers_wrap_as_their_type_does) {
    static const struct {
        qr_onnx_type type;
        int64_t value, held;
    } cases[] = {
        {QR_ONNX_BOOL, 7, 1},
        {QR_ONNX_BOOL, 0, 0},
        {QR_ONNX_BOOL, 256, 1},
        {QR_ONNX_UINT8, 300, 44},
        {QR_ONNX_UINT8, -1, 255},
        {QR_ONNX_INT8, 128, -128},
        {QR_ONNX_INT8, -1, -1},
        {QR_ONNX_UINT16, -1, 65535},
        {QR_ONNX_INT16, 40000, -25536},
        {QR_ONNX_INT32, 1ll << 31, INT32_MIN},
        {QR_ONNX_UINT32, -1, UINT32_MAX},
        {QR_ONNX_INT64, INT64_MIN, INT64_MIN},
        {QR_ONNX_UINT64, -1, -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        qr_onnx_tensor *tensor = qr_onnx_tensor_create(cases[i].type, 1, SHAPE(2));
        qr_onnx_set_int(tensor, 1, cases[i].value);
        cr_expect_eq(qr_onnx_int(tensor, 0), 0);
        cr_expect_eq(qr_onnx_int(tensor, 1), cases[i].held, "case %zu holds %lld", i,
                     (long long)qr_onnx_int(tensor, 1));
        qr_onnx_tensor_destroy(tensor);
    }
}

Test(tensor, rounds_to_even) {
    static const struct {
        qr_onnx_type type;
        float x, rounded;
    } cases[] = {
        {QR_ONNX_FLOAT, 0.1f, 0.1f},
        {QR_ONNX_DOUBLE, 0.1f, 0.1f},
        {QR_ONNX_FLOAT16, 0x1.002p0f, 0x1p0f}, /* ties: to even */
        {QR_ONNX_FLOAT16, 0x1.006p0f, 0x1.008p0f},
        {QR_ONNX_FLOAT16, 0x1.002002p0f, 0x1.004p0f},
        {QR_ONNX_FLOAT16, -0x1.006p0f, -0x1.008p0f},
        {QR_ONNX_FLOAT16, 0x1.ffep0f, 0x1p1f},
        {QR_ONNX_FLOAT16, 65519.0f, 65504.0f},
        {QR_ONNX_FLOAT16, 65520.0f, INFINITY},
        {QR_ONNX_FLOAT16, -1e30f, -INFINITY},
        {QR_ONNX_FLOAT16, 0x1.8p-24f, 0x1p-23f}, /* subnormal */
        {QR_ONNX_FLOAT16, 0x1p-25f, 0.0f},
        {QR_ONNX_FLOAT16, 0x1.8p-25f, 0x1p-24f},
        {QR_ONNX_FLOAT16, 0x1.ff8p-15f, 0x1.ff8p-15f},
        {QR_ONNX_FLOAT16, 0x1.fffp-15f, 0x1p-14f},
        {QR_ONNX_BFLOAT16, 0x1.01p0f, 0x1p0f},
        {QR_ONNX_BFLOAT16, 0x1.03p0f, 0x1.04p0f},
        {QR_ONNX_BFLOAT16, 0x1.fffffep127f, INFINITY},
        {QR_ONNX_BFLOAT16, INFINITY, INFINITY},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const float got = qr_onnx_round(cases[i].type, cases[i].x);
        cr_expect_eq(got, cases[i].rounded, "case %zu: %a", i, (double)got);
    }
    cr_expect(isnan(qr_onnx_round(QR_ONNX_FLOAT16, NAN)));
    cr_expect(isnan(qr_onnx_round(QR_ONNX_BFLOAT16, -NAN)));
    cr_expect(signbit(qr_onnx_round(QR_ONNX_FLOAT16, -1e-30f)));
}

/* A half keeps 11 bits: what is rounded differs by half a unit at most, and stays what it is. */
Test(tensor, halves_are_near_and_stay) {
    for (uint32_t bits = 0; bits < 0x47800000u; bits += 4099) {
        float x;
        memcpy(&x, &bits, sizeof x);
        const float half = qr_onnx_round(QR_ONNX_FLOAT16, x);
        cr_assert_eq(qr_onnx_round(QR_ONNX_FLOAT16, half), half);
        if (x < 65520.0f)
            cr_assert_leq(fabsf(half - x), fmaxf(x * 0x1p-11f, 0x1p-25f), "%a became %a", (double)x,
                          (double)half);
    }
}

Test(tensor, shape_text) {
    char text[128];
    qr_onnx_shape_text(&(qr_onnx_tensor){.rank = 3, .shape = {2, 7, 384}}, text);
    cr_expect_str_eq(text, "[2, 7, 384]");
    qr_onnx_shape_text(&(qr_onnx_tensor){.rank = 0}, text);
    cr_expect_str_eq(text, "[]");
    const size_t most = 1u << 31;
    qr_onnx_shape_text(
        &(qr_onnx_tensor){.rank = 8, .shape = {most, most, most, most, most, most, most, most}},
        text);
    cr_expect_eq(text[strlen(text) - 1], ']');
    cr_expect_str_eq(qr_onnx_type_name(QR_ONNX_FLOAT16), "float16");
    cr_expect_str_eq(qr_onnx_type_name((qr_onnx_type)99), "a type that is not known");
}
