"""Writes keras_losses.safetensors: losses with their gradients, metrics, and short trainings, as Keras 3 computes them.

Keras computes in double precision with TensorFlow on numbers that are exact in f32; the results are rounded to f32.
For each loss: `NAME/output`, `NAME/target`, perhaps `NAME/weight`, one for each sample, and the results `NAME/loss` and
`NAME/d_output`. For each metric, which is in single precision as usual: `NAME/output`, `NAME/target`, perhaps
`NAME/weight`, and `NAME/result`. For each training `NAME/input`, `NAME/target`, perhaps `NAME/weight`, the weights before
and after as `NAME/before.LAYER.VARIABLE` and `NAME/after.LAYER.VARIABLE`, and `NAME/losses`: of each epoch, of which each
is one step, and of an evaluation afterwards.
The metadata has the versions and under `case.NAME` each case's configuration.

usage: python engine/tests/golden/keras_losses.py
needs Python 3.11 with: keras==3.15.1 tensorflow-cpu==2.21.0 numpy==2.4.6 safetensors==0.8.0"""

import pathlib
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

from keras_layers import Tensors, exact, in_order, keras, np, safetensors, tf

ROW = (6, 5)
MAP = (2, 3, 4, 5)
PIXELS = (3, 4, 5, 1)
# Where exponentials leave f32, on both sides.
EXTREMES = [200.0, -200.0, 100.0, -100.0, 0.0]
# No probabilities at all, and some that are cut off.
EDGES = [0.0, 1.0, 1e-9, 1e-30, 0.5]

Shape = tuple[int, ...]
Make = Callable[[np.random.Generator, Shape], np.ndarray]


