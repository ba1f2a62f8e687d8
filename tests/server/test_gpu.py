"""Models on a GPU, which here is the fake driver's: served beside models of the CPU, passed over, failing, lost.

Needs the release build with its tests: build/tests/cuda has a module and a libcuda.so.1 of the tests' own.
"""
import math
import os
import re
import shutil
import signal
import subprocess

import pytest
from program import BINARY, HANG, HIDDEN, ROOT, free_port
from serving import ENDLESS_ITEMS, ask, is_answered, metric, send_endless, wait_for, wait_idle

MODULE = ROOT / "build/tests/cuda/libquerent_cuda.so"
DRIVER = ROOT / "build/tests/cuda/driver"
pytestmark = pytest.mark.skipif("QUERENT" in os.environ or not MODULE.exists(), reason="about the release build with its tests")

TEXTS = ["where is the station", "x", "a text of nine words or so for the model"]
LAUNCH_FAILED, ILLEGAL_ADDRESS = 719, 700


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    """The program with the module beside it."""
    folder = tmp_path_factory.mktemp("gpu")
    shutil.copy(BINARY, folder / "querent")
    shutil.copy(MODULE, folder)
    return folder / "querent"


@pytest.fixture
def start(start_server, program, tmp_path):
    """Starts a server of it, on the fake driver unless `driver` is false; server.fail(TEXT) makes calls fail."""

    def start(*options, models, driver=True, **environment):
        faults = tmp_path / "faults"
        env = {"QR_FAKE_CUDA_FAIL_FILE": str(faults), **environment}
        if driver:
            env["LD_LIBRARY_PATH"] = str(DRIVER)
        server = start_server(*options, models=models, binary=program, env=env)

        def fail(text):
            (tmp_path / "next").write_text(text)
            os.rename(tmp_path / "next", faults)

        server.fail = fail
        return server

    return start


def vectors(server, **fields):
    answer = ask(server, "/embed", {"inputs": TEXTS, **fields})
    assert answer.status == 200, answer.body
    return answer.json()


def plan(server, model=0):
    return ask(server, "/info").json()["models"][model]["plan"]


def assert_near(found, expected):
    for a, b in zip(found, expected, strict=True):
        assert max(abs(x - y) for x, y in zip(a, b, strict=True)) < 2e-3
        assert sum(x * y for x, y in zip(a, b)) / math.hypot(*a) / math.hypot(*b) > 0.9999


def test_cpu_and_gpu_serve_different_models_of_one_process(start, embedder, tmp_path):
    config = tmp_path / "querent.yaml"
    config.write_text(f"models:\n  - {{name: gpu, path: {embedder}, device: cuda, precision: f16}}\n"
                      f"  - {{name: cpu, path: {embedder}, device: cpu, precision: f32}}\n")
    server = start("--config", config, models=[])
    assert_near(vectors(server, model="gpu"), vectors(server, model="cpu"))
    gpu, cpu = plan(server, 0), plan(server, 1)
    assert (gpu["device"], gpu["isa"], gpu["precision"]) == ("cuda", "sm_90", "f16") and gpu["passed_over"] == ""
    assert cpu["device"] == "cpu"
    assert metric(server, 'querent_model_info{model="gpu",kind="embedding",precision="f16",device="cuda",isa="sm_90"} ') == 1
    assert metric(server, "querent_device_lost ") == 0
    assert "f16 on cuda sm_90" in server.log


def test_a_busy_cpu_delays_nobody_on_the_gpu(start, tiny, embedder, tmp_path):
    """One worker has work without end, and much is ahead of who asks for the same model; the GPU's models know nothing of it."""
    config = tmp_path / "querent.yaml"
    config.write_text(f"models:\n  - {{name: cpu, path: {tiny('slow')}, device: cpu, precision: f32}}\n"
                      f"  - {{name: gpu, path: {embedder}, device: cuda, precision: f32}}\n")
    server = start("--threads", 1, "--config", config, "--queue-items", ENDLESS_ITEMS, models=[])
    blocker = send_endless(server)
    assert len(vectors(server, model="gpu")) == len(TEXTS)
    assert len(vectors(server, model="gpu")) == len(TEXTS), "not only the first time"
    refused = ask(server, "/embed", {"inputs": "a", "model": "cpu"}, headers=[("X-Request-Budget-Ms", "20")])
    assert refused.status in (429, 504)
    assert not is_answered(blocker)
    assert metric(server, "querent_queue_depth ") >= 1
    blocker.close()
    wait_idle(server)


