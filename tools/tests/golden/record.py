"""Records what Keras computes with a model, for `bantam import --check`.

usage: record.py MODEL.h5|MODEL.keras INPUT.npy OUTPUT.npy        what a model gives for random numbers
       record.py NAME MODEL.keras INPUT.npy OUTPUT.npy            of keras.applications, which is written with random weights

With keras 3.15.1 and tensorflow 2.21.0; files of Keras 2 with tf-keras 2.21.0 beside, where it is installed.
"""

import os
import sys

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import h5py
import numpy as np


def keras_of(path):
    """The Keras that has written a file."""
    if path.endswith(".h5"):
        with h5py.File(path) as file:
            if str(file.attrs.get("keras_version", "2")).startswith("2"):
                import tf_keras

                return tf_keras
    import keras

    return keras


random = np.random.default_rng(1)
arguments = sys.argv[1:]
if len(arguments) == 4:
    import keras

    model = getattr(keras.applications, arguments[0])(weights=None)
    for variable in model.weights:
        # As a trained net's statistics are not: those of a net that was never trained hide what is wrong with them.
        if "moving_" in variable.path:
            low, high = (-0.1, 0.1) if "mean" in variable.path else (0.8, 1.2)
            variable.assign(random.uniform(low, high, size=variable.shape))
    model.save(arguments[1])
    arguments = arguments[1:]
else:
    model = keras_of(arguments[0]).models.load_model(arguments[0], compile=False)
shape = [size or 224 for size in model.inputs[0].shape[1:]]
values = random.uniform(-1, 1, size=(2, *shape)).astype("float32")
np.save(arguments[1], values)
np.save(arguments[2], np.asarray(model(values, training=False), "float32"))
