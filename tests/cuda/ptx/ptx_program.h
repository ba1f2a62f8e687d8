/* tests/cuda/ptx/ptx_program.h: a kernel of PTX as it is run: instructions over a lane's slots.
 *
 *     const ptx::op &o = program.ops[pc];
 *     slots[o.x[0]] = slots[o.x[1]] + slots[o.x[2]];         // add_s32
 *
 * A lane has words of 32 bits, its slots: first what it knows of itself (SPECIALS) and the kernel's
 * constants, then registers; those of 64 bits have two. A predicate is 0 or 1, a register of 16
 * bits has zeros above. The parser (ptx_parser.cpp) makes drafts, whose registers are
 * numbered as in the text; ptx_registers.cpp gives them slots.
 */
#ifndef QR_TESTS_PTX_PROGRAM_H
#define QR_TESTS_PTX_PROGRAM_H

#include "emulator.h"
#include "ptx_instructions.h"
#include <string>
#include <vector>

namespace ptx {

enum class code : uint16_t {
#define QR_X(name, text, form, statement) name,
    PTX_INSTRUCTIONS(QR_X)
#undef QR_X
        ld_global,
    ld_shared,
    ld_param,
    st_global,
    st_shared,
    skip_unless, // what has a guard and is no branch: goes on behind the next instruction
    skip_if
};

/** Operands are slots, in the text's order; those of mma are in program::lists from x[0] on. */
struct op {
    code what;
    uint16_t x[6];
    uint16_t access; // of loads and stores
    int32_t offset;  // of an address; an immediate; where a branch goes
    uint32_t line;
};

/** Of op::access: elements, their bytes, and whether a load extends them, by zeros or sign. */
constexpr uint16_t ACCESS_COUNT = 0x7, ACCESS_BYTES = 0xf8, ACCESS_SIGNED = 0x100,
                   ACCESS_WIDE = 0x200; // to a register of 64 bits
constexpr int ACCESS_BYTES_SHIFT = 3;

/** Where windows begin: not at 0, so that an address of nothing is none. The shared one as on
 * sm_90. */
constexpr uint32_t SHARED_BASE = 1024;
constexpr uint64_t PARAM_BASE = 1 << 20;

/** First of the constants: tid, ntid, ctaid, nctaid, x y z of each. */
constexpr uint32_t SPECIALS = 12;

/** Of a lane at most: they lie on its fiber's stack. */
constexpr uint32_t SLOTS_MAX = 4096;

struct program {
    std::string name, file;
    emulator::kernel kernel;
    std::vector<op> ops;
    std::vector<uint16_t> lists;
    std::vector<uint32_t> constants; // the slots from 0 on
    uint32_t slots = 0;              // of a lane
};

/** A place of a register or constant in a draft. */
struct operand {
    static constexpr uint32_t CONSTANT = 1u << 31; // in `id`; the rest is the index
    uint32_t id;
    bool is_written;
};

struct draft_op {
    op made;
    std::vector<operand> operands;
    std::string target; // of a branch
};

struct draft {
    program *into;
    std::vector<draft_op> ops;
    std::vector<uint8_t> sizes; // of each register, in slots
    std::vector<std::string> names;
};

/** Gives registers their slots, and moves the ops to the program. A register that a path reads
 * before it is written ends the process. */
void place_registers(draft &kernel);

/** A lane of the emulator's runs the program of its kernel. */
void run_lane(const void *args);

/** Prints "FILE:LINE: ..." and ends the process. */
[[noreturn]] void refuse(const std::string &file, uint32_t line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

} // namespace ptx

#endif
