#!/usr/bin/env python3
"""Measures this machine's rates and puts them into src/engine/cpu/rates_tables.c, in place of its earlier rows.

    python3 tools/make_rates.py [--runs 5] [--name "Intel Ice Lake server"] [--bench build/bench/kernels]

Runs `build/bench/kernels --rates` so many times and keeps the best of each figure: what is slower was disturbed. Rows of other
CPUs stay as they are; of an instruction set that no CPU of this vendor was measured with before, this machine's row stands in for
all of them, until somebody writes `false` there. A CPU that is new to the table needs --name. Run it again whenever a kernel is
added or made faster, and rebuild.
"""
import argparse
import datetime
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = ROOT / "src/engine/cpu/rates_tables.c"
ISAS = ("ref", "avx2", "avx2vnni", "avx512f", "avx512vnni", "avx512bf16", "amx", "neon", "neondot", "neoni8mm")
ROW = re.compile(r'    \{\{"(\w*)", (\d+), (\d+)\}, "([^"]*)", QR_ISA_(\w+), (true|false), "([\d-]*)", ([^{}]*)\},\n')


def read_rows(text):
    """{(vendor, family, model, isa): [name, stands in, date, figures]}"""
    return {(vendor, int(family), int(model), isa.lower()): [name, stands_in == "true", date, figures]
            for vendor, family, model, name, isa, stands_in, date, figures in ROW.findall(text)}


def write_row(key, row):
    (vendor, family, model, isa), (name, stands_in, date, figures) = key, row
    return (f'    {{{{"{vendor}", {family}, {model}}}, "{name}", QR_ISA_{isa.upper()}, {str(stands_in).lower()}, "{date}", '
            f"{figures}}},\n")


def replace_rows(text, rows):
    """The table with these rows; CPUs by vendor and number, what no CPU was measured with at the end."""
    begin = ROW.search(text).start()
    end = [found.end() for found in ROW.finditer(text)][-1]
    order = sorted(rows, key=lambda key: (key[0] == "", key[:3], ISAS.index(key[3])))
    return text[:begin] + "".join(write_row(key, rows[key]) for key in order) + text[end:]


def merge(rows, measured, name, date):
    """Puts the best of the measured lines ("VENDOR FAMILY MODEL ISA F32 BF16 INT8") into rows."""
    best = {}
    for line in measured:
        vendor, family, model, isa, *figures = line.split()
        key = (vendor, int(family), int(model), isa)
        best[key] = [max(pair) for pair in zip(best.get(key, (0, 0, 0)), map(float, figures))]
    for key, figures in best.items():
        known = [row[0] for other, row in rows.items() if other[:3] == key[:3]]
        if not name and not known:
            raise ValueError(f"{key[0]} {key[1]}/{key[2]} is not in the table: give it a --name")
        empty = ("", 0, 0, key[3])
        others = [other for other, row in rows.items() if (other[0], other[3]) == (key[0], key[3]) and row[1] and other != key]
        rows.pop(empty, None)
        stands_in = rows[key][1] if key in rows else not others
        rows[key] = [name or known[0], stands_in, date, ", ".join(f"{figure:g}" for figure in figures)]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--name", help="of this CPU; needed the first time")
    parser.add_argument("--bench", default=ROOT / "build/bench/kernels")
    arguments = parser.parse_args()
    text = TARGET.read_text()
    rows = read_rows(text)
    lines = []
    for _ in range(arguments.runs):
        lines += subprocess.run([arguments.bench, "--rates"], capture_output=True, text=True, check=True).stdout.splitlines()
    try:
        merge(rows, lines, arguments.name, datetime.date.today().isoformat())
    except ValueError as fault:
        sys.exit(str(fault))
    TARGET.write_text(replace_rows(text, rows))


if __name__ == "__main__":
    main()
