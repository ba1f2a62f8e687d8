"""The exporters and optimizers that tools/make_onnx.py runs. Each export_ function writes a model to a path; each change_ function
makes one file of another.
"""
import logging
import os
import shutil
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch

BATCH, SEQUENCE = "batch", "sequence"


def quiet():
    warnings.filterwarnings("ignore")
    for name in ("torch.onnx", "torch", "optimum", "onnxscript", "transformers", "sentence_transformers", "root",
                 "onnxruntime.quantization"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    onnxruntime.set_default_logger_severity(4)


def export_torchscript(module, arrays, outputs, path, opset, fixed):
    given = {name: torch.from_numpy(array) for name, array in arrays.items()}
    axes = {name: {0: BATCH, 1: SEQUENCE} for name in given}
    for name, value in zip(outputs, module(**given)):
        axes[name] = {0: BATCH, 1: SEQUENCE} if value.shape[1] == given["input_ids"].shape[1] else {0: BATCH}
    torch.onnx.export(module, (), str(path), kwargs=given, dynamo=False, opset_version=opset, input_names=list(given),
                      output_names=outputs, dynamic_axes=None if fixed else axes)


def export_dynamo(module, arrays, outputs, path, opset, fixed, positions, external):
    given = {name: torch.from_numpy(array) for name, array in arrays.items()}
    batch, sequence = torch.export.Dim(BATCH), torch.export.Dim(SEQUENCE, max=positions)
    shapes = None if fixed else {name: {0: batch, 1: sequence} for name in given}
    torch.onnx.export(module, (), str(path), kwargs=given, dynamo=True, opset_version=opset, input_names=list(given),
                      output_names=outputs, dynamic_shapes=shapes, external_data=external, verbose=False)


def export_optimum(directory, path, task, opset, library):
    """A directory in Hugging Face's layout; the result has optimum's names of inputs and outputs."""
    from optimum.exporters.onnx import main_export

    out = Path(directory) / "optimum"
    main_export(str(directory), str(out), task=task, opset=opset, library_name=library, do_validation=False, no_post_process=False)
    shutil.copy(out / "model.onnx", path)


def change_optimizer(path, heads, hidden, options):
    """onnxruntime.transformers.optimizer, as its documents run it for BERT. options: half ("all", or "inside": inputs and
    outputs stay f32), multi_head (MultiHeadAttention instead of Attention)."""
    from onnxruntime.transformers import fusion_options, optimizer

    fusion = fusion_options.FusionOptions("bert")
    fusion.use_multi_head_attention = options.get("multi_head", False)
    model = optimizer.optimize_model(str(path), model_type="bert", num_heads=heads, hidden_size=hidden, opt_level=0,
                                     optimization_options=fusion)
    if "half" in options:
        model.convert_float_to_float16(keep_io_types=options["half"] == "inside")
    model.save_model_to_file(str(path))


def change_shapes(path):
    """What ONNX Runtime's documents ask for before a static quantization."""
    from onnxruntime.quantization.shape_inference import quant_pre_process

    quant_pre_process(str(path), str(path), skip_symbolic_shape=True)


def change_session(path, level):
    """What an ONNX Runtime session saves of its own optimisation."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, "ORT_ENABLE_" + level)
    options.optimized_model_filepath = str(path) + ".optimized"
    options.intra_op_num_threads = 1
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    os.replace(options.optimized_model_filepath, path)


def change_dynamic(path, per_channel, reduce_range, signed, embeddings):
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(str(path), str(path), per_channel=per_channel, reduce_range=reduce_range,
                     weight_type=QuantType.QInt8 if signed else QuantType.QUInt8,
                     op_types_to_quantize=None if embeddings else ["MatMul", "Attention"],
                     extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT})


def change_static(path, texts, per_channel, signed, operators):
    """QDQ around the operators named (None: all that it knows), calibrated with given inputs."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.left = list(texts)

        def get_next(self):
            return self.left.pop(0) if self.left else None

    quantize_static(str(path), str(path), Reader(), quant_format=QuantFormat.QDQ, per_channel=per_channel,
                    activation_type=QuantType.QInt8 if signed else QuantType.QUInt8, weight_type=QuantType.QInt8,
                    op_types_to_quantize=operators,
                    extra_options={"DefaultTensorType": onnx.TensorProto.FLOAT})


def change_weight_only(path, per_channel):
    """int8 weights that a Cast and a Mul make float before a float MatMul, as some packages in the wild ship theirs."""
    model = onnx.load(str(path))
    graph, weights = model.graph, {t.name: t for t in model.graph.initializer}
    nodes = []
    for node in graph.node:
        name = node.input[1] if node.op_type == "MatMul" else node.input[0] if node.op_type == "Gather" else ""
        if name in weights and len(weights[name].dims) == 2 and weights[name].data_type == onnx.TensorProto.FLOAT:
            floats = onnx.numpy_helper.to_array(weights[name])
            axis = 0 if per_channel and node.op_type == "MatMul" else None
            scale = (np.abs(floats).max(axis=axis, keepdims=axis is not None) / 127).astype(np.float32)
            bytes_ = np.clip(np.rint(floats / scale), -127, 127).astype(np.int8)
            graph.initializer.remove(weights.pop(name))
            graph.initializer.extend([onnx.numpy_helper.from_array(bytes_, name + "_int8"),
                                      onnx.numpy_helper.from_array(np.asarray(scale), name + "_scale")])
            nodes += [onnx.helper.make_node("Cast", [name + "_int8"], [name + "_float"], to=onnx.TensorProto.FLOAT),
                      onnx.helper.make_node("Mul", [name + "_float", name + "_scale"], [name])]
        nodes.append(node)
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.save(model, str(path))
