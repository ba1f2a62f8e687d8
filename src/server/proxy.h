/* server/proxy.h: what proxies in front of us say about a request, and which of them are believed.
 *
 *     qr__network network;
 *     if (!qr__network_parse("10.0.0.0/8", &network))
 *         ...                                            // not an address with a prefix
 *     if (qr__network_holds(&network, facts->peer) && qr__start_parse(text, &epoch_ns))
 *         ...                                            // when the proxy got the request
 *
 * Threads: pure.
 */
#ifndef QR_SERVER_PROXY_H
#define QR_SERVER_PROXY_H

#include "base/base.h"

/** Addresses that begin with the same bits; those of IPv4 stand in ::ffff:0:0/96 (RFC 4291,
 * 2.5.5.2) as they do in qr_http_facts. */
typedef struct qr__network {
    uint8_t address[16];
    unsigned bits;
} qr__network;

/** Reads "10.0.0.0/8", "fd00::/8", or an address alone. False: it is neither, or has bits behind
 * its prefix. */
QR_MUST_USE bool qr__network_parse(const char *text, qr__network *out);

/** Whether the address is one of the network's. */
bool qr__network_holds(const qr__network *network, const uint8_t address[16]);

/** Reads X-Request-Start: "t=" or nothing, then a time since 1970 in seconds, milliseconds or
 * microseconds, told apart by their magnitude (the years 1973 to 5138), a fraction allowed. False:
 * it is none. *epoch_ns: nanoseconds since 1970. */
QR_MUST_USE bool qr__start_parse(qr_text text, uint64_t *epoch_ns);

#endif
