"""What examples/ shows with a server works: each runs against one, and finds what a reader would expect.
(Those of the library: tests/library.)"""
import os
import re
import shutil
import subprocess
import sys

import pytest
from program import HANG, ROOT

pytestmark = pytest.mark.real
EVEREST = "Mount Everest is 8,849 metres tall."


def run(*command):
    # No proxy of this machine's, and no service that a client might call on its own.
    env = {**os.environ, "NO_PROXY": "127.0.0.1", "LANGSMITH_TRACING": "false", "HAYSTACK_TELEMETRY_ENABLED": "False"}
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=2 * HANG, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def python(name, server, *arguments, needs=()):
    for module in needs:
        pytest.importorskip(module)
    return run(sys.executable, ROOT / "examples" / name, server.url, *arguments)


def test_curl(real_server):
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    out = run(ROOT / "examples/curl.sh", real_server.url)
    answers = [line for line in out.splitlines() if not line.startswith("#")]
    assert answers[0] == answers[-1] == "200"
    assert re.fullmatch(r"\[\[(-?[\d.e-]+,){7}-?[\d.e-]+\]\]", answers[1])
    assert '"object":"embedding"' in answers[2] and '"answer":"8,849 metres"' in answers[3] and '"id":101' in answers[4]


def test_curl_says_what_went_wrong(server):
    """An answer that is a fault ends the script: the test above does not pass whatever is answered."""
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    done = subprocess.run([ROOT / "examples/curl.sh", server.url + "/nowhere"], capture_output=True, text=True, timeout=HANG)
    assert done.returncode != 0


def test_openai(real_server):
    first, *others, usage = python("openai_client.py", real_server, needs=["openai"]).splitlines()
    assert first.endswith(EVEREST) and all(float(first[:5]) > float(other[:5]) for other in others)
    assert usage == "37 tokens"


def test_hub(real_server):
    shape, *answers = python("hub_client.py", real_server, needs=["huggingface_hub"]).splitlines()
    assert shape.endswith("(2, 384)")
    assert answers[0].endswith(" 8,849 metres (17 to 29)") and "Himalayas" in answers[1]


@pytest.mark.parametrize("name,needs", [("langchain_client.py", ["langchain_openai"]), ("haystack_client.py", ["haystack"])])
def test_frameworks(real_server, name, needs):
    first, second = python(name, real_server, needs=needs).splitlines()
    assert EVEREST in first and "The Danube flows into the Black Sea." in second


def test_search(real_server):
    """Of three hundred passages the first is the one that was asked for, and the answer is its number."""
    count, *found = python("search.py", real_server, "--passages", 300).splitlines()
    assert count.startswith("300 passages in ")
    assert len(found) == 5 * 4
    for question, best in zip(found[::4], found[1::4]):
        thing, place, answer = re.fullmatch(r"How .* is the (\w+) of (\w+)\? (.*) \([\d.]+ ms\)", question).groups()
        assert f"The {thing} of {place} was built" in best
        assert re.search(rf"\b{re.match(r'[0-9]+', answer)[0]}\b", best)
