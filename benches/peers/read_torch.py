"""Reads a folder of images with torchvision's transforms and PyTorch's DataLoader, as our `images` program does."""

from __future__ import annotations

import json
import sys

import read_options
import torch
from torch.utils.data import DataLoader
from torchvision import datasets, transforms


def main() -> int:
    """Prints one line of JSON."""
    asked = read_options.parser(__doc__).parse_args()
    torch.set_num_threads(1)
    changes = [
        transforms.RandomAffine(
            40, translate=(0.2, 0.2), scale=(0.8, 1.2), shear=0.2, interpolation=transforms.InterpolationMode.BILINEAR
        ),
        transforms.RandomHorizontalFlip(),
    ]
    resize = transforms.Resize((asked.size, asked.size))
    steps = [resize, *([] if asked.plain else changes), transforms.ToTensor()]
    images = datasets.ImageFolder(asked.folder, transforms.Compose(steps))
    # With one thread in this process: a process beside it would have a core of its own.
    loader = DataLoader(images, batch_size=20, num_workers=0 if asked.threads == 1 else asked.threads)

    def epoch() -> int:
        return sum(len(pixels) for pixels, _ in loader)

    print(json.dumps({"images_per_second": read_options.fastest(epoch, asked.epochs)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
