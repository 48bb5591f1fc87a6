"""Nets as plain numbers: what every engine builds, and what it must compute."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

import numpy as np

INPUT = "input"
Value = TypeVar("Value")
Function = Literal["none", "relu", "relu6"]
# Rows above, columns to the left, rows below, columns to the right.
Pads = tuple[int, int, int, int]
NO_PADS: Pads = (0, 0, 0, 0)


@dataclass(frozen=True)
class Conv:
    """A convolution with a bias; `weights` are [cout, cin / groups, kh, kw]."""

    weights: np.ndarray
    bias: np.ndarray
    stride: int = 1
    pads: Pads = NO_PADS
    groups: int = 1
    function: Function = "relu"


@dataclass(frozen=True)
class MaxPool:
    """The maximum of square windows."""

    window: int
    stride: int
    pads: Pads = NO_PADS


@dataclass(frozen=True)
class AveragePool:
    """The mean of square windows, without what lies outside of the picture."""

    window: int
    stride: int
    pads: Pads = NO_PADS


@dataclass(frozen=True)
class GlobalAverage:
    """The mean of each channel, and these in one row."""


@dataclass(frozen=True)
class Activation:
    """A function alone."""

    function: Function


@dataclass(frozen=True)
class Scale:
    """Each channel times a number of its own, and another added: a batch norm that no convolution takes in."""

    scale: np.ndarray
    shift: np.ndarray
    function: Function = "none"


@dataclass(frozen=True)
class Add:
    """The sum of two pictures."""

    function: Function = "relu"


@dataclass(frozen=True)
class Concat:
    """The channels of several pictures, one after the other."""


@dataclass(frozen=True)
class Pad:
    """A picture with zeros around it, or without some of its outer rows and columns where `pads` are negative."""

    pads: Pads


@dataclass(frozen=True)
class Flatten:
    """A picture in one row, channel by channel."""


@dataclass(frozen=True)
class Dense:
    """A matrix product with a bias; `weights` are [units, inputs]."""

    weights: np.ndarray
    bias: np.ndarray
    function: Function = "relu"


Window = Conv | MaxPool | AveragePool
Layer = Window | GlobalAverage | Activation | Scale | Add | Concat | Pad | Flatten | Dense


@dataclass(frozen=True)
class Step:
    """A layer in its place: the name of its result, and the names of what it takes."""

    name: str
    layer: Layer
    inputs: tuple[str, ...]


@dataclass
class Net:
    """Pictures, [n, c, h, w], by the name of `INPUT`, and the steps that they go through.

    A step takes the pictures or results of earlier steps. What the last one gives is the net's result.
    """

    pictures: np.ndarray
    steps: list[Step] = field(default_factory=list)

    @property
    def output(self) -> str:
        """The name of the net's result."""
        return self.steps[-1].name if self.steps else INPUT

    def add(self, layer: Layer, *inputs: str) -> str:
        """A step more, by itself one that takes what the last one gave; the name of its result."""
        name = f"value{len(self.steps) + 1}"
        self.steps.append(Step(name, layer, inputs or (self.output,)))
        return name

    def run(self, start: Value, apply: Callable[..., Value]) -> dict[str, Value]:
        """All results by name, from `start` on: `apply` makes one of a layer and what it takes."""
        values = {INPUT: start}
        for step in self.steps:
            values[step.name] = apply(step.layer, *(values[name] for name in step.inputs))
        return values


def chain(pictures: np.ndarray, *layers: Layer) -> Net:
    """A net of layers that follow one another."""
    net = Net(pictures)
    for layer in layers:
        net.add(layer)
    return net


def numbers(random: np.random.Generator, *shape: int, reach: float = 1.0) -> np.ndarray:
    """Numbers of both signs, none of them denormal, which some engines would be slow on."""
    return random.uniform(-reach, reach, shape).astype(np.float32)


