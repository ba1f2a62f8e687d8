/* server/http/guard.c: the rules of docs/HTTP.md over one head.
 *
 * Each rule refuses; none repairs. A head that passes has one meaning for every HTTP parser in
 * front of us. */
#include "server/http/guard.h"

#include <strings.h>

static bool name_is(qr_text name, const char *wanted) {
    size_t len = strlen(wanted);
    return name.len == len && strncasecmp(name.data, wanted, len) == 0;
}

/* RFC 9110's tchar. */
static bool is_token_byte(unsigned char c) {
    if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
        return true;
    return c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

bool qr__guard_token(qr_text text) {
    for (size_t i = 0; i < text.len; i++) {
        if (!is_token_byte((unsigned char)text.data[i]))
            return false;
    }
    return text.len > 0;
}

/* Field values hold visible bytes, blanks, tabs and bytes above 7F; a control byte may end a line
 * for someone else. */
static bool is_field_value(qr_text value) {
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.data[i];
        if ((c < 0x20 && c != '\t') || c == 0x7F)
            return false;
    }
    return true;
}

static qr_text trim(qr_text text) {
    while (text.len > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text.data++;
        text.len--;
    }
    while (text.len > 0 && (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == '\t'))
        text.len--;
    return text;
}

/* A "." or ".." between slashes: routes have none, and what removes them in front of us may do it
 * otherwise. */
static bool has_dot_segment(qr_text path) {
    for (size_t i = 0; i < path.len; i++) {
        if (path.data[i] != '/')
            continue;
        size_t dots = i + 1;
        while (dots < path.len && path.data[dots] == '.')
            dots++;
        bool ends = dots == path.len || path.data[dots] == '/';
        if (ends && (dots - i == 2 || dots - i == 3))
            return true;
    }
    return false;
}

qr_status qr__guard_target(qr_text target) {
    if (target.len > QR_LIMIT_URI_BYTES)
        return QR_URI_TOO_LONG;
    if (target.len == 0 || target.data[0] != '/')
        return QR_BAD_HTTP;
    qr_text path = target;
    for (size_t i = 0; i < target.len; i++) {
        unsigned char c = (unsigned char)target.data[i];
        if (c <= 0x20 || c >= 0x7F || c == '#' || c == '\\' || c == '"' || c == '<' || c == '>')
            return QR_BAD_HTTP;
        if (c == '%' && i + 2 < target.len && target.data[i + 1] == '0' &&
            target.data[i + 2] == '0')
            return QR_BAD_HTTP;
        if (c == '?' && path.len == target.len)
            path.len = i;
    }
    return has_dot_segment(path) ? QR_BAD_HTTP : QR_OK;
}

/* host[:port] without user, path or list; brackets for IPv6. */
static bool is_host(qr_text host) {
    for (size_t i = 0; i < host.len; i++) {
        unsigned char c = (unsigned char)host.data[i];
        bool word = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
        if (!word && (c == '\0' || strchr(".-_~:[]", c) == NULL))
            return false;
    }
    return host.len > 0;
}

static bool is_hex(qr_text text) {
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
    }
    return true;
}

/* W3C trace context: version-traceid-parentid-flags in lower-case hex. An invalid one is ignored,
 * as the standard asks. */
static qr_text trace_of(qr_text value) {
    static const char zeros[] = "00000000000000000000000000000000";
    const qr_text none = {NULL, 0};
    if (value.len < 55 || value.data[2] != '-' || value.data[35] != '-' || value.data[52] != '-')
        return none;
    qr_text version = {value.data, 2}, trace = {value.data + 3, 32};
    if (!is_hex(version) || qr_text_is(version, "ff") || !is_hex(trace) || qr_text_is(trace, zeros))
        return none;
    bool longer_allowed = !qr_text_is(version, "00") && (value.len == 55 || value.data[55] == '-');
    return value.len == 55 || longer_allowed ? trace : none;
}

/* The fields that decide where the message ends, and how often each was seen. */
typedef struct framing {
    size_t hosts, lengths, encodings, budgets, types;
    qr_text host, length, encoding, budget;
} framing;

