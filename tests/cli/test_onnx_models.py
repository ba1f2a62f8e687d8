"""Commands on models that are ONNX files, and proofs that are kept from one start to the next, with the real binary.

The models are tests/golden/onnx's: real exports of tiny models. What is recognised and how it is proven, the units show; here it
is that each command takes such a path, and that a remembered proof is believed only where it may be.
"""
import json
import os
import shutil
import stat
import struct
import subprocess
import tempfile
from pathlib import Path

import pytest
from cli_tool import json_lines, querent
from program import BINARY, HANG, HIDDEN, ROOT

GOLDENS = ROOT / "tests/golden/onnx"
NOBODY = 65534
TEXTS = b"a b c\nd\n\nx y z x y z\n"


def golden(name, folder):
    """A copy that a test may change."""
    return shutil.copytree(GOLDENS / name, folder / name)


@pytest.fixture
def model(tmp_path):
    return golden("sentence-torchscript-mean", tmp_path)


@pytest.fixture
def cache(tmp_path):
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o700)
    return folder


def inspect(path, *options, **more):
    done = querent("inspect", path, "--json", *options, **more)
    assert done.returncode == 0, done.stderr.decode()
    return json_lines(done)[0], done.stderr.decode()


def is_remembered(path, cache, *options, **more):
    """Whether the proof came from the cache; what was said on stderr."""
    found, said = inspect(path, "--cache-dir", cache, *options, **more)
    return found["proof"]["from_cache"], said


def proofs(cache):
    return sorted(path for path in Path(cache).iterdir() if path.suffix == ".proof")


def refused(*command, **more):
    """What a command says that refuses its model."""
    done = querent(*command, **more)
    assert done.returncode == 1 and done.stdout == b"", done
    said = done.stderr.decode()
    assert said.count("\n") == 1, said
    return said


# ---- Commands --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["model.onnx", "."])
def test_embed(model, path):
    done = querent("embed", "--model", model / path, stdin=TEXTS)
    assert done.returncode == 0, done.stderr.decode()
    vectors = json_lines(done)
    assert [len(vector) for vector in vectors] == [32] * 4
    assert all(abs(sum(x * x for x in vector) - 1) < 1e-5 for vector in vectors)


def test_embed_gives_what_the_converted_directory_gives(model, tmp_path):
    assert querent("convert", model / "model.onnx", tmp_path / "out").returncode == 0
    ours, theirs = (querent("embed", "--model", path, stdin=TEXTS) for path in (model / "model.onnx", tmp_path / "out"))
    assert ours.stdout == theirs.stdout != b""


@pytest.mark.parametrize("precision", ["auto", "bf16", "int8"])
def test_every_precision(model, precision):
    done = querent("embed", "--model", model, "--precision", precision, stdin=TEXTS)
    if done.returncode != 0:
        assert b"no kernel" in done.stderr
        pytest.skip(f"{precision} does not run here")
    assert len(json_lines(done)) == 4


def test_span(tmp_path):
    model = golden("bert-torchscript-span", tmp_path)
    question = json.dumps({"question": "a b", "context": "c d e f"}).encode() + b"\n"
    done = querent("span", "--model", model / "model.onnx", stdin=question)
    assert done.returncode == 0, done.stderr.decode()
    (answers,) = json_lines(done)
    assert answers


def test_the_other_commands(model, tmp_path):
    queries = tmp_path / "queries.txt"
    queries.write_text("a b\nc\n")
    path = model / "model.onnx"
    quick = ["--queries", queries, "--seconds", "0.01"]
    for command in (["tokenize", "--model", path], ["bench", "engine", "--model", path, *quick, "--lengths", "3"],
                    ["simulate", "--model", path, *quick, "--workers", "1", "--rate", "10"]):
        done = querent(*command, stdin=TEXTS)
        assert done.returncode == 0, (command, done.stderr.decode())


def test_files_of_a_parent(model, tmp_path):
    """As optimum and the hub lay it out: onnx/model.onnx below the tokenizer and the config."""
    (model / "onnx").mkdir()
    (model / "model.onnx").rename(model / "onnx" / "model.onnx")
    for path in (model, model / "onnx" / "model.onnx"):
        found, _ = inspect(path)
        assert found["name"] == model.name and found["vocab"] == 84
    assert inspect(model / "onnx" / "model.onnx")[0]["plan"] is not None


