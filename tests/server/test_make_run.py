"""What `make run` starts, at a terminal."""
import contextlib
import os
import pty
import select
import shutil
import signal
from pathlib import Path

import pytest
from program import BINARY, HANG, ROOT, die_with_parent, free_port


class Terminal:
    """A program at a terminal of its own."""

    def __init__(self, command, environment):
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            die_with_parent()
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # of a suite in the background it is ignored
            os.execvpe(command[0], command, environment)
        self.shown = b""

    def read(self):
        """More of what it shows; False at its end."""
        assert select.select([self.file], [], [], HANG)[0], "nothing more is shown:\n" + self.shown.decode()
        try:
            piece = os.read(self.file, 65536)
        except OSError:  # the last process that had the terminal is gone
            piece = b""
        self.shown += piece
        return piece != b""

    def read_until(self, text):
        while text not in self.shown:
            assert self.read(), self.shown.decode()

    def children(self):
        return [int(pid) for pid in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()]

    def finish(self):
        while self.read():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def run(embedder, reader, tmp_path):
    """tools/run, over tiny models, once it has said what to try."""
    for folder in ("tools", "build", "models"):
        (tmp_path / folder).mkdir()
    shutil.copy(ROOT / "tools" / "run", tmp_path / "tools" / "run")
    (tmp_path / "build" / "querent").symlink_to(BINARY)
    (tmp_path / "models" / "minilm").symlink_to(embedder)
    (tmp_path / "models" / "squad-3l").symlink_to(reader)
    command = ["bash", str(tmp_path / "tools" / "run"), "--drain-delay-ms", "1000"]  # time for a second signal
    terminal = Terminal(command, {**os.environ, "PORT": str(free_port())})
    terminal.read_until(b"Ctrl-C ends it.")
    started = terminal.children()
    yield terminal
    for pid in started:  # where the test failed
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    os.close(terminal.file)


def test_ctrl_c_is_one_signal(run):
    os.write(run.file, b"\x03")
    assert run.finish() == 0
    assert b"drained: every admitted request is answered" in run.shown
    assert b"told to stop again" not in run.shown


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT], ids=lambda number: number.name)
def test_a_signal_to_the_script_ends_the_server(run, number):
    os.kill(run.pid, number)
    assert run.finish() == 0
    assert b"drained: every admitted request is answered" in run.shown
