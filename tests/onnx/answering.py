"""ONNX models, answered by querent's f32 plan and by ONNX Runtime, in the same shapes.

    batches = read_expected(folder)["batches"]
    [answer] = answer_all([(folder / "model.onnx", batches)])       # build/tests/onnx_answers, which proves each model
    assert not answer.refused
    wanted = runtime_answers(folder / "model.onnx", batches, answer)
    assert difference(answer.batches[0]["hidden"], wanted[0]["hidden"]) < 1e-3

A batch is {"ids": [[2, 9, 3], [2, 3]], "types": ...}; answers are {"hidden": array}, flat, without padding, as engine.h's
qr_output has them.
"""
import functools
import json
import os
import random
import subprocess
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from program import BINARY, ROOT

PROGRAM = BINARY.parent / "tests" / "onnx_answers"
GOLDENS = ROOT / "tests" / "golden" / "onnx"
# A graph's outputs for which there are answers; span_start and span_end are halves of span.
ANSWERS = ("hidden", "pooled", "span", "span_start", "span_end", "labels", "token_labels")

# |a - b| <= ALLOWED * max(1, |b|); of quantized activations the cosine of all numbers of an output.
ALLOWED, ALLOWED_HALF, COSINE = 1e-3, 1e-2, 0.98


class Answer:
    def __init__(self, reply):
        self.refused = reply.get("refused")
        self.facts, self.proof = reply.get("facts"), reply.get("proof")
        self.inputs, self.outputs = reply.get("inputs"), reply.get("outputs")
        self.batches = [{name: np.array(numbers, np.float64) for name, numbers in batch.items() if isinstance(numbers, list)}
                        for batch in reply.get("answers", [])]  # without what the engine refuses to answer


def read_expected(folder):
    return json.loads((folder / "expected.json").read_text())


def goldens():
    """The folders of all committed exports."""
    return sorted(folder for folder in GOLDENS.iterdir() if (folder / "model.onnx").exists())


def draw_batches(facts, seed):
    """Batches for a model of these facts (expected.json's)."""
    draw = random.Random(seed)
    longest, fixed = facts["positions"], facts["fixed"]
    if fixed and "attention_mask" in facts["inputs"]:
        lengths = [[draw.randint(1, fixed[1]) for _ in range(fixed[0])] for _ in range(3)]
    elif fixed:
        lengths = [[fixed[1]] * fixed[0]]
    elif "attention_mask" in facts["inputs"]:
        lengths = [[5, draw.randint(2, 12), 1], [longest, draw.randint(1, 9), draw.randint(10, longest - 1)],
                   [draw.randint(18, 31)]]
    else:
        lengths = [[5, 5], [longest], [draw.randint(18, 31)] * 3]
    types = facts["types"] or 1
    return [{"ids": [[draw.randrange(facts["vocab"]) for _ in range(size)] for size in sizes],
             "types": [[draw.randrange(types) for _ in range(size)] for size in sizes]} for sizes in lengths]


