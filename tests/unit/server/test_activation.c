/* The descriptors of LISTEN_FDS, in a process of each test's own: they begin at 3, which is in use
 * here; and what a program that we would start sees of them. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "server/activation.h"

/* In a child: a failed one is told by its line. */
#define CHECK(holds)                                                                               \
    do {                                                                                           \
        if (!(holds)) {                                                                            \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #holds);                            \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static void listen_at(int fd) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    int made = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    CHECK(bind(made, (struct sockaddr *)&address, sizeof address) == 0 && listen(made, 1) == 0);
    CHECK(made == fd || (dup2(made, fd) == fd && close(made) == 0));
}

static void say(const char *count, const char *names) {
    char own[16];
    snprintf(own, sizeof own, "%d", (int)getpid());
    setenv("LISTEN_PID", own, 1);
    setenv("LISTEN_FDS", count, 1);
    setenv("LISTEN_FDNAMES", names, 1);
}

static bool is_forgotten(void) {
    return getenv("LISTEN_PID") == NULL && getenv("LISTEN_FDS") == NULL &&
           getenv("LISTEN_FDNAMES") == NULL;
}

static void expect_in_child(void (*run)(void)) {
    int code = -1;
    pid_t child = fork();
    if (child == 0) {
        run();
        _exit(0);
    }
    cr_assert(child > 0 && waitpid(child, &code, 0) == child);
    cr_expect(code == 0);
}

static void take_by_name(void) {
    qr__activation passed;
    qr_error error;
    listen_at(3);
    listen_at(4);
    listen_at(5);
    say("3", "main:ops");
    CHECK(qr__activation_take(&passed, &error) == QR_OK);
    CHECK(passed.mains_len == 2 && passed.mains[0].fd == 3 && passed.mains[1].fd == 5);
    CHECK(passed.ops.fd == 4);
    for (int fd = 3; fd < 6; fd++)
        CHECK((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    CHECK(strncmp(passed.ops.where, "http://127.0.0.1:", 17) == 0);
    CHECK(is_forgotten());
}

Test(activation, by_name) {
    expect_in_child(take_by_name);
}

static void leave_to_another(void) {
    qr__activation passed;
    qr_error error;
    listen_at(3);
    say("1", "main");
    setenv("LISTEN_PID", "1", 1);
    CHECK(qr__activation_take(&passed, &error) == QR_OK);
    CHECK(passed.mains_len == 0 && passed.ops.fd == 0);
    CHECK(is_forgotten());
}

Test(activation, of_another_process) {
    expect_in_child(leave_to_another);
}

static void refuse(void) {
    qr__activation passed;
    qr_error error;
    int pipes[2];
    CHECK(pipe(pipes) == 0 && dup2(pipes[0], 3) == 3);
    say("1", "a pipe");
    CHECK(qr__activation_take(&passed, &error) == QR_BAD_OPTION);
    CHECK(strcmp(error.message, "LISTEN_FDS: descriptor 3 'a pipe' is no socket") == 0);
    CHECK(is_forgotten());
}

Test(activation, refused) {
    expect_in_child(refuse);
}

static void start_a_program(void) {
    qr__activation passed;
    qr_error error;
    listen_at(3);
    say("1", "main");
    CHECK(qr__activation_take(&passed, &error) == QR_OK && passed.mains_len == 1);
    execl("/bin/sh", "sh", "-c", "test ! -e /proc/self/fd/3 && ! env | grep ^LISTEN_",
          (char *)NULL);
    CHECK(false);
}

Test(activation, nothing_is_handed_on) {
    expect_in_child(start_a_program);
}
