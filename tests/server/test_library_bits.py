"""libquerent's answers are the server's, bit for bit: the same models and the same plan, over HTTP and in process."""
import ctypes
import os
import sys
from ctypes import POINTER, Structure, byref, c_float, c_int, c_size_t, c_void_p, sizeof

import numpy as np
import pytest
from program import ROOT
from serving import ask

LIBRARY = ROOT / "build/libquerent.so.0"
TEXTS = [f"{'the quick brown fox ' * (i % 9)}jumps over dog number {i}" for i in range(90)]
AUTO = 3  # what a server takes

pytestmark = pytest.mark.skipif("QUERENT" in os.environ or not LIBRARY.exists(), reason="about the release build's library")


class ScoreOptions(Structure):
    _fields_ = [("struct_size", c_size_t), ("raw", c_int), ("long_text", c_int)]


@pytest.fixture
def load(monkeypatch):
    monkeypatch.setenv("LIBQUERENT", str(LIBRARY))
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    from library import Embedder

    return lambda directory: Embedder(directory, precision=AUTO)


def texts_of(texts):
    text = sys.modules["library"].Text
    data = [one.encode() for one in texts]
    return (text * len(data))(*[text(one, len(one)) for one in data])


def score(model, name, first, second, raw):
    """qr_lib_rerank with a query, or qr_lib_predict with pairs or texts alone: [texts][labels]."""
    library = sys.modules["library"]
    call = getattr(model.library, name)
    kind = library.Text if name == "qr_lib_rerank" else POINTER(library.Text)
    call.argtypes = [c_void_p, kind, POINTER(library.Text), c_size_t, POINTER(ScoreOptions), POINTER(c_float), c_size_t,
                     POINTER(library.Error)]  # fmt: skip
    options = ScoreOptions(sizeof(ScoreOptions), int(raw), 0)
    out = (c_float * (len(TEXTS) * model.info.labels))()
    model.check(call(model.model, first, second, len(TEXTS), byref(options), out, len(out), byref(model.error)))
    return np.array(out, dtype=np.float32).reshape(len(TEXTS), -1)


def same(ours, theirs):
    """Bit for bit; but f32 on `ref` multiplies with OpenBLAS, whose bits depend on the batch."""
    return np.allclose(ours, theirs, atol=1e-6) if os.environ.get("QUERENT_ISA") == "ref" else np.array_equal(ours, theirs)


def test_embed(server, load, embedder):
    theirs = np.array(ask(server, "/embed", {"inputs": TEXTS}).json(), dtype=np.float32)
    with load(embedder) as model:
        assert same(np.array(model.embed(TEXTS), dtype=np.float32), theirs)


@pytest.mark.parametrize("raw", [False, True])
def test_rerank(labels_server, load, tiny, raw):
    answer = ask(labels_server, "/rerank", {"query": "a lazy dog", "texts": TEXTS, "raw_scores": raw}).json()
    theirs = np.zeros((len(TEXTS), 1), dtype=np.float32)
    for item in answer:
        theirs[item["index"]] = item["score"]
    with load(tiny("reranker")) as model:
        assert same(score(model, "qr_lib_rerank", texts_of(["a lazy dog"])[0], texts_of(TEXTS), raw), theirs)


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("pairs", [False, True])
def test_predict(labels_server, load, tiny, raw, pairs):
    inputs = [[text, "a lazy dog"] if pairs else [text] for text in TEXTS]
    answer = ask(labels_server, "/predict", {"inputs": inputs, "raw_scores": raw}).json()
    with load(tiny("sentiment")) as model:
        call = model.library.qr_lib_model_get_label
        call.argtypes, call.restype = [c_void_p, c_size_t], ctypes.c_char_p
        names = [call(model.model, label).decode() for label in range(model.info.labels)]
        second = texts_of(["a lazy dog"] * len(TEXTS)) if pairs else None
        ours = score(model, "qr_lib_predict", texts_of(TEXTS), second, raw)
    theirs = [[{item["label"]: item["score"] for item in one}[name] for name in names] for one in answer]
    assert names == ["negative", "neutral", "positive"]
    assert same(ours, np.array(theirs, dtype=np.float32))
