"""Rewrites ONNX models at random in ways that keep their meaning. Needs the package onnx only.

    model, names = rewrite(onnx.load("model.onnx"), seed=7)

    python tests/onnx/rewrite.py model.onnx 7 out.onnx

What a recogniser by patterns stumbles over: names, the order of nodes, where constants stand, nodes that pass on what they get,
operands and factors in another place, one node for several or several for one, shapes that are computed.
"""
import random
import sys

import numpy as np
import onnx
import onnx.version_converter
from graph_edit import FLOATS, INTS, Edit
from onnx import TensorProto, helper, numpy_helper

NEWEST = 23  # opset

# ---- Nodes that pass on what they get -------------------------------------------------------------
# Each function does one thing at a random place and returns whether there was one.


def insert_identity(edit):
    edge = edit.draw(edit.edges())
    node, at = edge
    node.input[at] = edit.add("Identity", [node.input[at]], like=node.input[at])
    return True


def insert_cast(edit):
    """Casts that lose nothing: to the type that it has, f16 by f32, small int64 by int32."""
    edge = edit.draw(edit.edges(edit.type))
    if not edge:
        return False
    node, at = edge
    value, kind = node.input[at], edit.type(node.input[at])
    by = [kind]
    if kind == TensorProto.FLOAT16:
        by = [TensorProto.FLOAT, kind]
    elif kind == TensorProto.INT64 and is_small(edit, value):
        by = [TensorProto.INT32, kind]
    for to in by:
        rank, dims = edit.kind(value)[1:]
        value = edit.add("Cast", [value], to=to)
        edit.kinds[value] = (to, rank, dims)
    node.input[at] = value
    return True


def is_small(edit, value):
    """Whether an int64 is an id, a mask, a segment or a position, which an int32 holds: fed, or made of sizes."""
    return any(entry.name == value for entry in edit.inputs)


def insert_transposes(edit):
    edge = edit.draw(edit.edges(lambda v: edit.rank(v) and edit.rank(v) > 1))
    if not edge:
        return False
    node, at = edge
    value, rank = node.input[at], edit.rank(node.input[at])
    there = list(range(rank))
    edit.random.shuffle(there)
    back = [there.index(axis) for axis in range(rank)]
    first = edit.add("Transpose", [value], like=value, rank=rank, perm=there)
    node.input[at] = edit.add("Transpose", [first], like=value, perm=back)
    return True


def insert_squeezes(edit):
    edge = edit.draw(edit.edges(lambda v: edit.rank(v) is not None and edit.rank(v) < 5))
    if not edge:
        return False
    node, at = edge
    value = node.input[at]
    axes = [edit.random.randint(0, edit.rank(value))]
    out = edit.axes("Squeeze", edit.axes("Unsqueeze", value, axes, 13), axes, 13)
    edit.kinds[out] = edit.kind(value)
    node.input[at] = out
    return True


def transpose_constant(edit):
    """A matrix that is stored the other way round, behind a Transpose."""
    found = edit.draw([(node, at) for node in edit.of("MatMul", "Gemm") for at, name in enumerate(node.input)
                       if name in edit.constants and edit.constants[name].ndim == 2])
    if not found:
        return False
    node, at = found
    array = edit.constants[node.input[at]]
    node.input[at] = edit.add("Transpose", [edit.weight(np.ascontiguousarray(array.T))], like=node.input[at], perm=[1, 0])
    return True


def repeat_node(edit):
    """One reader gets a copy of the node that it reads."""
    made = {name for node in edit.nodes for name in node.output}
    edge = edit.draw(edit.edges(made.__contains__))
    if not edge:
        return False
    node, at = edge
    maker = edit.producer(node.input[at])
    copy = onnx.NodeProto()
    copy.CopyFrom(maker)
    copy.name = edit.name("copy")
    for i, old in enumerate(maker.output):
        if old:
            copy.output[i] = edit.name("copied")
            if edit.kind(old):
                edit.kinds[copy.output[i]] = edit.kind(old)
    edit.nodes.append(copy)
    node.input[at] = copy.output[list(maker.output).index(node.input[at])]
    return True