def random_conv(
    random: np.random.Generator,
    cin: int,
    cout: int,
    kernel: tuple[int, int],
    stride: int = 1,
    pad: int = 0,
    groups: int = 1,
    function: Function = "relu",
) -> Conv:
    """A convolution whose output is about as large as its input, so that nets neither grow nor fade."""
    kh, kw = kernel
    reach = (3.0 / (cin // groups * kh * kw)) ** 0.5
    weights = numbers(random, cout, cin // groups, kh, kw, reach=reach)
    return Conv(weights, numbers(random, cout, reach=0.1), stride, (pad,) * 4, groups, function)


def random_dense(
    random: np.random.Generator, inputs: int, units: int, function: Function = "relu"
) -> Dense:
    """A dense layer, by the same rule."""
    weights = numbers(random, units, inputs, reach=(3.0 / inputs) ** 0.5)
    return Dense(weights, numbers(random, units, reach=0.1), function)


def expected(net: Net) -> tuple[np.ndarray, float]:
    """What the net gives, in double precision, and how far f32 may be from it.

    Rounding errors of a sum add up like a random walk, so the distance grows with the root of its
    length, from one that Winograd's algorithm needs for its transforms. fp16 and bf16 are farther
    off. Maxima are exact.
    """
    values = net.run(net.pictures.astype(np.float64), _apply)[net.output]
    layers = [step.layer for step in net.steps]
    if all(isinstance(layer, MaxPool | Flatten | Concat | Pad | Activation) for layer in layers):
        return values, 0.0
    length = sum(layer.weights[0].size for layer in layers if isinstance(layer, Conv | Dense))
    epsilon = float(np.finfo(np.float32).eps)
    return values, (128.0 + 2.0 * length**0.5) * epsilon * float(np.abs(values).max())


def shapes(net: Net) -> dict[str, tuple[int, ...]]:
    """The shapes of the pictures and of all results, by name."""
    return net.run(net.pictures.shape, output_shape)


def output_shape(layer: Layer, shape: tuple[int, ...], *others: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of what the layer makes of pictures or rows with those shapes."""
    n, c, *sides = shape
    match layer:
        case Conv() | MaxPool() | AveragePool():
            channels = len(layer.weights) if isinstance(layer, Conv) else c
            return (n, channels, *output_sides(layer, sides))
        case GlobalAverage():
            return (n, c)
        case Activation() | Scale() | Add():
            return shape
        case Concat():
            return (n, c + sum(other[1] for other in others), *sides)
        case Pad():
            top, left, bottom, right = layer.pads
            return (n, c, sides[0] + top + bottom, sides[1] + left + right)
        case Flatten():
            return (n, math.prod(shape[1:]))
        case Dense():
            return (n, len(layer.weights))


def kernel(layer: Window) -> tuple[int, int]:
    """Rows and columns of the layer's window."""
    return layer.weights.shape[2:] if isinstance(layer, Conv) else (layer.window, layer.window)


def output_sides(layer: Window, sides: Sequence[int]) -> tuple[int, int]:
    """Rows and columns of what the layer makes of a picture with those."""
    (h, w), (kh, kw), (top, left, bottom, right) = sides, kernel(layer), layer.pads
    return (
        output_size(h, kh, layer.stride, top + bottom),
        output_size(w, kw, layer.stride, left + right),
    )


def output_size(size: int, window: int, stride: int, padding: int) -> int:
    """How many windows fit, with so much padding in all."""
    return (size + padding - window) // stride + 1


def _apply(layer: Layer, values: np.ndarray, *others: np.ndarray) -> np.ndarray:
    match layer:
        case Conv():
            return _activate(_convolve(values, layer), layer.function)
        case MaxPool():
            return np.asarray(_windows(values, layer, -np.inf).max((4, 5)))
        case AveragePool():
            inside = np.ones((1, 1, *values.shape[2:]))
            counts = _windows(inside, layer, 0.0).sum((4, 5))
            return np.asarray(_windows(values, layer, 0.0).sum((4, 5)) / counts)
        case GlobalAverage():
            return np.asarray(values.mean((2, 3)))
        case Activation():
            return _activate(values, layer.function)
        case Scale():
            scale, shift = (part.astype(np.float64).reshape(-1, 1, 1) for part in (layer.scale, layer.shift))
            return _activate(values * scale + shift, layer.function)
        case Add():
            return _activate(values + others[0], layer.function)
        case Concat():
            return np.concatenate([values, *others], 1)
        case Pad():
            return _padded(values, layer.pads, 0.0)
        case Flatten():
            return values.reshape(len(values), -1)
        case Dense():
            return _activate(values @ layer.weights.T.astype(np.float64) + layer.bias, layer.function)


def _activate(values: np.ndarray, function: Function) -> np.ndarray:
    match function:
        case "none":
            return values
        case "relu":
            return np.asarray(np.maximum(values, 0.0))
        case "relu6":
            return np.asarray(np.clip(values, 0.0, 6.0))


def _padded(values: np.ndarray, pads: Pads, fill: float) -> np.ndarray:
    top, left, bottom, right = pads
    sides = [(0, 0), (0, 0)] + [(max(before, 0), max(behind, 0)) for before, behind in ((top, bottom), (left, right))]
    padded = np.pad(values, sides, constant_values=fill)
    rows = slice(max(-top, 0), padded.shape[2] - max(-bottom, 0))
    columns = slice(max(-left, 0), padded.shape[3] - max(-right, 0))
    return padded[:, :, rows, columns]


def _windows(values: np.ndarray, layer: Window, fill: float) -> np.ndarray:
    """A view [n, c, ho, wo, kh, kw] of every window."""
    padded = _padded(values, layer.pads, fill)
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel(layer), (2, 3))
    return windows[:, :, :: layer.stride, :: layer.stride]


def _convolve(values: np.ndarray, conv: Conv) -> np.ndarray:
    cout, cin_of_group, kh, kw = conv.weights.shape
    windows = _windows(values, conv, 0.0)
    n, _, ho, wo, _, _ = windows.shape
    output = np.zeros((conv.groups, cout // conv.groups, n * ho * wo))
    weights = conv.weights.astype(np.float64).reshape(conv.groups, -1, cin_of_group, kh, kw)
    # One place of the window at a time: all at once would copy the input kh * kw times.
    for i in range(kh):
        for j in range(kw):
            place = windows[..., i, j].transpose(1, 0, 2, 3)
            output += weights[..., i, j] @ place.reshape(conv.groups, cin_of_group, -1)
    return np.asarray(output.reshape(cout, n, ho, wo).transpose(1, 0, 2, 3) + conv.bias.reshape(-1, 1, 1))