def answer_all(asked):
    """[(path, batches)] -> [Answer], by as many processes as there are cores. One that dies is a failure that names its model."""
    shares = [asked[at :: os.cpu_count()] for at in range(os.cpu_count())]
    running = []
    for share in filter(None, shares):
        lines = "".join(json.dumps({"path": str(path), "batches": batches}) + "\n" for path, batches in share)
        process = subprocess.Popen([PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        running.append((process, share, lines))
    found = {}
    for process, share, lines in run_all(running):
        replies = lines.splitlines()
        assert len(replies) == len(share) and process.returncode == 0, (
            f"{PROGRAM.name} ended with {process.returncode} over {share[min(len(replies), len(share) - 1)][0]}")
        found.update({id(one): Answer(json.loads(reply)) for one, reply in zip(share, replies)})
    return [found[id(one)] for one in asked]


def run_all(running):
    """Feeds all processes at once, and gives what each wrote."""
    with ThreadPoolExecutor(len(running) or 1) as pool:
        texts = pool.map(lambda entry: entry[0].communicate(entry[2])[0], running)
        return [(process, share, text) for (process, share, _), text in zip(running, texts)]


# ---- ONNX Runtime ------------------------------------------------------------------------------------

# Which inputs of an operator are the weights of its product, and their zero point.
PRODUCTS = {"MatMulInteger": (1, 3), "MatMulIntegerToFloat": (1, 5), "DynamicQuantizeMatMul": (1, 3), "QAttention": (1, 7)}


def open_session(model):
    """Of one thread, for a path or a model's bytes; an exception where ONNX Runtime refuses it. It runs the graph as it stands:
    among what it does to graphs is to quantize activations where weights alone are (MatMulNBits)."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model if isinstance(model, bytes) else str(model), options,
                                        providers=["CPUExecutionProvider"])


@functools.cache
def saturates():
    """Whether ONNX Runtime's products of u8 by s8 stop at 16 bits on this CPU, as they do on AVX2 without VNNI."""
    from onnx import TensorProto, helper

    weights = helper.make_tensor("w", TensorProto.INT8, [2, 1], [127, 127])
    graph = helper.make_graph([helper.make_node("MatMulInteger", ["x", "w"], ["y"])], "product",
                              [helper.make_tensor_value_info("x", TensorProto.UINT8, [1, 2])],
                              [helper.make_tensor_value_info("y", TensorProto.INT32, [1, 1])], [weights])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return open_session(model.SerializeToString()).run(None, {"x": np.full((1, 2), 255, np.uint8)})[0].item() != 2 * 255 * 127


def unsigned_weights(model):
    """The model with the same weights as u8, of which products are exact on every CPU: codes and zero points 128 higher."""
    from onnx import TensorProto, helper

    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    makers = {output: node for node in model.graph.node for output in node.output}  # in any order
    nodes = []

    def type_of(name):
        """Of weights, which come by Constant, Identity, Transpose and others that keep their first input's type."""
        for _ in makers:  # a changed graph may go in circles
            if name not in makers:
                break
            maker = makers[name]
            if maker.op_type == "Constant":
                return next((one.t.data_type for one in maker.attribute if one.name == "value"), None)
            name = maker.input[0] if maker.input else ""
        return types.get(name)

    def moved(name):
        """The name of the same codes as u8."""
        wide, higher, codes = (f"u8.{len(nodes)}.{step}" for step in ("wide", "higher", "codes"))
        nodes.extend([helper.make_node("Cast", [name], [wide], to=TensorProto.INT32),
                      helper.make_node("Add", [wide, "u8.offset"], [higher]),
                      helper.make_node("Cast", [higher], [codes], to=TensorProto.UINT8)])
        return codes

    for node in model.graph.node:
        weights, zero = PRODUCTS.get(node.op_type, (len(node.input), 0))
        if weights < len(node.input) and type_of(node.input[weights]) == TensorProto.INT8:
            node.input.extend([""] * (zero + 1 - len(node.input)))
            node.input[weights] = moved(node.input[weights])
            node.input[zero] = moved(node.input[zero]) if node.input[zero] else "u8.zero"
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend([helper.make_tensor("u8.offset", TensorProto.INT32, [], [128]),
                                    helper.make_tensor("u8.zero", TensorProto.UINT8, [], [128])])
    return model


def open_runtime(model):
    """open_session(), with products that are exact on every CPU."""
    if not saturates():
        return open_session(model)
    import onnx

    parsed = onnx.load_from_string(model) if isinstance(model, bytes) else onnx.load(str(model))
    return open_session(unsigned_weights(parsed).SerializeToString())


def feeds_of(session, batch, inputs, width=0):
    """The padded arrays of a batch; inputs: [(name, kind)]."""
    types = {"tensor(int32)": np.int32, "tensor(bool)": np.bool_, "tensor(float)": np.float32}
    width = max(width, *map(len, batch["ids"]))
    arrays = {kind: np.zeros((len(batch["ids"]), width), np.int64) for kind in ("ids", "mask", "types")}
    for at, (ids, segments) in enumerate(zip(batch["ids"], batch["types"])):
        arrays["ids"][at, : len(ids)] = ids
        arrays["types"][at, : len(ids)] = segments
        arrays["mask"][at, : len(ids)] = 1
    arrays["positions"] = np.broadcast_to(np.arange(width), arrays["ids"].shape)
    known = dict(inputs)
    return {entry.name: arrays[known[entry.name]].astype(types.get(entry.type, np.int64)) for entry in session.get_inputs()
            if entry.name in known}


def runtime_answers(model, batches, answer, width=0):
    """ONNX Runtime's numbers for the same, with inputs and outputs as `answer` understood them."""
    session = open_runtime(model)
    names = [name for name, kind in answer.outputs if kind in ANSWERS]
    made = []
    for batch in batches:
        got = dict(zip(names, session.run(names, feeds_of(session, batch, answer.inputs, width))))
        made.append(gathered({kind: got[name] for name, kind in answer.outputs if name in got}, batch))
    return made


def gathered(outputs, batch):
    """{"span_start": [B][S], ...} -> the answers, without padding."""
    found = {}
    for kind, array in outputs.items():
        if kind in ("pooled", "labels"):
            found[kind] = array
        else:
            found[kind] = np.concatenate([array[at, : len(ids)] for at, ids in enumerate(batch["ids"])])
    if "span_start" in found:
        found["span"] = np.stack([found.pop("span_start"), found.pop("span_end")], axis=-1)
    return {name: array.astype(np.float64).reshape(-1) for name, array in found.items()}


# ---- Comparing ----------------------------------------------------------------------------------------


def difference(got, wanted):
    """The largest |a - b| / max(1, |b|); infinite where only one is a number."""
    if got.shape != wanted.shape:
        return np.inf
    both = np.isfinite(got) & np.isfinite(wanted)
    if not np.array_equal(np.isfinite(got), np.isfinite(wanted)):
        return np.inf
    return float(np.max(np.abs(got - wanted)[both] / np.maximum(1, np.abs(wanted[both])), initial=0))


def cosine(got, wanted):
    """Of all numbers as one vector."""
    return float(got @ wanted / np.sqrt((got @ got) * (wanted @ wanted)))


def complaints(answer, wanted, loosened=1):
    """What of the answer is not as wanted, a text each. loosened: by how much more than the proof's bound it may differ."""
    allowed = loosened * (ALLOWED_HALF if answer.facts["half"] else ALLOWED)
    found = []
    for name in wanted[0]:
        if any(name not in batch for batch in answer.batches):
            found.append(f"{name}: no answer")
            continue
        ours = np.concatenate([batch[name] for batch in answer.batches])
        theirs = np.concatenate([batch[name] for batch in wanted])
        if answer.facts["quantized"]:
            alike = cosine(ours, theirs) if ours.shape == theirs.shape else 0
            if not alike >= COSINE:
                found.append(f"{name}: cosine {alike:.4f}")
        elif not difference(ours, theirs) <= allowed:
            found.append(f"{name}: differs by {difference(ours, theirs):.2g}")
    return found
