#!/usr/bin/env python3
"""Makes tests/golden/onnx_ops/: what ONNX Runtime's own operators (com.microsoft) answer to small random inputs. Run by hand:

    python tools/make_onnx_op_goldens.py

Needs onnx 1.19 and onnxruntime 1.32. A file a case: a model of one node whose inputs are initializers, and for each output NAME
an initializer `want:NAME` with ONNX Runtime's answer. Read by tests/unit/onnx/test_op_goldens.c.
"""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper

FOLDER = Path(__file__).resolve().parent.parent / "tests/golden/onnx_ops"
B, S, C, H, N = 2, 5, 8, 2, 6  # batch, tokens, hidden size, heads, columns
random = np.random.default_rng(11)


def floats(*shape, scale=1.0):
    return (random.standard_normal(shape) * scale).astype(np.float32)


def whole(low, high, *shape, dtype=np.int32):
    return random.integers(low, high, shape).astype(dtype)


def u8(*shape):
    return whole(0, 256, *shape, dtype=np.uint8)


def i8(*shape):
    return whole(-128, 128, *shape, dtype=np.int8)


def one(value, dtype=np.float32):
    return np.array(value, dtype)


def mask_of(*lengths, width=S):
    return np.array([[int(t < length) for t in range(width)] for length in lengths], np.int32)


def gelu_cases():
    x = floats(B, S, C, scale=2.0)
    yield "gelu", "Gelu", [x], 1, {}
    yield "bias_gelu", "BiasGelu", [x, floats(C)], 1, {}
    yield "fast_gelu", "FastGelu", [x], 1, {}
    yield "fast_gelu_bias", "FastGelu", [x, floats(C)], 1, {}
    yield "quick_gelu", "QuickGelu", [x], 1, {}
    yield "quick_gelu_alpha", "QuickGelu", [x], 1, {"alpha": 1.0}


def norm_cases():
    x, row = floats(B, S, C), [floats(C), floats(C), floats(C)]
    three = [row[0], row[1]]
    yield "skip_norm", "SkipLayerNormalization", [x, floats(B, S, C), *three], 1, {"epsilon": 1e-5}
    yield "skip_norm_no_beta", "SkipLayerNormalization", [x, floats(B, S, C), row[0]], 1, {}
    yield "skip_norm_bias", "SkipLayerNormalization", [x, floats(B, S, C), *row], 1, {"epsilon": 1e-12}
    yield "skip_norm_sum", "SkipLayerNormalization", [x, floats(B, S, C), *row], [0, None, None, 3], {"epsilon": 1e-5}
    yield "skip_norm_one_row", "SkipLayerNormalization", [x, floats(1, S, C), *three], 1, {}
    yield "skip_norm_flat_skip", "SkipLayerNormalization", [x, floats(S, C), *three], 1, {}
    half = [floats(B, S, C).astype(np.float16), floats(B, S, C).astype(np.float16)]
    yield "skip_norm_half", "SkipLayerNormalization", half + [r.astype(np.float16) for r in three], 1, {"epsilon": 1e-5}


def embed_cases():
    ids, kinds = whole(0, 20, B, S), whole(0, 2, B, S)
    tables = [floats(20, C), floats(9, C), floats(2, C)]
    rows = [floats(C), floats(C)]
    base = [ids, kinds, *tables, *rows]
    yield "embed_norm", "EmbedLayerNormalization", base, 2, {"epsilon": 1e-12}
    yield "embed_norm_mask", "EmbedLayerNormalization", [*base, mask_of(5, 3)], 2, {"epsilon": 1e-5}
    holes = np.array([[1, 1, 0, 1, 0], [0, 1, 1, 2, 1]], np.int32)
    yield "embed_norm_mask_holes", "EmbedLayerNormalization", [*base, holes], 2, {}
    yield "embed_norm_sum", "EmbedLayerNormalization", [*base, mask_of(2, 5)], 3, {}
    positions = whole(0, 9, B, S)
    yield "embed_norm_positions", "EmbedLayerNormalization", [*base, None, positions], 2, {}
    yield "embed_norm_positions_row", "EmbedLayerNormalization", [*base, mask_of(4, 5), whole(0, 9, 1, S)], 2, {}
    yield "embed_norm_no_kinds", "EmbedLayerNormalization", [ids, None, tables[0], tables[1], None, *rows], 2, {}


def product_cases():
    a, b = floats(2, 3, 4, C), floats(3, C, N)
    yield "fused_matmul", "FusedMatMul", [a, b], 1, {"alpha": 0.25}
    yield "fused_matmul_b_transposed", "FusedMatMul", [a, floats(3, N, C)], 1, {"alpha": 0.5, "transB": 1}
    yield "fused_matmul_a_transposed", "FusedMatMul", [floats(3, C, 4), floats(C, N)], 1, {"transA": 1}
    yield "fused_matmul_both", "FusedMatMul", [floats(C, 4), floats(N, C)], 1, {"transA": 1, "transB": 1, "alpha": 2.0}
    for name in "Relu", "Tanh", "Sigmoid":
        yield f"fused_gemm_{name.lower()}", "FusedGemm", [floats(4, C), floats(N, C), floats(N)], 1, \
            {"activation": name, "transB": 1, "alpha": 0.7, "beta": 1.3}


