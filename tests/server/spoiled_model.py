"""A tiny model that int8 spoils: f32 and bf16 give what it gave before.

In every layer some features never fire, and the weights that read them are so large that the int8 scale of each row has
no codes left for the others. They never fire because a LayerNorm makes them 0, a value's row is 0, or gelu(-60) is.
"""
import json
import shutil
import struct

SILENT, LARGE, NEVER = (0, 5), 100.0, -60.0


class Tensors:
    """The f32 tensors of a model.safetensors, to be changed in place."""

    def __init__(self, path):
        self.path, self.data = path, bytearray(path.read_bytes())
        (length,) = struct.unpack_from("<Q", self.data)
        self.table, self.begin = json.loads(self.data[8:8 + length]), 8 + length

    def put(self, name, places, value):
        entry = self.table[name]
        assert entry["dtype"] == "F32", name
        for place in places:
            struct.pack_into("<f", self.data, self.begin + entry["data_offsets"][0] + 4 * place, value)

    def put_inputs(self, name, columns):
        """Large weights for these inputs of a matrix [out][in]."""
        rows, width = self.table[name]["shape"]
        self.put(name, [row * width + column for row in range(rows) for column in columns], LARGE)

    def write(self):
        self.path.write_bytes(self.data)


def spoil(model, to):
    """The copy `to` of a tiny BERT, spoiled."""
    shutil.copytree(model, to)
    config, tensors = json.loads((to / "config.json").read_text()), Tensors(to / "model.safetensors")
    hidden = config["hidden_size"]

    def silence(norm):
        for part in ("weight", "bias"):
            tensors.put(f"{norm}.LayerNorm.{part}", SILENT, 0.0)

    silence("embeddings")
    for layer in range(config["num_hidden_layers"]):
        at = f"encoder.layer.{layer}."
        for part in ("query", "key", "value"):
            tensors.put_inputs(f"{at}attention.self.{part}.weight", SILENT)
        tensors.put(f"{at}attention.self.value.weight", [row * hidden + i for row in SILENT for i in range(hidden)], 0.0)
        tensors.put(f"{at}attention.self.value.bias", SILENT, 0.0)
        tensors.put_inputs(f"{at}attention.output.dense.weight", SILENT)
        silence(f"{at}attention.output")
        tensors.put_inputs(f"{at}intermediate.dense.weight", SILENT)
        tensors.put(f"{at}intermediate.dense.bias", SILENT, NEVER)
        tensors.put(f"{at}intermediate.dense.weight", [row * hidden + i for row in SILENT for i in range(hidden)], 0.0)
        tensors.put_inputs(f"{at}output.dense.weight", SILENT)
        silence(f"{at}output")
    tensors.write()
    return to
