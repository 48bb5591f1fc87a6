"""OpenVINO, with pictures channel by channel and channels last."""

from __future__ import annotations

import numpy as np
import openvino
from openvino import opset13
from openvino.preprocess import PrePostProcessor

from engines import Candidate
from nets import Add, Conv, Dense, Flatten, GlobalAverage, Layer, MaxPool, Net

CORE = openvino.Core()


def candidates(net: Net, threads: int) -> list[Candidate]:
    """Both layouts; on most processors it computes channels last or blocked inside."""
    options = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        # Pinned, it could not leave a core that others keep busy, as all the others can.
        "ENABLE_CPU_PINNING": False,
    }
    found = []
    for label, last in (("contiguous", False), ("channels_last", True)):
        model = _model(net)
        pictures = net.pictures
        if last:
            model = _channels_last(model)
            pictures = np.ascontiguousarray(pictures.transpose(0, 2, 3, 1))
        request = CORE.compile_model(model, "CPU", options).create_infer_request()
        request.set_input_tensor(openvino.Tensor(pictures))
        found.append(_candidate(label, request, last))
    return found


def _candidate(label: str, request: openvino.InferRequest, last: bool) -> Candidate:
    def result() -> np.ndarray:
        values: np.ndarray = request.get_output_tensor(0).data
        return values.transpose(0, 3, 1, 2) if last and values.ndim == 4 else values

    # Without sharing, the result would be copied at every call.
    return Candidate(label, lambda: request.infer(share_outputs=True), result)


def _channels_last(model: openvino.Model) -> openvino.Model:
    """The same model for pictures in the other order."""
    wrapper = PrePostProcessor(model)
    sides = [wrapper.input()]
    if len(model.output(0).shape) == 4:
        sides.append(wrapper.output())
    for side in sides:
        side.model().set_layout(openvino.Layout("NCHW"))
        side.tensor().set_layout(openvino.Layout("NHWC"))
    return wrapper.build()


def _model(net: Net) -> openvino.Model:
    start = opset13.parameter(net.pictures.shape, np.float32)
    return openvino.Model([net.run(start, _apply)[net.output]], [start], "net")


def _apply(layer: Layer, values: openvino.Node, *others: openvino.Node) -> openvino.Node:
    match layer:
        case Conv():
            values = opset13.add(_conv(values, layer), opset13.constant(layer.bias.reshape(1, -1, 1, 1)))
            return opset13.relu(values) if layer.relu else values
        case MaxPool():
            pads, window, stride = [layer.pad] * 2, [layer.window] * 2, [layer.stride] * 2
            pool = opset13.max_pool(values, stride, [1, 1], pads, pads, window, "floor", "explicit")
            return pool.output(0)
        case GlobalAverage():
            return opset13.reduce_mean(values, opset13.constant([2, 3]), False)
        case Add():
            return opset13.relu(opset13.add(values, others[0]))
        case Flatten():
            return opset13.reshape(values, opset13.constant([0, -1]), True)
        case Dense():
            values = opset13.matmul(values, opset13.constant(layer.weights), False, True)
            values = opset13.add(values, opset13.constant(layer.bias.reshape(1, -1)))
            return opset13.relu(values) if layer.relu else values


def _conv(values: openvino.Node, conv: Conv) -> openvino.Node:
    pads, stride = [conv.pad] * 2, [conv.stride] * 2
    if conv.groups == 1:
        return opset13.convolution(values, opset13.constant(conv.weights), stride, pads, pads, [1, 1])
    weights = conv.weights.reshape(conv.groups, -1, *conv.weights.shape[1:])
    return opset13.group_convolution(values, opset13.constant(weights), stride, pads, pads, [1, 1])
