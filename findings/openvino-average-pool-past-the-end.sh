#!/usr/bin/env bash
# OpenVINO 2026.4.1, ONNX Runtime 1.32.0, onnx 1.23.2, NumPy 2.4.6, Python 3.11 to 3.13, Linux x86-64; seen 2026-11-30.
#
# Behaviour: an AveragePool of ONNX with `ceil_mode=1` and `count_include_pad=1` has windows that reach past the padding. ONNX
# Runtime and onnx's own reference evaluator divide such a sum by the cells that are in the map or in its padding. OpenVINO, which
# reads the same file, divides by all cells of the window, those beyond the padding too: a corner of 22 becomes 9.8. With either
# attribute alone all three agree.
#
# The guess that misses: that an engine which reads a file without a word computes what the file means, where two attributes
# that it supports each for itself meet.
#
# Who is hurt: whoever exports a pool of PyTorch with `ceil_mode=True`, which counts padding by default, and runs it in OpenVINO:
# the last row and column of the map are too small. A Pad and a pool without either attribute mean the same everywhere.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet openvino==2026.4.1 onnxruntime==1.32.0 onnx==1.23.2 numpy==2.4.6
cd "$folder"
venv/bin/python - <<'PYTHON'
import numpy as np
import onnx
import onnxruntime
import openvino
from onnx import TensorProto, helper
from onnx.reference import ReferenceEvaluator

image = np.arange(1, 26, dtype=np.float32).reshape(1, 1, 5, 5)
agree = {}
for ceil in (0, 1):
    for count in (0, 1):
        node = helper.make_node(
            "AveragePool", ["x"], ["y"], kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 0, 0],
            ceil_mode=ceil, count_include_pad=count,
        )
        ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (("x", image.shape), ("y", None))]
        graph = helper.make_graph([node], "pool", ports[:1], ports[1:])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
        onnx.save(model, "pool.onnx")
        runtime = onnxruntime.InferenceSession("pool.onnx").run(None, {"x": image})[0]
        reference = ReferenceEvaluator(model).run(None, {"x": image})[0]
        compiled = openvino.Core().compile_model("pool.onnx", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        vino = next(iter(compiled({"x": image}).values()))
        print(f"ceil_mode={ceil} count_include_pad={count}: last cell of the reference {reference.flat[-1]:.3f},"
              f" ONNX Runtime {runtime.flat[-1]:.3f}, OpenVINO {vino.flat[-1]:.3f}")
        assert np.allclose(runtime, reference, rtol=1e-5)
        agree[ceil, count] = np.allclose(vino, reference, rtol=1e-5)
expected = {(0, 0): True, (0, 1): True, (1, 0): True, (1, 1): False}
assert agree == expected, f"it behaves otherwise now: {agree}"
PYTHON
