"""Nets as plain numbers: what every engine builds, and what it must compute."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Conv:
    """A convolution with a bias and ReLU; `weights` are [cout, cin / groups, kh, kw]."""

    weights: np.ndarray
    bias: np.ndarray
    stride: int = 1
    pad: int = 0
    groups: int = 1


@dataclass(frozen=True)
class MaxPool:
    """The maximum of square windows."""

    window: int
    stride: int
    pad: int = 0


@dataclass(frozen=True)
class Flatten:
    """A picture in one row, channel by channel."""


@dataclass(frozen=True)
class Dense:
    """A matrix product with a bias; `weights` are [units, inputs]."""

    weights: np.ndarray
    bias: np.ndarray
    relu: bool


Step = Conv | MaxPool | Flatten | Dense


@dataclass(frozen=True)
class Net:
    """Steps and the pictures that go in, [n, c, h, w]."""

    pictures: np.ndarray
    steps: list[Step]


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
) -> Conv:
    """A convolution whose output is about as large as its input, so that nets neither grow nor fade."""
    kh, kw = kernel
    reach = (3.0 / (cin // groups * kh * kw)) ** 0.5
    weights = numbers(random, cout, cin // groups, kh, kw, reach=reach)
    return Conv(weights, numbers(random, cout, reach=0.1), stride, pad, groups)


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
    values = net.pictures.astype(np.float64)
    length = 0
    for step in net.steps:
        match step:
            case Conv():
                values = _convolve(values, step)
                length += step.weights[0].size
            case MaxPool():
                values = _pool(values, step)
            case Flatten():
                values = values.reshape(len(values), -1)
            case Dense():
                values = values @ step.weights.T.astype(np.float64) + step.bias
                values = np.maximum(values, 0.0) if step.relu else values
                length += step.weights[0].size
    if length == 0:
        return values, 0.0
    epsilon = float(np.finfo(np.float32).eps)
    return values, (128.0 + 2.0 * length**0.5) * epsilon * float(np.abs(values).max())


def output_size(size: int, window: int, stride: int, pad: int) -> int:
    """How many windows fit."""
    return (size + 2 * pad - window) // stride + 1


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
    output = output.reshape(cout, n, ho, wo).transpose(1, 0, 2, 3)
    return np.asarray(np.maximum(output + conv.bias.reshape(-1, 1, 1), 0.0))


def _pool(values: np.ndarray, pool: MaxPool) -> np.ndarray:
    windows = _windows(values, (pool.window, pool.window), pool.stride, pool.pad, -np.inf)
    return np.asarray(windows.max((4, 5)))
