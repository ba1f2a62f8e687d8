"""--cache-dir: plans kept from one start to the next, with the real binary.

What a file holds and what is checked of it, tests/unit/engine/test_saved*.c show; here it is that
every command has the option, that another program's file is never read, and what a person sees.
"""
import json
import os
import resource
import shutil
import signal
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest
from cli_tool import json_lines, querent
from program import BINARY, HANG

NOBODY = 65534
TEXTS = b"a text\nanother one, which is a little longer\n\n"


@pytest.fixture
def plans(tmp_path):
    folder = tmp_path / "plans"
    folder.mkdir(mode=0o700)
    return folder


def inspect(model, plans, **options):
    """The plan that `inspect` shows, and what it said on stderr."""
    done = querent("inspect", model, "--json", "--precision", "auto", "--cache-dir", plans, **options)
    (found,) = json_lines(done)
    return found["plan"], done.stderr.decode()


def files(plans):
    return sorted(path.name for path in plans.iterdir())


@pytest.mark.isa
@pytest.mark.parametrize("precision", ["auto", "f32", "bf16", "int8"])
def test_the_same_vectors(embedder, plans, precision):
    command = ["embed", "--model", embedder, "--precision", precision]
    without = querent(*command, stdin=TEXTS)
    if without.returncode != 0:
        assert b"no kernel" in without.stderr
        pytest.skip(f"{precision} does not run here")
    for _ in range(2):
        done = querent(*command, "--cache-dir", plans, stdin=TEXTS)
        assert (done.returncode, done.stdout, done.stderr) == (0, without.stdout, b"")
        assert len(files(plans)) == (precision != "f32")  # f32 by name has nothing to keep


def test_each_command_has_it(embedder, reader, plans, tmp_path):
    """The plan that one of them kept, the others find."""
    queries = tmp_path / "queries.txt"
    queries.write_text("a query\nanother\n")
    plan, _ = inspect(embedder, plans)
    assert not plan["from_cache"]
    before = files(plans)
    cache = ["--precision", "auto", "--cache-dir", plans]
    quick = ["--queries", queries, "--seconds", "0.01"]
    for command in (["embed", "--model", embedder], ["bench", "engine", "--model", embedder, *quick, "--lengths", "3"],
                    ["simulate", "--model", embedder, *quick, "--workers", "1", "--rate", "10"]):
        done = querent(*command, *cache, stdin=TEXTS)
        assert done.returncode == 0, done.stderr.decode()
    assert files(plans) == before
    question = json.dumps({"question": "who?", "context": "Ann did."}).encode() + b"\n"
    first, second = (querent("span", "--model", reader, *cache, stdin=question) for _ in range(2))
    assert first.returncode == 0 and first.stdout == second.stdout
    assert len(files(plans)) == 2


def test_inspect_tells(embedder, plans):
    first, _ = inspect(embedder, plans)
    second, said = inspect(embedder, plans)
    assert said == ""
    assert second["from_cache"] and not first["from_cache"]
    assert second["pack_ms"] == second["gate_ms"] == 0
    same = ("precision", "isa", "reason", "fallbacks", "weight_bytes")
    assert [first[key] for key in same] == [second[key] for key in same]
    text = querent("inspect", embedder, "--precision", "auto", "--cache-dir", plans).stdout.decode()
    assert "ms, from the cache" in text


def test_the_file_is_its_owners_alone(embedder, plans):
    inspect(embedder, plans, preexec_fn=lambda: os.umask(0))
    (name,) = files(plans)
    assert stat.S_IMODE((plans / name).stat().st_mode) == 0o600


def test_another_program_reads_no_file_of_this_one(embedder, plans, tmp_path):
    inspect(embedder, plans)
    other = tmp_path / "querent"
    shutil.copy(BINARY, other)
    with other.open("r+b") as program:
        program.seek(15)  # padding of the ELF header: it runs as before
        program.write(b"\1")
    command = [other, "inspect", embedder, "--json", "--precision", "auto", "--cache-dir", plans]
    kept = [json.loads(subprocess.run(command, capture_output=True, timeout=HANG).stdout)["plan"]["from_cache"] for _ in range(2)]
    assert kept == [False, True]
    assert len(files(plans)) == 2
    assert inspect(embedder, plans)[0]["from_cache"]


