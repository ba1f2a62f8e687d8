#!/usr/bin/env python3
"""What each GPU kernel takes of a multiprocessor, as ptxas says: a table, which stands in docs/CUDA.md.

    python3 tools/cuda_figures.py [--write | --check] [--report build/cuda/querent_cuda.ptxas]

The report is made with the kernels' image (cmake/Cuda.cmake); threads and dynamic shared memory come from
cuda_kernel_list.h. Blocks that a multiprocessor holds follow from both by the rules of CUDA's occupancy calculator
(cuda_occupancy.h) with the limits of the CUDA C++ Programming Guide's table of compute capabilities. --check fails where the
page has other figures; with another nvcc than the page's it only says so, because each allots registers its own way.
"""
import argparse
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE, LIST = ROOT / "docs/CUDA.md", ROOT / "src/engine/cuda/kernels/cuda_kernel_list.h"
REPORT = ROOT / "build/cuda/querent_cuda.ptxas"
BEGIN, END = "<!-- tools/cuda_figures.py: begin -->", "<!-- tools/cuda_figures.py: end -->"

TARGETS = ("sm_80", "sm_90a")
SHARED = {"sm_80": 164 << 10, "sm_90a": 228 << 10}  # bytes of a multiprocessor
SHARED_OF_BLOCK = {"sm_80": 163 << 10, "sm_90a": 227 << 10}
REGISTERS, PARTITIONS, WARPS, BLOCKS = 65536, 4, 64, 32  # of a multiprocessor, of both
REGISTER_UNIT, SHARED_UNIT, SHARED_RESERVED = 256, 128, 1024

ENTRY = re.compile(r"Compiling entry function 'qr_cuda_(\w+)' for '(\w+)'\n.*\n *(\d+) bytes stack frame, (\d+) bytes spill "
                   r"stores, (\d+) bytes spill loads\n.*Used (\d+) registers[^\n]*")
STATIC = re.compile(r"(\d+) bytes smem")
VERSION = re.compile(r"release (\d+\.\d+)")


def read_list(text):
    """{kernel: (threads, bytes of dynamic shared memory)}"""
    macros = dict(re.findall(r"#define (QR_CUDA_\w+) +(\d+)\n", text))
    rows = re.findall(r"^ +X\((\w+), \w+, (\w+), (\w+)\)", text, re.M)
    return {name: tuple(int(macros.get(value, value)) for value in values) for name, *values in rows}


def read_report(text):
    """{(kernel, target): (registers, stack and spills, static shared memory)}"""
    found = {}
    for entry in ENTRY.finditer(text):
        name, target, *spills, registers = entry.groups()
        static = STATIC.search(entry[0])
        found[name, target] = (int(registers), sum(map(int, spills)), int(static[1]) if static else 0)
    return found


def up(value, unit):
    return -(-value // unit) * unit


def by_registers(registers, threads):
    """Blocks for which there are registers. A quarter of a multiprocessor has a quarter of them, and whole warps."""
    warps = REGISTERS // PARTITIONS // up(registers * 32, REGISTER_UNIT) * PARTITIONS
    return warps // up(threads // 32, PARTITIONS)


def by_shared(shared, target):
    """Blocks for which there is shared memory; each takes a KB more than it asks for."""
    return SHARED[target] // up(shared + SHARED_RESERVED, SHARED_UNIT)


def blocks(registers, shared, threads, target):
    return min(by_registers(registers, threads), by_shared(shared, target), WARPS * 32 // threads, BLOCKS)


def cells(name, target, report, kernels):
    (threads, dynamic), (registers, _, static) = kernels[name], report[name, target]
    shared = dynamic + static
    held = blocks(registers, shared, threads, target)
    limits = [by_registers(registers, threads), by_shared(shared, target)]
    return [registers, *limits, f"{held} ({held * threads * 100 // (WARPS * 32)} %)"]


def make_table(report, kernels, version):
    lines = [f"nvcc {version}. No kernel spills a register or has static shared memory." if not any(
        spills or static for _, spills, static in report.values()) else f"nvcc {version}.", "",
        "| kernel | threads | shared bytes | sm_80: registers | blocks by them | by shared | held | "
        "sm_90a: registers | blocks by them | by shared | held |", "|---" * 11 + "|"]
    for name, (threads, dynamic) in kernels.items():
        row = [name, threads, dynamic] + [cell for target in TARGETS for cell in cells(name, target, report, kernels)]
        lines.append("| " + " | ".join(map(str, row)) + " |")
    return "\n".join(lines) + "\n"


def complaints(report, kernels):
    """What must not be, whatever the page says."""
    faults = [f"{name} for {target}: ptxas has not compiled it" for name in kernels for target in TARGETS
              if (name, target) not in report]
    faults += [f"{name} for {target}: not in cuda_kernel_list.h" for name, target in report if name not in kernels]
    for (name, target), (registers, spills, static) in report.items():
        if spills:
            faults.append(f"{name} for {target}: {spills} bytes of stack and spills")
        if name in kernels and kernels[name][1] + static > SHARED_OF_BLOCK[target]:
            faults.append(f"{name} for {target}: a block cannot have so much shared memory")
        if name in kernels and by_registers(registers, kernels[name][0]) < 1:
            faults.append(f"{name} for {target}: no block has so many registers")
    return faults


def split_page(text):
    begin, end = text.index(BEGIN) + len(BEGIN) + 1, text.index(END)
    return text[:begin], text[begin:end], text[end:]


def compare(page, table):
    """What to say, and whether it is a fault."""
    if page == table:
        return "docs/CUDA.md has these figures", False
    first, ours = page.partition("\n")[0], table.partition("\n")[0]
    if first.split(".")[:2] != ours.split(".")[:2] and first:
        return f"docs/CUDA.md has figures of another compiler: {first!r}, here {ours!r}", False
    return "docs/CUDA.md has other figures: run tools/cuda_figures.py --write", True


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="put the table into docs/CUDA.md")
    parser.add_argument("--check", action="store_true", help="fail where docs/CUDA.md has another one")
    parser.add_argument("--report", type=pathlib.Path, default=REPORT)
    arguments = parser.parse_args()
    if not arguments.report.exists():
        sys.exit(f"{arguments.report} is missing: build with nvcc first (target qr_cuda_fatbin)")
    text = arguments.report.read_text()
    report, kernels = read_report(text), read_list(LIST.read_text())
    faults = complaints(report, kernels)
    if faults:
        sys.exit("\n".join(faults))
    version = VERSION.search(text)
    table = make_table(report, kernels, version[1] if version else "of unknown release")
    before, page, after = split_page(PAGE.read_text()) if arguments.write or arguments.check else ("", "", "")
    if arguments.write:
        PAGE.write_text(before + table + after)
    elif arguments.check:
        said, is_fault = compare(page, table)
        print(said)
        return is_fault
    else:
        print(table, end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
