"""What a service manager does for a server, for its tests: passes listening sockets, and hears of it."""
import contextlib
import json
import os
import select
import socket
import sys
import time

from program import HANG

JUNK = b"X_JUNK=1"

# Puts the descriptors at 3 and up, says whose they are, and becomes the program: as systemd does.
LAUNCH = """
import fcntl, json, os, sys
fds, env = json.loads(sys.argv[1])
kept = [fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in fds]
for fd in fds:
    os.close(fd)
for i, fd in enumerate(kept):
    os.dup2(fd, 3 + i)
    os.close(fd)
pid = str(os.getpid())
os.environ.update({name: value.replace("PID", pid) for name, value in env.items()})
os.execv(sys.argv[2], sys.argv[2:])
"""


def passing(sockets, names=None, env=None):
    """For start_server: the server gets these sockets. A value of `env` may say PID for the server's own."""
    fds = [s if isinstance(s, int) else s.fileno() for s in sockets]
    said = {"LISTEN_FDS": str(len(fds)), "LISTEN_PID": "PID"} if fds else {}
    if names:
        said["LISTEN_FDNAMES"] = names
    said.update(env or {})
    return {"prefix": [sys.executable, "-c", LAUNCH, json.dumps([fds, said])], "pass_fds": fds}


def listening(family=socket.AF_INET, address=("127.0.0.1", 0)):
    made = socket.socket(family)
    made.bind(address)
    made.listen(1024)
    return made


class Manager:
    """The other end of NOTIFY_SOCKET. Its queue is short (net.unix.max_dgram_qlen, 10 datagrams)."""

    def __init__(self, name):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + name[1:] if name.startswith("@") else name)
        self.socket.settimeout(HANG)
        self.heard = []
        self.env = {"NOTIFY_SOCKET": name}

    def next(self):
        message = JUNK
        while message == JUNK:
            message = self.socket.recv(4096)
        self.heard.append(message.decode().split("\n"))
        return self.heard[-1]

    def wait(self, line):
        """Signs of life come for ever: each recv's timeout alone would never end the wait for a line that does not."""
        end = time.monotonic() + HANG
        while line not in self.next():
            assert time.monotonic() < end, f"no {line} in {self.heard}"
        return self.heard[-1]

    def fill(self):
        """Messages of somebody else (dropped again by next), until there is no room for another."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
            other.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                while True:
                    other.sendto(JUNK, self.socket.getsockname())

    def rest(self):
        """What else has come."""
        while select.select([self.socket], [], [], 0)[0]:
            self.next()
        return [line for message in self.heard for line in message]


def filter_len(listener):
    """Instructions of the filter that somebody attached to a socket (SO_GET_FILTER); it outlives its maker."""
    return len(listener.getsockopt(socket.SOL_SOCKET, 26, 1024))


def open_files(process):
    return {fd: os.readlink(f"/proc/{process.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{process.pid}/fd")}
