/* Layers and precedence: defaults < file < environment < flags; messages that name option and
 * source. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "config/option.h"
#include "config_fixture.h"

/* The n-th of a CHOICE row's "a|b|c". */
static const char *choice_name(qr_option option, size_t n) {
    static char name[QR__OPTION_NAME_BYTES];
    const char *at = qr__option_rows[option].values;
    for (; n > 0 && *at != '\0'; n--) {
        at += strcspn(at, "|");
        at += *at == '|';
    }
    snprintf(name, sizeof name, "%.*s", (int)strcspn(at, "|"), at);
    return name;
}

Test(config, defaults_are_the_tables) {
    qr_config *config = load_config(NULL, (const char *[]){NULL});
#define QR_X(id, name, type, fallback, min, max, values, help)                                     \
    CHECK_##type(config, QR_OPTION_##id, fallback);
#define CHECK_NUMBER(c, o, f) cr_expect_eq(qr_config_number(c, o), (size_t)strtoull(f, NULL, 10))
#define CHECK_MODE(c, o, f)   cr_expect_eq(qr_config_number(c, o), (size_t)strtoull(f, NULL, 8))
#define CHECK_FLAG(c, o, f)   cr_expect_eq(qr_config_flag(c, o), strcmp(f, "true") == 0)
#define CHECK_TEXT(c, o, f)                                                                        \
    cr_expect_str_eq(qr_config_text(c, o) == NULL ? "" : qr_config_text(c, o), f)
#define CHECK_DEVICE CHECK_TEXT
#define CHECK_CHOICE(c, o, f)                                                                      \
    cr_expect_str_eq(choice_name(o, qr_config_choice(c, o)), f, "%s", qr_option_name(o))
#define CHECK_THREADS(c, o, f) cr_expect_eq(qr_config_number(c, o), (size_t)qr_cores_find().usable)
#define CHECK_LIST(c, o, f)    cr_expect_eq(qr_config_list(c, o, &(const char *const *){NULL}), 0)
    QR_OPTION_LIST(QR_X)
#undef QR_X
    qr_config_destroy(config);
}

Test(config, each_layer_wins_over_the_one_below) {
    const char *yaml = "port: 11\nslow-ms: 11\nbudget-ms: 11\nallow-remote: true\n";
    setenv("QUERENT_SLOW_MS", "22", 1);
    setenv("QUERENT_BUDGET_MS", "22", 1);
    qr_config *config = load_config(yaml, (const char *[]){"--budget-ms", "33", NULL});
    cr_expect_eq(qr_config_number(config, QR_OPTION_MAX_INPUTS), 2048);
    cr_expect_eq(qr_config_number(config, QR_OPTION_PORT), 11);
    cr_expect_eq(qr_config_number(config, QR_OPTION_SLOW_MS), 22);
    cr_expect_eq(qr_config_number(config, QR_OPTION_BUDGET_MS), 33);
    cr_expect(qr_config_flag(config, QR_OPTION_ALLOW_REMOTE));
    cr_expect_str_eq(qr_config_source(config, QR_OPTION_MAX_INPUTS), "--max-inputs");
    cr_expect(strstr(qr_config_source(config, QR_OPTION_PORT), ": port") != NULL);
    cr_expect_str_eq(qr_config_source(config, QR_OPTION_SLOW_MS), "QUERENT_SLOW_MS");
    cr_expect_str_eq(qr_config_source(config, QR_OPTION_BUDGET_MS), "--budget-ms");
    qr_config_destroy(config);
}

Test(config, both_forms_of_a_flag_and_the_last_one_wins) {
    qr_config *config = load_config(NULL, (const char *[]){"--port=1", "--allow-remote", "--port",
                                                           "2", "--precision=f32", NULL});
    cr_expect_eq(qr_config_number(config, QR_OPTION_PORT), 2);
    cr_expect(qr_config_flag(config, QR_OPTION_ALLOW_REMOTE));
    cr_expect_eq(qr_config_choice(config, QR_OPTION_PRECISION), 1);
    qr_config_destroy(config);
}

Test(config, a_flag_may_be_switched_off) {
    static const char *const off[] = {"--allow-remote=false", "--no-allow-remote"};
    for (size_t i = 0; i < sizeof off / sizeof off[0]; i++) {
        qr_config *config =
            load_config("allow-remote: true\n", (const char *[]){off[i], "--port=7", NULL});
        cr_expect_not(qr_config_flag(config, QR_OPTION_ALLOW_REMOTE), "%s", off[i]);
        cr_expect_eq(qr_config_number(config, QR_OPTION_PORT), 7);
        qr_config_destroy(config);
    }
}

static void expect_models(qr_config *config, size_t len, const char *first, const char *last) {
    const char *const *items;
    cr_assert_eq(qr_config_list(config, QR_OPTION_MODEL, &items), len);
    cr_expect_str_eq(items[0], first);
    cr_expect_str_eq(items[len - 1], last);
    qr_config_destroy(config);
}

