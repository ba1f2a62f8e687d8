/* config/help.c: the option table as text. tests/house compares it with the table in
 * docs/CONFIG.md. */
#include <stdio.h>

#include "config/option.h"

#define HELP_COLUMN 36

static void write_range(qr_buf *out, const qr__option_row *row) {
    switch (row->type) {
    case QR_OPTION_TYPE_NUMBER:
        qr_buf_printf(out, " [%zu..%zu, default %s]", row->min, row->max, row->fallback);
        break;
    case QR_OPTION_TYPE_LIST:
        qr_buf_printf(out, " [at most %zu]", row->max);
        break;
    default:
        if (row->fallback[0] != '\0')
            qr_buf_printf(out, " [default %s]", row->fallback);
    }
}

void qr_config_help(qr_buf *out) {
    for (qr_option option = 0; option < QR_OPTION_COUNT; option++) {
        const qr__option_row *row = &qr__option_rows[option];
        char left[QR__OPTION_NAME_BYTES];
        snprintf(left, sizeof left, "  --%s%s%s", row->name, row->values[0] == '\0' ? "" : " ",
                 row->values);
        qr_buf_printf(out, "%-*s %s", HELP_COLUMN, left, row->help);
        write_range(out, row);
        qr_buf_byte(out, '\n');
    }
}
