"""What the programs that read folders of images share."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import cli


def parser(description: str) -> argparse.ArgumentParser:
    """The options of our `images` program."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("folder", help="the images: a folder with a folder for each class")
    made.add_argument("--size", type=cli.positive, default=150, metavar="N", help="rows and columns")
    made.add_argument("--threads", type=cli.positive, default=1, metavar="N", help="threads or processes that decode")
    made.add_argument("--epochs", type=cli.positive, default=3, metavar="N", help="the fastest is taken of so many")
    made.add_argument("--plain", action="store_true", help="without augmentation")
    return made


def fastest(epoch: Callable[[], int], epochs: int) -> float:
    """Images a second."""
    best = 0.0
    for _ in range(epochs):
        start = time.perf_counter()
        images = epoch()
        best = max(best, images / (time.perf_counter() - start))
    return best