def test_auto_takes_the_gpu_and_its_order_of_precisions(start, embedder):
    server = start("--device", "auto", models=[embedder])
    assert (plan(server)["device"], plan(server)["precision"]) == ("cuda", "f16")
    assert len(vectors(server)[0]) == HIDDEN


def test_auto_without_a_driver_serves_on_the_cpu_and_says_why(start, embedder):
    server = start("--device", "auto", "--precision", "f32", models=[embedder], driver=False)
    assert plan(server)["device"] == "cpu"
    assert "not on cuda: " in plan(server)["passed_over"] and "driver" in plan(server)["passed_over"]
    assert f"info  {embedder}: runs on cpu, not on cuda: there is no NVIDIA driver" in server.log
    assert " warn " not in server.log, "a machine without a GPU is none that is broken"
    old = start("--device", "auto", "--precision", "f32", models=[embedder], QR_FAKE_CUDA_RELEASE="11000")
    assert f"warn  {embedder}: runs on cpu, not on cuda: the NVIDIA driver serves CUDA 11.0" in old.log
    assert len(vectors(server)[0]) == HIDDEN


@pytest.mark.parametrize("fault, part", [("cuModuleLoadData:1:218", "runs on cpu, not on cuda: "),
                                         ("cuMemAlloc_v2:1:2", "runs on cpu, not on cuda: "),
                                         ("cuGraphInstantiateWithFlags:1:2", "runs on the CPU, its device has no room for its batches: ")])
def test_auto_goes_on_to_the_cpu_when_the_device_cannot(start, embedder, fault, part):
    """Its image is refused; it has no room for the weights; none for the workers' graphs."""
    server = start("--device", "auto", "--precision", "f32", models=[embedder], QR_FAKE_CUDA_FAIL=fault)
    assert plan(server)["device"] == "cpu"
    assert f"warn  {embedder}: {part}" in server.log
    assert len(vectors(server)[0]) == HIDDEN


def test_a_batch_that_fails_is_tried_again(start, embedder):
    """One launch fails: each text of the batch is computed alone, and nobody notices but the log and the count."""
    server = start("--device", "cuda", "--precision", "f32", models=[embedder])
    expected = vectors(server)
    server.fail(f"cuGraphLaunch:1:{LAUNCH_FAILED - 18}")  # out of resources: not sticky
    assert_near(vectors(server), expected)
    name = embedder.name
    assert metric(server, f'querent_model_device_failures_total{{model="{name}"}} ') >= 1
    server.wait_log(f"model {name}: its device (cuda) failed a batch")
    assert ask(server, "/v2/health/live").status == 200
    assert ask(server, "/v2/health/ready").status == 200


def test_a_lost_device_is_503_and_the_process_wants_to_be_started_anew(start, embedder, reader):
    server = start("--device", "cuda", "--precision", "f32", "--cache-bytes", 1_000_000, models=[embedder, reader])
    known = {"inputs": "this one is in the cache"}
    cached = ask(server, "/embed", known).json()
    server.fail(f"cuStreamQuery:1:{ILLEGAL_ADDRESS}:sticky")
    answer = ask(server, "/embed", {"inputs": "a text"})
    assert answer.status == 503
    assert answer.json() == {"error": "the device failed", "error_type": "Unhealthy"}
    assert int(answer.headers["retry-after"]) >= 1
    assert ask(server, "/v1/embeddings", {"input": "a text", "model": embedder.name}).json()["error"]["type"] == "server_error"
    assert ask(server, "/embed", {"inputs": "a text"}).status == 503, "nothing of it was kept"
    span = {"inputs": {"question": "who", "context": "It is the same device."}}
    assert ask(server, "/span", span).status == 503
    for path, body in (("/v2/health/live", {"live": False}), ("/v2/health/ready", {"ready": False})):
        answer = ask(server, path)
        assert (answer.status, answer.json()) == (503, body)
    assert ask(server, "/health").status == 503
    assert ask(server, "/embed", known).json() == cached, "what was computed before is right"
    assert metric(server, "querent_device_lost ") == 1 and metric(server, "querent_ready ") == 0
    assert metric(server, 'querent_rejections_total{reason="device"} ') >= 4
    server.wait_log("device cuda:0 is lost (a batch: ")
    server.stop()  # then all of the log is there
    assert len(re.findall(r"error device cuda:0 is lost \(a batch: .*restarted$", server.log, re.MULTILINE)) == 1
    assert server.log.count("is lost") == 1


