"""deploy/systemd: systemd's own checks of the units, its own program that passes sockets, and the command of the unit
under the system calls that the unit allows. No systemd runs here as a manager."""
import contextlib
import ctypes
import json
import re
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from activated import Manager, listening, passing
from program import HANG, ROOT, free_port, make_tiny
from serving import Server, ask, make_request, read_answer

UNITS = ROOT / "deploy" / "systemd"
DROP_IN = Path("querent.service.d/gpu.conf")
OPEN = {  # what is left open, and why; every other wall of systemd's list stands
    "SystemCallFilter=~@resources": "the limit on descriptors, cores of a worker",
    "RootDirectory=/RootImage=": "it would need an image",
    "RestrictAddressFamilies=~AF_UNIX": "the proxy's socket, NOTIFY_SOCKET",
    "RestrictAddressFamilies=~AF_(INET|INET6)": "the ops port",
    "ProcSubset=": "/proc/meminfo",
    "PrivateNetwork=": "the ops port",
    "DeviceAllow=": "the clock's, of ProtectClock",
    "IPAddressDeny=": "localhost is allowed",
}
OPEN_GPU = {  # by querent.service.d/gpu.conf, besides
    "PrivateDevices=": "NVIDIA's device files",
}
EXPOSURE, EXPOSURE_GPU = 1.3, 1.5  # at most, of `systemd-analyze security`; 0 is a service that can do nothing, 10 one without a sandbox


