/* The YAML file: what it may say, how its faults read, and that no bytes at all can hurt. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "config/option.h"
#include "config_fixture.h"

static const char *const no_flags[] = {NULL};

Test(config_yaml, an_empty_file_or_a_comment_is_no_option) {
    qr_config_destroy(load_config("", no_flags));
    qr_config_destroy(load_config("# nothing\n", no_flags));
    qr_config_destroy(load_config("---\n", no_flags));
}

Test(config_yaml, styles_of_yaml) {
    qr_config *config = load_config("{port: \"7\", 'slow-ms': 8,\n log-level: debug}", no_flags);
    cr_expect_eq(qr_config_number(config, QR_OPTION_PORT), 7);
    cr_expect_eq(qr_config_number(config, QR_OPTION_SLOW_MS), 8);
    cr_expect_eq(qr_config_choice(config, QR_OPTION_LOG_LEVEL), QR_LOG_DEBUG);
    qr_config_destroy(config);
}

Test(config_yaml, every_option_of_the_table_is_a_key) {
    for (qr_option option = 0; option < QR_OPTION_COUNT; option++) {
        const qr__option_row *row = &qr__option_rows[option];
        char yaml[256];
        if (option == QR_OPTION_CONFIG)
            continue;
        snprintf(yaml, sizeof yaml, "%s: %s\n", row->name,
                 row->fallback[0] == '\0' ? "x" : row->fallback);
        qr_config *config = load_config(yaml, no_flags);
        cr_expect(strstr(qr_config_source(config, option), row->name) != NULL, "%s", row->name);
        qr_config_destroy(config);
    }
}

Test(config_yaml, faults_name_file_line_and_key) {
    expect_refusal("model: x\nport: 99999\n", ":2: port: 99999: must be a whole number in 0..65535",
                   no_flags);
    expect_refusal("# a\n\nprot: 1\n", ":3: prot: unknown option; did you mean `port`?", no_flags);
    expect_refusal("port: 1\nport: 2\n", "already seen: port", no_flags);
    expect_refusal("port: [1]\n", ":1: port: Expecting STRING", no_flags);
    expect_refusal("port:\n  x: 1\n", "port: Expecting STRING", no_flags);
    expect_refusal("model:\n  - [a]\n", ":2: ", no_flags);
    expect_refusal("model: {a: b}\n", ":1: model: ", no_flags);
    expect_refusal("- port\n", "one flat YAML mapping", no_flags);
    expect_refusal("port: \"1\n", "unexpected end of stream", no_flags);
    expect_refusal("port: 1\n---\nport: 2\n", "more than one YAML document", no_flags);
    expect_refusal("config: other.yaml\n", ":1: config: a file cannot name another", no_flags);
    expect_refusal("port: 1\nops-port: *p\n", "ops-port", no_flags);
    expect_refusal("allow-remote: maybe\n", ":1: allow-remote: maybe: must be true or false",
                   no_flags);
    expect_refusal("port:\n", ":1: port: : must be a whole number", no_flags);
}

/* libcyaml would take each, and an option would be what nobody wrote, or nothing would be said. */
Test(config_yaml, anchors_and_nuls_are_refused) {
    expect_refusal("port: &p 1\nops-port: *p\n", ":1: an anchor", no_flags);
    expect_refusal("port: 1\nmodel: &a x\n", ":2: an anchor", no_flags);
    expect_refusal("model: &a\n  - x\n", ":1: an anchor", no_flags);
    expect_refusal("model:\n  - &a x\n", ":2: an anchor", no_flags);
    expect_refusal("&a port: 1\n", ":1: an anchor", no_flags);
    expect_refusal("models:\n  - &a\n    path: x\n", ": an anchor", no_flags);
    expect_refusal("port: 1\nhost: \"127.0.0.1\\0x\"\n", ":2: a text with a NUL", no_flags);
    expect_refusal("model:\n  - x\n  - \"a\\x00\"\n", ":3: a text with a NUL", no_flags);
    expect_refusal("\"port\\u0000x\": 1\n", ":1: a text with a NUL", no_flags);
    qr_config_destroy(load_config("model: 'a\\0b'\n", no_flags)); /* a backslash and a 0 */
}

