#!/usr/bin/env bash
# Keras 3.15.1 on TensorFlow 2.21.0, Python 3.11 to 3.13, Linux x86-64; seen 2026-11-30.
#
# Behaviour: a layer that is used inside a nested model and outside of it makes a model that runs, trains and is saved by
# `model.save("net.keras")` without a word, and that `load_model` then refuses: "Layer 'shared' expected 2 variables, but received 0
# variables during loading". The file has the weights once, at the layer's first place, and reading wants them at each. The
# older format, `model.save("net.h5")`, saves and loads the same model.
#
# The guess that misses: that what `save` has accepted in the format that Keras recommends can be loaded by the same version.
#
# Who is hurt: whoever shares an embedding or a convolution between a sub-model and the rest, as Siamese and two-headed nets do: the
# training is over when it is found out. The weights are in the file, and a reader of HDF5 gets at them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet keras==3.15.1 tensorflow-cpu==2.21.0
cd "$folder"
KERAS_BACKEND=tensorflow TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - <<'PYTHON'
import warnings
import zipfile

import h5py
import keras
import numpy as np

print("Keras", keras.__version__)
shared = keras.layers.Dense(4, name="shared")
inside = keras.Input((4,))
nested = keras.Model(inside, shared(inside), name="nested")
x = keras.Input((4,))
model = keras.Model(x, keras.layers.add([nested(x), shared(x)]))
sample = np.ones((1, 4), "float32")
wanted = np.asarray(model(sample))

with warnings.catch_warnings():
    warnings.simplefilter("error", UserWarning)
    model.save("net.keras")
print("net.keras is saved without a warning")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    try:
        keras.models.load_model("net.keras")
    except ValueError as error:
        said = str(error)
    else:
        raise SystemExit("it can be loaded now")
print("load_model:", said.splitlines()[2])
assert "'shared' expected 2 variables, but received 0" in said, said

with zipfile.ZipFile("net.keras") as archive:
    archive.extract("model.weights.h5")
kernels = []
with h5py.File("model.weights.h5") as file:
    file.visititems(lambda name, item: kernels.append((name, item[()])) if getattr(item, "shape", 0) == (4, 4) else None)
print("kernels in the file:", [name for name, _ in kernels])
assert len(kernels) == 1 and np.array_equal(kernels[0][1], np.asarray(shared.kernel)), "the file has other weights now"

model.save("net.h5")
again = np.asarray(keras.models.load_model("net.h5")(sample))
print("net.h5 is saved, loaded, and gives the same:", np.array_equal(again, wanted))
assert np.array_equal(again, wanted), "the older format behaves otherwise now"
PYTHON