def quantized_cases():
    x = floats(B, S, C)
    scales, zeros = np.abs(floats(N, scale=0.01)) + 0.001, u8(N)
    yield "dynamic_matmul", "DynamicQuantizeMatMul", [x, i8(C, N), one(0.02)], 1, {}
    yield "dynamic_matmul_zero", "DynamicQuantizeMatMul", [x, u8(C, N), one(0.02), one(117, np.uint8)], 1, {}
    yield "dynamic_matmul_bias", "DynamicQuantizeMatMul", [x, i8(C, N), one(0.02), None, floats(N)], 1, {}
    yield "dynamic_matmul_columns", "DynamicQuantizeMatMul", [x, u8(C, N), scales, zeros, floats(N)], 1, {}
    yield "dynamic_matmul_positive", "DynamicQuantizeMatMul", [np.abs(x), i8(C, N), one(0.02), one(3, np.int8)], 1, {}
    yield "dynamic_matmul_negative", "DynamicQuantizeMatMul", [-np.abs(x), i8(C, N), one(0.02)], 1, {}
    yield "dynamic_matmul_zeros", "DynamicQuantizeMatMul", [x * 0, i8(C, N), one(0.02), None, floats(N)], 1, {}
    yield "to_float", "MatMulIntegerToFloat", [u8(B, S, C), i8(C, N), one(0.03), one(0.02)], 1, {}
    yield "to_float_zeros", "MatMulIntegerToFloat", \
        [u8(B, S, C), u8(C, N), one(0.03), one(0.02), one(90, np.uint8), one(130, np.uint8), floats(N)], 1, {}
    yield "to_float_columns", "MatMulIntegerToFloat", \
        [u8(B, S, C), u8(C, N), one(0.03), scales, one(90, np.uint8), zeros, floats(N)], 1, {}
    yield "to_float_signed", "MatMulIntegerToFloat", \
        [i8(B, S, C), i8(C, N), one(0.03), one(0.02), one(-7, np.int8), one(5, np.int8)], 1, {}
    yield "to_float_long", "MatMulIntegerToFloat", \
        [u8(1, 2, 600), i8(600, 3), one(0.03), one(0.02), one(255, np.uint8), one(-128, np.int8)], 1, {}
    yield "quantize_linear", "QuantizeLinear", [floats(3, 7, scale=50), one(0.7), one(100, np.uint8)], 1, {}
    yield "quantize_linear_axis", "QuantizeLinear", \
        [floats(3, 2, scale=50), np.array([0.3, 0.5, 2.0], np.float32), np.array([3, -4, 100], np.int8)], 1, {"axis": 0}
    yield "dequantize_linear", "DequantizeLinear", [u8(3, 7), one(0.7), one(100, np.uint8)], 1, {}
    yield "dequantize_linear_axis", "DequantizeLinear", \
        [i8(3, 2), np.array([0.3, 0.5], np.float32), np.array([3, -4], np.int8)], 1, {"axis": 1}


