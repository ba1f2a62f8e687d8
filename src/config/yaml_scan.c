/* config/yaml_scan.c: what libcyaml takes in silence, and a file must not have: anchors, and a NUL
 * in a text, "a\0b", at which the text would end. */
#include <yaml.h>

#include "config/option.h"

static bool has_nul(const yaml_event_t *event) {
    return event->type == YAML_SCALAR_EVENT &&
           memchr(event->data.scalar.value, '\0', event->data.scalar.length) != NULL;
}

static bool has_anchor(const yaml_event_t *event) {
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return event->data.scalar.anchor != NULL;
    case YAML_SEQUENCE_START_EVENT:
        return event->data.sequence_start.anchor != NULL;
    case YAML_MAPPING_START_EVENT:
        return event->data.mapping_start.anchor != NULL;
    default:
        return false;
    }
}

static qr_status check(const yaml_event_t *event, const char *path, qr_error *error) {
    const size_t line = event->start_mark.line + 1;
    if (has_nul(event))
        return qr_error_set(error, QR_BAD_OPTION, "%s:%zu: a text with a NUL in it", path, line);
    if (has_anchor(event))
        return qr_error_set(error, QR_BAD_OPTION, "%s:%zu: an anchor (nothing can refer to it)",
                            path, line);
    return QR_OK;
}

qr_status qr__yaml_scan(const char *path, qr_text text, qr_error *error) {
    yaml_parser_t parser;
    qr_status status = QR_OK;
    if (yaml_parser_initialize(&parser) == 0)
        return qr_error_set(error, QR_NO_MEMORY, "%s: no memory to read it", path);
    yaml_parser_set_input_string(&parser, (const unsigned char *)text.data, text.len);
    for (bool more = true; more && status == QR_OK;) {
        yaml_event_t event;
        if (yaml_parser_parse(&parser, &event) == 0)
            break; /* libcyaml meets it too, and says what it is */
        status = check(&event, path, error);
        more = event.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return status;
}
