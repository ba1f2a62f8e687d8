/* config/option.c: one option: found by name, guessed from a mistyped name, given a value. */
#include "config/option.h"

#include <ctype.h>
#include <stdio.h>

const qr__option_row qr__option_rows[QR_OPTION_COUNT] = {
#define QR_X(id, name, type, fallback, min, max, values, help)                                     \
    [QR_OPTION_##id] = {name, QR_OPTION_TYPE_##type, fallback, min, max, values, help},
    QR_OPTION_LIST(QR_X)
#undef QR_X
};

qr_option qr__option_find(qr_text name) {
    qr_option option = 0;
    while (option < QR_OPTION_COUNT && !qr_text_is(name, qr__option_rows[option].name))
        option++;
    return option;
}

/* Insertions, deletions and replacements between two short names; either above the limit: no match.
 */
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

const char *qr__option_nearest(qr_text name) {
    const char *nearest = NULL;
    size_t best = qr_max(2, name.len / 3) + 1; /* farther than this is no typing error */
    for (qr_option option = 0; option < QR_OPTION_COUNT; option++) {
        size_t distance = edit_distance(name, qr_text_of(qr__option_rows[option].name));
        if (distance < best) {
            best = distance;
            nearest = qr__option_rows[option].name;
        }
    }
    return nearest;
}

void qr__option_variable(qr_option option, char out[QR__OPTION_NAME_BYTES]) {
    snprintf(out, QR__OPTION_NAME_BYTES, "QUERENT_%s", qr__option_rows[option].name);
    for (char *c = out; *c != '\0'; c++)
        *c = *c == '-' ? '_' : (char)toupper((unsigned char)*c);
}

static const char *name_origin(qr_config *config, qr_option option, qr__origin origin) {
    char name[QR_PATH_BYTES + QR__OPTION_NAME_BYTES];
    switch (origin.kind) {
    case QR_ORIGIN_DEFAULT:
        return "default";
    case QR_ORIGIN_FILE:
        snprintf(name, sizeof name, "%s: %s", origin.path, qr__option_rows[option].name);
        break;
    case QR_ORIGIN_ENVIRONMENT:
        qr__option_variable(option, name);
        break;
    case QR_ORIGIN_FLAG:
        snprintf(name, sizeof name, "--%s", qr__option_rows[option].name);
        break;
    }
    return qr_arena_text(&config->arena, qr_text_of(name)).data;
}

/* "--port 99999: ", "QUERENT_PORT=99999: " or "querent.yaml:3: port: 99999: " and what is wrong. */
static qr_status refuse(qr_option option, qr_text value, qr__origin origin, const char *must,
                        qr_error *error) {
    const char *name = qr__option_rows[option].name;
    char variable[QR__OPTION_NAME_BYTES];
    char line[24] = "";
    int shown = (int)qr_min(value.len, 200);
    switch (origin.kind) {
    case QR_ORIGIN_FILE:
        if (origin.line > 0)
            snprintf(line, sizeof line, ":%zu", origin.line);
        return qr_error_set(error, QR_BAD_OPTION, "%s%s: %s: %.*s: must be %s", origin.path, line,
                            name, shown, value.data, must);
    case QR_ORIGIN_ENVIRONMENT:
        qr__option_variable(option, variable);
        return qr_error_set(error, QR_BAD_OPTION, "%s=%.*s: must be %s", variable, shown,
                            value.data, must);
    case QR_ORIGIN_DEFAULT:
    case QR_ORIGIN_FLAG:
        break;
    }
    return qr_error_set(error, QR_BAD_OPTION, "--%s %.*s: must be %s", name, shown, value.data,
                        must);
}

static bool parse_flag(qr_text value, bool *out) {
    *out = qr_text_is(value, "true") || qr_text_is(value, "1");
    return *out || qr_text_is(value, "false") || qr_text_is(value, "0");
}

static bool is_choice(const char *choices, qr_text value) {
    for (const char *at = choices; *at != '\0';) {
        size_t len = strcspn(at, "|");
        if (qr_text_equal(value, (qr_text){at, len}))
            return true;
        at += len + (at[len] == '|');
    }
    return false;
}

static qr_status set_list(qr_config *config, qr_option option, const qr_text *items,
                          size_t items_len, qr__origin origin, qr_error *error) {
    const qr__option_row *row = &qr__option_rows[option];
    char must[96];
    if (items_len < row->min || items_len > row->max) {
        char count[32];
        snprintf(count, sizeof count, "(%zu items)", items_len);
        snprintf(must, sizeof must, "a list of %zu..%zu items", row->min, row->max);
        return refuse(option, qr_text_of(count), origin, must, error);
    }
    const char **copies = qr_arena_array(&config->arena, items_len + 1, sizeof *copies);
    for (size_t i = 0; i < items_len && copies != NULL; i++) {
        if (items[i].len == 0)
            return refuse(option, qr_text_of("(empty)"), origin, row->values, error);
        copies[i] = qr_arena_text(&config->arena, items[i]).data;
        if (copies[i] == NULL)
            copies = NULL;
    }
    if (copies == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "--%s: no memory for the list", row->name);
    config->values[option].items = copies;
    config->values[option].items_len = items_len;
    return QR_OK;
}

static qr_status set_scalar(qr_config *config, qr_option option, qr_text value, qr__origin origin,
                            qr_error *error) {
    const qr__option_row *row = &qr__option_rows[option];
    qr__value *slot = &config->values[option];
    char must[128];
    uint64_t number;
    switch (row->type) {
    case QR_OPTION_TYPE_NUMBER:
        if (!qr_text_to_u64(value, row->max, &number) || number < row->min) {
            snprintf(must, sizeof must, "a whole number in %zu..%zu", row->min, row->max);
            return refuse(option, value, origin, must, error);
        }
        slot->number = (size_t)number;
        return QR_OK;
    case QR_OPTION_TYPE_FLAG:
        if (!parse_flag(value, &slot->flag))
            return refuse(option, value, origin, "true or false", error);
        return QR_OK;
    case QR_OPTION_TYPE_CHOICE:
        if (!is_choice(row->values, value)) {
            snprintf(must, sizeof must, "one of %s", row->values);
            return refuse(option, value, origin, must, error);
        }
        break;
    case QR_OPTION_TYPE_TEXT:
    case QR_OPTION_TYPE_LIST:
        break;
    }
    slot->text = qr_arena_text(&config->arena, value).data;
    if (slot->text == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "--%s: no memory for the value", row->name);
    return QR_OK;
}

qr_status qr__option_set(qr_config *config, qr_option option, const qr_text *items,
                         size_t items_len, qr__origin origin, qr_error *error) {
    qr_status status = qr__option_rows[option].type == QR_OPTION_TYPE_LIST
                           ? set_list(config, option, items, items_len, origin, error)
                           : set_scalar(config, option, items[0], origin, error);
    if (status != QR_OK)
        return status;
    config->values[option].source = name_origin(config, option, origin);
    if (config->values[option].source == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "--%s: no memory for its source",
                            qr__option_rows[option].name);
    return QR_OK;
}
