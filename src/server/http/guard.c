/* server/http/guard.c: the rules of docs/HTTP.md over one head.
 *
 * Each rule refuses; none repairs. A head that passes has one meaning for every HTTP parser in
 * front of us. */
#include "server/http/guard.h"

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

/* What an absolute target says before its path, cut off it; data NULL: it is not absolute. Of http
 * alone: who asks for https has not reached it here. */
static qr_text cut_authority(qr_text *target) {
    static const char scheme[] = "http://";
    const size_t len = sizeof scheme - 1;
    if (target->len < len || !qr_text_is_caseless((qr_text){target->data, len}, scheme))
        return (qr_text){0};
    qr_text rest = {target->data + len, target->len - len};
    size_t end = 0;
    while (end < rest.len && rest.data[end] != '/' && rest.data[end] != '?')
        end++;
    *target = (qr_text){rest.data + end, rest.len - end};
    return (qr_text){rest.data, end};
}

qr_status qr__guard_target(qr_text target, qr_text *authority, qr_text *path) {
    if (target.len > QR_LIMIT_URI_BYTES)
        return QR_URI_TOO_LONG;
    *authority = cut_authority(&target);
    if (authority->data == NULL && (target.len == 0 || target.data[0] != '/'))
        return QR_BAD_HTTP;
    *path = target;
    for (size_t i = 0; i < target.len; i++) {
        unsigned char c = (unsigned char)target.data[i];
        if (c <= 0x20 || c >= 0x7F || c == '#' || c == '\\' || c == '"' || c == '<' || c == '>')
            return QR_BAD_HTTP;
        if (c == '%' && i + 2 < target.len && target.data[i + 1] == '0' &&
            target.data[i + 2] == '0')
            return QR_BAD_HTTP;
        if (c == '?' && path->len == target.len)
            path->len = i;
    }
    if (path->len == 0)
        *path = qr_text_of("/"); /* of an absolute target: http://a is http://a/ */
    return has_dot_segment(*path) ? QR_BAD_HTTP : QR_OK;
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

/* The fields that we know. All others are checked and forgotten. */
typedef struct known_field {
    const char *name;
    size_t at; /* of its qr_http_value in qr_http_facts */
    bool once; /* twice is refused: two readers may believe one each */
} known_field;

static const known_field known_fields[] = {
    {"host", offsetof(qr_http_facts, host), true},
    {"content-length", offsetof(qr_http_facts, content_length), true},
    {"content-type", offsetof(qr_http_facts, content_type), true},
    {"content-encoding", offsetof(qr_http_facts, content_encoding), false},
    {"expect", offsetof(qr_http_facts, expect), false},
    {"transfer-encoding", offsetof(qr_http_facts, transfer_encoding), true},
    {"traceparent", offsetof(qr_http_facts, traceparent), false},
    {"x-request-budget-ms", offsetof(qr_http_facts, budget), false},
    {"x-envoy-expected-rq-timeout-ms", offsetof(qr_http_facts, envoy), false},
    {"x-request-start", offsetof(qr_http_facts, start), false},
    {"x-request-priority", offsetof(qr_http_facts, priority), false},
    {"accept", offsetof(qr_http_facts, accept), false},
    {"authorization", offsetof(qr_http_facts, authorization), true},
    {"origin", offsetof(qr_http_facts, origin), true},
    {"access-control-request-method", offsetof(qr_http_facts, asked_method), true},
    {"inference-header-content-length", offsetof(qr_http_facts, json_length), true},
};

static const known_field *find_known(qr_text name) {
    for (size_t i = 0; i < sizeof known_fields / sizeof known_fields[0]; i++)
        if (qr_text_is_caseless(name, known_fields[i].name))
            return &known_fields[i];
    return NULL;
}

static qr_status collect(const qr__http_head *head, qr_http_facts *facts) {
    if (head->fields_len > QR_LIMIT_HEADER_FIELDS)
        return QR_HEAD_TOO_LARGE;
    for (size_t i = 0; i < head->fields_len; i++) {
        qr_text name = head->fields[i].name, value = qr_text_trim(head->fields[i].value);
        if (!qr__guard_token(name) || !is_field_value(value))
            return QR_BAD_HTTP;
        const known_field *known = find_known(name);
        if (known == NULL)
            continue;
        qr_http_value *kept = (qr_http_value *)(void *)((char *)facts + known->at);
        if (kept->count > 0 && known->once)
            return QR_BAD_HTTP;
        kept->text = value;
        kept->count++;
    }
    return QR_OK;
}

/* Digits alone; beyond the maximum the exact value no longer matters. */
static qr_status read_length(qr_text text, size_t max_body_bytes, size_t *out) {
    uint64_t length = 0;
    if (text.len == 0)
        return QR_BAD_HTTP;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c < '0' || c > '9')
            return QR_BAD_HTTP;
        if (length <= max_body_bytes)
            length = length * 10 + (uint64_t)(c - '0');
    }
    *out = (size_t)length;
    return length > max_body_bytes ? QR_TOO_LARGE : QR_OK;
}

static bool has_no_body(qr_text method) {
    return qr_text_is(method, "GET") || qr_text_is(method, "HEAD");
}

/* Where the body ends must be said once: by Content-Length, or by chunks. */
static qr_status check_body(qr_http_facts *facts, bool http_1_0, size_t max_body_bytes) {
    if (facts->transfer_encoding.count > 0) {
        if (facts->content_length.count > 0 || http_1_0)
            return QR_BAD_HTTP;
        if (!qr_text_is_caseless(facts->transfer_encoding.text, "chunked"))
            return QR_NOT_IMPLEMENTED;
        facts->chunked = true;
        facts->body_bytes = max_body_bytes;
        return has_no_body(facts->method) ? QR_BAD_HTTP : QR_OK;
    }
    if (facts->content_length.count == 0)
        return qr_text_is(facts->method, "POST") ? QR_LENGTH_REQUIRED : QR_OK;
    qr_status status = read_length(facts->content_length.text, max_body_bytes, &facts->body_bytes);
    if (status != QR_OK)
        return status;
    /* servers disagree about reading such a body */
    return facts->body_bytes > 0 && has_no_body(facts->method) ? QR_BAD_HTTP : QR_OK;
}

qr_status qr__guard_check(const qr__http_head *head, size_t max_body_bytes, qr_http_facts *facts) {
    *facts = (qr_http_facts){.method = head->method};
    bool http_1_0 = qr_text_is(head->version, "HTTP/1.0");
    if (!http_1_0 && !qr_text_is(head->version, "HTTP/1.1"))
        return QR_BAD_HTTP;
    if (!qr__guard_token(head->method))
        return QR_BAD_HTTP;
    qr_text authority = {0};
    qr_status status = qr__guard_target(head->target, &authority, &facts->path);
    if (status == QR_OK)
        status = collect(head, facts);
    if (status != QR_OK)
        return status;
    bool hosted = facts->host.count == 0 ? http_1_0 : is_host(facts->host.text);
    /* An absolute target says the host once more; whoever routes by either must mean the same. */
    if (authority.data != NULL)
        hosted = hosted && facts->host.count > 0 && qr_text_equal(authority, facts->host.text);
    status = hosted ? check_body(facts, http_1_0, max_body_bytes) : QR_BAD_HTTP;
    facts->waits = !http_1_0 && facts->body_bytes > 0 &&
                   qr_text_is_caseless(facts->expect.text, "100-continue");
    return status;
}
