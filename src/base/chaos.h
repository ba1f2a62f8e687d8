/* base/chaos.h: random delays at the hand-overs between threads, in the chaos build only.
 *
 *     QR_CHAOS_DELAY();                            // nothing, a yield, or a sleep of up to 200 us
 *     if (QR_CHAOS_REFUSE())                       // now and then true: try life without
 *         continue;
 *
 * A race needs two threads at two places within nanoseconds; a delay on one side makes that
 * likely. So every atomic transition that another thread reacts to has a point, before or behind
 * it. Each thread draws from its own sequence, made from one seed: QUERENT_CHAOS_SEED, or a
 * random one that is printed on stderr. The same seed gives the same delays; what the system's
 * scheduler adds is its own.
 */
#ifndef QR_BASE_CHAOS_H
#define QR_BASE_CHAOS_H

#include <stdbool.h>

#if defined(QR_CHAOS)
#define QR_CHAOS_DELAY()  qr__chaos_delay()
#define QR_CHAOS_REFUSE() qr__chaos_refuse()

/** Nothing, a yield, or a sleep of up to 200 us, by the calling thread's dice. */
void qr__chaos_delay(void);

/** True one time in eight. */
bool qr__chaos_refuse(void);
#else
#define QR_CHAOS_DELAY()  ((void)0)
#define QR_CHAOS_REFUSE() false
#endif

#endif
