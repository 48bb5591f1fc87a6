"""Files of TensorFlow Lite, and what LiteRT gives for them: by its default kernels, XNNPACK's, and for nets by its
reference kernels where these give other bits.

usage: tflite_cases.py           writes tflite_cases.safetensors beside itself, and the seeds of the fuzz target import_tflite
       tflite_cases.py FOLDER NET…      nets of keras.applications with random weights as FOLDER/NET.tflite, with what LiteRT gives

With tensorflow 2.21.0, keras 3.15.1 and ai-edge-litert 2.3.0.
"""

import os
import sys
from pathlib import Path

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from keras import layers

HERE = Path(__file__).parent
SAMPLES = 2
random = np.random.default_rng(1)


def values(*shape, low=-1.0, high=1.0):
    return random.uniform(low, high, size=shape).astype("float32")


# Nets, small ones of their kind.


def norm(x, function=None):
    x = layers.BatchNormalization()(x)
    return layers.Activation(function)(x) if function else x


def resnet8():
    x = inputs = keras.Input((12, 12, 3))
    x = norm(layers.Conv2D(4, 3, padding="same")(x), "relu")
    for filters, stride in ((4, 1), (6, 2)):
        y = norm(layers.Conv2D(filters, 3, strides=stride, padding="same")(x), "relu")
        y = norm(layers.Conv2D(filters, 3, padding="same")(y))
        short = x if stride == 1 else layers.Conv2D(filters, 1, strides=stride, padding="same")(x)
        x = layers.Activation("relu")(layers.Add()([short, y]))
    x = layers.Flatten()(layers.AveragePooling2D(6)(x))
    return keras.Model(inputs, layers.Dense(10, activation="softmax")(x))


def ds_cnn():
    x = inputs = keras.Input((25, 10, 1))
    x = norm(layers.Conv2D(6, (10, 4), strides=(2, 2), padding="same")(x), "relu")
    for _ in range(2):
        x = norm(layers.DepthwiseConv2D(3, padding="same")(x), "relu")
        x = norm(layers.Conv2D(6, 1)(x), "relu")
    x = layers.Flatten()(layers.AveragePooling2D((13, 5))(layers.Dropout(0.4)(x)))
    return keras.Model(inputs, layers.Dense(12, activation="softmax")(x))


def mobilenet_v1():
    x = inputs = keras.Input((16, 16, 3))
    x = norm(layers.Conv2D(4, 3, strides=2, padding="same", use_bias=False)(x), "relu6")
    for filters, stride in ((6, 1), (8, 2)):
        if stride == 2:
            x = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
        padding = "valid" if stride == 2 else "same"
        x = norm(layers.DepthwiseConv2D(3, strides=stride, padding=padding, use_bias=False)(x), "relu6")
        x = norm(layers.Conv2D(filters, 1, use_bias=False)(x), "relu6")
    x = layers.GlobalAveragePooling2D(keepdims=True)(x)
    x = layers.Reshape((5,))(layers.Conv2D(5, 1)(x))
    return keras.Model(inputs, layers.Activation("softmax")(x))


def autoencoder():
    x = inputs = keras.Input((20,))
    for units in (16, 4, 16):
        x = norm(layers.Dense(units)(x), "relu")
    return keras.Model(inputs, layers.Dense(20)(x))


def mobilenet_v3():
    x = inputs = keras.Input((12, 12, 3))
    x = layers.Rescaling(1 / 127.5, -1.0)(x)
    x = norm(layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(x), "hard_silu")
    y = norm(layers.Conv2D(12, 1, use_bias=False)(x), "hard_silu")
    y = norm(layers.DepthwiseConv2D(5, padding="same", use_bias=False)(y), "hard_silu")
    s = layers.GlobalAveragePooling2D(keepdims=True)(y)
    s = layers.Conv2D(4, 1, activation="relu")(s)
    s = layers.Conv2D(12, 1, activation="hard_sigmoid")(s)
    y = norm(layers.Conv2D(8, 1, use_bias=False)(layers.Multiply()([y, s])))
    x = layers.Add()([x, y])
    x = layers.Conv2D(10, 1)(layers.GlobalAveragePooling2D(keepdims=True)(x))
    return keras.Model(inputs, layers.Softmax()(layers.Flatten()(x)))


