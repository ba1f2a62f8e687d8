/* base/wait.h: one thread waits until another changes a word: a short spin first, then the
 * kernel.
 *
 *     if (qr_wait_spin(&word, old, 50000) == old)   // 50 us: less than a sleep and a wake-up cost
 *         qr_wait_sleep(&word, old);                // returns when woken, or when *word != old
 *     ...
 *     atomic_store(&word, new);
 *     qr_wait_wake(&word, 1);
 *
 * Waits of the thread pool and of what is built on it; others use pthreads. Threads: any.
 */
#ifndef QR_BASE_WAIT_H
#define QR_BASE_WAIT_H

#include <stdatomic.h>
#include <stdint.h>

/** Tells the core that this is a spin: it saves power and leaves the other hyperthread more. */
static inline void qr_wait_relax(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/** One turn of a wait that has no end of its own: relaxes, and every 1024th turn yields, so that
 * whoever is waited for gets this core if there is no other. Counts in *turn, which starts at 0. */
void qr_wait_turn(unsigned *turn);

/** Spins while *word == value, for `ns` at most. Returns the word's last value (acquire). */
unsigned qr_wait_spin(const atomic_uint *word, unsigned value, uint64_t ns);

/** Sleeps if *word == value, until woken. May return early: callers look again. */
void qr_wait_sleep(atomic_uint *word, unsigned value);

/** Wakes at most `count` threads that sleep on the word. */
void qr_wait_wake(atomic_uint *word, int count);

#endif