static qr_status collect(const qr_http_head *head, framing *f, qr_http_facts *facts) {
    if (head->fields_len > QR_LIMIT_HEADER_FIELDS)
        return QR_HEAD_TOO_LARGE;
    for (size_t i = 0; i < head->fields_len; i++) {
        qr_text name = head->fields[i].name, value = trim(head->fields[i].value);
        if (!qr__guard_token(name) || !is_field_value(value))
            return QR_BAD_HTTP;
        if (name_is(name, "host")) {
            f->hosts++;
            f->host = value;
        } else if (name_is(name, "content-length")) {
            f->lengths++;
            f->length = value;
        } else if (name_is(name, "transfer-encoding")) {
            f->encodings++;
            f->encoding = value;
        } else if (name_is(name, "x-request-budget-ms")) {
            f->budgets++;
            f->budget = value;
        } else if (name_is(name, "content-type")) {
            f->types++;
            facts->body_type = value;
        } else if (name_is(name, "traceparent")) {
            facts->trace = trace_of(value);
        }
    }
    return QR_OK;
}

/* Where the body ends must be said once, by Content-Length. */
static qr_status check_body(const qr_http_head *head, const framing *f, bool http_1_0,
                            size_t max_body_bytes, qr_http_facts *facts) {
    if (f->encodings > 0) {
        if (f->encodings > 1 || f->lengths > 0 || http_1_0)
            return QR_BAD_HTTP;
        return name_is(f->encoding, "chunked") ? QR_LENGTH_REQUIRED : QR_NOT_IMPLEMENTED;
    }
    if (f->lengths > 1)
        return QR_BAD_HTTP;
    bool post = qr_text_is(head->method, "POST");
    if (f->lengths == 0)
        return post ? QR_LENGTH_REQUIRED : QR_OK;
    uint64_t length = 0;
    if (f->length.len == 0)
        return QR_BAD_HTTP;
    for (size_t i = 0; i < f->length.len; i++) {
        char c = f->length.data[i];
        if (c < '0' || c > '9')
            return QR_BAD_HTTP;
        if (length <= max_body_bytes) /* beyond the maximum its exact value no longer matters */
            length = length * 10 + (uint64_t)(c - '0');
    }
    if (length > max_body_bytes)
        return QR_TOO_LARGE;
    if (length > 0 && (qr_text_is(head->method, "GET") || qr_text_is(head->method, "HEAD")))
        return QR_BAD_HTTP; /* a body that servers disagree about reading */
    facts->body_bytes = (size_t)length;
    return QR_OK;
}

qr_status qr__guard_check(const qr_http_head *head, size_t max_body_bytes, qr_http_facts *facts) {
    *facts = (qr_http_facts){.budget_ms = QR_NO_BUDGET};
    framing f = {0};
    bool http_1_0 = qr_text_is(head->version, "HTTP/1.0");
    if (!http_1_0 && !qr_text_is(head->version, "HTTP/1.1"))
        return QR_BAD_HTTP;
    if (!qr__guard_token(head->method))
        return QR_BAD_HTTP;
    qr_status status = qr__guard_target(head->target);
    if (status != QR_OK)
        return status;
    status = collect(head, &f, facts);
    if (status != QR_OK)
        return status;
    if (f.hosts > 1 || (f.hosts == 0 && !http_1_0) || (f.hosts == 1 && !is_host(f.host)))
        return QR_BAD_HTTP;
    status = check_body(head, &f, http_1_0, max_body_bytes, facts);
    if (status != QR_OK)
        return status;
    if (f.budgets > 1 || f.types > 1)
        return QR_BAD_HTTP;
    if (f.budgets == 1) {
        uint64_t ms;
        if (!qr_text_to_u64(f.budget, UINT64_MAX - 1, &ms))
            return QR_BAD_HTTP;
        facts->budget_ms = ms < QR_LIMIT_BUDGET_MS ? ms : QR_LIMIT_BUDGET_MS;
    }
    return QR_OK;
}
