/* server/http/linger.h: connections that ended with our answer, until their clients have ended
 * them too.
 *
 *     qr_list_init(&http->lingering);
 *     qr__linger(http, fd);               // its connection is about to be closed
 *     qr__linger_look(http, now);         // now and then
 *     qr__linger_end(http);               // all of them: descriptors are wanted, or at the end
 *
 * Who closes a socket that holds unread bytes, or gets some later, resets the connection, and a
 * reset takes an answer from its reader that is not read yet. So our side alone is closed, and what
 * a client goes on to send is read and dropped. Threads: the loop's only.
 */
#ifndef QR_SERVER_HTTP_LINGER_H
#define QR_SERVER_HTTP_LINGER_H

#include "server/http/http.h"

#define QR__LINGER_NS (5 * QR_NS_PER_S)

/** Closes our side of the socket, and keeps a descriptor of it for at most QR__LINGER_NS. Nothing
 * happens where there is no room for one, or where the listener has QR_LIMIT_LINGERING. */
void qr__linger(qr_http *http, int fd);

/** Ends those whose time is over. */
void qr__linger_look(qr_http *http, uint64_t now_ns);

/** Ends all. */
void qr__linger_end(qr_http *http);

#endif
