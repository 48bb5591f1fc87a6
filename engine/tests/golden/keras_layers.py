"""Writes keras_layers.safetensors: outputs and gradients of layers and small nets as Keras 3 computes them.

Keras computes in double precision with TensorFlow on inputs that are exact in f32; the results are rounded to f32.
For each case: `NAME/input` (or `NAME/input.0`, `.1`), `NAME/weight.VARIABLE` by Keras's names and in Keras's layouts
(in a net `weight.LAYER.VARIABLE`), `NAME/output`, a random `NAME/d_output`, and the gradients of
sum(output * d_output): `NAME/d_input`, `NAME/d_weight.VARIABLE`. All is in inference mode, channels last.
The metadata has the versions and under `case.NAME` each case's configuration.

Also writes keras_names.txt: the name that Keras gives a class's first layer, as `Class name`; the next ones are
`name_1`, `name_2`.

usage: python engine/tests/golden/keras_layers.py
needs Python 3.11 with: keras==3.15.1 tensorflow-cpu==2.21.0 numpy==2.4.6 safetensors==0.8.0"""

import json
import math
import os
import pathlib
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")

import keras
import numpy as np
import safetensors.numpy
import tensorflow as tf
from keras import layers

Shape = tuple[int, ...]
Tensors = dict[str, np.ndarray]

MAP = (2, 7, 6, 4)
SERIES = (2, 9, 4)
ROW = (2, 3, 4, 5)
# Zero, both sides of each corner, where nothing is left of it, and past where exponentials leave f32.
CORNERS = [0.0] + [sign * x for x in (0.001, 0.5, 1.0, 2.999, 3.001, 5.999, 6.001, 20.0, 100.0) for sign in (1.0, -1.0)]


class Case(NamedTuple):
    name: str
    shapes: list[Shape]
    # A layer's class, or a function from the input to the output of a layer, or of a net: `net_…`.
    build: Callable[..., Any]
    arguments: dict[str, Any] = {}
    corners: bool = False
    # Every second element is the same in all inputs.
    ties: bool = False

    @property
    def is_net(self) -> bool:
        return self.build.__name__.startswith("net_")

    def apply(self, inputs: Any) -> Any:
        return self.build(**self.arguments)(inputs) if isinstance(self.build, type) else self.build(inputs)

    def description(self) -> str:
        if not isinstance(self.build, type):
            return str(self.build.__doc__)
        return f"{self.build.__name__}({', '.join(f'{k}={v!r}' for k, v in self.arguments.items())})"


def net_residual(x: Any) -> Any:
    """relu(bn2(conv2(relu(bn1(conv1(x))))) + shortcut(x)); conv1 3x3 stride 2, conv2 3x3, shortcut 1x1 stride 2"""
    y = layers.Conv2D(6, 3, strides=2, padding="same", use_bias=False, name="conv1")(x)
    y = layers.BatchNormalization(name="bn1")(y)
    y = layers.ReLU(name="relu1")(y)
    y = layers.Conv2D(6, 3, padding="same", use_bias=False, name="conv2")(y)
    y = layers.BatchNormalization(name="bn2")(y)
    shortcut = layers.Conv2D(6, 1, strides=2, padding="same", name="shortcut")(x)
    return layers.ReLU(name="relu2")(layers.Add(name="add")([y, shortcut]))


def net_series(x: Any) -> Any:
    """up(pool(relu(conv(x)))) beside depthwise(x), then dense of the largest: kernels of 5 and 3, causal"""
    y = layers.Conv1D(6, 5, padding="causal", name="conv")(x)
    y = layers.MaxPooling1D(2, name="pool")(layers.ReLU(name="relu")(y))
    y = layers.UpSampling1D(2, name="up")(y)
    z = layers.DepthwiseConv1D(3, padding="same", name="depthwise")(x)
    y = layers.Concatenate(name="concat")([y, z])
    return layers.Dense(5, name="dense")(layers.GlobalMaxPooling1D(name="largest")(y))


