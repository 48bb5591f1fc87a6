"""LiteRT, which runs its models by XNNPACK. TensorFlow makes the model and takes no part after that."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from engines import Candidate
from nets import Add, Conv, Dense, Flatten, GlobalAverage, Layer, MaxPool, Net, output_size


def candidates(net: Net, threads: int) -> list[Candidate]:
    """Channels last; where padding takes passes, also mirrored, if that takes fewer.

    A layer with a stride may pad more in front than behind, and "SAME" the other way round. The
    mirrored net on mirrored pictures is the same work with the paddings changed over.
    """
    model, passes = _model(net, mirrored=False)
    found = [_candidate("channels_last", net, model, threads, mirrored=False)]
    if passes:
        model, passes_mirrored = _model(net, mirrored=True)
        if passes_mirrored < passes:
            found.append(_candidate("mirrored", net, model, threads, mirrored=True))
    return found


def _candidate(label: str, net: Net, model: bytes, threads: int, mirrored: bool) -> Candidate:
    pictures = net.pictures[:, :, ::-1, ::-1] if mirrored else net.pictures
    interpreter = Interpreter(model_content=model, num_threads=threads)
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

    return Candidate(label, interpreter.invoke, result)


def _model(net: Net, mirrored: bool) -> tuple[bytes, int]:
    """The net for LiteRT, and in how many places padding takes a pass."""
    n, c, h, w = net.pictures.shape
    builder = _Builder(mirrored)
    function = tf.function(lambda values: net.run(values, builder.apply)[net.output], autograph=False)
    concrete = function.get_concrete_function(tf.TensorSpec((n, h, w, c), tf.float32))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete], tf.Module())
    return bytes(converter.convert()), builder.passes


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
                values, padding = self.pad(layer, values, weights.shape[2:], 0.0)
                values = tf.nn.bias_add(_conv(values, layer, weights, padding), layer.bias)
                return tf.nn.relu(values) if layer.relu else values
            case MaxPool():
                values, padding = self.pad(layer, values, (layer.window, layer.window), -np.inf)
                return tf.nn.max_pool2d(values, layer.window, layer.stride, padding)
            case GlobalAverage():
                return tf.reduce_mean(values, [1, 2])
            case Add():
                return tf.nn.relu(values + others[0])
            case Flatten():
                self.flattened = values.shape[1:]
                return tf.reshape(values, [values.shape[0], -1])
            case Dense():
                values = tf.matmul(values, self.dense_weights(layer)) + layer.bias
                return tf.nn.relu(values) if layer.relu else values

    def pad(
        self, layer: Conv | MaxPool, values: tf.Tensor, window: tuple[int, int], fill: float
    ) -> tuple[tf.Tensor, str]:
        """The kind of padding, after a pass that pads or crops if there is no other way."""
        sides = [
            _paddings(size, extent, layer.stride, layer.pad, self.mirrored)
            for size, extent in zip(values.shape[1:3], window)
        ]
        if all(before == 0 and behind <= 0 for (before, behind), _ in sides):
            return values, "VALID"
        if all(asked == same for asked, same in sides):
            return values, "SAME"
        self.passes += 1
        (top, bottom), (left, right) = [asked for asked, _ in sides]
        if min(top, left) < 0:
            values = values[:, max(-top, 0) :, max(-left, 0) :]
        pads = [[0, 0], [max(top, 0), max(bottom, 0)], [max(left, 0), max(right, 0)], [0, 0]]
        return tf.pad(values, pads, constant_values=fill) if np.any(pads) else values, "VALID"

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


def _paddings(
    size: int, window: int, stride: int, pad: int, mirrored: bool
) -> tuple[tuple[int, int], tuple[int, int]]:
    """Before and behind: what a layer asks for, below zero if it leaves numbers out; what "SAME" gives."""
    behind = (output_size(size, window, stride, pad) - 1) * stride + window - size - pad
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return (behind, pad) if mirrored else (pad, behind), (total // 2, total - total // 2)


def _conv(values: tf.Tensor, conv: Conv, weights: np.ndarray, padding: str) -> tf.Tensor:
    cout, cin_of_group, kh, kw = weights.shape
    if conv.groups > 1 and cin_of_group == 1:
        filters = weights.transpose(2, 3, 0, 1).reshape(kh, kw, conv.groups, cout // conv.groups)
        return tf.nn.depthwise_conv2d(values, filters, [1, conv.stride, conv.stride, 1], padding)
    return tf.nn.conv2d(values, weights.transpose(2, 3, 1, 0), conv.stride, padding)
