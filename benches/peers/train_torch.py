"""Trains the MNIST net with PyTorch on the files of examples/mnist: prints its images a second."""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch import nn

DATA = Path(__file__).resolve().parents[2] / "examples" / "mnist" / "data"
BATCH = 64


def options() -> argparse.Namespace:
    """The command line; the same names as our program's."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=int, default=60_000, metavar="N", help="images of an epoch")
    parser.add_argument("--epochs", type=int, default=2, metavar="N")
    parser.add_argument("--threads", type=int, default=1, metavar="N")
    parser.add_argument("--channels-last", action="store_true", help="not contiguous")
    return parser.parse_args()


def idx(name: str, header: int) -> np.ndarray:
    """The bytes of an IDX file behind its header."""
    with gzip.open(DATA / name) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


def network() -> nn.Sequential:
    """The book's net; its softmax is in the loss."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(576, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip


def train(pictures: torch.Tensor, labels: torch.Tensor, asked: argparse.Namespace) -> tuple[float, float]:
    """Images a second of the fastest epoch, and the mean loss of the last one."""
    torch.manual_seed(1)
    model = network()
    if asked.channels_last:
        model = model.to(memory_format=torch.channels_last)
    # The book's defaults, which are those of our program too. All parameters in one go are faster.
    optimizer = torch.optim.RMSprop(model.parameters(), lr=1e-3, alpha=0.9, eps=1e-7, foreach=True)
    criterion = nn.CrossEntropyLoss()
    fastest = loss_sum = 0.0
    for _ in range(asked.epochs):
        loss_sum = 0.0
        start = time.perf_counter()
        for chosen in torch.split(torch.randperm(len(pictures)), BATCH):
            optimizer.zero_grad()
            loss = criterion(model(pictures[chosen]), labels[chosen])
            loss.backward()
            optimizer.step()
            loss_sum += loss.item() * len(chosen)
        fastest = max(fastest, len(pictures) / (time.perf_counter() - start))
    return fastest, loss_sum / len(pictures)


def main() -> int:
    """Prints one line of JSON."""
    asked = options()
    torch.set_num_threads(asked.threads)
    try:
        pixels = idx("train-images-idx3-ubyte.gz", 16).reshape(-1, 1, 28, 28)[: asked.limit]
        labels = idx("train-labels-idx1-ubyte.gz", 8)[: asked.limit]
    except OSError as error:
        print(f"{error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    pictures = torch.from_numpy(pixels.astype(np.float32) / 255.0)
    if asked.channels_last:
        pictures = pictures.contiguous(memory_format=torch.channels_last)
    speed, loss = train(pictures, torch.from_numpy(labels.astype(np.int64)), asked)
    print(json.dumps({"images_per_second": speed, "loss": loss}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
