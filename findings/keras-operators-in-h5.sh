#!/usr/bin/env bash
# Keras 3.15.1 on TensorFlow 2.21.0, Python 3.11 to 3.13, Linux x86-64; seen 2026-11-30.
#
# Behaviour: a functional model that is written with operators, as `a + b`, `2.0 * a` or `keras.ops.relu(a)`, is saved by
# `model.save("net.h5")`, and `load_model` cannot read the file: "too many positional arguments", "Only input tensors may be passed as
# positional arguments", "Unknown layer: 'Relu'". With layers, `keras.layers.add([a, b])`, the same model is saved and loaded, and
# `net.keras` keeps operators.
#
# The guess that misses: that `.h5` is merely the older of two formats that both keep whole functional models, as it did with
# the operators of Keras 2; and that `save` would refuse what `load_model` cannot take.
#
# Who is hurt: whoever saves to `.h5` for tools that read nothing else, and keeps no other copy: training is over when it is
# found out. The weights are in the file; the model must be built again by its source.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet keras==3.15.1 tensorflow-cpu==2.21.0
cd "$folder"
KERAS_BACKEND=tensorflow TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - <<'PYTHON'
import keras
import numpy as np

print("Keras", keras.__version__)
joins = {
    "a + b": (lambda a, b: a + b, "too many positional arguments"),
    "2.0 * a": (lambda a, b: 2.0 * a, "Only input tensors may be passed as positional arguments"),
    "keras.ops.relu(a)": (lambda a, b: keras.ops.relu(a), "Unknown layer: 'Relu'"),
    "keras.layers.add([a, b])": (lambda a, b: keras.layers.add([a, b]), None),
}
sample = np.ones((1, 4), "float32")
for text, (join, refusal) in joins.items():
    x = keras.Input((4,))
    model = keras.Model(x, join(keras.layers.Dense(3)(x), keras.layers.Dense(3)(x)))
    for file in ("net.keras", "net.h5"):
        model.save(file)
        try:
            same = np.array_equal(keras.models.load_model(file)(sample), model(sample))
            said = None
        except (TypeError, ValueError) as error:
            said = str(error)
        print(f"{text:26} {file:10}", "the same" if said is None else said[:60])
        if file == "net.h5" and refusal:
            assert said is not None and refusal in said, "it behaves otherwise now"
        else:
            assert said is None and same, "it behaves otherwise now"
PYTHON
