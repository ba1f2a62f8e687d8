#!/usr/bin/env python3
"""The least cycles in which a warp can issue a GPU kernel's machine code, from one meeting to the next.

    cuobjdump --dump-sass -arch sm_90a build/cuda/querent_cuda.fatbin > querent.sass       # PyPI: nvidia-cuda-cuobjdump
    python3 tools/cuda_cycles.py querent.sass [WORD...]                                    # kernels whose names have a word

Each instruction carries the cycles that its warp stalls behind it (bits 105 to 108 of 128; Jia et al. 2018, "Dissecting the NVIDIA
Volta GPU Architecture via Microbenchmarking", section 2). Summed in the order of addresses, between grid_wait (ACQBULK), barriers
and the ends of loops, they are what the code itself costs: waits for memory and for other warps come on top, and what is branched
over comes off. So they compare two versions of a kernel, on a machine without a GPU; they are no times.
"""
import argparse
import pathlib
import re

NAME = re.compile(r"Function : (?:qr_cuda_)?(\w+)")
LOW = re.compile(r"\s+/\*([0-9a-f]{4,})\*/\s+(.*?)\s*;\s+/\* 0x[0-9a-f]{16} \*/")
HIGH = re.compile(r"\s+/\* 0x([0-9a-f]{16}) \*/")
TARGET = re.compile(r"\bBRA\b.* 0x([0-9a-f]+)")
MARKS = (("ACQBULK", "grid_wait"), ("BAR.SYNC", "block_sync"))


def read(text):
    """{kernel: [(address, instruction, cycles)]}"""
    found, code, low = {}, None, None
    for line in text.splitlines():
        if name := NAME.search(line):
            code = found[name[1]] = []
        elif match := LOW.match(line):
            low = int(match[1], 16), match[2]
        elif low and (match := HIGH.match(line)):
            code.append((*low, int(match[1], 16) >> 41 & 15))
            low = None
    return found


def mark(address, instruction):
    """What ends a part of the kernel here; None: nothing does."""
    for word, name in MARKS:
        if word in instruction:
            return name
    back = TARGET.search(instruction)
    return f"back to {int(back[1], 16):x}" if back and int(back[1], 16) < address else None


def parts(code):
    """[(what ends it, its address, instructions, cycles)]; a branch to itself, behind the end, is none."""
    found, count, cycles = [], 0, 0
    for address, instruction, stall in code:
        count, cycles = count + 1, cycles + stall
        if name := mark(address, instruction):
            found.append((name, address, count, cycles))
            count = cycles = 0
    return found + [("end", code[-1][0], count, cycles)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sass", type=pathlib.Path)
    parser.add_argument("words", nargs="*")
    options = parser.parse_args()
    for kernel, code in read(options.sass.read_text()).items():
        if options.words and not any(word in kernel for word in options.words):
            continue
        print(f"{kernel}: {len(code)} instructions")
        for name, address, count, cycles in parts(code):
            print(f"  {count:5} instructions, {cycles:5} cycles to {name} at {address:x}")


if __name__ == "__main__":
    main()
