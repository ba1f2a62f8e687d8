/* What Landlock and seccomp leave, each in a child of its own: there is no way back. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/model_maker.h"
#include "server/landlock.h"
#include "server/system_calls.h"

static char dir[64];

static void set_up(void) {
    temp_dir_create(dir);
}
static void tear_down(void) {
    temp_dir_remove(dir);
}

TestSuite(sandbox, .init = set_up, .fini = tear_down, .timeout = 60);

/* The line of the first expectation that fails in the child; 0: none did. */
#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition))                                                                          \
            _exit(__LINE__ % 250 + 1);                                                             \
    } while (0)

#define NO_KERNEL 255

static int in_child(void (*run)(void)) {
    int status = 0;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        run();
        _exit(0);
    }
    cr_assert_gt(child, 0);
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status), "signal %d", WTERMSIG(status));
    return WEXITSTATUS(status);
}

/* True: it opened, was read or made; errno else. */
static bool can(const char *name, int flags) {
    char path[128];
    int fd = open(name[0] == '/' ? name : (snprintf(path, sizeof path, "%s/%s", dir, name), path),
                  flags | O_CLOEXEC, 0600);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}
static bool cannot(const char *name, int flags, int why) {
    errno = 0;
    return !can(name, flags) && errno == why;
}

static void make(const char *name, bool folder) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    cr_assert(folder ? mkdir(path, 0700) == 0 : can(name, O_CREAT | O_WRONLY), "%s", path);
}

static void allow(qr__landlock *lock, const char *name, qr__landlock_right right) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    qr__landlock_allow(lock, path, right);
}

static bool binds(const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", dir, name);
    bool bound = bind(fd, (struct sockaddr *)&address, sizeof address) == 0;
    close(fd);
    return bound;
}

static bool moves(const char *from, const char *to) {
    char paths[2][128];
    snprintf(paths[0], sizeof paths[0], "%s/%s", dir, from);
    snprintf(paths[1], sizeof paths[1], "%s/%s", dir, to);
    return rename(paths[0], paths[1]) == 0;
}

static void only_what_is_allowed(void) {
    qr__landlock lock;
    if (!qr__landlock_begin(&lock))
        _exit(NO_KERNEL);
    allow(&lock, "read", QR__LANDLOCK_READ);
    allow(&lock, "write", QR__LANDLOCK_WRITE);
    allow(&lock, "socket", QR__LANDLOCK_SOCKET);
    allow(&lock, "alone", QR__LANDLOCK_READ);
    allow(&lock, "missing", QR__LANDLOCK_WRITE);
    qr__landlock_allow(&lock, "/", QR__LANDLOCK_READ); /* would be everything */
    qr__landlock_allow(&lock, "/tmp/..", QR__LANDLOCK_READ);
    EXPECT(lock.allowed == 4);
    EXPECT(qr__landlock_enforce(&lock));
    EXPECT(can("read/x", O_RDONLY) && can("read/below/x", O_RDONLY) && can("alone", O_RDONLY));
    EXPECT(can("read", O_RDONLY | O_DIRECTORY));
    EXPECT(cannot("read/x", O_WRONLY, EACCES) && cannot("alone", O_WRONLY, EACCES));
    EXPECT(cannot("read/new", O_CREAT | O_WRONLY, EACCES));
    EXPECT(cannot("other/x", O_RDONLY, EACCES) && cannot("/etc/passwd", O_RDONLY, EACCES));
    EXPECT(cannot("/etc", O_RDONLY | O_DIRECTORY, EACCES));
    qr_file_denied_by("the test");
    EXPECT(strcmp(qr_file_fault("/etc", EACCES), "the test") == 0);
    EXPECT(strcmp(qr_file_fault("/etc/nothing", EACCES), strerror(EACCES)) == 0);
    EXPECT(strcmp(qr_file_fault("/etc", EMFILE), strerror(EMFILE)) == 0);
    EXPECT(can("write/x", O_RDWR | O_TRUNC) && can("write/new", O_CREAT | O_WRONLY));
    EXPECT(moves("write/new", "write/moved") && !moves("write/moved", "read/x"));
    EXPECT(binds("socket/s") && !binds("write/s") && !binds("other/s"));
    EXPECT(cannot("socket/new", O_CREAT | O_WRONLY, EACCES));
    EXPECT(execl("/bin/true", "true", NULL) < 0 && errno == EACCES);
}

