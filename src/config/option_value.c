/* config/option_value.c: one option takes a value: parsed by its row's type, or refused with the
 * option, the source, the value and what it must be. */
#include <stdio.h>

#include "config/option.h"

#define DEVICE_NUMBER_MAX 255 /* above any machine's count of GPUs */

/* How qr_config_source names the origin. NULL: no memory. */
static const char *name_origin(qr_config *config, qr_option option, qr__origin origin) {
    char name[QR_PATH_BYTES + QR__OPTION_NAME_BYTES + 24];
    switch (origin.kind) {
    case QR_ORIGIN_FILE:
        if (origin.line > 0)
            snprintf(name, sizeof name, "%s:%zu: %s", origin.path, origin.line,
                     qr_option_name(option));
        else
            snprintf(name, sizeof name, "%s: %s", origin.path, qr_option_name(option));
        break;
    case QR_ORIGIN_ENVIRONMENT:
        qr__option_variable(qr_option_name(option), name);
        break;
    case QR_ORIGIN_DEFAULT: /* whoever wants another value can say so there */
    case QR_ORIGIN_FLAG:
        snprintf(name, sizeof name, "--%s", qr_option_name(option));
        break;
    }
    return qr_arena_text(&config->arena, qr_text_of(name)).data;
}

/* "--port 99999: ", "QUERENT_PORT=99999: " or "querent.yaml:3: port: 99999: " and what is wrong. */
static qr_status refuse(qr_option option, qr_text value, qr__origin origin, const char *must,
                        qr_error *error) {
    const char *name = qr_option_name(option);
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
        qr__option_variable(name, variable);
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

/* Permissions in octal: three digits, or four of which the first is 0. */
static bool parse_mode(qr_text value, size_t *out) {
    *out = 0;
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] < '0' || value.data[i] > '7')
            return false;
        *out = *out * 8 + (size_t)(value.data[i] - '0');
    }
    return value.len == 3 || (value.len == 4 && value.data[0] == '0');
}

/* The place of `value` among "a|b|c". */
static bool parse_choice(const char *choices, qr_text value, size_t *out) {
    *out = 0;
    for (const char *at = choices; *at != '\0'; ++*out) {
        size_t len = strcspn(at, "|");
        if (qr_text_equal(value, (qr_text){at, len}))
            return true;
        at += len + (at[len] == '|');
    }
    return false;
}

/* The rest of `value` behind `prefix`; data is NULL when it begins otherwise or ends there. */
static qr_text behind(qr_text value, const char *prefix) {
    size_t len = strlen(prefix);
    if (value.len <= len || memcmp(value.data, prefix, len) != 0)
        return (qr_text){0};
    return (qr_text){value.data + len, value.len - len};
}

/* "auto", "cpu", "cpu:ISA", "cuda" or "cuda:N"; which of them there are, the engine says. */
static bool is_device(qr_text value) {
    qr_text isa = behind(value, "cpu:"), number = behind(value, "cuda:");
    uint64_t parsed;
    if (number.data != NULL)
        return qr_text_to_u64(number, DEVICE_NUMBER_MAX, &parsed);
    return isa.data != NULL || qr_text_is(value, "auto") || qr_text_is(value, "cpu") ||
           qr_text_is(value, "cuda");
}

bool qr__option_read(const qr__option_row *row, qr_text text, qr_option_value *out,
                     char must[QR__OPTION_MUST_BYTES]) {
    uint64_t number = 0;
    must[0] = '\0';
    switch (row->type) {
    case QR_OPTION_TYPE_NUMBER:
    case QR_OPTION_TYPE_THREADS:
        if (!qr_text_to_u64(text, row->max, &number) || number < row->min)
            snprintf(must, QR__OPTION_MUST_BYTES, "a whole number in %zu..%zu", row->min, row->max);
        /* The one place where "0: one a core" becomes a number. */
        if (row->type == QR_OPTION_TYPE_THREADS && number == 0)
            number = (uint64_t)qr_cores_find().usable;
        out->number = (size_t)number;
        break;
    case QR_OPTION_TYPE_FLAG:
        if (!parse_flag(text, &out->flag))
            snprintf(must, QR__OPTION_MUST_BYTES, "true or false");
        break;
    case QR_OPTION_TYPE_MODE:
        if (!parse_mode(text, &out->number))
            snprintf(must, QR__OPTION_MUST_BYTES, "permissions in octal, such as 0660");
        break;
    case QR_OPTION_TYPE_CHOICE:
        if (!parse_choice(row->values, text, &out->choice))
            snprintf(must, QR__OPTION_MUST_BYTES, "one of %s", row->values);
        break;
    case QR_OPTION_TYPE_DEVICE:
        if (!is_device(text))
            snprintf(must, QR__OPTION_MUST_BYTES, "one of %s", row->values);
        break;
    case QR_OPTION_TYPE_TEXT:
        if (row->max > 0 && (text.len < row->min || text.len > row->max))
            snprintf(must, QR__OPTION_MUST_BYTES, "a text of %zu..%zu bytes", row->min, row->max);
        break;
    case QR_OPTION_TYPE_LIST:
        break;
    }
    return must[0] == '\0';
}

static qr_status parse(qr_option option, qr_text text, qr__origin origin, qr_option_value *out,
                       qr_error *error) {
    char must[QR__OPTION_MUST_BYTES];
    return qr__option_read(&qr__option_rows[option], text, out, must)
               ? QR_OK
               : refuse(option, text, origin, must, error);
}

qr_status qr_option_parse(qr_option option, const char *text, qr_option_value *out,
                          qr_error *error) {
    out->text = text;
    return parse(option, qr_text_of(text), (qr__origin){.kind = QR_ORIGIN_FLAG}, out, error);
}

/* A list of an earlier layer is replaced as a whole; its copies stay in the arena, which is
 * bounded. */
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
    config->settings[option].items = copies;
    config->settings[option].items_len = items_len;
    return QR_OK;
}

static qr_status set_scalar(qr_config *config, qr_option option, qr_text text, qr__origin origin,
                            qr_error *error) {
    const qr__option_row *row = &qr__option_rows[option];
    qr_option_value *value = &config->settings[option].value;
    qr_status status = parse(option, text, origin, value, error);
    if (status != QR_OK || (row->type != QR_OPTION_TYPE_TEXT && row->type != QR_OPTION_TYPE_DEVICE))
        return status;
    value->text = qr_arena_text(&config->arena, text).data;
    if (value->text == NULL)
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
    config->settings[option].given = origin.kind != QR_ORIGIN_DEFAULT;
    config->settings[option].source = name_origin(config, option, origin);
    if (config->settings[option].source == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "--%s: no memory for its source",
                            qr_option_name(option));
    return QR_OK;
}
