#!/usr/bin/env bash
# Keras 3.15.1 on TensorFlow 2.21.0, Python 3.11 to 3.13, Linux x86-64; seen 2026-11-29.
#
# Behaviour: `CategoricalFocalCrossentropy(from_logits=True)` takes the softmax of the logits and keeps it 1e-7 from 0 and 1.
# Where the right class has a smaller probability, from a difference of about 16 between two logits on, the loss stays at 16.12 and
# its gradient is exactly 0. `CategoricalCrossentropy` and `BinaryFocalCrossentropy` with `from_logits=True` go on falling: the
# loss of a difference of 40 is 40, and its gradient -1.
#
# The guess that misses: that `from_logits=True` means the same in all of Keras's cross-entropies, a loss computed from the
# logits without a clip; with gamma 0 and alpha 1 the focal loss is the plain one by its definition.
#
# Who is hurt: whoever trains with it. The loss is made for samples that a net gets badly wrong, and those that it gets worst of
# all are learnt from no more, without a word.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet keras==3.15.1 tensorflow-cpu==2.21.0
KERAS_BACKEND=tensorflow TF_CPP_MIN_LOG_LEVEL=3 "$folder/venv/bin/python" - <<'PYTHON'
import keras
import tensorflow as tf

print("Keras", keras.__version__, "TensorFlow", tf.__version__)


def loss_and_gradient(loss, target, logits):
    """The loss, and its gradient to the first logit."""
    logits = tf.constant([logits])
    with tf.GradientTape() as tape:
        tape.watch(logits)
        value = loss(tf.constant([target]), logits)
    return float(value), float(tape.gradient(value, logits)[0, 0])


plain = keras.losses.CategoricalCrossentropy(from_logits=True)
focal = keras.losses.CategoricalFocalCrossentropy(alpha=1.0, gamma=0.0, from_logits=True)
binary = keras.losses.BinaryFocalCrossentropy(gamma=0.0, from_logits=True)
print("logit of the right class, the other's is 0: plain, focal, binary focal, each with its gradient")
for logit in (-15.0, -17.0, -40.0):
    seen = [
        loss_and_gradient(plain, [1.0, 0.0], [logit, 0.0]),
        loss_and_gradient(focal, [1.0, 0.0], [logit, 0.0]),
        loss_and_gradient(binary, [1.0], [logit]),
    ]
    print(logit, *(f"{value:.3f} {gradient:.3f}" for value, gradient in seen))
    (value, gradient), (clipped, none), (other, its) = seen
    assert abs(value + logit) < 0.01 and abs(other + logit) < 0.01, "the other losses behave otherwise now"
    assert gradient < -0.99 and its < -0.99, "the other losses behave otherwise now"
    if logit < -16.2:
        assert abs(clipped - 16.118) < 0.01 and none == 0.0, "the focal loss behaves otherwise now"
    else:
        assert abs(clipped - value) < 0.01 and none < -0.99, "the focal loss behaves otherwise now"
PYTHON
