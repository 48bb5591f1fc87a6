"""LiteRT, which runs its models by XNNPACK. TensorFlow makes the model and takes no part after that."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import NamedTemporaryFile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from engines import Candidate, Ways
from nets import (
    Activation, Add, AveragePool, Concat, Conv, Dense, Flatten, Function, GlobalAverage, Layer, MaxPool,
    Net, Pad, Pads, Scale, Window, kernel, output_sides,
)  # fmt: skip


class Unpadded(Exception):
    """Pads that no layer of LiteRT has."""


def ways(net: Net, threads: int) -> Ways:
    """Channels last; where padding takes passes, also mirrored, if that takes fewer.

    A layer with a stride may pad more in front than behind, and "SAME" the other way round. The
    mirrored net on mirrored pictures is the same work with the paddings changed over.
    """
    file, passes = _model(net, mirrored=False)
    found: Ways = {"channels_last": partial(_candidate, net, file, threads, mirrored=False)}
    if passes:
        with suppress(Unpadded):
            file, passes_mirrored = _model(net, mirrored=True)
            if passes_mirrored < passes:
                found["mirrored"] = partial(_candidate, net, file, threads, mirrored=True)
    return found


def _candidate(net: Net, file: Path, threads: int, mirrored: bool) -> Candidate:
    pictures = net.pictures[:, :, ::-1, ::-1] if mirrored else net.pictures
    interpreter = Interpreter(str(file), num_threads=threads)
    # It is mapped by now.
    file.unlink()
    interpreter.allocate_tensors()
    place = interpreter.get_input_details()[0]["index"]
    interpreter.set_tensor(place, np.ascontiguousarray(pictures.transpose(0, 2, 3, 1)))
    output = interpreter.get_output_details()[0]["index"]

    def result() -> np.ndarray:
        values: np.ndarray = interpreter.get_tensor(output)
        if values.ndim != 4:
            return values
        values = values.transpose(0, 3, 1, 2)
        return values[:, :, ::-1, ::-1] if mirrored else values

    return Candidate(interpreter.invoke, result)


def _model(net: Net, mirrored: bool) -> tuple[Path, int]:
    """The net as a file of LiteRT, in this process's folder, and in how many places padding takes a pass."""
    n, c, h, w = net.pictures.shape
    builder = _Builder(mirrored)
    function = tf.function(lambda values: net.run(values, builder.apply)[net.output], autograph=False)
    concrete = function.get_concrete_function(tf.TensorSpec((n, h, w, c), tf.float32))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], tf.Module())
    with NamedTemporaryFile(suffix=".tflite", delete=False) as file:
        file.write(converter.convert())
    return Path(file.name), builder.passes


class _Builder:
    """Makes TensorFlow's layers of ours."""

    def __init__(self, mirrored: bool) -> None:
        self.mirrored = mirrored
        self.passes = 0
        self.flattened: tf.TensorShape | None = None

    def apply(self, layer: Layer, values: tf.Tensor, *others: tf.Tensor) -> tf.Tensor:
        match layer:
            case Conv():
                weights = layer.weights[:, :, ::-1, ::-1] if self.mirrored else layer.weights
                values, padding = self.pad(layer, values, 0.0)
                values = tf.nn.bias_add(_conv(values, layer, weights, padding), layer.bias)
                return _activate(values, layer.function)
            case MaxPool():
                values, padding = self.pad(layer, values, -np.inf)
                return tf.nn.max_pool2d(values, layer.window, layer.stride, padding)
            case AveragePool():
                values, padding = self.pad(layer, values, None)
                return tf.nn.avg_pool2d(values, layer.window, layer.stride, padding)
            case GlobalAverage():
                return tf.reduce_mean(values, [1, 2])
            case Activation():
                return _activate(values, layer.function)
            case Scale():
                return _activate(values * layer.scale + layer.shift, layer.function)
            case Add():
                return _activate(values + others[0], layer.function)
            case Concat():
                return tf.concat([values, *others], -1)
            case Pad():
                top, left, bottom, right = layer.pads
                return _padded(values, (bottom, right, top, left) if self.mirrored else layer.pads, 0.0)
            case Flatten():
                self.flattened = values.shape[1:]
                return tf.reshape(values, [values.shape[0], -1])
            case Dense():
                values = tf.matmul(values, self.dense_weights(layer)) + layer.bias
                return _activate(values, layer.function)

    def pad(self, layer: Window, values: tf.Tensor, fill: float | None) -> tuple[tf.Tensor, str]:
        """The kind of padding, after a pass that pads or crops if there is no other way."""
        sides = _paddings(layer, values.shape[1:3], self.mirrored)
        if all(before == 0 and behind <= 0 for (before, behind), _ in sides):
            return values, "VALID"
        if all(asked == same for asked, same in sides):
            return values, "SAME"
        if fill is None:
            raise Unpadded(f"LiteRT has no such layer: {layer}")
        self.passes += 1
        (top, bottom), (left, right) = [asked for asked, _ in sides]
        # What lies behind the last window does no harm.
        return _padded(values, (top, left, max(bottom, 0), max(right, 0)), fill), "VALID"

    def dense_weights(self, dense: Dense) -> np.ndarray:
        """Their rows in the order in which a picture was flattened here: channels last."""
        if self.flattened is None:
            return dense.weights.T
        height, width, channels = self.flattened
        self.flattened = None
        by_channel = dense.weights.reshape(-1, channels, height, width)
        if self.mirrored:
            by_channel = by_channel[:, :, ::-1, ::-1]
        return by_channel.transpose(2, 3, 1, 0).reshape(-1, len(dense.weights))


def _activate(values: tf.Tensor, function: Function) -> tf.Tensor:
    match function:
        case "none":
            return values
        case "relu":
            return tf.nn.relu(values)
        case "relu6":
            return tf.nn.relu6(values)


def _padded(values: tf.Tensor, pads: Pads, fill: float) -> tf.Tensor:
    """With so much more around, or less."""
    top, left, bottom, right = pads
    if min(pads) < 0:
        _, h, w, _ = values.shape
        values = values[:, max(-top, 0) : h - max(-bottom, 0), max(-left, 0) : w - max(-right, 0)]
    sides = [[0, 0], [max(top, 0), max(bottom, 0)], [max(left, 0), max(right, 0)], [0, 0]]
    return tf.pad(values, sides, constant_values=fill) if np.any(sides) else values


def _paddings(layer: Window, sizes: Sequence[int], mirrored: bool) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Of rows and columns: before and behind, what is asked for, below zero to leave numbers out; what "SAME" gives."""
    found = []
    for size, window, before, windows in zip(
        sizes, kernel(layer), layer.pads[:2], output_sides(layer, sizes)
    ):
        behind = (windows - 1) * layer.stride + window - size - before
        total = max((-(-size // layer.stride) - 1) * layer.stride + window - size, 0)
        found.append(((behind, before) if mirrored else (before, behind), (total // 2, total - total // 2)))
    return found


def _conv(values: tf.Tensor, conv: Conv, weights: np.ndarray, padding: str) -> tf.Tensor:
    cout, cin_of_group, kh, kw = weights.shape
    if conv.groups > 1 and cin_of_group == 1:
        filters = weights.transpose(2, 3, 0, 1).reshape(kh, kw, conv.groups, cout // conv.groups)
        return tf.nn.depthwise_conv2d(values, filters, [1, conv.stride, conv.stride, 1], padding)
    return tf.nn.conv2d(values, weights.transpose(2, 3, 1, 0), conv.stride, padding)