def net_squeeze_excite(x: Any) -> Any:
    """y = conv(x); hard_silu(depthwise(y * sigmoid(expand(relu(reduce(mean(y))))))); 3x3 same and 1x1"""
    y = layers.Conv2D(6, 3, padding="same", name="conv")(x)
    s = layers.GlobalAveragePooling2D(keepdims=True, name="mean")(y)
    s = layers.Conv2D(3, 1, name="reduce")(s)
    s = layers.ReLU(name="relu")(s)
    s = layers.Conv2D(6, 1, name="expand")(s)
    s = layers.Activation("sigmoid", name="sigmoid")(s)
    y = layers.Multiply(name="multiply")([y, s])
    y = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(y)
    return layers.Activation("hard_silu", name="hard_silu")(y)


def net_dense_block(x: Any) -> Any:
    """3 times x = concat(x, conv{i}(relu(bn{i}(x)))), 3x3 same to 3 channels; then dense(mean(x)) to 5"""
    for i in (1, 2, 3):
        y = layers.BatchNormalization(name=f"bn{i}")(x)
        y = layers.ReLU(name=f"relu{i}")(y)
        y = layers.Conv2D(3, 3, padding="same", use_bias=False, name=f"conv{i}")(y)
        x = layers.Concatenate(name=f"concat{i}")([x, y])
    return layers.Dense(5, name="dense")(layers.GlobalAveragePooling2D(name="mean")(x))


def hard_sigmoid_keras2(x: Any) -> Any:
    """clip(0.2 x + 0.5, 0, 1), the hard_sigmoid of Keras 2"""
    return layers.Activation(lambda x: keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0), name="hard_sigmoid_keras2")(x)


def tanh_gelu(x: Any) -> Any:
    """activations.gelu(x, approximate=True)"""
    return layers.Activation(lambda x: keras.activations.gelu(x, approximate=True), name="tanh_gelu")(x)


def net_recurrent(x: Any) -> Any:
    """lstm2(gru(lstm(x))) with 5, 4 and 3 units; lstm and gru give sequences"""
    x = layers.LSTM(5, return_sequences=True, name="lstm")(x)
    x = layers.GRU(4, return_sequences=True, name="gru")(x)
    return layers.LSTM(3, name="lstm2")(x)


def activation(name: str, build: Callable[..., Any], **arguments: Any) -> Case:
    return Case(name, [ROW], build, arguments, corners=True)


