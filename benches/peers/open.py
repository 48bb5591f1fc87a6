#!/usr/bin/env python3
"""Times the first answer of a net of 553 MB in Bantam beside the mere opening of the same net in ONNX Runtime.

Ours maps the file, checks it, plans, prepares weights and answers; theirs is `InferenceSession(file)`. Both files are
in memory before, each turn is a process of its own, and the answers are compared.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import cli
from rounds import REPOSITORY, Unavailable

FOLDER = REPOSITORY / "target" / "open"
TURNS = 5
# Where weights begin in a .bantam file.
ALIGNMENT = 64
THEIRS = """
import json, sys, time, resource
import numpy, onnxruntime
file, image, threads = sys.argv[1:]
options = onnxruntime.SessionOptions()
options.intra_op_num_threads, options.inter_op_num_threads = int(threads), 1
cpu = lambda: sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
start, cpu_start = time.perf_counter(), cpu()
session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
seconds, cpu_seconds = time.perf_counter() - start, cpu() - cpu_start
answer = session.run(None, {"input": numpy.load(image)})[0]
print(json.dumps({"seconds": seconds, "cpu": cpu_seconds, "answer": answer.ravel().tolist()}))
"""


@dataclass(frozen=True)
class Net:
    """Images of `side`, convolutions of 3x3 by stages with a max-pool behind each, and dense layers."""

    side: int
    stages: tuple[tuple[int, int], ...]
    units: tuple[int, ...]

    def weights(self) -> list[tuple[int, ...]]:
        """The shapes of all kernels and biases as a .bantam file has them."""
        shapes: list[tuple[int, ...]] = []
        channels, side = 3, self.side
        for filters, convolutions in self.stages:
            for _ in range(convolutions):
                shapes += [(3, 3, channels, filters), (filters,)]
                channels = filters
            side //= 2
        inputs = side * side * channels
        for units in self.units:
            shapes += [(inputs, units), (units,)]
            inputs = units
        return shapes


# As `open --write` builds them.
NETS = {
    "vgg16": Net(224, ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)), (4096, 4096, 1000)),
    "perceptron": Net(32, (), (8192, 12288, 1000)),
}


def arrays(file: Path, shapes: list[tuple[int, ...]]) -> list[np.ndarray]:
    """The weights, which are the end of the file, each at a multiple of the alignment."""
    numbers = np.fromfile(file, "<f4")
    step = ALIGNMENT // numbers.itemsize
    sizes = [int(np.prod(shape)) for shape in shapes]
    at = len(numbers) - sum(-(-size // step) * step for size in sizes)
    found = []
    for shape, size in zip(shapes, sizes):
        found.append(numbers[at : at + size].reshape(shape))
        at += -(-size // step) * step
    return found


def write_onnx(net: Net, ours: Path, theirs: Path) -> None:
    """The net of our file, channel by channel, as ONNX has it."""
    weights = iter(arrays(ours, net.weights()))
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []

    def node(operator: str, taken: str, *parameters: np.ndarray, **attributes: Any) -> str:
        output = f"value{len(nodes)}"
        names = [f"{output}_{i}" for i in range(len(parameters))]
        constants.extend(
            numpy_helper.from_array(np.ascontiguousarray(values), name) for values, name in zip(parameters, names)
        )
        nodes.append(helper.make_node(operator, [taken, *names], [output], **attributes))
        return output

    value, side, channels = "input", net.side, 3
    for filters, convolutions in net.stages:
        for _ in range(convolutions):
            kernel = next(weights).transpose(3, 2, 0, 1)
            value = node("Relu", node("Conv", value, kernel, next(weights), pads=[1] * 4))
        value = node("MaxPool", value, kernel_shape=[2, 2], strides=[2, 2])
        side, channels = side // 2, filters
    value = node("Flatten", value)
    for i, units in enumerate(net.units):
        kernel = next(weights)
        if i == 0:
            kernel = kernel.reshape(side, side, channels, units).transpose(2, 0, 1, 3).reshape(-1, units)
        value = node("Gemm", value, kernel.T, next(weights), transB=1)
        if i + 1 < len(net.units):
            value = node("Relu", value)
    shape = [1, 3, net.side, net.side]
    inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, shape)]
    outputs = [helper.make_tensor_value_info(value, TensorProto.FLOAT, None)]
    graph = helper.make_graph(nodes, "net", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, theirs)


def image(side: int) -> np.ndarray:
    """The numbers that our program runs on, channel by channel."""
    values, state = np.empty(side * side * 3, np.float32), 1
    for i in range(len(values)):
        state = (state * 1_664_525 + 1_013_904_223) % (1 << 32)
        values[i] = (state >> 8) / (1 << 23) - 1.0
    return np.ascontiguousarray(values.reshape(1, side, side, 3).transpose(0, 3, 1, 2))


def run(command: list[str]) -> tuple[dict[str, Any], float]:
    """What a program prints, and the CPU's seconds that all of it took."""
    before = os.times()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    after = os.times()
    if done.returncode:
        raise Unavailable(f"{command[0]}: {done.stderr.strip()}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return json.loads(done.stdout), cpu


def compare(name: str, net: Net, command: list[str], threads: int) -> dict[str, Any]:
    """The best of some turns, and whether the answers are one."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    ours, theirs, picture = (FOLDER / f"{name}.{ending}" for ending in ("bantam", "onnx", "npy"))
    if not ours.exists():
        subprocess.run([*command, str(ours), "--write", name], check=True)
    if not theirs.exists():
        write_onnx(net, ours, theirs)
    np.save(picture, image(net.side))
    best: dict[str, Any] = {"ours": [], "theirs": [], "ours_cpu": [], "theirs_cpu": []}
    # The first turn brings the files into memory and does not count.
    for turn in range(TURNS + 1):
        found, cpu = run([*command, str(ours), "--json", "--threads", str(threads)])
        other, _ = run([sys.executable, "-c", THEIRS, str(theirs), str(picture), str(threads)])
        if turn:
            best["ours"].append((found["seconds"]["all"], found["seconds"]))
            best["theirs"].append(other["seconds"])
            best["ours_cpu"].append(cpu)
            best["theirs_cpu"].append(other["cpu"])
    answers = np.array(found["answer"]), np.array(other["answer"])
    if not np.allclose(*answers, rtol=0.0, atol=1e-3 * np.abs(answers[1]).max()):
        raise Unavailable(f"{name}: the answers differ by up to {np.abs(answers[0] - answers[1]).max()}")
    seconds, parts = min(best["ours"], key=lambda pair: pair[0])
    return {
        "net": name, "threads": threads, "seconds": seconds, "parts": parts, "onnxruntime": min(best["theirs"]),
        "cpu_seconds": min(best["ours_cpu"]), "onnxruntime_cpu": min(best["theirs_cpu"]),
    }  # fmt: skip


def options() -> Any:
    """The command line."""
    parser = cli.parser(__doc__, "open")
    parser.add_argument("--net", choices=NETS, help="this net alone")
    return parser.parse_args()


def main(asked: Any) -> None:
    """Runs what the command line asks for."""
    cli.check_threads(asked.threads)
    command = cli.ours(asked, "bantam-benches", "open")
    results = []
    if not asked.json:
        print(f"{'milliseconds':12} {'map':>5} {'check':>6} {'plan':>5} {'prepare':>8} {'answer':>7} {'ours':>7} "
              f"{'ONNX Runtime opens':>19} {'ratio':>6} {'CPU, ours':>10} {'theirs':>7} {'ratio':>6}")  # fmt: skip
    for name, net in NETS.items():
        if asked.net not in (None, name):
            continue
        result = compare(name, net, command, asked.threads)
        results.append(result)
        if not asked.json:
            parts = {part: 1e3 * seconds for part, seconds in result["parts"].items()}
            ours, theirs = 1e3 * result["seconds"], 1e3 * result["onnxruntime"]
            cpu = 1e3 * result["cpu_seconds"], 1e3 * result["onnxruntime_cpu"]
            print(f"{name:12} {parts['map']:5.1f} {parts['check']:6.1f} {parts['plan']:5.1f} "
                  f"{parts['prepare']:8.1f} {parts['answer']:7.1f} {ours:7.1f} {theirs:19.1f} {theirs / ours:6.1f} "
                  f"{cpu[0]:10.1f} {cpu[1]:7.1f} {cpu[1] / cpu[0]:6.1f}", flush=True)  # fmt: skip
    if asked.json:
        print(json.dumps(results, indent=2))


if __name__ == "__main__":
    sys.exit(cli.main(lambda: main(options())))
