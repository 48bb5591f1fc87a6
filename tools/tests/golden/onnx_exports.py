"""Holds models that were exported against ONNX Runtime: `onnx_exports.py FOLDER`, which a test of the suite has filled.

Each NAME.onnx has to pass the checker of the package onnx, with types and shapes inferred, and to give in ONNX Runtime what
NAME.output.0.npy, … have recorded. Differences are shares of the recorded outputs' largest number. With onnx 1.23.2, onnxruntime
1.32.0.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

EPSILON = float(np.finfo(np.float32).eps)


def tolerance(name: str, model: onnx.ModelProto) -> float:
    """Rounding of a sum of some hundred products; of a net, as often as it has operators."""
    return (4 * len(model.graph.node) if name.startswith("net.") else 32) * EPSILON


def check(path: Path) -> tuple[float, float]:
    """The largest difference, and how large it may be."""
    onnx.checker.check_model(str(path), full_check=True)
    model = onnx.load(path)
    array_of = lambda name: np.load(path.parent / f"{path.stem}.{name}.npy")  # noqa: E731
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    feeds = {}
    for index, port in enumerate(session.get_inputs()):
        array = array_of(f"input.{index}")
        # Those were asked to take channels first.
        if path.stem.endswith(".28") and array.ndim > 2:
            array = np.ascontiguousarray(np.moveaxis(array, -1, 1))
        feeds[port.name] = array
    largest = 0.0
    for index, got in enumerate(session.run(None, feeds)):
        expected = array_of(f"output.{index}")
        assert got.shape == expected.shape, (got.shape, expected.shape)
        assert list(session.get_outputs()[index].shape[1:]) == list(expected.shape[1:])
        difference = np.abs(got.astype(np.float64) - expected).max() / np.abs(expected).max()
        largest = max(largest, float(difference)) if np.isfinite(difference) else float("inf")
    return largest, tolerance(path.stem, model)


def beside(folder: Path) -> bool:
    """Whether weights in a file beside the model are those inside of one."""
    paths = [folder / f"{name}.onnx" for name in ("inside", "beside")]
    for path in paths:
        onnx.checker.check_model(str(path), full_check=True)
    images = np.random.default_rng(1).standard_normal((2, 8, 8, 3)).astype(np.float32)
    inside, outside = (
        ort.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(None, {"input": images})[0] for path in paths
    )
    return np.array_equal(inside, outside)


def main(folder: Path) -> int:
    wrong, layers = [], (0.0, "")
    if not beside(folder):
        wrong.append("beside: expected the outputs of weights inside")
    paths = sorted(path for path in folder.glob("*.onnx") if path.stem not in ("inside", "beside"))
    for path in paths:
        try:
            difference, most = check(path)
        except Exception as problem:  # noqa: BLE001: all of them are told
            wrong.append(f"{path.stem}: {problem}")
            continue
        if path.stem.startswith("net."):
            print(f"{path.stem[4:]:16} {difference:.1e}")
        else:
            layers = max(layers, (difference, path.stem))
        if difference > most:
            wrong.append(f"{path.stem}: {difference:.1e}, expected at most {most:.1e}")
    print(f"{len(paths)} models; of layers the largest difference is {layers[0]:.1e} ({layers[1]})")
    print("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
