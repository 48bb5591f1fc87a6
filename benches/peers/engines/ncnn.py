"""ncnn, with its input packed as it likes it."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import ncnn
import numpy as np

from engines import Candidate, Ways
from nets import (
    INPUT, Activation, Add, AveragePool, Concat, Conv, Dense, Flatten, GlobalAverage, Layer, MaxPool, Net,
    Pad, Scale, chain, shapes,
)  # fmt: skip

PLAIN, AS_COMPUTED = 0, 1
NO_WINOGRAD = 1 << 6
# Up to so many rows and columns, Winograd's algorithm fills less than a tile or two.
SMALL = 4
# An activation as a layer, and in a layer.
FUNCTIONS: dict[str, tuple[str, str]] = {"relu": ("ReLU", ""), "relu6": ("Clip", "0=0.0 1=6.0")}
FUSED = {"none": "", "relu": " 9=1", "relu6": " 9=3 -23310=2,0.0,6.0"}
# Memory is taken again from call to call, as in ncnn's own benchmark. It must outlive all that lies
# in it, so it lives as long as this process.
BLOBS, WORKSPACE = ncnn.UnlockedPoolAllocator(), ncnn.PoolAllocator()


def ways(net: Net, threads: int) -> Ways:
    """Picture by picture, and a batch as one, which ncnn learnt late; with Winograd's algorithm and without.

    ncnn takes Winograd's wherever it fits, even where it is the slower one. It chooses among its kinds
    better when the model tells the sizes of the pictures (`sized`), and best when it is kept from small
    ones altogether (`mixed`).
    """
    # A pool of single numbers copies them, and leaves them packed as the next layer takes them.
    packer = _Model(chain(net.pictures, MaxPool(1, 1)), threads)
    singles = [packer(ncnn.Mat(picture).clone(), AS_COMPUTED) for picture in net.pictures]
    batch = packer(ncnn.Mat(net.pictures, 0).clone(), AS_COMPUTED) if len(net.pictures) > 1 else None
    models = {"": partial(_Model, net, threads)}
    sizes = shapes(net)
    sides = [
        max(sizes[step.name][2:])
        for step in net.steps
        if isinstance(step.layer, Conv) and step.layer.weights.shape[1] > 1 and step.layer.weights.shape[2:] == (3, 3)
    ]
    if sides:
        models[", sized"] = partial(_Model, net, threads, sized=True)
        if min(sides) <= SMALL < max(sides):
            models[", mixed"] = partial(_Model, net, threads, sized=True, direct_up_to=SMALL)
        models[", direct"] = partial(_Model, net, threads, direct_up_to=max(sides))
    found: Ways = {}
    for suffix, model in models.items():
        found[f"one by one{suffix}"] = partial(_candidate, model, singles, batched=False)
        if batch is not None:
            found[f"batch{suffix}"] = partial(_candidate, model, [batch], batched=True)
    return found


def _candidate(load: Callable[[], _Model], inputs: list[ncnn.Mat], batched: bool) -> Candidate:
    model = load()

    def run() -> None:
        for values in inputs:
            model(values, AS_COMPUTED)

    def result() -> np.ndarray:
        outputs = [model(values, PLAIN) for values in inputs]
        if batched:
            return np.array(outputs[0].numpy("f", 0))
        return np.stack([np.array(output) for output in outputs])

    return Candidate(run, result)


class _Model:
    """A net that is loaded; ncnn reads nets from files.

    If it is `sized`, the file tells the sizes of all results. Pictures of no more than `direct_up_to`
    rows and columns are computed without Winograd's algorithm.
    """

    def __init__(self, net: Net, threads: int, *, sized: bool = False, direct_up_to: int = 0) -> None:
        self.net = ncnn.Net()
        options = self.net.opt
        options.num_threads = threads
        options.use_vulkan_compute = False
        for kind in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_packed", "bf16_storage"):
            if hasattr(options, f"use_{kind}"):
                setattr(options, f"use_{kind}", False)
        options.blob_allocator, options.workspace_allocator = BLOBS, WORKSPACE
        with tempfile.TemporaryDirectory() as folder:
            parameters, weights = Path(folder, "net.param"), Path(folder, "net.bin")
            parameters.write_text(_parameters(net, sized, direct_up_to), encoding="ascii")
            weights.write_bytes(b"".join(_weights(step.layer) for step in net.steps))
            if self.net.load_param(str(parameters)) or self.net.load_model(str(weights)):
                raise RuntimeError("ncnn did not load the net")
        self.output = net.output

    def __call__(self, values: ncnn.Mat, layout: int) -> ncnn.Mat:
        extractor = self.net.create_extractor()
        extractor.input(INPUT, values)
        status, output = extractor.extract(self.output, layout)
        if status:
            raise RuntimeError(f"ncnn did not run the net: {status}")
        return output


def _parameters(net: Net, sized: bool, direct_up_to: int) -> str:
    """The net in ncnn's language: a line for each layer, with the names of what it takes and gives."""
    sizes = shapes(net)
    readers = Counter(name for step in net.steps for name in step.inputs)
    copies: dict[str, list[str]] = {}
    lines: list[str] = []
    results = 0

    def line(kind: str, inputs: list[str], outputs: list[str], size: tuple[int, ...], options: str) -> None:
        nonlocal results
        results += len(outputs)
        names = f"{len(inputs)} {len(outputs)} {' '.join([*inputs, *outputs])}"
        if sized:
            # For each of the outputs: how many sides it has, then three of them, the last one first.
            sides = [len(size), *reversed(size), 1, 1][:4] * len(outputs)
            options += f" -23330={len(sides)},{','.join(map(str, sides))}"
        lines.append(f"{kind} layer{len(lines)} {names} {options}".rstrip())

    def result(name: str, kind: str, inputs: list[str], options: str) -> None:
        """A layer and, as only one other may take its result, copies by names of their own for several."""
        size = sizes[name][1:]
        line(kind, inputs, [name], size, options)
        if readers[name] > 1:
            copies[name] = [f"{name}_{i}" for i in range(readers[name])]
            line("Split", [name], list(copies[name]), size, "")

    result(INPUT, "Input", [], "")
    for step in net.steps:
        inputs = [copies[name].pop() if name in copies else name for name in step.inputs]
        size = sizes[step.name][1:]
        kind, options = _layer(step.layer, sizes[step.inputs[0]][1:])
        # Those that have no activation of their own.
        if isinstance(step.layer, Add | Scale) and step.layer.function != "none":
            line(kind, inputs, [f"{step.name}_linear"], size, options)
            inputs, (kind, options) = [f"{step.name}_linear"], FUNCTIONS[step.layer.function]
        if isinstance(step.layer, Conv) and max(size[1:]) <= direct_up_to:
            options += f" 31={NO_WINOGRAD}"
        result(step.name, kind, inputs, options)
    return "\n".join(["7767517", f"{len(lines)} {results}", *lines]) + "\n"


