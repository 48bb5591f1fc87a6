"""PyTorch, in all its memory layouts, with the convolution that its compiler fuses, and compiled."""

from __future__ import annotations

import os
from collections.abc import Callable

# Compilers beside this process would go on while others are timed.
os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"
# Asked for by an option of `torch.compile`, frozen weights come too late for oneDNN to pack them.
os.environ["TORCHINDUCTOR_FREEZING"] = "1"

import numpy as np
import torch
from torch.utils import mkldnn

from engines import Candidate
from nets import INPUT, Add, Conv, Dense, Flatten, GlobalAverage, Layer, MaxPool, Net

# For the life of this process: entering it at every call would be on the clock.
INFERENCE = torch.inference_mode()
INFERENCE.__enter__()

Model = Callable[..., torch.Tensor]


def candidates(net: Net, threads: int) -> list[Candidate]:
    """Modules in every layout; channels last with packed weights and fused ReLU; compiled.

    The compiler leaves a convolution alone to the same call as "fused", and its own is dearer.
    """
    torch.set_num_threads(threads)
    pictures = torch.from_numpy(net.pictures)
    last = pictures.contiguous(memory_format=torch.channels_last)
    model, model_last = _model(net), _model(net).to(memory_format=torch.channels_last)
    found = [_candidate("contiguous", model, pictures), _candidate("channels_last", model_last, last)]
    convs = [step for step in net.steps if isinstance(step.layer, Conv)]
    if torch.backends.mkldnn.is_available():
        found.append(_candidate("mkldnn", mkldnn.to_mkldnn(_model(net)), pictures.to_mkldnn()))
        if convs:
            found.append(_candidate("fused", _model(net, fused=True).forward, last))
    if len(convs) < len(net.steps):
        # It keeps what it compiled for earlier nets, and gives up when that is much.
        torch.compiler.reset()
        found.append(_candidate("compiled", torch.compile(model_last), last))
    return found


def _candidate(label: str, model: Model, pictures: torch.Tensor) -> Candidate:
    def result() -> np.ndarray:
        values = model(pictures)
        return (values.to_dense() if values.is_mkldnn else values).numpy()

    return Candidate(label, lambda: model(pictures), result)


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
    """The net as modules; if `fused`, with oneDNN's own convolutions, which add bias and ReLU."""
    layers = [
        _FusedConv(step.layer) if fused and isinstance(step.layer, Conv) else _module(step.layer)
        for step in net.steps
    ]
    return (layers[0] if len(layers) == 1 else _Net(net, layers)).eval()


def _module(layer: Layer) -> torch.nn.Module:
    match layer:
        case Conv():
            cout, cin, kh, kw = layer.weights.shape
            conv = torch.nn.Conv2d(
                cin * layer.groups, cout, (kh, kw), layer.stride, layer.pad, groups=layer.groups
            )
            conv.load_state_dict(_parameters(layer))
            return _with_relu(conv) if layer.relu else conv
        case MaxPool():
            return torch.nn.MaxPool2d(layer.window, layer.stride, layer.pad)
        case GlobalAverage():
            return torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
        case Add():
            return _Add()
        case Flatten():
            return torch.nn.Flatten()
        case Dense():
            units, inputs = layer.weights.shape
            dense = torch.nn.Linear(inputs, units)
            dense.load_state_dict(_parameters(layer))
            return _with_relu(dense) if layer.relu else dense


def _with_relu(module: torch.nn.Module) -> torch.nn.Module:
    return torch.nn.Sequential(module, torch.nn.ReLU(inplace=True))


def _parameters(layer: Conv | Dense) -> dict[str, torch.Tensor]:
    return {"weight": torch.from_numpy(layer.weights), "bias": torch.from_numpy(layer.bias)}


class _Add(torch.nn.Module):
    def forward(self, values: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        return torch.add(values, others).relu_()


class _FusedConv(torch.nn.Module):
    """oneDNN's convolution, its weights packed at the first call, when the pictures' size is known."""

    def __init__(self, conv: Conv) -> None:
        super().__init__()
        self.conv = conv
        self.weights: torch.Tensor | None = None
        self.bias = torch.from_numpy(conv.bias)
        self.sizes = ([conv.pad] * 2, [conv.stride] * 2, [1, 1], conv.groups)
        self.activation: tuple[str, list[float], str] = ("relu" if conv.relu else "none", [], "")

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        if self.weights is None:
            self.weights = torch.ops.mkldnn._reorder_convolution_weight(
                torch.from_numpy(self.conv.weights), *self.sizes, list(values.shape)
            )
        convolve: Model = torch.ops.mkldnn._convolution_pointwise.default
        return convolve(values, self.weights, self.bias, *self.sizes, *self.activation)
