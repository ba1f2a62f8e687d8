/* tokenizer/vocab_json.c: the vocabulary of a tokenizer.json, straight from its bytes.
 *
 * A vocabulary is 98 % of the file: one flat object with tens of thousands of members. Through
 * jansson's general objects it takes most of a server's start; read in place it takes two
 * milliseconds. The rest of the file is jansson's, with this object cut out.
 */
#include "tokenizer/loaders.h"

#include <stdio.h>

/* A place in the text; every reader below moves it forward, and leaves it where it could not go on.
 */
typedef struct place {
    qr_text text;
    size_t at;
} place;

static int peek(const place *p) {
    return p->at < p->text.len ? (uint8_t)p->text.data[p->at] : -1;
}

static void skip_blanks(place *p) {
    for (int c = peek(p); c == ' ' || c == '\n' || c == '\r' || c == '\t'; c = peek(p))
        p->at++;
}

static bool take_next(place *p, char wanted) {
    if (peek(p) != wanted)
        return false;
    p->at++;
    return true;
}

static bool take(place *p, char wanted) {
    skip_blanks(p);
    return take_next(p, wanted);
}

/* Goes behind a string whose contents do not matter. */
static bool skip_string(place *p) {
    if (!take(p, '"'))
        return false;
    for (int c = peek(p); c >= 0; c = peek(p)) {
        p->at += c == '\\' ? 2 : 1;
        if (c == '"')
            return true;
    }
    return false;
}

/* Goes behind any value by counting brackets; whether it was JSON its reader says later. */
static bool skip_value(place *p) {
    size_t depth = 0;
    skip_blanks(p);
    for (int c = peek(p); c >= 0; c = peek(p)) {
        if (c == '"') {
            if (!skip_string(p))
                return false;
        } else if (c == '{' || c == '[') {
            depth++;
            p->at++;
        } else if (depth == 0 && (c == ',' || c == '}' || c == ']')) {
            return true; /* behind a number or a word */
        } else {
            depth -= c == '}' || c == ']';
            p->at++;
        }
        if (depth == 0 && (c == '"' || c == '}' || c == ']'))
            return true;
    }
    return false;
}

/* From an object's "{" to the value of its member `key`. */
static bool enter_member(place *p, const char *key) {
    if (!take(p, '{'))
        return false;
    do {
        skip_blanks(p);
        size_t from = p->at + 1;
        if (!skip_string(p))
            return false;
        qr_text name = {p->text.data + from, p->at - 1 - from};
        if (!take(p, ':'))
            return false;
        if (qr_text_is(name, key)) {
            skip_blanks(p);
            return true;
        }
    } while (skip_value(p) && take(p, ','));
    return false;
}

bool qr__vocab_json_find(qr_text text, size_t *from, size_t *to) {
    place p = {text, 0};
    if (!enter_member(&p, "model") || !enter_member(&p, "vocab") || peek(&p) != '{')
        return false;
    *from = p.at;
    if (!skip_value(&p))
        return false;
    *to = p.at;
    return true;
}

static bool read_hex(place *p, uint32_t *out) {
    *out = 0;
    for (size_t i = 0; i < 4; i++, p->at++) {
        int digit = qr_hex_digit((char)peek(p));
        if (digit < 0)
            return false;
        *out = *out << 4 | (uint32_t)digit;
    }
    return true;
}

/* What stands behind a backslash, as UTF-8. */
static bool read_escape(place *p, char utf8[4], size_t *len) {
    static const char letters[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    int c = peek(p);
    const char *plain = c > 0 ? strchr(letters, c) : NULL;
    p->at++;
    if (plain != NULL) {
        utf8[0] = values[plain - letters];
        *len = 1;
        return true;
    }
    uint32_t code, low;
    if (c != 'u' || !read_hex(p, &code) || code == 0 || (code >= 0xDC00 && code < 0xE000))
        return false;
    if (code >= 0xD800 && code < 0xDC00) {
        if (!take_next(p, '\\') || !take_next(p, 'u') || !read_hex(p, &low) || low < 0xDC00 ||
            low >= 0xE000)
            return false;
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    }
    *len = qr_utf8_encode(code, utf8);
    return true;
}

/* A string; `*out` lies in the text, or in `buffer` where there are escapes. */
static bool read_string(place *p, char buffer[QR__TOKEN_BYTES], qr_text *out) {
    if (!take(p, '"'))
        return false;
    size_t from = p->at, copied = 0;
    bool escaped = false;
    for (int c = peek(p); c >= 0x20; c = peek(p)) {
        char utf8[4] = {(char)c};
        size_t len = 1;
        p->at++;
        if (c == '"') {
            *out = escaped ? (qr_text){buffer, copied}
                           : (qr_text){p->text.data + from, p->at - 1 - from};
            return qr_utf8_valid(*out);
        }
        if (c != '\\' && !escaped)
            continue;
        if (!escaped) { /* the first escape: copy what stands before it */
            copied = p->at - 1 - from;
            if (copied > QR__TOKEN_BYTES)
                return false;
            memcpy(buffer, p->text.data + from, copied);
            escaped = true;
        }
        if ((c == '\\' && !read_escape(p, utf8, &len)) || copied + len > QR__TOKEN_BYTES)
            return false;
        memcpy(buffer + copied, utf8, len);
        copied += len;
    }
    return false;
}

static bool read_id(place *p, size_t *out) {
    skip_blanks(p);
    size_t from = p->at;
    uint64_t id;
    while (peek(p) >= '0' && peek(p) <= '9')
        p->at++;
    qr_text digits = {p->text.data + from, p->at - from};
    if (!qr_text_to_u64(digits, QR_LIMIT_VOCAB - 1, &id) ||
        (digits.len > 1 && digits.data[0] == '0'))
        return false;
    *out = (size_t)id;
    return true;
}

static qr_status fault_at(const qr__json_reader *reader, const place *p, const char *reason,
                          const char *hint) {
    size_t line, column;
    qr__text_line(p->text, p->at, &line, &column);
    char where[80];
    snprintf(where, sizeof where, "model.vocab, line %zu column %zu", line, column);
    return qr__json_fault(reader, where, reason, hint);
}

qr_status qr__vocab_json_read(const qr__json_reader *reader, qr_text text, size_t from,
                              qr__vocab *vocab) {
    place p = {text, from};
    char buffer[QR__TOKEN_BYTES];
    take(&p, '{');
    if (take(&p, '}'))
        return fault_at(reader, &p, "the vocabulary is empty", "expected {\"token\": id, ...}");
    do {
        qr_text token;
        size_t id;
        if (!read_string(&p, buffer, &token))
            return fault_at(reader, &p, "not a string, or one over 1024 bytes",
                            "expected \"token\": id");
        if (!take(&p, ':') || !read_id(&p, &id))
            return fault_at(reader, &p, "not an id", "ids are whole numbers below 1000000");
        if (token.len == 0) {
            vocab->blanks = 1;
            continue;
        }
        qr_status status = qr__vocab_add(vocab, token, id);
        if (status == QR_NO_MEMORY)
            return qr_error_set(reader->error, status, "%s: no memory for the vocabulary",
                                reader->path);
        if (status != QR_OK)
            return fault_at(reader, &p,
                            "the id is given to two tokens, or the token is over 1024 bytes",
                            "each id belongs to one token");
    } while (take(&p, ','));
    return take(&p, '}') ? QR_OK : fault_at(reader, &p, "neither , nor }", "is the file whole?");
}
