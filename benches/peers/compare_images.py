#!/usr/bin/env python3
"""Times the reading of a folder of images (decoding, resizing, augmentation) with Keras's ImageDataGenerator, with torchvision and
with ours, by turns and on as many cores as threads, and prints speeds and ratios."""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

import cli
import rounds

HERE = Path(__file__).resolve().parent
ROUNDS = 3
# Photographs that come with scikit-image.
CLASSES = {"cats": ("chelsea.png",), "others": ("astronaut.png", "coffee.png", "rocket.jpg")}


def photographs(folder: Path, images: int) -> None:
    """JPEGs of 500x375: parts of scikit-image's photographs."""
    try:
        import numpy as np
        import skimage
        from PIL import Image
    except ImportError as error:
        raise rounds.Unavailable(f"{error}: install scikit-image and pillow, or name a folder of images") from error
    data = Path(skimage.__file__).parent / "data"
    draw = np.random.default_rng(1)
    for name, files in CLASSES.items():
        (folder / name).mkdir(parents=True)
        pictures = [Image.open(data / file).convert("RGB") for file in files]
        for index in range(images // len(CLASSES)):
            picture = pictures[index % len(pictures)]
            scale = draw.uniform(0.6, 1) * min(picture.width / 500, picture.height / 375)
            width, height = int(500 * scale), int(375 * scale)
            left, top = draw.integers(picture.width - width + 1), draw.integers(picture.height - height + 1)
            part = picture.resize((500, 375), Image.BICUBIC, box=(left, top, left + width, top + height))
            part.save(folder / name / f"{index:04}.jpg", quality=90)


def programs(asked: argparse.Namespace, folder: Path) -> dict[str, list[str]]:
    """The commands, by name."""
    how = [str(folder), "--size", str(asked.size), "--threads", str(asked.threads), *["--plain"] * asked.plain]
    found = {"ours": [*cli.ours(asked, "bantam-benches", "images"), *how, "--json"]}
    if all(importlib.util.find_spec(package) for package in ("torch", "torchvision")):
        found["torchvision"] = [sys.executable, str(HERE / "read_torch.py"), *how]
    keras = asked.keras or sys.executable
    if asked.keras or all(importlib.util.find_spec(package) for package in ("keras", "tensorflow", "scipy")):
        found["keras"] = [keras, str(HERE / "read_keras.py"), *how]
    return found


def told_by(program: list[str]) -> float:
    """What a program prints in its last line."""
    output = rounds.run(program)
    try:
        return float(json.loads(output.splitlines()[-1])["images_per_second"])
    except (IndexError, ValueError, KeyError, TypeError) as error:
        raise rounds.Unavailable(f"{program}: did not tell images_per_second") from error


def compare(asked: argparse.Namespace) -> None:
    """Runs what the command line asks for."""
    cli.check_threads(asked.threads)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(asked.folder or made)
        if not asked.folder:
            photographs(folder, asked.images)
        commands = programs(asked, folder)
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: asked.threads])
        told: dict[str, list[float]] = {name: [] for name in commands}
        for turn in range(ROUNDS):
            print(f"images: {turn + 1}/{ROUNDS}", file=sys.stderr)
            for name, command in commands.items():
                told[name].append(told_by(command))
    best = {name: max(speeds) for name, speeds in told.items()}
    # Of one turn each, since clocks change between them.
    ratios = {
        name: statistics.median(ours / theirs for ours, theirs in zip(told["ours"], speeds, strict=True))
        for name, speeds in told.items()
    }
    if asked.json:
        print(json.dumps({"images_per_second": best, "ratio": ratios}, indent=2))
        return
    print(f"to {asked.size}x{asked.size}, {asked.threads} threads: images a second, ours over theirs")
    for name, speed in best.items():
        print(f"{name:12} {speed:9.0f} {ratios[name]:7.2f}")


def main() -> int:
    """Reads the command line."""
    parser = cli.parser(__doc__, "images")
    parser.add_argument("folder", nargs="?", help="a folder with a folder for each class (default: made of scikit-image's)")
    parser.add_argument("--images", type=cli.positive, default=400, metavar="N", help="images that are made (default: 400)")
    parser.add_argument("--size", type=cli.positive, default=150, metavar="N", help="rows and columns (default: 150)")
    parser.add_argument("--plain", action="store_true", help="without augmentation")
    parser.add_argument("--keras", metavar="PYTHON", help="the Python that has Keras, if not this one")
    return cli.main(lambda: compare(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
