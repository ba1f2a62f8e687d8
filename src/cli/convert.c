/* cli/convert.c: `querent convert`: a model as a directory of safetensors. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/flags.h"
#include "cli/output.h"
#include "engine/convert.h"
#include "engine/engine.h"

#define OUTPUT_MAX_BYTES (64u << 10)

/* An engine is made of a graph only when the two agree (docs/ONNX.md). */
static qr_status prove(const qr_model *model, qr_error *error) {
    qr_import_info *found = NULL;
    qr_status status = qr_import_info_create(model, &found, error);
    const bool graph = found != NULL;
    qr_import_info_destroy(found);
    if (status != QR_OK || !graph)
        return status;
    const qr_engine_options options = {.precision = QR_PRECISION_F32, .device = "cpu"};
    qr_engine *engine = NULL;
    status = qr_engine_create(model, &options, &engine, error);
    qr_engine_destroy(engine);
    return status;
}

static int print_done(const char *dir, const qr_converted *done) {
    qr_buf out;
    qr_buf_init(&out, OUTPUT_MAX_BYTES);
    qr_buf_printf(&out, "%s: %s, %.1f million parameters as f32\n", dir, done->architecture,
                  (double)done->parameters / 1e6);
    if (done->zero_types)
        qr_buf_literal(&out, "The model has no segment embeddings: zeros stand in for them.\n");
    if (done->zero_pooler)
        qr_buf_literal(&out, "The model has no pooler: zeros stand in for it, so transformers' "
                             "pooler_output is 0.\n");
    if (!done->tokenizer)
        qr_buf_literal(&out, "No tokenizer's files were found: tokenizer.json or vocab.txt has to "
                             "be copied there.\n");
    bool written = qr__cli_write(&out);
    qr_buf_deinit(&out);
    return written ? QR_EXIT_OK : QR_EXIT_FAULT;
}

int qr_cli_convert(int argc, char **argv) {
    static const qr__flag flags[] = {{0}};
    static const qr__command command = {
        "convert",
        "Writes the model at MODEL (a directory, or an ONNX file) as the new directory DIR:\n"
        "config.json, model.safetensors, and copies of the tokenizer's files.",
        flags, "MODEL DIR"};
    const char *paths[2];
    qr_error error = {0};
    qr_model *model = NULL;
    qr_converted done;
    int code = qr__flags_parse(&command, argc, argv, paths);
    if (code != QR_FLAGS_GO)
        return code;
    qr_status status = qr_model_open(paths[0], &model, &error);
    if (status == QR_OK)
        status = prove(model, &error);
    if (status == QR_OK)
        status = qr_model_convert(model, paths[1], &done, &error);
    qr_model_close(model);
    if (status == QR_OK)
        return print_done(paths[1], &done);
    fprintf(stderr, "querent %s: %s\n", command.name, error.message);
    return QR_EXIT_FAULT;
}
