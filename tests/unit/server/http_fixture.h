/* A real listener in a thread of its own, on a clock of the test's, and clients on sockets.
 *
 *     http_fixture_open(0, NULL);
 *     int fd = http_fixture_connect();
 *     cr_expect_not(http_fixture_ask(fd));
 *     http_fixture_pass(74 * QR_NS_PER_S);
 *     close(fd);
 *     http_fixture_close();
 */
#ifndef QR_TESTS_HTTP_FIXTURE_H
#define QR_TESTS_HTTP_FIXTURE_H

#include "server/http/http_internal.h"

#define HTTP_FIXTURE_REQUEST "GET /x HTTP/1.1\r\nHost: querent\r\n\r\n"

/** Every request is answered at once with 200. `path`: of a UNIX socket; NULL: a port. */
void http_fixture_open(uint64_t age_ns, const char *path);
void http_fixture_close(void);

/** The listener's time goes on; else it stands still. */
void http_fixture_pass(uint64_t ns);

/** Time that passes while a request is worked on. */
void http_fixture_work(uint64_t ns);

/** Whether requests from now on are handed out and never answered. */
void http_fixture_hold_back(bool holding);

/** The loop does nothing until the release: what is sent meanwhile, it finds all at once, and
 * `with_ends` the clients' ends before their requests. */
void http_fixture_hold(void);
void http_fixture_release(bool with_ends);

/** Waits for the next request that is held back. */
void http_fixture_wait_handed(void);

/** Waits for the next request that is over, answered or not. */
void http_fixture_wait_done(void);

/** A client that the listener has accepted. Its reads fail after 60 s. */
int http_fixture_connect(void);

/** The same of a client that may still wait to be accepted. */
int http_fixture_dial(void);

void http_fixture_send(int fd, const char *text);

/** Everything up to the connection's end, ended by a NUL, which must come as an end, not as a reset
 * or a wait in vain. */
void http_fixture_read_all(int fd, char *text, size_t room);

/** Asks, and waits until the connection is idle again. Whether the answer says to close it. */
bool http_fixture_ask(int fd);

/** Waits for the connection's end; false when something else comes, or nothing. */
bool http_fixture_ended(int fd);

#endif
