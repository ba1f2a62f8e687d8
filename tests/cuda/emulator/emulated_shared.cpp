/* Shared memory, the copies into it, and memory for kernels' data. */
#include "emulated_block.h"
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <sys/mman.h>
#include <unistd.h>

namespace emulated {

constexpr size_t ARENA = 256 * 1024, CANARY = 256;
constexpr unsigned char CANARY_BYTE = 0xa5;

struct arena {
    unsigned char *map, *start;
    arena *next;
};

/* 0x7fff is NaN in both 16-bit floats, and twice it in f32. */
static void poison(void *to, size_t bytes) {
    auto *at = static_cast<unsigned char *>(to);
    for (size_t i = 0; i < bytes; i++)
        at[i] = i % 2 ? 0x7f : 0xff;
}

static size_t page_bytes() {
    static const size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
    return bytes;
}

/* Space between two pages that fault; NULL: there is none. */
static unsigned char *map_guarded(size_t bytes) {
    size_t page = page_bytes();
    void *map = mmap(nullptr, bytes + 2 * page, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED)
        return nullptr;
    auto *at = static_cast<unsigned char *>(map);
    mprotect(at, page, PROT_NONE);
    mprotect(at + page + bytes, page, PROT_NONE);
    return at + page;
}

static std::mutex arena_lock;
static arena *free_arenas;

arena *arena_take(uint32_t bytes, unsigned char **start) {
    arena *a;
    {
        std::lock_guard<std::mutex> hold(arena_lock);
        a = free_arenas;
        if (a)
            free_arenas = a->next;
    }
    if (!a) {
        unsigned char *map = map_guarded(ARENA);
        if (!map || bytes > ARENA - CANARY) {
            fprintf(stderr, "emulator: no %u bytes of shared memory\n", bytes);
            abort();
        }
        a = new arena{map, nullptr, nullptr};
    }
    *start = a->start = a->map + ARENA - (bytes + 15) / 16 * 16;
    memset(*start - CANARY, CANARY_BYTE, CANARY);
    poison(*start, bytes);
    memset(*start + bytes, CANARY_BYTE, (size_t)(a->map + ARENA - *start) - bytes);
    return a;
}

const char *arena_give(arena *a, uint32_t bytes) {
    const char *wrong = nullptr;
    for (const unsigned char *at = a->start - CANARY; at < a->start; at++)
        if (*at != CANARY_BYTE)
            wrong = "shared memory was written in front of its begin";
    for (const unsigned char *at = a->start + bytes; at < a->map + ARENA; at++)
        if (*at != CANARY_BYTE)
            wrong = "shared memory was written behind its end";
    std::lock_guard<std::mutex> hold(arena_lock);
    a->next = free_arenas;
    free_arenas = a;
    return wrong;
}

void check_shared(const void *address, const char *what, place where) {
    uintptr_t at = (uintptr_t)address, start = (uintptr_t)current->shared;
    if (at % 16)
        fail(where, "%s: the address in shared memory is not a multiple of 16", what);
    if (at - start > current->shared_bytes || current->shared_bytes - (at - start) < 16)
        fail(where, "%s: 16 bytes at byte %lld of shared memory, which has %zu", what,
             (long long)(at - start), current->shared_bytes);
}

/* What is on its way is neither the old nor the new: a thread that reads it meets NaN. */
void copy_start(void *shared, const void *global, bool real, place where) {
    check_shared(shared, "copy16_async", where);
    if (real && (uintptr_t)global % 16)
        fail(where, "copy16_async: the address in global memory is not a multiple of 16");
    current->of->in_flight[current->number].pending.push_back({shared, real ? global : nullptr});
    current->where = where;
    poison(shared, 16);
}

void copies_commit() {
    copies &c = current->of->in_flight[current->number];
    c.group_ends.push_back(c.pending.size());
}

/* Groups that may have arrived do so in either order. */
void copies_wait(uint32_t groups_left, place where) {
    if (is_left_out(where))
        return;
    block &b = *current->of;
    copies &c = b.in_flight[current->number];
    if (c.group_ends.size() <= groups_left)
        return;
    size_t groups = c.group_ends.size() - groups_left, end = c.group_ends[groups - 1];
    bool backwards = b.random.next() & 1;
    for (size_t i = 0; i < end; i++) {
        const pending_copy &p = c.pending[backwards ? end - 1 - i : i];
        if (p.from)
            memcpy(p.to, p.from, 16);
        else
            memset(p.to, 0, 16);
    }
    c.pending.erase(c.pending.begin(), c.pending.begin() + (ptrdiff_t)end);
    c.group_ends.erase(c.group_ends.begin(), c.group_ends.begin() + (ptrdiff_t)groups);
    for (size_t &e : c.group_ends)
        e -= end;
}

} // namespace emulated

namespace emulator {

memory::memory(size_t wanted) : bytes(wanted) {
    size_t page = emulated::page_bytes(), used = (wanted + 255) / 256 * 256;
    map_bytes = (used + page - 1) / page * page;
    unsigned char *at = emulated::map_guarded(map_bytes);
    if (!at) {
        fprintf(stderr, "emulator: no %zu bytes of memory\n", wanted);
        abort();
    }
    map = at;
    data = at + map_bytes - used;
    emulated::poison(data, wanted);
    memset(as<unsigned char>() + wanted, emulated::CANARY_BYTE, used - wanted);
}

void memory::check() const {
    for (size_t i = bytes; i < (bytes + 255) / 256 * 256; i++)
        if (as<unsigned char>()[i] != emulated::CANARY_BYTE) {
            fprintf(stderr, "emulator: byte %zu of %zu of memory was written\n", i, bytes);
            abort();
        }
}

void memory::allow(bool access) {
    mprotect(map, map_bytes, access ? PROT_READ | PROT_WRITE : PROT_NONE);
}

memory::~memory() {
    check();
    size_t page = emulated::page_bytes();
    munmap(static_cast<unsigned char *>(map) - page, map_bytes + 2 * page);
}

} // namespace emulator
