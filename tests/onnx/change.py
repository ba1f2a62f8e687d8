"""Changes one thing of what an ONNX model means, drawn at random. Needs the package onnx only.

    model, what = change(onnx.load("model.onnx"), seed=7)      # (None, "...") where the change that was drawn has no place
    print(what)                                                # "operator: /encoder/layer.0/Add (Add) is a Sub"

    python tests/onnx/change.py model.onnx 7 out.onnx

What a recogniser by shape would overlook: the same nodes with another number, another order or another operand.
"""
import random
import sys

import numpy as np
import onnx
from graph_edit import FLOATS, INTS, Edit
from onnx import TensorProto, helper
from rewrite import MOVES

# Each function changes one thing at a random place and returns what, or None.


def node_text(node):
    return f"{node.name or node.output[0]} ({node.op_type})"


# ---- Numbers ------------------------------------------------------------------------------------------


def swap_weights(edit):
    """Two tensors of one shape and type stand for each other."""
    groups = {}
    for name, array in edit.constants.items():
        if array.size > 1 and edit.users(name):
            groups.setdefault((array.shape, array.dtype), []).append(name)
    pair = edit.draw([names for names in groups.values() if len(names) > 1])
    if not pair:
        return None
    a, b = edit.random.sample(pair, 2)
    edit.constants[a], edit.constants[b] = edit.constants[b], edit.constants[a]
    return f"{a} and {b} are swapped"


def transpose_weight(edit):
    name = edit.draw([n for n, array in edit.constants.items() if array.ndim == 2 and array.shape[0] == array.shape[1]])
    if not name:
        return None
    edit.constants[name] = np.ascontiguousarray(edit.constants[name].T)
    return f"{name} is transposed"


def change_number(edit):
    """A constant of one number: an epsilon, a scale, a factor of gelu, what masks add, an index, an axis."""
    name = edit.draw([n for n, array in edit.constants.items() if array.size == 1 and edit.users(n)])
    if not name:
        return None
    old = edit.constants[name]
    if old.dtype.kind == "f":
        with np.errstate(over="ignore"):
            made = edit.random.choice([old * 2, old * 1.1, -old, old + 1, old * 0, old * 0.01, np.abs(old) ** 0.5 + 0.1])
    elif old.dtype.kind == "b":
        made = ~old
    else:
        made = old.astype(np.int64) + edit.random.choice([-2, -1, 1, 2])
    edit.constants[name] = np.asarray(made).astype(old.dtype).reshape(old.shape)
    return f"{name} is {edit.constants[name].reshape(-1)[0]}, not {old.reshape(-1)[0]}"


def change_tensor(edit):
    """All numbers of a constant, or one."""
    name = edit.draw([n for n, array in edit.constants.items() if array.size > 1 and edit.users(n)])
    if not name:
        return None
    old = edit.constants[name]
    made, flat = old.copy(), old.size
    if old.dtype.kind == "f" and edit.random.random() < 0.7:
        by = edit.random.choice([-1, 0, 2, 1.25])
        with np.errstate(over="ignore"):
            made = (made * by).astype(old.dtype)
        how = f"times {by}"
    else:
        at = edit.random.randrange(flat)
        one = made.reshape(-1)
        with np.errstate(over="ignore"):
            one[at] = ~one[at] if old.dtype.kind == "b" else (one[at] + old.dtype.type(1))
        how = f"one more at {at}"
    edit.constants[name] = made
    return f"{name}: {how}"


def change_attribute(edit):
    """An epsilon, a perm, an axis, a flag, a number of heads, ..."""
    numbers = (onnx.AttributeProto.FLOAT, onnx.AttributeProto.INT, onnx.AttributeProto.INTS)
    found = [(node, attribute) for node in edit.nodes for attribute in node.attribute
             if attribute.name != "to" and attribute.type in numbers]
    chosen = edit.draw(found)
    if not chosen:
        return None
    node, attribute = chosen
    old = helper.get_attribute_value(attribute)
    if attribute.type == onnx.AttributeProto.FLOAT:
        new = edit.random.choice([old * 2, old + 0.1, -old, old * 100, 0.0])
    elif attribute.type == onnx.AttributeProto.INT:
        new = 1 - old if old in (0, 1) and edit.random.random() < 0.7 else old + edit.random.choice([-2, -1, 1, 2])
    elif attribute.name == "perm":
        new = edit.random.sample(list(old), len(old))
    else:
        new = list(old)
        new[edit.random.randrange(len(new))] += edit.random.choice([-1, 1])
    edit.set_attribute(node, attribute.name, new)
    return f"{node_text(node)}: {attribute.name} is {new}, not {old}"


# ---- Operators -----------------------------------------------------------------------------------------

