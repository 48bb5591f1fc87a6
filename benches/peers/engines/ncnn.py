"""ncnn, with its input packed as it likes it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import ncnn
import numpy as np

from engines import Candidate
from nets import Conv, Dense, Flatten, MaxPool, Net, Step

PLAIN, AS_COMPUTED = 0, 1
# Memory is taken again from call to call, as in ncnn's own benchmark. It must outlive all that lies
# in it, so it lives as long as this process.
BLOBS, WORKSPACE = ncnn.UnlockedPoolAllocator(), ncnn.PoolAllocator()


def candidates(net: Net, threads: int) -> list[Candidate]:
    """Picture by picture, and a batch as one, which ncnn learnt late; with Winograd's algorithm and without.

    ncnn takes Winograd's wherever it fits, even where it is the slower one.
    """
    # A pool of single numbers copies them, and leaves them packed as the next layer takes them.
    packer = _Model([MaxPool(1, 1)], threads, winograd=False)
    singles = [packer(ncnn.Mat(picture).clone(), AS_COMPUTED) for picture in net.pictures]
    has_3x3 = any(isinstance(step, Conv) and step.weights.shape[2:] == (3, 3) for step in net.steps)
    found = []
    for winograd in (True, False) if has_3x3 else (True,):
        model = _Model(net.steps, threads, winograd)
        suffix = "" if winograd else ", direct"
        found.append(_candidate(f"one by one{suffix}", model, singles, batched=False))
        if len(net.pictures) > 1:
            batch = packer(ncnn.Mat(net.pictures, 0).clone(), AS_COMPUTED)
            found.append(_candidate(f"batch{suffix}", model, [batch], batched=True))
    return found


def _candidate(label: str, model: _Model, inputs: list[ncnn.Mat], batched: bool) -> Candidate:
    def run() -> None:
        for values in inputs:
            model(values, AS_COMPUTED)

    def result() -> np.ndarray:
        outputs = [model(values, PLAIN) for values in inputs]
        if batched:
            return np.array(outputs[0].numpy("f", 0))
        return np.stack([np.array(output) for output in outputs])

    return Candidate(label, run, result)


class _Model:
    """A net that is loaded; ncnn reads nets from files."""

    def __init__(self, steps: list[Step], threads: int, winograd: bool) -> None:
        self.net = ncnn.Net()
        options = self.net.opt
        options.num_threads = threads
        options.use_vulkan_compute = False
        options.use_winograd_convolution = winograd
        for kind in ("fp16_packed", "fp16_storage", "fp16_arithmetic", "bf16_packed", "bf16_storage"):
            if hasattr(options, f"use_{kind}"):
                setattr(options, f"use_{kind}", False)
        options.blob_allocator, options.workspace_allocator = BLOBS, WORKSPACE
        with tempfile.TemporaryDirectory() as folder:
            parameters, weights = Path(folder, "net.param"), Path(folder, "net.bin")
            parameters.write_text(_parameters(steps), encoding="ascii")
            weights.write_bytes(b"".join(_weights(step) for step in steps))
            if self.net.load_param(str(parameters)) or self.net.load_model(str(weights)):
                raise RuntimeError("ncnn did not load the net")
        self.output = f"value{len(steps)}"

    def __call__(self, values: ncnn.Mat, layout: int) -> ncnn.Mat:
        extractor = self.net.create_extractor()
        extractor.input("value0", values)
        status, output = extractor.extract(self.output, layout)
        if status:
            raise RuntimeError(f"ncnn did not run the net: {status}")
        return output


def _parameters(steps: list[Step]) -> str:
    count = len(steps) + 1
    lines = ["7767517", f"{count} {count}", "Input step0 0 1 value0"]
    for i, step in enumerate(steps):
        kind, options = _layer(step)
        lines.append(f"{kind} step{i + 1} 1 1 value{i} value{i + 1} {options}".rstrip())
    return "\n".join(lines) + "\n"


def _layer(step: Step) -> tuple[str, str]:
    """A layer's kind and its numbered options, in which 9 is the activation (1: ReLU)."""
    match step:
        case Conv():
            cout, _, kh, kw = step.weights.shape
            options = f"0={cout} 1={kw} 11={kh} 3={step.stride} 4={step.pad} 5=1 6={step.weights.size} 9=1"
            if step.groups > 1:
                return "ConvolutionDepthWise", f"{options} 7={step.groups}"
            return "Convolution", options
        case MaxPool():
            return "Pooling", f"0=0 1={step.window} 2={step.stride} 3={step.pad} 5=1"
        case Flatten():
            return "Flatten", ""
        case Dense():
            options = f"0={len(step.weights)} 1=1 2={step.weights.size}"
            return "InnerProduct", f"{options} 9=1" if step.relu else options


def _weights(step: Step) -> bytes:
    if isinstance(step, Conv | Dense):
        plain_f32 = bytes(4)
        return plain_f32 + step.weights.tobytes() + step.bias.tobytes()
    return b""
