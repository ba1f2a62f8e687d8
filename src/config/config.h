/* config/config.h: every option of `querent serve` in one table: name, type, bounds, default, help.
 *
 *     qr_config *config;
 *     qr_config_load(argc, argv, &config, &error);   // defaults < YAML < environment < flags
 *     size_t port = qr_config_number(config, QR_OPTION_PORT);
 *     qr_config_destroy(config);
 *
 * The same row gives `--port`, `QUERENT_PORT`, the YAML key `port` and the line of --help. A fault
 * names option and source:
 *
 *     --port 99999: must be a whole number in 0..65535
 *     QUERENT_PORT=99999: must be ...
 *     querent.yaml:3: port: 99999: must be ...
 *
 * docs/CONFIG.md has the rules. Threads: const after load.
 */
#ifndef QR_CONFIG_H
#define QR_CONFIG_H

#include "base/base.h"
#include "config/model_keys.h"
#include "config/options.h"

typedef enum qr_option {
#define QR_X(id, ...) QR_OPTION_##id,
    QR_OPTION_LIST(QR_X)
#undef QR_X
        QR_OPTION_COUNT
} qr_option;

/** A key of a model in the YAML file's list `models`. */
typedef enum qr_model_key {
#define QR_X(id, ...) QR_MODEL_KEY_##id,
    QR_MODEL_KEY_LIST(QR_X)
#undef QR_X
        QR_MODEL_KEY_COUNT
} qr_model_key;

/** A scalar option's value, in the member of its type. */
typedef union qr_option_value {
    size_t number;    /* NUMBER, THREADS, MODE */
    bool flag;        /* FLAG */
    size_t choice;    /* CHOICE */
    const char *text; /* TEXT, DEVICE; borrowed */
} qr_option_value;

typedef struct qr_config qr_config;

/** Reads all sources; argv is what stands behind "querent serve". QR_BAD_OPTION: unknown option,
 * bad value, unreadable file, a --host that other machines can reach without --allow-remote;
 * QR_NO_MEMORY. *out: returns owned. */
QR_MUST_USE qr_status qr_config_load(int argc, char **argv, qr_config **out, qr_error *error);

/** Whether an address that other machines can reach may be served: with keys, or by `allow-remote`
 * and no admin routes. `source` and `where` stand in the message: "--host", "0.0.0.0".
 * QR_BAD_OPTION. */
QR_MUST_USE qr_status qr_config_check_remote(const qr_config *config, const char *source,
                                             const char *where, qr_error *error);

/** Frees the config with all that its accessors returned; NULL is allowed. */
void qr_config_destroy(qr_config *config);

/* Accessors, each for options of its own types; their values live as long as the config. */

/** NUMBER; MODE; THREADS, which is never 0 here. */
size_t qr_config_number(const qr_config *config, qr_option option);

/** FLAG. */
bool qr_config_flag(const qr_config *config, qr_option option);

/** CHOICE: the choice's place in the table's "a|b|c", which is the order of the enum that the user
 * casts it to: qr_log_level, qr_log_format, qr_precision (tests hold them to the table). */
size_t qr_config_choice(const qr_config *config, qr_option option);

/** TEXT and DEVICE; NULL when empty. A DEVICE is well formed; whether this build and machine have
 * it is the engine's to say. */
const char *qr_config_text(const qr_config *config, qr_option option);

/** LIST: points *items at them and returns how many they are. */
size_t qr_config_list(const qr_config *config, qr_option option, const char *const **items);

/** Where the value came from, for messages of those who find fault with it later: "--host" (of a
 * default too), "QUERENT_HOST" or "querent.yaml:3: host". */
const char *qr_config_source(const qr_config *config, qr_option option);

/** Whether any source gave the option a value, be it the default's. */
bool qr_config_given(const qr_config *config, qr_option option);

/** Appends the help text of all options, from the table. */
void qr_config_help(qr_buf *out);

/** The same of the keys of a model in the YAML file's list `models`. */
void qr_config_models_help(qr_buf *out);

/* The YAML file's list `models`, which excludes the option `model`. */

/** How many models it has; 0: there is none. At most QR_LIMIT_MODELS. */
size_t qr_config_models(const qr_config *config);

/** What it says of the model at `index` by that key, in the member of the key's type; NULL: it says
 * nothing. Of each model it says PATH. */
const qr_option_value *qr_config_model(const qr_config *config, size_t index, qr_model_key key);

/** Where the model stands: "querent.yaml:3: models[0]". */
const char *qr_config_model_source(const qr_config *config, size_t index);

/* Single options, for commands that share some with `querent serve`. */

/** The option's name, without dashes. */
const char *qr_option_name(qr_option option);

/** The value that `text` (borrowed) gives a scalar option on a command line. QR_BAD_OPTION, with
 * the message that qr_config_load gives for the flag. */
QR_MUST_USE qr_status qr_option_parse(qr_option option, const char *text, qr_option_value *out,
                                      qr_error *error);

/** Appends one option's line of help: the flag, padded to `column` characters, what it means,
 * bounds, and the default (`fallback`, or the table's when NULL). */
void qr_option_help(qr_option option, const char *fallback, int column, qr_buf *out);

#endif
