"""querent in a Python process, through ctypes: no package, no server.

    python3 library.py models/minilm "how tall is mount everest" "cheap hotels in paris"

prints the vector of each text as JSON. LIBQUERENT names the library; libquerent.so.0 otherwise.
"""
import ctypes
import json
import os
import sys
from ctypes import POINTER, Structure, byref, c_char, c_char_p, c_double, c_float, c_int, c_size_t, c_void_p, sizeof


class Text(Structure):
    _fields_ = [("data", c_char_p), ("size", c_size_t)]


class Error(Structure):
    _fields_ = [("message", c_char * 1024)]


class LoadOptions(Structure):
    _fields_ = [("struct_size", c_size_t), ("name", c_char_p), ("device", c_char_p), ("cache_dir", c_char_p), ("precision", c_int),
                ("threads", c_int), ("calls_most", c_int), ("reserved", c_int)]


class Info(Structure):
    _fields_ = [("struct_size", c_size_t), ("name", c_char_p), ("architecture", c_char_p), ("precision", c_char_p),
                ("device", c_char_p), ("target", c_char_p), ("reason", c_char_p), ("dimensions", c_size_t),
                ("max_tokens", c_size_t), ("labels", c_size_t), ("weight_bytes", c_size_t), ("load_ms", c_double),
                ("kind", c_int), ("normalizes", c_int)]


def open_library():
    library = ctypes.CDLL(os.environ.get("LIBQUERENT", "libquerent.so.0"))
    library.qr_lib_model_load.argtypes = [c_char_p, POINTER(LoadOptions), POINTER(c_void_p), POINTER(Error)]
    library.qr_lib_model_get_info.argtypes = [c_void_p, POINTER(Info), POINTER(Error)]
    library.qr_lib_embed.argtypes = [c_void_p, POINTER(Text), c_size_t, c_void_p, POINTER(c_float), c_size_t, POINTER(Error)]
    library.qr_lib_model_destroy.argtypes = [c_void_p]
    library.qr_lib_model_destroy.restype = None
    return library


class Embedder:
    """with Embedder(directory) as embedder: vectors = embedder.embed(texts)"""

    def __init__(self, directory, precision=0):
        self.library = open_library()
        self.model = c_void_p()
        self.error = Error()
        options = LoadOptions(struct_size=sizeof(LoadOptions), precision=precision)
        self.check(self.library.qr_lib_model_load(os.fsencode(directory), byref(options), byref(self.model), byref(self.error)))
        self.info = Info(struct_size=sizeof(Info))
        self.check(self.library.qr_lib_model_get_info(self.model, byref(self.info), byref(self.error)))

    def check(self, status):
        if status != 0:
            raise RuntimeError(self.error.message.decode())

    def embed(self, texts):
        data = [text.encode() for text in texts]  # referenced here until the call is over
        items = (Text * len(data))(*[Text(item, len(item)) for item in data])
        size = self.info.dimensions
        floats = (c_float * (len(data) * size))()
        self.check(self.library.qr_lib_embed(self.model, items, len(data), None, floats, len(floats), byref(self.error)))
        return [floats[i * size : (i + 1) * size] for i in range(len(data))]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.library.qr_lib_model_destroy(self.model)


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: library.py MODEL TEXT...")
    with Embedder(sys.argv[1]) as embedder:
        for vector in embedder.embed(sys.argv[2:]):
            print(json.dumps(vector))
