"""Programs of Debian packages that are unpacked, not installed: installing nginx, haproxy or prometheus
starts daemons on the user's machine."""
import contextlib
import fcntl
import os
import shutil
import subprocess

import pytest
from program import ROOT

FOLDER = ROOT / "build" / "debs"


@contextlib.contextmanager
def locked(path):
    """One of several test processes at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def is_had(package):
    """Does this release have it? Their libraries' names change from one to the next."""
    return subprocess.run(["apt-get", "-q", "download", "--print-uris", package], capture_output=True).returncode == 0


def unpacked(name, program, *others):
    """The folder into which a program's package and those of the others that this release has (libraries,
    as far as a minimal Debian lacks them) are unpacked, once; a test whose packages cannot be had is skipped
    with the reason. `name` names the folder."""
    folder, asked = FOLDER / name, [program, *others]
    with locked(FOLDER / f"{name}.lock"):
        stamp = folder / ".packages"
        if stamp.exists() and stamp.read_text(encoding="utf-8").split() == asked:
            return folder
        packages = [program, *filter(is_had, others)]
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        got = subprocess.run(["apt-get", "-q", "-o", "APT::Sandbox::User=", "download", *packages], cwd=folder,
                             capture_output=True, text=True)
        if got.returncode != 0:
            pytest.skip(f"{' '.join(packages)} cannot be downloaded: {got.stderr.strip().splitlines()[-1:]}")
        for package in sorted(folder.glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", package, folder], check=True)
            package.unlink()
        stamp.write_text(" ".join(asked), encoding="utf-8")
    return folder


def library_path(folder):
    """The environment in which an unpacked program finds its unpacked libraries."""
    found = [str(d) for d in (folder / "usr/lib/x86_64-linux-gnu", folder / "lib/x86_64-linux-gnu",
                              folder / "usr/lib/aarch64-linux-gnu") if d.is_dir()]
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(found)}
