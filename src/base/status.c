/* base/status.c: the tables behind status.h. */
#include "base/status.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>

typedef struct status_row {
    const char *name;
    const char *sentence;
    int http;
} status_row;

static const status_row rows[QR_STATUS_COUNT] = {
#define QR_X(name, http, sentence) {#name, sentence, http},
    QR_STATUS_LIST(QR_X)
#undef QR_X
};

/* Lower-case names are made once; the table's rows are written in capitals because they are also
 * the enum's suffixes. */
static char names[QR_STATUS_COUNT][24];

__attribute__((constructor)) static void lower_names(void) {
    for (size_t s = 0; s < QR_STATUS_COUNT; s++)
        for (size_t i = 0; rows[s].name[i] != '\0' && i + 1 < sizeof names[s]; i++)
            names[s][i] = (char)tolower((unsigned char)rows[s].name[i]);
}

const char *qr_status_name(qr_status status) {
    return (unsigned)status < QR_STATUS_COUNT ? names[status] : "internal";
}

const char *qr_status_sentence(qr_status status) {
    return rows[(unsigned)status < QR_STATUS_COUNT ? status : QR_INTERNAL].sentence;
}

int qr_status_http(qr_status status) {
    return rows[(unsigned)status < QR_STATUS_COUNT ? status : QR_INTERNAL].http;
}

qr_status qr_error_set(qr_error *error, qr_status status, const char *format, ...) {
    if (error == NULL)
        return status;
    error->status = status;
    va_list args;
    va_start(args, format);
    vsnprintf(error->message, sizeof error->message, format, args);
    va_end(args);
    return status;
}
