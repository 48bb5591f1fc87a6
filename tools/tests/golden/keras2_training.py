"""Trainings that Keras 2 has begun, and how it goes on.

usage: keras2_training.py FILE        with tf-keras 2.21.0, tensorflow 2.21.0 and safetensors 0.8.0

Writes FILE, keras2_training.safetensors, as keras_training.py does. `before_2.11` is in the names of those that are trained by an
optimizer as Keras had it until 2.10, which lists what it remembers otherwise.
"""

import io
import os
import sys
import tempfile
import zipfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import numpy as np
import tf_keras as keras
from safetensors.numpy import save_file

L, O, old = keras.layers, keras.optimizers, keras.optimizers.legacy
random = np.random.default_rng(19)
x = random.normal(size=(6, 4, 4, 2)).astype("float32")
y = random.normal(size=(6, 2)).astype("float32")
arrays = {"x": x, "y": y}


def net():
    """Branches, a model in a model, and a layer that does not learn. No normalisation: Keras 2 has another moving variance."""
    image = keras.Input((4, 4, 2), name="image")
    map = L.Conv2D(3, 3, activation="tanh", name="conv")(image)
    flat = L.Flatten(name="flat")(map)
    inner = keras.Sequential([keras.Input((12,)), L.Dense(3, name="first", activation="tanh"), L.Dense(4, name="second")], name="inner")
    fixed = L.Dense(4, name="fixed", trainable=False)(flat)
    both = L.Add(name="sum")([inner(flat), L.Dense(4, name="short")(flat), fixed])
    model = keras.Model(image, L.Dense(2, name="last")(both), name="net")
    for variable in model.weights:
        variable.assign(random.normal(size=variable.shape) * 0.4)
    return model


cases = {
    "sgd": O.SGD(0.05),
    "momentum": O.SGD(0.05, momentum=0.9, nesterov=True, clipvalue=0.1),
    "rmsprop": O.RMSprop(0.01, momentum=0.5, centered=True),
    "adam": O.Adam(0.01, amsgrad=True, global_clipnorm=0.5),
    "adam_by_schedule": O.Adam(O.schedules.CosineDecay(0.02, 10)),
    "adamw": O.AdamW(0.01, weight_decay=0.1, use_ema=True, ema_momentum=0.8),
    "nadam": O.Nadam(0.01),
    "adamax": O.Adamax(0.01),
    "adagrad": O.Adagrad(0.05),
    "lion": O.Lion(0.01),
    "new": O.Adam(0.01),
    "sgd_before_2.11": old.SGD(0.05, decay=0.1),
    "momentum_before_2.11": old.SGD(0.05, momentum=0.9, nesterov=True, clipvalue=0.1),
    "rmsprop_before_2.11": old.RMSprop(0.01, momentum=0.5, centered=True),
    "adam_before_2.11": old.Adam(0.01, amsgrad=True, clipnorm=0.5),
    "adamax_before_2.11": old.Adamax(0.01),
    "adagrad_before_2.11": old.Adagrad(0.05),
}
for name, optimizer in cases.items():
    model = net()
    model.compile(optimizer, loss="mse")
    for _ in range(0 if name == "new" else 3):
        model.train_on_batch(x, y)
    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "net.h5")
        model.save(file)
        with open(file, "rb") as saved:
            saved = saved.read()
    small = io.BytesIO()
    with zipfile.ZipFile(small, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("net.h5"), saved, zipfile.ZIP_DEFLATED, 9)
    arrays[f"{name}/file"] = np.frombuffer(small.getvalue(), "uint8")
    for _ in range(3):
        model.train_on_batch(x, y)
    if getattr(optimizer, "use_ema", False):
        optimizer.finalize_variable_values(model.trainable_variables)
    for layer in [*model.layers, *model.get_layer("inner").layers]:
        for variable in layer.weights if layer.name != "inner" else []:
            arrays[f"{name}/after/{layer.name}/{variable.name.split('/')[-1].removesuffix(':0')}"] = np.asarray(variable)

save_file(arrays, sys.argv[1])
