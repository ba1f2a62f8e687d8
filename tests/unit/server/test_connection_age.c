/* How old a connection gets, on a clock of the test's: a real listener, a client on a socket. */
#include <criterion/criterion.h>
#include <unistd.h>

#include "server/http_fixture.h"

#define AGE_NS (10 * QR_NS_PER_S)

Test(connection_age, an_old_one_is_closed_with_its_next_answer, .timeout = 120) {
    http_fixture_open(AGE_NS, NULL);
    int fd = http_fixture_connect();
    cr_expect_not(http_fixture_ask(fd));
    http_fixture_pass(AGE_NS - AGE_NS / 10 - 1);
    cr_expect_not(http_fixture_ask(fd), "a tenth before its age, and no earlier");
    http_fixture_pass(AGE_NS / 5 + 2);
    cr_expect(http_fixture_ask(fd), "a tenth behind it, and no later");
    cr_expect(http_fixture_ended(fd), "the server closes it");
    close(fd);
    fd = http_fixture_connect();
    cr_expect_not(http_fixture_ask(fd), "a new one has its own age");
    close(fd);
    http_fixture_close();
}

Test(connection_age, a_request_that_outlasts_it_is_answered, .timeout = 120) {
    http_fixture_open(AGE_NS, NULL);
    int fd = http_fixture_connect();
    http_fixture_work(100 * AGE_NS);
    cr_expect(http_fixture_ask(fd), "its answer is whole, and the last");
    cr_expect(http_fixture_ended(fd));
    close(fd);
    http_fixture_close();
}

Test(connection_age, without_one_it_is_never_old, .timeout = 120) {
    http_fixture_open(0, NULL);
    int fd = http_fixture_connect();
    for (int i = 0; i < 500; i++) { /* ten hours; after 1000 requests it ends for another reason */
        http_fixture_pass(QR__IDLE_NS - QR_NS_PER_S);
        cr_expect_not(http_fixture_ask(fd));
    }
    close(fd);
    http_fixture_close();
}

/* A proxy that keeps its connections for 60 or 75 s never finds a closed one; the timer that ends
 * them is a real one of 100 ms. */
Test(connection_age, an_idle_one_is_kept_for_75_seconds, .timeout = 120) {
    http_fixture_open(0, NULL);
    int fd = http_fixture_connect();
    cr_expect_not(http_fixture_ask(fd));
    http_fixture_pass(74 * QR_NS_PER_S);
    cr_expect_not(http_fixture_ask(fd));
    http_fixture_pass(QR__IDLE_NS + 1);
    cr_expect(http_fixture_ended(fd));
    cr_expect_geq(QR__IDLE_NS, 75 * QR_NS_PER_S);
    close(fd);
    http_fixture_close();
}

Test(connection_age, is_a_tenth_more_or_less) {
    const uint64_t begun = 12345, age = 600 * QR_NS_PER_S;
    qr_random random;
    uint64_t least = UINT64_MAX, most = 0;
    qr_random_init(&random);
    for (int i = 0; i < 10000; i++) {
        uint64_t old = qr__connection_old_ns(begun, age, qr_random_next(&random));
        least = qr_min(least, old);
        most = qr_max(most, old);
    }
    cr_expect(least >= begun + 540 * QR_NS_PER_S && least < begun + 545 * QR_NS_PER_S);
    cr_expect(most <= begun + 660 * QR_NS_PER_S && most > begun + 655 * QR_NS_PER_S);
    cr_expect_eq(qr__connection_old_ns(0, 10, 0), 9);
    cr_expect_eq(qr__connection_old_ns(0, 10, 2), 11);
    cr_expect_eq(qr__connection_old_ns(begun, 0, 17), UINT64_MAX);
}
