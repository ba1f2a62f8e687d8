/* tests/cuda/probes/probe_kernels.h: small kernels, right and wrong ones, that try the emulator and
 * the fake driver; and what their tests need.
 *
 *     TEST(a_barrier_orders_threads) { CHECK(reversed("probe_reverse", 1) == 128); }
 *     dies("a lane that returned", "has returned", [] { launch("probe_returns", ...); });
 *     int main() { return run_tests(); }
 *
 * Each program is single-threaded when it forks; run_tests takes words that select tests by name.
 */
#ifndef QR_TESTS_PROBE_KERNELS_H
#define QR_TESTS_PROBE_KERNELS_H

#include <cstddef>
#include <cstdint>

/** All probes take this; what the members are is each one's own. */
struct probe_args {
    void *to;
    const void *from;
    uint32_t a, b;
};
constexpr uint32_t PROBE_THREADS = 128;

struct test_case {
    const char *name;
    void (*run)();
    test_case *next;
    test_case(const char *test_name, void (*test)());
};
#define TEST(name)                                                                                 \
    static void name();                                                                            \
    static test_case name##_case(#name, name);                                                     \
    static void name()

/** Counts and prints a failure; goes on. */
#define CHECK(condition) check_that(condition, #condition, __FILE__, __LINE__)
void check_that(bool holds, const char *condition, const char *file, int line);
bool checks_failed();

/** Runs it in a child, which must end by `status` (negative: a signal) and have `expected` in its
 * standard error. */
void ends(const char *what, int status, const char *expected, void (*run)());
/** The same, by abort(). */
void dies(const char *what, const char *expected, void (*run)());
/** The status of this program with only the tests that `name` selects, and with a variable set. */
int status_with(const char *variable, const char *value, const char *name);

int run_tests(int argc, char **argv);

#endif
