"""What the programs share that train a net on random images: their command line, samples, and memory."""

from __future__ import annotations

import argparse

import numpy as np

SHAPES = {
    "mnist": (28, 28, 1),
    "resnet20": (32, 32, 3),
    "cats-dogs": (150, 150, 3),
    "mobilenet-head": (224, 224, 3),
}
CLASSES = {"mnist": 10, "resnet20": 10, "cats-dogs": 2, "mobilenet-head": 10}

# The learning rates of those that are trained by SGD with momentum, not by RMSprop.
MOMENTUM = {"resnet20": 0.1, "mobilenet-head": 1e-3}

# Of MobileNet's blocks, as arXiv 1704.04861 has them: filters, and the stride of the depthwise convolution.
BLOCKS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 1), (512, 1), (512, 1), (512, 1),
    (1024, 2), (1024, 1),
)  # fmt: skip


def parser(description: str | None) -> argparse.ArgumentParser:
    """The same names as our program's."""
    options = argparse.ArgumentParser(description=description)
    options.add_argument("--net", choices=SHAPES, required=True)
    options.add_argument("--batch", type=int, default=64, metavar="N", help="images of a step")
    options.add_argument("--steps", type=int, default=20, metavar="N", help="steps of an epoch")
    options.add_argument("--epochs", type=int, default=5, metavar="N", help="epochs that the fastest is taken of")
    options.add_argument("--threads", type=int, default=1, metavar="N")
    return options


def samples(asked: argparse.Namespace, *, channels_first: bool) -> tuple[np.ndarray, np.ndarray]:
    """Random images and their classes."""
    count = asked.batch * asked.steps
    rows, columns, channels = SHAPES[asked.net]
    shape = (channels, rows, columns) if channels_first else (rows, columns, channels)
    pixels = np.random.default_rng(1).random((count, *shape), np.float32)
    return pixels, np.arange(count, dtype=np.int64) * 7 % CLASSES[asked.net]
