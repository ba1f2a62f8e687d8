"""Packages of PyPI that the validators of manifests come in. They are unpacked under build/wheels where
installing them into .venv would change what is there: kserve wants an older protobuf, checkov exact
versions of what it needs, and cloudcoil brings fixtures that start clusters into every pytest."""
import hashlib
import importlib
import subprocess
import sys
import zipfile

import pytest
from debs import locked
from program import ROOT

FOLDER = ROOT / "build" / "wheels"
PINNED = {
    "cloudcoil": ("0.6.0", "91793dea2e86ad292af143c5d335ce2e5d27dfbe66fd4b945c2f069224cf7698"),
    "cloudcoil-models-keda": ("2.16.1.0", "9ec4a118def872b68216d9057ef386701b32fcb0ec2173f49c6214d309176b46"),
    "cloudcoil-models-prometheus-operator": ("0.80.1.0", "a139a60cc0114caace847a34275d7a7cd899ec2dad4120504d8e1cf6a8de0270"),
    "compose-viz": ("0.3.5", "a939d61fef91d40e46b0b643f005ab9515afee3ad58c08df9102040c765f7b3a"),
    "kserve": ("0.21.0", "df9bc5888704d9085015e08f1a8fced5ff0698f3becc6212d4e7b8234c71623b"),
}
CHECKOV = "3.3.30"


def run_pip(python, *arguments):
    """pip, or a skip with its last line: no network is no fault of a manifest."""
    got = subprocess.run([python, "-m", "pip", *arguments, "-q", "--disable-pip-version-check"], capture_output=True, text=True)
    if got.returncode != 0:
        pytest.skip(f"pip {' '.join(map(str, arguments))}: {(got.stderr.strip().splitlines() or ['failed'])[-1]}")


def unpacked_wheel(name):
    """The folder that has the wheel's packages, once its sha256 is the pinned one."""
    version, sha256 = PINNED[name]
    folder = FOLDER / f"{name}-{version}"
    with locked(FOLDER / f"{name}.lock"):
        if not folder.is_dir():
            loads = FOLDER / "downloaded"
            run_pip(sys.executable, "download", "--no-deps", "--only-binary=:all:", "-d", loads, f"{name}=={version}")
            (wheel,) = loads.glob(f"{name.replace('-', '_')}-{version}-*.whl")
            found = hashlib.sha256(wheel.read_bytes()).hexdigest()
            assert found == sha256, f"{wheel.name} is not the file that was pinned"
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(folder.with_suffix(".part"))
            folder.with_suffix(".part").rename(folder)
    return folder


def import_model(package, module):
    """A module of cloudcoil's models: import_model("keda", "v1alpha1")."""
    for name in ("cloudcoil", f"cloudcoil-models-{package.replace('_', '-')}"):
        folder = str(unpacked_wheel(name))
        if folder not in sys.path:
            sys.path.append(folder)
    return importlib.import_module(f"cloudcoil.models.{package}.{module}")


def installed_checkov():
    """checkov's program, in an environment of its own: 290 MB and 20 seconds, once."""
    folder = FOLDER / f"checkov-{CHECKOV}"
    with locked(FOLDER / "checkov.lock"):
        if not (folder / ".complete").exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
            run_pip(folder / "bin" / "python", "install", f"checkov=={CHECKOV}")
            (folder / ".complete").touch()
    return folder / "bin" / "checkov"