def needs(program):
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed (Debian's package systemd)")


def analyze(*arguments):
    run = subprocess.run(["systemd-analyze", *map(str, arguments)], capture_output=True, text=True, timeout=HANG)
    return run.returncode, run.stdout + run.stderr


@pytest.fixture
def units(tmp_path):
    """The shipped files, with a program that is there."""
    for unit in (*UNITS.glob("*.service"), *UNITS.glob("*.socket")):
        text = unit.read_text().replace("/usr/local/bin/querent", "/bin/true")
        (tmp_path / unit.name).write_text(text)
    return tmp_path


@pytest.fixture
def gpu_units(units):
    """The same with the drop-in for a GPU."""
    shutil.copytree(UNITS / DROP_IN.parent, units / DROP_IN.parent)
    return units


@needs("systemd-analyze")
def test_verify(units):
    code, said = analyze("verify", "--man=no", units / "querent.service", units / "querent.socket")
    assert code == 0 and "querent" not in said, said


@needs("systemd-analyze")
def test_verify_finds_faults(units):
    """That it would say something."""
    unit = units / "querent.service"
    unit.write_text(unit.read_text().replace("WatchdogSec=10", "WatchdogSec=often"))
    assert "querent" in analyze("verify", "--man=no", unit)[1]


def exposure(unit):
    """Of the whole, and what is open."""
    code, said = analyze("security", "--offline=true", "--no-pager", unit)
    found = re.search(r"Overall exposure level for querent.service: ([\d.]+)", said)
    assert found and code == 0, said
    checks = json.loads(analyze("security", "--offline=true", "--no-pager", "--json=short", unit)[1])
    return float(found[1]), {check["name"] for check in checks if float(check["exposure"] or 0)}


@needs("systemd-analyze")
def test_security(units):
    of_all, open_ = exposure(units / "querent.service")
    assert of_all <= EXPOSURE and open_ <= set(OPEN), (of_all, open_ - set(OPEN))


@needs("systemd-analyze")
def test_the_drop_in_for_a_gpu(gpu_units):
    """Valid, and it opens the devices alone."""
    unit = gpu_units / "querent.service"
    code, said = analyze("verify", "--man=no", unit)
    assert code == 0 and "gpu.conf" not in said, said
    of_all, open_ = exposure(unit)
    print(f"exposure with a GPU: {of_all}")
    assert of_all <= EXPOSURE_GPU and open_ <= set(OPEN) | set(OPEN_GPU), (of_all, open_ - set(OPEN))
    assert set(OPEN_GPU) <= open_, "the drop-in was not read"
    (gpu_units / DROP_IN).write_text((UNITS / DROP_IN).read_text().replace("DevicePolicy=closed", "DevicePolicy=shut"))
    assert "gpu.conf" in analyze("verify", "--man=no", unit)[1]


def test_what_the_drop_in_sets():
    text = (UNITS / DROP_IN).read_text()
    assert re.findall("^DeviceAllow=(.*)$", text, re.M) == ["char-nvidia* rw"] and "DevicePolicy=closed" in text
    variables = dict(re.findall(r"^Environment=(\w+)=(.*)$", text, re.M))
    assert variables["QUERENT_DEVICE"] == "cuda" and "--device" not in setting("querent.service", "ExecStart")
    assert variables["CUDA_CACHE_PATH"].startswith(f"/var/cache/{setting('querent.service', 'CacheDirectory')}/")


def setting(unit, name):
    """The value of a setting that has one line."""
    (value,) = re.findall(rf"^{name}=(.*)$", (UNITS / unit).read_text(), re.M)
    return value


def command():
    """The words of ExecStart behind `serve --model PATH`."""
    program, serve, model, _, *options = shlex.split(setting("querent.service", "ExecStart"))
    assert program.endswith("/querent") and (serve, model) == ("serve", "--model")
    return options


def test_times_agree():
    """A stop is not cut short, and a socket unit is not taken for the ops one."""
    options = command()
    drain_ms = int(options[options.index("--drain-timeout-ms") + 1])
    assert "--drain-delay-ms" not in options
    assert int(setting("querent.service", "TimeoutStopSec")) * 1000 > drain_ms
    assert setting("querent.service", "Type") == "notify" and int(setting("querent.service", "WatchdogSec")) > 1
    assert "FileDescriptorName" not in (UNITS / "querent.socket").read_text()


def expand(name):
    """The system calls of a set."""
    if not name.startswith("@"):
        return {name}
    lines = [line.strip() for line in analyze("syscall-filter", name)[1].splitlines()[1:]]
    return set().union(*(expand(line) for line in lines if line and not line.startswith("#")))


def allowed_calls():
    calls = set()
    for words in re.findall(r"^SystemCallFilter=(.*)$", (UNITS / "querent.service").read_text(), re.M):
        sets = set().union(*(expand(word) for word in words.lstrip("~").split()))
        calls = calls - sets | expand("@default") if words.startswith("~") else calls | sets
    return calls


FILTER = """
import ctypes, os, sys
program = bytes.fromhex(sys.argv[1])
held = ctypes.create_string_buffer(program)
class Program(ctypes.Structure):
    _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, ctypes.byref(Program(len(program) // 8, ctypes.addressof(held)))) == 0
os.execv(sys.argv[2], sys.argv[2:])
"""


def seccomp_program(calls):
    """BPF that kills the process at any other call; the unit's own only refuses it, and that might go unseen."""
    try:
        libseccomp = ctypes.CDLL("libseccomp.so.2")
    except OSError:
        pytest.skip("libseccomp.so.2 is not installed (Debian's package libseccomp2)")
    numbers = sorted({libseccomp.seccomp_syscall_resolve_name(call.encode()) for call in calls})
    code = struct.pack("<HBBI", 0x20, 0, 0, 0)
    for number in (n for n in numbers if n >= 0):
        code += struct.pack("<HBBI", 0x15, 0, 1, number) + struct.pack("<HBBI", 0x06, 0, 0, 0x7FFF0000)
    return code + struct.pack("<HBBI", 0x06, 0, 0, 0x80000000)


@pytest.fixture
def own_command(tmp_path):
    """The shipped command with this machine's paths and port."""
    (tmp_path / "private").mkdir()
    (tmp_path / "cache").symlink_to("private")  # as under DynamicUser
    options = command()
    for name, ours in (("--ops-port", free_port()), ("--cache-dir", tmp_path / "cache")):
        options[options.index(name) + 1] = ours
    return options


def ask_at(address, path, body=None):
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(HANG)
        connection.connect(address)
        connection.sendall(make_request(path, body))
        return read_answer(connection)[0]


@contextlib.contextmanager
def running(*arguments, **more):
    server = Server(*arguments, **more)
    try:
        yield server
    finally:
        server.stop()


@needs("systemd-analyze")
def test_the_units_command_under_its_filter(tmp_path, own_command):
    """With its socket, its messages, a reload and a stop; the second start finds what the first one kept."""
    calls = allowed_calls()
    assert "read" in calls and "mount" not in calls and "mlock" not in calls
    model, path, manager = make_tiny(tmp_path, "embedder"), str(tmp_path / "q"), Manager(str(tmp_path / "n"))
    main = listening(socket.AF_UNIX, path)
    passed = passing([main], "querent.socket", {**manager.env, "WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "PID"})
    passed["prefix"] += [sys.executable, "-c", FILTER, seccomp_program(calls).hex()]
    for kept in (False, True):
        with running([model], *own_command, port=None, **passed) as server:
            manager.wait("READY=1")
            assert ("from the cache" in server.log) == kept
            assert ask_at(path, "/embed", {"inputs": "a text"}).status == 200
            assert ask(server, "/metrics", port=server.ops_port).status == 200
            assert "Seccomp:\t2" in open(f"/proc/{server.process.pid}/status").read()
            server.signal(signal.SIGHUP)
            manager.wait("RELOADING=1")
            manager.wait("READY=1")
        assert server.process.returncode == 0
        manager.wait("STOPPING=1")


@needs("systemd-socket-activate")
def test_what_systemd_passes(tmp_path):
    """Its own program listens, and becomes the server at the first connection, which is answered."""
    model, main, ops = make_tiny(tmp_path, "embedder"), str(tmp_path / "main"), free_port()
    prefix = ["systemd-socket-activate", "--fdname=main:ops", "-l", main, "-l", f"127.0.0.1:{ops}", "-E", "XDG_CACHE_HOME"]
    with running([model], port=None, wait=False, prefix=prefix) as server:
        server.wait_log(f"Listening on 127.0.0.1:{ops}")
        assert ask_at(main, "/embed", {"inputs": "a text"}).status == 200
        assert ask(server, "/v2/health/ready", port=ops).status == 200
        assert ask_at(main, "/metrics").status == 404
        server.wait_log(f"querent: ops on http://127.0.0.1:{ops}")
        server.wait_log(f"querent: listening on unix:{main}")
    assert server.process.returncode == 0
