/* Runs the tests that registered with plain/criterion/criterion.h, each in a child of its own, as
 * many at a time as there are cores, and counts the failures. What a child writes is printed when
 * it has ended. An argument keeps only the tests whose "suite::name" contains it. */
#include <sched.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

#define HANG_SECONDS 900 /* of a test that names no timeout */
#define JOBS_MOST    64

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

void plain_failed(const char *file, int line, const char *what) {
    fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
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

/* A child at work; test is NULL where there is none. */
typedef struct job {
    const plain_test *test;
    pid_t pid;
    FILE *output;
} job;

static int cores(void) {
    cpu_set_t set;
    int count = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return count < JOBS_MOST ? count : JOBS_MOST;
}

static void job_start(job *job, const plain_test *test) {
    job->test = test;
    job->output = tmpfile();
    fflush(NULL);
    job->pid = job->output == NULL ? -1 : fork();
    if (job->pid == 0) {
        dup2(fileno(job->output), STDOUT_FILENO);
        dup2(fileno(job->output), STDERR_FILENO);
        exit(run_child(test));
    }
    if (job->pid < 0) {
        perror("a test cannot be started");
        exit(1);
    }
}

/* Waits for one of the jobs, prints what it wrote, and frees its place. True: the test passed. */
static bool job_finish(job *jobs, int count) {
    int status = -1, c;
    pid_t pid = wait(&status);
    for (int i = 0; i < count; i++) {
        if (jobs[i].test == NULL || jobs[i].pid != pid)
            continue;
        rewind(jobs[i].output);
        while ((c = getc(jobs[i].output)) != EOF)
            putchar(c);
        fclose(jobs[i].output);
        if (status != 0)
            printf("[FAIL] %s::%s (status %d)\n", jobs[i].test->suite, jobs[i].test->name, status);
        jobs[i].test = NULL;
    }
    return status == 0;
}

int main(int argc, char **argv) {
    static job jobs[JOBS_MOST];
    int count = cores(), busy = 0, passed = 0, failed = 0;
    const plain_test *test = tests;
    while (test != NULL || busy > 0) {
        if (test == NULL || busy == count) {
            if (job_finish(jobs, count))
                passed++;
            else
                failed++;
            busy--;
            continue;
        }
        char name[256];
        snprintf(name, sizeof name, "%s::%s", test->suite, test->name);
        if (argc < 2 || strstr(name, argv[1]) != NULL) {
            int free = 0;
            while (jobs[free].test != NULL)
                free++;
            job_start(&jobs[free], test);
            busy++;
        }
        test = test->next;
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed == 0 && passed > 0 ? 0 : 1;
}
