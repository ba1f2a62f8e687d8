/* library/arguments.c: checks of what a caller passes, and public statuses. */
#include "library/arguments.h"

#include <stdarg.h>
#include <stdio.h>

#define STRUCT_BYTES_MOST 4096u /* a larger struct_size is no size but something else */

static const char *const status_texts[] = {
    [QR_LIB_OK] = "ok",
    [QR_LIB_BAD_ARGUMENT] = "an argument is not valid",
    [QR_LIB_BAD_DEVICE] = "the device or precision cannot be had here",
    [QR_LIB_BAD_MODEL] = "the model cannot be used",
    [QR_LIB_IO] = "a file could not be read",
    [QR_LIB_NO_MEMORY] = "out of memory",
    [QR_LIB_WRONG_KIND] = "the model is of another kind",
    [QR_LIB_EMPTY_INPUT] = "a text must not be empty",
    [QR_LIB_TOO_LONG] = "a text is too long for the model",
    [QR_LIB_NO_ROOM] = "the array for the results is too short",
    [QR_LIB_INTERNAL] = "internal error",
    [QR_LIB_DEVICE] = "the device failed",
};

const char *qr_lib_status_text(qr_lib_status status) {
    size_t count = sizeof status_texts / sizeof status_texts[0];
    return (unsigned)status < count ? status_texts[status] : "unknown status";
}

const char *qr_lib_version(void) {
    return QR_VERSION;
}

/* Paths and what models' files say may hold any: the message stays one line, and no terminal that
 * shows it does anything else. */
static void hide_control_bytes(char *message) {
    for (; *message != '\0'; message++)
        if ((unsigned char)*message < 0x20 || *message == 0x7F)
            *message = '?';
}

qr_lib_status qr__lib_fault(qr_lib_error *error, qr_lib_status status, const char *format, ...) {
    if (error == NULL)
        return status;
    va_list args;
    va_start(args, format);
    vsnprintf(error->message, sizeof error->message, format, args);
    va_end(args);
    hide_control_bytes(error->message);
    return status;
}

qr_lib_status qr__lib_status_of(qr_status status) {
    switch (status) {
    case QR_OK:
        return QR_LIB_OK;
    case QR_BAD_OPTION:
        return QR_LIB_BAD_DEVICE;
    case QR_BAD_MODEL:
    case QR_TOO_LARGE: /* of a model's file */
        return QR_LIB_BAD_MODEL;
    case QR_BAD_REQUEST:
        return QR_LIB_BAD_ARGUMENT;
    case QR_EMPTY_INPUT:
        return QR_LIB_EMPTY_INPUT;
    case QR_TOO_LONG:
        return QR_LIB_TOO_LONG;
    case QR_NO_MEMORY:
        return QR_LIB_NO_MEMORY;
    case QR_IO:
        return QR_LIB_IO;
    case QR_DEVICE:
        return QR_LIB_DEVICE;
    default:
        return QR_LIB_INTERNAL;
    }
}

qr_lib_status qr__lib_begin(const void *pointer, const char *name, qr_lib_error *error) {
    if (error != NULL)
        error->message[0] = '\0';
    return pointer != NULL ? QR_LIB_OK
                           : qr__lib_fault(error, QR_LIB_BAD_ARGUMENT, "%s is NULL", name);
}

qr_lib_status qr__lib_size_check(const char *name, size_t size, size_t first_size,
                                 qr_lib_error *error) {
    return size >= first_size && size <= STRUCT_BYTES_MOST
               ? QR_LIB_OK
               : qr__lib_fault(error, QR_LIB_BAD_ARGUMENT,
                               "%s: struct_size is %zu; it must be sizeof(%s)", name, size, name);
}

qr_lib_status qr__lib_options_read(const void *given, void *own, size_t own_size, size_t first_size,
                                   const char *name, qr_lib_error *error) {
    memset(own, 0, own_size);
    if (given == NULL)
        return QR_LIB_OK;
    size_t size;
    memcpy(&size, given, sizeof size);
    qr_lib_status status = qr__lib_size_check(name, size, first_size, error);
    if (status != QR_LIB_OK)
        return status;
    for (size_t i = own_size; i < size; i++)
        if (((const unsigned char *)given)[i] != 0)
            return qr__lib_fault(error, QR_LIB_BAD_ARGUMENT,
                                 "%s: a member is set that querent " QR_VERSION " does not know",
                                 name);
    memcpy(own, given, qr_min(size, own_size));
    return QR_LIB_OK;
}

qr_lib_status qr__lib_text_check(const char *name, qr_lib_text text, qr_lib_error *error) {
    if (text.data == NULL && text.size > 0)
        return qr__lib_fault(error, QR_LIB_BAD_ARGUMENT, "%s.data is NULL, its size is not 0",
                             name);
    if (text.size > QR_LIMIT_BODY_BYTES)
        return qr__lib_fault(error, QR_LIB_TOO_LONG, "%s has %zu bytes, more than %u", name,
                             text.size, QR_LIMIT_BODY_BYTES);
    return QR_LIB_OK;
}

qr_lib_status qr__lib_texts_check(const char *name, const qr_lib_text *texts, size_t count,
                                  qr_lib_error *error) {
    if (texts == NULL && count > 0)
        return qr__lib_fault(error, QR_LIB_BAD_ARGUMENT, "%s is NULL", name);
    for (size_t i = 0; i < count; i++) {
        bool fits =
            (texts[i].data != NULL || texts[i].size == 0) && texts[i].size <= QR_LIMIT_BODY_BYTES;
        char item[48]; /* made for the message alone: there may be millions of texts */
        if (fits)
            continue;
        snprintf(item, sizeof item, "%s[%zu]", name, i);
        return qr__lib_text_check(item, texts[i], error);
    }
    return QR_LIB_OK;
}

qr_lib_status qr__lib_room_check(const char *name, const void *out, size_t room, size_t count,
                                 size_t each, qr_lib_error *error) {
    size_t need;
    if (!qr_checked_mul(count, each, &need))
        return qr__lib_fault(error, QR_LIB_BAD_ARGUMENT, "%zu results of %zu numbers: too many",
                             count, each);
    if (room < need)
        return qr__lib_fault(error, QR_LIB_NO_ROOM, "%s has room for %zu, and %zu are needed", name,
                             room, need);
    if (out == NULL && need > 0)
        return qr__lib_fault(error, QR_LIB_BAD_ARGUMENT, "%s is NULL", name);
    return QR_LIB_OK;
}

qr_lib_status qr__lib_number_check(const char *name, size_t number, size_t most,
                                   qr_lib_error *error) {
    return number <= most ? QR_LIB_OK
                          : qr__lib_fault(error, QR_LIB_BAD_ARGUMENT,
                                          "%s is %zu; it must be 0 to %zu", name, number, most);
}

qr_lib_status qr__lib_choice_check(const char *name, int choice, int most, qr_lib_error *error) {
    return choice >= 0 && choice <= most
               ? QR_LIB_OK
               : qr__lib_fault(error, QR_LIB_BAD_ARGUMENT, "%s is %d; it must be 0 to %d", name,
                               choice, most);
}
