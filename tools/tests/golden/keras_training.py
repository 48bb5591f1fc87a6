"""Trainings that Keras has begun, and how it goes on.

usage: keras_training.py FILE        with keras 3.15.1, tensorflow 2.21.0 and safetensors 0.8.0

Writes FILE, keras_training.safetensors: the samples `x` and `y` of the one batch that all learn; for each NAME the bytes of a model
with its optimizer after three steps, NAME/file, and its weights three steps later, NAME/after/LAYER/ARRAY. Archives are compressed,
which Keras does not do, and a .h5 is put into one, so that they take less room here.
"""

import io
import os
import sys
import tempfile
import zipfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import keras
import numpy as np
from safetensors.numpy import save_file

L, O = keras.layers, keras.optimizers
random = np.random.default_rng(17)
x = random.normal(size=(6, 4, 4, 2)).astype("float32")
y = random.normal(size=(6, 2)).astype("float32")
arrays = {"x": x, "y": y}


def net():
    """Branches, a model in a model, a layer that does not learn, and a normalisation that learns one of its two."""
    image = keras.Input((4, 4, 2), name="image")
    # No bias in front of a normalisation: its gradient is what rounding leaves.
    map = L.BatchNormalization(name="bn", scale=False)(L.Conv2D(3, 2, use_bias=False, name="conv")(image))
    flat = L.Flatten(name="flat")(L.Activation("tanh", name="bent")(map))
    inner = keras.Sequential([keras.Input((27,)), L.Dense(3, name="first", activation="tanh"), L.Dense(4, name="second")], name="inner")
    fixed = L.Dense(4, name="fixed", trainable=False)(flat)
    both = L.Add(name="sum")([inner(flat), L.Dense(4, name="short")(flat), fixed])
    model = keras.Model(image, L.Dense(2, name="last")(both), name="net")
    for variable in model.weights:
        if "variance" not in variable.path:
            variable.assign(random.normal(size=variable.shape) * 0.4)
    return model


cases = {
    "sgd": O.SGD(0.05),
    "momentum": O.SGD(0.05, momentum=0.9, nesterov=True, clipvalue=0.1),
    "rmsprop": O.RMSprop(0.01, momentum=0.5, centered=True),
    "rmsprop.h5": O.RMSprop(0.01, momentum=0.5, centered=True),
    "adam": O.Adam(0.01, amsgrad=True, global_clipnorm=0.5),
    "adam_by_schedule": O.Adam(O.schedules.CosineDecay(0.02, 10)),
    "adam_by_steps": O.Adam(O.schedules.PiecewiseConstantDecay([2, 4], [0.02, 0.01, 0.005])),
    "adam.h5": O.Adam(0.01, clipnorm=0.5),
    "adamw": O.AdamW(0.01, weight_decay=0.1, use_ema=True, ema_momentum=0.8),
    "nadam": O.Nadam(0.01),
    "adamax": O.Adamax(0.01),
    "adagrad": O.Adagrad(0.05),
    "lion": O.Lion(0.01),
    "new": O.Adam(0.01),
}
for name, optimizer in cases.items():
    model = net()
    model.compile(optimizer, loss="mse", jit_compile=False)
    steps = 0 if name == "new" else 3
    for _ in range(steps):
        model.train_on_batch(x, y)
    if name == "sgd":
        # The rate in the configuration is another.
        model.optimizer.learning_rate.assign(0.02)
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "net.h5" if name.endswith(".h5") else "net.keras")
        model.save(file)
        with open(file, "rb") as saved:
            saved = saved.read()
    if name.endswith(".h5"):
        parts = {"net.h5": saved}
    else:
        with zipfile.ZipFile(io.BytesIO(saved)) as whole:
            parts = {part: whole.read(part) for part in whole.namelist()}
    small = io.BytesIO()
    with zipfile.ZipFile(small, "w", zipfile.ZIP_DEFLATED) as archive:
        for part, contents in parts.items():
            archive.writestr(zipfile.ZipInfo(part), contents, zipfile.ZIP_DEFLATED, 9)
    arrays[f"{name}/file"] = np.frombuffer(small.getvalue(), "uint8")
    for _ in range(3):
        model.train_on_batch(x, y)
    if optimizer.use_ema:
        optimizer.finalize_variable_values(model.trainable_variables)
    for layer in [*model.layers, *model.get_layer("inner").layers]:
        for variable in layer.weights if layer.name != "inner" else []:
            arrays[f"{name}/after/{layer.name}/{variable.name}"] = np.asarray(variable)

save_file(arrays, sys.argv[1])
