"""Whether Keras loads what `bantam export` writes; `scripts/check-weights` runs it.

usage: keras_loads.py write NET FILE      FILE.keras, a net with random weights
       keras_loads.py read NET FILE       the same net with others takes FILE.h5, by its order and by names, FILE.weights.h5, and
                                          FILE.safetensors; each time it has to give what FILE.keras gives, to the bit

With keras 3.15.1, tensorflow 2.21.0, h5py 3.16.0 and safetensors 0.8.0.
"""

import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import keras
import numpy as np
from safetensors.numpy import load_file

L = keras.layers


def small():
    """Each kind of weights that Keras has in one layer."""
    image = keras.Input((9, 8, 3))
    x = L.BatchNormalization(name="bn", scale=False)(L.Conv2D(6, 3, name="conv")(image))
    x = L.DepthwiseConv2D(2, name="depthwise")(L.PReLU(shared_axes=[1, 2], name="slope")(x))
    x = L.Conv2DTranspose(4, 2, name="up")(L.SeparableConv2D(5, 3, name="separable")(x))
    x = L.LayerNormalization(name="layer_norm")(L.LayerNormalization(scale=False, center=False)(L.GroupNormalization(2, name="group_norm")(x)))
    series = L.Reshape((-1, 4))(x)
    both = L.Bidirectional(L.LSTM(3), name="both")(series)
    x = L.Concatenate()([both, L.GRU(3, name="gru")(L.Conv1D(4, 3, name="line")(series))])
    return keras.Model(image, L.Dense(4, name="last", activation="softmax")(x))


def mobilenet():
    return keras.applications.MobileNet(weights=None, alpha=0.25, input_shape=(96, 96, 3), classes=10)


def draw(model, seed):
    random = np.random.default_rng(seed)
    for variable in model.weights:
        values = random.normal(size=variable.shape) * 0.3
        variable.assign(values**2 + 0.5 if "variance" in variable.path else values)
    return model


what, net, file = sys.argv[1:]
model = {"small": small, "mobilenet": mobilenet}[net]()
if what == "write":
    draw(model, 1).save(f"{file}.keras")
    sys.exit()

x = np.random.default_rng(3).normal(size=(4, *model.inputs[0].shape[1:])).astype("float32")
expected = np.asarray(keras.saving.load_model(f"{file}.keras")(x, training=False))


def by_safetensors():
    arrays = load_file(f"{file}.safetensors")
    for layer in model.layers:
        cells = [("forward", layer.forward_layer), ("backward", layer.backward_layer)] if "Bi" in type(layer).__name__ else []
        for part, owner in [(layer.name, layer)] if not cells else [(f"{layer.name}/{part}", cell) for part, cell in cells]:
            for variable in owner.weights:
                if variable.path.endswith(("seed_generator_state",)):
                    continue
                array = "kernel" if "epthwise" in type(layer).__name__ and variable.name == "kernel" else variable.name
                variable.assign(arrays.pop(f"{part}/{array}"))
    assert not arrays, list(arrays)


ways = {
    "load_weights(.h5)": lambda: model.load_weights(f"{file}.h5"),
    "load_weights(.h5, by_name=True)": lambda: model.load_weights(f"{file}.h5", by_name=True),
    "load_weights(.weights.h5)": lambda: model.load_weights(f"{file}.weights.h5"),
    ".safetensors": by_safetensors,
}
for way, load in ways.items():
    draw(model, 2)
    assert np.abs(np.asarray(model(x, training=False)) - expected).max() > 1e-3, "nothing to compare"
    load()
    difference = np.abs(np.asarray(model(x, training=False)) - expected).max()
    print(f"{net}, {way}: {difference:.1e} from the net that it was")
    assert difference == 0, way
