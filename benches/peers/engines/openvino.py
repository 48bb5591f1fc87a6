"""OpenVINO, with pictures channel by channel and channels last."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import openvino
from openvino import opset13
from openvino.preprocess import PrePostProcessor

from engines import Candidate, Ways
from nets import (
    Activation, Add, AveragePool, Concat, Conv, Dense, Flatten, Function, GlobalAverage, Layer, MaxPool,
    Net, Pad, Scale,
)  # fmt: skip

CORE = openvino.Core()


def ways(net: Net, threads: int) -> Ways:
    """Both layouts; on most processors it computes channels last or blocked inside."""
    options = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
        # Pinned, it could not leave a core that others keep busy, as all the others can.
        "ENABLE_CPU_PINNING": False,
    }
    return {
        "contiguous": partial(_candidate, net, options, last=False),
        "channels_last": partial(_candidate, net, options, last=True),
    }


def _candidate(net: Net, options: dict[str, Any], last: bool) -> Candidate:
    model = _model(net)
    pictures = net.pictures
    if last:
        model = _channels_last(model)
        pictures = np.ascontiguousarray(pictures.transpose(0, 2, 3, 1))
    request = CORE.compile_model(model, "CPU", options).create_infer_request()
    request.set_input_tensor(openvino.Tensor(pictures))

    def result() -> np.ndarray:
        values: np.ndarray = request.get_output_tensor(0).data
        return values.transpose(0, 3, 1, 2) if last and values.ndim == 4 else values

    # Without sharing, the result would be copied at every call.
    return Candidate(lambda: request.infer(share_outputs=True), result)


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
            values = opset13.add(_conv(values, layer), _of_channels(layer.bias))
            return _activate(values, layer.function)
        case MaxPool() | AveragePool():
            begin, end, window, stride = layer.pads[:2], layer.pads[2:], [layer.window] * 2, [layer.stride] * 2
            if isinstance(layer, AveragePool):
                return opset13.avg_pool(values, stride, begin, end, window, True, "floor", "explicit")
            return opset13.max_pool(values, stride, [1, 1], begin, end, window, "floor", "explicit").output(0)
        case GlobalAverage():
            return opset13.reduce_mean(values, opset13.constant([2, 3]), False)
        case Activation():
            return _activate(values, layer.function)
        case Scale():
            values = opset13.multiply(values, _of_channels(layer.scale))
            return _activate(opset13.add(values, _of_channels(layer.shift)), layer.function)
        case Add():
            return _activate(opset13.add(values, others[0]), layer.function)
        case Concat():
            return opset13.concat([values, *others], 1)
        case Pad():
            begin, end = ([0, 0, *layer.pads[at : at + 2]] for at in (0, 2))
            # This version of the operator takes negative numbers, too.
            return opset13.pad(values, opset13.constant(begin), opset13.constant(end), "constant")
        case Flatten():
            return opset13.reshape(values, opset13.constant([0, -1]), True)
        case Dense():
            values = opset13.matmul(values, opset13.constant(layer.weights), False, True)
            return _activate(opset13.add(values, opset13.constant(layer.bias.reshape(1, -1))), layer.function)


def _activate(values: openvino.Node, function: Function) -> openvino.Node:
    match function:
        case "none":
            return values
        case "relu":
            return opset13.relu(values)
        case "relu6":
            return opset13.clamp(values, 0.0, 6.0)


def _of_channels(numbers: np.ndarray) -> openvino.Node:
    return opset13.constant(numbers.reshape(1, -1, 1, 1))


def _conv(values: openvino.Node, conv: Conv) -> openvino.Node:
    begin, end, stride = conv.pads[:2], conv.pads[2:], [conv.stride] * 2
    if conv.groups == 1:
        return opset13.convolution(values, opset13.constant(conv.weights), stride, begin, end, [1, 1])
    weights = conv.weights.reshape(conv.groups, -1, *conv.weights.shape[1:])
    return opset13.group_convolution(values, opset13.constant(weights), stride, begin, end, [1, 1])
