/* config/option_file.c: a YAML file of options, read by libcyaml. The schema is built from the
 * option table at run time, every value as a string, so that bounds and messages are those of the
 * other sources.
 *
 * libcyaml has no type for "a string or a list of strings", so a list that turns out to be a scalar
 * is read again as one. */
#include <cyaml/cyaml.h>

#include <stdio.h>
#include <stdlib.h>

#include "config/model_list.h"

/* What libcyaml fills; NULL where the file does not name the key. */
typedef struct model_values {
    char *text[QR_MODEL_KEY_COUNT];
} model_values;

typedef struct file_values {
    char *text[QR_OPTION_COUNT];
    char **items[QR_OPTION_COUNT];
    unsigned counts[QR_OPTION_COUNT];
    model_values *models;
    unsigned models_len;
} file_values;

/* What libcyaml said: its first message, and the innermost place of the backtrace behind it. */
typedef struct complaint {
    char message[256];
    bool warned; /* the one warning there is: documents behind the first are ignored */
    char field[QR__OPTION_NAME_BYTES];
    unsigned line;
    unsigned entry; /* of the innermost list, counted from 1 */
    bool in_models;
} complaint;

typedef struct file_schema {
    cyaml_schema_value_t item; /* of a list */
    cyaml_schema_field_t model_fields[QR_MODEL_KEY_COUNT + 1];
    cyaml_schema_value_t model;
    /* In the rows' order, with `models` for `config`, then an empty key. */
    cyaml_schema_field_t fields[QR_OPTION_COUNT + 1];
    cyaml_schema_value_t top;
} file_schema;

static const char past_label[] = "Load: ";

/* libcyaml returns an error code only; what is wrong and where it tells its log. */
static void hear(cyaml_log_t level, void *context, const char *format, va_list args) {
    complaint *heard = context;
    char line[sizeof heard->message];
    const char *place;
    heard->warned |= level == CYAML_LOG_WARNING;
    vsnprintf(line, sizeof line, format, args);
    line[strcspn(line, "\n")] = '\0';
    if (strncmp(line, past_label, sizeof past_label - 1) == 0) {
        if (heard->message[0] == '\0' && strstr(line, "Backtrace") == NULL)
            snprintf(heard->message, sizeof heard->message, "%s", line + sizeof past_label - 1);
    }
    if (heard->line == 0 && (place = strstr(line, "(line: ")) != NULL)
        heard->line = (unsigned)strtoul(place + 7, NULL, 10);
    if (heard->entry == 0 && (place = strstr(line, "sequence entry '")) != NULL)
        heard->entry = (unsigned)strtoul(place + sizeof "sequence entry '" - 1, NULL, 10);
    heard->in_models |= strstr(line, "mapping field '" QR__MODELS_KEY "'") != NULL;
    if (heard->field[0] == '\0' && (place = strstr(line, "mapping field '")) != NULL) {
        place += sizeof "mapping field '" - 1;
        snprintf(heard->field, sizeof heard->field, "%.*s", (int)strcspn(place, "'"), place);
    }
}

/* A list of mappings of the rows of model_keys.h. */
static cyaml_schema_field_t models_field(file_schema *schema, const cyaml_schema_value_t *text) {
    for (qr_model_key key = 0; key < QR_MODEL_KEY_COUNT; key++)
        schema->model_fields[key] = (cyaml_schema_field_t){
            .key = qr__model_key_rows[key].name,
            .data_offset = (uint32_t)(offsetof(model_values, text) + key * sizeof(char *)),
            .value = *text};
    schema->model = (cyaml_schema_value_t){.type = CYAML_MAPPING,
                                           .flags = CYAML_FLAG_DEFAULT,
                                           .data_size = sizeof(model_values),
                                           .mapping = {schema->model_fields}};
    return (cyaml_schema_field_t){.key = QR__MODELS_KEY,
                                  .data_offset = offsetof(file_values, models),
                                  .count_offset = offsetof(file_values, models_len),
                                  .count_size = sizeof(unsigned),
                                  .value = {.type = CYAML_SEQUENCE,
                                            .flags = text->flags,
                                            .data_size = sizeof(model_values),
                                            .sequence = {&schema->model, 0, CYAML_UNLIMITED}}};
}

