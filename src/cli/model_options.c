/* cli/model_options.c: a command's model is loaded as its options say, or the command ends. */
#include "cli/model_options.h"

#include <stdio.h>

#include "cli/cli.h"

int qr__cli_model_load(const qr__command *command, const qr__cli_model *model, qr_pipeline **out) {
    qr_error error = {0};
    const qr_pipeline_options options = {.precision = (qr_precision)model->precision.choice,
                                         .device = model->device.text,
                                         .threads = (int)model->threads.number,
                                         .cache_dir = model->cache_dir.text};
    *out = NULL;
    if (qr_pipeline_load(model->dir, &options, out, &error) == QR_OK)
        return QR_FLAGS_GO;
    fprintf(stderr, "querent %s: %s\n", command->name, error.message);
    return QR_EXIT_FAULT;
}

int qr__cli_model_load_kind(const qr__command *command, const qr__cli_model *model, qr_kind kind,
                            qr_pipeline **out) {
    int code = qr__cli_model_load(command, model, out);
    if (code != QR_FLAGS_GO || qr_pipeline_kind(*out) == kind)
        return code;
    fprintf(stderr, "querent %s: %s (%s): this command needs a model of kind %s, this is kind %s\n",
            command->name, model->dir, qr_engine_model(qr_pipeline_engine(*out))->architecture,
            qr_kind_name(kind), qr_kind_name(qr_pipeline_kind(*out)));
    qr_pipeline_destroy(*out);
    *out = NULL;
    return QR_EXIT_FAULT;
}
