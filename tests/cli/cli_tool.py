"""Runs the binary for the command line's tests."""

import json
import subprocess

from program import BINARY, HANG


def querent(*arguments, stdin=b"", **options):
    """Runs the binary to its end; stdout and stderr are bytes."""
    return subprocess.run(
        [BINARY, *map(str, arguments)], input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=10 * HANG, **options
    )


def json_lines(done, code=0):
    """The output's lines, each read as JSON, of a run that ended with `code`."""
    assert done.returncode == code, done.stderr.decode()
    assert done.stdout == b"" or done.stdout.endswith(b"\n")
    return [json.loads(line) for line in done.stdout.decode().split("\n")[:-1]]
