"""Writes onnx_cases.safetensors: small ONNX files, an input of each and the output that ONNX Runtime gives for it.

With onnx 1.23.2, onnxruntime 1.32.0, safetensors 0.8.0. `onnx_cases.py FILE` writes to FILE, beside these, all cases of one
operator that the package onnx has, with its own outputs: too many to keep.
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper, version_converter
from safetensors.numpy import save_file

HERE = Path(__file__).resolve().parent
SEEDS = ("conv_depthwise", "concat_of_boxes", "gelu_of_erf", "prelu", "reduce", "resize", "shuffle", "slice_steps", "split_by_count", "squeeze_and_excite_flat", "reshape_by_slices", "lstm_bidirectional", "gru_over_steps_that_are_turned", "expand_as_torch_writes")
arrays: dict[str, np.ndarray] = {}


def keep(name: str, model: onnx.ModelProto, inputs: list[np.ndarray], outputs: list[np.ndarray]) -> None:
    arrays[f"{name}/model"] = np.frombuffer(model.SerializeToString(), "uint8").copy()
    for kind, values in (("input", inputs), ("output", outputs)):
        for index, value in enumerate(values):
            arrays[f"{name}/{kind}.{index}"] = np.ascontiguousarray(value, "float32")


def constants(draw: np.random.Generator, **named) -> list[onnx.TensorProto]:
    """Weights: shapes are drawn, arrays are taken as they are."""
    made = []
    for name, value in named.items():
        if isinstance(value, tuple):
            value = draw.normal(0, 1, value).astype("float32")
        made.append(numpy_helper.from_array(np.asarray(value), name))
    return made


def named(inputs: str) -> list[str]:
    """Names, of which `-` is none."""
    return [name.replace("-", "") for name in inputs.split()]


def case(name: str, nodes, shapes, weights=None, opset=21, outputs=("y",), open_batch=False, spread=1.0, shift=0.0) -> None:
    """A graph of these nodes, as tuples of operator, inputs, outputs and attributes, over inputs `x`, `x1`, …"""
    draw = np.random.default_rng(sum(map(ord, name)))
    shapes = shapes if isinstance(shapes, list) else [shapes]
    names = [f"x{index}" if index else "x" for index in range(len(shapes))]
    info = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(
        [helper.make_node(op, named(inputs), named(outs), **attributes) for op, inputs, outs, attributes in nodes],
        name,
        [info(one, ["N", *shape[1:]] if open_batch else shape) for one, shape in zip(names, shapes)],
        [info(one, None) for one in outputs],
        constants(draw, **(weights or {})),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], producer_name="cases")
    model.ir_version = 8 if opset < 22 else 12
    inputs = [(draw.normal(0, spread, shape) + shift).astype("float32") for shape in shapes]
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    keep(name, model, inputs, session.run(None, dict(zip(names, inputs))))


def branches(name: str, nodes, shapes, weights=None, before=(), **how) -> None:
    """Several operators over the same values, as tuples of operator, inputs and attributes, each with an output."""
    outputs = [f"y{index}" for index in range(len(nodes))]
    nodes = [(op, inputs, output, attributes) for (op, inputs, attributes), output in zip(nodes, outputs)]
    case(name, [*before, *nodes], shapes, weights, outputs=outputs, **how)


def refused(name: str, nodes, shape, weights=None, opset=21) -> None:
    """A graph that is to be refused, and not run."""
    draw = np.random.default_rng(1)
    info = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    made = [helper.make_node(op, named(inputs), named(outs), **attributes) for op, inputs, outs, attributes in nodes]
    graph = helper.make_graph(made, name, [info("x", shape)], [info("y", None)], constants(draw, **(weights or {})))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    keep(f"refused/{name}", model, [], [])


def convolutions() -> None:
    x, b = (2, 3, 5, 6), (4,)
    case("conv", [("Conv", "x w b", "y", {})], x, dict(w=(4, 3, 3, 3), b=b), open_batch=True)
    conv = lambda **how: ("Conv", "x w b", how)
    auto = [conv(auto_pad=auto, strides=[2, 3]) for auto in ("SAME_UPPER", "SAME_LOWER", "VALID")]
    told = [conv(), conv(pads=[0, 1, 2, 3], strides=[2, 1]), conv(dilations=[2, 3], pads=[2, 3, 2, 3]), ("Conv", "x w", {})]
    branches("conv_windows", [*told, *auto], x, dict(w=(4, 3, 4, 2), b=b))
    # Attributes that are left out are those of the kernel, or ones.
    groups = dict(g=(6, 2, 3, 3), f=(6,), d=(4, 1, 3, 3), b=b, m=(8, 1, 3, 2))
    branches("conv_groups", [("Conv", "x g f", dict(group=2)), ("Conv", "x m", dict(group=4))], (1, 4, 4, 5), groups)
    case("conv_depthwise", [("Conv", "x d b", "y", dict(group=4, pads=[1] * 4))], (1, 4, 4, 4), dict(d=(4, 1, 3, 3), b=b))
    case("conv_1d", [("Conv", "x w b", "y", dict(strides=[2], pads=[2, 1], dilations=[2]))], (2, 3, 9), dict(w=(4, 3, 3), b=b))
    transposed = lambda **how: ("ConvTranspose", "x w b", how)
    told = [transposed(), transposed(strides=[2, 3], pads=[1, 0, 0, 1], output_padding=[1, 2]), transposed(dilations=[2, 2], pads=[1, 2, 3, 1])]
    told += [transposed(strides=[3, 2], output_shape=[8, 6]), *(transposed(strides=[2, 2], auto_pad=auto) for auto in ("SAME_UPPER", "SAME_LOWER"))]
    branches("transposed", told, (1, 3, 3, 4), dict(w=(3, 4, 3, 4), b=b))
    case("transposed_1d", [("ConvTranspose", "x w b", "y", dict(strides=[2], output_padding=[1]))], (2, 3, 5), dict(w=(3, 4, 3), b=b))
    refused("conv_3d", [("Conv", "x w", "y", {})], (1, 2, 4, 4, 4), dict(w=(2, 2, 2, 2, 2)))
    refused("transposed_groups", [("ConvTranspose", "x w", "y", dict(group=2))], (1, 4, 4, 4), dict(w=(4, 2, 2, 2)))


def pools() -> None:
    x = (2, 2, 7, 6)
    for op in ("MaxPool", "AveragePool"):
        pool = lambda **how: (op, "x", dict(dict(kernel_shape=[3, 2]), **how))
        # Without strides windows move by one, not by their size.
        same = [pool(auto_pad=auto, strides=[2, 1]) for auto in ("SAME_UPPER", "SAME_LOWER", "VALID")]
        ceil = [pool(strides=[2, 3], ceil_mode=1), pool(strides=[3, 3], pads=[1, 1, 1, 1], kernel_shape=[2, 2], ceil_mode=1)]
        branches(op.lower(), [pool(), pool(strides=[2, 2], pads=[1, 0, 1, 1]), pool(dilations=[2, 3]), *ceil, *same], x)
        branches(f"{op.lower()}_1d", [(op, "x", dict(kernel_shape=[3], strides=[2], pads=[1, 1]))], (2, 2, 7))
        branches(f"{op.lower()}_opset_7", [pool(strides=[2, 2])], x, opset=7)
    counted = [("AveragePool", "x", dict(kernel_shape=[3, 3], strides=[2, 2], pads=[1, 0, 1, 1], count_include_pad=1, ceil_mode=ceil)) for ceil in (0, 1)]
    branches("averagepool_counts_pads", counted, x)
    branches("globalpools", [("GlobalAveragePool", "x", {}), ("GlobalMaxPool", "x", {})], x)
    refused("maxpool_indices", [("MaxPool", "x", "y i", dict(kernel_shape=[2, 2]))], x)


def dense() -> None:
    case("gemm", [("Gemm", "x w b", "y", dict(alpha=0.5, beta=2.0, transB=1))], (3, 5), dict(w=(4, 5), b=(4,)), open_batch=True)
    case("gemm_bias_of_a_row", [("Gemm", "x w b", "y", {})], (3, 5), dict(w=(5, 4), b=(1, 4)))
    case("gemm_bias_of_a_number", [("Gemm", "x w b", "y", {})], (3, 5), dict(w=(5, 4), b=np.float32(0.5)))
    case("matmul", [("MatMul", "x w", "h", {}), ("Add", "h b", "y", {})], (3, 5), dict(w=(5, 4), b=(4,)))
    case("matmul_series", [("MatMul", "x w", "h", {}), ("Add", "b h", "y", {})], (3, 6, 5), dict(w=(5, 4), b=(4,)))
    refused("matmul_of_maps", [("MatMul", "x x", "y", {})], (2, 3, 3))
    refused("gemm_columns", [("Gemm", "x w", "y", dict(transA=1))], (3, 5), dict(w=(3, 4)))


def functions() -> None:
    x = (2, 3, 2, 4)
    plain = ("Relu", "Sigmoid", "Tanh", "Softplus", "Softsign", "Exp", "Mish", "HardSwish", "Neg", "Abs", "Gelu")
    told = [("Gelu", "x", dict(approximate="tanh"))]
    for op, attributes in (("LeakyRelu", dict(alpha=0.25)), ("Elu", dict(alpha=0.5)), ("Celu", dict(alpha=0.5)),
                           ("Selu", dict(alpha=2.0, gamma=1.5)), ("HardSigmoid", dict(alpha=0.3, beta=0.4)),
                           ("HardSigmoid", dict(alpha=1 / 6, beta=0.5)), ("ThresholdedRelu", dict(alpha=0.75))):
        told += [(op, "x", {}), (op, "x", attributes)]
    branches("functions", [(op, "x", {}) for op in plain] + told, x, spread=3)
    slopes = dict(c=(3, 1, 1), n=(1,), a=(3, 2, 4))
    branches("prelu", [("PRelu", "x c", {}), ("PRelu", "x n", {}), ("PRelu", "x a", {})], x, slopes)
    bounds = dict(a=np.float32(-1), o=np.float32(0), b=np.float32(1.5), s=np.float32(6))
    # A bound that is left out has no name.
    clips = ("x o s", "x o b", "x a b", "x a", "x - b", "x o", "x")
    branches("clip", [("Clip", inputs, {}) for inputs in clips], x, bounds, opset=13, spread=3)
    # Up to opset 10 bounds are attributes.
    branches("clip_opset_6", [("Clip", "x", dict(min=-0.5, max=0.5)), ("Clip", "x", dict(max=0.5)), ("Clip", "x", {})], x, opset=7)


def softmax() -> None:
    # Before opset 13 all axes from the first on are one.
    for opset in (12, 13):
        axes = [("Softmax", "x", dict(axis=axis)) for axis in (1, 2, -1)]
        branches(f"softmax_opset_{opset}", [*axes, ("Softmax", "x", {})], (2, 3, 2, 4), opset=opset)
    refused("log_softmax", [("LogSoftmax", "x", "y", {})], (2, 3))


def binary() -> None:
    x = (2, 3, 2, 4)
    # A number, channels, channels of one sample, columns, rows, everything.
    kinds = {"n": (), "c": (3, 1, 1), "s": (1, 3, 1, 1), "w": (4,), "h": (2, 1), "a": (3, 2, 4)}
    draw = np.random.default_rng(7)
    values = {name: (np.abs(draw.normal(0, 1, shape)) + 0.5).astype("float32") for name, shape in kinds.items()}
    for op in ("Add", "Sub", "Mul", "Div"):
        turned = [] if op == "Div" else [(op, f"{name} x", {}) for name in "nc"]
        branches(f"{op.lower()}_constant", [(op, f"x {name}", {}) for name in kinds] + turned, x, values)
    # Maps that lie channels last, of which the second is squeezed, has one channel, is a row or a column.
    squeezed = [(2, 4, 1, 1), (2, 1, 2, 4), (2, 4, 1, 4), (2, 1, 2, 1)]
    convs = [("Conv", f"x{i or ''} w{i}", f"h{i}", {}) for i in range(5)]
    weights = {f"w{i}": (shape[1], shape[1], 1, 1) for i, shape in enumerate([(2, 4), *squeezed])}
    pairs = [f"h0 h{i}" for i in range(1, 5)] + [f"h{i} h0" for i in range(1, 5)] + ["h3 h4", "x x", "h0 x"]
    for op in ("Add", "Sub", "Mul"):
        branches(f"{op.lower()}_maps", [(op, pair, {}) for pair in pairs], [(2, 4, 2, 4), *squeezed], weights, before=convs)
    several = [(op, "x x1 x2", {}) for op in ("Max", "Min", "Sum", "Mean")]
    number = [("Max", "x c", {}), ("Min", "x c", {}), ("Pow", "x two", {})]
    branches("several_maps", several + number, [x, x, x], dict(c=np.float32(0.25), two=np.float32(2)))
    refused("div_of_maps", [("Div", "x x", "y", {})], x)
    refused("div_reversed", [("Div", "c x", "y", {})], x, dict(c=np.float32(1)))
    # What is one for each channel goes into the layer before, unless that is read twice.
    convs, joined = [], []
    for index, op in enumerate(("Add", "Sub", "Mul", "Div")):
        convs += [("Conv", "x w b", f"h{index}", {}), ("Conv", "x w", f"i{index}", {}), ("Conv", "x w", f"j{index}", {}), (op, f"j{index} c", f"k{index}", {})]
        joined += [(op, f"h{index} c", {}), (op, f"i{index} c", {}), ("Add", f"j{index} k{index}", {})]
    convs += [("ConvTranspose", "x v b", "t", {}), ("Mul", "t c", "u", {}), ("Conv", "x d b", "g", dict(group=3))]
    branches("conv_and_constants", joined + [("Add", "u c", {}), ("Mul", "g c", {})], x, dict(w=(6, 3, 1, 2), b=(6,), c=(6, 1, 1), v=(3, 6, 1, 2), d=(6, 1, 1, 2)), before=convs)


def shapes() -> None:
    x = (2, 3, 2, 4)
    conv = ("Conv", "x w", "h", dict(pads=[1, 1, 1, 1]))
    w = dict(w=(6, 3, 3, 3))
    case("flatten_gemm", [conv, ("Flatten", "h", "f", {}), ("Gemm", "f g", "y", {})], x, dict(w, g=(48, 3)))
    case("flatten_0", [("Flatten", "x", "y", dict(axis=0))], (1, 3, 4))
    case("flatten_1", [("Flatten", "x", "y", {})], (2, 3, 4))
    # An axis counted from the last: [2, 3, 4] to [6, 4].
    rows = [("Flatten", "x", "f", dict(axis=-1)), ("Gemm", "f g", "h", {}), ("Reshape", "h s", "y", {})]
    case("flatten_last", rows, (2, 3, 4), dict(g=(4, 5), s=np.int64([2, 3, 5])))
    case("reshape_gemm", [conv, ("Reshape", "h s", "f", {}), ("MatMul", "f g", "y", {})], x, dict(w, g=(48, 3), s=np.int64([0, -1])), open_batch=True)
    size = [("Shape", "h", "s", {}), ("Gather", "s zero", "n", {}), ("Unsqueeze", "n axes", "u", {}), ("Concat", "u rest", "t", dict(axis=0)), ("Reshape", "h t", "f", {})]
    numbers = dict(zero=np.int64(0), axes=np.int64([0]), rest=np.int64([-1]))
    case("reshape_as_torch_writes", [conv, *size, ("Gemm", "f g", "y", {})], x, dict(w, g=(48, 3), **numbers), open_batch=True)
    case("reshape_as_torch_writes_for_one", [conv, *size, ("Gemm", "f g", "y", {})], (1, *x[1:]), dict(w, g=(48, 3), **numbers))
    sliced = [("Shape", "h", "s", {}), ("Slice", "s zero one", "n", {}), ("Mul", "c c", "cc", {}), ("Concat", "n cc last", "t", dict(axis=0)), ("Reshape", "h t", "y", {})]
    case("reshape_by_slices", [conv, *sliced], (2, 3, 3, 3), dict(w, zero=np.int64([0]), one=np.int64([1]), c=np.int64([3]), last=np.int64([-1])), open_batch=True)
    case("shuffle", [conv, ("Reshape", "h a", "i", {}), ("Transpose", "i", "j", dict(perm=[0, 2, 1, 3, 4])), ("Reshape", "j b", "k", {}), ("Conv", "k v", "y", dict(group=6))],
         x, dict(w, v=(6, 1, 2, 2), a=np.int64([2, 2, 3, 2, 4]), b=np.int64([2, 6, 2, 4])))
    case("transpose", [("Transpose", "x", "y", dict(perm=[0, 2, 3, 1]))], x)
    case("transpose_back", [conv, ("Transpose", "h", "y", dict(perm=[0, 3, 1, 2]))], x, w)
    channels_last = [("Transpose", "x", "a", dict(perm=[0, 3, 1, 2])), ("Conv", "a w", "b", dict(auto_pad="SAME_UPPER")), ("Transpose", "b", "c", dict(perm=[0, 2, 3, 1])),
                     ("Add", "c bias", "d", {}), ("Relu", "d", "e", {}), ("Transpose", "e", "f", dict(perm=[0, 3, 1, 2])),
                     ("MaxPool", "f", "g", dict(kernel_shape=[2, 2], strides=[2, 2])), ("Transpose", "g", "h", dict(perm=[0, 2, 3, 1])), ("Reshape", "h s", "i", {}), ("MatMul", "i m", "y", {})]
    case("channels_last_inside", channels_last, (2, 6, 4, 3), dict(w=(5, 3, 3, 3), bias=(5,), m=(30, 4), s=np.int64([-1, 30])))
    case("squeeze", [conv, ("GlobalAveragePool", "h", "p", {}), ("Squeeze", "p axes", "q", {}), ("Gemm", "q g", "y", {})], x, dict(w, g=(6, 4), axes=np.int64([2, 3])))
    case("squeeze_opset_11", [conv, ("GlobalAveragePool", "h", "p", {}), ("Squeeze", "p", "q", dict(axes=[-1, 2])), ("Unsqueeze", "q", "y", dict(axes=[2]))], x, w, opset=11)
    case("reduce_axes_are_an_input", [conv, ("ReduceMean", "h axes", "y", dict(keepdims=0))], x, dict(w, axes=np.int64([2, 3])), opset=18)
    case("reduce_axes_are_an_attribute", [conv, ("ReduceMean", "h", "y", dict(axes=[-1, -2]))], x, w, opset=13)
    axes = {"a": [1], "b": [2], "c": [3], "d": [1, 3], "e": [1, 2, 3]}
    reduced = [(op, f"h {name}", dict(keepdims=len(of) % 2)) for op in ("ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin") for name, of in axes.items()]
    branches("reduce", reduced, x, dict(w, **{name: np.int64(of) for name, of in axes.items()}), before=[conv], opset=18)
    case("expand", [("Conv", "x w", "h", {}), ("Expand", "h s", "y", {})], (2, 3, 1, 4), dict(w=(6, 3, 1, 1), s=np.int64([1, 6, 5, 4])))
    for mode in ("DCR", "CRD"):
        case(f"depthtospace_{mode.lower()}", [("DepthToSpace", "x", "h", dict(blocksize=2, mode=mode)), ("Conv", "h w", "y", {})], (2, 8, 3, 4), dict(w=(3, 2, 2, 2)))
    case("spacetodepth", [("SpaceToDepth", "x", "h", dict(blocksize=2)), ("Conv", "h w", "y", {})], (2, 2, 4, 6), dict(w=(3, 8, 2, 2)))
    case("several_outputs", [conv, ("Relu", "h", "y", {}), ("GlobalMaxPool", "h", "z", {})], x, w, outputs=("y", "z"))
    refused("batch_is_merged", [("Reshape", "x s", "y", {})], (2, 3), dict(s=np.int64([3, 2])))
    refused("all_at_once", [("Sin", "x", "a", {}), ("Cos", "a", "b", {}), ("LogSoftmax", "b", "y", {})], (2, 3))


def parts() -> None:
    x = (2, 6, 4, 3)
    three = [("Relu", "x", "a", {}), ("Sigmoid", "x", "b", {}), ("Conv", "x w", "c", {})]
    branches("concat", [("Concat", "a b c", dict(axis=axis)) for axis in (1, 2, 3, -1)], x, dict(w=(6, 6, 1, 1)), before=three)
    many = [(op, "x", f"h{i}", {}) for i, op in enumerate(["Relu", "Sigmoid", "Tanh"] * 4)]
    case("concat_twelve", [*many, ("Concat", " ".join(f"h{i}" for i in range(12)), "y", dict(axis=1))], (1, 2, 2, 3))
    flat = [("Conv", "x w", "a", {}), ("Flatten", "a", "b", {}), ("Relu", "b", "c", {}), ("Concat", "b c", "d", dict(axis=1)), ("Gemm", "d g", "y", {})]
    case("concat_of_flattened", flat, x, dict(w=(3, 6, 1, 1), g=(72, 4)))
    boxes = [("Conv", "x w", "a", {}), ("Transpose", "a", "b", dict(perm=[0, 2, 3, 1])), ("Reshape", "b s", "c", {}),
             ("MaxPool", "x", "p", dict(kernel_shape=[2, 2], strides=[2, 2])), ("Conv", "p w", "d", {}), ("Transpose", "d", "e", dict(perm=[0, 2, 3, 1])), ("Reshape", "e s", "f", {}), ("Concat", "c f", "y", dict(axis=1))]
    case("concat_of_boxes", boxes, x, dict(w=(8, 6, 1, 1), s=np.int64([2, -1, 4])))
    conv = ("Conv", "x w", "h", {})
    w = dict(w=(6, 6, 1, 1))
    for axis in (1, 2, 3):
        case(f"split_{axis}", [conv, ("Split", "h s", "a b", dict(axis=axis)), ("Relu", "a", "c", {}), ("Concat", "b c", "y", dict(axis=axis))], x, dict(w, s=np.int64([1, x[axis] - 1])))
    case("split_opset_11", [conv, ("Split", "h", "a b c", dict(axis=1)), ("Sub", "a c", "y", {})], x, w, opset=11)
    case("split_by_count", [conv, ("Split", "h", "a b", dict(axis=3, num_outputs=2)), ("GlobalMaxPool", "b", "c", {}), ("GlobalMaxPool", "a", "d", {}), ("Add", "c d", "y", {})], x, w, opset=18)
    slices = lambda starts, ends, axes, steps: dict(w, a=np.int64(starts), b=np.int64(ends), c=np.int64(axes), d=np.int64(steps))
    case("slice_channels", [conv, ("Slice", "h a b c d", "y", {})], x, slices([1], [5], [1], [1]))
    case("slice_steps", [conv, ("Slice", "h a b c d", "y", {})], x, slices([0, 1, -4], [6, 99, -1], [1, 2, 3], [2, 3, 2]))
    case("slice_opset_9", [conv, ("Slice", "h", "y", dict(starts=[1, 0], ends=[4, -1], axes=[1, 3]))], x, w, opset=9)
    case("gather_reversed_channels", [("Gather", "x i", "h", dict(axis=1)), ("Conv", "h w", "y", {})], (2, 3, 4, 5), dict(w=(4, 3, 2, 2), i=np.int64([2, 1, 0])))
    case("gather_one", [conv, ("Gather", "h i", "y", dict(axis=2))], x, dict(w, i=np.int64(-1)))
    pads = lambda values, **more: dict(w, p=np.int64(values), **more)
    case("pad", [conv, ("Pad", "h p", "y", {})], x, pads([0, 0, 1, 2, 0, 0, 0, 3]))
    case("pad_value", [conv, ("Pad", "h p v", "y", {})], x, pads([0, 0, 1, 2, 0, 0, 0, 3], v=np.float32(0.5)))
    case("pad_channels", [conv, ("Pad", "h p", "y", {})], x, pads([0, 1, 0, 0, 0, 2, 0, 1]))
    case("pad_negative", [conv, ("Pad", "h p", "y", {})], x, pads([0, 0, -1, 2, 0, -2, 0, -1]))
    case("pad_some_axes", [conv, ("Pad", "h p v a", "y", {})], x, pads([1, 2], a=np.int64([-1]), v=np.float32(0)), opset=18)
    # The exporter of PyTorch that scripts turns its own list of paddings round, the last axis first.
    turned = [("Reshape", "t s", "a", {}), ("Slice", "a b e z d", "c", {}), ("Transpose", "c", "f", dict(perm=[1, 0])), ("Reshape", "f l", "p", {})]
    lists = dict(t=np.int64([0, 3, 1, 2, 0, 0, 0, 0]), s=np.int64([-1, 2]), b=np.int64([-1]), e=np.int64([-(2**63) + 1]), z=np.int64([0]), d=np.int64([-1]), l=np.int64([-1]))
    case("pad_as_torch_writes", [*turned, conv, ("Pad", "h p", "y", {})], x, dict(w, **lists))
    case("pad_opset_9", [conv, ("Pad", "h", "y", dict(pads=[0, 0, 1, 1, 0, 0, 1, 1]))], x, w, opset=9)
    case("pad_conv", [("Pad", "x p", "a", {}), ("Conv", "a w", "y", dict(pads=[1, 0, 0, 1], strides=[2, 2]))], x, dict(w=(4, 6, 3, 3), p=np.int64([0, 0, 1, 2, 0, 0, 0, 3])))
    for mode, around in (("reflect", [0, 2, 3, 1, 0, 0, 1, 2]), ("edge", [0, 0, 3, 4, 0, 1, 5, 0]), ("wrap", [0, 6, 1, 3, 0, 2, 0, 2])):
        case(f"pad_{mode}", [conv, ("Pad", "h p", "y", dict(mode=mode))], x, pads(around), opset=19)
    case("slice_backwards", [conv, ("Slice", "h a b c d", "y", {})], x, slices([-1, 9, 2], [-99, 0, -9], [1, 2, 3], [-2, -1, -1]))
    refused("pad_reflect_beyond", [("Pad", "x p", "y", dict(mode="reflect"))], x, dict(p=np.int64([0, 0, 4, 0, 0, 0, 0, 0])))
    refused("pad_edge_far", [("Pad", "x p", "y", dict(mode="edge"))], x, dict(p=np.int64([0, 0, 0, 0, 0, 0, 0, 17])))
    refused("pad_batch", [("Pad", "x p", "y", {})], (2, 3), dict(p=np.int64([1, 0, 0, 0])))


def recurrent() -> None:
    n, t, c, h = 2, 5, 3, 4
    x, gates = (n, t, c), dict(LSTM=4, GRU=3)
    ways = dict(forward=1, reverse=1, bidirectional=2)

    def weights(op, count=1, features=c, **more):
        return dict(w=(count, gates[op] * h, features), r=(count, gates[op] * h, h), b=(count, 2 * gates[op] * h), **more)

    def attributes(op, **more):
        return dict(hidden_size=h, **(dict(linear_before_reset=1) if op == "GRU" else {}), **more)

    first, states, last = ("Transpose", "x", "t", dict(perm=[1, 0, 2])), ("Transpose", "Y", "y", dict(perm=[2, 0, 1, 3])), ("Transpose", "H", "z", dict(perm=[1, 0, 2]))
    both, last_alone = dict(outputs=("y", "z")), dict(outputs=("z",))
    for op in gates:
        for way, count in ways.items():
            told = attributes(op, direction=way)
            case(f"{op.lower()}_{way}", [first, (op, "t w r b", "Y H", told), states, last], x, weights(op, count), open_batch=True, **both)
            case(f"{op.lower()}_{way}_last", [first, (op, "t w r", "- H", told), last], (1, *x[1:]), weights(op, count), **last_alone)
        zeros = [("Shape", "x", "s", {}), ("Gather", "s zero", "g", {}), ("Unsqueeze", "g zeros", "u", {}), ("Concat", "one u units", "f", dict(axis=0)), ("ConstantOfShape", "f", "i", {}), ("Expand", "null f", "j", {})]
        numbers = dict(zero=np.int64(0), zeros=np.int64([0]), one=np.int64([1]), units=np.int64([h]), null=np.float32(0))
        begins = f"t w r b - i{' j' if op == 'LSTM' else ''}"
        case(f"{op.lower()}_begins_with_zeros", [first, *zeros, (op, begins, "Y", attributes(op)), states], x, weights(op, **numbers), open_batch=True)
        flipped = [first, ("Slice", "t m e zeros m", "v", {}), (op, "v w r b", "Y H", attributes(op, direction="bidirectional")), states, last]
        case(f"{op.lower()}_over_steps_that_are_turned", flipped, x, weights(op, 2, m=np.int64([-1]), e=np.int64([-(2**63)]), zeros=np.int64([0])), **both)
        # Columns of text in pictures: features are channels and rows.
        columns = [("Conv", "x k", "m", {}), ("Transpose", "m", "v", dict(perm=[3, 0, 1, 2])), ("Reshape", "v s", "t", {}), (op, "t w r b", "Y H", attributes(op)), states, last]
        case(f"{op.lower()}_over_columns", columns, (n, 2, 3, t), weights(op, features=6, k=(2, 2, 1, 1), s=np.int64([t, -1, 6])), **both)
        refused(f"{op.lower()}_without_a_batch", [(op, "x w r b", "Y H", attributes(op)), states], x, weights(op))
        refused(f"{op.lower()}_of_other_functions", [first, (op, "t w r b", "Y H", attributes(op, activations=["Sigmoid", "Relu", "Tanh"][: len(gates) + 1])), states], x, weights(op))
        refused(f"{op.lower()}_clipped", [first, (op, "t w r b", "Y H", attributes(op, clip=3.0)), states], x, weights(op))
        refused(f"{op.lower()}_begins_with_ones", [first, (op, "t w r b - i", "Y H", attributes(op)), states], x, weights(op, i=np.ones((1, n, h), "float32")))
        refused(f"{op.lower()}_of_lengths", [first, (op, "t w r b l", "Y H", attributes(op)), states], x, weights(op, l=np.int32([t, t - 1])))
        refused(f"{op.lower()}_long_and_backwards", [first, (op, "t w r b", "Y H", attributes(op, direction="reverse")), states], (n, 33, c), weights(op))
    case("lstm_of_whole_lengths", [first, ("LSTM", "t w r b l", "Y", attributes("LSTM")), states], x, weights("LSTM", l=np.int32([t, t])))
    refused("lstm_cell", [first, ("LSTM", "t w r b", "Y H C", attributes("LSTM")), ("Transpose", "C", "y", dict(perm=[1, 0, 2]))], x, weights("LSTM"))
    refused("lstm_peepholes", [first, ("LSTM", "t w r b - - - p", "Y", attributes("LSTM")), states], x, weights("LSTM", p=(1, 3 * h)))
    refused("lstm_of_one_gate_for_two", [first, ("LSTM", "t w r b", "Y", attributes("LSTM", input_forget=1)), states], x, weights("LSTM"))
    refused("gru_resets_before", [first, ("GRU", "t w r b", "Y", dict(hidden_size=h)), states], x, weights("GRU"))
    refused("rnn", [first, ("RNN", "t w r", "Y", dict(hidden_size=h)), states], x, dict(w=(1, h, c), r=(1, h, h)))
    # ONNX Runtime has no layout 1: the numbers are those of layout 0 between transpositions.
    case("lstm_layout_1", [first, ("LSTM", "t w r b", "Y H", attributes("LSTM", direction="bidirectional")), states, last], x, weights("LSTM", 2), **both)
    draw = np.random.default_rng(sum(map(ord, "lstm_layout_1")))
    info = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    node = helper.make_node("LSTM", named("x w r b"), ["y", "z"], layout=1, **attributes("LSTM", direction="bidirectional"))
    graph = helper.make_graph([node], "lstm_layout_1", [info("x", x)], [info("y", None), info("z", None)], constants(draw, **weights("LSTM", 2)))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=8)
    arrays["lstm_layout_1/model"] = np.frombuffer(model.SerializeToString(), "uint8").copy()


def computed() -> None:
    """What is computed of constants, as exporters do."""
    x, i = (2, 3, 2, 4), np.int64
    mask = [("Range", "zero four one", "a", {}), ("Less", "a two", "b", {}), ("Where", "b e f", "c", {}), ("Mul", "x c", "y", {})]
    case("where_of_a_range", mask, x, dict(zero=i(0), four=i(4), one=i(1), two=i(2), e=np.float32([1, 2, 3, 4]), f=np.float32(-1)))
    ramp = [("Range", "zero one step", "a", {}), ("GreaterOrEqual", "a half", "b", {}), ("Not", "b", "n", {}), ("Or", "b n", "o", {}), ("And", "o n", "m", {}), ("Cast", "m", "c", dict(to=1)), ("Add", "c a", "d", {}), ("Add", "x d", "y", {})]
    case("range_of_floats", ramp, x, dict(zero=np.float32(0), one=np.float32(1), step=np.float32(0.25), half=np.float32(0.5)))
    # As `expand_as` and `expand(-1, 6, …)` are written.
    shape = [("Shape", "x", "s", {}), ("ConstantOfShape", "rank", "o", dict(value=numpy_helper.from_array(i([1])))), ("Mul", "o minus", "m", {}), ("Equal", "t m", "e", {}), ("Where", "e o t", "w", {}), ("Expand", "h w", "y", {})]
    case("expand_as_torch_writes", [("Conv", "x k", "h", {}), *shape], (2, 3, 1, 4), dict(k=(6, 3, 1, 1), rank=i([4]), minus=i(-1), t=i([-1, -1, 5, -1])), open_batch=True)


def shared() -> None:
    """Weights that several nodes read: those of one layer."""
    x = (2, 3, 4, 5)
    convs = [("Conv", "x w b", "a", dict(pads=[1] * 4)), ("Conv", "x w b", "c", dict(pads=[2] * 4, dilations=[2, 2])), ("Add", "a c", "d", {})]
    tail = [("Conv", "d v", "e", {}), ("Add", "e f", "g", {}), ("Conv", "d v", "h", {}), ("Add", "h i", "j", {}), ("Sub", "g j", "y", {})]
    case("shared_kernels", [*convs, *tail], x, dict(w=(4, 3, 3, 3), b=(4,), v=(2, 4, 1, 1), f=(2, 1, 1), i=(2, 1, 1)))
    series = [("Transpose", "w", "t", dict(perm=[1, 0])), ("MatMul", "x t", "a", {}), ("Transpose", "w", "u", dict(perm=[1, 0])), ("MatMul", "a u", "y", {})]
    case("shared_products", series, (2, 4, 5), dict(w=(5, 5)))


def normalizations() -> None:
    x, four = (2, 4, 3, 5), dict(g=(4,), b=(4,), m=(4,), v=np.float32([0.5, 1, 2, 3]))
    case("batchnormalization", [("BatchNormalization", "x g b m v", "y", dict(epsilon=1e-3))], x, four)
    case("batchnormalization_flat", [("BatchNormalization", "x g b m v", "y", {})], (3, 4), four)
    case("batchnormalization_series", [("BatchNormalization", "x g b m v", "y", {})], (3, 4, 5), four)
    case("conv_batchnormalization", [("Conv", "x w", "h", {}), ("BatchNormalization", "h g b m v", "y", {})], x, dict(four, w=(4, 4, 2, 2)))
    two = dict(g=(4,), b=(4,))
    case("instancenormalization", [("InstanceNormalization", "x g b", "y", {})], x, two)
    case("groupnormalization", [("GroupNormalization", "x g b", "y", dict(num_groups=2))], x, two)
    case("layernormalization", [("LayerNormalization", "x g b", "y", dict(axis=-1))], (2, 3, 4), two)
    case("layernormalization_no_bias", [("LayerNormalization", "x g", "y", {})], (2, 4), two)


def resizes() -> None:
    x = (1, 2, 3, 2)
    rules = [("nearest", dict(coordinate_transformation_mode="asymmetric", nearest_mode="floor")), ("nearest", {}), ("linear", {}),
             ("linear", dict(coordinate_transformation_mode="pytorch_half_pixel"))]
    resized = [("Resize", f"x r {name}", dict(how, mode=mode)) for mode, how in rules for name in "abc"]
    resized.append(("Resize", "x r b", dict(nearest_mode="round_prefer_ceil", coordinate_transformation_mode="half_pixel")))
    factors = dict(r=np.float32([]), a=np.float32([1, 1, 2, 2]), b=np.float32([1, 1, 3, 1]), c=np.float32([1, 1, 4, 3]))
    branches("resize", resized, x, factors)
    branches("resize_to_sizes", [("Resize", "x - - s", dict(mode="nearest"))], x, dict(s=np.int64([1, 2, 6, 6])))
    case("resize_down", [("Resize", "x r s", "y", dict(mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor"))], (2, 3, 4, 6), dict(r=np.float32([]), s=np.float32([1, 1, 0.5, 0.5])))
    case("upsample_opset_9", [("Upsample", "x s", "y", dict(mode="nearest"))], x, dict(s=np.float32([1, 1, 2, 3])), opset=9)
    case("upsample_opset_7", [("Upsample", "x", "y", dict(mode="nearest", scales=[1.0, 1.0, 2.0, 3.0]))], x, opset=7)
    case("resize_opset_10", [("Resize", "x s", "y", dict(mode="nearest"))], x, dict(s=np.float32([1, 1, 2, 3])), opset=10)
    for name, how in (("align_corners", dict(mode="linear", coordinate_transformation_mode="align_corners")), ("cubic", dict(mode="cubic"))):
        refused(f"resize_{name}", [("Resize", "x r s", "y", how)], x, dict(r=np.float32([]), s=np.float32([1, 1, 2, 2])))
    refused("upsample_linear", [("Upsample", "x s", "y", dict(mode="linear"))], x, dict(s=np.float32([1, 1, 2, 2])), opset=9)
    refused("resize_by_half_more", [("Resize", "x r s", "y", dict(mode="nearest"))], x, dict(r=np.float32([]), s=np.float32([1, 1, 1.5, 1.5])))


def patterns() -> None:
    x = (2, 3, 4, 5)
    conv = ("Conv", "x w", "h", {})
    w, f = dict(w=(4, 3, 2, 2)), np.float32
    case("silu", [conv, ("Sigmoid", "h", "s", {}), ("Mul", "h s", "y", {})], x, w)
    case("silu_read_twice", [conv, ("Sigmoid", "h", "s", {}), ("Mul", "h s", "m", {}), ("Add", "m s", "y", {})], x, w)
    case("hardswish_of_hardsigmoid", [conv, ("HardSigmoid", "h", "s", dict(alpha=1 / 6, beta=0.5)), ("Mul", "s h", "y", {})], x, w, spread=3)
    case("hardswish_of_clip", [conv, ("Add", "h three", "a", {}), ("Clip", "a zero six", "b", {}), ("Mul", "h b", "c", {}), ("Div", "c six", "y", {})], x, dict(w, three=f(3), zero=f(0), six=f(6)), spread=3)
    case("hardsigmoid_of_clip", [conv, ("Add", "h three", "a", {}), ("Clip", "a zero six", "b", {}), ("Div", "b six", "y", {})], x, dict(w, three=f(3), zero=f(0), six=f(6)), spread=3)
    case("mish_of_tanh", [conv, ("Softplus", "h", "a", {}), ("Tanh", "a", "b", {}), ("Mul", "h b", "y", {})], x, w)
    erf = [conv, ("Div", "h root", "a", {}), ("Erf", "a", "b", {}), ("Add", "b one", "c", {}), ("Mul", "h c", "d", {}), ("Mul", "d half", "y", {})]
    case("gelu_of_erf", erf, x, dict(w, root=f(np.sqrt(2)), one=f(1), half=f(0.5)))
    other = [conv, ("Mul", "h root", "a", {}), ("Erf", "a", "b", {}), ("Add", "one b", "c", {}), ("Mul", "h half", "d", {}), ("Mul", "d c", "y", {})]
    case("gelu_of_erf_halved_first", other, x, dict(w, root=f(np.sqrt(0.5)), one=f(1), half=f(0.5)))
    tanh = [conv, ("Pow", "h three", "a", {}), ("Mul", "a c", "b", {}), ("Add", "h b", "d", {}), ("Mul", "d root", "e", {}), ("Tanh", "e", "t", {}), ("Add", "t one", "g", {}), ("Mul", "h g", "i", {}), ("Mul", "i half", "y", {})]
    case("gelu_of_tanh", tanh, x, dict(w, three=f(3), c=f(0.044715), root=f(np.sqrt(2 / np.pi)), one=f(1), half=f(0.5)))
    refused("erf_alone", [("Erf", "x", "y", {})], x)
    refused("gelu_of_another_root", [("Div", "x root", "a", {}), ("Erf", "a", "b", {}), ("Add", "b one", "c", {}), ("Mul", "x c", "d", {}), ("Mul", "d half", "y", {})], x, dict(root=f(1.5), one=f(1), half=f(0.5)))
    excite = [conv, ("GlobalAveragePool", "h", "p", {}), ("Conv", "p a", "q", {}), ("Relu", "q", "r", {}), ("Conv", "r b", "s", {}), ("Sigmoid", "s", "t", {}), ("Mul", "h t", "y", {})]
    case("squeeze_and_excite", excite, x, dict(w, a=(2, 4, 1, 1), b=(4, 2, 1, 1)))
    flat = [conv, ("ReduceMean", "h axes", "p", dict(keepdims=0)), ("Gemm", "p a", "q", {}), ("Sigmoid", "q", "r", {}), ("Reshape", "r shape", "s", {}), ("Mul", "s h", "y", {})]
    case("squeeze_and_excite_flat", flat, x, dict(w, a=(4, 4), axes=np.int64([2, 3]), shape=np.int64([-1, 4, 1, 1])))
    case("dropout_that_trains", [conv, ("Dropout", "h r t", "y", {})], x, dict(w, r=f(0.0), t=np.bool_(True)), opset=13)
    weights = [("Transpose", "v", "w", dict(perm=[3, 2, 0, 1])), ("Conv", "x w", "y", {})]
    case("weights_are_turned_in_the_graph", weights, x, dict(v=(2, 2, 3, 4)))
    filled = [("ConstantOfShape", "s", "w", dict(value=numpy_helper.from_array(f([0.25])))), ("Conv", "x w", "y", {})]
    case("weights_are_filled_in_the_graph", filled, x, dict(s=np.int64([4, 3, 2, 2])))
    half = dict(v=np.random.default_rng(3).normal(0, 1, (4, 3, 2, 2)).astype("float16"))
    case("weights_are_halves", [("Cast", "v", "w", dict(to=1)), ("Conv", "x w", "y", {})], x, half)
    for name, data in (("quantize", "QuantizeLinear"), ("dequantize", "DequantizeLinear")):
        refused(name, [(data, "x s", "y", {})], x, dict(s=f(0.1)))


def main() -> None:
    for part in (convolutions, pools, dense, functions, softmax, binary, shapes, parts, normalizations, resizes, patterns, recurrent, computed, shared):
        part()
    if len(sys.argv) > 1:
        arrays.clear()
        whole_package()
        save_file(arrays, sys.argv[1])
    else:
        save_file(arrays, HERE / "onnx_cases.safetensors")
        # What a fuzzer begins with.
        seeds = HERE.parents[2] / "fuzz/seeds/import_onnx"
        seeds.mkdir(parents=True, exist_ok=True)
        for name in SEEDS:
            (seeds / f"{name}.onnx").write_bytes(arrays[f"{name}/model"].tobytes())


def whole_package() -> None:
    """Each case of one operator; what is no input of samples is made a constant, unless all inputs are of samples."""
    warnings.filterwarnings("ignore")
    from onnx.backend.test.case.node import collect_testcases

    for one in collect_testcases(None):
        if one.model is None or not one.data_sets:
            continue
        inputs, outputs = one.data_sets[0]
        if inputs and len(one.model.graph.input) == len(inputs):
            variants(one.name, one.model, inputs, outputs)
    data = Path(onnx.__file__).parent / "backend/test/data"
    for folder in sorted(path.parent for kind in ("pytorch-converted", "pytorch-operator", "simple") for path in data.glob(f"{kind}/*/model.onnx")):
        tensor = lambda path: numpy_helper.to_array(onnx.load_tensor(path))
        sets = [sorted(folder.glob(f"test_data_set_0/{kind}_*.pb")) for kind in ("input", "output")]
        try:
            inputs, outputs = ([tensor(path) for path in paths] for paths in sets)
        except Exception:  # Sequences, which no model of ours has.
            continue
        if inputs and outputs:
            model = onnx.load(folder / "model.onnx")
            if model.opset_import[0].version < 7:
                try:
                    model = version_converter.convert_version(model, 13)
                except Exception:  # The converter does not know all.
                    continue
            variants(f"{folder.parent.name}/{folder.name}", model, inputs, outputs)


def variants(name: str, model: onnx.ModelProto, inputs, outputs) -> None:
    names = [info.name for info in model.graph.input]
    weights = {tensor.name for tensor in model.graph.initializer}
    names = [name for name in names if name not in weights]
    numeric = all(isinstance(value, np.ndarray) and value.dtype.kind in "fiub" for value in [*inputs, *outputs])
    numeric = numeric and all(np.isfinite(value.astype("float32")).all() for value in inputs)
    if len(names) != len(inputs) or not numeric:
        return
    if len(inputs) == 1 or len({value.shape[:1] for value in inputs}) == 1:
        keep(name, model, inputs, outputs)
    if len(inputs) > 1:
        fixed = onnx.ModelProto()
        fixed.CopyFrom(model)
        kept = [info for info in fixed.graph.input if info.name not in names[1:]]
        del fixed.graph.input[:]
        fixed.graph.input.extend(kept)
        fixed.graph.initializer.extend(numpy_helper.from_array(value, one) for one, value in zip(names[1:], inputs[1:]))
        keep(f"{name}_of_constants", fixed, inputs[:1], outputs)


if __name__ == "__main__":
    main()