def test_a_lost_device_leaves_nothing_that_hangs(start, embedder):
    """stop() of the fixture waits for the end of the process."""
    server = start("--device", "cuda", "--precision", "f32", models=[embedder])
    server.fail(f"cuStreamQuery:1:{ILLEGAL_ADDRESS}:sticky")
    assert ask(server, "/embed", {"inputs": "a text"}).status == 503
    server.signal()
    assert server.wait() == 0


def test_a_kernel_that_never_ends_is_a_lost_device_and_no_thread_waits_for_it(start, embedder, reader):
    """The fake driver ends the process with a signal where a call would wait for that kernel: in giving back, in the last drain."""
    server = start("--device", "cuda", "--precision", "f32", models=[embedder, reader], QUERENT_CUDA_WAIT_MS="1")
    vectors(server)
    server.fail("cuGraphLaunch:1:endless")
    assert ask(server, "/embed", {"inputs": "a text"}).status == 503
    assert ask(server, "/embed", {"inputs": TEXTS}).status == 503
    assert ask(server, "/span", {"inputs": {"question": "who", "context": "It is the same device."}}).status == 503
    assert ask(server, "/v2/health/live").status == 503 and ask(server, "/v2/health/ready").status == 503
    assert metric(server, "querent_device_lost ") == 1
    server.signal()
    assert server.wait() == 0
    assert server.log.count("device cuda:0 is lost (a batch: it does not end)") == 1
    assert "drained" in server.log and "waits for what never ends" not in server.log


def test_a_hung_device_is_left_alone_when_its_model_is_replaced(start, embedder):
    """With auto the next version runs on the CPU, and the old one's memory stays where the kernel writes."""
    server = start("--device", "auto", "--precision", "f32", models=[embedder], QUERENT_CUDA_WAIT_MS="1")
    assert plan(server)["device"] == "cuda"
    server.fail("cuGraphLaunch:1:endless")
    assert ask(server, "/embed", {"inputs": "a text"}).status == 503
    server.signal(signal.SIGHUP)
    wait_for(lambda: metric(server, f'querent_reloads_total{{model="{embedder.name}",outcome="ok"}}') == 1, "the reload")
    assert plan(server)["device"] == "cpu" and "was lost earlier" in plan(server)["passed_over"]
    assert len(vectors(server)[0]) == HIDDEN
    assert ask(server, "/v2/health/live").status == 200
    server.signal()
    assert server.wait() == 0
    assert "waits for what never ends" not in server.log


def test_a_drain_does_not_wait_for_a_thread_that_the_driver_keeps(start, embedder, reader, tmp_path):
    """A worker gives back a model that was taken out, and does not come back from the driver; then another model's kernel hangs."""
    server = start("--device", "cuda", "--precision", "f32", "--admin", "--ops-port", free_port(), "--threads", 3,
                   models=[embedder, reader], QUERENT_CUDA_WAIT_MS="1")
    server.fail("cuGraphExecDestroy:1:endless")
    order = f"/v2/repository/models/{reader.name}/unload"
    assert ask(server, order, b"", method="POST", port=server.ops_port).status == 200
    wait_for(lambda: not (tmp_path / "faults").exists(), "the worker in the driver")
    server.fail("cuGraphLaunch:1:endless")
    assert ask(server, "/embed", {"inputs": "a text"}).status == 503
    server.signal()
    assert server.wait() == 0


def test_answers_are_verified_by_tolerance(start, embedder):
    server = start("--device", "cuda", "--precision", "f16", "--verify-ppm", 1_000_000, models=[embedder])
    for _ in range(5):
        vectors(server)
    wait_for(lambda: sum(metric(server, f"querent_verify_{name}_total ") for name in ("checked", "dropped")) >= 15, "the line")
    assert metric(server, "querent_verify_checked_total ") > 0
    assert metric(server, "querent_verify_mismatches_total ") == 0


def test_a_gpu_goes_without_a_sandbox(start, program, embedder):
    """Its driver needs what a sandbox takes: with `auto` that is told, and who insists is refused."""
    server = start("--device", "auto", models=[embedder])
    assert "sandbox: none" in server.log and "Seccomp:\t0" in open(f"/proc/{server.process.pid}/status").read()
    for device in ("cuda", "auto"):
        done = subprocess.run([program, "serve", "--model", embedder, "--device", device, "--sandbox", "on", "--port", "0"],
                              env={**os.environ, "LD_LIBRARY_PATH": str(DRIVER)}, capture_output=True, text=True, timeout=HANG)
        assert done.returncode == 2 and "--sandbox on: " in done.stderr and "GPU" in done.stderr
