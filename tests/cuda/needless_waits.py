"""Whether tests see that a wait is missing: leaves every block_sync, warp_sync, copy_wait and grid_wait out of the kernels, one at
a time, and runs a program on the emulator, which should fail then.

    tests/cuda/needless_waits.py PROGRAM [ARGUMENT...]      prints the waits that the program does not need; the status is their count

A wait that no test needs is one that tests do not try, or one too many. grid_wait is seen by programs that use the fake driver,
where a kernel may begin before the one in front of it has ended."""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WAIT = re.compile(r"\b(block_sync|warp_sync|grid_wait|copy_wait<[^>]*>)\(\)")


def waits():
    """(path, line number, call) of each in code."""
    found = []
    for path in sorted((ROOT / "src/engine/cuda/kernels").iterdir()):
        if not re.search(r"\.cu$|_body\.h$", path.name) or path.name.startswith("gpu_ptx"):
            continue
        code = re.sub(r"/\*.*?\*/|//[^\n]*", lambda comment: "\n" * comment[0].count("\n"), path.read_text(), flags=re.S)
        for number, line in enumerate(code.splitlines(), 1):
            if call := WAIT.search(line):
                found.append((path.name, number, call[1]))
    return found


def passes(command, where):
    """A program that hangs has noticed, too."""
    try:
        done = subprocess.run(command, env=os.environ | {"QR_EMULATOR_WITHOUT": where}, capture_output=True, timeout=300)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def main():
    command = sys.argv[1:]
    if not command:
        sys.exit(__doc__)
    if not passes(command, "nowhere:0"):
        sys.exit("it fails with all waits in place")
    needless = [place for place in waits() if passes(command, f"/{place[0]}:{place[1]}")]
    for name, line, call in needless:
        print(f"{name}:{line}: nobody misses {call}")
    print(f"{len(waits())} waits, {len(needless)} that {command[0]} does not need")
    sys.exit(min(len(needless), 100))


if __name__ == "__main__":
    main()
