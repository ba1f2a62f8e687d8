/* tests: waiting for a semaphore, whatever signals come.
 *
 *     wait_for(&begun);
 */
#ifndef QR_TESTS_SEMAPHORES_H
#define QR_TESTS_SEMAPHORES_H

#include <semaphore.h>

/** Returns when somebody has posted it. */
static inline void wait_for(sem_t *semaphore) {
    while (sem_wait(semaphore) != 0)
        ;
}

#endif
