/* server/api/json_fault.c: RFC 8259's grammar as what may come next, with the parser's own rules (a
 * number fits 64 bits or a double, names hold no \u0000) and our limits. */
#include "server/api/json_fault.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

_Static_assert(QR_LIMIT_JSON_DEPTH == 32 && QR_LIMIT_JSON_VALUES == 2097152,
               "the limits' numbers stand in sentences below");

/* What may come next. */
typedef enum next {
    VALUE,
    VALUE_OR_CLOSE, /* behind [ */
    NAME,
    NAME_OR_CLOSE, /* behind { */
    COLON,
    COMMA_OR_CLOSE,
    END
} next;

typedef struct scanner {
    qr_text text;
    size_t at;
    size_t stop; /* scans no name that begins here or later */
    next next;
    char open[QR_LIMIT_JSON_DEPTH]; /* [ and { that are not closed yet */
    size_t depth, values;
    size_t name_at;       /* where the last name begins */
    const char *expected; /* at a fault, which is then at `at` */
} scanner;

static bool fault(scanner *s, const char *expected) {
    s->expected = expected;
    return false;
}

static bool fault_at(scanner *s, size_t at, const char *expected) {
    s->at = at;
    return fault(s, expected);
}

/* The byte at `at`; NUL behind the end, where it is as wrong as there. */
static char byte_at(const scanner *s, size_t at) {
    return at < s->text.len ? s->text.data[at] : '\0';
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/* Strings */

/* The four hex digits at `at`; -1: there are none. */
static int32_t hex4(const scanner *s, size_t at) {
    int32_t code = 0;
    for (size_t i = 0; i < 4; i++) {
        int32_t digit = qr_hex_digit(byte_at(s, at + i));
        if (digit < 0)
            return -1;
        code = code * 16 + digit;
    }
    return code;
}

/* A \uXXXX at `at`, or two that are a surrogate pair. */
static bool scan_unicode_escape(scanner *s, bool name) {
    int32_t code = hex4(s, s->at + 2);
    size_t bytes = 6;
    bool high = code >= 0xD800 && code <= 0xDBFF, low = code >= 0xDC00 && code <= 0xDFFF;
    if (high && byte_at(s, s->at + 6) == '\\' && byte_at(s, s->at + 7) == 'u') {
        int32_t second = hex4(s, s->at + 8);
        high = !(second >= 0xDC00 && second <= 0xDFFF);
        bytes = 12;
    }
    if (code < 0 || high || low)
        return fault(s, "expected a valid escape");
    if (code == 0 && name)
        return fault(s, "expected a name without \\u0000");
    s->at += bytes;
    return true;
}

static bool scan_escape(scanner *s, bool name) {
    char c = byte_at(s, s->at + 1);
    if (c == 'u')
        return scan_unicode_escape(s, name);
    if (c == '\0' || strchr("\"\\/bfnrt", c) == NULL)
        return fault(s, "expected a valid escape");
    s->at += 2;
    return true;
}

/* From its opening quote to behind its closing one. */
static bool scan_string(scanner *s, bool name) {
    for (s->at++; s->at < s->text.len;) {
        unsigned char c = (unsigned char)s->text.data[s->at];
        size_t bytes = 1;
        if (c == '"') {
            s->at++;
            return true;
        }
        if (c == '\\') {
            if (!scan_escape(s, name))
                return false;
            continue;
        }
        if (c < 0x20)
            return fault(s, "expected a control character to be escaped");
        if (c >= 0x80 && qr_utf8_decode(s->text, s->at, &bytes) == 0xFFFD &&
            !qr_text_is((qr_text){s->text.data + s->at, bytes}, "\xEF\xBF\xBD"))
            return fault(s, "expected valid UTF-8");
        s->at += bytes;
    }
    return fault(s, "expected a closing quote");
}

/* Numbers */

static size_t skip_digits(const scanner *s, size_t at) {
    while (is_digit(byte_at(s, at)))
        at++;
    return at;
}

/* The parser reads whole numbers into 64 bits and all others into a double. */
static bool number_fits(const scanner *s, size_t begin, size_t end, bool whole) {
    size_t len = end - begin;
    bool negative = s->text.data[begin] == '-';
    if (whole && len - negative < 19)
        return true; /* 10^18 and less */
    char *copy = strndup(s->text.data + begin, len);
    if (copy == NULL)
        return true;
    errno = 0;
    bool fits;
    if (whole) {
        (void)strtoll(copy, NULL, 10);
        fits = errno != ERANGE;
    } else {
        fits = !isinf(strtod(copy, NULL));
    }
    free(copy);
    return fits;
}

static bool scan_number(scanner *s) {
    size_t begin = s->at, at = begin + (byte_at(s, begin) == '-');
    bool whole = true;
    size_t digits = byte_at(s, at) == '0' ? at + 1 : skip_digits(s, at);
    if (digits == at)
        return fault_at(s, at, "expected a digit");
    at = digits;
    if (byte_at(s, at) == '.') {
        whole = false;
        digits = skip_digits(s, at + 1);
        if (digits == at + 1)
            return fault_at(s, digits, "expected a digit");
        at = digits;
    }
    if (byte_at(s, at) == 'e' || byte_at(s, at) == 'E') {
        whole = false;
        at += byte_at(s, at + 1) == '+' || byte_at(s, at + 1) == '-' ? 2 : 1;
        digits = skip_digits(s, at);
        if (digits == at)
            return fault_at(s, at, "expected a digit");
        at = digits;
    }
    if (!number_fits(s, begin, at, whole))
        return fault(s,
                     whole ? "expected a number of at most 64 bits" : "expected a smaller number");
    s->at = at;
    return true;
}

/* Values */

static bool scan_word(scanner *s, const char *word) {
    size_t len = strlen(word);
    if (s->text.len - s->at < len || memcmp(s->text.data + s->at, word, len) != 0)
        return fault(s, "expected a value");
    s->at += len;
    return true;
}

static void close_level(scanner *s) {
    s->at++;
    s->depth--;
    s->next = s->depth == 0 ? END : COMMA_OR_CLOSE;
}

static bool open_level(scanner *s, char c) {
    if (s->depth == QR_LIMIT_JSON_DEPTH)
        return fault(s, "expected at most 32 levels of nesting");
    s->open[s->depth++] = c;
    s->values++;
    s->at++;
    s->next = c == '[' ? VALUE_OR_CLOSE : NAME_OR_CLOSE;
    return true;
}

static bool scan_value(scanner *s, char c) {
    bool good;
    if (c == ']' && s->next == VALUE_OR_CLOSE) {
        close_level(s);
        return true;
    }
    if (c == '[' || c == '{')
        return open_level(s, c);
    if (c == '"')
        good = scan_string(s, false);
    else if (c == '-' || is_digit(c))
        good = scan_number(s);
    else if (c == 't' || c == 'f' || c == 'n')
        good = scan_word(s, c == 't' ? "true" : c == 'f' ? "false" : "null");
    else
        return fault(s, s->next == VALUE ? "expected a value" : "expected a value or `]`");
    s->next = s->depth == 0 ? END : COMMA_OR_CLOSE;
    return good;
}

static bool scan_name(scanner *s, char c) {
    if (c == '}' && s->next == NAME_OR_CLOSE) {
        close_level(s);
        return true;
    }
    if (c != '"')
        return fault(s, s->next == NAME ? "expected a member's name"
                                        : "expected a member's name or `}`");
    s->name_at = s->at;
    s->next = COLON;
    return scan_string(s, true);
}

static bool scan_comma_or_close(scanner *s, char c) {
    bool array = s->open[s->depth - 1] == '[';
    if (c == (array ? ']' : '}')) {
        close_level(s);
        return true;
    }
    if (c != ',')
        return fault(s, array ? "expected `,` or `]`" : "expected `,` or `}`");
    s->values++;
    s->at++;
    s->next = array ? VALUE : NAME;
    return true;
}

/* One step of the grammar from the byte `c` at `at`, which is no blank. */
static bool step(scanner *s, char c) {
    switch (s->next) {
    case VALUE:
    case VALUE_OR_CLOSE:
        return scan_value(s, c);
    case NAME:
    case NAME_OR_CLOSE:
        return scan_name(s, c);
    case COLON:
        s->next = VALUE;
        s->at += c == ':';
        return c == ':' || fault(s, "expected `:`");
    case COMMA_OR_CLOSE:
        return scan_comma_or_close(s, c);
    case END:
        break;
    }
    return fault(s, "expected the end of the body");
}

/* True: to the end, or to `stop`, without a fault. */
static bool scan(scanner *s) {
    for (;;) {
        while (s->at < s->text.len && strchr(" \t\n\r", s->text.data[s->at]) != NULL &&
               s->text.data[s->at] != '\0')
            s->at++;
        bool ended = s->at >= s->text.len;
        if (s->at >= s->stop || (ended && s->next == END))
            return true;
        if (!step(s, ended ? '\0' : s->text.data[s->at]))
            return false;
        if (s->values > QR_LIMIT_JSON_VALUES)
            return fault(s, "expected at most 2097152 values");
    }
}

static void locate(qr_text text, qr__json_fault *out) {
    out->line = out->column = 1;
    for (size_t at = 0, bytes; at < out->byte; at += bytes) {
        bool line_end = qr_utf8_decode(text, at, &bytes) == '\n';
        out->line += line_end;
        out->column = line_end ? 1 : out->column + 1;
    }
}

bool qr__json_fault_find(qr_text text, qr__json_fault *out) {
    scanner s = {.text = text, .stop = SIZE_MAX, .values = 1};
    if (scan(&s))
        return false;
    *out = (qr__json_fault){.byte = s.at, .expected = s.expected};
    locate(text, out);
    return true;
}

void qr__json_fault_duplicate(qr_text text, size_t byte, qr__json_fault *out) {
    scanner s = {.text = text, .stop = byte, .values = 1};
    (void)scan(&s);
    *out = (qr__json_fault){.byte = s.name_at,
                            .expected = "expected a name that the object does not have yet"};
    locate(text, out);
}
