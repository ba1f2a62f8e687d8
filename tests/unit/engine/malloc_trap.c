/* tests: glibc's allocator with a counter in front of it. */
#include "malloc_trap.h"

#include <stdatomic.h>
#include <stdlib.h> /* brings __GLIBC__, without which the trap would be left out */

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && defined(__GLIBC__)
#define TRAP 1
#else
#define TRAP 0
#endif

static atomic_size_t calls;

#if TRAP
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *memory, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);

void *malloc(size_t bytes) {
    atomic_fetch_add(&calls, 1);
    return __libc_malloc(bytes);
}
void *calloc(size_t count, size_t bytes) {
    atomic_fetch_add(&calls, 1);
    return __libc_calloc(count, bytes);
}
void *realloc(void *memory, size_t bytes) {
    atomic_fetch_add(&calls, 1);
    return __libc_realloc(memory, bytes);
}
void *aligned_alloc(size_t alignment, size_t bytes) {
    atomic_fetch_add(&calls, 1);
    return __libc_memalign(alignment, bytes);
}
#endif

bool malloc_trap_works(void) {
    return TRAP != 0;
}

void malloc_trap_start(void) {
    atomic_store(&calls, 0);
}

size_t malloc_trap_stop(void) {
    return atomic_load(&calls);
}
