/* server/loop.h: the event loop: descriptors, timers, signals and wake-ups, each a callback on one
 * thread.
 *
 *     qr_loop_create(&loop);
 *     qr_watch *poll = qr_watch_fd(loop, epoll_fd, on_readable, http);    // NULL: no memory
 *     qr_watch *sweep = qr_watch_timer(loop, on_sweep, http);
 *     qr_watch_arm(sweep, 250, 250);
 *     qr_loop_run(loop);                                                  // until qr_loop_stop
 *     qr_loop_destroy(loop);                           // closes what is still watched
 *
 * The only file that knows libuv. Threads: the loop's only, but for qr_watch_wake.
 */
#ifndef QR_SERVER_LOOP_H
#define QR_SERVER_LOOP_H

#include "base/base.h"

typedef struct qr_loop qr_loop;
typedef struct qr_watch qr_watch;
typedef void (*qr_watch_call)(void *state);

/** QR_NO_MEMORY, QR_IO. *out: returns owned. */
QR_MUST_USE qr_status qr_loop_create(qr_loop **out);

/** Calls back on the calling thread until qr_loop_stop. */
void qr_loop_run(qr_loop *loop);

/** Ends qr_loop_run after the callback at hand. */
void qr_loop_stop(qr_loop *loop);

/** Ends all watches and frees the loop. NULL is allowed. */
void qr_loop_destroy(qr_loop *loop);

/** Calls back while `fd` (borrowed) is readable. Starts at once. */
qr_watch *qr_watch_fd(qr_loop *loop, int fd, qr_watch_call call, void *state);

/** Stops watching a descriptor, until qr_watch_resume. */
void qr_watch_pause(qr_watch *watch);

/** Goes on watching it. */
void qr_watch_resume(qr_watch *watch);

/** A timer, not yet armed; the loop counts in milliseconds. */
qr_watch *qr_watch_timer(qr_loop *loop, qr_watch_call call, void *state);

/** Calls back after `delay_ms`, then every `repeat_ms` unless that is 0. Arming again replaces. */
void qr_watch_arm(qr_watch *timer, uint64_t delay_ms, uint64_t repeat_ms);

/** Calls back no more, until it is armed again. */
void qr_watch_disarm(qr_watch *timer);

/** Calls back when the process gets the signal. */
qr_watch *qr_watch_signal(qr_loop *loop, int signal, qr_watch_call call, void *state);

/** Calls back on the loop after qr_watch_wake; several wakes may become one call. */
qr_watch *qr_watch_wakeup(qr_loop *loop, qr_watch_call call, void *state);

/** Has the wake-up called back. Any thread. */
void qr_watch_wake(qr_watch *wakeup);

/** Ends the watch; NULL is allowed. No callback comes after it. */
void qr_watch_close(qr_watch *watch);

#endif
