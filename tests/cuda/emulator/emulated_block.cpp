#include "emulated_block.h"
#include <cstdio>
#include <cstring>

namespace emulated {

__thread lane *current __attribute__((tls_model("initial-exec")));
thread_local uint64_t signals;

random_bits::random_bits(uint64_t seed) : state(seed * 0x9e3779b97f4a7c15u + 0x632be59bd9b4e019u) {
    state = (state ^ state >> 31) * 0xbf58476d1ce4e5b9u | 1;
    next();
}

uint32_t random_bits::next() {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)((state * 0x2545f4914f6cdd1du) >> 32);
}

/* What a lane's fiber runs: it marks itself done when the kernel has returned, and stays away. */
static void lane_main() {
    block &b = *current->of;
    b.config.what->run(b.args);
    lane &l = *current;
    copies &c = b.in_flight[l.number];
    if (!c.pending.empty())
        fail(l.where, "the thread returned before its copies had arrived (copy_wait)");
    warp &w = b.warps[l.number / LANES];
    uint32_t bit = 1u << l.number % LANES;
    w.ready &= ~bit;
    w.done |= bit;
    b.give_way();
    __builtin_trap();
}

block::block(const emulator::launch_config &launched, const void *arguments, index at,
             uint64_t block_seed, bool starts_early)
    : config(launched), args(arguments), random(block_seed), seed(block_seed), early(starts_early),
      waited(false), paused(false), lanes(launched.threads), stacks(launched.threads),
      in_flight(launched.threads), warps(launched.threads / LANES), last_warp(0) {
    unsigned char *start;
    shared_map = arena_take(config.shared, &start);
    for (uint32_t i = 0; i < config.threads; i++) {
        stacks[i] = stack_take();
        lane &l = lanes[i];
        l = {{i, 0, 0},
             at,
             {config.threads, 1, 1},
             {config.grid.x, config.grid.y, config.grid.z},
             start,
             config.shared,
             i,
             this,
             stack_prepare(stacks[i], lane_main),
             nullptr,
             {"its beginning", 0}};
    }
    for (warp &w : warps)
        w = {~0u, 0, 0, 0, 0, nullptr, nullptr, {nullptr, 0}, {}};
    ready_warps = warps.size() == 32 ? ~0u : (1u << warps.size()) - 1;
    make_order();
}

block::~block() {
    for (stack s : stacks)
        stack_give(s);
}

/* From one warp at a time to the end of what it can do, to lanes of all warps by turns. */
void block::make_order() {
    static const uint32_t stays[] = {256, 248, 128, 0};
    uint32_t bits = random.next();
    rotation = bits & 31;
    downwards = bits & 32;
    stay = stays[bits >> 6 & 3];
    last_warp = (bits >> 8) % (uint32_t)warps.size();
}

/* The first set bit of a mask, counted from `from` up or down. */
static uint32_t pick(uint32_t mask, uint32_t from, bool down) {
    uint32_t turned = from ? mask >> from | mask << (32 - from) : mask;
    uint32_t found = down ? 31u - (uint32_t)__builtin_clz(turned) : (uint32_t)__builtin_ctz(turned);
    return (found + from) & 31;
}

lane *block::choose() {
    if (!ready_warps || paused)
        return nullptr;
    uint32_t w = last_warp;
    if (!warps[w].ready)
        last_warp = w = pick(ready_warps, random.next() & 31, downwards);
    return &lanes[w * LANES + pick(warps[w].ready, rotation, downwards)];
}

void block::give_way() {
    lane *from = current;
    uint32_t w = from->number / LANES;
    if (!warps[w].ready)
        ready_warps &= ~(1u << w);
    lane *to = choose();
    if (to == from)
        return;
    current = to;
    emulated_switch(&from->stack_pointer, to ? to->stack_pointer : caller);
}

static bool same(place a, place b) {
    return a.line == b.line && (a.file == b.file || !strcmp(a.file, b.file));
}

void meet(collective operation, const char *what, void *operands, place where) {
    lane &l = *current;
    block &b = *l.of;
    warp &w = b.warps[l.number / LANES];
    uint32_t bit = 1u << l.number % LANES;
    if (!w.met) {
        w.operation = operation;
        w.what = what;
        w.where = where;
    } else if (w.operation != operation || !same(w.where, where)) {
        fail(where, "comes to %s while a lane of its warp waits in %s at %s:%d", what, w.what,
             w.where.file, w.where.line);
    }
    l.waits = what;
    l.where = where;
    w.operands[l.number % LANES] = operands;
    w.met |= bit;
    w.ready &= ~bit;
    if (w.met == ~0u) {
        operation(w.operands);
        w.met = 0;
        w.ready = ~0u;
        uint32_t bits = b.random.next();
        b.rotation = bits & 31;
        b.downwards = bits & 32;
        if ((bits >> 24) >= b.stay)
            b.last_warp = pick(b.ready_warps, bits >> 8 & 31, b.downwards);
    }
    b.give_way();
    l.waits = nullptr;
}

