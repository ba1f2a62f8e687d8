/* config/option.h: private to config/: the table's rows as data, and how one option takes a value.
 */
#ifndef QR_CONFIG_OPTION_H
#define QR_CONFIG_OPTION_H

#include "config/config.h"

typedef enum qr__option_type {
    QR_OPTION_TYPE_NUMBER,
    QR_OPTION_TYPE_FLAG,
    QR_OPTION_TYPE_TEXT,
    QR_OPTION_TYPE_CHOICE,
    QR_OPTION_TYPE_LIST
} qr__option_type;

typedef struct qr__option_row {
    const char *name;
    qr__option_type type;
    const char *fallback; /* the default */
    size_t min, max;
    const char *values;
    const char *help;
} qr__option_row;

extern const qr__option_row qr__option_rows[QR_OPTION_COUNT];

/** An option's value. Only the members of its type mean something. */
typedef struct qr__value {
    size_t number;
    bool flag;
    const char *text;   /* in the config's arena */
    const char **items; /* likewise */
    size_t items_len;
    const char *source; /* likewise */
} qr__value;

struct qr_config {
    qr_arena arena;
    qr__value values[QR_OPTION_COUNT];
};

/** Where a value stands, for messages and for qr_config_source. */
typedef struct qr__origin {
    enum { QR_ORIGIN_DEFAULT, QR_ORIGIN_FILE, QR_ORIGIN_ENVIRONMENT, QR_ORIGIN_FLAG } kind;
    const char *path; /* the YAML file */
    size_t line;      /* in it; 0: not known */
} qr__origin;

#define QR__OPTION_NAME_BYTES 64

/** The option called `name`, or QR_OPTION_COUNT. */
qr_option qr__option_find(qr_text name);

/** The known name nearest to a mistyped one, or NULL when none is near. */
const char *qr__option_nearest(qr_text name);

/** "QUERENT_" and the name in upper case, dashes as underscores. */
void qr__option_variable(qr_option option, char out[QR__OPTION_NAME_BYTES]);

/** Gives an option its value; a list gets all of `items`, the others take the one item. Replaces
 * what an earlier layer had set. QR_BAD_OPTION names option, origin, value and what it must be. */
QR_MUST_USE qr_status qr__option_set(qr_config *config, qr_option option, const qr_text *items,
                                     size_t items_len, qr__origin origin, qr_error *error);

/** Reads a YAML file into the config. In config/option_file.c, the only file that knows libcyaml.
 */
QR_MUST_USE qr_status qr__option_file_load(qr_config *config, const char *path, qr_error *error);

#endif