/* `as_text`: lists that the file gives as one string. */
static void schema_init(file_schema *schema, const bool as_text[QR_OPTION_COUNT]) {
    const cyaml_schema_value_t text = {.type = CYAML_STRING,
                                       .flags = CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL,
                                       .data_size = sizeof(char),
                                       .string = {.min = 0, .max = QR_LIMIT_CONFIG_FILE_BYTES}};
    *schema = (file_schema){.item = text};
    schema->item.flags = CYAML_FLAG_POINTER;
    cyaml_schema_field_t *field = schema->fields;
    for (qr_option option = 0; option < QR_OPTION_COUNT; option++) {
        if (option == QR_OPTION_CONFIG) {
            *field++ = models_field(schema, &text);
            continue;
        }
        *field = (cyaml_schema_field_t){
            .key = qr_option_name(option),
            .data_offset = (uint32_t)(offsetof(file_values, text) + option * sizeof(char *)),
            .value = text};
        if (qr__option_rows[option].type == QR_OPTION_TYPE_LIST && !as_text[option]) {
            field->data_offset =
                (uint32_t)(offsetof(file_values, items) + option * sizeof(char **));
            field->count_offset =
                (uint32_t)(offsetof(file_values, counts) + option * sizeof(unsigned));
            field->count_size = sizeof(unsigned);
            field->value = (cyaml_schema_value_t){.type = CYAML_SEQUENCE,
                                                  .flags = text.flags,
                                                  .data_size = sizeof(char *),
                                                  .sequence = {&schema->item, 0, CYAML_UNLIMITED}};
        }
        field++;
    }
    schema->top = (cyaml_schema_value_t){.type = CYAML_MAPPING,
                                         .flags = CYAML_FLAG_POINTER_NULL, /* "---" alone */
                                         .data_size = sizeof(file_values),
                                         .mapping = {schema->fields}};
}

/* Whether a line without the blanks before it says nothing of a mapping. */
static bool is_aside(qr_text line) {
    return line.len == 0 || line.data[0] == '#' || line.data[0] == '%' ||
           (line.len >= 3 && memcmp(line.data, "---", 3) == 0);
}

/* The line on which a top-level key stands, counted from 1; 0: not found (a flow mapping, an
 * escaped key). libcyaml names the place of the token before an unknown key, and none for values
 * that it has taken. Keys of `models` have names that options have, and more blanks before them. */
static size_t find_line(qr_text text, const char *key) {
    size_t line = 1, len = strlen(key), top = SIZE_MAX;
    for (size_t at = 0; at < text.len; line++) {
        size_t end = at, begin = at;
        while (end < text.len && text.data[end] != '\n')
            end++;
        while (begin < end && text.data[begin] == ' ')
            begin++;
        if (top == SIZE_MAX && !is_aside((qr_text){text.data + begin, end - begin}))
            top = begin - at;
        const bool is_top = begin - at == top;
        begin += begin < end && (text.data[begin] == '"' || text.data[begin] == '\'');
        if (is_top && end - begin > len && memcmp(text.data + begin, key, len) == 0 &&
            strchr(": \"'", text.data[begin + len]) != NULL)
            return line;
        at = end + 1;
    }
    return 0;
}

/* libcyaml's complaint in the words of this house. */
static qr_status explain(const char *path, qr_text text, const complaint *heard, cyaml_err_t fault,
                         qr_error *error) {
    static const char unexpected[] = "Unexpected key: ";
    char place[QR_PATH_BYTES + 32];
    if (fault == CYAML_ERR_OOM)
        return qr_error_set(error, QR_NO_MEMORY, "%s: no memory to read it", path);
    bool unknown = strncmp(heard->message, unexpected, sizeof unexpected - 1) == 0;
    const char *key = unknown ? heard->message + sizeof unexpected - 1 : heard->field;
    if (unknown && heard->in_models)
        return qr__model_key_unknown(heard->entry - 1, key, path, text, error);
    size_t line = unknown ? find_line(text, key) : heard->line;
    if (line > 0)
        snprintf(place, sizeof place, "%s:%zu: ", path, line);
    else
        snprintf(place, sizeof place, "%s: ", path);
    if (unknown && strcmp(key, qr_option_name(QR_OPTION_CONFIG)) == 0)
        return qr_error_set(error, QR_BAD_OPTION, "%s%s: a file cannot name another", place, key);
    if (unknown)
        return qr__option_unknown(place, "", qr_text_of(key), error);
    return qr_error_set(
        error, QR_BAD_OPTION, "%s%s%s%s (%s)", place, key, key[0] == '\0' ? "" : ": ",
        heard->message[0] == '\0' ? cyaml_strerror(fault) : heard->message,
        heard->in_models ? QR__MODELS_KEY " must be a list of flat mappings"
                         : "the file must be one flat YAML mapping of option names");
}

