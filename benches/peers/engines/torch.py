"""PyTorch, in all its memory layouts, with the convolution that its compiler fuses, and compiled."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

# Compilers beside this process would go on while others are timed.
os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
# Asked for by an option of `torch.compile`, frozen weights come too late for oneDNN to pack them.
os.environ["TORCHINDUCTOR_FREEZING"] = "1"
# What it has compiled once takes minutes for deep nets; another run finds it again.
os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(Path(__file__).resolve().parents[3] / "target/torchinductor"))

import numpy as np
import torch
from torch.utils import mkldnn

from engines import Candidate, Ways
from nets import (
    INPUT, Activation, Add, AveragePool, Concat, Conv, Dense, Flatten, Function, GlobalAverage, Layer,
    MaxPool, Net, Pad, Pads, Scale, output_sides, shapes,
)  # fmt: skip

# For the life of this process: entering it at every call would be on the clock.
INFERENCE = torch.inference_mode()
INFERENCE.__enter__()

# What oneDNN's convolution does behind: the name of it, its numbers, and how.
FUSED: dict[Function, tuple[str, list[float], str]] = {
    "none": ("none", [], ""),
    "relu": ("relu", [], ""),
    "relu6": ("hardtanh", [0.0, 6.0], ""),
}

Model = Callable[..., torch.Tensor]


def ways(net: Net, threads: int) -> Ways:
    """Modules in every layout; channels last with packed weights and fused activations; compiled.

    The compiler leaves a convolution alone to the same call as "fused", and its own is dearer.
    """
    torch.set_num_threads(threads)
    found: Ways = {label: partial(way, net) for label, way in (("contiguous", _contiguous), ("channels_last", _last))}
    convs = [step for step in net.steps if isinstance(step.layer, Conv)]
    if torch.backends.mkldnn.is_available():
        found["mkldnn"] = partial(_mkldnn, net)
        if convs:
            found["fused"] = partial(_fused, net)
    if len(convs) < len(net.steps):
        found["compiled"] = partial(_compiled, net)
    return found


def _contiguous(net: Net) -> Candidate:
    return _candidate(_model(net), torch.from_numpy(net.pictures))


def _last(net: Net) -> Candidate:
    return _candidate(_model(net).to(memory_format=torch.channels_last), _pictures_last(net))


def _mkldnn(net: Net) -> Candidate:
    return _candidate(mkldnn.to_mkldnn(_model(net)), torch.from_numpy(net.pictures).to_mkldnn())


def _fused(net: Net) -> Candidate:
    return _candidate(_model(net, fused=True).forward, _pictures_last(net))


def _compiled(net: Net) -> Candidate:
    # It keeps what it compiled for earlier nets, and gives up when that is much.
    torch.compiler.reset()
    return _candidate(torch.compile(_model(net).to(memory_format=torch.channels_last)), _pictures_last(net))


def _pictures_last(net: Net) -> torch.Tensor:
    return torch.from_numpy(net.pictures).contiguous(memory_format=torch.channels_last)


def _candidate(model: Model, pictures: torch.Tensor) -> Candidate:
    def result() -> np.ndarray:
        values = model(pictures)
        return (values.to_dense() if values.is_mkldnn else values).numpy()

    return Candidate(lambda: model(pictures), result)


class _Net(torch.nn.Module):
    """Steps one after the other; a result is let go of when no later step takes it."""

    def __init__(self, net: Net, layers: list[torch.nn.Module]) -> None:
        super().__init__()
        self.layers = torch.nn.ModuleList(layers)
        self.steps = net.steps
        last_taken = {name: step.name for step in net.steps for name in step.inputs}
        self.done = [[name for name, last in last_taken.items() if last == step.name] for step in net.steps]
        self.output = net.output

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        values = {INPUT: pictures}
        for step, layer, done in zip(self.steps, self.layers, self.done):
            values[step.name] = layer(*[values[name] for name in step.inputs])
            for name in done:
                del values[name]
        return values[self.output]


def _model(net: Net, *, fused: bool = False) -> torch.nn.Module:
    """The net as modules; if `fused`, with oneDNN's own convolutions, which add bias and activation."""
    sizes = shapes(net)
    layers = [_module(step.layer, sizes[step.inputs[0]][2:], fused) for step in net.steps]
    return (layers[0] if len(layers) == 1 else _Net(net, layers)).eval()


