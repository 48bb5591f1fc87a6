"""Writes keras_optimizers.safetensors: steps of optimizers and values of schedules as Keras 3 computes them.

Keras computes in double precision with TensorFlow, from numbers that are exact in f32; the results are rounded to f32.
For each optimizer `NAME/weights`, 2 arrays one after the other, after each of 50 steps, and `NAME/final`, as
`finalize_variable_values` leaves them. The arrays, `layer/kernel` and `layer/bias`, begin as `initial`, and their
gradients are `gradients`, a row a step; a few are zero, a few large. For each schedule `schedule.NAME`, the rate of each
step; `plateau.NAME`: the rate in each epoch, by the losses `plateau`.
The metadata has the versions and under `case.NAME` each case's configuration.

usage: python engine/tests/golden/keras_optimizers.py
needs Python 3.11 with: keras==3.15.1 tensorflow-cpu==2.21.0 numpy==2.4.6 safetensors==0.8.0"""

import math
import os
import pathlib
from typing import Any

os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")

import keras
import numpy as np
import safetensors.numpy
import tensorflow as tf
from keras import optimizers
from keras.optimizers import schedules
from keras_layers import exact, in_order

STEPS = 50
SHAPES = {"kernel": (3, 5), "bias": (4,)}


def number(x: float) -> np.float64:
    """The nearest that is exact in f32; a double for TensorFlow, which Python's own numbers are not."""
    return np.float64(np.float32(x))


def numbers(arguments: dict[str, Any]) -> dict[str, Any]:
    def exactly(x: Any) -> Any:
        if isinstance(x, list):
            return [exactly(y) for y in x]
        return number(x) if isinstance(x, float) else x

    return {key: exactly(x) for key, x in arguments.items()}


def shown(kind: str, arguments: dict[str, Any]) -> str:
    return f"{kind}({', '.join(f'{key}={x!r}' for key, x in arguments.items())})"


def cosine() -> Any:
    return schedules.CosineDecay(
        **numbers({"initial_learning_rate": 0.001, "decay_steps": 30, "warmup_target": 0.05, "warmup_steps": 10})
    )


OPTIMIZERS: dict[str, tuple[type, dict[str, Any]]] = {
    "sgd": (optimizers.SGD, {}),
    "sgd_momentum": (optimizers.SGD, {"momentum": 0.9}),
    "sgd_nesterov": (optimizers.SGD, {"momentum": 0.9, "nesterov": True}),
    "rmsprop": (optimizers.RMSprop, {}),
    "rmsprop_momentum": (optimizers.RMSprop, {"momentum": 0.8}),
    "rmsprop_centered": (optimizers.RMSprop, {"centered": True}),
    "rmsprop_centered_momentum": (optimizers.RMSprop, {"centered": True, "momentum": 0.8}),
    "adagrad": (optimizers.Adagrad, {}),
    "adam": (optimizers.Adam, {}),
    "adam_amsgrad": (optimizers.Adam, {"amsgrad": True}),
    "adamw": (optimizers.AdamW, {}),
    "adamax": (optimizers.Adamax, {}),
    "nadam": (optimizers.Nadam, {}),
    "lion": (optimizers.Lion, {}),
    "sgd_decay": (optimizers.SGD, {"weight_decay": 0.5}),
    "adam_decay_no_bias": (optimizers.Adam, {"weight_decay": 0.25}),
    "sgd_clipvalue": (optimizers.SGD, {"learning_rate": 0.1, "clipvalue": 0.5}),
    "sgd_clipnorm": (optimizers.SGD, {"learning_rate": 0.1, "clipnorm": 2.0}),
    "sgd_global_clipnorm": (optimizers.SGD, {"learning_rate": 0.1, "global_clipnorm": 2.0}),
    "sgd_ema": (optimizers.SGD, {"learning_rate": 0.1, "use_ema": True, "ema_momentum": 0.9}),
    "adam_ema_overwrite": (
        optimizers.Adam,
        {"learning_rate": 0.1, "use_ema": True, "ema_momentum": 0.75, "ema_overwrite_frequency": 7},
    ),
    "adamw_schedule_clip_ema": (
        optimizers.AdamW,
        {"learning_rate": cosine, "weight_decay": 0.25, "global_clipnorm": 1.5, "use_ema": True, "ema_momentum": 0.9},
    ),
}

FALL = {"initial_learning_rate": 0.1, "decay_steps": 30, "decay_rate": 0.8}
LINE = {"initial_learning_rate": 0.1, "decay_steps": 150}
WAVES = {"initial_learning_rate": 0.1, "first_decay_steps": 50}
STAIRS = {"staircase": True}
PIECES = {"boundaries": [40, 100, 101], "values": [0.5, 0.1, 0.02, 0.01]}
WARM = {"initial_learning_rate": 0.001, "warmup_target": 0.1, "warmup_steps": 40}
SCHEDULES: dict[str, tuple[type, dict[str, Any], int]] = {
    "piecewise_constant": (schedules.PiecewiseConstantDecay, PIECES, 200),
    "exponential": (schedules.ExponentialDecay, FALL, 500),
    "exponential_staircase": (schedules.ExponentialDecay, FALL | STAIRS, 500),
    "inverse_time": (schedules.InverseTimeDecay, FALL, 500),
    "inverse_time_staircase": (schedules.InverseTimeDecay, FALL | STAIRS, 500),
    "polynomial": (schedules.PolynomialDecay, LINE, 300),
    "polynomial_power": (schedules.PolynomialDecay, LINE | {"end_learning_rate": 0.01, "power": 1.5}, 300),
    "polynomial_cycle": (schedules.PolynomialDecay, LINE | {"decay_steps": 70, "power": 2.0, "cycle": True}, 400),
    "cosine": (schedules.CosineDecay, LINE | {"alpha": 0.125}, 300),
    "cosine_warmup": (schedules.CosineDecay, LINE | WARM, 300),
    "cosine_restarts": (schedules.CosineDecayRestarts, WAVES, 800),
    "cosine_restarts_even": (schedules.CosineDecayRestarts, WAVES | {"t_mul": 1.0, "m_mul": 0.75, "alpha": 0.125}, 400),
    "cosine_restarts_slow": (
        schedules.CosineDecayRestarts,
        WAVES | {"first_decay_steps": 64, "t_mul": 1.5, "m_mul": 0.5},
        800,
    ),
}

