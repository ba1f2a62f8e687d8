/* config/option.h: private to config/: the table's rows as data, and how one option takes a value.
 */
#ifndef QR_CONFIG_OPTION_H
#define QR_CONFIG_OPTION_H

#include "config/config.h"

typedef enum qr__option_type {
    QR_OPTION_TYPE_NUMBER,
    QR_OPTION_TYPE_THREADS,
    QR_OPTION_TYPE_FLAG,
    QR_OPTION_TYPE_MODE,
    QR_OPTION_TYPE_TEXT,
    QR_OPTION_TYPE_CHOICE,
    QR_OPTION_TYPE_DEVICE,
    QR_OPTION_TYPE_LIST
} qr__option_type;

/** A row of the table; config/options.h says what each type makes of the members. */
typedef struct qr__option_row {
    const char *name;
    qr__option_type type;
    const char *fallback; /* the default */
    size_t min, max;
    const char *values;
    const char *help;
} qr__option_row;

extern const qr__option_row qr__option_rows[QR_OPTION_COUNT];

/** An old name, and the option that has another one now. */
typedef struct qr__option_rename {
    const char *old;
    qr_option now;
} qr__option_rename;

extern const qr__option_rename qr__option_renames[];
extern const size_t qr__option_renames_len;

/** What one option is set to, and by which source. */
typedef struct qr__option_setting {
    qr_option_value value; /* of a scalar; its text lies in the config's arena */
    const char **items;    /* of a list; in the arena */
    size_t items_len;
    const char *source; /* in the arena */
    bool given;         /* by any source */
} qr__option_setting;

/** What the file says of one model. */
typedef struct qr__model_setting {
    qr_option_value values[QR_MODEL_KEY_COUNT]; /* texts lie in the config's arena */
    bool given[QR_MODEL_KEY_COUNT];
    const char *source; /* in the arena */
} qr__model_setting;

struct qr_config {
    qr_arena arena;
    qr__option_setting settings[QR_OPTION_COUNT];
    qr__model_setting models[QR_LIMIT_MODELS];
    size_t models_len;
};

/** Where a value stands, for messages and for qr_config_source. */
typedef struct qr__origin {
    enum { QR_ORIGIN_DEFAULT, QR_ORIGIN_FILE, QR_ORIGIN_ENVIRONMENT, QR_ORIGIN_FLAG } kind;
    const char *path; /* the YAML file */
    size_t line;      /* in it; 0: not known */
} qr__origin;

#define QR__OPTION_NAME_BYTES 64

#define QR__OPTION_MUST_BYTES 128

/** The option called `name`, or QR_OPTION_COUNT. */
qr_option qr__option_find(qr_text name);

/** Writes "QUERENT_" and the name in upper case, dashes as underscores. */
void qr__option_variable(const char *name, char out[QR__OPTION_NAME_BYTES]);

/** The fault of a name that no option has: "PLACE--prot: unknown option; did you mean `--port`?",
 * or what the option is called now. `place` begins the message ("querent.yaml:3: ", or "");
 * `dashes` stands before each name ("--" for flags, or ""). Returns QR_BAD_OPTION. */
qr_status qr__option_unknown(const char *place, const char *dashes, qr_text name, qr_error *error);

/** The name of these rows that is nearest to a mistyped one; NULL: none is near. */
const char *qr__option_nearest(const qr__option_row *rows, size_t len, qr_text name);

/** Reads a scalar as its row has it. A TEXT or DEVICE is only checked: its member of *out is the
 * caller's to set. False: `must` says what it must be. */
QR_MUST_USE bool qr__option_read(const qr__option_row *row, qr_text text, qr_option_value *out,
                                 char must[QR__OPTION_MUST_BYTES]);

/** Gives an option its value; a list gets all of `items`, the others take the one item. Replaces
 * what an earlier layer had set. QR_BAD_OPTION names option, origin, value and what it must
 * be; QR_NO_MEMORY. */
QR_MUST_USE qr_status qr__option_set(qr_config *config, qr_option option, const qr_text *items,
                                     size_t items_len, qr__origin origin, qr_error *error);

/** Reads a YAML file into the config. QR_BAD_OPTION names file, line and key; QR_NO_MEMORY. In
 * config/option_file.c, the only file that knows libcyaml. */
QR_MUST_USE qr_status qr__option_file_load(qr_config *config, const char *path, qr_error *error);

/** Refuses anchors and texts with a NUL, which libcyaml takes without a word. QR_BAD_OPTION names
 * file and line; of what is no YAML nothing is said. QR_NO_MEMORY. In config/yaml_scan.c, the only
 * file that knows libyaml. */
QR_MUST_USE qr_status qr__yaml_scan(const char *path, qr_text text, qr_error *error);

#endif
