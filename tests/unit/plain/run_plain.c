/* Runs the tests that registered with plain/criterion/criterion.h, each in a child of its own, and
 * counts the failures. An argument keeps only the tests whose "suite::name" contains it. */
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

static plain_test *tests;
static plain_suite *suites;
static int failures; /* of this child */

void plain_add_test(plain_test *test) {
    test->next = tests;
    tests = test;
}

void plain_add_suite(plain_suite *suite) {
    suite->next = suites;
    suites = suite;
}

void plain_failed(const char *file, int line, const char *what) {
    fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
    failures++;
}

static plain_options options_of(const plain_test *test) {
    plain_options options = test->options;
    for (const plain_suite *s = suites; s != NULL; s = s->next) {
        if (strcmp(s->name, test->suite) != 0)
            continue;
        if (options.init == NULL)
            options.init = s->options.init;
        if (options.fini == NULL)
            options.fini = s->options.fini;
        if (options.timeout <= 0)
            options.timeout = s->options.timeout;
    }
    return options;
}

static int run_child(const plain_test *test) {
    plain_options options = options_of(test);
    alarm(options.timeout > 0 ? (unsigned)options.timeout : 300);
    if (options.init != NULL)
        options.init();
    test->run();
    if (options.fini != NULL)
        options.fini();
    return failures == 0 ? 0 : 1;
}

int main(int argc, char **argv) {
    int passed = 0, failed = 0;
    for (const plain_test *test = tests; test != NULL; test = test->next) {
        char name[256];
        snprintf(name, sizeof name, "%s::%s", test->suite, test->name);
        if (argc > 1 && strstr(name, argv[1]) == NULL)
            continue;
        fflush(NULL);
        pid_t child = fork();
        if (child == 0)
            exit(run_child(test));
        int status = -1;
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
            printf("[FAIL] %s (status %d)\n", name, status);
            failed++;
        } else {
            passed++;
        }
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed == 0 && passed > 0 ? 0 : 1;
}
