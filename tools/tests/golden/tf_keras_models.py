"""Models and weights as Keras 2 writes them, and what the models give.

usage: tf_keras_models.py FOLDER        with tf-keras 2.21.0 and tensorflow 2.21.0

Writes FOLDER/keras2_*.h5, *.keras and tf_keras_models.safetensors, as keras_models.py does for Keras 3.
"""

import os
import sys
import zipfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np
import tf_keras as keras
from safetensors.numpy import save_file

L = keras.layers
folder = sys.argv[1]
random = np.random.default_rng(18)
arrays = {}


def draw(model):
    for variable in model.weights:
        values = random.normal(size=variable.shape) * 0.5
        if "variance" in variable.name:
            values = values**2 + 0.5
        variable.assign(values)


def record(name, model, samples=2):
    values = random.normal(size=(samples, *model.inputs[0].shape[1:])).astype("float32")
    arrays[f"{name}/input/0"] = values
    arrays[f"{name}/output/0"] = np.asarray(model(values, training=False), "float32")


def path(file):
    return os.path.join(folder, file)


# Frozen layers of a model in a model are last in its group, where equal shapes would change places; names are those of Keras 2,
# its calls begin with 1, its hard sigmoid is another, and operators are functions of TensorFlow.
def model(top):
    inner = keras.Sequential(
        [
            keras.Input((6, 6, 3)),
            L.Conv2D(3, 3, padding="same", activation=L.ReLU(6.0), name="frozen", trainable=False),
            L.BatchNormalization(name="bn"),
            L.Conv2D(3, 3, padding="same", name="free"),
            L.DepthwiseConv2D(3, name="depthwise"),
        ],
        name="inner",
    )
    image = keras.Input((6, 6, 3), name="image")
    x = L.Conv2D(3, 1, activation="hard_sigmoid", name="gate")(inner(image / 2.0 - 1.0))
    x = L.LeakyReLU(alpha=0.2, name="leaky")(x * 2.0)
    x = L.Bidirectional(L.LSTM(4, name="lstm"), name="both")(L.Reshape((-1, 3), name="series")(x))
    return keras.Model(image, L.Dense(top, activation="softmax", name="head")(x), name="whole")


whole = model(3)
draw(whole)
record("keras2_nested", whole)
whole.save(path("keras2_nested.h5"))

# The layout of Keras 3 without names.
flat = keras.Sequential(
    [
        keras.Input((6, 6, 2)),
        L.Conv2D(3, 3, name="a"),
        L.BatchNormalization(name="b"),
        L.Conv2D(3, 1, name="c"),
        L.Flatten(name="d"),
        L.Dense(4, name="e", activation="relu"),
        L.Dense(2, name="f"),
    ],
    name="flat",
)
draw(flat)
record("keras2_flat", flat)
flat.save_weights(path("keras2_flat.weights.h5"))
# As keras.applications has them.
flat.save_weights(path("keras2_flat.h5"))
flat.save(path("keras2_flat.keras"))
with zipfile.ZipFile(path("keras2_flat.keras")) as archive:
    parts = {part: archive.read(part) for part in archive.namelist()}
with zipfile.ZipFile(path("keras2_flat.keras"), "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
    for part, content in parts.items():
        archive.writestr(zipfile.ZipInfo(part), content, zipfile.ZIP_DEFLATED)

# Layers within others: sides of a `Bidirectional`, one for each step, and a name that an inner model has too.
def wrapped():
    inner = keras.Sequential([keras.Input((6, 3)), L.Conv1D(3, 1, name="conv")], name="inner")
    middle = keras.Sequential([keras.Input((6, 3)), inner], name="middle")
    series = keras.Input((6, 3), name="series")
    x = L.Conv1D(3, 1, name="conv")(1.0 - middle(series))
    x = L.TimeDistributed(L.Dense(4, activation="tanh", name="step"), name="steps")(x)
    x = L.Bidirectional(L.GRU(3, name="gru"), name="both")(x)
    return keras.Model(series, L.Dense(2, name="head")(x), name="wrapped")


model = wrapped()
draw(model)
record("keras2_wrapped", model)
model.save(path("keras2_wrapped.h5"))

save_file(arrays, path("tf_keras_models.safetensors"))
