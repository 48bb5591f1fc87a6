"""The whole nets that are compared, with random numbers in them, the same ones every time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nets import Add, Flatten, GlobalAverage, MaxPool, Net, chain, numbers, random_conv, random_dense


def mnist(batch: int) -> Net:
    """The ConvNet for MNIST of the Keras book, without its softmax."""
    random = np.random.default_rng(1)
    return chain(
        numbers(random, batch, 1, 28, 28),
        random_conv(random, 1, 32, (3, 3)),
        MaxPool(2, 2),
        random_conv(random, 32, 64, (3, 3)),
        MaxPool(2, 2),
        random_conv(random, 64, 64, (3, 3)),
        Flatten(),
        random_dense(random, 576, 64),
        random_dense(random, 64, 10, function="none"),
    )


def resnet18(batch: int) -> Net:
    """ResNet-18 for pictures of 56x56x3: batch norms folded into the convolutions, and no softmax."""
    random = np.random.default_rng(1)
    net = Net(numbers(random, batch, 3, 56, 56))
    net.add(random_conv(random, 3, 64, (7, 7), stride=2, pad=3))
    value = net.add(MaxPool(3, 2, (1, 1, 1, 1)))
    channels = 64
    for stage in (64, 128, 256, 512):
        for _ in range(2):
            # The first block of a stage with more channels halves the picture.
            stride = 1 if channels == stage else 2
            net.add(random_conv(random, channels, stage, (3, 3), stride, pad=1), value)
            branch = net.add(random_conv(random, stage, stage, (3, 3), pad=1, function="none"))
            if stride == 2:
                value = net.add(random_conv(random, channels, stage, (1, 1), stride, function="none"), value)
            value = net.add(Add(), branch, value)
            channels = stage
    net.add(GlobalAverage())
    net.add(random_dense(random, 512, 1000, function="none"))
    return net


def vgg16(batch: int) -> Net:
    """The convolutions and pools of VGG-16, for pictures of 150x150x3."""
    random = np.random.default_rng(1)
    net = Net(numbers(random, batch, 3, 150, 150))
    channels = 3
    for filters, convolutions in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(convolutions):
            net.add(random_conv(random, channels, filters, (3, 3), pad=1))
            channels = filters
        net.add(MaxPool(2, 2))
    return net


# How the nets are built by the size of a batch, and the batches that are timed.
NETS: dict[str, tuple[Callable[[int], Net], tuple[int, ...]]] = {
    "mnist": (mnist, (1, 64)),
    "resnet18-56": (resnet18, (1, 16)),
    "vgg16-150": (vgg16, (1, 20)),
}

# Those of the zoo, at the size that they were published for: our program builds them.
ZOO = (
    "vgg16",
    "resnet50",
    "mobilenet",
    "mobilenet_v2",
    "inception_v3",
    "xception",
    "densenet121",
    "nasnet_mobile",
)
