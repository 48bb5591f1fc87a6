"""Writes onnx_series.safetensors: small nets over series as both exporters of PyTorch write them, an input of each and PyTorch's output.

With torch 2.15.0, onnx 1.23.2, onnxscript 0.7.2, safetensors 0.8.0; beside `onnx_nets.py`, whose functions it uses.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import torch
from onnx_nets import HERE, conv, export, made, stripped
from torch import nn


class Forecast(nn.Module):
    """The state behind the last of several layers."""

    def __init__(self):
        super().__init__()
        self.memory, self.head = nn.LSTM(3, 6, num_layers=2, batch_first=True), nn.Linear(6, 2)

    def forward(self, x):
        states, _ = self.memory(x)
        return self.head(states[:, -1])


class Tagging(nn.Module):
    """A class for each step, from both directions."""

    def __init__(self):
        super().__init__()
        self.memory, self.head = nn.GRU(3, 5, num_layers=2, batch_first=True, bidirectional=True), nn.Linear(10, 4)

    def forward(self, x):
        states, _ = self.memory(x)
        return self.head(states)


class Columns(nn.Module):
    """Text in pictures: the columns of a map are the steps of a series."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(conv(1, 4), nn.MaxPool2d(2), conv(4, 4))
        self.memory, self.head = nn.LSTM(4 * 3, 5, bidirectional=True), nn.Linear(10, 6)

    def forward(self, x):
        x = self.body(x)
        n, c, h, w = x.shape
        states, (last, _) = self.memory(x.reshape(n, c * h, w).permute(2, 0, 1))
        return self.head(states).permute(1, 0, 2), last.permute(1, 0, 2)


class Twins(nn.Module):
    """One encoder over both halves of a series."""

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Conv1d(3, 6, 3), nn.PReLU(6), nn.Conv1d(6, 4, 1, bias=False), nn.BatchNorm1d(4))
        self.memory, self.head = nn.LSTM(4, 5, batch_first=True), nn.Linear(5, 3)

    def half(self, x):
        _, (last, _) = self.memory(self.encoder(x.transpose(1, 2)).transpose(1, 2))
        return self.head(last[0])

    def forward(self, x):
        return self.half(x[:, :5]) - self.half(x[:, 5:])


NETS = {"forecast": (Forecast, (2, 10, 3)), "tagging": (Tagging, (2, 10, 3)), "columns": (Columns, (2, 1, 6, 8)), "twins": (Twins, (2, 10, 3))}


def main() -> None:
    from safetensors.numpy import save_file

    arrays = {}
    for name, (build, shape) in NETS.items():
        net, x = made(build), torch.randn(shape, generator=torch.Generator().manual_seed(3))
        with torch.no_grad():
            outputs = net(x)
        for dynamo in (False, True):
            path = Path(tempfile.mkdtemp()) / "net.onnx"
            export(net, x, dynamo, path)
            arrays[f"{name}_{'dynamo' if dynamo else 'script'}/model"] = np.frombuffer(stripped(path), "uint8").copy()
        arrays[f"{name}/input.0"] = x.numpy()
        for index, output in enumerate(outputs if isinstance(outputs, tuple) else [outputs]):
            arrays[f"{name}/output.{index}"] = np.ascontiguousarray(output)
    save_file(arrays, HERE / "onnx_series.safetensors")


if __name__ == "__main__":
    main()