def logits(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return 2.0 * rng.standard_normal(shape)


def extreme(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    x = logits(rng, shape)
    x[0], x[1, :2] = EXTREMES, [1000.0, -1000.0]
    return x


def probabilities(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    x = np.exp(logits(rng, shape))
    return x / x.sum(-1, keepdims=True)


def edges(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    x = probabilities(rng, shape)
    x[0] = EDGES
    return x


def shares(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return rng.uniform(0.0, 1.0, shape)


def labels(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return rng.integers(0, shape[-1], shape[:-1]).astype(float)


def one_hot(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return np.eye(shape[-1])[labels(rng, shape).astype(int)]


def zeros_ones(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return rng.integers(0, 2, shape).astype(float)


def sides(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return 2.0 * zeros_ones(rng, shape) - 1.0


def counts(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return rng.integers(0, 7, shape).astype(float)


def thresholds(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    """Those of the area under a curve, rounded."""
    return np.linspace(0.0, 1.0, 200).reshape(shape)


def ties(rng: np.random.Generator, shape: Shape) -> np.ndarray:
    return np.zeros(shape)


class Case(NamedTuple):
    name: str
    build: Callable[..., Any]
    outputs: Make
    targets: Make
    arguments: dict[str, Any] = {}
    shape: Shape = ROW
    weighted: bool = False

    def description(self) -> str:
        return f"{self.build.__name__}({', '.join(f'{k}={v!r}' for k, v in self.arguments.items())})"

    def data(self) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        rng = np.random.default_rng(zlib.crc32(self.name.encode()))
        outputs, targets = exact(self.outputs(rng, self.shape)), exact(self.targets(rng, self.shape))
        weights = exact(rng.uniform(0.0, 3.0, self.shape[0])) if self.weighted else None
        return outputs, targets, weights


L = keras.losses
LOGITS = {"from_logits": True}
SMOOTH = {"label_smoothing": 0.1}
LOSSES = [
    Case("categorical_logits", L.CategoricalCrossentropy, logits, one_hot, LOGITS),
    Case("categorical_logits_shares", L.CategoricalCrossentropy, logits, probabilities, LOGITS),
    Case("categorical_logits_extreme", L.CategoricalCrossentropy, extreme, one_hot, LOGITS),
    Case("categorical_logits_smooth", L.CategoricalCrossentropy, logits, one_hot, LOGITS | SMOOTH),
    Case("categorical_logits_map", L.CategoricalCrossentropy, logits, one_hot, LOGITS | SMOOTH, MAP, True),
    Case("categorical_probabilities", L.CategoricalCrossentropy, probabilities, one_hot),
    Case("categorical_probabilities_edges", L.CategoricalCrossentropy, edges, probabilities, SMOOTH, weighted=True),
    Case("sparse_logits", L.SparseCategoricalCrossentropy, logits, labels, LOGITS),
    Case("sparse_logits_extreme", L.SparseCategoricalCrossentropy, extreme, labels, LOGITS, weighted=True),
    Case("sparse_logits_map", L.SparseCategoricalCrossentropy, logits, labels, LOGITS, MAP, True),
    Case("sparse_probabilities", L.SparseCategoricalCrossentropy, probabilities, labels),
    Case("binary_logits", L.BinaryCrossentropy, logits, zeros_ones, LOGITS),
    Case("binary_logits_shares", L.BinaryCrossentropy, logits, shares, LOGITS, weighted=True),
    Case("binary_logits_extreme", L.BinaryCrossentropy, extreme, zeros_ones, LOGITS),
    Case("binary_logits_smooth", L.BinaryCrossentropy, logits, zeros_ones, LOGITS | SMOOTH, PIXELS, True),
    Case("binary_probabilities", L.BinaryCrossentropy, shares, zeros_ones, SMOOTH),
    Case("binary_probabilities_edges", L.BinaryCrossentropy, edges, zeros_ones, weighted=True),
    Case("categorical_focal_logits", L.CategoricalFocalCrossentropy, logits, one_hot, LOGITS),
    Case(
        "categorical_focal_logits_map",
        L.CategoricalFocalCrossentropy,
        logits,
        one_hot,
        LOGITS | SMOOTH | {"alpha": 0.6, "gamma": 0.5},
        MAP,
        True,
    ),
    Case("categorical_focal_probabilities", L.CategoricalFocalCrossentropy, probabilities, one_hot),
    Case("categorical_focal_probabilities_edges", L.CategoricalFocalCrossentropy, edges, probabilities, weighted=True),
    Case("binary_focal_logits", L.BinaryFocalCrossentropy, logits, zeros_ones, LOGITS),
    Case(
        "binary_focal_logits_balanced",
        L.BinaryFocalCrossentropy,
        logits,
        zeros_ones,
        LOGITS | SMOOTH | {"apply_class_balancing": True, "alpha": 0.3, "gamma": 1.5},
        MAP,
        True,
    ),
    Case("binary_focal_probabilities", L.BinaryFocalCrossentropy, shares, shares, {"apply_class_balancing": True}),
    Case("mean_squared_error", L.MeanSquaredError, logits, logits),
    Case("mean_squared_error_map", L.MeanSquaredError, logits, logits, shape=MAP, weighted=True),
    Case("mean_absolute_error", L.MeanAbsoluteError, logits, logits, weighted=True),
    Case("mean_absolute_error_ties", L.MeanAbsoluteError, ties, ties),
    Case("huber", L.Huber, logits, logits),
    Case("huber_delta", L.Huber, logits, logits, {"delta": 0.25}, MAP, True),
    Case("hinge", L.Hinge, logits, sides),
    Case("hinge_zeros_ones", L.Hinge, logits, zeros_ones, weighted=True),
    Case("squared_hinge", L.SquaredHinge, logits, sides),
    Case("squared_hinge_zeros_ones", L.SquaredHinge, logits, zeros_ones, {}, MAP, True),
    Case("categorical_hinge", L.CategoricalHinge, logits, one_hot),
    Case("categorical_hinge_map", L.CategoricalHinge, logits, one_hot, {}, MAP, True),
    Case("categorical_hinge_ties", L.CategoricalHinge, ties, one_hot),
    Case("kl_divergence", L.KLDivergence, probabilities, probabilities),
    Case("kl_divergence_edges", L.KLDivergence, edges, edges, weighted=True),
    Case("log_cosh", L.LogCosh, extreme, logits, weighted=True),
    Case("poisson", L.Poisson, shares, counts, weighted=True),
]

M = keras.metrics
LARGE = (150, 4)
ONE = (200, 1)
METRICS = [
    Case("metric_binary_accuracy", M.BinaryAccuracy, shares, zeros_ones, {}, LARGE, True),
    Case("metric_binary_accuracy_threshold", M.BinaryAccuracy, shares, zeros_ones, {"threshold": 0.3}, LARGE),
    Case("metric_categorical_accuracy", M.CategoricalAccuracy, probabilities, one_hot, {}, LARGE, True),
    Case("metric_sparse_categorical_accuracy", M.SparseCategoricalAccuracy, probabilities, labels, {}, LARGE),
    Case("metric_top_2", M.TopKCategoricalAccuracy, probabilities, one_hot, {"k": 2}, LARGE, True),
    Case("metric_sparse_top_3", M.SparseTopKCategoricalAccuracy, probabilities, labels, {"k": 3}, LARGE),
    Case("metric_top_2_ties", M.TopKCategoricalAccuracy, ties, one_hot, {"k": 2}, LARGE),
    Case("metric_precision", M.Precision, probabilities, one_hot, {}, LARGE, True),
    Case("metric_precision_class", M.Precision, probabilities, one_hot, {"class_id": 2, "thresholds": 0.3}, LARGE),
    Case("metric_precision_nothing", M.Precision, ties, one_hot, {}, LARGE),
    Case("metric_recall", M.Recall, shares, zeros_ones, {}, ONE, True),
    Case("metric_recall_class", M.Recall, probabilities, one_hot, {"class_id": 1, "thresholds": 0.2}, LARGE),
    Case("metric_auc", M.AUC, shares, zeros_ones, {}, ONE),
    Case("metric_auc_classes", M.AUC, probabilities, one_hot, {}, LARGE, True),
    Case("metric_auc_precision_recall", M.AUC, shares, zeros_ones, {"curve": "PR"}, ONE),
    Case("metric_auc_precision_recall_classes", M.AUC, probabilities, one_hot, {"curve": "PR"}, LARGE, True),
    Case("metric_auc_multi_label", M.AUC, shares, zeros_ones, {"multi_label": True}, LARGE),
    Case("metric_auc_multi_label_weighted", M.AUC, shares, zeros_ones, {"multi_label": True, "curve": "PR"}, LARGE, True),
    Case("metric_auc_edges", M.AUC, edges, zeros_ones, {}, ROW),
    Case("metric_auc_thresholds", M.AUC, thresholds, zeros_ones, {}, ONE),
]


class Training(NamedTuple):
    name: str
    loss: Callable[[], Any]
    last: str | None
    units: int
    targets: Make
    class_weight: dict[int, float] | None = None
    weighted: bool = False
    regularized: bool = False
    activity: bool = False


TRAININGS = [
    Training("train_softmax", lambda: L.SparseCategoricalCrossentropy(), "softmax", 3, labels),
    Training("train_sigmoid", lambda: L.BinaryCrossentropy(label_smoothing=0.1), "sigmoid", 2, zeros_ones),
    Training(
        "train_class_weights",
        lambda: L.SparseCategoricalCrossentropy(from_logits=True),
        None,
        3,
        labels,
        {0: 0.5, 1: 2.0, 2: 1.25},
    ),
    Training(
        "train_class_weights_binary",
        lambda: L.BinaryCrossentropy(from_logits=True),
        None,
        1,
        zeros_ones,
        {0: 0.5, 1: 3.0},
    ),
    Training("train_sample_weights", lambda: L.Huber(), None, 2, logits, weighted=True),
    Training(
        "train_regularized",
        lambda: L.CategoricalCrossentropy(from_logits=True),
        None,
        3,
        one_hot,
        weighted=True,
        regularized=True,
    ),
    Training("train_activity", lambda: L.MeanSquaredError(), None, 2, logits, weighted=True, activity=True),
]
EPOCHS = 3
SAMPLES = 40


def run_loss(case: Case) -> Tensors:
    outputs, targets, weights = case.data()
    source = tf.constant(outputs)
    # Keras does not broadcast one for each sample to pixels.
    for_pixels = None if weights is None else weights.reshape(-1, *[1] * (outputs.ndim - 2))
    with tf.GradientTape() as tape:
        tape.watch(source)
        loss = case.build(**case.arguments)(tf.constant(targets), source, for_pixels)
    assert loss.dtype == tf.float64
    results = {"loss": loss.numpy(), "d_output": tape.gradient(loss, source).numpy()}
    return {"output": outputs, "target": targets} | ({} if weights is None else {"weight": weights}) | results


def run_metric(case: Case) -> Tensors:
    outputs, targets, weights = case.data()
    metric = case.build(**case.arguments)
    assert metric.dtype == "float32"
    half = len(outputs) // 2
    for part in (slice(None, half), slice(half, None)):
        metric.update_state(
            targets[part].astype(np.float32),
            outputs[part].astype(np.float32),
            None if weights is None else weights[part].astype(np.float32),
        )
    result = {"result": np.array(metric.result())}
    return {"output": outputs, "target": targets} | ({} if weights is None else {"weight": weights}) | result


def run_training(case: Training) -> Tensors:
    rng = np.random.default_rng(zlib.crc32(case.name.encode()))
    penalties = {}
    if case.regularized:
        penalties = {
            "kernel_regularizer": keras.regularizers.L1L2(0.01, 0.02),
            "bias_regularizer": keras.regularizers.L2(0.03),
        }
    activity = [keras.layers.ActivityRegularization(0.125, 0.25)] if case.activity else []
    model = keras.Sequential(
        [
            keras.Input((4,)),
            keras.layers.Dense(5, activation="tanh", name="hidden", **penalties),
            *activity,
            keras.layers.Dense(case.units, activation=case.last, name="last", **penalties),
        ]
    )
    tensors: Tensors = {}
    named = {f"{layer.name}.{variable.name}": variable for layer in model.layers for variable in layer.weights}
    for name, variable in named.items():
        variable.assign(exact(rng.standard_normal(variable.shape)))
        tensors[f"before.{name}"] = variable.numpy()
    inputs, targets = exact(logits(rng, (SAMPLES, 4))), exact(case.targets(rng, (SAMPLES, case.units)))
    weights = exact(rng.uniform(0.0, 3.0, SAMPLES)) if case.weighted else None
    model.compile(keras.optimizers.SGD(0.25), case.loss())
    history = model.fit(
        inputs,
        targets,
        batch_size=SAMPLES,
        epochs=EPOCHS,
        shuffle=False,
        class_weight=case.class_weight,
        sample_weight=weights,
        verbose=0,
    )
    after = model.evaluate(inputs, targets, batch_size=SAMPLES, sample_weight=weights, verbose=0)
    tensors |= {f"after.{name}": variable.numpy() for name, variable in named.items()}
    tensors |= {"input": inputs, "target": targets, "losses": np.array([*history.history["loss"], after])}
    return tensors | ({} if weights is None else {"weight": weights})


def single(x: Any) -> np.ndarray:
    return np.asarray(x, np.float32)


def main() -> None:
    metadata = {"keras": keras.__version__, "backend": f"{keras.config.backend()} {tf.__version__}"}
    tensors: Tensors = {}
    for cases, run in ((LOSSES, run_loss), (METRICS, run_metric)):
        keras.config.set_floatx("float64" if run is run_loss else "float32")
        for case in cases:
            metadata[f"case.{case.name}"] = case.description()
            tensors |= {f"{case.name}/{key}": single(x) for key, x in run(case).items()}
    keras.config.set_floatx("float64")
    for training in TRAININGS:
        loss = training.loss()
        metadata[f"case.{training.name}"] = f"{type(loss).__name__} behind {training.last}"
        tensors |= {f"{training.name}/{key}": single(x) for key, x in run_training(training).items()}
    here = pathlib.Path(__file__)
    here.with_suffix(".safetensors").write_bytes(in_order(safetensors.numpy.save(tensors, metadata)))


if __name__ == "__main__":
    main()
