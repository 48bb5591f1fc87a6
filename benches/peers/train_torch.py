"""Trains the nets of our `training` program with PyTorch on random images: prints its images a second and memory."""

from __future__ import annotations

import argparse
import json
import sys
import time

import memory
import train_options
import torch
import torch._inductor.config
from torch import nn


def mnist() -> nn.Module:
    """The book's net; its softmax is in the loss."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3), nn.ReLU(), nn.Flatten(),
        nn.Linear(576, 64), nn.ReLU(), nn.Linear(64, 10),
    )  # fmt: skip


def convolution(channels: int, filters: int, kernel: int, stride: int) -> list[nn.Module]:
    """A convolution and its batch normalisation."""
    padding = kernel // 2
    return [nn.Conv2d(channels, filters, kernel, stride, padding, bias=False), nn.BatchNorm2d(filters)]


class Block(nn.Module):
    """Two convolutions and a shortcut."""

    def __init__(self, channels: int, filters: int, stride: int) -> None:
        super().__init__()
        first = convolution(channels, filters, 3, stride)
        self.body = nn.Sequential(*first, nn.ReLU(inplace=True), *convolution(filters, filters, 3, 1))
        shortcut = convolution(channels, filters, 1, stride) if stride > 1 else []
        self.shortcut = nn.Sequential(*shortcut)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The sum, without its negative numbers."""
        return torch.relu_(self.body(x) + self.shortcut(x))


def resnet20() -> nn.Module:
    """ResNet-20 for images of 32x32x3."""
    layers = [*convolution(3, 16, 3, 1), nn.ReLU(inplace=True)]
    channels = 16
    for filters in (16, 32, 64):
        for _ in range(3):
            stride = 2 if len(layers) > 3 and channels != filters else 1
            layers.append(Block(channels, filters, stride))
            channels = filters
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def cats_dogs() -> nn.Module:
    """The book's net for photographs; its sigmoid is in the loss."""
    layers: list[nn.Module] = []
    for channels, filters in ((3, 32), (32, 64), (64, 128), (128, 128)):
        layers += [nn.Conv2d(channels, filters, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
    head = nn.Linear(7 * 7 * 128, 512), nn.ReLU(inplace=True), nn.Linear(512, 1), nn.Flatten(0)
    return nn.Sequential(*layers, nn.Flatten(), *head)


def normalized(convolution: nn.Conv2d) -> list[nn.Module]:
    """As Keras's MobileNet has it, with weights that do not let numbers vanish (arXiv 1502.01852)."""
    nn.init.kaiming_normal_(convolution.weight, nonlinearity="relu")
    return [convolution, nn.BatchNorm2d(convolution.out_channels, eps=1e-3, momentum=0.01), nn.ReLU6(inplace=True)]


class FineTuned(nn.Module):
    """A frozen base, in inference mode and without gradients, and what is fine-tuned behind it."""

    def __init__(self, base: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.base, self.head = base.eval().requires_grad_(requires_grad=False), head

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The classes' sums."""
        with torch.no_grad():
            features = self.base(x)
        return self.head(features)


def mobilenet_head() -> nn.Module:
    """MobileNet, of which the last block and a head of 10 classes learn."""
    layers = normalized(nn.Conv2d(3, 32, 3, 2, 1, bias=False))
    channels, last = 32, 0
    for filters, stride in train_options.BLOCKS:
        last = len(layers)
        layers += normalized(nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False))
        layers += normalized(nn.Conv2d(channels, filters, 1, bias=False))
        channels = filters
    head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)
    return FineTuned(nn.Sequential(*layers[:last]), nn.Sequential(*layers[last:], *head))


NETS = {"mnist": mnist, "resnet20": resnet20, "cats-dogs": cats_dogs, "mobilenet-head": mobilenet_head}


def optimizer_of(model: nn.Module, net: str) -> torch.optim.Optimizer:
    """Moves all parameters in one go, which is faster."""
    if net in train_options.MOMENTUM:
        learning = [weights for weights in model.parameters() if weights.requires_grad]
        return torch.optim.SGD(learning, lr=train_options.MOMENTUM[net], momentum=0.9, foreach=True)
    rate = 1e-3 if net == "mnist" else 1e-4
    return torch.optim.RMSprop(model.parameters(), lr=rate, alpha=0.9, eps=1e-7, foreach=True)


def train(asked: argparse.Namespace) -> dict[str, float]:
    """Images a second of the fastest epoch, and bytes that training took."""
    torch.manual_seed(1)
    model = NETS[asked.net]()
    pixels, classes = train_options.samples(asked, channels_first=True)
    pictures, labels = torch.from_numpy(pixels), torch.from_numpy(classes)
    if asked.channels_last:
        model = model.to(memory_format=torch.channels_last)
        pictures = pictures.contiguous(memory_format=torch.channels_last)
    if asked.compiled:
        # Inductor then folds the normalisations, as it does for inference.
        torch._inductor.config.freezing = True  # noqa: SLF001
        model.base = torch.compile(model.base)
    optimizer = optimizer_of(model, asked.net)
    criterion: nn.Module = nn.CrossEntropyLoss()
    if train_options.CLASSES[asked.net] == 2:
        criterion, labels = nn.BCEWithLogitsLoss(), labels.float()
    before, fastest = memory.resident("VmRSS:"), 0.0
    for _ in range(asked.epochs):
        start = time.perf_counter()
        for chosen in torch.split(torch.randperm(len(pictures)), asked.batch):
            optimizer.zero_grad()
            loss = criterion(model(pictures[chosen]), labels[chosen])
            loss.backward()
            optimizer.step()
            loss.item()
        fastest = max(fastest, len(pictures) / (time.perf_counter() - start))
    return {"images_per_second": fastest, "resident_bytes": memory.resident("VmHWM:") - before}


def main() -> int:
    """Prints one line of JSON."""
    parser = train_options.parser(__doc__)
    parser.add_argument("--channels-last", action="store_true", help="not contiguous")
    parser.add_argument("--compiled", action="store_true", help="the frozen part compiled (mobilenet-head)")
    asked = parser.parse_args()
    if asked.compiled and asked.net != "mobilenet-head":
        parser.error("--compiled: expected a net with a frozen part")
    torch.set_num_threads(asked.threads)
    print(json.dumps(train(asked)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
