/* config/help.c: the option table as text. tests/house compares it with the table in
 * docs/CONFIG.md. */
#include <stdio.h>

#include "config/option.h"

#define HELP_COLUMN 36

void qr_option_help(qr_option option, const char *fallback, int column, qr_buf *out) {
    const qr__option_row *row = &qr__option_rows[option];
    char left[QR__OPTION_NAME_BYTES];
    fallback = fallback == NULL ? row->fallback : fallback;
    snprintf(left, sizeof left, "  --%s%s%s", row->name, row->values[0] == '\0' ? "" : " ",
             row->values);
    qr_buf_printf(out, "%-*s %s", column, left, row->help);
    switch (row->type) {
    case QR_OPTION_TYPE_NUMBER:
    case QR_OPTION_TYPE_THREADS:
        qr_buf_printf(out, " [%zu..%zu, default %s]", row->min, row->max, fallback);
        break;
    case QR_OPTION_TYPE_LIST:
        qr_buf_printf(out, " [at most %zu]", row->max);
        break;
    default:
        if (fallback[0] != '\0')
            qr_buf_printf(out, " [default %s]", fallback);
    }
    qr_buf_byte(out, '\n');
}

void qr_config_help(qr_buf *out) {
    for (qr_option option = 0; option < QR_OPTION_COUNT; option++)
        qr_option_help(option, NULL, HELP_COLUMN, out);
}