Test(config, lists_from_every_source) {
    expect_models(load_config("model: only\n", (const char *[]){NULL}), 1, "only", "only");
    expect_models(load_config("model:\n  - a\n  - x=b, c\n", (const char *[]){NULL}), 2, "a",
                  "x=b, c");
    expect_models(load_config("model: [a, b, c]\n", (const char *[]){NULL}), 3, "a", "c");
    expect_models(
        load_config("model: [a, b, c]\n", (const char *[]){"--model", "d", "--model=e", NULL}), 2,
        "d", "e");
    setenv("QUERENT_MODEL", "m=/x,,/y\n/z\n", 1);
    expect_models(load_config("model: [a, b]\n", (const char *[]){NULL}), 3, "m=/x", "/z");
}

Test(config, the_file_may_be_named_by_the_environment_and_the_flag_wins) {
    char *first = write_yaml("port: 1\n"), *second = write_yaml("port: 2\n");
    setenv("QUERENT_CONFIG", first, 1);
    qr_config *config = load_config(NULL, (const char *[]){NULL});
    cr_expect_eq(qr_config_number(config, QR_OPTION_PORT), 1);
    qr_config_destroy(config);
    config = load_config(NULL, (const char *[]){"--config", second, NULL});
    cr_expect_eq(qr_config_number(config, QR_OPTION_PORT), 2);
    qr_config_destroy(config);
    unlink(first), unlink(second);
    free(first), free(second);
}

Test(config, an_empty_variable_is_not_set) {
    setenv("QUERENT_PORT", "", 1);
    qr_config *config = load_config(NULL, (const char *[]){NULL});
    cr_expect_eq(qr_config_number(config, QR_OPTION_PORT), 8080);
    qr_config_destroy(config);
}

Test(config, faults_in_flags_name_flag_value_and_bounds) {
    expect_refusal(NULL, "--port 65536: must be a whole number in 0..65535",
                   (const char *[]){"--port", "65536", NULL});
    expect_refusal(NULL, "--port -1:", (const char *[]){"--port", "-1", NULL});
    expect_refusal(NULL, "--port 0x10:", (const char *[]){"--port=0x10", NULL});
    expect_refusal(NULL, "--port 1e3:", (const char *[]){"--port=1e3", NULL});
    expect_refusal(NULL, "--port  1:", (const char *[]){"--port= 1", NULL});
    expect_refusal(NULL, "--port :", (const char *[]){"--port=", NULL});
    expect_refusal(NULL, "--max-inputs 0:", (const char *[]){"--max-inputs=0", NULL});
    expect_refusal(NULL, "--max-inputs 99999999999999999999999:",
                   (const char *[]){"--max-inputs=99999999999999999999999", NULL});
    expect_refusal(NULL, "must be one of auto|f32|f16|bf16|int8",
                   (const char *[]){"--precision", "f3", NULL});
    expect_refusal(NULL, "must be one of auto|f32|f16|bf16|int8",
                   (const char *[]){"--precision", "auto|f32", NULL});
    expect_refusal(NULL, "must be true or false", (const char *[]){"--allow-remote=yes", NULL});
    expect_refusal(NULL, "--port: needs a value", (const char *[]){"--port", NULL});
    expect_refusal(NULL, "stray: unexpected argument", (const char *[]){"stray", NULL});
    expect_refusal(NULL, "-p: unexpected argument", (const char *[]){"-p", "1", NULL});
    expect_refusal(NULL, "--: unexpected argument", (const char *[]){"--", NULL});
}

Test(config, an_unknown_flag_gets_the_nearest_name) {
    expect_refusal(NULL, "--prot: unknown option; did you mean `--port`?",
                   (const char *[]){"--prot", "1", NULL});
    expect_refusal(NULL, "--max-conections: unknown option; did you mean `--max-connections`?",
                   (const char *[]){"--max-conections=1", NULL});
    qr_error error = refusal(NULL, (const char *[]){"--entirely-else", NULL});
    cr_expect(strstr(error.message, "did you mean") == NULL, "%s", error.message);
}

Test(config, faults_in_the_environment_name_the_variable) {
    setenv("QUERENT_OPS_PORT", "tcp://10.0.0.1:80", 1);
    expect_refusal(NULL, "QUERENT_OPS_PORT=tcp://10.0.0.1:80: must be a whole number",
                   (const char *[]){NULL});
}