def efficientnet():
    x = inputs = keras.Input((12, 12, 3))
    x = norm(layers.Conv2D(6, 3, strides=2, padding="same", use_bias=False)(x), "silu")
    y = norm(layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x), "silu")
    s = layers.Reshape((1, 1, 6))(layers.GlobalAveragePooling2D()(y))
    s = layers.Conv2D(6, 1, activation="sigmoid")(layers.Conv2D(3, 1, activation="silu")(s))
    y = norm(layers.Conv2D(6, 1, use_bias=False)(layers.multiply([y, s])))
    x = layers.Dropout(0.2, noise_shape=(None, 1, 1, 1))(y) + x
    return keras.Model(inputs, layers.Dense(4)(layers.GlobalAveragePooling2D()(x)))


def segmenter():
    x = inputs = keras.Input((8, 8, 2), name="picture")
    a = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    b = layers.MaxPooling2D()(a)
    b = layers.Conv2D(6, 3, padding="same", dilation_rate=2, activation="tanh")(b)
    up = layers.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu")(b)
    near = layers.UpSampling2D(interpolation="bilinear")(b)
    c = layers.Concatenate()([a, up, near])
    mask = layers.Conv2D(2, 1, activation="sigmoid", name="mask")(c)
    kind = layers.Dense(3, name="kind")(layers.GlobalMaxPooling2D()(b))
    return keras.Model(inputs, {"mask": mask, "kind": kind})


def series():
    x = inputs = keras.Input((10, 6))
    x = layers.Conv1D(5, 3, padding="same", activation="relu")(x)
    x = layers.Dense(4, activation="relu")(x)
    x = layers.MaxPooling1D(2)(x)
    return keras.Model(inputs, layers.Dense(3, use_bias=False)(layers.Flatten()(x)))


NETS = [resnet8, ds_cnn, mobilenet_v1, autoencoder, mobilenet_v3, efficientnet, segmenter, series]


def made(build):
    """With statistics that are not those of a net that has seen nothing."""
    keras.utils.set_random_seed(1)
    model = build()
    for variable in model.weights:
        if variable.path.endswith(("gamma", "moving_variance")):
            variable.assign(values(*variable.shape, low=0.5, high=1.5))
        elif variable.path.endswith(("beta", "bias", "moving_mean")):
            variable.assign(values(*variable.shape, low=-0.5, high=0.5))
    return model


# Operators, as functions of inputs [N, …].

kernel, deep = values(3, 2, 4, 6), values(3, 3, 4, 1)
deeper, grouped, back = values(2, 3, 4, 3), values(3, 3, 2, 6), values(3, 3, 2, 4)
row, matrix = values(4, low=0.5, high=1.5), values(4, 7)
MAP = (4, 5, 4)


def conv(strides, padding, dilations=(1, 1)):
    return lambda x: tf.nn.conv2d(x, kernel, strides, padding, dilations=dilations) + values(6)


def transposed(kernel, out, strides, padding):
    def function(x):
        return tf.nn.conv2d_transpose(x, kernel, (tf.shape(x)[0], *out, kernel.shape[2]), strides, padding)

    return function


def resized(method, size, **how):
    operator = tf.compat.v1.image.resize_bilinear if method == "bilinear" else tf.compat.v1.image.resize_nearest_neighbor
    return lambda x: operator(x, size, **how)