def _module(layer: Layer, sides: Sequence[int], fused: bool) -> torch.nn.Module:
    """The layer for pictures of those rows and columns."""
    match layer:
        case Conv():
            pads, padding = (layer.pads, (0, 0)) if _uneven(layer.pads) else (None, layer.pads[:2])
            conv = _FusedConv(layer, padding) if fused else _conv(layer, padding)
            return conv if pads is None else torch.nn.Sequential(_zeros(pads), conv)
        case MaxPool() | AveragePool():
            return _pool(layer, sides)
        case GlobalAverage():
            return torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
        case Activation():
            # Others may read what this one takes, too.
            return torch.nn.ReLU6() if layer.function == "relu6" else torch.nn.ReLU()
        case Scale():
            return _then(_scale(layer), layer.function)
        case Add():
            return _Add(layer.function)
        case Concat():
            return _Concat()
        case Pad():
            return _zeros(layer.pads)
        case Flatten():
            return torch.nn.Flatten()
        case Dense():
            units, inputs = layer.weights.shape
            dense = torch.nn.Linear(inputs, units)
            dense.load_state_dict(_parameters(layer))
            return _then(dense, layer.function)


def _uneven(pads: Pads) -> bool:
    return pads[:2] != pads[2:]


def _zeros(pads: Pads) -> torch.nn.Module:
    top, left, bottom, right = pads
    return torch.nn.ZeroPad2d((left, right, top, bottom))


def _conv(layer: Conv, padding: tuple[int, ...]) -> torch.nn.Module:
    cout, cin, kh, kw = layer.weights.shape
    conv = torch.nn.Conv2d(cin * layer.groups, cout, (kh, kw), layer.stride, padding, groups=layer.groups)
    conv.load_state_dict(_parameters(layer))
    return _then(conv, layer.function)


def _scale(layer: Scale) -> torch.nn.Module:
    norm = torch.nn.BatchNorm2d(layer.scale.size, eps=0.0)
    # Its mean and variance are 0 and 1 by themselves.
    norm.load_state_dict(
        {"weight": torch.from_numpy(layer.scale), "bias": torch.from_numpy(layer.shift)}, strict=False
    )
    return norm


def _pool(layer: MaxPool | AveragePool, sides: Sequence[int]) -> torch.nn.Module:
    """Padded alike on all sides; fewer or more windows come by rounding their number down or up."""
    padding = layer.pads[:2]
    wanted = output_sides(layer, sides)
    for up in (False, True):
        rounding = layer.stride - 1 if up else 0
        windows = [(side + 2 * pad - layer.window + rounding) // layer.stride + 1 for side, pad in zip(sides, padding)]
        if tuple(windows) == wanted:
            sizes = (layer.window, layer.stride, padding)
            if isinstance(layer, MaxPool):
                return torch.nn.MaxPool2d(*sizes, ceil_mode=up)
            return torch.nn.AvgPool2d(*sizes, ceil_mode=up, count_include_pad=False)
    raise NotImplementedError(f"PyTorch has no pool with pads of {layer.pads}")


def _function(function: Function) -> torch.nn.Module:
    """In the place of what it takes, which nothing else reads."""
    return torch.nn.ReLU6(inplace=True) if function == "relu6" else torch.nn.ReLU(inplace=True)


def _then(module: torch.nn.Module, function: Function) -> torch.nn.Module:
    return module if function == "none" else torch.nn.Sequential(module, _function(function))


def _parameters(layer: Conv | Dense) -> dict[str, torch.Tensor]:
    return {"weight": torch.from_numpy(layer.weights), "bias": torch.from_numpy(layer.bias)}


class _Add(torch.nn.Module):
    def __init__(self, function: Function) -> None:
        super().__init__()
        self.function = torch.nn.Identity() if function == "none" else _function(function)

    def forward(self, values: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        return self.function(torch.add(values, others))


class _Concat(torch.nn.Module):
    def forward(self, *values: torch.Tensor) -> torch.Tensor:
        return torch.cat(values, 1)


class _FusedConv(torch.nn.Module):
    """oneDNN's convolution, its weights packed at the first call, when the pictures' size is known."""

    def __init__(self, conv: Conv, padding: tuple[int, ...]) -> None:
        super().__init__()
        self.conv = conv
        self.weights: torch.Tensor | None = None
        self.bias = torch.from_numpy(conv.bias)
        self.sizes = (list(padding), [conv.stride] * 2, [1, 1], conv.groups)
        self.activation = FUSED[conv.function]

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        if self.weights is None:
            self.weights = torch.ops.mkldnn._reorder_convolution_weight(
                torch.from_numpy(self.conv.weights), *self.sizes, list(values.shape)
            )
        convolve: Model = torch.ops.mkldnn._convolution_pointwise.default
        return convolve(values, self.weights, self.bias, *self.sizes, *self.activation)
