#include "emulated_fiber.h"
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <sys/mman.h>
#include <vector>

#if defined(__x86_64__)
/* Ends in a jump, not a return: the processor predicts returns by the calls of one stack. */
__asm__(".text\n.globl emulated_switch\n.type emulated_switch,@function\n"
        "emulated_switch:\n"
        "    pushq %rbp\n    pushq %rbx\n    pushq %r12\n"
        "    pushq %r13\n    pushq %r14\n    pushq %r15\n"
        "    movq %rsp, (%rdi)\n"
        "    movq %rsi, %rsp\n"
        "    popq %r15\n    popq %r14\n    popq %r13\n"
        "    popq %r12\n    popq %rbx\n    popq %rbp\n"
        "    popq %rcx\n    jmp *%rcx\n"
        ".size emulated_switch,.-emulated_switch\n");
constexpr size_t SAVED = 6, RETURN = 6, RESERVED = 8; // words
#elif defined(__aarch64__)
__asm__(".text\n.globl emulated_switch\n.type emulated_switch,%function\n"
        "emulated_switch:\n"
        "    sub sp, sp, #160\n"
        "    stp x19, x20, [sp]\n    stp x21, x22, [sp, #16]\n    stp x23, x24, [sp, #32]\n"
        "    stp x25, x26, [sp, #48]\n    stp x27, x28, [sp, #64]\n    stp x29, x30, [sp, #80]\n"
        "    stp d8, d9, [sp, #96]\n    stp d10, d11, [sp, #112]\n"
        "    stp d12, d13, [sp, #128]\n    stp d14, d15, [sp, #144]\n"
        "    mov x9, sp\n    str x9, [x0]\n    mov sp, x1\n"
        "    ldp x19, x20, [sp]\n    ldp x21, x22, [sp, #16]\n    ldp x23, x24, [sp, #32]\n"
        "    ldp x25, x26, [sp, #48]\n    ldp x27, x28, [sp, #64]\n    ldp x29, x30, [sp, #80]\n"
        "    ldp d8, d9, [sp, #96]\n    ldp d10, d11, [sp, #112]\n"
        "    ldp d12, d13, [sp, #128]\n    ldp d14, d15, [sp, #144]\n"
        "    add sp, sp, #160\n    ret\n"
        ".size emulated_switch,.-emulated_switch\n");
constexpr size_t SAVED = 20, RETURN = 11, RESERVED = 20;
#else
#error "no switch of stacks for this machine"
#endif

namespace emulated {
namespace {

constexpr size_t STACK = 64 * 1024, GUARD = 4096 * 16; // pages of up to 64 KB
constexpr size_t SLAB = 64;                            // stacks that are mapped at once

struct pool {
    std::mutex lock;
    std::vector<stack> free;
    std::vector<unsigned char *> slabs;
};

pool &stacks() {
    static pool &p = *new pool; // outlives whoever launches while the process ends
    return p;
}

/* Tops differ in their cache lines: threads that wait in the same call would otherwise all use the
 * same few sets of the caches. */
void map_slab(pool &p) {
    size_t bytes = SLAB * (STACK + GUARD);
    void *map = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED) {
        fputs("emulator: no memory for stacks\n", stderr);
        abort();
    }
    auto *at = static_cast<unsigned char *>(map);
    p.slabs.push_back(at);
    for (size_t i = 0; i < SLAB; i++, at += STACK + GUARD) {
        mprotect(at, GUARD, PROT_NONE);
        p.free.push_back({at + GUARD, at + GUARD + STACK - (i * 5 % 32) * 320});
    }
}

} // namespace

stack stack_take() {
    pool &p = stacks();
    std::lock_guard<std::mutex> hold(p.lock);
    if (p.free.empty())
        map_slab(p);
    stack s = p.free.back();
    p.free.pop_back();
    return s;
}

void stack_give(stack s) {
    pool &p = stacks();
    std::lock_guard<std::mutex> hold(p.lock);
    p.free.push_back(s);
}

void *stack_prepare(stack s, void (*entry)()) {
    auto *words = reinterpret_cast<uintptr_t *>((uintptr_t)s.top & ~(uintptr_t)63) - RESERVED;
    memset(words, 0, RESERVED * sizeof *words);
    words[RETURN] = (uintptr_t)entry;
    static_assert(SAVED <= RESERVED, "room for what a switch restores");
    return words;
}

bool stack_is_below(const void *address) {
    pool &p = stacks();
    std::lock_guard<std::mutex> hold(p.lock);
    auto *at = static_cast<const unsigned char *>(address);
    for (const unsigned char *slab : p.slabs)
        if (at >= slab && at < slab + SLAB * (STACK + GUARD))
            return (size_t)(at - slab) % (STACK + GUARD) < GUARD;
    return false;
}

} // namespace emulated