OPERATORS = {
    "conv_valid": (conv((2, 1), "VALID"), MAP),
    "conv_same": (conv((2, 3), "SAME"), MAP),
    "conv_dilated": (conv((1, 1), "SAME", (2, 2)), MAP),
    "conv_grouped": (lambda x: tf.nn.relu(tf.nn.conv2d(x, grouped, 1, "SAME")), MAP),
    "conv_padded": (lambda x: tf.nn.conv2d(tf.pad(x, ((0, 0), (2, 1), (0, 3), (0, 0))), kernel, (2, 2), "VALID"), MAP),
    "conv_then_affine": (lambda x: (tf.nn.conv2d(x, kernel, 1, "SAME") * values(6) - values(6)) * 2.0, MAP),
    "depthwise": (lambda x: tf.nn.relu6(tf.nn.depthwise_conv2d(x, deep, (1, 2, 2, 1), "SAME") + row), MAP),
    "depthwise_multiplied": (lambda x: tf.nn.depthwise_conv2d(x, deeper, (1, 1, 1, 1), "VALID"), MAP),
    "depthwise_dilated": (lambda x: tf.nn.depthwise_conv2d(x, deep, (1, 1, 1, 1), "SAME", dilations=(2, 2)), MAP),
    "transposed_same": (transposed(back, (8, 10), 2, "SAME"), MAP),
    "transposed_same_odd": (transposed(back, (7, 9), 2, "SAME"), MAP),
    "transposed_valid": (transposed(back, (9, 11), 2, "VALID"), MAP),
    "transposed_valid_more": (transposed(back, (10, 11), 2, "VALID"), MAP),
    "transposed_small_kernel": (transposed(values(1, 2, 2, 4), (8, 15), (2, 3), "SAME"), MAP),
    "dense": (lambda x: tf.nn.relu(tf.matmul(x, values(9, 4)) + row), (9,)),
    "dense_of_rows": (lambda x: tf.tensordot(x, matrix, 1) + values(7), (6, 4)),
    "matmul_of_maps": (lambda x: tf.matmul(x, tf.constant(matrix)), (3, 6, 4)),
    "average_pool": (lambda x: tf.nn.avg_pool2d(x, 3, 2, "SAME"), (7, 6, 3)),
    "average_pool_valid": (lambda x: tf.nn.relu(tf.nn.avg_pool2d(x, (2, 3), (1, 2), "VALID")), (7, 6, 3)),
    "max_pool": (lambda x: tf.nn.max_pool2d(x, (3, 2), 2, "SAME"), (7, 6, 3)),
    "constants": (lambda x: (1.5 - (x * 2.0 - 0.25) / 3.0) + row, MAP),
    "constant_map": (lambda x: x * values(5, 4) + values(4, 1, 4), MAP),
    "bounds": (lambda x: tf.minimum(tf.maximum(x, -0.5), 0.25) + tf.maximum(x, 0.1), MAP),
    "between_maps": (lambda x, y: tf.nn.relu((x + y) * (x - y)) + tf.maximum(x, y) * tf.minimum(x, y), MAP, MAP),
    "by_channel": (lambda x, y: x * y, MAP, (1, 1, 4)),
    "by_pixel": (lambda x, y: x * y + y, MAP, (4, 5, 1)),
    "by_row": (lambda x, y: x - y, MAP, (1, 5, 4)),
    "square_abs_neg": (lambda x: tf.square(x) + tf.abs(x) + tf.negative(x) * tf.exp(x), MAP),
    "pad": (lambda x: tf.pad(x, ((0, 0), (1, 2), (3, 0), (0, 0))), MAP),
    "pad_of_channels": (lambda x: tf.pad(x, ((0, 0), (0, 1), (0, 0), (1, 2))), MAP),
    "pad_with_a_number": (lambda x: tf.pad(x, ((0, 0), (1, 0), (0, 1), (0, 0)), constant_values=-1.5), MAP),
    "pad_reflecting": (lambda x: tf.pad(x, ((0, 0), (2, 1), (1, 3), (0, 0)), "REFLECT"), MAP),
    "pad_symmetric": (lambda x: tf.pad(x, ((0, 0), (2, 0), (0, 3), (1, 1)), "SYMMETRIC"), MAP),
    "mean": (lambda x: tf.reduce_mean(x, (1, 2)), MAP),
    "mean_kept": (lambda x: tf.reduce_mean(x, (1, 2), keepdims=True), MAP),
    "mean_of_rows_and_channels": (lambda x: tf.reduce_mean(x, (1, 3)), MAP),
    "sums": (lambda x: tf.reduce_sum(x, 2) + tf.reduce_max(x, 2) * tf.reduce_min(x, 2), MAP),
    "flatten": (lambda x: tf.reshape(x, (-1, 80)) * 2.0, MAP),
    "reshape_by_shape": (lambda x: tf.reshape(x, (tf.shape(x)[0], 5, 16)) + 1.0, MAP),
    "reshape_by_rows": (lambda x: tf.reshape(tf.tensordot(tf.reshape(x, (-1, 4)), matrix, 1), (-1, 20, 7)), MAP),
    "squeeze_and_expand": (lambda x: tf.expand_dims(tf.squeeze(x * 2.0, (1,)), 3), (1, 5, 4)),
    "transpose": (lambda x: tf.transpose(x, (0, 3, 1, 2)) * 2.0, MAP),
    "transpose_reversed": (lambda x: tf.transpose(x, (0, 3, 2, 1)), MAP),
    "shuffle": (lambda x: tf.reshape(tf.transpose(tf.reshape(x, (-1, 4, 5, 2, 2)), (0, 1, 2, 4, 3)), (-1, 4, 5, 4)), MAP),
    "depth_to_space": (lambda x: tf.nn.depth_to_space(x, 2), (3, 2, 12)),
    "space_to_depth": (lambda x: tf.nn.space_to_depth(x, 2), (6, 4, 3)),
    "slices": (lambda x: x[:, 1:-1, ::2, 1:] * x[:, :2, 0:3, :3], MAP),
    "slice_of_one": (lambda x: x[:, 2, :, 3] + 1.0, MAP),
    "slice_of_lengths": (lambda x: tf.slice(x, (0, 1, 2, 0), (-1, 3, 3, -1)), MAP),
    "split": (lambda x: tf.add(*tf.split(x, 2, 3)) * 2.0, MAP),
    "split_sizes": (lambda x: tf.concat(tf.split(x, (1, 1, 2), 1)[::-1], 1), MAP),
    "stack": (lambda x: tf.stack((x, x * 2.0), 2), (5, 4)),
    "concat": (lambda x, y: tf.concat((x, y, x), 3), MAP, (4, 5, 2)),
    "concat_of_rows": (lambda x, y: tf.nn.relu(tf.concat((x, y), 1)), MAP, (2, 5, 4)),
    "softmax": (lambda x: tf.nn.softmax(x * 4.0), MAP),
    "rectifiers": (lambda x: tf.concat((tf.nn.relu(x), tf.nn.relu6(x * 9.0), tf.nn.leaky_relu(x, 0.3), tf.nn.elu(x)), 3), MAP),
    "relu_n1_to_1": (lambda x: tf.minimum(tf.maximum(tf.nn.conv2d(x, kernel, 1, "SAME"), -1.0), 1.0), MAP),
    "curves": (lambda x: tf.concat((tf.sigmoid(x * 3.0), tf.tanh(x * 3.0), tf.nn.gelu(x, True)), 3), MAP),
    "swishes": (lambda x: tf.nn.silu(x * 3.0) + x * tf.nn.relu6(x + 3.0) / 6.0, MAP),
    "bilinear": (resized("bilinear", (8, 15), half_pixel_centers=True), MAP),
    "nearest": (resized("nearest", (8, 10)), MAP),
    "nearest_centres": (resized("nearest", (12, 10), half_pixel_centers=True), MAP),
    "nearest_less": (resized("nearest", (2, 5)), MAP),
    "cast": (lambda x: tf.cast(tf.cast(x, "float32"), "float32") * 2.0, MAP),
}
SEEDS = ["file/weights_behind_the_tables"] + [
    f"operator/{name}"
    for name in ("conv_valid", "depthwise_dilated", "transposed_same", "reshape_by_shape", "slices", "pad_reflecting", "nearest_less")
]
REFUSED = {
    "all_at_once": (lambda x: tf.concat((tf.sin(x), tf.cumsum(x, 1), tf.math.round(x)), 1), MAP),
    "bilinear_corners": (resized("bilinear", (8, 10), align_corners=True), MAP),
    "division_of_maps": (lambda x, y: x / y, MAP, MAP),
    "over_the_batch": (lambda x: tf.reduce_mean(x, 0), MAP),
    "product_of_maps": (lambda x, y: tf.matmul(x, y), (3, 4), (4, 5)),
}


