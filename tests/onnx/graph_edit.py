"""An ONNX model to be edited: constants apart from nodes, who reads what, and types and ranks as far as they are known.

    edit = Edit(onnx.load("model.onnx"), random.Random(7))
    edge = edit.draw(edit.edges("float"))              # a node and which of its inputs
    edit.put_before(edge, "Identity")
    edit.model().SerializeToString()
"""
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOATS = (TensorProto.FLOAT, TensorProto.FLOAT16)
INTS = (TensorProto.INT64, TensorProto.INT32)
WIDE = {"Attention", "QAttention", "MultiHeadAttention", "SkipLayerNormalization", "EmbedLayerNormalization"}  # give [B][S][C]


class Edit:
    def __init__(self, model, random):
        self.random = random
        self.source = onnx.ModelProto()
        self.source.CopyFrom(model)
        self.opset = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
        self.kinds = self._kinds(model)
        graph = self.source.graph
        self.inputs, self.outputs = list(graph.input), list(graph.output)
        self.constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        self.nodes = []
        for node in graph.node:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                self.constants[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
            else:
                copy = onnx.NodeProto()
                copy.CopyFrom(node)
                self.nodes.append(copy)
        self.count = 0
        self.unsorted = False

    def _kinds(self, model):
        """value -> (element type, rank or None, dimensions or None)"""
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        types = {TensorProto.FLOAT16 if t.data_type == TensorProto.FLOAT16 else 0 for t in model.graph.initializer}
        floating = TensorProto.FLOAT16 if TensorProto.FLOAT16 in types else TensorProto.FLOAT
        for node in model.graph.node:  # what onnx cannot infer of ONNX Runtime's own operators
            if node.domain == "com.microsoft" and node.op_type in WIDE:
                copy.graph.value_info.append(helper.make_tensor_value_info(node.output[0], floating, [None, None, None]))
            elif node.domain == "com.microsoft" and node.op_type in ("BiasGelu", "FastGelu", "Gelu"):
                copy.graph.value_info.append(helper.make_tensor_value_info(node.output[0], floating, [None, None, None]))
        try:
            copy = onnx.shape_inference.infer_shapes(copy, data_prop=True)
        except Exception:  # types of some operators do not fit what was declared: less is known
            pass
        kinds = {}
        for info in [*copy.graph.input, *copy.graph.output, *copy.graph.value_info]:
            tensor = info.type.tensor_type
            if tensor.elem_type:
                dims = [d.dim_value if d.HasField("dim_value") else None for d in tensor.shape.dim]
                known = tensor.HasField("shape")
                kinds[info.name] = (tensor.elem_type, len(dims) if known else None, dims if known else None)
        return kinds

    # ---- Reading ------------------------------------------------------------------------------

    def producer(self, value):
        for node in self.nodes:
            if value in node.output:
                return node
        return None

    def users(self, value):
        return [(node, at) for node in self.nodes for at, name in enumerate(node.input) if name == value]

    def only_user(self, value):
        users = self.users(value)
        return users[0][0] if len(users) == 1 and not self.is_output(value) else None

    def is_output(self, value):
        return any(output.name == value for output in self.outputs)

    def constant(self, value):
        return self.constants.get(value)

    def scalar(self, value):
        """The number of a constant that has one, else None."""
        array = self.constants.get(value)
        return float(array.reshape(-1)[0]) if array is not None and array.size == 1 else None

    def kind(self, value):
        """(element type, rank or None, dimensions or None); None: not known."""
        if value in self.constants:
            array = self.constants[value]
            return helper.np_dtype_to_tensor_dtype(array.dtype), array.ndim, list(array.shape)
        return self.kinds.get(value)

    def type(self, value):
        kind = self.kind(value)
        return kind[0] if kind else None

    def rank(self, value):
        kind = self.kind(value)
        return kind[1] if kind else None

    def last(self, value):
        """The last dimension, None: not known."""
        kind = self.kind(value)
        return kind[2][-1] if kind and kind[2] else None

    def of(self, *operators):
        return [node for node in self.nodes if node.op_type in operators and node.domain in ("", "com.microsoft")]

    def attribute(self, node, name, otherwise=None):
        for attribute in node.attribute:
            if attribute.name == name:
                return helper.get_attribute_value(attribute)
        return otherwise

    def set_attribute(self, node, name, value):
        for at, attribute in enumerate(node.attribute):
            if attribute.name == name:
                del node.attribute[at]
                break
        node.attribute.append(helper.make_attribute(name, value))

    def edges(self, wanted=None):
        """(node, input) of values that are computed or fed; wanted: a test of the value's name. Not the tables of
        EmbedLayerNormalization, whose shapes ONNX Runtime must know before it runs."""
        return [(node, at) for node in self.nodes for at, value in enumerate(node.input)
                if value and value not in self.constants and (wanted is None or wanted(value))
                and not (node.op_type == "EmbedLayerNormalization" and 2 <= at <= 6)]

    def draw(self, items):
        return self.random.choice(items) if items else None

    # ---- Writing ------------------------------------------------------------------------------

    def name(self, hint="v"):
        self.count += 1
        return f"rewritten_{hint}_{self.count}"

    def weight(self, array, hint="c"):
        name = self.name(hint)
        self.constants[name] = array
        return name

    def add(self, operator, inputs, like=None, domain="", rank=None, outputs=1, **attributes):
        """A new node (placed anywhere: model() sorts); returns its output's name, or their list. like: a value of the same
        type (and rank, unless given)."""
        names = [self.name(operator) for _ in range(outputs)]
        self.nodes.append(helper.make_node(operator, inputs, names, name=self.name("node"), domain=domain, **attributes))
        kind = self.kind(like) if like else None
        if kind:
            same = rank is None
            for name in names:
                self.kinds[name] = (kind[0], kind[1] if same else rank, kind[2] if same else None)
        return names[0] if outputs == 1 else names

    def remove(self, *nodes):
        for node in nodes:
            self.nodes = [other for other in self.nodes if other is not node]

    def replace(self, old, new):
        """All who read `old` read `new`; an output of the graph keeps its name."""
        for node in self.nodes:
            for at, name in enumerate(node.input):
                if name == old:
                    node.input[at] = new
        if self.is_output(old):
            maker = self.producer(new)
            for node in self.nodes:
                for at, name in enumerate(node.input):
                    if name == new:
                        node.input[at] = old
            maker.output[list(maker.output).index(new)] = old

    def substitute(self, node, value):
        """Removes a node of one output; `value` stands for what it wrote."""
        old = node.output[0]
        self.remove(node)
        if self.is_output(old) and (value in self.constants or self.producer(value) is None or self.is_output(value)):
            self.nodes.append(helper.make_node("Identity", [value], [old]))
            return
        self.replace(old, value)

    # Operators that changed between versions.

    def axes(self, operator, value, axes, since, **attributes):
        """A Squeeze, Unsqueeze or reduction over axes: an attribute before opset `since`, an input from then on."""
        if self.opset < since:
            return self.add(operator, [value], axes=axes, **attributes)
        return self.add(operator, [value, self.weight(np.array(axes, np.int64))], **attributes)

    def mean(self, value):
        out = self.axes("ReduceMean", value, [-1], 18, keepdims=1)
        self.kinds[out] = self.kind(value) and (self.type(value), self.rank(value), None)
        return out

    # ---- The model ----------------------------------------------------------------------------

    def sorted_nodes(self):
        """A random topological order."""
        made = {name for node in self.nodes for name in node.output}
        waiting = [(node, {name for name in node.input if name in made}) for node in self.nodes]
        done, order = set(), []
        while waiting:
            ready = [at for at, (_, needs) in enumerate(waiting) if needs <= done]
            if not ready:
                raise ValueError("the graph has a cycle")
            self.random.shuffle(ready)
            for at in ready[: max(1, len(ready) // 2)]:
                order.append(waiting[at][0])
                done |= set(waiting[at][0].output)
            placed = {id(node) for node in order}
            waiting = [entry for entry in waiting if id(entry[0]) not in placed]
        return order

    def prune(self):
        """Removes nodes that nobody reads."""
        while True:
            read = {name for node in self.nodes for name in node.input} | {output.name for output in self.outputs}
            left = [node for node in self.nodes if any(name in read for name in node.output)]
            if len(left) == len(self.nodes):
                return
            self.nodes = left

    def model(self, inline=0.0):
        """inline: the share of constants that become Constant nodes."""
        self.prune()
        read = {name for node in self.nodes for name in node.input} | {output.name for output in self.outputs}
        model = onnx.ModelProto()
        model.CopyFrom(self.source)
        graph = model.graph
        del graph.node[:], graph.initializer[:], graph.value_info[:]
        nodes = []
        for name in self.constants:
            if name in read:
                tensor = numpy_helper.from_array(self.constants[name], name)
                if self.random.random() < inline:
                    nodes.append(helper.make_node("Constant", [], [name], value=tensor))
                else:
                    graph.initializer.append(tensor)
        nodes += self.sorted_nodes()
        if self.unsorted:
            self.random.shuffle(nodes)
        graph.node.extend(nodes)
        return model
