"""`querent inspect --measure`: the shape of what it prints. How fast a precision is stands in docs/SPEED.md."""

import pytest
from cli_tool import json_lines, querent


@pytest.mark.isa
def test_measure_json(reader):
    (found,) = json_lines(querent("inspect", reader, "--measure", "--json"))
    here = found["measured"]
    assert here["tokens"] == 9 and "f32" in here["ms"]
    assert all(ms > 0 for ms in here["ms"].values())
    assert here["ms"][here["fastest"]] == min(here["ms"].values())
    assert here["table"] in here["ms"]
    if here["table"] == here["fastest"]:
        assert here["agrees"]


def test_measure_text(reader):
    lines = querent("inspect", reader, "--measure").stdout.decode().splitlines()
    (line,) = (line for line in lines if line.startswith("measured "))
    assert "9 tokens, one thread: f32 " in line and (" as in the table" in line or " of its time" in line)


def test_nothing_is_measured_unasked(reader):
    (found,) = json_lines(querent("inspect", reader, "--json"))
    assert "measured" not in found
