"""Writes keras_explain.safetensors: heat maps and a step of gradient ascent as Keras 3 computes them.

Keras computes in double precision with TensorFlow on numbers that are exact in f32; the results are rounded to f32. The
net has a residual block with batch normalisation, a max-pool, and a softmax: see `net`. `input`, `weight.LAYER.VARIABLE`, and

- `cam.LAYER.CLASS`: Grad-CAM of a layer's output, as Chollet's listing has it: gradients of the class's score pooled over the
  map, the mean over the channels of the products, ReLU, by the maximum. The score is the output before the softmax. Of a
  class for which nothing speaks the listing would make NaN.
- `mean.LAYER.FILTER`, `ascended.LAYER.FILTER`: the mean of a filter's map before each step of gradient ascent, and the input
  after the last, by gradients that are divided by the root of their mean square and 1e-5.
- `occluded.CLASS`: what the probability loses when patches of 4x4 pixels are 0.5, each 2 pixels from the other; the patches
  reach a pixel over the edges.

usage: python engine/tests/golden/keras_explain.py
needs Python 3.11 with: keras==3.15.1 tensorflow-cpu==2.21.0 numpy==2.4.6 safetensors==0.8.0"""

import pathlib

from keras_layers import exact, in_order, weight  # first: it chooses the backend

import keras
import numpy as np
import safetensors.numpy
import tensorflow as tf
from keras import layers

HEIGHT, WIDTH = 12, 10
STEPS = 3


def net() -> keras.Model:
    image = keras.Input((HEIGHT, WIDTH, 3))
    stem = layers.ReLU(name="stem_relu")(layers.Conv2D(8, 3, padding="same", name="stem")(image))
    inner = layers.BatchNormalization(name="bn")(layers.Conv2D(8, 3, padding="same", name="first")(stem))
    inner = layers.Conv2D(8, 3, padding="same", name="second")(layers.ReLU()(inner))
    block = layers.ReLU(name="block")(layers.Add()([stem, inner]))
    last = layers.ReLU(name="last")(layers.Conv2D(6, 3, name="third")(layers.MaxPooling2D()(block)))
    scores = layers.Dense(4, name="dense")(layers.Flatten()(last))
    return keras.Model(image, layers.Softmax()(scores))


def grad_cam(model: keras.Model, image: tf.Tensor, layer: str, of: int) -> np.ndarray:
    both = keras.Model(model.inputs, [model.get_layer(layer).output, model.get_layer("dense").output])
    with tf.GradientTape() as tape:
        last_conv_layer_output, scores = both(image)
        top_class_channel = scores[:, of]
    pooled_grads = tf.reduce_mean(tape.gradient(top_class_channel, last_conv_layer_output), axis=(0, 1, 2))
    heatmap = np.mean(last_conv_layer_output[0].numpy() * pooled_grads.numpy(), axis=-1)
    heatmap = np.maximum(heatmap, 0)
    return heatmap / np.max(heatmap)


def ascend(model: keras.Model, image: tf.Tensor, layer: str, of: int) -> tuple[np.ndarray, np.ndarray]:
    features = keras.Model(model.inputs, model.get_layer(layer).output)
    means = []
    for _ in range(STEPS):
        with tf.GradientTape() as tape:
            tape.watch(image)
            mean = tf.reduce_mean(features(image)[..., of])
        gradient = tape.gradient(mean, image)
        image += gradient / (tf.sqrt(tf.reduce_mean(tf.square(gradient))) + 1e-5)
        means.append(mean.numpy())
    return np.array(means), image.numpy()


def occlude(model: keras.Model, image: np.ndarray, of: int) -> np.ndarray:
    whole = model(image)[0, of].numpy()
    heat = np.empty((HEIGHT // 2, WIDTH // 2))
    for row, column in np.ndindex(*heat.shape):
        covered = image.copy()
        top, left = 2 * row - 1, 2 * column - 1
        covered[:, max(top, 0) : top + 4, max(left, 0) : left + 4] = 0.5
        heat[row, column] = whole - model(covered)[0, of].numpy()
    return heat


def main() -> None:
    keras.config.set_floatx("float64")
    keras.config.set_image_data_format("channels_last")
    rng = np.random.default_rng(59)
    model = net()
    tensors = {"input": exact(rng.standard_normal((1, HEIGHT, WIDTH, 3)))}
    image = tf.constant(tensors["input"])
    for variable in model.weights:
        variable.assign(exact(weight(rng, variable.path, variable.shape)))
        tensors[f"weight.{'.'.join(variable.path.split('/')[-2:])}"] = variable.numpy()
    for layer, of in [("last", 1), ("third", 1), ("block", 3), ("second", 3), ("stem_relu", 1)]:
        tensors[f"cam.{layer}.{of}"] = grad_cam(model, image, layer, of)
    for layer, of in [("block", 3), ("third", 5), ("dense", 1)]:
        tensors[f"mean.{layer}.{of}"], tensors[f"ascended.{layer}.{of}"] = ascend(model, image, layer, of)
    tensors["occluded.1"] = occlude(model, tensors["input"], 1)
    metadata = {"keras": keras.__version__, "backend": f"{keras.config.backend()} {tf.__version__}"}
    file = safetensors.numpy.save({name: array.astype(np.float32) for name, array in tensors.items()}, metadata)
    pathlib.Path(__file__).with_suffix(".safetensors").write_bytes(in_order(file))


if __name__ == "__main__":
    main()