def insert_neutral(edit):
    """x * 1, x / 1, x + 0, x - 0."""
    edge = edit.draw(edit.edges(lambda v: edit.type(v) in FLOATS and edit.rank(v)))
    if not edge:
        return False
    node, at = edge
    operator = edit.random.choice(["Mul", "Div", "Add", "Sub"])
    kind = np.float16 if edit.type(node.input[at]) == TensorProto.FLOAT16 else np.float32
    one = edit.weight(np.array(operator in ("Mul", "Div"), kind).reshape(edit.random.choice([(), (1,)])))
    node.input[at] = edit.add(operator, [node.input[at], one], like=node.input[at])
    return True


def insert_dropout(edit):
    """As it is left by exports of a model in training mode; without training_mode it passes on what it gets."""
    edge = edit.draw(edit.edges(lambda v: edit.type(v) in FLOATS))
    if not edge:
        return False
    node, at = edge
    if edit.opset < 12:
        node.input[at] = edit.add("Dropout", [node.input[at]], like=node.input[at], ratio=0.1)
    else:
        ratio = edit.weight(np.array(0.1, np.float32))
        node.input[at] = edit.add("Dropout", [node.input[at], ratio], like=node.input[at])
    return True


def insert_slice(edit):
    """Of the whole of an axis."""
    edge = edit.draw(edit.edges(edit.rank))
    if not edge:
        return False
    node, at = edge
    value = node.input[at]
    bounds = [np.array([number], np.int64) for number in (0, 2**63 - 1, edit.random.randrange(edit.rank(value)))]
    node.input[at] = edit.add("Slice", [value] + [edit.weight(bound) for bound in bounds], like=value)
    return True


# ---- Operands and factors -------------------------------------------------------------------------

def swap_operands(edit):
    node = edit.draw([n for n in edit.of("Add", "Mul") if n.domain == ""])
    if not node:
        return False
    node.input[0], node.input[1] = node.input[1], node.input[0]
    return True


def division_as_product(edit):
    """x / c and x * (1 / c)."""
    found = []
    for node in edit.of("Div", "Mul"):
        number = edit.scalar(node.input[1])
        if number and edit.type(node.input[1]) == TensorProto.FLOAT and 1e-3 < abs(number) < 1e3:
            found.append(node)
    node = edit.draw(found)
    if not node:
        return False
    array = edit.constants[node.input[1]]
    node.input[1] = edit.weight((1 / array.astype(np.float64)).astype(array.dtype))
    node.op_type = "Mul" if node.op_type == "Div" else "Div"
    return True


def difference_as_sum(edit):
    """x - c and x + (-c), of a constant."""
    node = edit.draw([n for n in edit.of("Add", "Sub") if n.domain == "" and n.input[1] in edit.constants
                      and edit.type(n.input[1]) in FLOATS])
    if not node:
        return False
    node.input[1] = edit.weight(-edit.constants[node.input[1]])
    node.op_type = "Sub" if node.op_type == "Add" else "Add"
    return True


def regroup(edit):
    """(a + b) + c as a + (b + c), and the same of products, where neither is read elsewhere."""
    found = []
    for node in edit.of("Add", "Mul"):
        inner = edit.producer(node.input[0])
        if (inner is not None and inner.op_type == node.op_type and edit.only_user(inner.output[0]) is node
                and all(edit.rank(v) is not None for v in [*inner.input, node.input[1]])
                and edit.type(node.input[0]) in FLOATS and not huge(edit, [*inner.input, node.input[1]])):
            found.append((node, inner))
    chosen = edit.draw(found)
    if not chosen:
        return False
    node, inner = chosen
    a, b, c = inner.input[0], inner.input[1], node.input[1]
    wide = b if edit.rank(b) >= edit.rank(c) else c
    node.input[0], node.input[1] = a, edit.add(node.op_type, [b, c], like=wide)
    edit.remove(inner)
    return True


def huge(edit, values):
    """Whether one may be a mask: -3.4e38 and a little more is infinite."""
    for value in values:
        if value in edit.constants and np.abs(edit.constants[value]).max(initial=0) > 1e3:
            return True
    return any(edit.rank(v) == 4 for v in values)


