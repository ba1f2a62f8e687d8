/* server/api/json_scan.c: depth and number of values of a JSON text, without recursion and without
 * judging it. Text that is no JSON is counted as if it were; jansson refuses it afterwards. */
#include "server/api/json_in.h"

/* The index behind the string that begins at `at` (a quote), or the text's length when it does not
 * end. */
static size_t skip_string(qr_text text, size_t at) {
    for (at++; at < text.len; at++) {
        if (text.data[at] == '\\')
            at++;
        else if (text.data[at] == '"')
            return at + 1;
    }
    return text.len;
}

/* What stands in a text, outside of its strings. */
typedef struct counts {
    size_t depth, deepest, values, strings, arrays, objects;
} counts;

/* Stops where the limits are passed. */
static counts count(qr_text text) {
    counts c = {.values = 1};
    for (size_t at = 0; at < text.len;) {
        switch (text.data[at]) {
        case '"':
            c.strings++;
            at = skip_string(text, at);
            continue;
        case '[':
        case '{':
            c.deepest = qr_max(c.deepest, ++c.depth);
            c.values++;
            c.arrays += text.data[at] == '[';
            c.objects += text.data[at] == '{';
            break;
        case ']':
        case '}':
            c.depth -= c.depth > 0;
            break;
        case ',':
            c.values++;
            break;
        default:
            break;
        }
        if (c.deepest > QR_LIMIT_JSON_DEPTH || c.values > QR_LIMIT_JSON_VALUES)
            break;
        at++;
    }
    return c;
}

/* jansson 2.14 with glibc's malloc and our guard's links, a place in the parent's table (that
 * doubles) included: the structs of a value, and what a string, an array and an object have beyond
 * that. Of the texts there is a second copy while the longest is read. */
#define VALUE_BYTES  72u
#define STRING_BYTES 112u
#define ARRAY_BYTES  128u
#define OBJECT_BYTES 256u

bool qr__value_scan(qr_text text, size_t *bytes) {
    const counts c = count(text);
    *bytes = c.values * VALUE_BYTES + c.strings * STRING_BYTES + c.arrays * ARRAY_BYTES +
             c.objects * OBJECT_BYTES + 2 * text.len;
    return c.deepest <= QR_LIMIT_JSON_DEPTH && c.values <= QR_LIMIT_JSON_VALUES;
}
