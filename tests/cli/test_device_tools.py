"""What `make test-cuda` and `make bench-cuda` run, on the fake driver: that they work, before they meet a GPU."""
import json
import os
import subprocess
import sys

import pytest
from program import HANG, ROOT

TOOLS = ROOT / "build/tests/cuda"
pytestmark = pytest.mark.skipif("QUERENT" in os.environ or not (TOOLS / "device_pass").exists(),
                                reason="about the release build with its tests")


def run(*command, driver=True, **environment):
    env = {**os.environ, "QR_FAKE_CUDA_LEAKS": "1", **environment}
    env["LD_LIBRARY_PATH"] = str(TOOLS / "driver") if driver else ""
    env = {name: value for name, value in env.items() if value is not None}
    # All of run-device's steps are a minute's work or more of an emulated GPU, where nothing else runs.
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, env=env, timeout=60 * HANG)


def test_whole_passes_agree_with_the_reference_and_the_card_is_named():
    done = run(TOOLS / "device_pass", "short", QR_FAKE_CUDA_NAME="a card of tests")
    assert done.returncode == 0, done.stdout
    assert done.stdout.startswith("device: a card of tests, driver for CUDA 13.0\n")
    assert done.stdout.count("\npassed ") == 6 and done.stdout.endswith("all passed\n")


def test_a_pass_that_fails_is_a_failure():
    done = run(TOOLS / "device_pass", "short", QR_FAKE_CUDA_FAIL="cuStreamQuery:9:700:sticky", QR_FAKE_CUDA_LEAKS="")
    assert done.returncode != 0 and "FAILED" in done.stdout


@pytest.mark.parametrize("tool", ["device_pass", "bench_cuda"])
def test_without_a_driver_they_say_so(tool):
    done = run(TOOLS / tool, driver=False)
    assert done.returncode == 1
    assert "there is no NVIDIA driver" in done.stdout + done.stderr


def test_the_bench_prints_json():
    done = run(TOOLS / "bench_cuda", "--tiny", "--runs", 3)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["device"] == "fake" and found["capability"] == "9.0" and found["runs"] == 3
    assert not found["persistent"]
    assert [case["precision"] for case in found["cases"]] == ["f16", "bf16"]
    for case in found["cases"]:
        for clock in ("gpu_us", "host_us"):
            assert 0 < case[clock]["p50"] <= case[clock]["p90"]
        assert case["weight_bytes"] == (4 * 64 * 64 + 2 * 64 * 256) * 2
        assert case["floor_us"] > 0 and case["floor_share"] >= 0 and case["cublaslt"] in (True, False)
    assert run(TOOLS / "bench_cuda", "--what").returncode == 2


def run_device(folder, what="all", **environment):
    """tests/run-device, as a machine that is lent for minutes gets it, with what is built here. (The kernels' program gives
    nothing back.)"""
    return run(ROOT / "tests/run-device", what, "--runs", 2, BUILT="1", TREE="build", DRIVER=str(TOOLS / "driver"), SHORT="1",
               OUT=str(folder), QR_FAKE_CUDA_LEAKS=None, **environment)


def test_all_steps_on_a_device(tmp_path):
    done = run_device(tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\n-- passed, in ") == 10
    assert done.stdout.index("device_pass short") < done.stdout.index('"cases":[') < done.stdout.index("cuda_kernels")
    assert done.stdout.count('"persistent":true') == 1 and done.stdout.count('"persistent":false') == 3
    assert "with QUERENT_CUDA_EARLY=0" in done.stdout and "compute-sanitizer was not run" in done.stdout
    assert (tmp_path / "device.log").read_text() == done.stdout


def test_a_step_that_fails_is_not_the_last(tmp_path):
    done = run_device(tmp_path, QR_FAKE_CUDA_FAIL="cuGraphInstantiateWithFlags:1:700:sticky")
    assert done.returncode == 1
    assert done.stdout.count("\n-- FAILED: status 1\n") == 7  # passes three times, figures four times
    assert "CUDA_ERROR_ILLEGAL_ADDRESS" in done.stdout and done.stdout.count("\n-- passed, in ") == 3


def test_one_step_that_fails_is_a_failure(tmp_path):
    done = run_device(tmp_path, "test", QR_FAKE_CUDA_FAIL="cuStreamSynchronize:1:719:sticky")  # which the kernels' program calls
    assert done.returncode == 1
    assert done.stdout.count("\n-- FAILED: status 1\n") == 2 and done.stdout.count("\n-- passed, in ") == 2


def test_a_step_that_hangs_is_ended(tmp_path):
    done = run_device(tmp_path, QR_FAKE_CUDA_FAIL="cuInit:1:endless", LIMIT="1")
    assert done.returncode == 1
    assert done.stdout.count("\n-- NOT DONE after 1 s\n") >= 6
    done = run_device(tmp_path, LIMIT="1", TIME="0")
    assert done.returncode == 1 and done.stdout.count("== NOT BEGUN, no time is left: ") == 10


def test_beside_pytorch_where_there_is_one():
    done = run(sys.executable, ROOT / "bench/cuda_torch.py", "--tiny", "--runs", 2)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["torch"] is None or "why" in found or found["cases"]