OTHERS = {
    "Add": ["Sub", "Mul", "Max"], "Sub": ["Add", "Mul"], "Mul": ["Div", "Add", "Sub"], "Div": ["Mul", "Sub"], "Pow": ["Mul"],
    "Erf": ["Tanh", "Sigmoid"], "Tanh": ["Erf", "Relu", "Sigmoid"], "Relu": ["Tanh", "Abs", "Gelu"], "Gelu": ["Relu", "FastGelu"],
    "FastGelu": ["Gelu", "Relu"], "BiasGelu": ["Add"], "Softmax": ["LogSoftmax", "Relu"], "Neg": ["Abs"], "Clip": ["Identity"],
    "Sqrt": ["Abs", "Identity", "Reciprocal"], "Reciprocal": ["Sqrt", "Neg"], "ReduceMean": ["ReduceSum", "ReduceMax", "ReduceMin"],
    "ReduceSum": ["ReduceMean", "ReduceMax"], "ReduceMax": ["ReduceSum", "ReduceMean", "ReduceMin"],
    "ReduceL2": ["ReduceL1", "ReduceSum"], "Max": ["Min", "Add"], "Min": ["Max"], "Equal": ["Greater", "Less"],
    "Greater": ["Less", "Equal"], "Less": ["Greater"], "And": ["Or"], "Or": ["And"], "Not": ["Identity"], "IsNaN": ["IsInf"],
    "Where": ["Where"], "LayerNormalization": ["SimplifiedLayerNormalization"]}
MICROSOFT = {"FastGelu", "BiasGelu"}


def change_operator(edit):
    node = edit.draw(edit.of(*OTHERS))
    if not node:
        return None
    was, new = node_text(node), edit.random.choice(OTHERS[node.op_type])
    if new == "Where":
        node.input[1], node.input[2] = node.input[2], node.input[1]
        return f"{was}: branches are swapped"
    if new in ("Identity", "SimplifiedLayerNormalization"):
        del node.input[1 if new == "Identity" else 2 :]
    node.op_type = new
    node.domain = "com.microsoft" if new in MICROSOFT or (new == "Gelu" and edit.opset < 20) else ""
    return f"{was} is a {new}"


def swap_inputs(edit):
    """Of a node where their order tells."""
    node = edit.draw([n for n in edit.of("Sub", "Div", "MatMul", "Pow", "Greater", "Less", "Concat", "Where",
                                         "SkipLayerNormalization", "Attention", "MultiHeadAttention") if len(n.input) > 1])
    if not node:
        return None
    a, b = edit.random.sample(range(len(node.input)), 2)
    node.input[a], node.input[b] = node.input[b], node.input[a]
    return f"{node_text(node)}: inputs {a} and {b} are swapped"


def leave_out(edit):
    """A node is left out: one of its inputs, of the same kind, stands for what it made. A bias, a mask, an activation, a norm, a
    layer's residual."""
    found = [(node, value) for node in edit.nodes for value in node.input
             if value and value not in edit.constants and node.op_type not in ("Identity", "Dropout")
             and alike(edit.kind(value), edit.kind(node.output[0]))]
    chosen = edit.draw(found)
    if not chosen:
        return None
    node, value = chosen
    was = node_text(node)
    edit.substitute(node, value)
    return f"{was} is left out"


def alike(kind, other):
    """Whether values of these kinds may stand for each other: type, rank, and the last dimension if both are known."""
    if not kind or not other or kind[0] != other[0] or kind[1] is None or kind[1] != other[1]:
        return False
    last, its = (entry[2][-1] if entry[2] else None for entry in (kind, other))
    return last == its or last is None or its is None


# ---- Edges ---------------------------------------------------------------------------------------------


def upstream(edit, node):
    """All values that the node depends on, and the graph's inputs."""
    makers = {name: maker for maker in edit.nodes for name in maker.output if name}
    seen, waiting = {entry.name for entry in edit.inputs}, list(node.input)
    while waiting:
        value = waiting.pop()
        if value and value not in seen and value not in edit.constants:
            seen.add(value)
            waiting.extend(makers[value].input if value in makers else [])
    return seen


def rewire(edit):
    """A node reads another value of the same kind: of another layer, key for query, segments for ids."""
    edge = edit.draw(edit.edges(edit.kind))
    if not edge:
        return None
    node, at = edge
    old = node.input[at]
    new = edit.draw(sorted(value for value in upstream(edit, node) if value != old and alike(edit.kind(value), edit.kind(old))))
    if not new:
        return None
    node.input[at] = new
    return f"{node_text(node)} reads {new}, not {old}"


def rewire_constant(edit):
    """A node reads another constant of the same shape: its neighbour's bias."""
    found = [(node, at) for node in edit.nodes for at, value in enumerate(node.input) if value in edit.constants]
    edge = edit.draw(found)
    if not edge:
        return None
    node, at = edge
    old = edit.constants[node.input[at]]
    new = edit.draw([name for name, array in edit.constants.items()
                     if array.shape == old.shape and array.dtype == old.dtype and not np.array_equal(array, old)])
    if not new:
        return None
    was, node.input[at] = node.input[at], new
    return f"{node_text(node)} reads {new}, not {was}"


