/* The random source: the published sequence, and no number twice, whoever draws. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/random.h"

Test(random, is_splitmix64) {
    qr_random random = {0};
    cr_expect_eq(qr_random_next(&random), 0xE220A8397B1DCDAFull);
    cr_expect_eq(qr_random_next(&random), 0x6E789E6AA1B965F4ull);
    cr_expect_eq(qr_random_next(&random), 0x06C45D188009454Full);
}

Test(random, starts_anywhere) {
    qr_random a, b;
    qr_random_init(&a);
    qr_random_init(&b);
    cr_expect_neq(qr_random_next(&a), qr_random_next(&b));
}

#define THREADS 4
#define DRAWS   10000

static qr_random shared;

static void *draw(void *out) {
    for (size_t i = 0; i < DRAWS; i++)
        ((uint64_t *)out)[i] = qr_random_next(&shared);
    return NULL;
}

static int by_number(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

Test(random, threads_draw_different_numbers) {
    static uint64_t drawn[THREADS * DRAWS];
    pthread_t threads[THREADS];
    for (int t = 0; t < THREADS; t++)
        cr_assert_eq(pthread_create(&threads[t], NULL, draw, drawn + t * DRAWS), 0);
    for (int t = 0; t < THREADS; t++)
        pthread_join(threads[t], NULL);
    qsort(drawn, THREADS * DRAWS, sizeof drawn[0], by_number);
    for (size_t i = 1; i < THREADS * DRAWS; i++)
        cr_assert_neq(drawn[i], drawn[i - 1]); /* splitmix64 visits each number once */
}
