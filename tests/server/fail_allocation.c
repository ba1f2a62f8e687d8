/* Preloaded: one allocation of the process fails, the one that the file of FAIL_ALLOCATION says. It
 * has two numbers: how many allocations it is until then (0: none fails), and how many have failed.
 * FAIL_ALLOCATION_OF: part of a library's path; only its own allocations count.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *old, size_t bytes);

typedef struct order {
    _Atomic int left, failed;
} order;

static order *order_of_file;
static const char *library; /* NULL: any */

__attribute__((constructor)) static void take_order(void) {
    const char *path = getenv("FAIL_ALLOCATION");
    int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
    void *page =
        fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(order), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    library = getenv("FAIL_ALLOCATION_OF");
    if (page != MAP_FAILED)
        order_of_file = page;
    if (fd >= 0)
        close(fd);
}

static int counts(void *caller) {
    Dl_info of;
    return library == NULL || (dladdr(caller, &of) != 0 && strstr(of.dli_fname, library) != NULL);
}

static int fails(void *caller) {
    if (order_of_file == NULL || atomic_load(&order_of_file->left) <= 0 || !counts(caller) ||
        atomic_fetch_sub(&order_of_file->left, 1) != 1)
        return 0;
    atomic_fetch_add(&order_of_file->failed, 1);
    errno = ENOMEM;
    return 1;
}

void *malloc(size_t bytes) {
    return fails(__builtin_return_address(0)) ? NULL : __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes) {
    return fails(__builtin_return_address(0)) ? NULL : __libc_calloc(count, bytes);
}

void *realloc(void *old, size_t bytes) {
    return fails(__builtin_return_address(0)) ? NULL : __libc_realloc(old, bytes);
}
