/* tests: counts allocations of this process between two points ("no allocation on the forward
 * path"). */
#ifndef QR_TESTS_MALLOC_TRAP_H
#define QR_TESTS_MALLOC_TRAP_H

#include <stdbool.h>
#include <stddef.h>

/** False under sanitizers, which have an allocator of their own. */
bool malloc_trap_works(void);
void malloc_trap_start(void);

/** Calls of malloc, calloc, realloc and aligned_alloc, by any thread, since the start. */
size_t malloc_trap_stop(void);

#endif
