#!/usr/bin/env python3
"""Times the MNIST net of the Keras book in other engines and in ours: inference, and training."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from pathlib import Path

import numpy as np

import cli
import rounds
from nets import Flatten, MaxPool, Net, Step, numbers, random_conv, random_dense
from report import Row, Table
from rounds import Best, Ours, Peer

HERE = Path(__file__).resolve().parent
BATCHES = {"mnist-b1": 1, "mnist-b64": 64}
TRAINING_ROUNDS = 3
IMAGES, EPOCHS = 12_800, 2


def options() -> argparse.Namespace:
    """The command line."""
    parser = cli.parser(__doc__)
    parser.add_argument("--nets", metavar="CMD", help="our program `nets`, built (default: cargo builds it)")
    parser.add_argument(
        "--mnist", metavar="CMD", help="our program `mnist`, built (default: cargo builds it)"
    )
    return parser.parse_args()


def net(batch: int) -> Net:
    """The book's net, without its softmax."""
    random = np.random.default_rng(1)
    steps: list[Step] = [
        random_conv(random, 1, 32, (3, 3)),
        MaxPool(2, 2),
        random_conv(random, 32, 64, (3, 3)),
        MaxPool(2, 2),
        random_conv(random, 64, 64, (3, 3)),
        Flatten(),
        random_dense(random, 576, 64, relu=True),
        random_dense(random, 64, 10, relu=False),
    ]
    return Net(numbers(random, batch, 1, 28, 28), steps)


def inference(peers: list[Peer], ours: Ours) -> list[Row]:
    """Seconds of an image by batch."""
    rows = []
    for name, batch in BATCHES.items():
        print(f"inference: {name}", file=sys.stderr)
        # Our program tells the seconds of an image, engines those of a call.
        our_seconds, calls = rounds.side_by_side(peers, ours, name, net(batch))
        images = {peer: Best(best.seconds / batch, best.how) for peer, best in calls.items()}
        rows.append(Row(name, our_seconds, images))
    return rows


def training(threads: int, command: list[str], with_torch: bool) -> dict[str, float]:
    """Images a second of our training and of PyTorch's, the best of turns."""
    size = ["--limit", str(IMAGES), "--epochs", str(EPOCHS), "--threads", str(threads)]
    with tempfile.TemporaryDirectory() as folder:
        programs = {"ours": [*command, *size, "--json", "--out", str(Path(folder, "model"))]}
        if with_torch:
            python = [sys.executable, str(HERE / "train_torch.py"), *size]
            programs["torch contiguous"] = python
            programs["torch channels_last"] = [*python, "--channels-last"]
        best = dict.fromkeys(programs, 0.0)
        for turn in range(TRAINING_ROUNDS):
            print(f"training: {turn + 1}/{TRAINING_ROUNDS}", file=sys.stderr)
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
    names = rounds.chosen(asked.engines)
    nets = shlex.split(asked.nets) if asked.nets else rounds.built("bantam-benches", "nets")
    mnist = shlex.split(asked.mnist) if asked.mnist else rounds.built("mnist", "mnist")
    with rounds.started(names, asked.threads) as peers:
        rows = inference(peers, Ours([*nets, "--threads", str(asked.threads)]))
    speeds = training(asked.threads, mnist, "torch" in names)
    theirs = [speed for name, speed in speeds.items() if name != "ours"]
    ratio = speeds["ours"] / max(theirs) if theirs else None
    if asked.json:
        seconds = {row.name: row.as_json() for row in rows}
        print(json.dumps({"inference": seconds, "training": speeds, "training_ratio": ratio}, indent=2))
        return
    table = Table([row.name for row in rows], names)
    print("inference, of an image")
    print(table.head())
    for row in rows:
        print(table.line(row))
    print("\ntraining, batches of 64 by RMSprop, images a second")
    for name, speed in speeds.items():
        print(f"{name:19} {speed:8.0f}")
    if ratio is not None:
        print(f"{'ratio':19} {ratio:8.2f}")


if __name__ == "__main__":
    sys.exit(cli.main(lambda: compare(options())))
