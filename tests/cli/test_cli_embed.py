"""`querent embed`: vectors, lines, faults."""

import json
import os
import subprocess

import numpy as np
import pytest
from cli_tool import json_lines, querent
from program import BINARY, HANG, HIDDEN


def embed(model, text, *options):
    return np.array(json_lines(querent("embed", "--model", model, *options, stdin=text)), dtype=np.float32)


@pytest.mark.real
@pytest.mark.isa
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_equals_transformers(minilm, golden, threads):
    wanted = golden("embeds.json")
    lines = "\n".join(wanted["texts"]).encode() + b"\n"
    found = embed(minilm, lines, "--threads", threads)
    np.testing.assert_allclose(found, np.array(wanted["vectors"]), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    "text,lines",
    [
        (b"", 0),
        (b"\n", 1),
        (b"\n\n\n", 3),
        (b"one", 1),
        (b"one\n", 1),
        (b"one\n\ntwo", 3),
        (b"one\r\ntwo\r\n", 2),
        (b"a\rb", 1),
        ("a\u2028b\u0085c\x0bd\x0ce".encode(), 1),
        (b"\xff\xfe invalid \xc3\n\x80\n", 2),
        (b"a\x00b\n", 1),
    ],
)
def test_one_line_out_for_each_line_in(embedder, text, lines):
    found = json_lines(querent("embed", "--model", embedder, stdin=text))
    assert [len(vector) for vector in found] == [HIDDEN] * lines


@pytest.mark.real
def test_blank_line_is_the_empty_text(minilm, golden):
    wanted = golden("embeds.json")
    at = wanted["texts"].index("")
    found = embed(minilm, b"x\n\ny\n")
    np.testing.assert_allclose(found[1], wanted["vectors"][at], atol=1e-5, rtol=0)


def test_order_is_kept_over_many_lines(embedder):
    texts = [f"query {i}" + " again" * (i % 13) for i in range(1200)]
    found = embed(embedder, "\n".join(texts).encode(), "--threads", 2)
    assert found.shape == (1200, HIDDEN)
    some = [1199, 1024, 513, 512, 511, 256, 33, 32, 31, 1, 0]
    others = embed(embedder, "\n".join(texts[i] for i in some).encode(), "--threads", 1)
    np.testing.assert_allclose(found[some], others, atol=1e-5, rtol=0)
    assert len(np.unique(found.round(4), axis=0)) == 1200


def test_a_line_longer_than_any_buffer(embedder):
    found = embed(embedder, b"word " * 300_000 + b"\nshort\n")
    assert found.shape == (2, HIDDEN)
    np.testing.assert_allclose(found[0], embed(embedder, b"word " * 300)[0], atol=1e-6, rtol=0)


def test_lengths_are_kept_when_asked(embedder):
    unit = embed(embedder, b"a quiet street\nhello")
    pooled = embed(embedder, b"a quiet street\nhello", "--no-normalize")
    norms = np.linalg.norm(pooled, axis=1)
    np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, atol=1e-6)
    assert (abs(norms - 1) > 0.1).all()
    np.testing.assert_allclose(pooled / norms[:, None], unit, atol=1e-6)


def test_floats_are_the_shortest_that_read_back(embedder):
    done = querent("embed", "--model", embedder, stdin=b"numbers\n")
    texts = done.stdout.decode().strip()[1:-1].split(",")
    for text in texts:
        value = np.float32(text)
        if "e" not in text:
            assert text == np.format_float_positional(value, unique=True, trim="0"), text
        assert len(text.lstrip("-0.").replace(".", "").split("e")[0]) <= 9


def test_an_answer_does_not_wait_for_the_next_line(embedder):
    process = subprocess.Popen([BINARY, "embed", "--model", str(embedder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        for text in (b"first\n", b"second\n"):
            process.stdin.write(text)
            process.stdin.flush()
            assert len(json.loads(process.stdout.readline())) == HIDDEN
        process.stdin.close()
        assert process.stdout.read() == b""
        assert process.wait(HANG) == 0
    finally:
        process.kill()


def test_a_closed_stdout_is_a_fault_not_a_signal(embedder):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [BINARY, "embed", "--model", str(embedder)], input=b"x\n", stdout=writing, stderr=subprocess.PIPE, timeout=HANG
    )
    os.close(writing)
    assert done.returncode == 1
    assert b"cannot write to stdout" in done.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "<&- >&- 2>&-"])
def test_standard_streams_that_are_closed_are_faults(embedder, closed):
    """Files of the model do not stand in for them, and nobody takes lost vectors for written."""
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", BINARY, "embed", "--model", str(embedder)],
        input=b"x\n", stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=HANG,
    )
    assert done.returncode == 1 and done.stdout == b""
    assert b"2>" in closed.encode() or b"Bad file descriptor" in done.stderr


def test_a_full_disk_is_a_fault(embedder):
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [BINARY, "embed", "--model", str(embedder)], input=b"x\n", stdout=full, stderr=subprocess.PIPE, timeout=HANG
        )
    assert done.returncode == 1
    assert b"No space left" in done.stderr


def test_another_kind_of_model_is_refused(reader):
    done = querent("embed", "--model", reader, stdin=b"x\n")
    assert done.returncode == 1
    assert done.stdout == b""
    assert b"kind embedding" in done.stderr and b"kind span" in done.stderr
