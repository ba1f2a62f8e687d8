/* cli/model_options.c: precision and device are checked before a byte of the model is read. */
#include "cli/model_options.h"

#include <stdio.h>

#include "cli/cli.h"

size_t qr_cli_model_threads(const qr_cli_model *model) {
    return model->threads > 0 ? model->threads : (size_t)qr_cores_available();
}

/* "cuda" or "cuda:N". */
static bool is_cuda(const char *device) {
    uint64_t number;
    if (strncmp(device, "cuda", 4) != 0)
        return false;
    return device[4] == '\0' ||
           (device[4] == ':' && qr_text_to_u64(qr_text_of(device + 5), 255, &number));
}

static int check_device(const qr_command *command, const char *device) {
    if (strcmp(device, "cpu") == 0 || strcmp(device, "auto") == 0)
        return QR_FLAGS_GO;
    if (!is_cuda(device))
        return qr_flags_refuse(command, "--device %s: must be cpu, cuda[:N] or auto", device);
    fprintf(stderr,
            "querent %s: --device %s: this build has no GPU support; take --device cpu or auto\n",
            command->name, device);
    return QR_EXIT_FAULT;
}

int qr_cli_model_load(const qr_command *command, const qr_cli_model *model, qr_pipeline **out) {
    qr_error error = {0};
    qr_pipeline_options options = {.threads = (int)qr_cli_model_threads(model)};
    *out = NULL;
    if (!qr_precision_parse(qr_text_of(model->precision), &options.precision))
        return qr_flags_refuse(command, "--precision %s: must be auto, f32, bf16 or int8",
                               model->precision);
    int code = check_device(command, model->device);
    if (code != QR_FLAGS_GO)
        return code;
    if (qr_pipeline_load(model->dir, &options, out, &error) == QR_OK)
        return QR_FLAGS_GO;
    fprintf(stderr, "querent %s: %s\n", command->name, error.message);
    return QR_EXIT_FAULT;
}

int qr_cli_model_load_kind(const qr_command *command, const qr_cli_model *model, qr_kind kind,
                           qr_pipeline **out) {
    int code = qr_cli_model_load(command, model, out);
    if (code != QR_FLAGS_GO || qr_pipeline_kind(*out) == kind)
        return code;
    fprintf(stderr, "querent %s: %s (%s): this command needs a model of kind %s, this is kind %s\n",
            command->name, model->dir, qr_engine_model(qr_pipeline_engine(*out))->architecture,
            qr_kind_name(kind), qr_kind_name(qr_pipeline_kind(*out)));
    qr_pipeline_destroy(*out);
    *out = NULL;
    return QR_EXIT_FAULT;
}
