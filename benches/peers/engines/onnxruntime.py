"""ONNX Runtime, with pictures channel by channel and, where it can, in its own blocked layout."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from engines import Candidate, Ways
from nets import (
    INPUT, Activation, Add, AveragePool, Concat, Conv, Dense, Flatten, Function, GlobalAverage, Layer,
    MaxPool, Net, Pad, Scale,
)  # fmt: skip


def ways(net: Net, threads: int) -> Ways:
    """The net as any application runs it, and without the turns into the blocked layout and back."""
    model = _model(net)
    found: Ways = {"contiguous": partial(_contiguous, model, net.pictures, threads)}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "optimised.onnx")
        _session(model, threads, path)
        optimised = onnx.load(path)
    nodes = list(optimised.graph.node)
    if any(nodes[at].op_type == kind for at, kind in ((0, "ReorderInput"), (-1, "ReorderOutput"))):
        found["blocked"] = partial(_blocked, optimised, net.pictures, threads)
    return found


def _contiguous(model: onnx.ModelProto, pictures: np.ndarray, threads: int) -> Candidate:
    return _candidate(_session(model, threads), {INPUT: pictures})


def _candidate(
    session: onnxruntime.InferenceSession,
    inputs: dict[str, np.ndarray],
    after: onnxruntime.InferenceSession | None = None,
) -> Candidate:
    """Input and output stay where they are from call to call; `after` makes the output readable."""
    binding = session.io_binding()
    for name, values in inputs.items():
        binding.bind_ortvalue_input(name, onnxruntime.OrtValue.ortvalue_from_numpy(values))
    output = onnxruntime.OrtValue.ortvalue_from_numpy(session.run(None, inputs)[0])
    binding.bind_ortvalue_output(session.get_outputs()[0].name, output)

    def result() -> np.ndarray:
        values: np.ndarray = output.numpy()
        return np.asarray(after.run(None, {after.get_inputs()[0].name: values})[0]) if after else values

    return Candidate(lambda: session.run_with_iobinding(binding), result)


def _session(
    model: onnx.ModelProto, threads: int, write_to: Path | None = None
) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    if write_to:
        options.optimized_model_filepath = str(write_to)
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def _blocked(optimised: onnx.ModelProto, pictures: np.ndarray, threads: int) -> Candidate:
    """The optimised model between its first and its last step, which only turn the layout.

    ONNX Runtime convolves in a layout of its own and turns its input into that and its output back.
    In a net of many layers that happens once; timed with each layer, it would weigh too much.
    """
    nodes = list(optimised.graph.node)
    before = nodes.pop(0) if nodes[0].op_type == "ReorderInput" else None
    after = nodes.pop() if nodes[-1].op_type == "ReorderOutput" else None
    inputs = {INPUT: pictures}
    if before:
        turn = _session(_part(optimised, [before], pictures.shape), threads)
        inputs = {before.output[0]: turn.run(None, inputs)[0]}
    [shape] = [values.shape for values in inputs.values()]
    core = _session(_part(optimised, nodes, shape), threads)
    turn_back = None
    if after:
        core_output = core.run(None, inputs)[0]
        turn_back = _session(_part(optimised, [after], core_output.shape), threads)
    return _candidate(core, inputs, turn_back)


def _part(whole: onnx.ModelProto, nodes: list[onnx.NodeProto], shape: tuple[int, ...]) -> onnx.ModelProto:
    """A model of some steps of another one that follow each other."""
    read = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "part",
        [helper.make_tensor_value_info(nodes[0].input[0], TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)],
        [values for values in whole.graph.initializer if values.name in read],
    )
    part = helper.make_model(graph, opset_imports=whole.opset_import)
    part.ir_version = whole.ir_version
    return part


def _model(net: Net) -> onnx.ModelProto:
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []

    def node(operator: str, values: list[str], *parameters: np.ndarray, **attributes: Any) -> str:
        at = len(nodes)
        names = [f"parameter{at}_{i}" for i in range(len(parameters))]
        constants.extend(numpy_helper.from_array(np.asarray(values), name) for values, name in zip(parameters, names))
        nodes.append(helper.make_node(operator, [*values, *names], [f"value{at}"], **attributes))
        return f"value{at}"

    def activate(value: str, function: Function) -> str:
        match function:
            case "none":
                return value
            case "relu":
                return node("Relu", [value])
            case "relu6":
                return node("Clip", [value], np.float32(0.0), np.float32(6.0))

    def apply(layer: Layer, *taken: str) -> str:
        values = list(taken)
        match layer:
            case Conv():
                output = node(
                    "Conv", values, layer.weights, layer.bias,
                    strides=[layer.stride] * 2, pads=layer.pads, group=layer.groups,
                )  # fmt: skip
                return activate(output, layer.function)
            case MaxPool() | AveragePool():
                return node(
                    type(layer).__name__, values,
                    kernel_shape=[layer.window] * 2, strides=[layer.stride] * 2, pads=layer.pads,
                )  # fmt: skip
            case GlobalAverage():
                return node("Flatten", [node("GlobalAveragePool", values)])
            case Activation():
                return activate(values[0], layer.function)
            case Scale():
                # Between other layers it can take this one into a convolution, or leave it blocked.
                zeros, ones = np.zeros_like(layer.scale), np.ones_like(layer.scale)
                output = node("BatchNormalization", values, layer.scale, layer.shift, zeros, ones, epsilon=0.0)
                return activate(output, layer.function)
            case Add():
                return activate(node("Add", values), layer.function)
            case Concat():
                return node("Concat", values, axis=1)
            case Pad():
                return node("Pad", values, np.array([0, 0, *layer.pads[:2], 0, 0, *layer.pads[2:]]))
            case Flatten():
                return node("Flatten", values)
            case Dense():
                output = node("Gemm", values, layer.weights, layer.bias, transB=1)
                return activate(output, layer.function)

    result = net.run(INPUT, apply)[net.output]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, net.pictures.shape)],
        [helper.make_tensor_value_info(result, TensorProto.FLOAT, None)],
        constants,
    )
    # Versions that every ONNX Runtime since 1.13 reads.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    return model