def of_function(function, *shapes, batch=None):
    specs = [tf.TensorSpec((batch, *shape), name=f"x{i}") for i, shape in enumerate(shapes)]
    traced = tf.function(function, input_signature=specs)
    return tf.lite.TFLiteConverter.from_concrete_functions([traced.get_concrete_function()], tf.Module())


def run(file, inputs, resolver=OpResolverType.AUTO):
    interpreter = Interpreter(model_content=file, experimental_op_resolver_type=resolver, num_threads=1)
    for detail, value in zip(interpreter.get_input_details(), inputs):
        interpreter.resize_tensor_input(detail["index"], value.shape)
    interpreter.allocate_tensors()
    for detail, value in zip(interpreter.get_input_details(), inputs):
        interpreter.set_tensor(detail["index"], value)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def shapes_of(file):
    interpreter = Interpreter(model_content=file)
    return [tuple(detail["shape_signature"][1:]) for detail in interpreter.get_input_details()]


def record(arrays, name, file, samples=SAMPLES, low=-1.0):
    arrays[f"{name}/model"] = np.frombuffer(file, "uint8").copy()
    inputs = [values(samples, *shape, low=low) for shape in shapes_of(file)]
    arrays.update({f"{name}/input.{i}": value for i, value in enumerate(inputs)})
    outputs = run(file, inputs)
    arrays.update({f"{name}/output.{i}": value for i, value in enumerate(outputs)})
    if name.startswith("operator"):
        return
    reference = run(file, inputs, OpResolverType.BUILTIN_REF)
    if any(a.tobytes() != b.tobytes() for a, b in zip(outputs, reference)):
        arrays.update({f"{name}/reference.{i}": value for i, value in enumerate(reference)})