PLATEAUS: dict[str, dict[str, Any]] = {
    **{f"cooldown{c}": {"factor": 0.5, "patience": 2, "cooldown": c, "min_delta": 0.001} for c in range(4)},
    "patience1": {"factor": 0.25, "patience": 1, "min_lr": 0.0005},
    "patience0": {"factor": 0.5, "patience": 0, "min_delta": 0.0},
    "defaults": {},
}


def run(name: str, initial: dict[str, np.ndarray], gradients: np.ndarray) -> dict[str, np.ndarray]:
    kind, arguments = OPTIMIZERS[name]
    arguments = {k: x() if callable(x) else x for k, x in numbers(arguments).items()}
    # The defaults too are made exact in f32.
    defaults = {key: x for key, x in kind().get_config().items() if isinstance(x, float)}
    optimizer = kind(**numbers(defaults) | arguments)
    variables = [keras.Variable(array, name=key) for key, array in initial.items()]
    if name.endswith("no_bias"):
        optimizer.exclude_from_weight_decay(var_names=["bias"])
    optimizer.build(variables)
    split = math.prod(SHAPES["kernel"])
    rows = []
    for row in gradients:
        parts = [row[:split].reshape(SHAPES["kernel"]), row[split:].reshape(SHAPES["bias"])]
        optimizer.apply([tf.constant(part) for part in parts])
        rows.append(np.concatenate([variable.numpy().ravel() for variable in variables]))
    optimizer.finalize_variable_values(variables)
    final = np.concatenate([variable.numpy().ravel() for variable in variables])
    return {f"{name}/weights": np.stack(rows), f"{name}/final": final}


def plateau(losses: np.ndarray, arguments: dict[str, Any]) -> np.ndarray:
    """The rate of each epoch, from the callback alone."""

    class Stub:
        optimizer = optimizers.SGD(number(0.01))

    callback = keras.callbacks.ReduceLROnPlateau(monitor="loss", **numbers(arguments))
    callback.set_model(Stub())
    callback.on_train_begin()
    rates = []
    for epoch, loss in enumerate(losses):
        rates.append(float(Stub.optimizer.learning_rate))
        callback.on_epoch_end(epoch, {"loss": loss})
    return np.array(rates)


def main() -> None:
    keras.config.set_floatx("float64")
    rng = np.random.default_rng(15)
    initial = {key: exact(rng.standard_normal(shape)) for key, shape in SHAPES.items()}
    count = sum(array.size for array in initial.values())
    gradients = rng.standard_normal((STEPS, count)) * rng.choice([1.0, 1e-3, 10.0], (STEPS, 1))
    gradients[:, 3] = 0.0
    gradients[20:, 4] = 0.0
    gradients[:, 5] *= 1e-4
    gradients = exact(gradients)
    flat = np.concatenate([array.ravel() for array in initial.values()])
    tensors = {"initial": flat, "gradients": gradients}
    metadata = {"keras": keras.__version__, "backend": f"{keras.config.backend()} {tf.__version__}"}
    for name, (kind, arguments) in OPTIMIZERS.items():
        named = {key: "cosine_warmup" if callable(x) else x for key, x in arguments.items()}
        metadata[f"case.{name}"] = shown(kind.__name__, named)
        tensors |= run(name, initial, gradients)
    for name, (kind, arguments, steps) in SCHEDULES.items():
        metadata[f"case.schedule.{name}"] = shown(kind.__name__, arguments)
        arguments = numbers(arguments)
        if kind is schedules.PolynomialDecay:
            arguments.setdefault("end_learning_rate", number(0.0001))
        schedule = kind(**arguments)
        tensors[f"schedule.{name}"] = np.array([float(schedule(step)) for step in range(steps)])
    losses = [1.0, 0.9, 0.9, 0.9, 0.9, 0.89985, 0.85, 0.85, 0.86, 0.9, 0.9, 0.7, 0.7, 0.7, 0.7] + [0.7] * 15
    tensors["plateau"] = exact(np.array(losses))
    for name, arguments in PLATEAUS.items():
        metadata[f"case.plateau.{name}"] = shown("ReduceLROnPlateau", arguments)
        tensors[f"plateau.{name}"] = plateau(tensors["plateau"], arguments)
    tensors = {name: tensor.astype(np.float32) for name, tensor in tensors.items()}
    file = pathlib.Path(__file__).with_suffix(".safetensors")
    file.write_bytes(in_order(safetensors.numpy.save(tensors, metadata)))


if __name__ == "__main__":
    main()
