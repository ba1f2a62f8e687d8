/* server/proxy.c: addresses, prefixes, and times since 1970. */
#include "server/proxy.h"

#include <arpa/inet.h>

#define V4_BITS 96u /* of ::ffff:0:0/96 */

/* In the form that all addresses have here; 0: it is no address, else its bits. */
static unsigned parse_address(const char *text, uint8_t out[16]) {
    memset(out, 0, 16);
    if (inet_pton(AF_INET6, text, out) == 1)
        return 128;
    out[10] = out[11] = 0xFF;
    return inet_pton(AF_INET, text, out + 12) == 1 ? 32 : 0;
}

static bool bit_at(const uint8_t address[16], unsigned bit) {
    return (address[bit / 8] >> (7 - bit % 8) & 1) != 0;
}

bool qr__network_parse(const char *text, qr__network *out) {
    char address[INET6_ADDRSTRLEN];
    size_t len = strcspn(text, "/");
    if (len >= sizeof address)
        return false;
    memcpy(address, text, len);
    address[len] = '\0';
    unsigned most = parse_address(address, out->address);
    uint64_t bits = most;
    if (most == 0 || (text[len] == '/' && !qr_text_to_u64(qr_text_of(text + len + 1), most, &bits)))
        return false;
    out->bits = (unsigned)bits + (most == 32 ? V4_BITS : 0);
    for (unsigned bit = out->bits; bit < 128; bit++)
        if (bit_at(out->address, bit))
            return false;
    return true;
}

bool qr__network_holds(const qr__network *network, const uint8_t address[16]) {
    for (unsigned bit = 0; bit < network->bits; bit++)
        if (bit_at(network->address, bit) != bit_at(address, bit))
            return false;
    return true;
}

/* The unit of a time since 1970 with this whole part, in nanoseconds; 0: no unit fits. */
static uint64_t unit_of(uint64_t whole) {
    if (whole < 100000000ull) /* 1973 in seconds */
        return 0;
    if (whole < 100000000000ull)
        return QR_NS_PER_S;
    if (whole < 100000000000000ull)
        return QR_NS_PER_MS;
    return whole < 100000000000000000ull ? 1000 : 0;
}

bool qr__start_parse(qr_text text, uint64_t *epoch_ns) {
    if (text.len >= 2 && memcmp(text.data, "t=", 2) == 0)
        text = (qr_text){text.data + 2, text.len - 2};
    const char *point = text.len == 0 ? NULL : memchr(text.data, '.', text.len);
    size_t whole_len = point == NULL ? text.len : (size_t)(point - text.data);
    uint64_t whole, unit_ns, ns;
    if (!qr_text_to_u64((qr_text){text.data, whole_len}, UINT64_MAX, &whole))
        return false;
    unit_ns = unit_of(whole);
    if (unit_ns == 0 || whole >= UINT64_MAX / unit_ns || whole_len + 1 == text.len)
        return false;
    ns = whole * unit_ns;
    for (size_t i = whole_len + 1; i < text.len; i++) {
        unsigned digit = (unsigned)(text.data[i] - '0');
        if (digit > 9)
            return false;
        unit_ns /= 10;
        ns += digit * unit_ns; /* cannot wrap: less than a unit, of which there is one more */
    }
    *epoch_ns = ns;
    return true;
}
