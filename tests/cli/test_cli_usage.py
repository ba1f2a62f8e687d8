"""Commands, options, help, inspect."""

import json
import re

import pytest
from cli_tool import json_lines, querent
from program import ROOT

COMMANDS = ["embed", "span", "tokenize", "inspect", "simulate", "version"]


def test_no_command():
    done = querent()
    assert done.returncode == 2
    assert b"--help" in done.stderr


def test_help_lists_every_command():
    done = querent("--help")
    assert done.returncode == 0 and done.stderr == b""
    for name in ["serve", "embed", "span", "tokenize", "inspect", "health", "bench engine", "bench http", "simulate", "version"]:
        assert re.search(rf"^  {name}\b", done.stdout.decode(), re.M), name
    assert querent("help").stdout == querent("-h").stdout == done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(command):
    done = querent(command, "--help")
    assert done.returncode == 0 and done.stderr == b""
    assert done.stdout.decode().startswith(f"usage: querent {command}")


def test_version():
    done = querent("version")
    assert done.returncode == 0
    assert re.fullmatch(r"querent \d+\.\d+\.\d+\n", done.stdout.decode())
    assert querent("--version").stdout == done.stdout


@pytest.mark.parametrize(
    "arguments,named",
    [
        (["fly"], "fly"),
        (["bench", "water"], "water"),
        (["bench"], "bench"),
        (["embed"], "--model"),
        (["embed", "--model"], "--model"),
        (["embed", "--model", ""], "--model"),
        (["embed", "--modle", "x"], "--modle"),
        (["embed", "--model", "x", "-t"], "-t"),
        (["embed", "--model", "x", "--threads", "257"], "--threads 257"),
        (["embed", "--model", "x", "--threads", "-1"], "--threads -1"),
        (["embed", "--model", "x", "--threads", "1x"], "--threads 1x"),
        (["embed", "--model", "x", "--threads", "99999999999999999999999"], "--threads"),
        (["embed", "--model", "x", "--no-normalize=yes"], "--no-normalize"),
        (["embed", "--model", "x", "extra"], "extra"),
        (["embed", "--model", "x", "--precision", "f64"], "--precision f64"),
        (["embed", "--model", "x", "--device", "gpu"], "--device gpu"),
        (["embed", "--model", "x", "--device", "cuda:x"], "--device cuda:x"),
        (["span", "--model", "x", "--top-k", "many"], "--top-k many"),
        (["tokenize"], "--model"),
        (["tokenize", "--model", "x", "--precision", "f32"], "--precision"),
        (["inspect"], "PATH"),
        (["inspect", "a", "b"], "b"),
        (["version", "--json"], "--json"),
    ],
)
def test_a_bad_command_line_is_named(arguments, named):
    done = querent(*arguments)
    assert done.returncode == 2
    assert done.stdout == b""
    assert named in done.stderr.decode()
    assert "--help" in done.stderr.decode()


@pytest.mark.parametrize("command", ["embed", "span", "inspect"])
def test_a_gpu_that_is_not_here_is_refused_clearly(reader, command):
    """Whether it is the module, the driver, the card or its number that is missing."""
    model = [reader] if command == "inspect" else ["--model", reader]
    done = querent(command, *model, "--device", "cuda:99")
    told = done.stderr.decode()
    assert done.returncode == 1
    assert "device cuda" in told and ("GPU" in told or "NVIDIA driver" in told or "highest number" in told)


@pytest.mark.parametrize("device", ["cpu", "auto"])
def test_a_cpu_is_taken(reader, device):
    assert querent("span", f"--model={reader}", f"--device={device}").returncode == 0


def test_shared_options_are_those_of_serve():
    """Same words, same bounds, same refusal; only the defaults are the command's own."""
    serve, embed = (querent(command, "--help").stdout.decode() for command in ("serve", "embed"))
    for option, of_serve, of_embed in [
        ("--precision auto|f32|f16|bf16|int8", "[default auto]", "[default f32]"),
        ("--device cpu[:ISA]|cuda[:N]|auto", "[default auto]", "[default cpu]"),
        ("--threads N", "[0..256, default 0]", "[0..256, default 0]"),
    ]:
        lines = [next(line for line in text.splitlines() if line.startswith(f"  {option} ")) for text in (serve, embed)]
        assert lines[0].endswith(of_serve) and lines[1].endswith(of_embed)
        assert lines[0].split()[:-2] == lines[1].split()[:-2]
    refusals = [querent(*command, "--device", "cuda:x").stderr.decode() for command in (["serve"], ["embed", "--model", "x"])]
    assert all("--device cuda:x: must be one of cpu[:ISA]|cuda[:N]|auto" in text for text in refusals)


def test_a_missing_model_is_named():
    for command in (["embed", "--model"], ["span", "--model"], ["inspect"]):
        done = querent(*command, "/nonexistent/model")
        assert done.returncode == 1
        assert "/nonexistent/model" in done.stderr.decode()


@pytest.mark.real
def test_inspect_an_embedding_model(minilm):
    (found,) = json_lines(querent("inspect", minilm, "--json"))
    config = json.loads((minilm / "config.json").read_text())
    assert found["kind"] == "embedding" and found["architecture"] == "BertModel"
    assert (found["layers"], found["hidden"], found["heads"]) == (6, 384, 12)
    assert found["feed_forward"] == config["intermediate_size"]
    assert (found["pooling"], found["normalize"]) == ("mean", True)
    assert found["max_tokens"] == 256 and found["positions"] == 512
    assert found["tokenizer"]["source"] == "tokenizer.json" and found["tokenizer"]["lowercase"] is True
    # L * (24 C C T + 4 C sum(S S)) for one token
    assert found["operations"]["token"] == 6 * (24 * 384 * 384 + 4 * 384)
    assert found["parameters"] > 22_000_000
    assert found["plan"]["isa"] in found["plan"]["rates"]
    assert found["plan"]["precision"] == "f32" and found["plan"]["weight_bytes"] > 10_000_000


def test_inspect_a_span_model_as_text(squad):
    done = querent("inspect", squad)
    assert done.returncode == 0
    text = done.stdout.decode()
    for part in ["BertForQuestionAnswering", "span", "3 layers x 384", "512 tokens", "MiB", "million a token"]:
        assert part in text


def test_inspect_refuses_what_is_no_model():
    done = querent("inspect", ROOT / "tests")
    assert done.returncode == 1
    assert done.stdout == b"" and str(ROOT / "tests") in done.stderr.decode()