static void no_operation(void *const[LANES]) {}

void meet_warp(place where) {
    if (!is_left_out(where))
        meet(no_operation, "warp_sync", nullptr, where);
}

void meet_block(place where) {
    if (is_left_out(where))
        return;
    lane &l = *current;
    warp &w = l.of->warps[l.number / LANES];
    uint32_t bit = 1u << l.number % LANES;
    l.waits = "block_sync";
    l.where = where;
    w.synced |= bit;
    w.ready &= ~bit;
    l.of->give_way();
    l.waits = nullptr;
}

/* Until the block is released. */
static void hold(const char *what, place where) {
    lane &l = *current;
    warp &w = l.of->warps[l.number / LANES];
    uint32_t bit = 1u << l.number % LANES;
    l.waits = what;
    l.where = where;
    w.held |= bit;
    w.ready &= ~bit;
    l.of->give_way();
    l.waits = nullptr;
}

void wait_for_grid(place where) {
    block &b = *current->of;
    b.waited = true;
    if (b.early && !is_left_out(where))
        hold("grid_wait", where);
}

/* Not each time: else all blocks would have come to a meeting before the first goes on, whatever it
 * waits for. And now and then before the block's other threads have done what they can, which is
 * what a missing block_sync in front of a meeting allows. */
void wait_for_blocks(place where) {
    block &b = *current->of;
    const uint32_t bits = b.random.next() & 3;
    b.paused = bits == 3;
    if (bits > 1)
        hold("load_acquire", where);
}

void signal_blocks() {
    signals++;
}

void block::release() {
    early = false;
    for (uint32_t i = 0; i < warps.size(); i++) {
        warps[i].ready |= warps[i].held;
        warps[i].held = 0;
        if (warps[i].ready)
            ready_warps |= 1u << i;
    }
}

/* Opens the barrier when all have come to it. */
bool block::resolve() {
    for (const warp &w : warps)
        if (w.synced != ~0u)
            return false;
    const place first = lanes[0].where;
    for (lane &l : lanes)
        if (!same(l.where, first)) {
            current = &l;
            fail(l.where, "is in block_sync while thread 0 is in the one at %s:%d", first.file,
                 first.line);
        }
    for (warp &w : warps) {
        w.ready = ~0u;
        w.synced = 0;
    }
    ready_warps = warps.size() == 32 ? ~0u : (1u << warps.size()) - 1;
    make_order();
    return true;
}

bool block::run() {
    paused = false;
    do {
        while (lane *to = choose()) {
            current = to;
            emulated_switch(&caller, to->stack_pointer);
        }
    } while (!paused && resolve());
    uint32_t held = 0, done = ~0u;
    for (const warp &w : warps) {
        held |= w.held;
        done &= w.done;
    }
    if (done != ~0u && !held)
        report_stuck();
    if (done == ~0u) {
        lane &l = lanes[0];
        current = &l;
        const char *wrong = arena_give(shared_map, config.shared);
        if (wrong)
            fail({"its end", 0}, "%s", wrong);
        if (config.programmatic && !waited)
            fail({"its end", 0}, "the block ended without grid_wait in a programmatic launch");
    }
    current = nullptr;
    return done == ~0u;
}

void block::report_alone(const char *why) {
    for (lane &l : lanes)
        if (warps[l.number / LANES].held >> l.number % LANES & 1) {
            current = &l;
            fail(l.where, "waits for other blocks, %s", why);
        }
    report_stuck();
}

/* One thread of each state is enough to see what happened. */
void block::report_stuck() {
    const lane *returned = nullptr, *synced = nullptr, *met = nullptr;
    for (const lane &l : lanes) {
        const warp &w = warps[l.number / LANES];
        uint32_t bit = 1u << l.number % LANES;
        const lane **slot = w.done & bit ? &returned : w.met & bit ? &met : &synced;
        if (!*slot)
            *slot = &l;
    }
    char text[400];
    int n = 0;
    for (const lane *l : {met, synced})
        if (l)
            n += snprintf(text + n, sizeof text - (size_t)n, "; thread %u waits in %s at %s:%d",
                          l->number, l->waits, l->where.file, l->where.line);
    if (returned)
        snprintf(text + n, sizeof text - (size_t)n, "; thread %u has returned", returned->number);
    current = &lanes[(met ? met : synced)->number];
    fail(current->where, "waits for threads that do not come%s", text);
}

} // namespace emulated
