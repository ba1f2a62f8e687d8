/* server/budget.c: digits, and perhaps a point and digits. Nothing else: what one client writes as
 * 1e3 another means as 1000, and a server should not have to guess. */
#include "server/budget.h"

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

static const char *fault_of(qr_text text) {
    size_t whole = 0, at;
    if (text.len == 0)
        return "it is empty";
    if (text.len > 1 && text.data[0] == '-' && is_digit(text.data[1]))
        return "it is negative";
    while (whole < text.len && is_digit(text.data[whole]))
        whole++;
    for (at = whole + (whole < text.len && text.data[whole] == '.'); at < text.len; at++)
        if (!is_digit(text.data[at]))
            break;
    if (whole > 0 && at < text.len && (text.data[at] == 'e' || text.data[at] == 'E'))
        return "it has an exponent";
    bool fraction = whole < text.len && text.data[whole] == '.';
    if (whole == 0 || at < text.len || (fraction && at == whole + 1))
        return "it is not a decimal number";
    return NULL;
}

const char *qr__budget_parse(qr_text text, uint64_t *out) {
    const char *fault = fault_of(text);
    const uint64_t most = QR_LIMIT_BUDGET_MS * QR_NS_PER_MS;
    uint64_t ns = 0, digit_ns = QR_NS_PER_MS;
    bool point = false;
    *out = 0;
    if (fault != NULL)
        return fault;
    for (size_t i = 0; i < text.len; i++) {
        uint64_t digit = (uint64_t)(text.data[i] - '0');
        if (text.data[i] == '.') {
            point = true;
        } else if (!point) {
            ns = ns < most ? ns * 10 + digit * QR_NS_PER_MS : most; /* cannot wrap: see `most` */
        } else {
            digit_ns /= 10;
            ns += digit * digit_ns;
        }
    }
    *out = ns < most ? ns : most;
    return NULL;
}
