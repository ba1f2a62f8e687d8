/* config/help.c: the option table as text. tests/house compares it with the table in
 * docs/CONFIG.md. */
#include <stdio.h>

#include "config/model_list.h"

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

void qr_config_models_help(qr_buf *out) {
    qr_buf_literal(out, "\nKeys of a model in the YAML file's list `" QR__MODELS_KEY "`:\n");
    for (qr_model_key key = 0; key < QR_MODEL_KEY_COUNT; key++) {
        const qr__option_row *row = &qr__model_key_rows[key];
        char left[QR__OPTION_NAME_BYTES];
        snprintf(left, sizeof left, "  %s: %s", row->name, row->values);
        qr_buf_printf(out, "%-*s %s", HELP_COLUMN, left, row->help);
        if (row->type == QR_OPTION_TYPE_NUMBER)
            qr_buf_printf(out, " [%zu..%zu]", row->min, row->max);
        qr_buf_byte(out, '\n');
    }
}
