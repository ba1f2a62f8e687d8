/* Files, the clock, cores, log lines and the rate of them. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base.h"

static char dir[] = "/tmp/querent-base-XXXXXX";

static void make_dir(void) {
    cr_assert_not_null(mkdtemp(dir));
}

static void remove_dir(void) {
    static const char *const names[] = {"file", "fifo", "link", "log"};
    char path[QR_PATH_BYTES];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (qr_file_join(dir, names[i], path, sizeof path))
            unlink(path);
    rmdir(dir);
}

static void write_file(const char *name, const char *text, char path[QR_PATH_BYTES]) {
    cr_assert(qr_file_join(dir, name, path, QR_PATH_BYTES));
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    fputs(text, file);
    fclose(file);
}

Test(file, the_folder_that_a_path_stands_in) {
    static const char *const rows[][2] = {
        {"a", "."},      {"a/b", "a"},        {"/a", "/"},       {"/", "/"},   {"a/b/c", "a/b"},
        {"a//b", "a"},   {"//a", "/"},        {"a/", "a"},       {"./a", "."}, {".", "./.."},
        {"..", "../.."}, {"a/..", "a/../.."}, {"a/.", "a/./.."}, {"...", "."}, {".a/b", ".a"}};
    char out[8];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cr_expect(qr_file_parent(rows[i][0], out, sizeof out), "%s", rows[i][0]);
        cr_expect_str_eq(out, rows[i][1], "%s: %s", rows[i][0], out);
    }
    cr_expect(qr_file_parent("1234567/a", out, sizeof out));
    cr_expect_not(qr_file_parent("12345678/a", out, sizeof out));
    cr_expect_not(qr_file_parent("12345/..", out, sizeof out));
}

Test(file, reads_regular_files_only, .init = make_dir, .fini = remove_dir) {
    char path[QR_PATH_BYTES], link_path[QR_PATH_BYTES], *data;
    size_t len;
    qr_error error = {0};
    write_file("file", "hello", path);
    cr_expect(qr_file_exists(dir, "file"));
    cr_expect_not(qr_file_exists(dir, "none"));
    cr_assert_eq(qr_file_read(path, 100, &data, &len, &error), QR_OK);
    cr_expect_eq(len, 5);
    cr_expect_str_eq(data, "hello");
    free(data);
    cr_expect_eq(qr_file_read(path, 4, &data, &len, &error), QR_TOO_LARGE);
    cr_expect_null(data);
    cr_expect_not_null(strstr(error.message, path));
    cr_expect_eq(qr_file_read(dir, 100, &data, &len, &error), QR_IO);
    cr_assert(qr_file_join(dir, "fifo", link_path, sizeof link_path));
    cr_assert_eq(mkfifo(link_path, 0600), 0);
    cr_expect_eq(qr_file_read(link_path, 100, &data, &len, &error), QR_IO,
                 "a FIFO must neither hang nor be read");
    cr_assert(qr_file_join(dir, "link", link_path, sizeof link_path));
    cr_assert_eq(symlink(path, link_path), 0);
    cr_expect_eq(qr_file_read(link_path, 100, &data, &len, &error), QR_OK);
    free(data);
    cr_expect_eq(qr_file_read("/nonexistent/x", 100, &data, &len, NULL), QR_IO);
}

/* Taken for absent, a model's pooling would be passed over in silence. */
Test(file, a_link_that_leads_nowhere_is_there, .init = make_dir, .fini = remove_dir) {
    char path[QR_PATH_BYTES], *data;
    size_t len;
    qr_error error = {0};
    cr_assert(qr_file_join(dir, "link", path, sizeof path));
    cr_assert_eq(symlink("../blobs/4f2a", path), 0);
    cr_expect(qr_file_exists(dir, "link"));
    cr_expect_not(qr_file_exists(dir, "link/in_no_folder"));
    cr_expect_eq(qr_file_read(path, 100, &data, &len, &error), QR_IO);
    cr_expect_not_null(strstr(error.message, "/link: a symbolic link that leads nowhere"), "%s",
                       error.message);
    write_file("file", "hello", path);
    cr_expect_not(qr_file_exists(path, "in_no_folder"), "ENOTDIR");
}

/* Root may look everywhere. */
Test(file, what_may_not_be_looked_at_is_there, .init = make_dir, .fini = remove_dir) {
    char path[QR_PATH_BYTES];
    write_file("file", "hello", path);
    if (geteuid() == 0 && seteuid(65534) != 0)
        cr_skip_test("this user cannot become another");
    cr_assert(chmod(dir, 0) == 0 || geteuid() == 65534);
    cr_expect(qr_file_exists(dir, "file"));
    cr_expect(geteuid() == 65534 ? seteuid(0) == 0 : chmod(dir, 0700) == 0);
}

Test(file, reads_parts_and_says_when_they_are_not_there, .init = make_dir, .fini = remove_dir) {
    char path[QR_PATH_BYTES], part[8] = {0};
    size_t bytes;
    int fd;
    write_file("file", "0123456789", path);
    cr_assert_eq(qr_file_open(path, 100, &fd, &bytes, NULL), QR_OK);
    cr_expect_eq(bytes, 10);
    cr_expect_eq(qr_file_read_at(fd, 3, part, 4), QR_OK);
    cr_expect_str_eq(part, "3456");
    cr_expect_eq(qr_file_read_at(fd, 8, part, 4), QR_IO);
    close(fd);
    cr_expect_eq(qr_file_open(path, 9, &fd, &bytes, NULL), QR_TOO_LARGE);
    char small[4];
    cr_expect_not(qr_file_join("abc", "def", small, sizeof small));
}