def move_scale(edit):
    """The scale of scores: from behind their MatMul to the one or the other side, before or behind the heads' Transpose."""
    found = []
    for node in edit.of("Div", "Mul"):
        number = edit.scalar(node.input[1])
        scores = edit.producer(node.input[0])
        if number and scores is not None and scores.op_type == "MatMul" and edit.only_user(scores.output[0]) is node:
            if edit.type(node.input[1]) in FLOATS and not any(name in edit.constants for name in scores.input):
                found.append((node, scores))
    chosen = edit.draw(found)
    if not chosen:
        return False
    node, scores = chosen
    target, at = scores, edit.random.randint(0, 1)
    for _ in range(edit.random.randint(0, 2)):  # through the Transpose and the Reshape above
        above = edit.producer(target.input[at])
        if above is None or above.op_type not in ("Transpose", "Reshape") or edit.only_user(above.output[0]) is not target:
            break
        target, at = above, 0
    value = target.input[at]
    target.input[at] = edit.add(node.op_type, [value, node.input[1]], like=value)
    edit.substitute(node, node.input[0])
    return True


def factor_behind_product(edit):
    """(s x) W as s (x W): GELU's half, as ONNX Runtime moves it into FusedMatMul."""
    found = []
    for node in edit.of("MatMul"):
        above = edit.producer(node.input[0])
        if (above is not None and above.op_type in ("Mul", "Div") and edit.scalar(above.input[1]) and node.input[1] in edit.constants
                and edit.only_user(above.output[0]) is node and edit.type(above.input[1]) == TensorProto.FLOAT):
            found.append((node, above))
    chosen = edit.draw(found)
    if not chosen:
        return False
    node, above = chosen
    product = edit.add("MatMul", [above.input[0], node.input[1]], like=node.output[0])
    edit.substitute(node, edit.add(above.op_type, [product, above.input[1]], like=node.output[0]))
    edit.remove(above)
    return True


# ---- One node for several -------------------------------------------------------------------------

def linear(edit, node):
    """(MatMul, Add, bias) of an f32 layer whose MatMul node is given, or None."""
    if node.op_type != "MatMul" or node.domain or node.input[1] not in edit.constants:
        return None
    if edit.constants[node.input[1]].ndim != 2 or edit.type(node.input[1]) not in FLOATS:
        return None
    add = edit.only_user(node.output[0])
    if add is None or add.op_type != "Add" or add.domain:
        return None
    bias = add.input[1] if add.input[0] == node.output[0] else add.input[0]
    if bias not in edit.constants or edit.constants[bias].shape != edit.constants[node.input[1]].shape[1:]:
        return None
    return node, add, bias


def computed_shape(edit, like, rank, last):
    """The shape of `like` with another last size, by Shape, Gather and Concat, or by Slice."""
    shape = edit.add("Shape", [like])
    tail = edit.weight(np.array([last], np.int64))
    if edit.random.random() < 0.3 and edit.opset >= 10:
        head = edit.add("Slice", [shape, edit.weight(np.array([0], np.int64)), edit.weight(np.array([rank - 1], np.int64))])
        return edit.add("Concat", [head, tail], axis=0)
    parts = []
    for axis in range(rank - 1):
        if edit.random.random() < 0.5:
            parts.append(edit.add("Gather", [shape, edit.weight(np.array([axis], np.int64))], axis=0))
        else:
            number = edit.add("Gather", [shape, edit.weight(np.array(axis, np.int64))], axis=0)
            parts.append(edit.axes("Unsqueeze", number, [0], 13))
    return edit.add("Concat", parts + [tail], axis=0)


def matmul_as_gemm(edit):
    found = [layer for layer in map(lambda n: linear(edit, n), edit.nodes) if layer and edit.rank(layer[0].input[0])]
    layer = edit.draw(found)
    if not layer:
        return False
    node, add, bias = layer
    value, rank = node.input[0], edit.rank(node.input[0])
    weight = edit.constants[node.input[1]]
    flat, transposed = value, int(edit.random.random() < 0.5)
    if rank != 2:
        flat = edit.add("Reshape", [value, edit.weight(np.array([-1, weight.shape[0]], np.int64))], like=value, rank=2)
    matrix = edit.weight(np.ascontiguousarray(weight.T)) if transposed else node.input[1]
    out = edit.add("Gemm", [flat, matrix, bias], like=value, rank=2, transB=transposed)
    if rank != 2:
        out = edit.add("Reshape", [out, computed_shape(edit, value, rank, weight.shape[1])], like=value, rank=rank)
    edit.remove(node)
    edit.substitute(add, out)
    return True