def attention_cases():
    x, weights, bias = floats(B, S, C), floats(C, 3 * C, scale=0.5), floats(3 * C)
    merged = [x, weights, bias]
    heads = {"num_heads": H}
    yield "attention", "Attention", merged, 1, heads
    yield "attention_scale", "Attention", merged, 1, {**heads, "scale": 0.3}
    yield "attention_no_bias", "Attention", [x, weights, None, mask_of(4, 5)], 1, heads
    yield "attention_mask", "Attention", [*merged, mask_of(5, 3)], 1, heads
    yield "attention_mask_none", "Attention", [*merged, mask_of(5, 0)], 1, heads
    yield "attention_mask_filter", "Attention", [*merged, mask_of(2, 3)], 1, {**heads, "mask_filter_value": -1.5}
    yield "attention_mask_rows", "Attention", [*merged, whole(0, 2, B, S, S)], 1, heads
    yield "attention_lengths", "Attention", [*merged, np.array([3, 5], np.int32)], 1, heads
    yield "attention_ends_starts", "Attention", [*merged, np.array([5, 4, 2, 0], np.int32)], 1, heads
    yield "attention_added", "Attention", [*merged, mask_of(5, 3), None, floats(B, H, S, S)], 1, heads
    yield "attention_added_all", "Attention", [*merged, None, None, floats(1, H, S, S)], 1, heads
    yield "attention_sizes", "Attention", [x, floats(C, 2 * C + 4), floats(2 * C + 4)], 1, \
        {**heads, "qkv_hidden_sizes": [C, C, 4]}
    q, k, v = floats(B, S, C), floats(B, 7, C), floats(B, 7, 4)
    yield "multi_head", "MultiHeadAttention", [q, k, v], 1, heads
    yield "multi_head_scale", "MultiHeadAttention", [q, k, v], 1, {**heads, "scale": 0.9}
    yield "multi_head_bias", "MultiHeadAttention", [q, k, v, floats(2 * C + 4)], 1, heads
    yield "multi_head_mask", "MultiHeadAttention", [q, k, v, floats(2 * C + 4), mask_of(7, 2, width=7)], 1, heads
    yield "multi_head_filter", "MultiHeadAttention", [q, k, v, None, mask_of(3, 2, width=7)], 1, \
        {**heads, "mask_filter_value": -2.0}
    yield "multi_head_mask_rows", "MultiHeadAttention", [q, k, v, None, whole(0, 2, B, S, 7)], 1, heads
    yield "multi_head_lengths", "MultiHeadAttention", [q, k, v, None, np.array([7, 4], np.int32)], 1, heads
    yield "multi_head_added", "MultiHeadAttention", [q, k, v, None, None, floats(B, H, S, 7)], 1, heads
    yield "multi_head_added_once", "MultiHeadAttention", [q, k, v, None, mask_of(7, 6, width=7), floats(1, 1, S, 7)], 1, heads
    scales, zeros = np.abs(floats(3 * C, scale=0.01)) + 0.002, i8(3 * C)
    quantized = [u8(B, S, C), i8(C, 3 * C), floats(3 * C), one(0.02), one(0.01)]
    yield "quantized_attention", "QAttention", quantized, 1, heads
    yield "quantized_attention_mask", "QAttention", \
        [*quantized, mask_of(5, 2), one(120, np.uint8), one(7, np.int8)], 1, heads
    yield "quantized_attention_lengths", "QAttention", \
        [*quantized, np.array([4, 5], np.int32), one(120, np.uint8), one(0, np.int8)], 1, heads
    yield "quantized_attention_columns", "QAttention", \
        [*quantized[:4], scales, None, one(120, np.uint8), zeros], 1, heads


def layer_norm_cases():
    """ONNX's own, in the types that its node tests leave out."""
    half = [floats(B, C).astype(np.float16), floats(C).astype(np.float16), floats(C).astype(np.float16)]
    yield "layer_norm_half", "LayerNormalization", half, 1, {}
    yield "matmul_half", "MatMul", [half[0], floats(C, N).astype(np.float16)], 1, {}
    yield "quantize_int16", "QuantizeLinear", [floats(3, 4, scale=900), one(0.1), one(-5, np.int16)], 1, {}


def make(name, op, inputs, outputs, attributes, domain):
    if isinstance(outputs, int):
        outputs = list(range(outputs))
    feeds = {f"in_{i}": array for i, array in enumerate(inputs) if array is not None}
    names_in = [f"in_{i}" if array is not None else "" for i, array in enumerate(inputs)]
    names_out = [f"out_{i}" if i is not None else "" for i in outputs]
    node = helper.make_node(op, names_in, names_out, domain=domain, **attributes)
    imports = [helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)]
    results = [onnx.ValueInfoProto(name=out) for out in names_out if out]

    def model(graph_inputs, initializers):
        graph = helper.make_graph([node], name, graph_inputs, results, initializers)
        return helper.make_model(graph, opset_imports=imports, ir_version=8, producer_name="querent")

    asked = [helper.make_tensor_value_info(key, helper.np_dtype_to_tensor_dtype(array.dtype), array.shape)
             for key, array in feeds.items()]
    session = ort.InferenceSession(model(asked, []).SerializeToString(), providers=["CPUExecutionProvider"])
    answers = session.run(None, feeds)
    held = [numpy_helper.from_array(array, key) for key, array in feeds.items()]
    held += [numpy_helper.from_array(answer, f"want:{value.name}") for value, answer in zip(results, answers)]
    for value, answer in zip(results, answers):
        value.CopyFrom(helper.make_tensor_value_info(value.name, helper.np_dtype_to_tensor_dtype(answer.dtype), answer.shape))
    (FOLDER / f"{name}.onnx").write_bytes(model([], held).SerializeToString())


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    count = 0
    for domain, groups in (("com.microsoft", (gelu_cases, norm_cases, embed_cases, product_cases, quantized_cases, attention_cases)),
                           ("", (layer_norm_cases,))):
        for cases in groups:
            for name, op, inputs, outputs, attributes in cases():
                make(name, op, inputs, outputs, attributes, domain)
                count += 1
    print(f"{count} cases in {FOLDER}")


if __name__ == "__main__":
    main()
