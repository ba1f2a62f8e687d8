"""Runs programs for the library's tests, and the library itself through ctypes, as examples/library.py does."""
import ctypes
import os
import subprocess
import sys
from ctypes import POINTER, Structure, c_double, c_int, c_size_t, c_void_p, sizeof

from program import ROOT

TREE = ROOT / "build"
sys.path.insert(0, str(ROOT / "examples"))


def run(*command, **options):
    """The output of a command that has to succeed."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


class SpanOptions(Structure):
    _fields_ = [("struct_size", c_size_t), ("top_k", c_size_t), ("max_answer_len", c_size_t), ("max_seq_len", c_size_t),
                ("doc_stride", c_size_t), ("handle_impossible", c_int), ("keep_word_parts", c_int)]


class Answer(Structure):
    _fields_ = [("score", c_double), ("begin_byte", c_size_t), ("end_byte", c_size_t), ("begin", c_size_t), ("end", c_size_t)]


def load(library, directory):
    """A model of any kind as examples/library.py's Embedder, from that libquerent.so."""
    os.environ["LIBQUERENT"] = str(library)
    from library import Embedder

    return Embedder(directory)


def find_answers(model, question, context, **options):
    """What `querent span` prints of them, as a list."""
    from library import Error, Text

    call = model.library.qr_lib_span
    call.argtypes = [c_void_p, Text, Text, POINTER(SpanOptions), POINTER(Answer), c_size_t, POINTER(c_size_t), POINTER(Error)]
    given = SpanOptions(struct_size=sizeof(SpanOptions), **options)
    answers = (Answer * max(1, given.top_k))()
    count = c_size_t()
    texts = [question.encode(), context.encode()]
    model.check(call(model.model, *[Text(text, len(text)) for text in texts], ctypes.byref(given), answers, len(answers),
                     ctypes.byref(count), ctypes.byref(model.error)))
    found = [(texts[1][a.begin_byte : a.end_byte].decode(), a) for a in answers[: count.value]]
    assert all(context[a.begin : a.end] == answer for answer, a in found)
    return [{"score": a.score, "start": a.begin, "end": a.end, "answer": answer} for answer, a in found]