def gemm_as_matmul(edit):
    node = edit.draw([n for n in edit.of("Gemm") if n.input[1] in edit.constants and len(n.input) == 3
                      and not edit.attribute(n, "transA", 0) and edit.attribute(n, "alpha", 1.0) == 1.0
                      and edit.attribute(n, "beta", 1.0) == 1.0])
    if not node:
        return False
    weight = edit.constants[node.input[1]]
    if edit.attribute(node, "transB", 0):
        weight = np.ascontiguousarray(weight.T)
    product = edit.add("MatMul", [node.input[0], edit.weight(weight)], like=node.input[0])
    edit.substitute(node, edit.add("Add", [product, node.input[2]], like=node.input[0]))
    return True


def merge_qkv(edit):
    """The layers that read one value (query, key and value) as one, and a Split behind it."""
    groups = {}
    for node in edit.nodes:
        layer = linear(edit, node)
        if layer:
            groups.setdefault(node.input[0], []).append(layer)
    group = edit.draw([layers for layers in groups.values() if len(layers) == 3])
    if not group:
        return False
    group = edit.random.sample(group, 3)
    weights = [edit.constants[node.input[1]] for node, _, _ in group]
    biases = [edit.constants[bias] for _, _, bias in group]
    value, widths = group[0][0].input[0], [w.shape[1] for w in weights]
    product = edit.add("MatMul", [value, edit.weight(np.concatenate(weights, axis=1))], like=value)
    total = edit.add("Add", [product, edit.weight(np.concatenate(biases))], like=value)
    if edit.random.random() < 0.5:
        rank = edit.rank(value)
        if edit.opset < 13:
            parts = edit.add("Split", [total], like=value, outputs=3, axis=-1, split=widths)
        else:
            parts = edit.add("Split", [total, edit.weight(np.array(widths, np.int64))], like=value, outputs=3,
                             axis=-1 if rank is None else rank - 1)
    else:
        ends = np.cumsum([0] + widths)
        parts = [edit.add("Slice", [total] + [edit.weight(np.array([x], np.int64)) for x in (ends[i], ends[i + 1], -1)],
                          like=value) for i in range(3)]
    for (node, add, _), part in zip(group, parts):
        edit.remove(node)
        edit.substitute(add, part)
    return True


def layer_norm_in_pieces(edit):
    node = edit.draw([n for n in edit.of("LayerNormalization", "SkipLayerNormalization")
                      if edit.type(n.output[0]) == TensorProto.FLOAT and all(n.output[0] == o for o in n.output if o)])
    if not node:
        return False
    value, names = node.input[0], list(node.input)
    if node.op_type == "SkipLayerNormalization":
        gamma, beta, extra = names[2], names[3] if len(names) > 3 else "", names[4] if len(names) > 4 else ""
        if extra:
            value = edit.add("Add", [value, extra], like=node.output[0])
        value = edit.add("Add", [value, names[1]], like=node.output[0])
    else:
        gamma, beta = names[1], names[2] if len(names) > 2 else ""
    if gamma not in edit.constants or not edit.kind(node.output[0]):
        return False
    like = node.output[0]
    eps = edit.weight(np.float32(edit.attribute(node, "epsilon", 1e-5)) + np.zeros((), np.float32))
    centred = edit.add("Sub", [value, edit.mean(value)], like=like)
    again = edit.add("Sub", [value, edit.mean(value)], like=like) if edit.random.random() < 0.3 else centred
    if edit.random.random() < 0.5:
        square = edit.add("Pow", [again, edit.weight(np.array(2, np.float32))], like=like)
    else:
        square = edit.add("Mul", [again, again], like=like)
    deviation = edit.add("Sqrt", [edit.add("Add", [edit.mean(square), eps], like=like)], like=like)
    if edit.random.random() < 0.5:
        out = edit.add("Div", [centred, deviation], like=like)
    else:
        out = edit.add("Mul", [centred, edit.add("Reciprocal", [deviation], like=like)], like=like)
    out = edit.add("Mul", [out, gamma], like=like)
    if beta:
        out = edit.add("Add", [out, beta], like=like)
    edit.substitute(node, out)
    return True