def test_safetensors_come_first(model, embedder, tmp_path):
    both = tmp_path / "both"
    shutil.copytree(embedder, both)
    shutil.copy(model / "model.onnx", both)
    assert len(json_lines(querent("embed", "--model", both, stdin=TEXTS))[0]) == HIDDEN
    assert "onnx" not in inspect(both)[0]


# ---- Refusals --------------------------------------------------------------------------------------------------------


def test_several_files_of_a_directory(model):
    for name in ("a.onnx", "b.onnx"):
        shutil.copy(model / "model.onnx", model / name)
    assert querent("embed", "--model", model, stdin=TEXTS).returncode == 0  # model.onnx comes first
    (model / "model.onnx").unlink()
    said = refused("embed", "--model", model, stdin=TEXTS)
    assert "a.onnx" in said and "b.onnx" in said
    assert querent("embed", "--model", model / "b.onnx", stdin=TEXTS).returncode == 0


def test_no_such_file(tmp_path):
    assert "nowhere.onnx" in refused("embed", "--model", tmp_path / "nowhere.onnx", stdin=TEXTS)


def test_what_is_no_graph(model):
    (model / "model.onnx").write_bytes(b"this is text\n")
    assert "model.onnx" in refused("inspect", model)
    (model / "model.onnx").write_bytes(b"")
    assert "model.onnx" in refused("inspect", model)


def change_bytes(path, old, new):
    data = path.read_bytes()
    assert len(old) == len(new) and old in data
    path.write_bytes(data.replace(old, new))


def test_an_operator_that_no_bert_has(model):
    """Each `Erf` becomes `Sin`: refused by the node that is no BERT's, or that is not known."""
    change_bytes(model / "model.onnx", b"Erf", b"Sin")
    said = refused("embed", "--model", model / "model.onnx", stdin=TEXTS)
    assert "model.onnx: " in said and "node `" in said and "Sin" in said


def test_external_data_outside(tmp_path):
    """The file that a graph names beside it: not through a link, nor elsewhere."""
    model = golden("bert-dynamo-external", tmp_path)
    data = next(path for path in model.iterdir() if path.name.startswith("model.onnx") and path.name != "model.onnx")
    assert inspect(model)[0]["onnx"]
    kept = data.read_bytes()
    data.unlink()
    assert data.name in refused("inspect", model)
    (tmp_path / "elsewhere").write_bytes(kept)
    data.symlink_to(tmp_path / "elsewhere")
    assert "symbolic link" in refused("inspect", model)
    data.unlink()
    os.link(tmp_path / "elsewhere", data)
    assert "names" in refused("inspect", model)
    data.unlink()
    data.write_bytes(kept[:-4])
    assert "outside" in refused("inspect", model)
    data.write_bytes(kept)
    up = b"../" + b"x" * (len(data.name) - 3)
    change_bytes(model / "model.onnx", data.name.encode(), up)
    assert "plain name" in refused("inspect", model)


# ---- Proofs that are kept --------------------------------------------------------------------------------------------


@pytest.mark.isa
def test_a_proof_is_remembered(model, cache):
    first, said = inspect(model, "--cache-dir", cache)
    assert not first["proof"]["from_cache"] and said == ""
    (kept,) = proofs(cache)
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    second, said = inspect(model, "--cache-dir", cache)
    assert second["proof"]["from_cache"] and said == ""
    assert {**first["proof"], "ms": 0, "from_cache": 0} == {**second["proof"], "ms": 0, "from_cache": 0}
    assert "remembered" in querent("inspect", model, "--cache-dir", cache).stdout.decode()
    assert proofs(cache) == [kept]


def test_a_proof_holds_for_every_precision_and_every_path(model, cache, tmp_path):
    assert is_remembered(model, cache) == (False, "")
    assert is_remembered(model / "model.onnx", cache, "--precision", "auto")[0]
    moved = tmp_path / "moved"
    model.rename(moved)
    assert is_remembered(moved, cache)[0]


def test_another_file_is_proven_itself(model, cache):
    assert not is_remembered(model, cache)[0]
    change_bytes(model / "model.onnx", b"pytorch", b"pyt0rch")  # the producer's name: the bytes count, not what they mean
    assert not is_remembered(model, cache)[0]
    assert is_remembered(model, cache)[0]
    assert len(proofs(cache)) == 2


