/* cli/serve.c: `querent serve`: options in, a server until it is told to stop. */
#include <stdio.h>

#include "cli/cli.h"
#include "cli/output.h"
#include "config/config.h"
#include "server/server.h"

#define HELP_MAX_BYTES (64u << 10)

static int print_help(void) {
    qr_buf out;
    qr_buf_init(&out, HELP_MAX_BYTES);
    qr_buf_literal(&out, "usage: querent serve --model [NAME=]PATH [options]\n\n"
                         "Answers queries over HTTP until SIGTERM. Says `querent: listening on "
                         "http://HOST:PORT` when ready.\n"
                         "Every option may also stand in the YAML file (`port: 8080`) or in the "
                         "environment (QUERENT_PORT=8080);\n"
                         "flags win over the environment, the environment over the file.\n\n");
    qr_config_help(&out);
    qr_buf_literal(&out, "  --help                             print this and exit\n");
    qr_config_models_help(&out);
    bool written = qr__cli_write(&out);
    qr_buf_deinit(&out);
    return written ? QR_EXIT_OK : QR_EXIT_FAULT;
}

int qr_cli_serve(int argc, char **argv) {
    qr_server_hold_reload();
    for (int i = 0; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return print_help();
    qr_config *config = NULL;
    qr_error error = {0};
    const char *const *models;
    if (qr_config_load(argc, argv, &config, &error) != QR_OK) {
        fprintf(stderr, "querent serve: %s\nTry `querent serve --help`.\n", error.message);
        return QR_EXIT_USAGE;
    }
    if (qr_config_list(config, QR_OPTION_MODEL, &models) == 0 && qr_config_models(config) == 0) {
        fprintf(stderr, "querent serve: --model [NAME=]PATH is missing\n"
                        "Try `querent serve --help`.\n");
        qr_config_destroy(config);
        return QR_EXIT_USAGE;
    }
    int code = qr_server_run(config);
    qr_config_destroy(config);
    return code;
}
