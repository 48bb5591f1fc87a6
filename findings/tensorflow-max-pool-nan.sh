#!/usr/bin/env bash
# TensorFlow 2.21.0 on the CPU, NumPy 2.4.6, Python 3.11 to 3.13, Linux x86-64; seen 2026-11-29.
#
# Behaviour: `tf.nn.max_pool2d` drops a NaN wherever it lies in a window. `tf.nn.max_pool_with_argmax`, which gives the same
# maxima and their places, drops it too, unless it is the first of its window: then the result is NaN. `tf.reduce_max` over
# the same numbers gives NaN in any case.
#
# The guess that misses: that a maximum passes NaN on, as `tf.reduce_max`, NumPy and PyTorch do, or at least that both pools
# treat it alike.
#
# Who is hurt: whoever looks for NaN behind a pool, where a net that has diverged looks sound; and whoever takes one of the
# two pools as the other's reference, or as that of an engine of their own.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet tensorflow-cpu==2.21.0 numpy==2.4.6
TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - <<'PYTHON'
import numpy as np
import tensorflow as tf

print("TensorFlow", tf.__version__, "NumPy", np.__version__)
print("place of the NaN: max_pool2d, max_pool_with_argmax, reduce_max")
seen = []
for place in range(4):
    window = np.ones(4, np.float32)
    window[place] = np.nan
    image = window.reshape(1, 2, 2, 1)
    pooled = tf.nn.max_pool2d(image, 2, 2, "VALID").numpy().item()
    with_argmax = tf.nn.max_pool_with_argmax(image, 2, 2, "VALID")[0].numpy().item()
    reduced = tf.reduce_max(image).numpy().item()
    print(f"{place}: {pooled}, {with_argmax}, {reduced}")
    seen.append([bool(np.isnan(x)) for x in (pooled, with_argmax, reduced)])
expected = [[False, place == 0, True] for place in range(4)]
assert seen == expected, f"it behaves otherwise now: {seen}"
PYTHON