CONV = {"filters": 6, "kernel_size": 3}
SEQUENCE = (3, 7, 6)
BACKWARDS = {"units": 6, "return_sequences": True, "go_backwards": True}
CASES = [
    Case("conv2d_valid", [MAP], layers.Conv2D, CONV),
    Case("conv2d_same", [MAP], layers.Conv2D, CONV | {"padding": "same"}),
    Case("conv2d_same_even_kernel", [MAP], layers.Conv2D, {"filters": 5, "kernel_size": (2, 4), "padding": "same"}),
    Case("conv2d_same_stride2_odd", [(2, 7, 5, 4)], layers.Conv2D, CONV | {"strides": 2, "padding": "same"}),
    Case("conv2d_same_stride2_even", [(2, 8, 6, 4)], layers.Conv2D, CONV | {"strides": 2, "padding": "same"}),
    Case("conv2d_same_dilation2", [MAP], layers.Conv2D, CONV | {"padding": "same", "dilation_rate": 2}),
    Case("conv2d_groups2", [MAP], layers.Conv2D, CONV | {"padding": "same", "groups": 2}),
    Case("conv2d_no_bias", [MAP], layers.Conv2D, CONV | {"use_bias": False}),
    Case("depthwise_conv2d_same", [MAP], layers.DepthwiseConv2D, {"kernel_size": 3, "padding": "same"}),
    Case(
        "depthwise_conv2d_same_stride2_odd",
        [(2, 7, 5, 4)],
        layers.DepthwiseConv2D,
        {"kernel_size": 3, "strides": 2, "padding": "same"},
    ),
    Case(
        "depthwise_conv2d_same_stride2_even",
        [(2, 8, 6, 4)],
        layers.DepthwiseConv2D,
        {"kernel_size": 3, "strides": 2, "padding": "same"},
    ),
    Case(
        "depthwise_conv2d_multiplier2",
        [(2, 7, 6, 3)],
        layers.DepthwiseConv2D,
        {"kernel_size": 3, "padding": "same", "depth_multiplier": 2},
    ),
    Case("depthwise_conv2d_valid_dilation2", [MAP], layers.DepthwiseConv2D, {"kernel_size": 3, "dilation_rate": 2}),
    Case("depthwise_conv2d_no_bias", [MAP], layers.DepthwiseConv2D, {"kernel_size": 3, "use_bias": False}),
    Case("separable_conv2d_same", [MAP], layers.SeparableConv2D, CONV | {"padding": "same"}),
    Case(
        "separable_conv2d_multiplier2",
        [(2, 7, 6, 3)],
        layers.SeparableConv2D,
        CONV | {"padding": "same", "depth_multiplier": 2},
    ),
    Case("separable_conv2d_no_bias", [MAP], layers.SeparableConv2D, CONV | {"use_bias": False}),
    Case("average_pooling2d_valid", [MAP], layers.AveragePooling2D, {"pool_size": 2}),
    Case(
        "average_pooling2d_same_stride2",
        [MAP],
        layers.AveragePooling2D,
        {"pool_size": 3, "strides": 2, "padding": "same"},
    ),
    Case("max_pooling2d_same_stride2", [MAP], layers.MaxPooling2D, {"pool_size": 3, "strides": 2, "padding": "same"}),
    Case("global_average_pooling2d", [MAP], layers.GlobalAveragePooling2D, {"keepdims": False}),
    Case("global_average_pooling2d_keepdims", [MAP], layers.GlobalAveragePooling2D, {"keepdims": True}),
    Case("global_max_pooling2d", [MAP], layers.GlobalMaxPooling2D, {"keepdims": False}),
    Case("global_max_pooling2d_keepdims", [MAP], layers.GlobalMaxPooling2D, {"keepdims": True}),
    Case("zero_padding2d", [(2, 4, 3, 5)], layers.ZeroPadding2D, {"padding": ((1, 2), (3, 0))}),
    Case("average_pooling2d_rectangular", [MAP], layers.AveragePooling2D, {"pool_size": (3, 2), "strides": (1, 2)}),
    Case(
        "max_pooling2d_rectangular",
        [MAP],
        layers.MaxPooling2D,
        {"pool_size": (2, 3), "strides": (2, 1), "padding": "same"},
    ),
    Case("conv2d_transpose_valid", [MAP], layers.Conv2DTranspose, CONV),
    Case("conv2d_transpose_same_stride2", [MAP], layers.Conv2DTranspose, CONV | {"strides": 2, "padding": "same"}),
    Case("conv2d_transpose_valid_stride3", [(2, 3, 4, 4)], layers.Conv2DTranspose, CONV | {"strides": 3}),
    Case(
        "conv2d_transpose_narrow_kernel",
        [(2, 3, 4, 4)],
        layers.Conv2DTranspose,
        {"filters": 5, "kernel_size": (2, 1), "strides": (3, 2), "use_bias": False},
    ),
    Case(
        "conv2d_transpose_even_kernel",
        [(2, 4, 3, 4)],
        layers.Conv2DTranspose,
        {"filters": 5, "kernel_size": (4, 2), "strides": 2, "padding": "same"},
    ),
    Case(
        "conv2d_transpose_output_padding",
        [(2, 4, 3, 4)],
        layers.Conv2DTranspose,
        CONV | {"strides": (2, 3), "output_padding": (1, 0)},
    ),
    Case(
        "conv2d_transpose_same_output_padding",
        [(2, 4, 3, 4)],
        layers.Conv2DTranspose,
        {"filters": 6, "kernel_size": (3, 4), "strides": 2, "padding": "same", "output_padding": (0, 1)},
    ),
    Case("cropping2d", [MAP], layers.Cropping2D, {"cropping": ((1, 2), (3, 0))}),
    Case("up_sampling2d", [(2, 3, 2, 5)], layers.UpSampling2D, {"size": (2, 3)}),
    Case(
        "up_sampling2d_bilinear",
        [(2, 3, 4, 5)],
        layers.UpSampling2D,
        {"size": (2, 4), "interpolation": "bilinear"},
    ),
    Case("up_sampling2d_bilinear_3", [(2, 3, 1, 5)], layers.UpSampling2D, {"size": 3, "interpolation": "bilinear"}),
    Case("reshape", [(2, 6, 4)], layers.Reshape, {"target_shape": (-1, 2, 4)}),
    Case("permute", [(2, 5, 4)], layers.Permute, {"dims": (2, 1)}),
    Case("permute_3", [(2, 3, 4, 5)], layers.Permute, {"dims": (3, 1, 2)}),
    Case("permute_rows", [(2, 3, 4, 5)], layers.Permute, {"dims": (2, 1, 3)}),
    Case("conv1d_valid", [SERIES], layers.Conv1D, CONV),
    Case("conv1d_same_stride2", [SERIES], layers.Conv1D, CONV | {"strides": 2, "padding": "same"}),
    Case("conv1d_causal", [SERIES], layers.Conv1D, CONV | {"padding": "causal"}),
    Case("conv1d_causal_stride2", [SERIES], layers.Conv1D, CONV | {"padding": "causal", "strides": 2}),
    Case("conv1d_causal_dilation2", [SERIES], layers.Conv1D, CONV | {"padding": "causal", "dilation_rate": 2}),
    Case("conv1d_groups2", [SERIES], layers.Conv1D, CONV | {"groups": 2, "use_bias": False}),
    Case("depthwise_conv1d", [SERIES], layers.DepthwiseConv1D, {"kernel_size": 3}),
    Case(
        "depthwise_conv1d_multiplier2",
        [(2, 9, 3)],
        layers.DepthwiseConv1D,
        {"kernel_size": 3, "strides": 2, "padding": "same", "depth_multiplier": 2},
    ),
    Case("conv1d_transpose_same_stride2", [SERIES], layers.Conv1DTranspose, CONV | {"strides": 2, "padding": "same"}),
    Case("conv1d_transpose_valid_stride3", [SERIES], layers.Conv1DTranspose, CONV | {"strides": 3, "output_padding": 1}),
    Case("max_pooling1d", [SERIES], layers.MaxPooling1D, {"pool_size": 2}),
    Case("max_pooling1d_same", [SERIES], layers.MaxPooling1D, {"pool_size": 3, "strides": 2, "padding": "same"}),
    Case("average_pooling1d", [SERIES], layers.AveragePooling1D, {"pool_size": 2}),
    Case("average_pooling1d_same", [SERIES], layers.AveragePooling1D, {"pool_size": 4, "strides": 1, "padding": "same"}),
    Case("global_max_pooling1d", [SERIES], layers.GlobalMaxPooling1D, {"keepdims": False}),
    Case("global_max_pooling1d_keepdims", [SERIES], layers.GlobalMaxPooling1D, {"keepdims": True}),
    Case("global_average_pooling1d", [SERIES], layers.GlobalAveragePooling1D, {"keepdims": False}),
    Case("global_average_pooling1d_keepdims", [SERIES], layers.GlobalAveragePooling1D, {"keepdims": True}),
    Case("zero_padding1d", [SERIES], layers.ZeroPadding1D, {"padding": (2, 1)}),
    Case("cropping1d", [SERIES], layers.Cropping1D, {"cropping": (2, 1)}),
    Case("up_sampling1d", [SERIES], layers.UpSampling1D, {"size": 3}),
    Case("concatenate_rows", [(2, 3, 4, 5), (2, 2, 4, 5)], layers.Concatenate, {"axis": 1}),
    Case("concatenate_columns", [(2, 3, 4, 5), (2, 3, 1, 5), (2, 3, 2, 5)], layers.Concatenate, {"axis": -2}),
    Case("batch_normalization", [MAP], layers.BatchNormalization, {"epsilon": 1e-3}),
    Case("add_2", [ROW] * 2, layers.Add),
    Case("add_3", [ROW] * 3, layers.Add),
    Case("subtract", [ROW] * 2, layers.Subtract),
    Case("average_2", [ROW] * 2, layers.Average),
    Case("average_3", [ROW] * 3, layers.Average),
    Case("maximum_2", [ROW] * 2, layers.Maximum, ties=True),
    Case("maximum_3", [ROW] * 3, layers.Maximum, ties=True),
    Case("minimum_2", [ROW] * 2, layers.Minimum, ties=True),
    Case("minimum_3", [ROW] * 3, layers.Minimum, ties=True),
    Case("multiply_same", [ROW] * 2, layers.Multiply),
    Case("multiply_broadcast", [(2, 5, 4, 6), (2, 1, 1, 6)], layers.Multiply),
    Case("concatenate_2", [(2, 3, 4, 5), (2, 3, 4, 3)], layers.Concatenate, {"axis": -1}),
    Case("concatenate_3", [(2, 3, 4, 5), (2, 3, 4, 1), (2, 3, 4, 2)], layers.Concatenate, {"axis": -1}),
    activation("relu", layers.ReLU),
    activation("relu6", layers.ReLU, max_value=6.0),
    activation("relu6_activation", layers.Activation, activation="relu6"),
    activation("leaky_relu", layers.LeakyReLU, negative_slope=0.3),
    activation("leaky_relu_001", layers.LeakyReLU, negative_slope=0.01),
    activation("sigmoid", layers.Activation, activation="sigmoid"),
    activation("tanh", layers.Activation, activation="tanh"),
    activation("silu", layers.Activation, activation="silu"),
    activation("hard_swish", layers.Activation, activation="hard_silu"),
    activation("hard_sigmoid", layers.Activation, activation="hard_sigmoid"),
    activation("softmax", layers.Softmax, axis=-1),
    activation("softmax_axis_1", layers.Softmax, axis=1),
    activation("softmax_axis_-2", layers.Softmax, axis=-2),
    activation("relu_max_value", layers.ReLU, max_value=2.999),
    activation("relu_slope", layers.ReLU, negative_slope=0.25),
    activation("relu_threshold", layers.ReLU, threshold=1.0),
    activation("relu_all", layers.ReLU, max_value=2.999, negative_slope=0.25, threshold=0.5),
    activation("relu_below_threshold", layers.ReLU, max_value=0.5, threshold=1.0),
    activation("prelu", layers.PReLU),
    activation("prelu_shared_1_2", layers.PReLU, shared_axes=[1, 2]),
    activation("prelu_shared_3", layers.PReLU, shared_axes=[3]),
    activation("prelu_shared_1_3", layers.PReLU, shared_axes=[1, 3]),
    activation("elu", layers.ELU),
    activation("elu_03", layers.ELU, alpha=0.3),
    activation("selu", layers.Activation, activation="selu"),
    activation("gelu", layers.Activation, activation="gelu"),
    activation("tanh_gelu", tanh_gelu),
    activation("hard_sigmoid_keras2", hard_sigmoid_keras2),
    activation("softplus", layers.Activation, activation="softplus"),
    activation("softsign", layers.Activation, activation="softsign"),
    # Of 100 it would be all that there is.
    Case("exponential", [ROW], layers.Activation, {"activation": "exponential"}),
    activation("mish", layers.Activation, activation="mish"),
    activation("rescaling", layers.Rescaling, scale=1 / 128, offset=-1.0),
    Case("normalization", [ROW], layers.Normalization),
    Case("normalization_invert", [ROW], layers.Normalization, {"invert": True}),
    Case("layer_normalization", [MAP], layers.LayerNormalization),
    Case("layer_normalization_row", [(3, 17)], layers.LayerNormalization, {"epsilon": 1e-5}),
    Case("layer_normalization_no_center", [ROW], layers.LayerNormalization, {"center": False}),
    Case("layer_normalization_no_scale", [ROW], layers.LayerNormalization, {"scale": False}),
    Case("layer_normalization_plain", [ROW], layers.LayerNormalization, {"center": False, "scale": False}),
    Case("group_normalization_1", [MAP], layers.GroupNormalization, {"groups": 1}),
    Case("group_normalization_2", [MAP], layers.GroupNormalization, {"groups": 2}),
    Case("group_normalization_4", [MAP], layers.GroupNormalization, {"groups": 4, "epsilon": 1e-5}),
    Case("group_normalization_row", [(3, 12)], layers.GroupNormalization, {"groups": 3, "scale": False}),
    Case("dense", [(3, 7)], layers.Dense, {"units": 5}),
    Case("dense_no_bias", [(3, 7)], layers.Dense, {"units": 5, "use_bias": False}),
    Case("lstm", [SEQUENCE], layers.LSTM, {"units": 5}),
    Case("lstm_sequences", [SEQUENCE], layers.LSTM, {"units": 9, "return_sequences": True}),
    Case("lstm_no_bias", [SEQUENCE], layers.LSTM, {"units": 4, "use_bias": False}),
    Case("lstm_backwards", [SEQUENCE], layers.LSTM, BACKWARDS),
    Case("lstm_one_step", [(5, 1, 3)], layers.LSTM, {"units": 17}),
    Case("gru", [SEQUENCE], layers.GRU, {"units": 5}),
    Case("gru_sequences", [SEQUENCE], layers.GRU, {"units": 9, "return_sequences": True}),
    Case("gru_no_bias", [SEQUENCE], layers.GRU, {"units": 4, "use_bias": False}),
    Case("gru_backwards", [SEQUENCE], layers.GRU, BACKWARDS),
    Case("gru_one_step", [(5, 1, 3)], layers.GRU, {"units": 17}),
    Case("net_recurrent", [SEQUENCE], net_recurrent),
    Case("net_series", [(2, 24, 3)], net_series),
    Case("net_residual", [MAP], net_residual),
    Case("net_squeeze_excite", [MAP], net_squeeze_excite),
    Case("net_dense_block", [MAP], net_dense_block),
]

