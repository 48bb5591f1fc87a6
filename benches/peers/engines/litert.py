"""LiteRT, which runs its models by XNNPACK. TensorFlow makes the model and takes no part after that."""

from __future__ import annotations

import os
from dataclasses import replace

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from engines import Candidate
from nets import Conv, Dense, Flatten, MaxPool, Net, output_size


def candidates(net: Net, threads: int) -> list[Candidate]:
    """The one way there is: channels last."""
    mirrored = _mirrored(net)
    mirror = mirrored is not None
    net = mirrored or net
    pictures = np.ascontiguousarray(net.pictures.transpose(0, 2, 3, 1))
    model = _model(net, pictures.shape, mirror)
    interpreter = Interpreter(model_content=model, num_threads=threads)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pictures)
    output = interpreter.get_output_details()[0]["index"]

    def result() -> np.ndarray:
        values: np.ndarray = interpreter.get_tensor(output)
        if values.ndim == 4:
            values = values.transpose(0, 3, 1, 2)
        return values[:, :, ::-1, ::-1] if mirror else values

    return [Candidate("channels_last", interpreter.invoke, result)]


def _same_padding(size: int, window: int, stride: int, pad: int) -> tuple[int, int, int, int]:
    """Before and after: what a layer asks for, then what "SAME" makes of it."""
    behind = (output_size(size, window, stride, pad) - 1) * stride + window - size - pad
    total = max((-(-size // stride) - 1) * stride + window - size, 0)
    return pad, behind, total // 2, total - total // 2


def _paddings(step: Conv | MaxPool, height: int, width: int) -> list[tuple[int, int, int, int]]:
    kh, kw = step.weights.shape[2:] if isinstance(step, Conv) else (step.window, step.window)
    return [_same_padding(height, kh, step.stride, step.pad), _same_padding(width, kw, step.stride, step.pad)]


def _mirrored(net: Net) -> Net | None:
    """The layer mirrored, if "SAME" pads in front what it pads behind and the other way round.

    That is so where a stride leaves a padding odd. The mirrored layer on mirrored pictures is the
    same work, and needs no pass of its own for the padding.
    """
    step, *more = net.steps
    if more or not isinstance(step, Conv | MaxPool):
        return None
    sides = _paddings(step, *net.pictures.shape[2:])
    if all(a == c for a, _, c, _ in sides) or any((a, b) != (d, c) for a, b, c, d in sides):
        return None
    if isinstance(step, Conv):
        # Mirrored, the padding in front is what was behind: "SAME" again.
        step = replace(step, weights=step.weights[:, :, ::-1, ::-1])
    return Net(net.pictures[:, :, ::-1, ::-1], [step])


def _pad(values: tf.Tensor, step: Conv | MaxPool, mirrored: bool, fill: float) -> tuple[tf.Tensor, str]:
    """The kind of padding, after a pass that pads if there is no other way."""
    sides = _paddings(step, values.shape[1], values.shape[2])
    if all(a <= 0 and b <= 0 for a, b, _, _ in sides):
        return values, "VALID"
    if mirrored or all((a, b) == (c, d) for a, b, c, d in sides):
        return values, "SAME"
    pads = [[0, 0], *([a, max(b, 0)] for a, b, _, _ in sides), [0, 0]]
    return tf.pad(values, pads, constant_values=fill), "VALID"


def _model(net: Net, shape: tuple[int, ...], mirrored: bool) -> bytes:
    def forward(values: tf.Tensor) -> tf.Tensor:
        picture = None
        for step in net.steps:
            match step:
                case Conv():
                    values, padding = _pad(values, step, mirrored, 0.0)
                    values = tf.nn.relu(tf.nn.bias_add(_conv(values, step, padding), step.bias))
                case MaxPool():
                    values, padding = _pad(values, step, mirrored, -np.inf)
                    values = tf.nn.max_pool2d(values, step.window, step.stride, padding)
                case Flatten():
                    picture = values.shape[1:]
                    values = tf.reshape(values, [shape[0], -1])
                case Dense():
                    values = tf.matmul(values, _dense_weights(step, picture)) + step.bias
                    values = tf.nn.relu(values) if step.relu else values
                    picture = None
        return values

    function = tf.function(forward, autograph=False)
    concrete = function.get_concrete_function(tf.TensorSpec(shape, tf.float32))
    return bytes(tf.lite.TFLiteConverter.from_concrete_functions([concrete], tf.Module()).convert())


def _conv(values: tf.Tensor, conv: Conv, padding: str) -> tf.Tensor:
    cout, cin_of_group, kh, kw = conv.weights.shape
    if conv.groups > 1 and cin_of_group == 1:
        filters = conv.weights.transpose(2, 3, 0, 1).reshape(kh, kw, conv.groups, cout // conv.groups)
        return tf.nn.depthwise_conv2d(values, filters, [1, conv.stride, conv.stride, 1], padding)
    return tf.nn.conv2d(values, conv.weights.transpose(2, 3, 1, 0), conv.stride, padding)


def _dense_weights(dense: Dense, picture: tf.TensorShape | None) -> np.ndarray:
    """Their rows in the order in which a picture was flattened here: channels last."""
    if picture is None:
        return dense.weights.T
    height, width, channels = picture
    by_channel = dense.weights.reshape(-1, channels, height, width)
    return by_channel.transpose(2, 3, 1, 0).reshape(-1, len(dense.weights))
