"""libquerent through ctypes: the bits of the program's own commands, and plans that are kept for it."""
import json
import os
import shutil
import subprocess
import sys

import numpy as np
from library_tool import find_answers, load, run
from program import BINARY, HANG, ROOT

SPANS = json.loads((ROOT / "tests/golden/spans.json").read_text(encoding="utf-8"))


def lines_of(*command, lines):
    data = "".join(line + "\n" for line in lines).encode()
    done = subprocess.run([str(part) for part in command], input=data, capture_output=True, timeout=10 * HANG)
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_vectors_have_the_bits_of_querent_embed(installed, minilm):
    """More texts than one batch takes, of all lengths, in an order of their own."""
    texts = (ROOT / "tests/golden/queries.txt").read_text(encoding="utf-8").splitlines()[:150]
    texts += ["", "größte stadt der welt", "long " * 400]
    env = {**os.environ, "LIBQUERENT": str(installed.lib / "libquerent.so.0")}
    out = run(sys.executable, ROOT / "examples/library.py", minilm, *texts, env=env, timeout=10 * HANG)
    ours = [json.loads(line) for line in out.splitlines()]
    theirs = lines_of(BINARY, "embed", "--model", minilm, lines=texts)
    assert len(ours) == len(theirs) == len(texts)
    assert np.array_equal(np.array(ours, dtype=np.float32), np.array(theirs, dtype=np.float32))


def test_spans_have_the_bits_of_querent_span(installed, squad):
    cases = [case for case in SPANS["cases"] if case["options"] == {}]
    pairs = [{"question": case["question"], "context": SPANS["passages"][case["passage"]]} for case in cases]
    flags = ["--top-k", 3, "--max-seq-len", 96, "--doc-stride", 32, "--max-answer-len", 9, "--handle-impossible", "--no-align-to-words"]
    theirs = lines_of(BINARY, "span", "--model", squad, *flags, lines=[json.dumps(pair) for pair in pairs])
    with load(installed.lib / "libquerent.so.0", squad) as model:
        ours = [find_answers(model, **pair, top_k=3, max_seq_len=96, doc_stride=32, max_answer_len=9, handle_impossible=1,
                             keep_word_parts=1) for pair in pairs]
        first = find_answers(model, **pairs[0])
    assert len(pairs) > 10 and ours == theirs
    assert [first[0][key] for key in ("start", "end", "answer")] == [cases[0]["answers"][0][key] for key in ("start", "end", "answer")]


def test_an_onnx_file_is_a_model_too(installed, tmp_path, monkeypatch):
    """By file and by directory; a graph that is none of a BERT is refused with its node."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "model"
    shutil.copytree(ROOT / "tests/golden/onnx/sentence-torchscript-mean", folder)
    path = folder / "model.onnx"
    texts = ["a b c", "d", "x y z " * 20]
    env = {**os.environ, "LIBQUERENT": str(installed.lib / "libquerent.so.0")}
    for model in (path, folder):
        out = run(sys.executable, ROOT / "examples/library.py", model, *texts, env=env, timeout=10 * HANG)
        theirs = lines_of(BINARY, "embed", "--model", path, lines=texts)
        assert np.array_equal(np.array([json.loads(line) for line in out.splitlines()], np.float32), np.array(theirs, np.float32))
    kept = [name for name in os.listdir(tmp_path / "cache" / "querent") if name.endswith(".proof")]
    assert len(kept) == 2, "the library's proof, and the program's"
    path.write_bytes(path.read_bytes().replace(b"Erf", b"Exp"))
    done = subprocess.run([sys.executable, ROOT / "examples/library.py", folder, "a"], env=env, capture_output=True, timeout=HANG)
    assert done.returncode != 0 and b"node `" in done.stderr and b"expected here" in done.stderr


KEEP = """
import ctypes, os, sys
sys.path.insert(0, sys.argv[1])
from library import Error, LoadOptions, open_library
library = open_library()
if len(sys.argv) > 4:
    os.replace(sys.argv[4], os.environ["LIBQUERENT"])
options = LoadOptions(struct_size=ctypes.sizeof(LoadOptions), precision=3, cache_dir=os.fsencode(sys.argv[3]))
model, error = ctypes.c_void_p(), Error()
assert library.qr_lib_model_load(os.fsencode(sys.argv[2]), options, ctypes.byref(model), ctypes.byref(error)) == 0, error.message
library.qr_lib_model_destroy(model)
"""


def test_nothing_is_printed(installed, embedder):
    """A model's directory that is wrong, and a folder for plans that is not there: a warning, and nobody asked for it."""
    code = KEEP.replace("sys.argv[3]", "'/nowhere'") + "assert library.qr_lib_model_load(b'/nowhere', None, ctypes.byref(model), None) == 3\n"
    env = {**os.environ, "LIBQUERENT": str(installed.lib / "libquerent.so.0")}
    done = subprocess.run([sys.executable, "-c", code, ROOT / "examples", embedder], env=env, capture_output=True, timeout=HANG)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_kept_plans_are_the_librarys_not_the_programs(installed, embedder, tmp_path):
    """The same interpreter with another library makes another plan; a library that was replaced since it was loaded, none."""
    plans = tmp_path / "plans"
    plans.mkdir(mode=0o700)
    library = tmp_path / "libquerent.so"

    def keep(name, *replacement):
        env = {**os.environ, "LIBQUERENT": str(name)}
        run(sys.executable, "-c", KEEP, ROOT / "examples", embedder, plans, *replacement, env=env)
        return len(list(plans.iterdir()))

    shutil.copy(installed.lib / "libquerent.so.0", library)
    assert keep(library) == 1 and keep(library) == 1
    assert keep(installed.lib / "libquerent.so.0") == 1
    other = tmp_path / "other.so"
    other.write_bytes(library.read_bytes() + b"x")
    assert keep(other) == 2
    shutil.copy(other, tmp_path / "newer.so")
    (tmp_path / "newer.so").write_bytes(other.read_bytes() + b"y")
    assert keep(other, tmp_path / "newer.so") == 2
    assert keep(other) == 3