def small():
    from safetensors.numpy import save_file

    arrays = {}
    for build in NETS:
        converter = tf.lite.TFLiteConverter.from_keras_model(made(build))
        record(arrays, f"net/{build.__name__}", converter.convert())
    for name, (function, *shapes) in OPERATORS.items():
        record(arrays, f"operator/{name}", of_function(function, *shapes).convert())
    record(arrays, "operator/prelu", of_function(keras.layers.PReLU(shared_axes=(1, 2), alpha_initializer=lambda *_, **__: row), MAP).convert())
    record(arrays, "file/one_sample", of_function(lambda x: tf.tensordot(tf.reshape(x * 2.0, (24,)), values(24, 3), 1), (6, 4), batch=1).convert(), 1)
    converter = of_function(OPERATORS["conv_valid"][0], MAP)
    converter.optimizations, converter.target_spec.supported_types = [tf.lite.Optimize.DEFAULT], [tf.float16]
    record(arrays, "file/float16", converter.convert())
    converter = of_function(lambda x: tf.nn.conv2d(x, kernel, 1, "SAME") + row[:1], MAP)
    converter._experimental_use_buffer_offset = True
    record(arrays, "file/weights_behind_the_tables", converter.convert())
    for name, (function, *shapes) in REFUSED.items():
        arrays[f"refused/{name}/model"] = np.frombuffer(of_function(function, *shapes).convert(), "uint8").copy()
    # Weights of fewer elements than 1,024 stay as they are.
    converter = of_function(lambda x: tf.nn.relu(tf.matmul(x, values(40, 32))), (40,))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    arrays["quantised/weights/model"] = np.frombuffer(converter.convert(), "uint8").copy()
    converter.representative_dataset = lambda: ([values(1, 40)] for _ in range(4))
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    arrays["quantised/int8/model"] = np.frombuffer(converter.convert(), "uint8").copy()
    # As UpSampling2D of Keras 3 enlarges maps, and an axis of several elements.
    larger = lambda x: tf.tile(tf.repeat(tf.repeat(x, 2, 1), 3, 2), (1, 1, 2, 2)) * 2.0
    record(arrays, "operator/tile", of_function(larger, (2, 3, 2)).convert())
    save_file(arrays, HERE / "tflite_cases.safetensors")
    for name in SEEDS:
        path = HERE.parents[2] / "fuzz" / "seeds" / "import_tflite" / f"{Path(name).name}.tflite"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(arrays[f"{name}/model"].tobytes())


def large(folder, names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        path = folder / f"{name}.tflite"
        if name.endswith(".tflite"):
            path, file = folder / Path(name).name, Path(name).read_bytes()
            path.write_bytes(file)
        else:
            keras.utils.set_random_seed(1)
            # Logits: the softmax of random weights is the same for all classes, whatever the net computes.
            model = getattr(keras.applications, name)(weights=None, input_shape=(96, 96, 3), classifier_activation=None)
            norms = [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
            momenta = [norm.momentum for norm in norms]
            for layer in norms:
                layer.momentum = 0.0
            model(values(4, 96, 96, 3), training=True)
            for layer, momentum in zip(norms, momenta):
                layer.momentum = momentum
            file = tf.lite.TFLiteConverter.from_keras_model(model).convert()
            path.write_bytes(file)
        # A file for one sample may say its sizes where it reshapes.
        batches = [detail["shape_signature"][0] for detail in Interpreter(model_content=file).get_input_details()]
        samples = SAMPLES if batches[0] == -1 else batches[0]
        inputs = [values(samples, *shape) for shape in shapes_of(file)]
        outputs, reference = run(file, inputs), run(file, inputs, OpResolverType.BUILTIN_REF)
        error = max(np.abs(a - b).max() / np.sqrt((b**2).mean()) for a, b in zip(outputs, reference))
        print(f"{path.name} {error:.1e}", flush=True)
        for kind, arrays in (("input", inputs), ("output", outputs)):
            for index, value in enumerate(arrays):
                np.save(f"{path}.{kind}.{index}.npy", value)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        large(Path(sys.argv[1]), sys.argv[2:])
    else:
        small()