def gelu_in_pieces(edit):
    node = edit.draw([n for n in edit.of("Gelu", "BiasGelu") if edit.type(n.output[0]) == TensorProto.FLOAT
                      and edit.attribute(n, "approximate", b"none") == b"none"])
    if not node:
        return False
    like, value = node.output[0], node.input[0]
    if node.op_type == "BiasGelu":
        value = edit.add("Add", list(node.input), like=like)
    one, half = edit.weight(np.array(1, np.float32)), edit.weight(np.array(0.5, np.float32))
    inner = edit.add("Erf", [edit.add("Div", [value, edit.weight(np.array(2**0.5, np.float32))], like=like)], like=like)
    sum_ = edit.add("Add", [inner, one], like=like)
    order = edit.random.sample([value, sum_, half], 3)
    edit.substitute(node, edit.add("Mul", [edit.add("Mul", order[:2], like=like), order[2]], like=like))
    return True


# ---- Shapes -----------------------------------------------------------------------------------------

def split_shape(edit):
    """A shape, taken apart and put together again."""
    node = edit.draw(edit.of("Reshape", "Expand"))
    if not node:
        return False
    shape = node.input[1]
    size = len(edit.constants[shape]) if shape in edit.constants else (edit.kind(shape) or (0, 0, None))[2]
    size = size[0] if isinstance(size, list) else size
    if not size:
        return False
    cut = edit.random.randint(1, size) if size > 1 else 1
    parts = []
    for at in range(size):
        if at < cut and edit.random.random() < 0.5:
            number = edit.add("Gather", [shape, edit.weight(np.array(at, np.int64))], axis=0)
            parts.append(edit.axes("Unsqueeze", number, [0], 13))
        else:
            parts.append(edit.add("Gather", [shape, edit.weight(np.array([at - size], np.int64))], axis=0))
    node.input[1] = edit.add("Concat", parts, axis=0)
    edit.kinds[node.input[1]] = (TensorProto.INT64, 1, [size])
    return True


def heads_shape(edit):
    """The Reshape to heads, or from heads, with its sizes as constants (zeros, or -1), or computed from another value."""
    found = []
    for node in edit.of("Reshape"):
        below = edit.only_user(node.output[0])
        above = edit.producer(node.input[0])
        ranks = edit.rank(node.input[0]), edit.rank(node.output[0])
        dims, width = (edit.kind(node.output[0]) or (0, 0, None))[2], edit.last(node.input[0])
        if ranks == (3, 4) and below is not None and below.op_type == "Transpose" and dims and dims[2] and dims[3]:
            found.append((node, [dims[2], dims[3]]))
        elif ranks == (4, 3) and above is not None and above.op_type == "Transpose" and dims and dims[2] and dims[2] != width:
            found.append((node, [dims[2]]))
    chosen = edit.draw(found)
    if not chosen:
        return False
    node, tail = chosen
    if edit.random.random() < 0.5:
        head = edit.draw([[0, 0], [0, -1]])
        node.input[1] = edit.weight(np.array(head + tail, np.int64))
        edit.set_attribute(node, "allowzero", 0) if edit.opset >= 14 else None
    else:
        shape = edit.add("Shape", [node.input[0]])
        parts = [edit.add("Gather", [shape, edit.weight(np.array([at], np.int64))], axis=0) for at in range(2)]
        if edit.random.random() < 0.5:
            parts[1] = edit.weight(np.array([-1], np.int64))
        node.input[1] = edit.add("Concat", parts + [edit.weight(np.array([size], np.int64)) for size in tail], axis=0)
    edit.kinds[node.input[1]] = (TensorProto.INT64, 1, [2 + len(tail)])
    return True


def name_axis(edit):
    """-1 for the last axis, or its number."""
    node = edit.draw([n for n in edit.of("Softmax", "LayerNormalization", "Concat", "Gather") if n.domain == ""
                      and edit.rank(n.input[0])])
    if not node or (node.op_type == "Softmax" and edit.opset < 13):
        return False
    axis = edit.attribute(node, "axis", {"Gather": 0}.get(node.op_type, -1))
    rank = edit.rank(node.input[0])
    edit.set_attribute(node, "axis", axis + rank if axis < 0 else axis - rank)
    return True


# ---- All of it --------------------------------------------------------------------------------------

MOVES = (insert_identity, insert_cast, insert_transposes, insert_squeezes, insert_neutral, insert_dropout, insert_slice,
         transpose_constant, repeat_node, swap_operands, division_as_product, difference_as_sum, regroup, move_scale,
         factor_behind_product, matmul_as_gemm, gemm_as_matmul, merge_qkv, layer_norm_in_pieces, gelu_in_pieces, split_shape,
         heads_shape, name_axis)
