/* config/config.h: every option of `querent serve` in one table: name, type, bounds, default, help.
 *
 *     qr_config *config;
 *     qr_config_load(argc, argv, &config, &error);   // defaults < YAML < environment < flags
 *     size_t port = qr_config_number(config, QR_OPTION_PORT);
 *     qr_config_destroy(config);
 *
 * The same row gives `--port`, `QUERENT_PORT`, the YAML key `port` and the line of --help. A fault
 * names option and source:
 * "--port 99999: ...", "QUERENT_PORT=99999: ...", "querent.yaml:3: port: 99999: ...".
 * docs/CONFIG.md has the rules. Threads: const after load.
 */
#ifndef QR_CONFIG_H
#define QR_CONFIG_H

#include "base/base.h"
#include "config/options.h"

typedef enum qr_option {
#define QR_X(id, ...) QR_OPTION_##id,
    QR_OPTION_LIST(QR_X)
#undef QR_X
        QR_OPTION_COUNT
} qr_option;

typedef struct qr_config qr_config;

/** argv without "querent serve". QR_BAD_OPTION: unknown option, bad value, unreadable file, a
 * --host that other machines can reach without --allow-remote. *out is owned: qr_config_destroy. */
QR_MUST_USE qr_status qr_config_load(int argc, char **argv, qr_config **out, qr_error *error);
void qr_config_destroy(qr_config *config);

/* Each asks for an option of its own type (CHOICE is a text). What is returned lives as long as the
 * config. */
size_t qr_config_number(const qr_config *config, qr_option option);
bool qr_config_flag(const qr_config *config, qr_option option);
const char *qr_config_text(const qr_config *config, qr_option option); /* NULL when empty */
size_t qr_config_list(const qr_config *config, qr_option option, const char *const **items);

/** Where the value came from, for messages of those who find fault with it later: "--host",
 * "QUERENT_HOST", "querent.yaml: host" or "default". */
const char *qr_config_source(const qr_config *config, qr_option option);

/** Appends the help text of all options, from the table. */
void qr_config_help(qr_buf *out);

#endif
