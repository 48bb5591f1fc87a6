"""Trains the nets of our `training` program with Keras on TensorFlow on random images: prints its images a second and memory."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time

os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")

import keras
import memory
import numpy as np
import tensorflow as tf
import train_options
from keras import layers


def mnist() -> keras.Model:
    """The book's net; its softmax is in the loss."""
    return keras.Sequential([
        keras.Input((28, 28, 1)),
        layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D(2),
        layers.Conv2D(64, 3, activation="relu"), layers.MaxPooling2D(2),
        layers.Conv2D(64, 3, activation="relu"), layers.Flatten(),
        layers.Dense(64, activation="relu"), layers.Dense(10),
    ])  # fmt: skip


def convolution(x: keras.KerasTensor, filters: int, kernel: int, stride: int) -> keras.KerasTensor:
    """A convolution and its batch normalisation."""
    x = layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False)(x)
    return layers.BatchNormalization()(x)


def resnet20() -> keras.Model:
    """ResNet-20 for images of 32x32x3."""
    inputs = keras.Input((32, 32, 3))
    x = layers.ReLU()(convolution(inputs, 16, 3, 1))
    channels = 16
    for filters in (16, 32, 64):
        for _ in range(3):
            stride = 2 if channels != filters else 1
            y = layers.ReLU()(convolution(x, filters, 3, stride))
            y = convolution(y, filters, 3, 1)
            shortcut = convolution(x, filters, 1, stride) if stride > 1 else x
            x = layers.ReLU()(layers.Add()([y, shortcut]))
            channels = filters
    return keras.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def cats_dogs() -> keras.Model:
    """The book's net for photographs; its sigmoid is in the loss."""
    net = [keras.Input((150, 150, 3))]
    for filters in (32, 64, 128, 128):
        net += [layers.Conv2D(filters, 3, activation="relu"), layers.MaxPooling2D(2)]
    return keras.Sequential([*net, layers.Flatten(), layers.Dense(512, activation="relu"), layers.Dense(1)])


def mobilenet_head() -> keras.Model:
    """MobileNet, of which the last block and a head of 10 classes learn: a layer that is frozen is in inference mode."""
    base = keras.applications.MobileNet(input_shape=(224, 224, 3), include_top=False, weights=None, pooling="avg")
    frozen = True
    for layer in base.layers:
        frozen = frozen and layer.name != "conv_dw_13"
        layer.trainable = not frozen
        # Weights that do not let numbers vanish (arXiv 1502.01852).
        for weights in layer.weights:
            if "kernel" in weights.name:
                depthwise = isinstance(layer, layers.DepthwiseConv2D)
                products = np.prod(weights.shape[:2] if depthwise else weights.shape[:-1])
                weights.assign(keras.random.normal(weights.shape, stddev=(2 / products) ** 0.5))
    return keras.Model(base.inputs, layers.Dense(10)(base.outputs[0]))


NETS = {"mnist": mnist, "resnet20": resnet20, "cats-dogs": cats_dogs, "mobilenet-head": mobilenet_head}


def optimizer_of(net: str) -> keras.optimizers.Optimizer:
    """As the papers have them."""
    if net in train_options.MOMENTUM:
        return keras.optimizers.SGD(train_options.MOMENTUM[net], momentum=0.9)
    return keras.optimizers.RMSprop(1e-3 if net == "mnist" else 1e-4)


class Clock(keras.callbacks.Callback):
    """The fastest epoch."""

    fastest = float("inf")
    start = 0.0

    def on_epoch_begin(self, epoch: int, logs: object = None) -> None:
        """Starts the clock."""
        self.start = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: object = None) -> None:
        """Stops it."""
        self.fastest = min(self.fastest, time.perf_counter() - self.start)


def train(asked: argparse.Namespace) -> dict[str, float]:
    """Images a second of the fastest epoch, and bytes that training took."""
    tf.config.threading.set_intra_op_parallelism_threads(asked.threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    keras.utils.set_random_seed(1)
    model, optimizer = NETS[asked.net](), optimizer_of(asked.net)
    loss: keras.losses.Loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    if train_options.CLASSES[asked.net] == 2:
        loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(optimizer, loss, jit_compile=asked.xla)
    pixels, classes = train_options.samples(asked, channels_first=False)
    clock, before = Clock(), memory.resident("VmRSS:")
    model.fit(pixels, classes, batch_size=asked.batch, epochs=asked.epochs, verbose=0, callbacks=[clock])
    return {
        "images_per_second": len(pixels) / clock.fastest,
        "resident_bytes": memory.resident("VmHWM:") - before,
    }


def main() -> int:
    """Prints one line of JSON."""
    parser = train_options.parser(__doc__)
    parser.add_argument("--xla", action="store_true", help="compiled by XLA")
    print(json.dumps(train(parser.parse_args())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
