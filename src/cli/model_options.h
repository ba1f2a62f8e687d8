/* cli/model_options.h: the options that every command with a model shares, and the load that
 * follows them.
 *
 *     qr__cli_model model = {0};
 *     const qr__flag flags[] = {QR_CLI_MODEL_FLAGS(model), {0}};
 *     ...qr__flags_parse...
 *     code = qr__cli_model_load(&command, &model, &pipeline);
 *
 * Precision, device and threads are `querent serve`'s options with other defaults: a tool takes the
 * model's own arithmetic on the CPU unless it is told otherwise, so that its numbers can be
 * compared between machines.
 */
#ifndef QR_CLI_MODEL_OPTIONS_H
#define QR_CLI_MODEL_OPTIONS_H

#include "cli/flags.h"
#include "pipeline/pipeline.h"

/** Zero-initialise; qr__flags_parse fills it. */
typedef struct qr__cli_model {
    const char *dir; /* NULL until it is given */
    qr_option_value precision, device, threads, cache_dir;
} qr__cli_model;

#define QR_CLI_THREADS_FLAG(model) qr__flag_option(QR_OPTION_THREADS, "0", &(model).threads)

#define QR_CLI_PLAN_FLAGS(model)                                                                   \
    qr__flag_option(QR_OPTION_PRECISION, "f32", &(model).precision),                               \
        qr__flag_option(QR_OPTION_DEVICE, "cpu", &(model).device),                                 \
        qr__flag_option(QR_OPTION_CACHE_DIR, "", &(model).cache_dir), QR_CLI_THREADS_FLAG(model)

#define QR_CLI_DIR_FLAG(model)                                                                     \
    {"model",                                                                                      \
     QR_FLAG_TEXT,                                                                                 \
     &(model).dir,                                                                                 \
     .value = "PATH",                                                                              \
     .help = "the model's directory, or a .onnx file",                                             \
     .required = true}

#define QR_CLI_MODEL_FLAGS(model) QR_CLI_DIR_FLAG(model), QR_CLI_PLAN_FLAGS(model)

/** Loads the model. QR_FLAGS_GO and *out (returns owned), or, after a message on stderr, the exit
 * code. */
QR_MUST_USE int qr__cli_model_load(const qr__command *command, const qr__cli_model *model,
                                   qr_pipeline **out);

/** As qr__cli_model_load for a model of `kind`; another one is refused. */
QR_MUST_USE int qr__cli_model_load_kind(const qr__command *command, const qr__cli_model *model,
                                        qr_kind kind, qr_pipeline **out);

#endif
