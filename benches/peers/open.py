#!/usr/bin/env python3
"""Times the first answer of a net in Bantam beside the opening of the same net in ONNX Runtime, and its first answer.

Ours maps the file, checks it, plans, prepares weights and answers; theirs is `InferenceSession(file)`, and that with
`run`. Both files are in memory before, each turn is a process of its own, and the answers are compared.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx

import cli
from rounds import REPOSITORY, Unavailable
from whole_nets import ZOO

FOLDER = REPOSITORY / "target" / "open"
TURNS = 5
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
picture = {session.get_inputs()[0].name: numpy.load(image)}
before = time.perf_counter()
answer = session.run(None, picture)[0]
answered = seconds + time.perf_counter() - before
print(json.dumps({"seconds": seconds, "answered": answered, "cpu": cpu_seconds, "answer": answer.ravel().tolist()}))
"""


# As our program builds them: two that are read once and hold 138 million weights each, and the others of the zoo.
LARGE = ("vgg16", "perceptron")
NETS = tuple(dict.fromkeys((*LARGE, *ZOO)))


def image(file: Path) -> np.ndarray:
    """The numbers that our program runs on, channel by channel as the net of that file takes them."""
    [taken] = onnx.load(file).graph.input
    shape = [side.dim_value for side in taken.type.tensor_type.shape.dim]
    n, c, h, w = shape
    values, state = np.empty(n * c * h * w, np.float32), 1
    for i in range(len(values)):
        state = (state * 1_664_525 + 1_013_904_223) % (1 << 32)
        values[i] = (state >> 8) / (1 << 23) - 1.0
    return np.ascontiguousarray(values.reshape(n, h, w, c).transpose(0, 3, 1, 2))


def run(command: list[str]) -> tuple[dict[str, Any], float]:
    """What a program prints, and the CPU's seconds that all of it took."""
    before = os.times()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    after = os.times()
    if done.returncode:
        raise Unavailable(f"{command[0]}: {done.stderr.strip()}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return json.loads(done.stdout), cpu


def compare(name: str, command: list[str], threads: int) -> dict[str, Any]:
    """The best of some turns, and whether the answers are one."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    ours, theirs, picture = (FOLDER / f"{name}.{ending}" for ending in ("bantam", "onnx", "npy"))
    for file in (ours, theirs):
        subprocess.run([*command, str(file), "--write", name], check=True)
    np.save(picture, image(theirs))
    best: dict[str, Any] = {"ours": [], "theirs": [], "answers": [], "ours_cpu": [], "theirs_cpu": []}
    # The first turn brings the files into memory and does not count.
    for turn in range(TURNS + 1):
        found, cpu = run([*command, str(ours), "--json", "--threads", str(threads)])
        other, _ = run([sys.executable, "-c", THEIRS, str(theirs), str(picture), str(threads)])
        if turn:
            best["ours"].append((found["seconds"]["all"], found["seconds"]))
            best["theirs"].append(other["seconds"])
            best["answers"].append(other["answered"])
            best["ours_cpu"].append(cpu)
            best["theirs_cpu"].append(other["cpu"])
    answers = np.array(found["answer"]), np.array(other["answer"])
    if not np.allclose(*answers, rtol=0.0, atol=1e-3 * np.abs(answers[1]).max()):
        raise Unavailable(f"{name}: the answers differ by up to {np.abs(answers[0] - answers[1]).max()}")
    seconds, parts = min(best["ours"], key=lambda pair: pair[0])
    return {
        "net": name, "threads": threads, "seconds": seconds, "parts": parts, "onnxruntime": min(best["theirs"]),
        "onnxruntime_answers": min(best["answers"]),
        "cpu_seconds": min(best["ours_cpu"]), "onnxruntime_cpu": min(best["theirs_cpu"]),
    }  # fmt: skip


def options() -> Any:
    """The command line."""
    parser = cli.parser(__doc__, "open")
    parser.add_argument(
        "--net", choices=(*NETS, "zoo"), help=f"this net alone, or all of the zoo (default: {', '.join(LARGE)})"
    )
    return parser.parse_args()


def main(asked: Any) -> None:
    """Runs what the command line asks for."""
    cli.check_threads(asked.threads)
    command = cli.ours(asked, "bantam-benches", "open")
    results = []
    if not asked.json:
        print(f"{'milliseconds':13} {'map':>5} {'check':>6} {'plan':>5} {'prepare':>8} {'answer':>7} {'ours':>7} "
              f"{'ONNX Runtime opens':>19} {'ratio':>6} {'and answers':>12} {'ratio':>6} {'CPU, ours':>10} {'theirs':>7} {'ratio':>6}")  # fmt: skip
    for name in {None: LARGE, "zoo": ZOO}.get(asked.net, (asked.net,)):
        result = compare(name, command, asked.threads)
        results.append(result)
        if not asked.json:
            parts = {part: 1e3 * seconds for part, seconds in result["parts"].items()}
            ours, theirs = 1e3 * result["seconds"], 1e3 * result["onnxruntime"]
            answers = 1e3 * result["onnxruntime_answers"]
            cpu = 1e3 * result["cpu_seconds"], 1e3 * result["onnxruntime_cpu"]
            print(f"{name:13} {parts['map']:5.1f} {parts['check']:6.1f} {parts['plan']:5.1f} "
                  f"{parts['prepare']:8.1f} {parts['answer']:7.1f} {ours:7.1f} {theirs:19.1f} {theirs / ours:6.1f} "
                  f"{answers:12.1f} {answers / ours:6.1f} "
                  f"{cpu[0]:10.1f} {cpu[1]:7.1f} {cpu[1] / cpu[0]:6.1f}", flush=True)  # fmt: skip
    if asked.json:
        print(json.dumps(results, indent=2))


if __name__ == "__main__":
    sys.exit(cli.main(lambda: main(options())))
