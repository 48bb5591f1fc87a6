"""Writes keras_training.safetensors: a net with batch normalisation as Keras 3 trains it, for 30 steps.

Keras computes in double precision with TensorFlow on numbers that are exact in f32; the results are rounded to f32. The
net is conv 3x3 to 4 without bias, batch norm, relu, conv 3x3 stride 2 to 6, batch norm, relu, global average, dense to 3,
trained on one batch of 70 by SGD with momentum. `input`, `target`, `before.LAYER.VARIABLE`, `after.LAYER.VARIABLE`, `loss`
of each step.

usage: python engine/tests/golden/keras_training.py
needs Python 3.11 with: keras==3.15.1 tensorflow-cpu==2.21.0 numpy==2.4.6 safetensors==0.8.0"""

import pathlib

from keras_layers import exact, in_order, weight  # first: it chooses the backend

import keras
import numpy as np
import safetensors.numpy
import tensorflow as tf
from keras import layers

STEPS, BATCH = 30, 70


def main() -> None:
    keras.config.set_floatx("float64")
    keras.config.set_image_data_format("channels_last")
    rng = np.random.default_rng(15)
    model = keras.Sequential([
        keras.Input((6, 6, 2)),
        layers.Conv2D(4, 3, use_bias=False, name="conv1"),
        layers.BatchNormalization(name="bn1"),
        layers.ReLU(),
        layers.Conv2D(6, 3, strides=2, padding="same", name="conv2"),
        layers.BatchNormalization(momentum=0.9, name="bn2"),
        layers.ReLU(),
        layers.GlobalAveragePooling2D(),
        layers.Dense(3, name="dense"),
    ])  # fmt: skip
    tensors = {
        "input": exact(rng.standard_normal((BATCH, 6, 6, 2)) + 0.5),
        "target": rng.integers(0, 3, (BATCH, 1)).astype(np.float64),
    }
    for variable in model.weights:
        variable.assign(exact(weight(rng, variable.path, variable.shape)))
        tensors[f"before.{'.'.join(variable.path.split('/')[-2:])}"] = variable.numpy()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.SGD(0.05, momentum=0.9), loss=loss)
    losses = [model.train_on_batch(tensors["input"], tensors["target"]) for _ in range(STEPS)]
    tensors["loss"] = np.array(losses)
    for variable in model.weights:
        tensors[f"after.{'.'.join(variable.path.split('/')[-2:])}"] = variable.numpy()
    metadata = {"keras": keras.__version__, "backend": f"{keras.config.backend()} {tf.__version__}"}
    file = safetensors.numpy.save({name: array.astype(np.float32) for name, array in tensors.items()}, metadata)
    pathlib.Path(__file__).with_suffix(".safetensors").write_bytes(in_order(file))


if __name__ == "__main__":
    main()
