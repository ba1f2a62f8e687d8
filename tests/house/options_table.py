"""The option table of docs/CONFIG.md, made from `querent serve --help`.

    python3 tests/house/options_table.py --write     # after a change of src/config/options.h; needs the built binary
"""

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/CONFIG.md"
BINARY = Path(os.environ.get("QUERENT", ROOT / "build/querent"))
BEGIN, END = "<!-- options: begin -->\n", "<!-- options: end -->"
MODELS_BEGIN, MODELS_END = "<!-- models: begin -->\n", "<!-- models: end -->"
LINE = re.compile(r"^  --([a-z0-9-]+)(?: (\S+))? +(.*?)(?: \[(.*)\])?$")

MODEL_LINE = re.compile(r"^  ([a-z-]+): (\S+) +(.*?)(?: \[(.*)\])?$")


def read_help():
    return subprocess.run([BINARY, "serve", "--help"], capture_output=True, text=True, check=True).stdout


def parse_help(text):
    """[(name, values, help, bounds and default)] of each option but --help."""
    found = [LINE.match(line) for line in text.splitlines() if line.startswith("  --")]
    assert all(found), "a line of --help has another shape"
    return [(one[1], one[2] or "", one[3], one[4] or "") for one in found if one[1] != "help"]


def parse_models(text):
    """[(key, values, help, bounds)] of each key of a model."""
    found = [MODEL_LINE.match(line) for line in text.splitlines()]
    keys = [(one[1], one[2], one[3], one[4] or "") for one in found if one]
    assert keys, "--help has no keys of models"
    return keys


def render_models(keys):
    lines = ["| key | value | meaning |", "|---|---|---|"]
    for name, values, meaning, bounds in keys:
        value = " ".join(part for part in (f"`{values}`", bounds) if part).replace("|", "\\|")
        lines.append(f"| `{name}` | {value} | {meaning} |")
    return "\n".join(lines) + "\n"


def render(options):
    lines = ["| flag and YAML key | variable | value | meaning |", "|---|---|---|---|"]
    for name, values, meaning, bounds in options:
        variable = "QUERENT_" + name.upper().replace("-", "_")
        value = " ".join(part for part in (f"`{values}`" if values else "", bounds) if part).replace("|", "\\|")
        lines.append(f"| `{name}` | `{variable}` | {value} | {meaning} |")
    return "\n".join(lines) + "\n"


def replace(page, table, begin=BEGIN, end=END):
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    assert after, "docs/CONFIG.md has lost its marks"
    return before + begin + table + end + after


def make_page(page, text):
    page = replace(page, render(parse_help(text)))
    return replace(page, render_models(parse_models(text)), MODELS_BEGIN, MODELS_END)


def main():
    fresh = make_page(PAGE.read_text(encoding="utf-8"), read_help())
    if "--write" in sys.argv:
        PAGE.write_text(fresh, encoding="utf-8")
    elif fresh != PAGE.read_text(encoding="utf-8"):
        sys.exit("docs/CONFIG.md is not up to date: python3 tests/house/options_table.py --write")


if __name__ == "__main__":
    main()
