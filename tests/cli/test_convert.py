"""`querent convert`: the directory that it writes gives the same answers bit for bit, whatever it came from."""

import json
import os
import resource
import signal
import struct

import pytest
from cli_tool import querent
from convert_cases import CASES
from convert_tool import answers, convert, facts
from make_model import make_model
from program import SHAPE, WORDS


def read_tensors(path):
    """name -> (dtype, shape, bytes) of a safetensors file, or of all those of a directory."""
    if path.is_dir():
        files = sorted(path.rglob("*.safetensors"))
        return {f"{file.parent.relative_to(path)}:{name}": one for file in files for name, one in read_tensors(file).items()}
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    assert length % 8 == 0
    header = json.loads(data[8 : 8 + length])
    assert header.pop("__metadata__") == {"format": "pt"}
    body = data[8 + length :]
    return {name: (one["dtype"], one["shape"], body[slice(*one["data_offsets"])]) for name, one in header.items()}


@pytest.fixture(scope="module", params=CASES)
def case(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("convert")
    options, architecture = CASES[request.param]
    model = make_model(folder / "model", **{**SHAPE, **WORDS, **options})
    said = convert(model, folder / "out")
    return model, folder / "out", architecture, said


def test_the_directory_is_the_model(case):
    model, out, architecture, said = case
    assert json.loads((out / "config.json").read_text())["architectures"] == [architecture]
    assert said.startswith(f"{out}: {architecture}, ")
    assert facts(out) == facts(model)
    assert (out / "tokenizer.json").read_bytes() == (model / "tokenizer.json").read_bytes()


def test_answers_are_the_same_bits(case):
    model, out, _, _ = case
    assert answers(out) == answers(model)


def test_numbers_are_the_same_bits(case):
    """Under whatever name: every number of the one is in the other."""
    model, out, _, _ = case
    before, after = read_tensors(model), read_tensors(out)
    assert {one[0] for one in after.values()} == {"F32"}
    if {one[0] for one in before.values()} == {"F32"}:
        left = {data for _, _, data in before.values()} - {data for _, _, data in after.values()}
        assert not left


def test_modules_are_the_same(case):
    model, out, _, _ = case
    for path in model.glob("*/config.json"):
        before, after = json.loads(path.read_text()), json.loads((out / path.relative_to(model)).read_text())
        if "in_features" in before:
            assert {**before, "use_residual": before["use_residual"] or None} == {"use_residual": None, **after}
        else:
            assert before.get("include_prompt", True) == after["include_prompt"]
    for name in ("modules.json", "config_sentence_transformers.json"):
        if (model / name).exists():
            assert json.loads((out / name).read_text()) == json.loads((model / name).read_text())


def test_what_is_added_is_zero_and_said(case):
    model, out, _, said = case
    before, after = read_tensors(model), read_tensors(out)
    added = len(after) - len(before)
    zeros = [name for name, (_, _, data) in after.items() if not any(data)]
    assert len(zeros) == added, zeros
    assert ("pooler_output is 0" in said) == any("pooler" in name for name in zeros)


def test_converting_again_changes_nothing(case, tmp_path):
    _, out, _, _ = case
    convert(out, tmp_path / "again")
    for path in sorted(out.rglob("*")):
        if path.is_file():
            assert (tmp_path / "again" / path.relative_to(out)).read_bytes() == path.read_bytes(), path


@pytest.mark.real
def test_minilm_keeps_its_bits(minilm, tmp_path):
    convert(minilm, tmp_path / "out")
    before, after = read_tensors(minilm / "model.safetensors"), read_tensors(tmp_path / "out/model.safetensors")
    before = {name: one for name, one in before.items() if one[0] == "F32"}
    assert before == after
    assert answers(tmp_path / "out") == answers(minilm)


@pytest.fixture
def model(tmp_path):
    return make_model(tmp_path / "model", **SHAPE, **WORDS)


def test_a_directory_with_something_in_it_is_refused(model, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine").write_text("kept")
    done = querent("convert", model, out)
    assert done.returncode == 1 and done.stdout == b""
    assert str(out) in done.stderr.decode() and "empty" in done.stderr.decode()
    assert os.listdir(out) == ["mine"] and sorted(os.listdir(tmp_path)) == ["model", "out"]


@pytest.mark.parametrize("form", ["{}", "{}/", "{}//"])
def test_an_empty_directory_is_taken(model, tmp_path, form):
    (tmp_path / "out").mkdir()
    assert querent("convert", model, form.format(tmp_path / "out")).returncode == 0
    assert (tmp_path / "out/model.safetensors").exists()
    assert sorted(os.listdir(tmp_path)) == ["model", "out"]


def test_lower_case_is_kept(model, tmp_path):
    (model / "sentence_bert_config.json").write_text('{"do_lower_case": true}')
    convert(model, tmp_path / "out")
    assert json.loads((tmp_path / "out/sentence_bert_config.json").read_text()) == {"do_lower_case": True}


def test_a_file_and_a_link_are_not_replaced(model, tmp_path):
    (tmp_path / "file").write_text("kept")
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("file", "link"):
        done = querent("convert", model, tmp_path / name)
        assert done.returncode == 1 and name in done.stderr.decode()
    assert (tmp_path / "file").read_text() == "kept" and os.readlink(tmp_path / "link") == "nowhere"


def test_nothing_stays_of_a_conversion_that_fails(model, tmp_path):
    """The weights end early: known only when most is written."""
    (tmp_path / "elsewhere").mkdir()
    weights = model / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-4:] = struct.pack("<f", float("nan"))
    weights.write_bytes(data)
    done = querent("convert", model, tmp_path / "elsewhere/out")
    assert done.returncode == 1 and "NaN" in done.stderr.decode()
    assert os.listdir(tmp_path / "elsewhere") == []


def test_a_full_disk_leaves_nothing(model, tmp_path):
    """Files above 64 KiB cannot be written."""
    def small_files():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 16, 1 << 16))

    (tmp_path / "elsewhere").mkdir()
    done = querent("convert", model, tmp_path / "elsewhere/out",
                   preexec_fn=small_files)
    assert done.returncode == 1, done
    assert "cannot be written" in done.stderr.decode()
    assert os.listdir(tmp_path / "elsewhere") == []


def test_the_command_line():
    for arguments, named in [(["convert"], "MODEL"), (["convert", "a"], "DIR"), (["convert", "a", "b", "c"], "c")]:
        done = querent(*arguments)
        assert done.returncode == 2 and named in done.stderr.decode() and "--help" in done.stderr.decode()
    done = querent("convert", "/nonexistent/model", "/nonexistent/out")
    assert done.returncode == 1 and "/nonexistent/model" in done.stderr.decode()
