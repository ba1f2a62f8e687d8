/* Runs the tests that registered with plain/criterion/criterion.h, each in a child of its own, as
 * many at a time as there are cores, and counts the failures. What a child writes is printed when
 * it has ended. Arguments keep only the tests whose "suite::name" contains one of them. */
#include <sched.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

#define HANG_SECONDS  900 /* of a test that names no timeout */
#define CHILDREN_MOST 64

static plain_test *tests;
static plain_suite *suites;
static const plain_test *current; /* of this child, as are its failures */
static int failures;

void plain_add_test(plain_test *test) {
    test->next = tests;
    tests = test;
}

void plain_add_suite(plain_suite *suite) {
    suite->next = suites;
    suites = suite;
}

void plain_failed(const char *file, int line, const char *what, const char *message, ...) {
    va_list args;
    va_start(args, message);
    fprintf(stderr, "%s:%d: failed: %s", file, line, what);
    vfprintf(stderr, message, args);
    va_end(args);
    fputc('\n', stderr);
    failures++;
}

void plain_skip(const char *why, ...) {
    va_list args;
    va_start(args, why);
    printf("[SKIP] %s::%s: ", current->suite, current->name);
    vprintf(why, args);
    va_end(args);
    putchar('\n');
    exit(0);
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
    current = test;
    alarm(options.timeout > 0 ? (unsigned)options.timeout : HANG_SECONDS);
    if (options.init != NULL)
        options.init();
    test->run();
    if (options.fini != NULL)
        options.fini();
    return failures == 0 ? 0 : 1;
}

/* A test at work; test is NULL where there is none. */
typedef struct child {
    const plain_test *test;
    pid_t pid;
    FILE *output;
} child;

static int cores(void) {
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return count < CHILDREN_MOST ? count : CHILDREN_MOST;
}

static void child_start(child *c, const plain_test *test) {
    c->test = test;
    c->output = tmpfile();
    fflush(NULL);
    c->pid = c->output == NULL ? -1 : fork();
    if (c->pid == 0) {
        dup2(fileno(c->output), STDOUT_FILENO);
        dup2(fileno(c->output), STDERR_FILENO);
        exit(run_child(test));
    }
    if (c->pid < 0) {
        perror("a test cannot be started");
        exit(1);
    }
}

static void print_output(FILE *output) {
    int byte;
    rewind(output);
    while ((byte = getc(output)) != EOF)
        putchar(byte);
    fclose(output);
}

/* Waits for any of them, prints what it wrote, and frees its place. True: its test passed. */
static bool child_wait(child *children, int count) {
    int status = -1;
    pid_t pid = wait(&status);
    for (int i = 0; i < count; i++) {
        child *c = &children[i];
        if (c->test == NULL || c->pid != pid)
            continue;
        print_output(c->output);
        if (status != 0)
            printf("[FAIL] %s::%s (status %d)\n", c->test->suite, c->test->name, status);
        c->test = NULL;
    }
    return status == 0;
}

static bool is_wanted(const plain_test *test, int parts_len, char **parts) {
    char name[256];
    snprintf(name, sizeof name, "%s::%s", test->suite, test->name);
    for (int i = 0; i < parts_len; i++)
        if (strstr(name, parts[i]) != NULL)
            return true;
    return parts_len == 0;
}

int main(int argc, char **argv) {
    static child children[CHILDREN_MOST];
    int count = cores(), busy = 0, passed = 0, failed = 0;
    const plain_test *test = tests;
    while (test != NULL || busy > 0) {
        if (test == NULL || busy == count) {
            if (child_wait(children, count))
                passed++;
            else
                failed++;
            busy--;
            continue;
        }
        if (is_wanted(test, argc - 1, argv + 1)) {
            child *idle = children;
            while (idle->test != NULL)
                idle++;
            child_start(idle, test);
            busy++;
        }
        test = test->next;
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed == 0 && passed > 0 ? 0 : 1;
}
