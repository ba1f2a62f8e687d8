/* server/http/fields.c: the head that libmicrohttpd has parsed, as the guard wants to see it. */
#include "server/http/guard.h"
#include "server/http/http_internal.h"

typedef struct field_list {
    qr__http_field fields[QR_LIMIT_HEADER_FIELDS + 1]; /* one more, so that too many show */
    size_t len;
} field_list;

static enum MHD_Result add_field(void *state, enum MHD_ValueKind kind, const char *name,
                                 size_t name_len, const char *value, size_t value_len) {
    (void)kind;
    field_list *list = state;
    if (list->len <= QR_LIMIT_HEADER_FIELDS)
        list->fields[list->len++] =
            (qr__http_field){{name, name_len}, {value == NULL ? "" : value, value_len}};
    return MHD_YES;
}

bool qr__mhd_is_old(void) {
    return strncmp(MHD_get_version(), "0.9.", 4) == 0;
}

/* libmicrohttpd 0.9.75 cuts the head into C strings where it lies, a NUL for each byte of a line's
 * end. So a line that ended in a bare LF, held a NUL, or was folded shows in how the strings lie
 * behind each other, from the method to the head's end. 1.0 lays out otherwise. */
static bool lines_adjoin(struct MHD_Connection *mhd, const char *url, const char *method,
                         const char *version, size_t target_len, const field_list *list) {
    if (!qr__mhd_is_old())
        return true;
    const union MHD_ConnectionInfo *size =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    const char *next = version + strlen(version) + 2;
    if (size == NULL || method + strlen(method) + 1 != url || url + target_len + 1 != version ||
        next[-1] != '\0')
        return false;
    for (size_t i = 0; i < list->len; i++) {
        const qr__http_field *f = &list->fields[i];
        if (f->name.data != next || f->value.data[f->value.len + 1] != '\0')
            return false;
        next = f->value.data + f->value.len + 2;
    }
    return next + 2 == method + size->header_size;
}

qr_status qr__fields_check(const qr__connection *c, const char *url, const char *method,
                           const char *version, qr_http_facts *facts) {
    const qr__request *r = c->request;
    field_list list;
    list.len = 0;
    if (r->target_too_long)
        return QR_URI_TOO_LONG;
    MHD_get_connection_values_n(c->mhd, MHD_HEADER_KIND, add_field, &list);
    const qr__http_head head = {.method = qr_text_of(method),
                                .target = {r->target, r->target_len},
                                .version = qr_text_of(version),
                                .fields = list.fields,
                                .fields_len = list.len};
    qr_status status = qr__guard_check(&head, c->http->options.max_body_bytes, facts);
    if (status == QR_OK && !lines_adjoin(c->mhd, url, method, version, r->target_len, &list))
        return QR_BAD_HTTP;
    return status;
}
