"""Records what Keras computes with a model, for `bantam import --check`.

usage: record.py MODEL.h5|MODEL.keras INPUT.npy OUTPUT.npy [SIZE] what a model gives for random numbers up to SIZE, 1 by default
       record.py NAME MODEL.keras INPUT.npy OUTPUT.npy            of keras.applications, which is written with random weights

The second records what the net gives in double precision, and prints how far Keras's usual single precision is from that, as
a share of the root mean square: a deep net of random weights enlarges every rounding.

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
applications = len(arguments) == 4 and not arguments[0].endswith((".h5", ".keras"))
size = 1.0
if applications:
    import keras

    keras.utils.set_random_seed(1)
    # Logits: the softmax of random weights is the same for all classes, whatever the net computes.
    model = getattr(keras.applications, arguments[0])(weights=None, classifier_activation=None)
    for variable in model.weights:
        if variable.path.endswith(("gamma", "beta")):
            low, high = (-0.1, 0.1) if variable.path.endswith("beta") else (0.8, 1.2)
            variable.assign(random.uniform(low, high, size=variable.shape))
    # Statistics are those of a batch: with those of a net that was never trained the input fades away, and the outputs are
    # those of the last biases, whatever the first layers compute.
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    model(random.uniform(-1, 1, size=(4, *model.inputs[0].shape[1:])).astype("float32"), training=True)
    for norm, momentum in zip(norms, momenta):
        norm.momentum = momentum
    model.save(arguments[1])
    arguments = arguments[1:]
else:
    model = keras_of(arguments[0]).models.load_model(arguments[0], compile=False)
    size = float(arguments[3]) if len(arguments) == 4 else size
shape = [length or 224 for length in model.inputs[0].shape[1:]]
values = random.uniform(-size, size, size=(2, *shape)).astype("float32")
outputs = np.asarray(model(values, training=False))
if applications:
    keras.config.set_floatx("float64")
    keras.config.set_dtype_policy("float64")
    double = getattr(keras.applications, sys.argv[1])(weights=None, classifier_activation=None)
    double.set_weights(model.get_weights())
    exact = np.asarray(double(values.astype("float64"), training=False))
    assert exact.dtype == np.float64
    print(np.abs(outputs - exact).max() / np.sqrt((exact**2).mean()))
    outputs = exact
np.save(arguments[1], values)
np.save(arguments[2], outputs)
