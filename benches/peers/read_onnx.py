"""Reads the nets that our program `nets` writes as ONNX files, into steps that every engine builds."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from nets import (
    INPUT, NO_PADS, Activation, Add, AveragePool, Concat, Conv, Dense, Flatten, GlobalAverage, Layer, MaxPool,
    Net, Pad, Pads, Scale, Step, numbers, output_shape,
)  # fmt: skip
from rounds import Unavailable


def read(path: Path, batch: int) -> Net:
    """The net of the file, with random pictures. An activation goes into the layer that it alone reads."""
    graph = onnx.load(path).graph
    [picture] = graph.input
    sides = [side.dim_value for side in picture.type.tensor_type.shape.dim][1:]
    reader = _Reader(graph, (batch, *sides))
    for node in graph.node:
        try:
            reader.take(node)
        except (KeyError, TypeError, ValueError) as error:
            raise Unavailable(f"{path}: {node.name}: no engine is told of such a {node.op_type}") from error
    return Net(numbers(np.random.default_rng(1), batch, *sides), _fused(reader.steps))


class _Reader:
    """Makes steps of nodes."""

    def __init__(self, graph: onnx.GraphProto, shape: tuple[int, ...]) -> None:
        self.constants = {values.name: numpy_helper.to_array(values) for values in graph.initializer}
        self.names = {graph.input[0].name: INPUT}
        self.shapes: dict[str, tuple[int, ...]] = {INPUT: shape}
        self.steps: list[Step] = []

    def take(self, node: onnx.NodeProto) -> None:
        """A step more; none for the flattening of what is a row already."""
        parameters = [self.constants[name] for name in node.input if name in self.constants]
        inputs = tuple(self.names[name] for name in node.input if name not in self.constants)
        shape = self.shapes[inputs[0]]
        [output] = node.output
        if node.op_type == "Flatten" and len(shape) == 2:
            self.names[output] = inputs[0]
            return
        attributes = {part.name: onnx.helper.get_attribute_value(part) for part in node.attribute}
        name = f"value{len(self.steps) + 1}"
        self.steps.append(Step(name, _layer(node.op_type, parameters, attributes, shape), inputs))
        self.names[output] = name
        self.shapes[name] = output_shape(self.steps[-1].layer, *(self.shapes[name] for name in inputs))


def _layer(
    operator: str, parameters: list[np.ndarray], attributes: dict[str, Any], shape: tuple[int, ...]
) -> Layer:
    """What the operator computes of a picture, or row, of that shape."""
    match operator:
        case "Conv":
            weights, bias = parameters if len(parameters) == 2 else (*parameters, _zeros(len(parameters[0])))
            if len(shape) == 2:
                # Behind an average of each channel.
                return Dense(weights.reshape(len(weights), -1), bias, "none")
            groups = attributes.pop("group", 1)
            stride, pads = _window(weights.shape[2:], attributes)
            return Conv(weights, bias, stride, pads, groups, "none")
        case "MaxPool" | "AveragePool":
            window = attributes["kernel_shape"]
            _equal(window)
            kind = MaxPool if operator == "MaxPool" else AveragePool
            return kind(window[0], *_window(window, attributes))
        case "GlobalAveragePool":
            return GlobalAverage()
        case "Relu":
            return Activation("relu")
        case "Clip":
            if [float(limit) for limit in parameters] != [0.0, 6.0]:
                raise ValueError(parameters)
            return Activation("relu6")
        case "BatchNormalization":
            gamma, beta, mean, variance = (values.astype(np.float64) for values in parameters)
            scale = gamma / np.sqrt(variance + attributes["epsilon"])
            return Scale(scale.astype(np.float32), (beta - mean * scale).astype(np.float32))
        case "Add":
            return Add("none")
        case "Concat":
            _equal([attributes["axis"], 1])
            return Concat()
        case "Pad":
            [sides] = parameters
            _equal([*sides[:2], *sides[4:6], 0])
            return Pad(_pads([*sides[2:4], *sides[6:]]))
        case "Slice":
            starts, ends, axes = parameters
            _equal([list(axes), [2, 3]])
            return Pad(_pads([*-starts, *(min(end - side, 0) for end, side in zip(ends, shape[2:]))]))
        case "Flatten":
            return Flatten()
        case "Gemm":
            weights, bias = parameters
            return Dense(weights if attributes.get("transB") else np.ascontiguousarray(weights.T), bias, "none")
    raise KeyError(operator)


def _window(kernel: Any, attributes: dict[str, Any]) -> tuple[int, Pads]:
    """Stride and pads, and nothing else that is not understood."""
    rest = dict(attributes)
    _equal([list(rest.pop("kernel_shape", kernel)), list(kernel)])
    strides, pads = rest.pop("strides", [1, 1]), rest.pop("pads", NO_PADS)
    _equal(strides)
    if rest:
        raise ValueError(rest)
    return strides[0], _pads(pads)


def _pads(sides: Any) -> Pads:
    top, left, bottom, right = (int(side) for side in sides)
    return top, left, bottom, right


def _equal(values: Any) -> None:
    if any(value != values[0] for value in values):
        raise ValueError(values)


def _zeros(channels: int) -> np.ndarray:
    return np.zeros(channels, np.float32)


def _fused(steps: list[Step]) -> list[Step]:
    """With activations in the layers that nothing else reads."""
    readers = Counter(name for step in steps for name in step.inputs)
    done: dict[str, Step] = {}
    # What is read under a name is what the step of this name gives.
    for step in steps:
        before = done.get(step.inputs[0])
        if (
            isinstance(step.layer, Activation)
            and before is not None
            and isinstance(before.layer, Conv | Dense | Scale | Add)
            and before.layer.function == "none"
            and readers[before.name] == 1
        ):
            del done[before.name]
            layer = replace(before.layer, function=step.layer.function)
            done[step.name] = Step(step.name, layer, before.inputs)
        else:
            done[step.name] = step
    return list(done.values())
