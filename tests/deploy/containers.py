"""Images and containers without a daemon: buildah builds, podman runs by crun. All of it happens in a
mount and PID namespace of its own and in one folder, so that nothing stays behind: no process, no mount,
no image, no lock. Needs root, and what tools/setup deploy installs."""
import itertools
import json
import os
import resource
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest
from debs import library_path, unpacked
from program import HANG, ROOT, die_with_parent

PROGRAMS = ("buildah", "crun", "mmdebstrap", "nsenter", "unshare")
CACHES = Path("/var/lib/containers")
# What is mounted over is what they write outside of the store; what is unmounted is the second of two
# versions of cgroups, which crun 1.8 does not take side by side. bash reaps whose parent is gone, and
# ends with its input.
HOLDER = """set -e
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /var/lib/containers
if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi
echo ready
read -r
"""
# An operator's restrictions. Without the last of them podman mounts folders that can be written.
RESTRICTED = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--read-only-tmpfs=false")
MOST_FILES = 20000
MOST_PROCESSES = 4096


def capped(kind, most):
    """As podman wants a limit; raising the hard one is not ours everywhere."""
    hard = resource.getrlimit(kind)[1]
    least = most if hard == resource.RLIM_INFINITY else min(most, hard)
    return f"{least}:{least}"


class Failed(Exception):
    """A program that did not exit with 0, and what it said."""


class Engine:
    def __init__(self):
        missing = [name for name in PROGRAMS if shutil.which(name) is None]
        if os.geteuid() != 0 or missing:
            pytest.skip(f"{', '.join(missing)} missing: tools/setup deploy" if missing else "namespaces are root's")
        # Installed, podman would have systemd listen for it.
        self.programs = unpacked("podman", "podman", "conmon", "libsubid4", "libsubid5")  # of Debian 12, of 13
        self.names = itertools.count()
        self.made = not CACHES.exists()
        CACHES.mkdir(mode=0o700, exist_ok=True)
        self.holder = subprocess.Popen(["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", "bash", "-c", HOLDER],
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                       preexec_fn=die_with_parent)  # fmt: skip
        said = self.holder.stdout.readline()
        if said != "ready\n":
            self.holder.communicate()
            pytest.skip(f"no namespaces of our own here: {said.strip()}")
        self.folder = Path(tempfile.mkdtemp(prefix="querent-images-"))
        pid = self.holder.pid
        self.inside = int(Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii"))
        # The file system as it is in there.
        self.root = Path(f"/proc/{self.inside}/root")
        self.store = ("--root", self.folder / "store", "--runroot", "/run/querent", "--storage-driver", "overlay")

    def end(self):
        self.holder.communicate()
        shutil.rmtree(self.folder)
        if self.made:
            CACHES.rmdir()

    def run(self, *command, env=None):
        """What the program printed; it runs in the namespaces. A failure is Failed."""
        words = ["nsenter", "--target", str(self.inside), "--mount", "--pid", "--wdns=" + str(ROOT), *map(str, command)]
        done = subprocess.run(words, capture_output=True, text=True, env=env, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise Failed(f"{' '.join(map(str, command))}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-5000:]}")
        return done.stdout.strip()

    def buildah(self, command, *arguments):
        return self.run("buildah", command, *self.store, *arguments)

    def podman(self, command, *arguments):
        programs = self.programs / "usr/bin"
        return self.run(programs / "podman", *self.store, "--tmpdir", "/run/podman", "--conmon", programs / "conmon", "--runtime",
                        shutil.which("crun"), "--cgroup-manager", "cgroupfs", "--events-backend", "none", command, *arguments,
                        env=library_path(self.programs))  # fmt: skip

    def take(self, name, source, over="scratch"):
        """An image of a folder or a tar, laid on another one."""
        container = self.buildah("from", "--pull-never", over)
        self.buildah("add", container, source, "/")
        self.buildah("commit", "-q", "--format", "docker", container, name)
        self.buildah("rm", container)

    def build(self, context, target, name, *more, **arguments):
        given = [word for key, value in arguments.items() for word in ("--build-arg", f"{key}={value}")]
        return self.buildah("build", "--isolation", "chroot", "--format", "docker", "--pull-never", "--layers", "--target", target,
                            *given, *more, "-t", name, "-f", context / "docker/Dockerfile", context)  # fmt: skip

    def image(self, name):
        container = self.buildah("from", "--pull-never", name)
        config = json.loads(self.buildah("inspect", "--type", "image", name))["Docker"]["config"]
        return Image(name, config, Path(f"{self.root}{self.buildah('mount', container)}"))

    def start(self, image, *options, words=(), env=None):
        """A container that runs, as an operator should start it. It has the test's network."""
        name = f"querent-{next(self.names)}"
        given = [word for key, value in (env or {}).items() for word in ("--env", f"{key}={value}")]
        here = ("--network=host", "--cgroups=disabled", "--no-healthcheck",
                "--ulimit", f"nofile={capped(resource.RLIMIT_NOFILE, MOST_FILES)}",
                "--ulimit", f"nproc={capped(resource.RLIMIT_NPROC, MOST_PROCESSES)}")  # fmt: skip
        self.podman("run", "--detach", "--name", name, *RESTRICTED, *here, *given, *options, image, *words)
        return Container(self, name)


class Image:
    """What an image says of itself, and its files."""

    def __init__(self, name, config, root):
        self.name, self.config, self.root = name, config, root
        self.environment = dict(line.split("=", 1) for line in config["Env"] or [])

    def paths(self):
        """Every file, folder and link."""
        for folder, folders, names in os.walk(self.root):
            yield from (Path(folder, name) for name in [*folders, *names])


class Container:
    def __init__(self, engine, name):
        self.engine, self.name = engine, name

    def state(self):
        return json.loads(self.engine.podman("inspect", self.name))[0]["State"]

    def log(self):
        """Both outputs, without the time and stream that podman writes before each line."""
        path = json.loads(self.engine.podman("inspect", self.name))[0]["HostConfig"]["LogConfig"]["Path"]
        return "".join(line.split(" ", 3)[3] + "\n" for line in self.engine.run("cat", path).splitlines())

    def healthy(self, words):
        """Whether `words`, run inside, exit with 0. A container that has ended is a failure."""
        try:
            self.engine.podman("exec", self.name, *words)
        except Failed as failed:
            assert self.state()["Running"], f"{failed}\n{self.log()}"
            return False
        return True

    def processes(self):
        """{pid: {field: value}} of /proc/PID/status for each process of this container."""
        proc = self.engine.root / "proc"
        pid = self.state()["Pid"]
        namespace = os.readlink(proc / str(pid) / "ns/pid")
        found = {}
        for folder in proc.glob("[0-9]*"):
            try:
                if os.readlink(folder / "ns/pid") == namespace:
                    found[int(folder.name)] = dict(line.split(":\t", 1) for line in (folder / "status").read_text().splitlines())
            except FileNotFoundError:
                continue  # it has just ended
        return found

    def mounts(self):
        """{path: options} inside."""
        lines = (self.engine.root / f"proc/{self.state()['Pid']}/mountinfo").read_text(encoding="utf-8").splitlines()
        return {line.split()[4]: line.split()[5].split(",") for line in lines}

    def stop(self):
        """As `docker stop`: SIGTERM, and SIGKILL only to end a hang. The exit code."""
        self.engine.podman("stop", "--time", HANG, self.name)
        return self.state()["ExitCode"]

    def remove(self):
        self.engine.podman("rm", "--force", "--time", 0, self.name)

    def connect(self, timeout=HANG, port=None):
        """For serving.ask, with the port that it was given."""
        connection = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection
