"""`querent serve`'s options from flags, environment and a YAML file, as a user meets them. Units: tests/unit/config."""

import json
import os
import re
import signal
import socket
import subprocess

import pytest
from cli_tool import querent
from program import BINARY, HANG, free_port


def serve_refused(*arguments, env=None):
    done = querent("serve", *arguments, env={**os.environ, **(env or {})})
    assert done.returncode == 2 and done.stdout == b""
    return done.stderr.decode()


def listening_port(*arguments, env=None):
    """Starts a server, reads the port that it says, ends it."""
    process = subprocess.Popen(
        [BINARY, "serve", *map(str, arguments)], stderr=subprocess.PIPE, text=True, env={**os.environ, **(env or {})}
    )
    try:
        log = []
        for line in process.stderr:
            log.append(line)
            found = re.match(r"querent: listening on http://127\.0\.0\.1:(\d+)$", line)
            if found:
                return int(found[1])
        raise AssertionError("".join(log))
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=HANG)


def test_help_is_the_table():
    done = querent("serve", "--help")
    assert done.returncode == 0 and done.stderr == b""
    text = done.stdout.decode()
    assert text.startswith("usage: querent serve")
    for part in ("--model [NAME=]PATH", "--port N", "[0..65535, default 8080]", "--precision auto|f32|f16|bf16|int8", "QUERENT_PORT"):
        assert part in text
    assert querent("serve", "-h").stdout == done.stdout


def test_flags_win_over_environment_over_file(reader, tmp_path):
    from_file, from_variable, from_flag = free_port(), free_port(), free_port()
    file = tmp_path / "querent.yaml"
    file.write_text(f"# options\nmodel: {reader}\nport: {from_file}\nlog-level: error\n")
    variable = {"QUERENT_PORT": str(from_variable)}
    assert listening_port("--config", file) == from_file
    assert listening_port(env={"QUERENT_CONFIG": str(file)}) == from_file
    assert listening_port("--config", file, env=variable) == from_variable
    assert listening_port("--config", file, "--port", from_flag, env=variable) == from_flag


def test_models_from_the_environment(reader):
    assert listening_port("--port=0", env={"QUERENT_MODEL": f"a={reader},b={reader}"}) > 0


def test_no_model_is_named():
    assert "--model [NAME=]PATH is missing" in serve_refused()


@pytest.mark.parametrize(
    "arguments,message",
    [
        (["--port", "65536"], "--port 65536: must be a whole number in 0..65535"),
        (["--prot", "1"], "--prot: unknown option; did you mean `--port`?"),
        (["--precision=fp16"], "--precision fp16: must be one of auto|f32|f16|bf16|int8"),
        (["--host", "0.0.0.0"], "add --allow-remote"),
        (["--config", "/nonexistent.yaml"], "/nonexistent.yaml: No such file"),
        (["model"], "model: unexpected argument"),
        (["--port"], "--port: needs a value"),
    ],
)
def test_faults_name_option_and_reason(arguments, message):
    text = serve_refused(*arguments)
    assert text.startswith("querent serve: ") and message in text and "querent serve --help" in text


def test_faults_in_other_sources_name_them(tmp_path):
    file = tmp_path / "q.yaml"
    file.write_text("port: 1\nprot: 2\n")
    assert f"{file}:2: prot: unknown option; did you mean `port`?" in serve_refused("--config", file)
    file.write_text("port: many\n")
    assert f"{file}:1: port: many: must be a whole number" in serve_refused("--config", file)
    assert "QUERENT_PORT=many: must be a whole number" in serve_refused(env={"QUERENT_PORT": "many"})


# What only turns out when it is used ends as what does not parse.
@pytest.mark.parametrize(
    "arguments,message",
    [
        (["--cors-allow-origin", "nope"], "--cors-allow-origin nope: must be * or scheme://host[:port]"),
        (["--api-key-file", "/nonexistent/keys"], "--api-key-file /nonexistent/keys: No such file or directory"),
        (["--admin", "--admin-key-file", "/dev/null"], "--admin-key-file /dev/null: not a regular file"),
        (["--trust-proxy", "10.0.0.1/8"], "--trust-proxy 10.0.0.1/8: must be an address with a prefix"),
        (["--model", "=x"], "--model =x: must be [NAME=]PATH"),
        (["--admin"], "--admin: needs --ops-port"),
        (["--port", "1234", "--ops-port", "1234"], "--ops-port 1234: is the main port"),
        (["--uds", "{tmp}/socket", "--uds-group", "no such group"], "--uds-group no such group: no such group"),
        (["--device", "cpu:nope"], "--device: cpu:nope: no such instruction set"),
        (["--precision", "f16", "--device", "cpu"], "--precision: precision f16: no kernel for it"),
    ],
)
def test_faults_found_later_are_options_too(reader, tmp_path, arguments, message):
    given = [argument.replace("{tmp}", str(tmp_path)) for argument in arguments]
    text = serve_refused("--model", reader, "--port=0", *given)
    assert f"cannot start: {message}" in text


# Option, value, the fault, and what else is to be said.
FOUND_LATER = [
    ("api-key-file", "/nonexistent/keys", " /nonexistent/keys: No such file", {}),
    ("host", "::g", " ::g: not an IPv4 or IPv6 address", {"allow-remote": "true"}),
    ("uds", "/" + 95 * "x", f" /{95 * 'x'}: longer than the 95 bytes", {}),
    ("uds-group", "no such group", " no such group: no such group", {"uds": "{tmp}/socket"}),
    ("device", "cpu:nope", ": cpu:nope: no such instruction set", {}),
    ("precision", "f16", ": precision f16: no kernel for it", {"device": "cpu"}),
]


@pytest.mark.parametrize("option,value,message,more", FOUND_LATER)
def test_faults_found_later_name_their_source(reader, tmp_path, option, value, message, more):
    variable = "QUERENT_" + option.upper().replace("-", "_")
    flags = [f"--{name}={text.replace('{tmp}', str(tmp_path))}" for name, text in more.items()]
    common = ["--model", reader, "--port=0", *flags]
    assert f"cannot start: {variable}{message}" in serve_refused(*common, env={variable: value})
    file = tmp_path / "q.yaml"
    file.write_text(f"log-level: info\n{option}: {json.dumps(value)}\n")
    assert f"cannot start: {file}:2: {option}{message}" in serve_refused("--config", file, *common)


def test_faults_of_a_model_name_its_entry(reader, tmp_path):
    file = tmp_path / "q.yaml"
    for fault, message in (
        ("device: cpu:nope", "cpu:nope: no such instruction set"),
        ("max-tokens: 4096", f"{reader}: max-tokens 4096: its longest input"),
        ("precision: f16", "precision f16: no kernel for it"),
    ):
        file.write_text(f"port: 0\nmodels:\n- path: {reader}\n  {fault}\n")
        assert f"cannot start: {file}:3: models[0]: {message}" in serve_refused("--config", file, "--device=cpu")


def test_a_socket_that_cannot_be_had_names_both_sources(reader):
    """What another socket holds, and an address that is not this machine's."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for arguments, env, sources in (
            (["--port", port], {}, "(--host, --port)"),
            (["--port=0"], {"QUERENT_OPS_PORT": port}, "(--host, QUERENT_OPS_PORT)"),
        ):
            done = querent("serve", "--model", reader, *arguments, env={**os.environ, **env})
            assert done.returncode == 1
            assert f"cannot bind 127.0.0.1 port {port} {sources}: Address already in use" in done.stderr.decode()


def test_a_model_that_is_none_is_no_fault_of_an_option(tmp_path):
    done = querent("serve", "--model", tmp_path, "--port=0")
    assert done.returncode == 1 and str(tmp_path) in done.stderr.decode()


def test_a_device_that_is_not_there_is_refused(reader):
    for device in ("cuda", "cuda:99", "gpu"):
        done = querent("serve", "--model", reader, "--port=0", "--device", device)
        assert done.returncode == 2 and device.split(":")[0] in done.stderr.decode()