Test(clock, only_rises) {
    uint64_t before = qr_clock_ns();
    for (int i = 0; i < 1000; i++) {
        uint64_t now = qr_clock_ns();
        cr_assert_geq(now, before);
        before = now;
    }
}

Test(cores, at_least_one_and_no_more_than_the_mask) {
    int cores = qr_cores_find().usable;
    cr_expect_geq(cores, 1);
    cr_expect_leq(cores, sysconf(_SC_NPROCESSORS_CONF));
}

Test(rate, lets_so_many_a_second_pass_and_counts_the_rest) {
    static qr_rate rate;
    uint64_t dropped, second = 5 * QR_NS_PER_S;
    for (int i = 0; i < 10; i++)
        cr_expect_eq(qr_rate_allow(&rate, 3, second + (uint64_t)i, &dropped), i < 3);
    cr_expect(qr_rate_allow(&rate, 3, second + QR_NS_PER_S, &dropped));
    cr_expect_eq(dropped, 7);
    cr_expect(qr_rate_allow(&rate, 3, second + QR_NS_PER_S, &dropped));
    cr_expect_eq(dropped, 0);
    static qr_rate early;
    cr_expect(qr_rate_allow(&early, 1, 0, &dropped));
    cr_expect_not(qr_rate_allow(&early, 1, 1, &dropped));
}

/* What `write` puts on stderr, read back from a file. */
static void capture(void (*write_lines)(void), char *out, size_t bytes) {
    char path[QR_PATH_BYTES];
    cr_assert(qr_file_join(dir, "log", path, sizeof path));
    int kept = dup(STDERR_FILENO), fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    cr_assert_geq(fd, 0);
    dup2(fd, STDERR_FILENO);
    write_lines();
    dup2(kept, STDERR_FILENO);
    close(kept);
    ssize_t n = pread(fd, out, bytes - 1, 0);
    close(fd);
    cr_assert_geq(n, 0);
    out[n] = '\0';
}

static void hostile_lines(void) {
    const qr_log_field fields[] = {
        {"text", 0, {"a\nb\"c", 5}}, {"number", 1.5, {0}}, {"whole", 3, {0}}};
    qr_log(QR_LOG_INFO, "forged\n2026 line\x1b[31m");
    qr_log(QR_LOG_DEBUG, "not printed");
    qr_log_fields(QR_LOG_WARN, "event", fields, 3);
}

Test(log, one_line_an_event_whatever_is_in_it, .init = make_dir, .fini = remove_dir) {
    char text[4096];
    qr_log_init(QR_LOG_INFO, QR_LOG_AS_TEXT);
    capture(hostile_lines, text, sizeof text);
    size_t lines = 0;
    for (const char *p = text; *p != '\0'; p++)
        lines += *p == '\n';
    cr_expect_eq(lines, 2, "%s", text);
    cr_expect_null(strchr(text, '\x1b'));
    cr_expect_null(strstr(text, "not printed"));
    cr_expect_not_null(strstr(text, "number=1.5"));
}

Test(log, json_lines, .init = make_dir, .fini = remove_dir) {
    char text[4096];
    qr_log_init(QR_LOG_INFO, QR_LOG_AS_JSON);
    capture(hostile_lines, text, sizeof text);
    cr_expect_not_null(
        strstr(text,
               "\"message\":\"event\",\"text\":\"a\\u000ab\\\"c\",\"number\":1.5,\"whole\":3}\n"),
        "%s", text);
}

static void keep_message(void *state, qr_log_level level, qr_text message) {
    qr_buf *kept = state;
    cr_assert_eq(message.data[message.len], '\0');
    qr_buf_printf(kept, "%d:%s\n", (int)level, message.data);
}

Test(log, a_sink_gets_messages_and_stderr_nothing, .init = make_dir, .fini = remove_dir) {
    char text[4096];
    qr_buf kept;
    qr_buf_init(&kept, 4096);
    qr_log_init(QR_LOG_INFO, QR_LOG_AS_JSON);
    qr_log_set_sink(keep_message, &kept);
    capture(hostile_lines, text, sizeof text);
    qr_log_set_sink(NULL, NULL);
    cr_assert_str_eq(text, "");
    qr_buf_byte(&kept, '\0');
    cr_assert_str_eq(kept.data, "1:forged\\u000a2026 line\\u001b[31m\n"
                                "2:event text=a\\u000ab\"c number=1.5 whole=3\n");
    qr_buf_deinit(&kept);
}

static void long_line(void) {
    static char longer[8192];
    memset(longer, 'y', sizeof longer - 1);
    qr_log(QR_LOG_ERROR, "%s", longer);
}

Test(log, a_long_line_is_cut_and_still_one_line, .init = make_dir, .fini = remove_dir) {
    char text[16384];
    qr_log_init(QR_LOG_INFO, QR_LOG_AS_JSON);
    capture(long_line, text, sizeof text);
    size_t len = strlen(text);
    cr_assert(len > 1000 && len < 4096);
    cr_expect_str_eq(text + len - 2, "}\n");
}
