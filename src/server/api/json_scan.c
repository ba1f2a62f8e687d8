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

bool qr__value_scan(qr_text text) {
    size_t depth = 0, values = 1;
    for (size_t at = 0; at < text.len;) {
        switch (text.data[at]) {
        case '"':
            at = skip_string(text, at);
            continue;
        case '[':
        case '{':
            depth++;
            values++;
            break;
        case ']':
        case '}':
            depth -= depth > 0;
            break;
        case ',':
            values++;
            break;
        default:
            break;
        }
        if (depth > QR_LIMIT_JSON_DEPTH || values > QR_LIMIT_JSON_VALUES)
            return false;
        at++;
    }
    return true;
}
