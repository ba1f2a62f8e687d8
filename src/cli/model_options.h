/* cli/model_options.h: the options that every command with a model shares, and the load that
 * follows them.
 *
 *     qr_cli_model model = QR_CLI_MODEL_DEFAULT;
 *     const qr_flag flags[] = {QR_CLI_MODEL_FLAGS(model), {0}};
 *     ...qr_flags_parse...
 *     code = qr_cli_model_load(&command, &model, &pipeline);
 */
#ifndef QR_CLI_MODEL_OPTIONS_H
#define QR_CLI_MODEL_OPTIONS_H

#include "cli/flags.h"
#include "pipeline/pipeline.h"

typedef struct qr_cli_model {
    const char *dir;       /* NULL until it is given */
    const char *precision; /* "auto", "f32", "bf16", "int8" */
    const char *device;    /* "cpu", "cuda[:N]", "auto" */
    size_t threads;        /* 0: one a core */
} qr_cli_model;

#define QR_CLI_MODEL_DEFAULT ((qr_cli_model){.precision = "f32", .device = "cpu"})

#define QR_CLI_PLAN_FLAGS(model)                                                                   \
    {"precision", QR_FLAG_TEXT, &(model).precision, .value = "P",                                  \
     .help = "auto, f32, bf16 or int8 (default f32)"},                                             \
        {"device", QR_FLAG_TEXT, &(model).device, .value = "D",                                    \
         .help = "cpu, cuda[:N] or auto (default cpu)"},                                           \
    {                                                                                              \
        "threads", QR_FLAG_NUMBER, &(model).threads, .max = QR_LIMIT_THREADS, .value = "N",        \
                                                     .help = "threads; 0, the default: one a core" \
    }

#define QR_CLI_DIR_FLAG(model)                                                                     \
    {                                                                                              \
        "model", QR_FLAG_TEXT, &(model).dir, .value = "DIR", .help = "the model's directory",      \
                                             .required = true                                      \
    }

#define QR_CLI_MODEL_FLAGS(model) QR_CLI_DIR_FLAG(model), QR_CLI_PLAN_FLAGS(model)

/** The threads to use: as asked, else one a core. At least 1. */
size_t qr_cli_model_threads(const qr_cli_model *model);

/** Checks precision and device and loads the model. QR_FLAGS_GO and *out (owned by the caller), or,
 * after a message on stderr, the exit code. */
QR_MUST_USE int qr_cli_model_load(const qr_command *command, const qr_cli_model *model,
                                  qr_pipeline **out);

/** As qr_cli_model_load for a model of `kind`; another one is refused. */
QR_MUST_USE int qr_cli_model_load_kind(const qr_command *command, const qr_cli_model *model,
                                       qr_kind kind, qr_pipeline **out);

#endif