def _layer(layer: Layer, size: tuple[int, ...]) -> tuple[str, str]:
    """A layer's kind and its numbered options, for a picture of that size."""
    match layer:
        case Conv():
            cout, _, kh, kw = layer.weights.shape
            top, left, bottom, right = layer.pads
            options = f"0={cout} 1={kw} 11={kh} 3={layer.stride} 4={left} 14={top} 15={right} 16={bottom}"
            options += f" 5=1 6={layer.weights.size}{FUSED[layer.function]}"
            if layer.groups > 1:
                return "ConvolutionDepthWise", f"{options} 7={layer.groups}"
            return "Convolution", options
        case MaxPool() | AveragePool():
            top, left, bottom, right = layer.pads
            kind = 1 if isinstance(layer, AveragePool) else 0
            options = f"0={kind} 1={layer.window} 2={layer.stride} 3={left} 13={top} 14={right} 15={bottom}"
            return "Pooling", f"{options} 5=1"
        case GlobalAverage():
            return "Pooling", "0=1 4=1"
        case Activation():
            return FUNCTIONS[layer.function]
        case Scale():
            return "Scale", f"0={layer.scale.size} 1=1"
        case Add():
            return "BinaryOp", "0=0"
        case Concat():
            return "Concat", "0=0"
        case Pad():
            return _pad(layer, size)
        case Flatten():
            return "Flatten", ""
        case Dense():
            options = f"0={len(layer.weights)} 1=1 2={layer.weights.size}"
            return "InnerProduct", f"{options}{FUSED[layer.function]}"


def _pad(layer: Pad, size: tuple[int, ...]) -> tuple[str, str]:
    top, left, bottom, right = layer.pads
    if min(layer.pads) >= 0:
        return "Padding", f"0={top} 1={bottom} 2={left} 3={right}"
    if max(layer.pads) > 0:
        raise NotImplementedError(f"ncnn does not pad and crop in one layer: {layer.pads}")
    channels, h, w = size
    return "Crop", f"0={-left} 1={-top} 2=0 3={w + left + right} 4={h + top + bottom} 5={channels}"


def _weights(layer: Layer) -> bytes:
    if isinstance(layer, Conv | Dense):
        plain_f32 = bytes(4)
        return plain_f32 + layer.weights.tobytes() + layer.bias.tobytes()
    if isinstance(layer, Scale):
        return layer.scale.tobytes() + layer.shift.tobytes()
    return b""