# Classes with what their constructors ask for.
NAMED: dict[Any, tuple[Any, ...]] = {
    layers.Activation: ("relu",), layers.ActivityRegularization: (), layers.Add: (), layers.AlphaDropout: (0.5,),
    layers.Average: (), layers.AveragePooling1D: (2,), layers.AveragePooling2D: (2,), layers.BatchNormalization: (),
    layers.Concatenate: (), layers.Conv1D: (1, 1), layers.Conv1DTranspose: (1, 1), layers.Conv2D: (1, 1),
    layers.Conv2DTranspose: (1, 1), layers.Cropping1D: (), layers.Cropping2D: (), layers.Dense: (1,),
    layers.DepthwiseConv1D: (1,), layers.DepthwiseConv2D: (1,), layers.Dropout: (0.5,), layers.ELU: (),
    layers.Flatten: (), layers.GaussianDropout: (0.5,), layers.GaussianNoise: (0.5,),
    layers.GlobalAveragePooling1D: (), layers.GlobalAveragePooling2D: (), layers.GlobalMaxPooling1D: (),
    layers.GlobalMaxPooling2D: (), layers.GroupNormalization: (), layers.GRU: (1,), layers.InputLayer: ((1,),),
    layers.LayerNormalization: (), layers.LeakyReLU: (), layers.LSTM: (1,), layers.MaxPooling1D: (),
    layers.MaxPooling2D: (), layers.Maximum: (), layers.Minimum: (), layers.Multiply: (), layers.Normalization: (),
    layers.PReLU: (), layers.Permute: ((1,),), layers.ReLU: (), layers.Rescaling: (1.0,), layers.Reshape: ((1,),),
    layers.SeparableConv2D: (1, 1), layers.Softmax: (), layers.SpatialDropout1D: (0.5,),
    layers.SpatialDropout2D: (0.5,), layers.Subtract: (), layers.UpSampling1D: (), layers.ZeroPadding1D: (),
    layers.UpSampling2D: (), layers.ZeroPadding2D: (), keras.Sequential: (),
}  # fmt: skip


