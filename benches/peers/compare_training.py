#!/usr/bin/env python3
"""Times the training of a net in PyTorch, in Keras and in ours, by turns, and prints speeds, memory and ratios."""

from __future__ import annotations

import argparse
import importlib.util
import json
import shlex
import statistics
import sys
from pathlib import Path

import cli
import engines
import rounds
import train_options

HERE = Path(__file__).resolve().parent
ROUNDS = 3
Told = dict[str, float]


def programs(asked: argparse.Namespace) -> dict[str, list[str]]:
    """The commands, by name."""
    size = ["--net", asked.net, "--batch", str(asked.batch), "--threads", str(asked.threads)]
    ours = [*cli.ours(asked, "bantam-benches", "training"), *size, "--json"]
    found = {"ours": ours}
    for budget in asked.budget:
        found[f"ours within {budget}"] = [*ours, "--budget", str(budget)]
    if not engines.missing("torch"):
        torch = [sys.executable, str(HERE / "train_torch.py"), *size]
        found |= {"torch contiguous": torch, "torch channels_last": [*torch, "--channels-last"]}
        if asked.net == "mobilenet-head":
            found["torch compiled"] = [*torch, "--channels-last", "--compiled"]
    if all(importlib.util.find_spec(package) for package in ("keras", "tensorflow")):
        keras = [sys.executable, str(HERE / "train_keras.py"), *size]
        found |= {"keras": keras, "keras xla": [*keras, "--xla"]}
    return found


def told_by(program: list[str]) -> Told:
    """What a training program prints in its last line."""
    output = rounds.run(program)
    try:
        return {name: float(number) for name, number in json.loads(output.splitlines()[-1]).items()}
    except (IndexError, ValueError, KeyError, TypeError) as error:
        raise rounds.Unavailable(f"{shlex.join(program)}: did not tell images_per_second") from error


def training(asked: argparse.Namespace) -> dict[str, list[Told]]:
    """What each program told, turn by turn."""
    told: dict[str, list[Told]] = {}
    for turn in range(ROUNDS):
        print(f"training: {turn + 1}/{ROUNDS}", file=sys.stderr)
        for name, program in programs(asked).items():
            told.setdefault(name, []).append(told_by(program))
    return told


def compare(asked: argparse.Namespace) -> None:
    """Runs what the command line asks for."""
    cli.check_threads(asked.threads)
    told = training(asked)
    best = {name: max(turn["images_per_second"] for turn in turns) for name, turns in told.items()}
    memory = {name: min(turn["resident_bytes"] for turn in turns) for name, turns in told.items()}
    # Of one turn each, since clocks change between them.
    ratios = {
        name: statistics.median(
            ours["images_per_second"] / theirs["images_per_second"]
            for ours, theirs in zip(told["ours"], turns, strict=True)
        )
        for name, turns in told.items()
    }
    if asked.json:
        print(json.dumps({"images_per_second": best, "resident_bytes": memory, "ratio": ratios}, indent=2))
        return
    print(f"{asked.net}, batches of {asked.batch}: images a second, ours over theirs, bytes that training took")
    for name, speed in best.items():
        print(f"{name:24} {speed:9.0f} {ratios[name]:7.2f} {memory[name]:12.0f}")


def main() -> int:
    """Reads the command line."""
    parser = cli.parser(__doc__, "training")
    parser.add_argument("--net", choices=train_options.SHAPES, default="mnist")
    parser.add_argument("--batch", type=cli.positive, default=64, metavar="N", help="images of a step")
    parser.add_argument(
        "--budget", type=int, action="append", default=[], metavar="BYTES", help="time ours within so many too"
    )
    return cli.main(lambda: compare(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
