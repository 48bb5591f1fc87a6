"""PyTorch, in all its memory layouts, with the convolution that its compiler fuses, and compiled."""

from __future__ import annotations

import os
from collections.abc import Callable

# Compilers beside this process would go on while others are timed.
os.environ["TORCHINDUCTOR_COMPILE_THREADS"] = "1"

import numpy as np
import torch
from torch.utils import mkldnn

from engines import Candidate
from nets import Conv, Dense, Flatten, MaxPool, Net, Step

# For the life of this process: entering it at every call would be on the clock.
INFERENCE = torch.inference_mode()
INFERENCE.__enter__()

Model = Callable[[torch.Tensor], torch.Tensor]


def candidates(net: Net, threads: int) -> list[Candidate]:
    """Modules in every layout; channels last with packed weights and fused ReLU; compiled.

    The compiler leaves a convolution alone to the same call as "fused", and its own is dearer.
    """
    torch.set_num_threads(threads)
    pictures = torch.from_numpy(net.pictures)
    last = pictures.contiguous(memory_format=torch.channels_last)
    model, model_last = _model(net.steps), _model(net.steps).to(memory_format=torch.channels_last)
    found = [_candidate("contiguous", model, pictures), _candidate("channels_last", model_last, last)]
    convs = [step for step in net.steps if isinstance(step, Conv)]
    if torch.backends.mkldnn.is_available():
        found.append(_candidate("mkldnn", mkldnn.to_mkldnn(_model(net.steps)), pictures.to_mkldnn()))
        if convs:
            found.append(_candidate("fused", _fused(net.steps, last), last))
    if len(convs) < len(net.steps):
        # It keeps what it compiled for earlier nets, and gives up when that is much.
        torch.compiler.reset()
        compiled = torch.compile(model_last, options={"freezing": True})
        found.append(_candidate("compiled", compiled, last))
    return found


def _candidate(label: str, model: Model, pictures: torch.Tensor) -> Candidate:
    def result() -> np.ndarray:
        values = model(pictures)
        return (values.to_dense() if values.is_mkldnn else values).numpy()

    return Candidate(label, lambda: model(pictures), result)


def _model(steps: list[Step]) -> torch.nn.Module:
    return torch.nn.Sequential(*(module for step in steps for module in _modules(step))).eval()


def _modules(step: Step) -> list[torch.nn.Module]:
    match step:
        case Conv():
            cout, cin, kh, kw = step.weights.shape
            conv = torch.nn.Conv2d(
                cin * step.groups, cout, (kh, kw), step.stride, step.pad, groups=step.groups
            )
            conv.load_state_dict(_parameters(step))
            return [conv, torch.nn.ReLU(inplace=True)]
        case MaxPool():
            return [torch.nn.MaxPool2d(step.window, step.stride, step.pad)]
        case Flatten():
            return [torch.nn.Flatten()]
        case Dense():
            units, inputs = step.weights.shape
            dense = torch.nn.Linear(inputs, units)
            dense.load_state_dict(_parameters(step))
            return [dense, torch.nn.ReLU(inplace=True)] if step.relu else [dense]


def _parameters(step: Conv | Dense) -> dict[str, torch.Tensor]:
    return {"weight": torch.from_numpy(step.weights), "bias": torch.from_numpy(step.bias)}


def _fused(steps: list[Step], pictures: torch.Tensor) -> Model:
    """The steps one after the other, convolutions as oneDNN's own, which add bias and ReLU."""
    calls: list[Model] = []
    values = pictures
    for step in steps:
        if isinstance(step, Conv):
            calls.append(_fused_conv(step, values))
        else:
            calls.append(_model([step]))
        values = calls[-1](values)
    if len(calls) == 1:
        return calls[0]

    def run(values: torch.Tensor) -> torch.Tensor:
        for call in calls:
            values = call(values)
        return values

    return run


def _fused_conv(conv: Conv, example: torch.Tensor) -> Model:
    pad, stride, dilation = [conv.pad] * 2, [conv.stride] * 2, [1, 1]
    weights = torch.ops.mkldnn._reorder_convolution_weight(
        torch.from_numpy(conv.weights), pad, stride, dilation, conv.groups, list(example.shape)
    )
    bias = torch.from_numpy(conv.bias)
    convolve = torch.ops.mkldnn._convolution_pointwise.default
    return lambda values: convolve(values, weights, bias, pad, stride, dilation, conv.groups, "relu", [], "")
