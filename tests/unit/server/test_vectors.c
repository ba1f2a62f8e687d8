/* Vectors in types of fewer bits, number by number. */
#include <criterion/criterion.h>
#include <math.h>

#include "server/api/vectors.h"

Test(vectors, halves_are_rounded_to_nearest_even) {
    static const struct {
        float value;
        uint16_t half;
    } cases[] = {{0.0f, 0x0000},           {-0.0f, 0x8000},           {1.0f, 0x3C00},
                 {-2.0f, 0xC000},          {65504.0f, 0x7BFF},        {65519.0f, 0x7BFF},
                 {65520.0f, 0x7C00},       {1e30f, 0x7C00},           {-INFINITY, 0xFC00},
                 {0x1p-14f, 0x0400},       {0x1p-24f, 0x0001},        {0x1p-25f, 0x0000},
                 {0x1.8p-24f, 0x0002},     {0x1.000002p-25f, 0x0001}, {0x1.ffcp-15f, 0x0400},
                 {1.00048828125f, 0x3C00}, {1.00146484375f, 0x3C02},  {0.333333f, 0x3555}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint16_t half;
        uint8_t bytes[2];
        qr__vector_write(QR__VECTOR_F16, &cases[i].value, 1, NULL, NULL, bytes);
        memcpy(&half, bytes, sizeof half);
        cr_expect_eq(half, cases[i].half, "%g: %04x, not %04x", (double)cases[i].value, half,
                     cases[i].half);
    }
}

Test(vectors, bits_stand_highest_first_and_zero_is_none) {
    static const float vector[] = {1, -1, 0, 2, 1e-30f, -0.0f, 0, 3, 0.5f, -2, 1};
    uint8_t bytes[2];
    cr_assert_eq(qr__vector_bytes(QR__VECTOR_UBINARY, 11), 2);
    qr__vector_write(QR__VECTOR_UBINARY, vector, 11, NULL, NULL, bytes);
    cr_expect_eq(bytes[0], 0x99);
    cr_expect_eq(bytes[1], 0xA0);
    qr__vector_write(QR__VECTOR_BINARY, vector, 11, NULL, NULL, bytes);
    cr_expect_eq(bytes[0], 0x19);
    cr_expect_eq(bytes[1], 0x20);
}

Test(vectors, quantized_by_range_and_clipped) {
    static const float vector[] = {-1, 1, 0, 5, -2, 0.999f};
    static const float least[] = {-1, -1, -1, -1, -1, -1};
    static const float step[] = {0x1p-6f, 0x1p-6f, 0x1p-6f, 0x1p-6f, 0x1p-6f, 0x1p-6f};
    static const uint8_t wanted[] = {0, 128, 64, 255, 0, 127};
    uint8_t bytes[6];
    qr__vector_write(QR__VECTOR_UINT8, vector, 6, least, step, bytes);
    for (size_t i = 0; i < 6; i++)
        cr_expect_eq(bytes[i], wanted[i], "%zu: %u", i, bytes[i]);
    qr__vector_write(QR__VECTOR_INT8, vector, 6, least, step, bytes);
    for (size_t i = 0; i < 6; i++)
        cr_expect_eq((int8_t)bytes[i], wanted[i] - 128, "%zu: %d", i, (int8_t)bytes[i]);
}