def test_another_tokenizer_or_pooling_is_another_model(embedder, plans, tmp_path):
    model = tmp_path / "model"
    shutil.copytree(embedder, model)
    inspect(model, plans)
    assert inspect(model, plans)[0]["from_cache"]
    moved = tmp_path / "moved"
    model.rename(moved)
    assert inspect(moved, plans)[0]["from_cache"], "a path is no part of a model"
    words = (moved / "vocab.txt").read_text().split("\n")
    the, of = words.index("the"), words.index("of")
    words[the], words[of] = words[of], words[the]
    (moved / "vocab.txt").write_text("\n".join(words))
    (moved / "tokenizer.json").unlink(missing_ok=True)
    assert not inspect(moved, plans)[0]["from_cache"]
    pooling = moved / "1_Pooling" / "config.json"
    facts = json.loads(pooling.read_text())
    facts["pooling_mode_cls_token"], facts["pooling_mode_mean_tokens"] = True, False
    pooling.write_text(json.dumps(facts))
    assert not inspect(moved, plans)[0]["from_cache"]


def test_damage_is_one_line_and_mended(embedder, plans):
    inspect(embedder, plans)
    (name,) = files(plans)
    whole = (plans / name).read_bytes()
    (plans / name).write_bytes(whole[: len(whole) // 2])
    plan, said = inspect(embedder, plans)
    assert not plan["from_cache"]
    assert said.count("\n") == 1 and name in said
    assert (plans / name).read_bytes() == whole
    assert inspect(embedder, plans)[0]["from_cache"]


def test_no_such_directory_is_one_line(embedder, tmp_path):
    plan, said = inspect(embedder, tmp_path / "nowhere")
    assert not plan["from_cache"]
    assert said.count("\n") == 1 and "nowhere: No such file or directory" in said


def test_a_full_disk_is_one_line_that_says_so(embedder, plans):
    """As far as one process can have that: files of so many bytes, and no more."""
    inspect(embedder, plans)
    (name,) = files(plans)
    size = (plans / name).stat().st_size
    (plans / name).unlink()
    for most in (0, 1000, size // 2, size - 1):  # the last is told by the last flush

        def small_files():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

        plan, said = inspect(embedder, plans, preexec_fn=small_files)
        assert not plan["from_cache"] and files(plans) == []
        assert said.count("\n") == 1 and f"{name} is not written: cannot be written: File too large" in said


@pytest.fixture
def image(embedder):
    """A folder that any user can reach and read, as pytest's own are not: a program, a model, and a place for plans."""
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder)
        shutil.copytree(embedder, image / "model")
        (image / "plans").mkdir()
        shutil.copy(BINARY, image / "querent")
        for path in [image, *image.rglob("*")]:
            path.chmod(0o644 if path.suffix else 0o755)
        yield image


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be another user")
def test_a_directory_that_cannot_be_written(image):
    """As in a container with a read-only file system: nothing is kept, and what an image brings is used."""
    plans = image / "plans"

    def as_nobody():
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)

    def start(**more):
        command = [image / "querent", "inspect", image / "model", "--json", "--precision", "auto", "--cache-dir", plans]
        done = subprocess.run(command, capture_output=True, timeout=HANG, **more)
        assert done.returncode == 0, done.stderr.decode()
        return json.loads(done.stdout)["plan"]["from_cache"], done.stderr.decode()

    kept, said = start(preexec_fn=as_nobody)
    assert not kept and said.count("\n") == 1 and "Permission denied" in said
    assert files(plans) == []
    assert start() == (False, "")  # root fills it
    (name,) = files(plans)
    (plans / name).chmod(0o644)
    assert start(preexec_fn=as_nobody) == (True, "")


def test_starts_at_once(embedder, plans):
    """Some of them find nothing, some all of it; each answers alike."""
    command = [BINARY, "embed", "--model", embedder, "--precision", "auto", "--cache-dir", plans]
    running = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(6)]
    done = [process.communicate(TEXTS, timeout=10 * HANG) for process in running]
    assert {(out, err) for out, err in done} == {(querent(*command[1:], stdin=TEXTS).stdout, b"")}
    assert len(files(plans)) == 1