def weight(rng: np.random.Generator, path: str, shape: Shape) -> np.ndarray:
    if path.endswith("variance"):
        return rng.uniform(0.5, 2.0, shape)
    if path.endswith("gamma"):
        return 1.0 + 0.3 * rng.standard_normal(shape)
    if path.endswith("kernel"):
        # A depthwise kernel's sums don't go over the channels.
        summed = shape[:-2] if "depthwise" in path else shape[:-1]
        return rng.standard_normal(shape) / math.sqrt(math.prod(summed))
    return 0.5 * rng.standard_normal(shape)


def exact(array: np.ndarray) -> np.ndarray:
    """As doubles that are exact in f32."""
    return array.astype(np.float32).astype(np.float64)


def run(case: Case) -> Tensors:
    rng = np.random.default_rng(zlib.crc32(case.name.encode()))
    symbols = [keras.Input(batch_shape=shape) for shape in case.shapes]
    one = len(symbols) == 1
    model = keras.Model(symbols, case.apply(symbols[0] if one else symbols))

    inputs = [exact(2.0 * rng.standard_normal(shape)) for shape in case.shapes]
    if case.corners:
        inputs[0].flat[: len(CORNERS)] = exact(np.array(CORNERS))
    if case.ties:
        for other in inputs[1:]:
            other.flat[::2] = inputs[0].flat[::2]
    weights = {}
    # How many samples a normalisation has seen is no weight.
    for variable in (variable for variable in model.weights if variable.name != "count"):
        variable.assign(exact(weight(rng, variable.path, variable.shape)))
        # A recurrent layer's weights are its cell's.
        name = f"{variable.path.split('/')[0]}.{variable.name}"
        weights[name if case.is_net else variable.name] = variable
    for layer in model.layers:
        if isinstance(layer, layers.Normalization):
            layer.finalize_state()
    d_output = exact(rng.standard_normal(model.output_shape))

    sources = [tf.constant(x) for x in inputs]
    trained = {name: variable for name, variable in weights.items() if variable.trainable}
    with tf.GradientTape() as tape:
        tape.watch(sources)
        output = model(sources[0] if one else sources, training=False)
    assert output.dtype == tf.float64
    gradients = tape.gradient(output, sources + [v.value for v in trained.values()], tf.constant(d_output))

    numbered = [""] if one else [f".{i}" for i in range(len(inputs))]
    tensors = {f"input{i}": x for i, x in zip(numbered, inputs, strict=True)}
    tensors |= {f"weight.{name}": variable.numpy() for name, variable in weights.items()}
    tensors |= {"output": output.numpy(), "d_output": d_output}
    names = [f"d_input{i}" for i in numbered] + [f"d_weight.{name}" for name in trained]
    tensors |= {name: gradient.numpy() for name, gradient in zip(names, gradients, strict=True)}
    return {f"{case.name}/{key}": tensor.astype(np.float32) for key, tensor in tensors.items()}


def layer_names() -> str:
    keras.backend.clear_session()
    symbol = keras.Input((1,), name="symbol")
    lines = []
    for kind, arguments in [*NAMED.items(), (keras.Model, (symbol, symbol))]:
        first, second = kind(*arguments), kind(*arguments)
        assert second.name == f"{first.name}_1"
        lines.append(f"{type(first).__name__} {first.name}\n")
    return "".join(lines)


def in_order(file: bytes) -> bytes:
    """A safetensors file with its metadata sorted: the package writes them in another order each time."""
    end = 8 + int.from_bytes(file[:8], "little")
    header = json.loads(file[8:end])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + file[end:]


def main() -> None:
    keras.config.set_floatx("float64")
    keras.config.set_image_data_format("channels_last")
    metadata = {"keras": keras.__version__, "backend": f"{keras.config.backend()} {tf.__version__}"}
    tensors: Tensors = {}
    for case in CASES:
        metadata[f"case.{case.name}"] = case.description()
        tensors |= run(case)
    here = pathlib.Path(__file__)
    here.with_suffix(".safetensors").write_bytes(in_order(safetensors.numpy.save(tensors, metadata)))
    here.with_name("keras_names.txt").write_text(layer_names())


if __name__ == "__main__":
    main()