def test_other_external_data_is_proven_itself(tmp_path, cache):
    model = golden("bert-dynamo-external", tmp_path)
    data = next(path for path in model.iterdir() if path.name.startswith("model.onnx") and path.name != "model.onnx")
    assert [is_remembered(model, cache)[0] for _ in range(2)] == [False, True]
    number = struct.unpack("<f", data.read_bytes()[-4:])[0]
    data.write_bytes(data.read_bytes()[:-4] + struct.pack("<f", number + 0.0625))
    assert [is_remembered(model, cache)[0] for _ in range(2)] == [False, True]


def test_another_program_proves_itself(model, cache, tmp_path):
    assert not is_remembered(model, cache)[0]
    other = tmp_path / "querent"
    shutil.copy(BINARY, other)
    with other.open("r+b") as program:
        program.seek(15)  # padding of the ELF header: it runs as before
        program.write(b"\1")
    command = [other, "inspect", model, "--json", "--cache-dir", cache]
    runs = [json.loads(subprocess.run(command, capture_output=True, timeout=HANG).stdout)["proof"]["from_cache"] for _ in range(2)]
    assert runs == [False, True]
    assert is_remembered(model, cache)[0]


def test_another_instruction_set_proves_itself(model, cache):
    isas = ["avx2", "avx512f", "avx512vnni", "avx512bf16", "amx", "neon", "neondot", "neoni8mm", "ref"]
    here = [isa for isa in isas if querent("inspect", model, "--device", f"cpu:{isa}", "--cache-dir", "none").returncode == 0]
    assert here
    for isa in here:
        assert not is_remembered(model, cache, "--device", f"cpu:{isa}")[0], isa
    for isa in here:
        assert is_remembered(model, cache, "--device", f"cpu:{isa}")[0], isa
    assert len(proofs(cache)) == len(here)


def test_the_users_own_cache_by_default(model, tmp_path):
    env = {"PATH": os.environ["PATH"], "XDG_CACHE_HOME": str(tmp_path / "xdg"), "HOME": str(tmp_path / "home")}
    assert not inspect(model, env=env)[0]["proof"]["from_cache"]
    own = tmp_path / "xdg" / "querent"
    assert len(proofs(own)) == 1 and stat.S_IMODE(own.stat().st_mode) == 0o700
    assert inspect(model, env=env)[0]["proof"]["from_cache"]
    (tmp_path / "home").mkdir()
    for value in (None, "", "relative/path"):  # as the XDG specification has it
        env.pop("XDG_CACHE_HOME", None)
        if value is not None:
            env["XDG_CACHE_HOME"] = value
        inspect(model, env=env)
    assert len(proofs(tmp_path / "home/.cache/querent")) == 1
    assert not Path("relative").exists()


def test_no_home_is_no_fault(model):
    for env in ({}, {"HOME": "/nonexistent"}, {"HOME": ""}, {"XDG_CACHE_HOME": "/proc/nowhere"}):
        found, said = inspect(model, env=env)
        assert not found["proof"]["from_cache"] and said == ""


def test_none_keeps_nothing(model, tmp_path):
    env = {"XDG_CACHE_HOME": str(tmp_path / "xdg"), "HOME": str(tmp_path)}
    for _ in range(2):
        assert is_remembered(model, "none", env=env) == (False, "")
    assert not (tmp_path / "xdg").exists() and not (tmp_path / "none").exists() and not Path("none").exists()


def test_damage_is_seen_and_mended(model, cache):
    is_remembered(model, cache)
    (kept,) = proofs(cache)
    whole = kept.read_bytes()
    for at in range(len(whole)):
        kept.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
        remembered, said = is_remembered(model, cache)
        assert not remembered and said.count("\n") == 1 and kept.name in said, at
        assert is_remembered(model, cache) == (True, ""), at
    for data in (b"", whole[:-1], whole + b"x", whole * 2):
        kept.write_bytes(data)
        assert not is_remembered(model, cache)[0]
        assert kept.read_bytes() == whole


