/* The part of Criterion that our suites use, without its sandbox, for builds with a sanitizer:
 * Criterion's inheritable arena cannot be mapped beside ThreadSanitizer's shadow memory, and its
 * runner's own leak would hide or fake ours. Each test runs in a forked child, as there, and the
 * child's exit code (which LeakSanitizer sets) counts; a failed cr_expect is reported and counted,
 * a failed cr_assert ends the child. */
#ifndef QR_PLAIN_CRITERION_H
#define QR_PLAIN_CRITERION_H

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct plain_options {
    void (*init)(void);
    void (*fini)(void);
    double timeout; /* seconds; 0: the suite's, else the runner's */
} plain_options;

typedef struct plain_test {
    const char *suite, *name;
    void (*run)(void);
    plain_options options;
    struct plain_test *next;
} plain_test;

typedef struct plain_suite {
    const char *name;
    plain_options options;
    struct plain_suite *next;
} plain_suite;

void plain_add_test(plain_test *test);
void plain_add_suite(plain_suite *suite);
__attribute__((format(printf, 4, 5))) void plain_failed(const char *file, int line,
                                                        const char *what, const char *message, ...);
__attribute__((noreturn, format(printf, 1, 2))) void plain_skip(const char *why, ...);

#define Test(suite_, name_, ...)                                                                   \
    static void suite_##_##name_##_run(void);                                                      \
    __attribute__((constructor)) static void suite_##_##name_##_add(void) {                        \
        static plain_test test = {#suite_, #name_, suite_##_##name_##_run, {__VA_ARGS__}, NULL};   \
        plain_add_test(&test);                                                                     \
    }                                                                                              \
    static void suite_##_##name_##_run(void)

#define TestSuite(name_, ...)                                                                      \
    __attribute__((constructor)) static void name_##_add_suite(void) {                             \
        static plain_suite suite = {#name_, {__VA_ARGS__}, NULL};                                  \
        plain_add_suite(&suite);                                                                   \
    }                                                                                              \
    struct plain_swallow_semicolon

/* The message, a format and its values, may be left out: what follows the " " is then nothing. */
#define PLAIN_EXPECT(holds, what, ...)                                                             \
    do {                                                                                           \
        if (!(holds))                                                                              \
            plain_failed(__FILE__, __LINE__, what, " " __VA_ARGS__);                               \
    } while (0)
#define PLAIN_ASSERT(holds, what, ...)                                                             \
    do {                                                                                           \
        if (!(holds)) {                                                                            \
            plain_failed(__FILE__, __LINE__, what, " " __VA_ARGS__);                               \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#define cr_assert(c, ...)        PLAIN_ASSERT(c, #c, __VA_ARGS__)
#define cr_assert_eq(a, b, ...)  PLAIN_ASSERT((a) == (b), #a " == " #b, __VA_ARGS__)
#define cr_assert_neq(a, b, ...) PLAIN_ASSERT((a) != (b), #a " != " #b, __VA_ARGS__)
#define cr_assert_lt(a, b, ...)  PLAIN_ASSERT((a) < (b), #a " < " #b, __VA_ARGS__)
#define cr_assert_leq(a, b, ...) PLAIN_ASSERT((a) <= (b), #a " <= " #b, __VA_ARGS__)
#define cr_assert_gt(a, b, ...)  PLAIN_ASSERT((a) > (b), #a " > " #b, __VA_ARGS__)
#define cr_assert_geq(a, b, ...) PLAIN_ASSERT((a) >= (b), #a " >= " #b, __VA_ARGS__)
#define cr_assert_float_eq(a, b, e, ...)                                                           \
    PLAIN_ASSERT(fabs((double)(a) - (double)(b)) <= (e), #a " ~ " #b, __VA_ARGS__)
#define cr_assert_str_eq(a, b, ...)    PLAIN_ASSERT(strcmp(a, b) == 0, #a " == " #b, __VA_ARGS__)
#define cr_assert_null(a, ...)         PLAIN_ASSERT((a) == NULL, #a " is NULL", __VA_ARGS__)
#define cr_assert_not_null(a, ...)     PLAIN_ASSERT((a) != NULL, #a " is not NULL", __VA_ARGS__)
#define cr_assert_not(c, ...)          PLAIN_ASSERT(!(c), "not " #c, __VA_ARGS__)
#define cr_assert_arr_eq(a, b, n, ...) PLAIN_ASSERT(memcmp(a, b, n) == 0, #a " == " #b, __VA_ARGS__)
#define cr_assert_fail(...)            PLAIN_ASSERT(false, "not reached", __VA_ARGS__)
#define cr_expect(c, ...)              PLAIN_EXPECT(c, #c, __VA_ARGS__)
#define cr_expect_not(c, ...)          PLAIN_EXPECT(!(c), "not " #c, __VA_ARGS__)
#define cr_expect_eq(a, b, ...)        PLAIN_EXPECT((a) == (b), #a " == " #b, __VA_ARGS__)
#define cr_expect_neq(a, b, ...)       PLAIN_EXPECT((a) != (b), #a " != " #b, __VA_ARGS__)
#define cr_expect_lt(a, b, ...)        PLAIN_EXPECT((a) < (b), #a " < " #b, __VA_ARGS__)
#define cr_expect_leq(a, b, ...)       PLAIN_EXPECT((a) <= (b), #a " <= " #b, __VA_ARGS__)
#define cr_expect_geq(a, b, ...)       PLAIN_EXPECT((a) >= (b), #a " >= " #b, __VA_ARGS__)
#define cr_expect_gt(a, b, ...)        PLAIN_EXPECT((a) > (b), #a " > " #b, __VA_ARGS__)
#define cr_expect_float_eq(a, b, e, ...)                                                           \
    PLAIN_EXPECT(fabs((double)(a) - (double)(b)) <= (e), #a " ~ " #b, __VA_ARGS__)
#define cr_expect_str_eq(a, b, ...)    PLAIN_EXPECT(strcmp(a, b) == 0, #a " == " #b, __VA_ARGS__)
#define cr_expect_null(a, ...)         PLAIN_EXPECT((a) == NULL, #a " is NULL", __VA_ARGS__)
#define cr_expect_not_null(a, ...)     PLAIN_EXPECT((a) != NULL, #a " is not NULL", __VA_ARGS__)
#define cr_expect_arr_eq(a, b, n, ...) PLAIN_EXPECT(memcmp(a, b, n) == 0, #a " == " #b, __VA_ARGS__)
#define cr_log_info(...)               (void)0
#define cr_log_warn(...)               (void)0
#define cr_skip(...)                   plain_skip(__VA_ARGS__)
#define cr_skip_test(...)              plain_skip(__VA_ARGS__)

#endif
