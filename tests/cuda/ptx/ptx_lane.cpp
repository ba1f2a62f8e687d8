/* A lane runs a program of PTX. */
#include "emulated_block.h"
#include "ptx_arithmetic.h"
#include "ptx_traffic.h"
#include "ptx_warp.h"
#include <cstring>

namespace ptx {

namespace {

typedef float __attribute__((may_alias)) float_slot;
typedef uint64_t __attribute__((may_alias, aligned(4))) pair_slot;

/* A slot that has 16 bits: what is written is cut to them. */
struct half_slot {
    uint32_t *slot;
    void operator=(uint32_t value) { *slot = value & 0xffff; }
    operator uint32_t() const { return *slot; }
};

uint64_t address_of(const program &, const uint32_t *slots, const op &o, uint16_t slot) {
    uint64_t base;
    memcpy(&base, slots + slot, 8);
    return base + (uint64_t)(int64_t)o.offset;
}

void check_aligned(const program &p, const op &o, uint64_t address, uint32_t bytes) {
    if (address % bytes)
        emulated::fail({p.file.c_str(), (int)o.line},
                       "the address %#llx is not aligned to the %u bytes of the access",
                       (unsigned long long)address, bytes);
}

unsigned char *shared_at(const program &p, const uint32_t *slots, const op &o, uint16_t slot,
                         uint32_t bytes) {
    const emulated::lane &l = *emulated::current;
    const uint32_t address = slots[slot] + (uint32_t)o.offset, at = address - SHARED_BASE;
    check_aligned(p, o, address, bytes);
    if (at > l.shared_bytes || l.shared_bytes - at < bytes)
        emulated::fail({p.file.c_str(), (int)o.line},
                       "%u bytes at byte %d of shared memory, which has %zu", bytes, (int)at,
                       l.shared_bytes);
    if (counts_traffic())
        count_access(o, true, address, bytes);
    return l.shared + at;
}

/* The line is kept for the handler of faults: the page may not be there. */
unsigned char *global_at(const program &p, const uint32_t *slots, const op &o, uint16_t slot,
                         uint32_t bytes) {
    const uint64_t address = address_of(p, slots, o, slot);
    check_aligned(p, o, address, bytes);
    emulated::current->where = {p.file.c_str(), (int)o.line};
    if (counts_traffic())
        count_access(o, false, address, bytes);
    return (unsigned char *)address;
}

const unsigned char *param_at(const program &p, const uint32_t *slots, const op &o, uint16_t slot,
                              uint32_t bytes, const void *args) {
    const uint64_t address = address_of(p, slots, o, slot), at = address - PARAM_BASE;
    check_aligned(p, o, address, bytes);
    if (at > p.kernel.args_bytes || p.kernel.args_bytes - at < bytes)
        emulated::fail({p.file.c_str(), (int)o.line},
                       "%u bytes at byte %lld of the parameter, which has %zu", bytes,
                       (long long)at, p.kernel.args_bytes);
    return static_cast<const unsigned char *>(args) + at;
}

uint32_t total_bytes(const op &o) {
    return (o.access & ACCESS_COUNT) * ((o.access & ACCESS_BYTES) >> ACCESS_BYTES_SHIFT);
}

/* One number of any size to a register of any size. */
void load_number(uint32_t *slot, const unsigned char *from, uint32_t bytes, uint16_t access) {
    uint64_t value = 0;
    memcpy(&value, from, bytes);
    if ((access & ACCESS_SIGNED) && bytes < 8 && value >> (bytes * 8 - 1))
        value |= ~0ull << bytes * 8;
    memcpy(slot, &value, access & ACCESS_WIDE ? 8 : 4);
}

/* x: the registers written, then the address. */
void load(uint32_t *slots, const op &o, const unsigned char *from) {
    const uint32_t count = o.access & ACCESS_COUNT;
    const uint32_t bytes = (o.access & ACCESS_BYTES) >> ACCESS_BYTES_SHIFT;
    if (bytes == 4 && !(o.access & ACCESS_WIDE)) {
        for (uint32_t i = 0; i < count; i++)
            memcpy(slots + o.x[i], from + 4 * i, 4);
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        load_number(slots + o.x[i], from + i * bytes, bytes, o.access);
}

/* x: the address, then what is written there; little endian. */
void store(const uint32_t *slots, const op &o, unsigned char *to) {
    const uint32_t count = o.access & ACCESS_COUNT;
    const uint32_t bytes = (o.access & ACCESS_BYTES) >> ACCESS_BYTES_SHIFT;
    for (uint32_t i = 0; i < count; i++)
        memcpy(to + i * bytes, slots + o.x[1 + i], bytes);
}

[[noreturn]] uint32_t fault(const program &p, const op &o, const char *what) {
    emulated::fail({p.file.c_str(), (int)o.line}, "%s", what);
}

/* cp.async's src-size: the bytes that are copied; the rest of 16 becomes 0. */
bool is_copied(uint32_t source_bytes, place where) {
    if (source_bytes != 0 && source_bytes != 16)
        emulated::fail(where, "cp.async of %u bytes: only 0 and 16 are known here", source_bytes);
    return source_bytes != 0;
}

/* Counters by which blocks wait for each other. */
void count_up(unsigned char *at, uint32_t value) {
    emulated::signal_blocks();
    __atomic_fetch_add((uint32_t *)at, value, __ATOMIC_RELEASE);
}

uint32_t read_count(const unsigned char *at, place where) {
    emulated::wait_for_blocks(where);
    return __atomic_load_n((const uint32_t *)at, __ATOMIC_ACQUIRE);
}

/* What a lane knows of itself, as `specials` of the parser names it. */
void set_specials(uint32_t *slots, const emulated::lane &l) {
    const emulated::index all[] = {l.thread, l.block_size, l.block_index, l.grid};
    static_assert(sizeof all == 4 * SPECIALS, "words");
    memcpy(slots, all, sizeof all);
}

} // namespace

#define W(operand)          slots[o.x[X_##operand]]
#define S(operand)          ((int32_t)W(operand))
#define F(operand)          (*(float_slot *)(slots + o.x[X_##operand]))
#define L(operand)          (*(pair_slot *)(slots + o.x[X_##operand]))
#define H(operand)          (half_slot{slots + o.x[X_##operand]})
#define PLACE               (place{p.file.c_str(), (int)o.line})
#define NUMBER              ((uint32_t)o.offset)
#define SHARED(slot, bytes) shared_at(p, slots, o, slot, bytes)
#define GLOBAL(slot, bytes) global_at(p, slots, o, slot, bytes)
#define PARAM(slot, bytes)  param_at(p, slots, o, slot, bytes, args)
#define FAULT(what)         fault(p, o, what)
#define JUMP()              next = p.ops.data() + o.offset
#define CASE(name, text, form, statement)                                                          \
    case code::name:                                                                               \
        statement;                                                                                 \
        break;

enum { X_d, X_a, X_b, X_c, X_e };

void run_lane(const void *args) {
    const emulated::lane &l = *emulated::current;
    const program &p = *static_cast<const program *>(l.of->config.what->code);
    uint32_t slots[SLOTS_MAX]; /* not set: no path reads a register before it is written */
    memcpy(slots, p.constants.data(), p.constants.size() * sizeof(uint32_t));
    set_specials(slots, l);
    const counted_lane counted(p);
    for (const op *next = p.ops.data();;) {
        const op &o = *next++;
        switch (o.what) {
            PTX_INSTRUCTIONS(CASE)
        case code::ld_global:
            load(slots, o, GLOBAL(o.x[o.access & ACCESS_COUNT], total_bytes(o)));
            break;
        case code::ld_shared:
            load(slots, o, SHARED(o.x[o.access & ACCESS_COUNT], total_bytes(o)));
            break;
        case code::ld_param:
            load(slots, o, PARAM(o.x[o.access & ACCESS_COUNT], total_bytes(o)));
            break;
        case code::st_global:
            store(slots, o, GLOBAL(o.x[0], total_bytes(o)));
            break;
        case code::st_shared:
            store(slots, o, SHARED(o.x[0], total_bytes(o)));
            break;
        case code::skip_unless:
            next += !slots[o.x[0]];
            break;
        case code::skip_if:
            next += slots[o.x[0]];
            break;
        }
    }
}

} // namespace ptx
