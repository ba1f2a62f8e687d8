"""The built program, for every test that runs it: where it is, how long a hang is, free ports, and
tiny models.

QUERENT names the binary; build/querent otherwise. The tiny models have random weights, but MiniLM's
vocabulary and limits: they start in milliseconds, under a sanitizer too, and show all that is not
about the numbers of a trained model. Tests of those are marked `real`.
"""
import ctypes
import os
import random
import signal
import socket
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BINARY = Path(os.environ.get("QUERENT", ROOT / "build" / "querent"))
SANITIZED = BINARY.exists() and b"__asan_init" in BINARY.read_bytes()

# Seconds. Longer than anything here takes on any machine, and shorter than the server keeps an idle
# connection (75 s): what is not there by then does not come. It ends a test that hangs; no verdict
# is about how fast something was.
HANG = 60

sys.path.insert(0, str(ROOT / "tools"))


def die_with_parent():
    """For preexec_fn: a test run that is killed leaves no program behind (PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def free_port():
    """A port that nobody has, outside of the range that the system gives away by itself."""
    for port in random.sample(range(10000, 32000), 1000):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass
    raise AssertionError("no free port")


# ---- Tiny models ----------------------------------------------------------------------------------

HIDDEN = 64      # length of a tiny embedder's vectors
MAX_TOKENS = 256  # its longest input
SHAPE = {"layers": 2, "hidden": HIDDEN, "heads": 4, "feed_forward": 128}
WORDS = {"vocab_from": ROOT / "models" / "squad-3l", "positions": 512}
TINY = {
    "embedder": {**SHAPE, **WORDS, "max_seq_length": MAX_TOKENS, "pooling": "mean"},
    "reader": {**SHAPE, **WORDS, "head": "span", "seed": 3},
    "sentiment": {**SHAPE, "head": "labels", "label_names": ["negative", "neutral", "positive"], "pooler": True},
    "topics": {**SHAPE, "head": "labels", "label_names": ["sport", "money", "art"], "pooler": True, "seed": 7,
               "problem_type": "multi_label_classification"},
    "reranker": {**SHAPE, "head": "labels", "labels": 1, "pooler": True, "seed": 2},
    "tagger": {**SHAPE, **WORDS, "head": "tokens", "seed": 5,
               "label_names": ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]},
    # Many layers: a text costs a core milliseconds, so that a request of two thousand takes it a
    # minute or more. (A sanitizer makes kernels ten times slower.)
    "slow": {"layers": 2 if SANITIZED else 24, "hidden": 128, "heads": 4, "feed_forward": 512, "positions": 256},
}


def make_tiny(folder, name):
    """The model directory folder/NAME, named as above."""
    from make_model import make_model

    return make_model(folder / name, **TINY[name])
