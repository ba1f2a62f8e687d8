/* server/system_calls.h: what a process may still ask of the kernel (Linux's seccomp).
 *
 *     int why = qr__system_calls_no_rings();     // before the event loop is made
 *     ...
 *     why = qr__system_calls_restrict();         // 0: from here on, in all threads
 *
 * A list of calls is left: those that answering, loading models again and coming to rest take. All
 * others fail as if the kernel did not have them (ENOSYS), so that libraries go on by other means.
 * There is no way back.
 */
#ifndef QR_SERVER_SYSTEM_CALLS_H
#define QR_SERVER_SYSTEM_CALLS_H

#include "base/base.h"

/** From here on no io_uring can be made: what is asked through one no filter sees, and libuv (1.45
 * and later) ends the process when one that it has made stops working. 0, or errno. */
QR_MUST_USE int qr__system_calls_no_rings(void);

/** 0, or the errno for which nothing was taken away. */
QR_MUST_USE int qr__system_calls_restrict(void);

#endif