Test(config_yaml, a_file_that_cannot_be_read) {
    expect_refusal(NULL, "/nonexistent/querent.yaml: No such file",
                   (const char *[]){"--config", "/nonexistent/querent.yaml", NULL});
    expect_refusal(NULL, "not a regular file", (const char *[]){"--config", "/tmp", NULL});
    char *large = malloc(QR_LIMIT_CONFIG_FILE_BYTES + 2);
    memset(large, '#', QR_LIMIT_CONFIG_FILE_BYTES + 1);
    large[QR_LIMIT_CONFIG_FILE_BYTES + 1] = '\0';
    expect_refusal(large, "bytes are more than", no_flags);
    free(large);
}

static uint64_t next_random(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Either a config or an error with a message; never a crash or a leak (the suite runs under ASan
 * too). */
static void feed(const char *data, size_t len, size_t *taken) {
    char path[] = "/tmp/querent-fuzz-XXXXXX";
    qr_config *config = NULL;
    qr_error error = {0};
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, data, len), (ssize_t)len);
    close(fd);
    qr_status status = qr_config_load(2, (char *[]){"--config", path}, &config, &error);
    unlink(path);
    cr_assert(status == QR_OK || status == QR_BAD_OPTION);
    cr_assert_eq(status == QR_OK, config != NULL);
    cr_assert(status == QR_OK || error.message[0] != '\0');
    *taken += status == QR_OK;
    qr_config_destroy(config);
}

Test(config_yaml, random_bytes) {
    uint64_t state = 0x2545F4914F6CDD1D;
    size_t taken = 0;
    char data[96];
    for (int round = 0; round < 3000; round++) {
        size_t len = next_random(&state) % sizeof data;
        for (size_t i = 0; i < len; i++)
            data[i] = (char)next_random(&state);
        feed(data, len, &taken);
    }
}

Test(config_yaml, random_pieces_of_yaml) {
    static const char *const pieces[] = {"port",
                                         "model",
                                         "host",
                                         ": ",
                                         "\n",
                                         "- ",
                                         "[",
                                         "]",
                                         "{",
                                         "}",
                                         "\"",
                                         "'",
                                         "8080",
                                         "a",
                                         ",",
                                         "#",
                                         "&x",
                                         "*x",
                                         "!!int ",
                                         "---\n",
                                         "? ",
                                         "|\n",
                                         ">",
                                         "  ",
                                         "~",
                                         "%",
                                         "\\x00",
                                         "\t",
                                         "allow-remote",
                                         "true",
                                         "x: y\n",
                                         "port: 1\n",
                                         "models:\n",
                                         "- path: a\n",
                                         "  - ",
                                         "name: "};
    uint64_t state = 0x9E3779B97F4A7C15;
    size_t taken = 0;
    for (int round = 0; round < 6000; round++) {
        char data[256];
        size_t len = 0;
        for (size_t n = next_random(&state) % 14; n > 0; n--)
            len += (size_t)snprintf(data + len, sizeof data - len, "%s",
                                    pieces[next_random(&state) % (sizeof pieces / sizeof *pieces)]);
        feed(data, len, &taken);
    }
    cr_expect_gt(taken, 50, "too few were valid (%zu) for the test to reach the good path", taken);
}

static void mutate(const char *base, uint64_t state) {
    size_t taken = 0, len = strlen(base);
    for (int round = 0; round < 4000; round++) {
        char data[512];
        cr_assert(len <= sizeof data);
        memcpy(data, base, len);
        for (size_t n = 1 + next_random(&state) % 3; n > 0; n--)
            data[next_random(&state) % len] = (char)next_random(&state);
        feed(data, len - next_random(&state) % 2 * (next_random(&state) % len), &taken);
    }
    cr_expect_gt(taken, 50);
}

Test(config_yaml, mutated_files) {
    static const char base[] = "# a good file\nmodel:\n  - minilm=/models/minilm\n  - "
                               "/models/squad\nport: 9090\nallow-remote: false\n"
                               "precision: int8\nhost: 127.0.0.1\n";
    mutate(base, 0xD1B54A32D192ED03);
}

Test(config_yaml, mutated_lists_of_models) {
    mutate("port: 9090\nmodels:\n  - name: minilm\n    path: /models/minilm\n    budget-ms: 50\n"
           "  # the other\n  - path: /models/squad\n    precision: int8\n    max-tokens: 64\n",
           0xA0761D6478BD642F);
}
