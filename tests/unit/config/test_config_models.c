/* The YAML file's list `models`: what it may say, and how its faults read. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "config/model_list.h"
#include "config_fixture.h"

static const char *const no_flags[] = {NULL};

Test(config_models, every_key_by_its_type) {
    qr_config *config = load_config("port: 7\n"
                                    "models:\n"
                                    "  - name: a\n"
                                    "    path: /models/a\n"
                                    "    device: cpu:avx2\n"
                                    "    precision: bf16\n"
                                    "    budget-ms: 50\n"
                                    "    max-tokens: 64\n"
                                    "    pooling: cls\n"
                                    "    prompt: query\n"
                                    "  - {path: b}\n"
                                    "slow-ms: 9\n",
                                    no_flags);
    cr_assert_eq(qr_config_models(config), 2);
    cr_expect_str_eq(qr_config_model(config, 0, QR_MODEL_KEY_NAME)->text, "a");
    cr_expect_str_eq(qr_config_model(config, 0, QR_MODEL_KEY_PATH)->text, "/models/a");
    cr_expect_str_eq(qr_config_model(config, 0, QR_MODEL_KEY_DEVICE)->text, "cpu:avx2");
    cr_expect_eq(qr_config_model(config, 0, QR_MODEL_KEY_PRECISION)->choice, 3);
    cr_expect_eq(qr_config_model(config, 0, QR_MODEL_KEY_BUDGET_MS)->number, 50);
    cr_expect_eq(qr_config_model(config, 0, QR_MODEL_KEY_MAX_TOKENS)->number, 64);
    cr_expect_str_eq(qr_config_model(config, 0, QR_MODEL_KEY_POOLING)->text, "cls");
    cr_expect_str_eq(qr_config_model(config, 0, QR_MODEL_KEY_PROMPT)->text, "query");
    cr_expect_str_eq(qr_config_model(config, 1, QR_MODEL_KEY_PATH)->text, "b");
    for (qr_model_key key = 0; key < QR_MODEL_KEY_COUNT; key++)
        if (key != QR_MODEL_KEY_PATH)
            cr_expect_null(qr_config_model(config, 1, key));
    cr_expect(strstr(qr_config_model_source(config, 1), ":11: models[1]") != NULL, "%s",
              qr_config_model_source(config, 1));
    cr_expect_eq(qr_config_number(config, QR_OPTION_PORT), 7);
    cr_expect_eq(qr_config_number(config, QR_OPTION_SLOW_MS), 9);
    qr_config_destroy(config);
    config = load_config("port: 7\n", no_flags);
    cr_expect_eq(qr_config_models(config), 0);
    qr_config_destroy(config);
}

Test(config_models, faults_name_file_line_model_and_key) {
    static const struct {
        const char *yaml, *part;
    } cases[] = {
        {"models:\n  - name: a\n    path: b\n  - path: c\n    poth: d\n",
         ":5: models[1].poth: unknown key of a model; did you mean `path`?"},
        {"models:\n  - zzzzzzzzzz: 1\n    path: a\n", ":2: models[0].zzzzzzzzzz: unknown key of a"},
        {"models:\n  - name: a\n", ":2: models[0]: `path` is missing"},
        {"models:\n  - path: a\n    budget-ms: 0\n",
         ":3: models[0].budget-ms: 0: must be a whole number in 1..600000"},
        {"models:\n- path: a\n- path: b\n  max-tokens: 2\n",
         ":4: models[1].max-tokens: 2: must be a whole number in 3..8192"},
        {"models:\n  - path: a\n    precision: f64\n", ":3: models[0].precision: f64: must be one"},
        {"models:\n  - path: a\n    device: tpu\n", ":3: models[0].device: tpu: must be one of"},
        {"models:\n  - path: a\n    name: \"\"\n",
         ":3: models[0].name: : must be a text of 1..127"},
        {"models:\n  - path: a\n    pooling:\n",
         ":3: models[0].pooling: : must be a text of 1..64"},
        {"models:\n  - {path: a, budget-ms: x}\n", ":2: models[0].budget-ms: x: must be a whole"},
        {"models:\n  - path: [a]\n",
         ":2: path: Expecting STRING, got event: SEQUENCE_START (models"},
        {"models:\n  - a\n", ":2: models: Expecting MAPPING, got event: SCALAR (models must be"},
        {"models: a\n", ":1: models: Expecting SEQUENCE, got event: SCALAR (models must be a list"},
        {"models: {path: a}\n", ":1: models: Expecting SEQUENCE"},
        {"port: 1\nmodels: []\n", ":2: models: must be a list of 1..16 models"},
        {"models:\n  - path: a\n    path: b\n", "already seen: path"},
        {"model: x\nmodels:\n  - path: a\n", "both name models; keep one"},
        {"modles:\n  - path: a\n", "modles: unknown option; did you mean"},
        /* Options of the same names are other lines. */
        {"models:\n- path: a\n  budget-ms: 5\nbudget-ms: many\n", ":4: budget-ms: many: must be"},
        {"# a\n\n---\n  models:\n  - path: a\n    device: cpu\n  'device': tpu\n",
         ":7: device: tpu: must be"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_refusal(cases[i].yaml, cases[i].part, no_flags);
}

/* From every source, in either order of layers. */
Test(config_models, exclude_the_option_model) {
    static const char yaml[] = "models:\n  - path: a\n";
    expect_refusal(yaml, "--model and ", (const char *[]){"--model", "x", NULL});
    setenv("QUERENT_MODEL", "x", 1);
    expect_refusal(yaml, "QUERENT_MODEL and ", no_flags);
    expect_refusal(yaml, ":2: models[0]: both name models; keep one", no_flags);
}

Test(config_models, are_sixteen_at_most) {
    char yaml[1024];
    int len = snprintf(yaml, sizeof yaml, "models:\n");
    for (size_t i = 0; i <= QR_LIMIT_MODELS; i++)
        len += snprintf(yaml + len, sizeof yaml - (size_t)len, " - path: m\n");
    expect_refusal(yaml, ":1: models: must be a list of 1..16 models", no_flags);
}

/* Comments, blank lines, quotes, and an item whose dash stands alone. */
Test(config_models, lines_are_found_as_people_write_them) {
    static const char text[] = "# models:\n"
                               "port: 1\n"
                               "\n"
                               "models: # ours\n"
                               "  # first\n"
                               "  - path: a\n"
                               "\n"
                               "    'name': x\n"
                               "  - # second\n"
                               "    path: b\n"
                               "  - { path: c, name: d }\n"
                               "slow-ms: 1\n"
                               "name: 3\n";
    const qr_text file = qr_text_of(text);
    cr_assert_eq(qr__model_line(file, 0, "path"), 6);
    cr_assert_eq(qr__model_line(file, 0, "name"), 8);
    cr_assert_eq(qr__model_line(file, 1, "path"), 10);
    cr_assert_eq(qr__model_line(file, 1, "name"), 9);
    cr_assert_eq(qr__model_line(file, 2, "name"), 11);
    cr_assert_eq(qr__model_line(file, 2, NULL), 11);
    cr_assert_eq(qr__model_line(file, 3, NULL), 0);
    cr_assert_eq(qr__model_line(qr_text_of(""), 0, NULL), 0);
}
