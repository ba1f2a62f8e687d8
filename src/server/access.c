/* server/access.c: keys read from a file, compared in constant time; origins compared as they are.
 * */
#include "server/access.h"

#include <stdlib.h>
#include <strings.h>

/* Padded with zeros, so that all comparisons are of one length. */
typedef struct key {
    unsigned char bytes[QR_LIMIT_KEY_BYTES];
    size_t len;
} key;

struct qr__key_list {
    key items[QR_LIMIT_KEYS];
    size_t len;
};

#define KEY_FILE_BYTES (64u << 10)
#define ORIGIN_BYTES   sizeof(((qr_http_header *)NULL)->value)

static bool is_key(qr_text text) {
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] <= ' ' || text.data[i] > '~')
            return false;
    return text.len > 0 && text.len < QR_LIMIT_KEY_BYTES;
}

/* The line at *at without blanks around it; *at moves behind it. */
static qr_text next_line(qr_text text, size_t *at) {
    const char *begin = text.data + *at;
    const char *end = memchr(begin, '\n', text.len - *at);
    size_t len = end == NULL ? text.len - *at : (size_t)(end - begin);
    *at += len + (end != NULL);
    len -= len > 0 && begin[len - 1] == '\r';
    return qr_text_trim((qr_text){begin, len});
}

static qr_status parse_keys(const char *path, qr_text text, qr__key_list *keys, qr_error *error) {
    size_t number = 0;
    for (size_t at = 0; at < text.len;) {
        qr_text line = next_line(text, &at);
        number++;
        if (line.len == 0 || line.data[0] == '#')
            continue;
        if (!is_key(line))
            return qr_error_set(error, QR_BAD_OPTION,
                                "%s:%zu: a key must be 1 to %u visible ASCII characters", path,
                                number, QR_LIMIT_KEY_BYTES - 1);
        if (keys->len == QR_LIMIT_KEYS)
            return qr_error_set(error, QR_BAD_OPTION, "%s:%zu: at most %u keys", path, number,
                                QR_LIMIT_KEYS);
        key *item = &keys->items[keys->len++];
        memcpy(item->bytes, line.data, line.len);
        item->len = line.len;
    }
    return keys->len > 0
               ? QR_OK
               : qr_error_set(error, QR_BAD_OPTION, "%s: holds no key (one a line)", path);
}

static qr_status read_keys(const char *path, qr__key_list **out, qr_error *error) {
    char *text;
    size_t len;
    *out = NULL;
    qr_status status = qr_file_read(path, KEY_FILE_BYTES, &text, &len, error);
    if (status != QR_OK)
        return status == QR_NO_MEMORY ? status : QR_BAD_OPTION;
    qr__key_list *keys = calloc(1, sizeof *keys);
    status = keys == NULL ? qr_error_set(error, QR_NO_MEMORY, "%s: no memory", path)
                          : parse_keys(path, (qr_text){text, len}, keys, error);
    explicit_bzero(text, len);
    free(text);
    if (status == QR_OK)
        *out = keys;
    else
        free(keys);
    return status;
}

static void free_keys(qr__key_list *keys) {
    if (keys != NULL)
        explicit_bzero(keys, sizeof *keys);
    free(keys);
}

/* scheme://host[:port] without a path, as browsers send it; or everybody. */
static bool is_origin(const char *text) {
    const char *host = strstr(text, "://");
    return strcmp(text, "*") == 0 ||
           (host != NULL && host > text && host[3] != '\0' && strlen(text) < ORIGIN_BYTES &&
            strpbrk(host + 3, "/ ?#@") == NULL);
}

qr_status qr__access_init(qr__access *access, const char *key_file, qr_error *error) {
    *access = (qr__access){.key_file = key_file};
    return qr__access_reload(access, error);
}