Test(sandbox, only_allowed_paths_can_be_opened) {
    static const char *const folders[] = {"read", "read/below", "write", "socket", "other"};
    static const char *const files[] = {"read/x", "read/below/x", "write/x", "other/x", "alone"};
    for (size_t i = 0; i < 5; i++)
        make(folders[i], true);
    for (size_t i = 0; i < 5; i++)
        make(files[i], false);
    int line = in_child(only_what_is_allowed);
    if (line == NO_KERNEL)
        cr_skip_test("this kernel has no Landlock");
    cr_assert_eq(line, 0, "the expectation at line %d, modulo 250", line - 1);
}

static sem_t restricted;

static bool is_gone(long result) {
    return result < 0 && errno == ENOSYS;
}

static void *do_nothing(void *state) {
    return state;
}

/* In a thread that was there before, and in one that came after. */
static void *ask_for_what_is_gone(void *state) {
    pthread_t thread;
    while (sem_wait(&restricted) != 0)
        ;
    EXPECT(is_gone(socket(AF_UNIX, SOCK_STREAM, 0)) && is_gone(socket(AF_INET, SOCK_STREAM, 0)));
    EXPECT(is_gone(execl("/bin/true", "true", NULL)));
    EXPECT(is_gone(fork()));
    EXPECT(is_gone(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL)));
    EXPECT(is_gone(kill(getppid(), 0)) && is_gone(chmod(dir, 0777)) && is_gone(setuid(getuid())));
    EXPECT(is_gone(ioctl(STDIN_FILENO, TIOCSTI, "x")));
    EXPECT(can("x", O_CREAT | O_RDWR) && can("/etc/passwd", O_RDONLY));
    if (state == NULL)
        return NULL;
    EXPECT(pthread_create(&thread, NULL, do_nothing, NULL) == 0 && pthread_join(thread, NULL) == 0);
    return NULL;
}

static bool can_make_ring(void) {
    char parameters[256] = {0}; /* longer than the kernel's struct io_uring_params */
    long ring = syscall(SYS_io_uring_setup, 1, parameters);
    if (ring >= 0)
        close((int)ring);
    return ring >= 0;
}

static void no_rings(void) {
    bool could = can_make_ring();
    if (qr__system_calls_no_rings() != 0)
        _exit(NO_KERNEL);
    EXPECT(!can_make_ring() && (errno == ENOSYS || !could));
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    EXPECT(fd >= 0 && close(fd) == 0); /* all else is left, until the list comes */
    EXPECT(qr__system_calls_restrict() == 0);
    EXPECT(is_gone(socket(AF_UNIX, SOCK_STREAM, 0)) && !can_make_ring());
}

Test(sandbox, no_ring_can_be_made) {
    int line = in_child(no_rings);
    if (line == NO_KERNEL)
        cr_skip_test("this kernel has no seccomp");
    cr_assert_eq(line, 0, "the expectation at line %d, modulo 250", line - 1);
}

static void only_listed_calls(void) {
    int pair[2];
    char byte = 'x';
    pthread_t before, after;
    sem_init(&restricted, 0, 0);
    EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    EXPECT(pthread_create(&before, NULL, ask_for_what_is_gone, dir) == 0);
    if (qr__system_calls_restrict() != 0)
        _exit(NO_KERNEL);
    sem_post(&restricted);
    EXPECT(pthread_join(before, NULL) == 0);
    EXPECT(pthread_create(&after, NULL, ask_for_what_is_gone, NULL) == 0);
    sem_post(&restricted);
    EXPECT(pthread_join(after, NULL) == 0);
    EXPECT(send(pair[0], &byte, 1, 0) == 1 && recv(pair[1], &byte, 1, 0) == 1);
    void *memory = malloc(64 << 20);
    EXPECT(memory != NULL);
    memset(memory, 1, 64 << 20);
    free(memory);
}

Test(sandbox, only_listed_calls_are_left_in_every_thread) {
    int line = in_child(only_listed_calls);
    if (line == NO_KERNEL)
        cr_skip_test("this kernel has no seccomp");
    cr_assert_eq(line, 0, "the expectation at line %d, modulo 250", line - 1);
}
