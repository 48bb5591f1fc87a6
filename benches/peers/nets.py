"""Nets as plain numbers: what every engine builds, and what it must compute."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

INPUT = "input"
Value = TypeVar("Value")


@dataclass(frozen=True)
class Conv:
    """A convolution with a bias; `weights` are [cout, cin / groups, kh, kw]."""

    weights: np.ndarray
    bias: np.ndarray
    stride: int = 1
    pad: int = 0
    groups: int = 1
    relu: bool = True


@dataclass(frozen=True)
class MaxPool:
    """The maximum of square windows."""

    window: int
    stride: int
    pad: int = 0


@dataclass(frozen=True)
class GlobalAverage:
    """The mean of each channel, and these in one row."""


@dataclass(frozen=True)
class Add:
    """The sum of two pictures and ReLU."""


@dataclass(frozen=True)
class Flatten:
    """A picture in one row, channel by channel."""


@dataclass(frozen=True)
class Dense:
    """A matrix product with a bias; `weights` are [units, inputs]."""

    weights: np.ndarray
    bias: np.ndarray
    relu: bool


Layer = Conv | MaxPool | GlobalAverage | Add | Flatten | Dense


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
    *,
    relu: bool = True,
) -> Conv:
    """A convolution whose output is about as large as its input, so that nets neither grow nor fade."""
    kh, kw = kernel
    reach = (3.0 / (cin // groups * kh * kw)) ** 0.5
    weights = numbers(random, cout, cin // groups, kh, kw, reach=reach)
    return Conv(weights, numbers(random, cout, reach=0.1), stride, pad, groups, relu)


def random_dense(random: np.random.Generator, inputs: int, units: int, relu: bool) -> Dense:
    """A dense layer, by the same rule."""
    weights = numbers(random, units, inputs, reach=(3.0 / inputs) ** 0.5)
    return Dense(weights, numbers(random, units, reach=0.1), relu)


def expected(net: Net) -> tuple[np.ndarray, float]:
    """What the net gives, in double precision, and how far f32 may be from it.

    Rounding errors of a sum add up like a random walk, so the distance grows with the root of its
    length, from one that Winograd's algorithm needs for its transforms. fp16 and bf16 are farther
    off. Maxima are exact.
    """
    values = net.run(net.pictures.astype(np.float64), _apply)[net.output]
    layers = [step.layer for step in net.steps]
    if all(isinstance(layer, MaxPool | Flatten) for layer in layers):
        return values, 0.0
    length = sum(layer.weights[0].size for layer in layers if isinstance(layer, Conv | Dense))
    epsilon = float(np.finfo(np.float32).eps)
    return values, (128.0 + 2.0 * length**0.5) * epsilon * float(np.abs(values).max())


def shapes(net: Net) -> dict[str, tuple[int, ...]]:
    """The shapes of the pictures and of all results, by name."""
    return net.run(net.pictures.shape, _shape)


def _shape(layer: Layer, shape: tuple[int, ...], *_: tuple[int, ...]) -> tuple[int, ...]:
    n, c, *sides = shape
    match layer:
        case Conv():
            window = layer.weights.shape[2:]
            sides = [output_size(*pair, layer.stride, layer.pad) for pair in zip(sides, window)]
            return (n, len(layer.weights), *sides)
        case MaxPool():
            return (n, c, *(output_size(side, layer.window, layer.stride, layer.pad) for side in sides))
        case GlobalAverage():
            return (n, c)
        case Add():
            return shape
        case Flatten():
            return (n, math.prod(shape[1:]))
        case Dense():
            return (n, len(layer.weights))


def output_size(size: int, window: int, stride: int, pad: int) -> int:
    """How many windows fit."""
    return (size + 2 * pad - window) // stride + 1


def _apply(layer: Layer, values: np.ndarray, *others: np.ndarray) -> np.ndarray:
    match layer:
        case Conv():
            return _convolve(values, layer)
        case MaxPool():
            return _pool(values, layer)
        case GlobalAverage():
            return np.asarray(values.mean((2, 3)))
        case Add():
            return np.asarray(np.maximum(values + others[0], 0.0))
        case Flatten():
            return values.reshape(len(values), -1)
        case Dense():
            values = values @ layer.weights.T.astype(np.float64) + layer.bias
            return np.asarray(np.maximum(values, 0.0) if layer.relu else values)


def _windows(values: np.ndarray, kernel: tuple[int, int], stride: int, pad: int, fill: float) -> np.ndarray:
    """A view [n, c, ho, wo, kh, kw] of every window."""
    sides = (pad, pad)
    padded = np.pad(values, ((0, 0), (0, 0), sides, sides), constant_values=fill)
    return np.lib.stride_tricks.sliding_window_view(padded, kernel, (2, 3))[:, :, ::stride, ::stride]


def _convolve(values: np.ndarray, conv: Conv) -> np.ndarray:
    cout, cin_of_group, kh, kw = conv.weights.shape
    windows = _windows(values, (kh, kw), conv.stride, conv.pad, 0.0)
    n, _, ho, wo, _, _ = windows.shape
    output = np.zeros((conv.groups, cout // conv.groups, n * ho * wo))
    kernel = conv.weights.astype(np.float64).reshape(conv.groups, -1, cin_of_group, kh, kw)
    # One place of the window at a time: all at once would copy the input kh * kw times.
    for i in range(kh):
        for j in range(kw):
            place = windows[..., i, j].transpose(1, 0, 2, 3)
            output += kernel[..., i, j] @ place.reshape(conv.groups, cin_of_group, -1)
    output = output.reshape(cout, n, ho, wo).transpose(1, 0, 2, 3) + conv.bias.reshape(-1, 1, 1)
    return np.asarray(np.maximum(output, 0.0) if conv.relu else output)


def _pool(values: np.ndarray, pool: MaxPool) -> np.ndarray:
    windows = _windows(values, (pool.window, pool.window), pool.stride, pool.pad, -np.inf)
    return np.asarray(windows.max((4, 5)))