static qr_status store_models(qr_config *config, const file_values *values, const char *path,
                              qr_text text, qr_error *error) {
    qr_status status = QR_OK;
    size_t line = find_line(text, QR__MODELS_KEY);
    /* Of an empty list libcyaml tells as little as of none. */
    if (values->models == NULL ? line > 0 : values->models_len > QR_LIMIT_MODELS)
        return qr_error_set(error, QR_BAD_OPTION,
                            "%s:%zu: " QR__MODELS_KEY ": must be a list of 1..%u models", path,
                            line, QR_LIMIT_MODELS);
    for (size_t i = 0; status == QR_OK && values->models != NULL && i < values->models_len; i++)
        status = qr__model_add(config, i, values->models[i].text, path, text, error);
    return status;
}

/* Hands the file's values to their options. */
static qr_status store(qr_config *config, const file_values *values,
                       const bool as_text[QR_OPTION_COUNT], const char *path, qr_text text,
                       qr_error *error) {
    for (qr_option option = 0; option < QR_OPTION_COUNT; option++) {
        qr__origin origin = {QR_ORIGIN_FILE, path, find_line(text, qr_option_name(option))};
        qr_status status = QR_OK;
        bool list = qr__option_rows[option].type == QR_OPTION_TYPE_LIST && !as_text[option];
        if (list && values->items[option] != NULL) {
            size_t len = values->counts[option];
            qr_text *items = calloc(len + 1, sizeof *items);
            if (items == NULL)
                return qr_error_set(error, QR_NO_MEMORY, "%s: no memory to read it", path);
            for (size_t i = 0; i < len; i++)
                items[i] = qr_text_of(values->items[option][i]);
            status = qr__option_set(config, option, items, len, origin, error);
            free(items);
        } else if (!list && values->text[option] != NULL) {
            qr_text item = qr_text_of(values->text[option]);
            status = qr__option_set(config, option, &item, 1, origin, error);
        }
        if (status != QR_OK)
            return status;
    }
    return QR_OK;
}

/* One reading; true in *again when a list turned out to be a scalar and as_text was changed. */
static qr_status read_once(qr_config *config, const char *path, qr_text text,
                           bool as_text[QR_OPTION_COUNT], bool *again, qr_error *error) {
    complaint heard = {0};
    file_schema schema;
    file_values *values = NULL;
    qr_status status = QR_OK;
    const cyaml_config_t reader = {.log_fn = hear,
                                   .log_ctx = &heard,
                                   .mem_fn = cyaml_mem,
                                   .log_level = CYAML_LOG_WARNING,
                                   .flags = CYAML_CFG_NO_ALIAS};
    schema_init(&schema, as_text);
    *again = false;
    cyaml_err_t fault = cyaml_load_data((const uint8_t *)text.data, text.len, &reader, &schema.top,
                                        (cyaml_data_t **)&values, NULL);
    qr_option option = qr__option_find(qr_text_of(heard.field));
    if (fault == CYAML_OK && heard.warned) {
        status = qr_error_set(error, QR_BAD_OPTION, "%s: has more than one YAML document", path);
    } else if (fault == CYAML_OK) {
        if (values != NULL) /* an empty file is an empty mapping */
            status = store(config, values, as_text, path, text, error);
        if (values != NULL && status == QR_OK)
            status = store_models(config, values, path, text, error);
    } else if (option < QR_OPTION_COUNT && qr__option_rows[option].type == QR_OPTION_TYPE_LIST &&
               !as_text[option] && strstr(heard.message, "got event: SCALAR") != NULL) {
        as_text[option] = true;
        *again = true;
    } else {
        status = explain(path, text, &heard, fault, error);
    }
    if (values != NULL)
        cyaml_free(&reader, &schema.top, values, 0);
    return status;
}

qr_status qr__option_file_load(qr_config *config, const char *path, qr_error *error) {
    bool as_text[QR_OPTION_COUNT] = {false};
    bool again = true;
    char *data = NULL;
    size_t len = 0;
    qr_status status = qr_file_read(path, QR_LIMIT_CONFIG_FILE_BYTES, &data, &len, error);
    if (status != QR_OK) {
        if (error != NULL && status != QR_NO_MEMORY) /* the message names the file and why */
            error->status = QR_BAD_OPTION;
        return status == QR_NO_MEMORY ? status : QR_BAD_OPTION;
    }
    /* A NUL would end a value early, silently. */
    if (memchr(data, '\0', len) != NULL)
        status = qr_error_set(error, QR_BAD_OPTION, "%s: has a NUL byte; expected YAML text", path);
    if (status == QR_OK)
        status = qr__yaml_scan(path, (qr_text){data, len}, error);
    while (status == QR_OK && again)
        status = read_once(config, path, (qr_text){data, len}, as_text, &again, error);
    free(data);
    return status;
}
