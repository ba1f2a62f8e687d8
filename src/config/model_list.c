/* config/model_list.c: what a file says of its models, checked by the rows of model_keys.h. */
#include "config/model_list.h"

#include <stdio.h>

const qr__option_row qr__model_key_rows[QR_MODEL_KEY_COUNT] = {
#define QR_X(id, name, type, fallback, min, max, values, help)                                     \
    [QR_MODEL_KEY_##id] = {name, QR_OPTION_TYPE_##type, fallback, min, max, values, help},
    QR_MODEL_KEY_LIST(QR_X)
#undef QR_X
};

/* A line of the file: its blanks in front counted and cut off. */
typedef struct line {
    qr_text text;
    size_t number, indent;
} line;

static bool next_line(qr_text file, size_t *at, line *out) {
    if (*at >= file.len)
        return false;
    const char *begin = file.data + *at, *end = memchr(begin, '\n', file.len - *at);
    size_t len = end == NULL ? file.len - *at : (size_t)(end - begin), blanks = 0;
    while (blanks < len && begin[blanks] == ' ')
        blanks++;
    *at += len + 1;
    out->number++;
    out->indent = blanks;
    out->text = (qr_text){begin + blanks, len - blanks};
    return true;
}

static bool begins_with_key(qr_text text, const char *key) {
    size_t len = strlen(key);
    if (text.len > 0 && (text.data[0] == '"' || text.data[0] == '\''))
        text = (qr_text){text.data + 1, text.len - 1};
    return text.len > len && memcmp(text.data, key, len) == 0 &&
           strchr(": \"'", text.data[len]) != NULL;
}

/* What stands behind the "-" of an item; data is NULL when the line is none. */
static qr_text behind_dash(qr_text text) {
    size_t at = 1;
    if (text.len < 2 || text.data[0] != '-' || text.data[1] != ' ')
        return (qr_text){0};
    while (at < text.len && text.data[at] == ' ')
        at++;
    return (qr_text){text.data + at, text.len - at};
}

size_t qr__model_line(qr_text file, size_t index, const char *key) {
    size_t at = 0, seen = 0, first = 0, dashes = SIZE_MAX;
    line l = {0};
    while (next_line(file, &at, &l) && !(l.indent == 0 && begins_with_key(l.text, QR__MODELS_KEY)))
        ;
    while (next_line(file, &at, &l)) {
        qr_text text = l.text, item = behind_dash(l.text);
        if (text.len == 0 || text.data[0] == '#')
            continue;
        if (dashes == SIZE_MAX)
            dashes = l.indent;
        if (l.indent < dashes || (l.indent == dashes && item.data == NULL))
            break; /* the list is over */
        if (l.indent == dashes) {
            seen++;
            text = item;
            first = seen == index + 1 ? l.number : first;
        }
        if (seen == index + 1 && key != NULL && begins_with_key(text, key))
            return l.number;
        if (seen > index + 1)
            break;
    }
    return first;
}

/* "querent.yaml:7: models[1].budget-ms" */
static void place_key(char *out, size_t size, const char *path, qr_text file, size_t index,
                      const char *key) {
    char number[24] = "";
    size_t at = qr__model_line(file, index, key);
    if (at > 0)
        snprintf(number, sizeof number, ":%zu", at);
    snprintf(out, size, "%s%s: " QR__MODELS_KEY "[%zu]%s%.64s", path, number, index,
             key == NULL ? "" : ".", key == NULL ? "" : key);
}

qr_status qr__model_key_unknown(size_t index, const char *key, const char *path, qr_text file,
                                qr_error *error) {
    char place[QR_PATH_BYTES + 128];
    place_key(place, sizeof place, path, file, index, key);
    const char *nearest =
        qr__option_nearest(qr__model_key_rows, QR_MODEL_KEY_COUNT, qr_text_of(key));
    if (nearest == NULL)
        return qr_error_set(error, QR_BAD_OPTION, "%s: unknown key of a model", place);
    return qr_error_set(error, QR_BAD_OPTION, "%s: unknown key of a model; did you mean `%s`?",
                        place, nearest);
}

static qr_status set_key(qr_config *config, qr__model_setting *model, qr_model_key key,
                         const char *text, const char *place, qr_error *error) {
    char must[QR__OPTION_MUST_BYTES];
    const qr__option_row *row = &qr__model_key_rows[key];
    if (!qr__option_read(row, qr_text_of(text), &model->values[key], must))
        return qr_error_set(error, QR_BAD_OPTION, "%s: %.200s: must be %s", place, text, must);
    model->given[key] = true;
    if (row->type != QR_OPTION_TYPE_TEXT && row->type != QR_OPTION_TYPE_DEVICE)
        return QR_OK;
    model->values[key].text = qr_arena_text(&config->arena, qr_text_of(text)).data;
    return model->values[key].text != NULL
               ? QR_OK
               : qr_error_set(error, QR_NO_MEMORY, "%s: no memory for the value", place);
}

qr_status qr__model_add(qr_config *config, size_t index, char *const texts[QR_MODEL_KEY_COUNT],
                        const char *path, qr_text file, qr_error *error) {
    char place[QR_PATH_BYTES + 128];
    qr__model_setting *model = &config->models[index];
    qr_status status = QR_OK;
    place_key(place, sizeof place, path, file, index, NULL);
    model->source = qr_arena_text(&config->arena, qr_text_of(place)).data;
    if (model->source == NULL)
        return qr_error_set(error, QR_NO_MEMORY, "%s: no memory for its models", path);
    if (texts[QR_MODEL_KEY_PATH] == NULL)
        return qr_error_set(error, QR_BAD_OPTION, "%s: `path` is missing", place);
    for (qr_model_key key = 0; status == QR_OK && key < QR_MODEL_KEY_COUNT; key++) {
        if (texts[key] == NULL)
            continue;
        place_key(place, sizeof place, path, file, index, qr__model_key_rows[key].name);
        status = set_key(config, model, key, texts[key], place, error);
    }
    config->models_len = index + 1;
    return status;
}

size_t qr_config_models(const qr_config *config) {
    return config->models_len;
}

const qr_option_value *qr_config_model(const qr_config *config, size_t index, qr_model_key key) {
    const qr__model_setting *model = &config->models[index];
    return model->given[key] ? &model->values[key] : NULL;
}

const char *qr_config_model_source(const qr_config *config, size_t index) {
    return config->models[index].source;
}