ONCE = (merge_qkv, move_scale, factor_behind_product, matmul_as_gemm, layer_norm_in_pieces, gelu_in_pieces, heads_shape)


def rename(edit, ports_too):
    """New names for all values and nodes; those of the graph's inputs and outputs are kept unless ports_too. Returns theirs."""
    keep = set() if ports_too else {entry.name for entry in [*edit.source.graph.input, *edit.source.graph.output]}
    names = {}

    def new(name):
        if not name or name in keep:
            return name
        return names.setdefault(name, f"{edit.random.choice('abcxyz')}{len(names)}")

    for node in edit.nodes:
        node.name = "" if edit.random.random() < 0.3 else edit.name("n")
        node.input[:] = [new(name) for name in node.input]
        node.output[:] = [new(name) for name in node.output]
    edit.constants = {new(name): array for name, array in edit.constants.items()}
    edit.kinds = {new(name): kind for name, kind in edit.kinds.items()}
    ports = [*edit.source.graph.input, *edit.source.graph.output]
    renamed = {entry.name: new(entry.name) for entry in ports}
    for entry in ports:
        entry.name = renamed[entry.name]
    return renamed


def restore(model, random):
    """Where the model's parts stand and how numbers are stored: the order of inputs and outputs, initializers among the inputs
    as older exporters list them, typed lists for raw bytes."""
    graph = model.graph
    for ports in (graph.input, graph.output):
        if random.random() < 0.3:
            shuffled = random.sample(list(ports), len(ports))
            del ports[:]
            ports.extend(shuffled)
    if random.random() < 0.2:
        graph.input.extend(helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in graph.initializer)
    if random.random() < 0.2:
        for tensor in graph.initializer:
            store_typed(tensor)


def store_typed(tensor):
    array = numpy_helper.to_array(tensor).flatten()
    if tensor.data_type == TensorProto.FLOAT:
        tensor.float_data.extend(array.tolist())
    elif tensor.data_type == TensorProto.FLOAT16:
        tensor.int32_data.extend(array.view(np.uint16).tolist())
    elif tensor.data_type == TensorProto.INT64:
        tensor.int64_data.extend(array.tolist())
    elif tensor.data_type in (TensorProto.INT32, TensorProto.INT8, TensorProto.UINT8, TensorProto.BOOL):
        tensor.int32_data.extend(array.astype(np.int32).tolist())
    else:
        return
    tensor.ClearField("raw_data")


def raise_version(model, draw):
    """The model with ONNX's operators of a later version, where onnx's converter can do that; else as it is."""
    versions = {entry.domain: entry.version for entry in model.opset_import}
    if set(versions) != {""} or versions[""] >= NEWEST:
        return model
    try:
        return onnx.version_converter.convert_version(model, draw.randint(versions[""] + 1, NEWEST))
    except Exception:  # it does not know an operator
        return model


def draw_moves(seed):
    """What rewrite() does by default: [(a move, the seed that it draws its place by)]."""
    draw = random.Random(seed)
    moves = [draw.choice(MOVES) for _ in range(draw.randint(4, 40))]
    moves += [move for move in ONCE if draw.random() < 0.5]
    return [(move, draw.getrandbits(32)) for move in moves]


def rewrite(model, seed, moves=None):
    """A model that means the same, and {name of an input or output: its new name}. moves: as draw_moves has them; else its own.
    Names, order and places of constants change with every seed."""
    draw = random.Random(seed)
    edit = Edit(raise_version(model, draw) if draw.random() < 0.15 else model, draw)
    for move, place in draw_moves(seed) if moves is None else moves:
        edit.random = random.Random(place)
        move(edit)
    edit.random = random.Random(seed)
    names = rename(edit, edit.random.random() < 0.25)
    edit.unsorted = edit.random.random() < 0.1
    rewritten = edit.model(edit.random.choice([0.0, 0.3, 1.0]))
    restore(rewritten, edit.random)
    return rewritten, names


def main():
    source, seed, out = sys.argv[1:]
    onnx.save(rewrite(onnx.load(source), int(seed))[0], out)


if __name__ == "__main__":
    main()
