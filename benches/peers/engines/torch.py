"""PyTorch, in both memory layouts, and with the fused convolution that its compiler uses."""

from __future__ import annotations

from collections.abc import Callable

import torch

from engines import Candidate
from nets import Conv, Dense, Flatten, MaxPool, Net, Step

# For the life of this process: entering it at every call would be on the clock.
INFERENCE = torch.inference_mode()
INFERENCE.__enter__()


def candidates(net: Net, threads: int) -> list[Candidate]:
    """Contiguous and channels last as modules; channels last with packed weights and fused ReLU."""
    torch.set_num_threads(threads)
    pictures = torch.from_numpy(net.pictures)
    last = pictures.contiguous(memory_format=torch.channels_last)
    model = torch.nn.Sequential(*(module for step in net.steps for module in _modules(step))).eval()
    model_last = torch.nn.Sequential(*(module for step in net.steps for module in _modules(step))).eval()
    model_last.to(memory_format=torch.channels_last)
    found = [_candidate("contiguous", model, pictures), _candidate("channels_last", model_last, last)]
    if torch.backends.mkldnn.is_available() and any(isinstance(step, Conv) for step in net.steps):
        found.append(_candidate("fused", _fused(net.steps, last), last))
    return found


def _candidate(label: str, model: Callable[[torch.Tensor], torch.Tensor], pictures: torch.Tensor) -> Candidate:
    return Candidate(label, lambda: model(pictures), lambda: model(pictures).numpy())


def _modules(step: Step) -> list[torch.nn.Module]:
    match step:
        case Conv():
            cout, cin, kh, kw = step.weights.shape
            conv = torch.nn.Conv2d(
                cin * step.groups, cout, (kh, kw), step.stride, step.pad, groups=step.groups
            )
            conv.weight.copy_(torch.from_numpy(step.weights))
            conv.bias.copy_(torch.from_numpy(step.bias))
            return [conv, torch.nn.ReLU(inplace=True)]
        case MaxPool():
            return [torch.nn.MaxPool2d(step.window, step.stride, step.pad)]
        case Flatten():
            return [torch.nn.Flatten()]
        case Dense():
            units, inputs = step.weights.shape
            dense = torch.nn.Linear(inputs, units)
            dense.weight.copy_(torch.from_numpy(step.weights))
            dense.bias.copy_(torch.from_numpy(step.bias))
            return [dense, torch.nn.ReLU(inplace=True)] if step.relu else [dense]


def _fused(steps: list[Step], pictures: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    """The steps one after the other, convolutions as oneDNN's own, which add bias and ReLU."""
    calls: list[Callable[[torch.Tensor], torch.Tensor]] = []
    values = pictures
    for step in steps:
        if isinstance(step, Conv):
            calls.append(_fused_conv(step, values))
        else:
            calls.append(torch.nn.Sequential(*_modules(step)).eval())
        values = calls[-1](values)
    if len(calls) == 1:
        return calls[0]

    def run(values: torch.Tensor) -> torch.Tensor:
        for call in calls:
            values = call(values)
        return values

    return run


def _fused_conv(conv: Conv, example: torch.Tensor) -> Callable[[torch.Tensor], torch.Tensor]:
    pad, stride, dilation = [conv.pad] * 2, [conv.stride] * 2, [1, 1]
    weights = torch.ops.mkldnn._reorder_convolution_weight(
        torch.from_numpy(conv.weights), pad, stride, dilation, conv.groups, list(example.shape)
    )
    bias = torch.from_numpy(conv.bias)
    convolve = torch.ops.mkldnn._convolution_pointwise.default
    return lambda values: convolve(
        values, weights, bias, pad, stride, dilation, conv.groups, "relu", [], ""
    )