Test(config, an_old_name_is_refused_with_the_new_one) {
    expect_refusal(NULL, "--drain-delay: is now --drain-delay-ms",
                   (const char *[]){"--drain-delay", "5", NULL});
    expect_refusal(NULL, "--drain-timeout: is now --drain-timeout-ms",
                   (const char *[]){"--drain-timeout=5", NULL});
    expect_refusal("port: 1\ndrain-timeout: 5\n", ":2: drain-timeout: is now drain-timeout-ms",
                   (const char *[]){NULL});
    setenv("QUERENT_DRAIN_DELAY", "", 1);
    qr_config_destroy(load_config(NULL, (const char *[]){NULL}));
    setenv("QUERENT_DRAIN_DELAY", "5", 1);
    expect_refusal(NULL, "QUERENT_DRAIN_DELAY: is now QUERENT_DRAIN_DELAY_MS",
                   (const char *[]){NULL});
}

/* The users of a choice cast its place to their enum. */
Test(config, choices_have_the_order_of_the_logs_enums) {
    static const char *const levels[] = {"debug", "info", "warn", "error"};
    static const qr_log_level expected[] = {QR_LOG_DEBUG, QR_LOG_INFO, QR_LOG_WARN, QR_LOG_ERROR};
    qr_option_value value;
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        cr_assert_eq(qr_option_parse(QR_OPTION_LOG_LEVEL, levels[i], &value, NULL), QR_OK);
        cr_expect_eq(value.choice, expected[i]);
    }
    cr_assert_eq(qr_option_parse(QR_OPTION_LOG_FORMAT, "text", &value, NULL), QR_OK);
    cr_expect_eq(value.choice, QR_LOG_AS_TEXT);
    cr_assert_eq(qr_option_parse(QR_OPTION_LOG_FORMAT, "json", &value, NULL), QR_OK);
    cr_expect_eq(value.choice, QR_LOG_AS_JSON);
}

Test(config, devices_are_well_formed) {
    static const char *const good[] = {"auto",   "cpu",    "cpu:avx2", "cuda",
                                       "cuda:0", "cuda:7", "cuda:255"};
    static const char *const bad[] = {
        "", "gpu", "CPU", "cpu:", "cuda:", "cuda:x", "cuda:-1", "cuda:256", "cuda0", "auto "};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        qr_config *config = load_config(NULL, (const char *[]){"--device", good[i], NULL});
        cr_expect_str_eq(qr_config_text(config, QR_OPTION_DEVICE), good[i]);
        qr_config_destroy(config);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect_refusal(NULL, ": must be one of cpu[:ISA]|cuda[:N]|auto",
                       (const char *[]){"--device", bad[i], NULL});
}

Test(config, no_threads_asked_for_are_one_a_core) {
    qr_config *config = load_config("threads: 3\n", (const char *[]){NULL});
    cr_expect_eq(qr_config_number(config, QR_OPTION_THREADS), 3);
    qr_config_destroy(config);
    config = load_config("threads: 3\n", (const char *[]){"--threads=0", NULL});
    cr_expect_eq(qr_config_number(config, QR_OPTION_THREADS), (size_t)qr_cores_find().usable);
    qr_config_destroy(config);
}

Test(config, a_list_has_a_bound) {
    const char *argv[2 * (QR_LIMIT_MODELS + 1) + 1] = {NULL};
    for (size_t i = 0; i <= QR_LIMIT_MODELS; i++)
        argv[2 * i] = "--model", argv[2 * i + 1] = "m";
    expect_refusal(NULL, "must be a list of 0..16 items", argv);
    expect_refusal(NULL, "--model (empty)", (const char *[]){"--model", "", NULL});
}

Test(config, a_reachable_host_must_be_allowed) {
    static const char *const loopback[] = {"127.0.0.1", "127.8.8.8", "::1", "localhost"};
    static const char *const remote[] = {"0.0.0.0", "::", "10.0.0.1", "example",
                                         "127.0.0.1.example"};
    for (size_t i = 0; i < sizeof loopback / sizeof *loopback; i++)
        qr_config_destroy(load_config(NULL, (const char *[]){"--host", loopback[i], NULL}));
    for (size_t i = 0; i < sizeof remote / sizeof *remote; i++) {
        expect_refusal(NULL, "add --allow-remote", (const char *[]){"--host", remote[i], NULL});
        qr_config_destroy(
            load_config(NULL, (const char *[]){"--host", remote[i], "--allow-remote", NULL}));
    }
    expect_refusal(NULL, "--host: must not be empty", (const char *[]){"--host=", NULL});
}

Test(config, help_has_a_line_for_every_option) {
    qr_buf out;
    size_t lines = 0;
    qr_buf_init(&out, 1 << 16);
    qr_config_help(&out);
    qr_buf_byte(&out, '\0');
    cr_assert_not(qr_buf_failed(&out));
    for (const char *at = out.data; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    cr_expect_eq(lines, QR_OPTION_COUNT);
    cr_expect(strstr(out.data, "  --max-body-bytes BYTES") != NULL);
    cr_expect(strstr(out.data, "[1024..67108864, default 2000000]") != NULL);
    qr_buf_deinit(&out);
}
