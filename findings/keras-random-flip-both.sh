#!/usr/bin/env bash
# Keras 3.15.1 on TensorFlow 2.21.0, Python 3.11 to 3.13, Linux x86-64; seen 2026-11-30.
#
# Behaviour: `RandomFlip("horizontal_and_vertical")`, which is also the mode of `RandomFlip()`, draws once for an image and not once for each axis. An
# image comes out as it was or turned by 180 degrees, each in half of the cases. It is never mirrored along one axis alone.
#
# The guess that misses: that the two axes are drawn apart, so that each of the four pictures comes in a quarter of the cases,
# as two layers in a row, `RandomFlip("horizontal")` and `RandomFlip("vertical")`, give them.
#
# Who is hurt: whoever augments pictures that have no up and no left, from microscopes or satellites: a net sees two of the four
# pictures of each, and no mirrored one at all. Nothing tells.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet keras==3.15.1 tensorflow-cpu==2.21.0
KERAS_BACKEND=tensorflow TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - <<'PYTHON'
from collections import Counter

import keras
import numpy as np

print("Keras", keras.__version__)
NAMES = {(0, 1, 2, 3): "as it was", (1, 0, 3, 2): "mirrored", (2, 3, 0, 1): "upside down", (3, 2, 1, 0): "both"}
images = np.repeat(np.arange(4, dtype="float32").reshape(1, 2, 2, 1), 400, axis=0)


def seen(*layers):
    """How often each picture comes out of 400."""
    pictures = images
    for layer in layers:
        pictures = layer(pictures, training=True)
    counts = Counter(NAMES[tuple(int(x) for x in np.ravel(picture))] for picture in np.asarray(pictures))
    return {name: counts[name] for name in NAMES.values()}


at_once = seen(keras.layers.RandomFlip("horizontal_and_vertical", seed=1))
apart = seen(keras.layers.RandomFlip("horizontal", seed=1), keras.layers.RandomFlip("vertical", seed=2))
print("one layer: ", at_once)
print("two layers:", apart)
assert min(apart.values()) > 60, "two layers behave otherwise now"
assert at_once["mirrored"] == at_once["upside down"] == 0, "one layer draws for each axis now"
assert min(at_once["as it was"], at_once["both"]) > 140, "one layer behaves otherwise now"
PYTHON
