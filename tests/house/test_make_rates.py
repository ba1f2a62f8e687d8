"""tools/make_rates.py puts measured rows into the committed table of rates, and touches no others."""

import sys

import pytest
from program import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import make_rates  # noqa: E402

OLD = ("AuthenticAMD", 25, 17, "avx512bf16")
EMPTY = ("", 0, 0, "amx")


@pytest.fixture
def rows():
    return {OLD: ["Zen", True, "2026-01-01", "100, 200, 400"], EMPTY: ["any CPU", True, "", "0, 0, 0"]}


def test_the_committed_table_is_as_the_tool_writes_it():
    text = make_rates.TARGET.read_text()
    assert make_rates.replace_rows(text, make_rates.read_rows(text)) == text


def test_the_best_of_each_figure_is_kept(rows):
    make_rates.merge(rows, ["GenuineIntel 6 1 avx2 10.5 20 30", "GenuineIntel 6 1 avx2 9 21.0 31"], "New", "2026-02-02")
    assert rows[("GenuineIntel", 6, 1, "avx2")] == ["New", True, "2026-02-02", "10.5, 21, 31"]
    assert rows[OLD] == ["Zen", True, "2026-01-01", "100, 200, 400"]


def test_the_first_of_a_vendor_stands_in_for_it(rows):
    make_rates.merge(rows, ["GenuineIntel 6 1 avx512bf16 1 2 3", "AuthenticAMD 26 2 avx512bf16 1 2 3"], "New", "2026-02-02")
    assert rows[OLD][1] and rows[("GenuineIntel", 6, 1, "avx512bf16")][1]
    assert not rows[("AuthenticAMD", 26, 2, "avx512bf16")][1]
    make_rates.merge(rows, ["GenuineIntel 6 1 avx512bf16 4 5 6", "GenuineIntel 6 2 avx512bf16 4 5 6"], "Newer", "2026-03-03")
    assert rows[("GenuineIntel", 6, 1, "avx512bf16")] == ["Newer", True, "2026-03-03", "4, 5, 6"]
    assert not rows[("GenuineIntel", 6, 2, "avx512bf16")][1]


def test_who_stands_in_is_kept(rows):
    rows[OLD][1] = False
    make_rates.merge(rows, ["AuthenticAMD 25 17 avx512bf16 1 2 3"], None, "2026-02-02")
    assert rows[OLD] == ["Zen", False, "2026-02-02", "1, 2, 3"]


def test_a_measured_row_takes_the_place_of_the_empty_one(rows):
    make_rates.merge(rows, ["GenuineIntel 6 1 amx 1 2 3"], "New", "2026-02-02")
    assert EMPTY not in rows and rows[("GenuineIntel", 6, 1, "amx")][1]


def test_a_new_cpu_needs_a_name_and_a_known_one_keeps_its_own(rows):
    with pytest.raises(ValueError, match="GenuineIntel 6/1 is not in the table"):
        make_rates.merge(rows, ["GenuineIntel 6 1 avx2 1 2 3"], None, "2026-02-02")
    make_rates.merge(rows, ["AuthenticAMD 25 17 avx2 1 2 3"], None, "2026-02-02")
    assert rows[("AuthenticAMD", 25, 17, "avx2")][0] == "Zen"
