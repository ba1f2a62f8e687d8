/* tests: the last arithmetic on vectors and label logits. */
#include <criterion/criterion.h>
#include <math.h>

#include "pipeline/pipeline.h"

Test(embed_finish, makes_unit_length) {
    float vector[] = {3, 0, -4};
    cr_assert_eq(qr_embed_finish(vector, 3, 0, true), 3);
    cr_assert_float_eq(vector[0], 0.6f, 1e-7f);
    cr_assert_eq(vector[1], 0);
    cr_assert_float_eq(vector[2], -0.8f, 1e-7f);
}

Test(embed_finish, leaves_lengths_alone_when_not_asked) {
    float vector[] = {3, 0, -4};
    cr_assert_eq(qr_embed_finish(vector, 3, 0, false), 3);
    cr_assert_eq(vector[0], 3);
    cr_assert_eq(vector[2], -4);
}

Test(embed_finish, cuts_before_it_normalises) {
    float vector[] = {3, 4, 12, 84};
    cr_assert_eq(qr_embed_finish(vector, 4, 2, true), 2);
    cr_assert_float_eq(vector[0], 0.6f, 1e-7f);
    cr_assert_float_eq(vector[1], 0.8f, 1e-7f);
    cr_assert_eq(vector[3], 84, "what is cut off is not touched");
}

Test(embed_finish, never_grows_a_vector) {
    float vector[] = {1, 1};
    cr_assert_eq(qr_embed_finish(vector, 2, 7, false), 2);
}

Test(embed_finish, keeps_a_zero_vector) {
    float vector[] = {0, -0.0f, 0};
    cr_assert_eq(qr_embed_finish(vector, 3, 0, true), 3);
    for (int i = 0; i < 3; i++)
        cr_assert_eq(vector[i], 0);
}

Test(embed_finish, tiny_and_huge_vectors_do_not_overflow) {
    float tiny[] = {1e-44f, 0}, huge[] = {3e38f, 3e38f};
    qr_embed_finish(tiny, 2, 0, true);
    cr_assert_float_eq(tiny[0], 1, 1e-6f);
    qr_embed_finish(huge, 2, 0, true);
    cr_assert_float_eq(huge[1], 0.70710678f, 1e-6f);
}

Test(labels_finish, softmax_of_two_and_more) {
    float logits[] = {0, 0.69314718f, -50};
    qr_labels_finish(logits, 3);
    cr_assert_float_eq(logits[0], 1.0f / 3, 1e-6f);
    cr_assert_float_eq(logits[1], 2.0f / 3, 1e-6f);
    cr_assert_float_eq(logits[2], 0, 1e-6f);
}

Test(labels_finish, softmax_of_extremes_is_finite) {
    float logits[] = {1000, -1000, 999};
    qr_labels_finish(logits, 3);
    cr_assert_float_eq(logits[0] + logits[1] + logits[2], 1, 1e-6f);
    cr_assert_float_eq(logits[0] / logits[2], 2.7182817f, 1e-4f);
}

Test(labels_finish, sigmoid_of_one) {
    float zero = 0, two = 2, low = -1000, high = 1000;
    qr_labels_finish(&zero, 1);
    qr_labels_finish(&two, 1);
    qr_labels_finish(&low, 1);
    qr_labels_finish(&high, 1);
    cr_assert_eq(zero, 0.5f);
    cr_assert_float_eq(two, 0.88079708f, 1e-7f);
    cr_assert_eq(low, 0);
    cr_assert_eq(high, 1);
}
