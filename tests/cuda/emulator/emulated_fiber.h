/* tests/cuda/emulator/emulated_fiber.h: stacks, and the switch between them.
 *
 *     emulated::stack s = emulated::stack_take();
 *     void *to = emulated::stack_prepare(s, entry);     // entry() runs at the first switch to it
 *     emulated_switch(&own, to);                        // returns when something switches to `own`
 *     emulated::stack_give(s);
 *
 * A switch saves what the calling convention says a call preserves, and makes no system call.
 * Stacks are kept for the next block; each has a page below it that faults.
 */
#ifndef QR_TESTS_EMULATED_FIBER_H
#define QR_TESTS_EMULATED_FIBER_H

#include <cstddef>

extern "C" void emulated_switch(void **save_stack_pointer, void *to_stack_pointer);

namespace emulated {

struct stack {
    unsigned char *low;
    unsigned char *top;
};

/** Thread-safe. */
stack stack_take();
void stack_give(stack s);

/** What to switch to, so that entry() begins on the stack. It must never return. */
void *stack_prepare(stack s, void (*entry)());

/** Whether the address is in a page below a stack that was made. */
bool stack_is_below(const void *address);

} // namespace emulated

#endif
