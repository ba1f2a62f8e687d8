#include "probe_kernels.h"
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sys/wait.h>
#include <unistd.h>

static test_case *first_case;
static unsigned failures;

test_case::test_case(const char *test_name, void (*test)())
    : name(test_name), run(test), next(first_case) {
    first_case = this;
}

void check_that(bool holds, const char *condition, const char *file, int line) {
    if (holds)
        return;
    failures++;
    printf("%s:%d: not so: %s\n", file, line, condition);
}

bool checks_failed() {
    return failures != 0;
}

void ends(const char *what, int status, const char *expected, void (*run)()) {
    int pipes[2];
    fflush(nullptr);
    if (pipe(pipes))
        abort();
    pid_t child = fork();
    if (child == 0) {
        dup2(pipes[1], 2);
        close(pipes[0]);
        alarm(60);
        failures = 0;
        run();
        exit(0);
    }
    close(pipes[1]);
    char text[8192];
    size_t bytes = 0;
    ssize_t n;
    while ((n = read(pipes[0], text + bytes, sizeof text - 1 - bytes)) > 0)
        bytes += (size_t)n;
    text[bytes] = '\0';
    close(pipes[0]);
    int ended = 0;
    waitpid(child, &ended, 0);
    int found = WIFSIGNALED(ended) ? -WTERMSIG(ended) : WEXITSTATUS(ended);
    if (found == status && strstr(text, expected))
        return;
    failures++;
    printf("%s: ended with %d, not %d, or said not \"%s\" but:\n%s\n", what, found, status,
           expected, text);
}

void dies(const char *what, const char *expected, void (*run)()) {
    ends(what, -SIGABRT, expected, run);
}

int status_with(const char *variable, const char *value, const char *name) {
    int ended = 0;
    fflush(nullptr);
    pid_t child = fork();
    if (child == 0) {
        setenv(variable, value, 1);
        if (!freopen("/dev/null", "w", stdout))
            _exit(2);
        execl("/proc/self/exe", "probes", name, (char *)nullptr);
        _exit(2);
    }
    waitpid(child, &ended, 0);
    return WIFEXITED(ended) ? WEXITSTATUS(ended) : -1;
}

static bool selected(const char *name, int argc, char **argv) {
    bool any = argc < 2;
    for (int i = 1; i < argc; i++)
        any = any || strstr(name, argv[i]);
    return any;
}

int run_tests(int argc, char **argv) {
    unsigned count = 0, failed = 0;
    for (test_case *t = first_case; t; t = t->next) {
        if (!selected(t->name, argc, argv))
            continue;
        unsigned before = failures;
        t->run();
        count++;
        failed += failures != before;
        if (failures != before)
            printf("FAILED %s\n", t->name);
    }
    printf("%u tests, %u failed\n", count, failed);
    return failed != 0;
}