qr_status qr__access_allow(qr__access *access, const char *const *origins, size_t origins_len,
                           qr_error *error) {
    for (size_t i = 0; i < origins_len; i++)
        if (!is_origin(origins[i]))
            return qr_error_set(error, QR_BAD_OPTION, "%.200s: must be * or scheme://host[:port]",
                                origins[i]);
    access->origins = origins;
    access->origins_len = origins_len;
    return QR_OK;
}

void qr__access_deinit(qr__access *access) {
    free_keys(access->keys);
    *access = (qr__access){0};
}

qr_status qr__access_reload(qr__access *access, qr_error *error) {
    qr__key_list *keys;
    if (access->key_file == NULL)
        return QR_OK;
    qr_status status = read_keys(access->key_file, &keys, error);
    if (status != QR_OK)
        return status;
    free_keys(access->keys);
    access->keys = keys;
    return QR_OK;
}

/* Every byte of every key is looked at, whatever is equal: how long it takes tells nothing of how
 * far a guess was right. */
static bool holds(const qr__key_list *keys, qr_text given) {
    unsigned char padded[QR_LIMIT_KEY_BYTES] = {0};
    unsigned found = 0;
    if (given.len >= sizeof padded)
        return false;
    memcpy(padded, given.data, given.len);
    for (size_t k = 0; k < keys->len; k++) {
        const volatile unsigned char *bytes = keys->items[k].bytes;
        unsigned differs = keys->items[k].len != given.len;
        for (size_t i = 0; i < sizeof padded; i++)
            differs |= (unsigned)(bytes[i] ^ padded[i]);
        found |= differs == 0;
    }
    return found != 0;
}

/* RFC 9110, 11.1 and 11.4: the scheme in any case, then one space or more. */
bool qr__access_admits(const qr__access *access, const qr_http_value *authorization) {
    static const char scheme[] = "Bearer ";
    size_t skip = sizeof scheme - 1;
    qr_text value = authorization->text;
    if (access->keys == NULL)
        return true;
    if (authorization->count != 1 || value.len <= skip ||
        strncasecmp(value.data, scheme, skip) != 0)
        return false;
    while (skip < value.len && value.data[skip] == ' ')
        skip++;
    return holds(access->keys, (qr_text){value.data + skip, value.len - skip});
}

const char *qr__access_origin(const qr__access *access, const qr_http_value *origin) {
    if (origin->count != 1)
        return NULL;
    for (size_t i = 0; i < access->origins_len; i++)
        if (strcmp(access->origins[i], "*") == 0 || qr_text_is(origin->text, access->origins[i]))
            return access->origins[i];
    return NULL;
}

bool qr__access_is_preflight(const qr_http_facts *facts) {
    return qr_text_is(facts->method, "OPTIONS") && facts->origin.count == 1 &&
           facts->asked_method.count == 1;
}

/* "*" is every name but Authorization, where no credentials of the browser's own are let in (there
 * is no Access-Control-Allow-Credentials): whatever a client adds, as OpenAI's adds x-stainless-*,
 * and whatever an answer has. Browsers from before 2022 go by the names behind it. */
void qr__access_add_fields(qr_http_request *request, const char *origin, const char *methods) {
    qr_http_header_add(request, "Access-Control-Allow-Origin", origin);
    if (methods == NULL) {
        qr_http_header_add_fixed(request, "Access-Control-Expose-Headers",
                                 "*, inference-header-content-length, retry-after, retry-after-ms, "
                                 "server-timing, x-embedding-dtype, x-embedding-shape, "
                                 "x-querent-trace, x-should-retry, x-trace-id");
        return;
    }
    qr_http_header_add(request, "Access-Control-Allow-Methods", methods);
    qr_http_header_add_fixed(request, "Access-Control-Allow-Headers",
                             "*, authorization, content-type, inference-header-content-length, "
                             "traceparent, x-request-budget-ms, x-request-priority");
    qr_http_header_add(request, "Access-Control-Max-Age", "600");
}
