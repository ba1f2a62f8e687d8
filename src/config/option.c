/* config/option.c: the table as data; names found, guessed from mistyped ones, and refused. */
#include "config/option.h"

#include <ctype.h>
#include <stdio.h>

const qr__option_row qr__option_rows[QR_OPTION_COUNT] = {
#define QR_X(id, name, type, fallback, min, max, values, help)                                     \
    [QR_OPTION_##id] = {name, QR_OPTION_TYPE_##type, fallback, min, max, values, help},
    QR_OPTION_LIST(QR_X)
#undef QR_X
};

const qr__option_rename qr__option_renames[] = {
#define QR_X(old, id) {old, QR_OPTION_##id},
    QR_OPTION_RENAMED_LIST(QR_X)
#undef QR_X
};
const size_t qr__option_renames_len = sizeof qr__option_renames / sizeof *qr__option_renames;

const char *qr_option_name(qr_option option) {
    return qr__option_rows[option].name;
}

qr_option qr__option_find(qr_text name) {
    qr_option option = 0;
    while (option < QR_OPTION_COUNT && !qr_text_is(name, qr__option_rows[option].name))
        option++;
    return option;
}

void qr__option_variable(const char *name, char out[QR__OPTION_NAME_BYTES]) {
    snprintf(out, QR__OPTION_NAME_BYTES, "QUERENT_%s", name);
    for (char *c = out; *c != '\0'; c++)
        *c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
}

/* Levenshtein's distance (insertions, deletions, replacements), a row of his matrix at a time.
 * Names that no option could have: SIZE_MAX. */
static size_t edit_distance(qr_text a, qr_text b) {
    size_t row[QR__OPTION_NAME_BYTES];
    if (a.len >= QR__OPTION_NAME_BYTES || b.len >= QR__OPTION_NAME_BYTES)
        return SIZE_MAX;
    for (size_t j = 0; j <= b.len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b.len; j++) {
            size_t replaced = diagonal + (a.data[i - 1] != b.data[j - 1]);
            diagonal = row[j];
            row[j] = qr_min(replaced, qr_min(row[j], row[j - 1]) + 1);
        }
    }
    return row[b.len];
}

const char *qr__option_nearest(const qr__option_row *rows, size_t len, qr_text name) {
    const char *nearest = NULL;
    size_t best = qr_max(2, name.len / 3) + 1; /* farther than this is no typing error */
    for (size_t i = 0; i < len; i++) {
        size_t distance = edit_distance(name, qr_text_of(rows[i].name));
        if (distance < best) {
            best = distance;
            nearest = rows[i].name;
        }
    }
    return nearest;
}

qr_status qr__option_unknown(const char *place, const char *dashes, qr_text name, qr_error *error) {
    int shown = (int)qr_min(name.len, 200);
    for (size_t i = 0; i < qr__option_renames_len; i++)
        if (qr_text_is(name, qr__option_renames[i].old))
            return qr_error_set(error, QR_BAD_OPTION, "%s%s%.*s: is now %s%s", place, dashes, shown,
                                name.data, dashes, qr_option_name(qr__option_renames[i].now));
    const char *nearest = qr__option_nearest(qr__option_rows, QR_OPTION_COUNT, name);
    if (nearest == NULL)
        return qr_error_set(error, QR_BAD_OPTION, "%s%s%.*s: unknown option", place, dashes, shown,
                            name.data);
    return qr_error_set(error, QR_BAD_OPTION, "%s%s%.*s: unknown option; did you mean `%s%s`?",
                        place, dashes, shown, name.data, dashes, nearest);
}