def insert_function(edit):
    """Something that keeps the shape and not the numbers."""
    edge = edit.draw(edit.edges(lambda v: edit.type(v) in FLOATS and edit.rank(v)))
    if not edge:
        return None
    node, at = edge
    value, rank = node.input[at], edit.rank(node.input[at])
    kind = np.float16 if edit.type(value) == TensorProto.FLOAT16 else np.float32
    how = edit.random.choice(["Neg", "Relu", "Tanh", "Abs", "Mul", "Add", "reverse", "Trilu", "CumSum", "Softmax", "Clip"])
    if how in ("Mul", "Add"):
        new = edit.add(how, [value, edit.weight(np.array(edit.random.choice([0.5, 1.5]), kind))], like=value)
    elif how == "reverse":
        axis = edit.random.randrange(rank)
        new = edit.add("Slice", [value] + [edit.weight(np.array([x], np.int64)) for x in (-1, -(2**62), axis, -1)], like=value)
    elif how == "CumSum":
        new = edit.add("CumSum", [value, edit.weight(np.array(edit.random.randrange(rank), np.int64))], like=value)
    elif how == "Clip":
        bound = edit.random.choice([0.5, 1.5, 2.5, 4])  # what few numbers of a text reach
        new = edit.add("Clip", [value, edit.weight(np.array(-bound, kind)), edit.weight(np.array(bound, kind))], like=value)
    elif how == "Trilu":
        if rank < 2 or edit.opset < 14:
            return None
        new = edit.add("Trilu", [value], like=value, upper=edit.random.randint(0, 1))
    else:
        new = edit.add(how, [value], like=value)
    node.input[at] = new
    return f"{node_text(node)} reads {value} behind {how}"


def insert_integer(edit):
    """Among ids, masks, segments and sizes."""
    edge = edit.draw(edit.edges(lambda v: edit.type(v) in INTS))
    if not edge:
        return None
    node, at = edge
    value = node.input[at]
    kind = np.int64 if edit.type(value) == TensorProto.INT64 else np.int32
    few = edit.random.randint(1, 60)  # an id, or a place, that few texts have

    def number(n):
        return edit.weight(np.array(n, kind))

    makers = [
        ("1 - x", lambda: edit.add("Sub", [number(1), value], like=value)),
        ("x + 1", lambda: edit.add("Add", [value, number(1)], like=value)),
        ("x * 0", lambda: edit.add("Mul", [value, number(0)], like=value)),
        ("max(x, 1)", lambda: edit.add("Max", [value, number(1)], like=value)),
        ("min(x, 1)", lambda: edit.add("Min", [value, number(1)], like=value)),
        (f"min(x, {few})", lambda: edit.add("Min", [value, number(few)], like=value)),
        (f"x mod {few}", lambda: edit.add("Mod", [value, number(few)], like=value))]
    if edit.rank(value) == 2:  # not of a size: what is so at one length alone, no number of texts finds
        makers.append((f"0 for {few}", lambda: edit.add("Where", [edit.add("Equal", [value, number(few)]), number(0), value],
                                                        like=value)))
    how, make = edit.random.choice(makers)
    new = make()
    node.input[at] = new
    return f"{node_text(node)} reads {how} of {value}"


def insert_not(edit):
    edge = edit.draw(edit.edges(lambda v: edit.type(v) == TensorProto.BOOL))
    if not edge:
        return None
    node, at = edge
    value = node.input[at]
    node.input[at] = edit.add("Not", [value], like=value)
    return f"{node_text(node)} reads not {value}"


def swap_outputs(edit):
    """What one output of the graph is told by another's name."""
    if len(edit.outputs) < 2:
        return None
    a, b = (edit.producer(output.name) for output in edit.random.sample(edit.outputs, 2))
    if a is None or b is None or a is b:
        return None
    first, second = a.output[0], b.output[0]
    swap = {first: second, second: first}
    for node in edit.nodes:
        node.input[:] = [swap.get(name, name) for name in node.input]
        node.output[:] = [swap.get(name, name) for name in node.output]
    return f"{first} and {second} are swapped"


CHANGES = (swap_weights, transpose_weight, change_number, change_number, change_tensor, change_attribute, change_attribute,
           change_operator, change_operator, swap_inputs, leave_out, leave_out, rewire, rewire, rewire_constant, insert_function,
           insert_function, insert_integer, insert_not, swap_outputs)


def change(model, seed, make=None):
    """A model that means something else, as a rule, and what was changed; the model is None where nothing was. make: of CHANGES;
    else one is drawn. Half of the models are rewritten in a few places before."""
    edit = Edit(model, random.Random(seed))
    make = make or edit.draw(CHANGES)
    for _ in range(edit.random.choice([0, 0, 0, 2, 4, 8])):
        edit.draw(MOVES)(edit)
    what = make(edit)
    if what is None:
        return None, make.__name__
    changed = edit.model()
    if not any(entry.domain == "com.microsoft" for entry in changed.opset_import):
        changed.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return changed, f"{make.__name__}: {what}"


def main():
    source, seed, out = sys.argv[1:]
    model, what = change(onnx.load(source), int(seed))
    print(what)
    if model is not None:
        onnx.save(model, out)


if __name__ == "__main__":
    main()