def test_links_pipes_and_folders_are_not_believed(model, cache, tmp_path):
    is_remembered(model, cache)
    (kept,) = proofs(cache)
    elsewhere = tmp_path / "elsewhere"
    kept.rename(elsewhere)
    kept.symlink_to(elsewhere)
    assert not is_remembered(model, cache)[0]
    assert not kept.is_symlink() and is_remembered(model, cache)[0]
    kept.unlink()
    os.mkfifo(kept)
    assert not is_remembered(model, cache)[0]
    assert is_remembered(model, cache)[0]
    kept.unlink()
    kept.mkdir()
    assert not is_remembered(model, cache)[0]
    assert kept.is_dir()


def test_what_others_may_write_is_not_believed(model, cache):
    is_remembered(model, cache)
    (kept,) = proofs(cache)
    for mode in (0o620, 0o602):
        kept.chmod(mode)
        assert not is_remembered(model, cache)[0], oct(mode)
        assert is_remembered(model, cache)[0]
    for mode in (0o770, 0o1777):
        cache.chmod(mode)
        remembered, said = is_remembered(model, cache)
        assert not remembered and said.count("\n") == 1 and "others may write" in said
    cache.chmod(0o700)
    assert is_remembered(model, cache)[0]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_belongs_to_another_is_not_believed(model, cache):
    is_remembered(model, cache)
    (kept,) = proofs(cache)
    os.chown(kept, NOBODY, NOBODY)
    assert not is_remembered(model, cache)[0]
    assert is_remembered(model, cache)[0] and kept.stat().st_uid == 0
    os.chown(cache, NOBODY, NOBODY)
    remembered, said = is_remembered(model, cache)
    assert not remembered and "belongs to somebody else" in said
    env = {"XDG_CACHE_HOME": str(cache)}  # the cache that nobody asked for says nothing
    os.chown(cache, 0, 0)
    (cache / "querent").mkdir(mode=0o700)
    os.chown(cache / "querent", NOBODY, NOBODY)
    found, said = inspect(model, env=env)
    assert not found["proof"]["from_cache"] and said == "" and list((cache / "querent").iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_a_cache_that_cannot_be_written():
    """As in a container with a read-only file system: what the image brings is used."""
    def as_nobody():
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)

    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder)
        shutil.copytree(GOLDENS / "sentence-torchscript-mean", image / "model")
        (image / "cache").mkdir()
        shutil.copy(BINARY, image / "querent")
        for path in [image, *image.rglob("*")]:
            path.chmod(0o644 if path.suffix else 0o755)

        def start(**more):
            command = [image / "querent", "inspect", image / "model", "--json", "--cache-dir", image / "cache"]
            done = subprocess.run(command, capture_output=True, timeout=HANG, **more)
            assert done.returncode == 0, done.stderr.decode()
            return json.loads(done.stdout)["proof"]["from_cache"], done.stderr.decode()

        remembered, said = start(preexec_fn=as_nobody)
        assert not remembered and said.count("\n") == 1 and "Permission denied" in said
        assert proofs(image / "cache") == []
        assert start() == (False, "")  # root fills it
        proofs(image / "cache")[0].chmod(0o644)
        assert start(preexec_fn=as_nobody) == (True, "")


def test_starts_at_once(model, cache):
    """Some find nothing, some the whole file; each answers alike, and one file is left."""
    command = [BINARY, "embed", "--model", model, "--cache-dir", cache]
    running = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(8)]
    done = [process.communicate(TEXTS, timeout=10 * HANG) for process in running]
    assert {(out, err) for out, err in done} == {(querent(*command[1:], stdin=TEXTS).stdout, b"")}
    assert [path.suffix for path in cache.iterdir()] == [".proof"]


def test_a_proof_is_no_plan(model, cache):
    """With a plan kept, the proof's file is not needed; without it, the proof still is one."""
    command = ["inspect", model, "--json", "--precision", "auto", "--cache-dir", cache]
    querent(*command)
    for path in proofs(cache):
        path.unlink()
    found, _ = inspect(model, "--precision", "auto", "--cache-dir", cache)
    assert found["plan"]["from_cache"] and found["proof"]["from_cache"]
    for path in list(cache.iterdir()):
        path.unlink()
    querent(*command)
    for path in cache.iterdir():
        if path.suffix == ".plan":
            path.unlink()
    found, _ = inspect(model, "--precision", "auto", "--cache-dir", cache)
    assert not found["plan"]["from_cache"] and found["proof"]["from_cache"]
