#!/usr/bin/env python3
"""Times the training of the MNIST net in PyTorch and in ours, and prints the ratio."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from pathlib import Path

import cli
import engines
import rounds

HERE = Path(__file__).resolve().parent
ROUNDS = 3
IMAGES, EPOCHS = 12_800, 2


def training(threads: int, command: list[str]) -> dict[str, float]:
    """Images a second of our training and of PyTorch's, the best of turns."""
    size = ["--limit", str(IMAGES), "--epochs", str(EPOCHS), "--threads", str(threads)]
    with tempfile.TemporaryDirectory() as folder:
        programs = {"ours": [*command, *size, "--json", "--out", str(Path(folder, "model"))]}
        if not engines.missing("torch"):
            python = [sys.executable, str(HERE / "train_torch.py"), *size]
            programs["torch contiguous"] = python
            programs["torch channels_last"] = [*python, "--channels-last"]
        best = dict.fromkeys(programs, 0.0)
        for turn in range(ROUNDS):
            print(f"training: {turn + 1}/{ROUNDS}", file=sys.stderr)
            for name, program in programs.items():
                best[name] = max(best[name], images_per_second(program))
    return best


def images_per_second(program: list[str]) -> float:
    """What a training program prints in its last line."""
    output = rounds.run(program)
    try:
        return float(json.loads(output.splitlines()[-1])["images_per_second"])
    except (IndexError, ValueError, KeyError, TypeError) as error:
        raise rounds.Unavailable(f"{shlex.join(program)}: did not tell images_per_second") from error


def compare(asked: argparse.Namespace) -> None:
    """Runs what the command line asks for."""
    cli.check_threads(asked.threads)
    speeds = training(asked.threads, cli.ours(asked, "mnist", "mnist"))
    theirs = [speed for name, speed in speeds.items() if name != "ours"]
    ratio = speeds["ours"] / max(theirs) if theirs else None
    if asked.json:
        print(json.dumps({"images_per_second": speeds, "ratio": ratio}, indent=2))
        return
    print("batches of 64 by RMSprop, images a second")
    for name, speed in speeds.items():
        print(f"{name:19} {speed:8.0f}")
    if ratio is not None:
        print(f"{'ratio':19} {ratio:8.2f}")


if __name__ == "__main__":
    sys.exit(cli.main(lambda: compare(cli.parser(__doc__, "mnist").parse_args())))
