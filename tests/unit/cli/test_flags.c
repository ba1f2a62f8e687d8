/* A command's flags, and those that are rows of `querent serve`'s option table. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/model_options.h"

static int parse(qr__cli_model *model, char **argv) {
    const qr__flag flags[] = {QR_CLI_MODEL_FLAGS(*model), {0}};
    const qr__command command = {"test", "about", flags, NULL};
    int argc = 0;
    while (argv[argc] != NULL)
        argc++;
    return qr__flags_parse(&command, argc, argv, NULL);
}

Test(flags, what_is_not_given_has_the_commands_default) {
    qr__cli_model model = {0};
    cr_assert_eq(parse(&model, (char *[]){"--model=x", NULL}), QR_FLAGS_GO);
    cr_expect_str_eq(model.dir, "x");
    cr_expect_eq((qr_precision)model.precision.choice, QR_PRECISION_F32);
    cr_expect_str_eq(model.device.text, "cpu");
    cr_expect_eq(model.threads.number, (size_t)qr_cores_find().usable);
}

/* The place of a choice is cast to qr_precision. */
Test(flags, precisions_have_the_order_of_the_engines_enum) {
    for (qr_precision p = QR_PRECISION_AUTO; p <= QR_PRECISION_INT8; p++) {
        qr__cli_model model = {0};
        char *name = (char *)qr_precision_name(p);
        cr_assert_eq(parse(&model, (char *[]){"--model=x", "--precision", name, NULL}),
                     QR_FLAGS_GO);
        cr_expect_eq((qr_precision)model.precision.choice, p, "%s", name);
    }
}

Test(flags, a_value_is_refused_as_serve_refuses_it) {
    static char *const bad[] = {"--precision=fp16", "--device=cuda:x", "--threads=257"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        qr__cli_model model = {0};
        cr_expect_eq(parse(&model, (char *[]){"--model=x", bad[i], NULL}), QR_EXIT_USAGE, "%s",
                     bad[i]);
    }
}
