"""Writes layers.txt, outputs.txt and pixels.txt: the nets as Keras has them, what they compute, and what they take.

layers.txt: for each net a line `NET H W C`, and for each layer but inputs `NAME SIZE,SIZE,... PARAMETERS`, the sizes `.` if they
are those of the layer before, the parameters left out if there are none, in the order of `model.layers`, of the net with its top. Then, for other inputs and without the top, a line
`NET H W C OPTIONS LAYERS PARAMETERS DIGEST`: how many layers there are, how many parameters they have, and FNV-1a of their lines.

outputs.txt: for each net, without the top and with the mean of each channel, lines
`NET H W C LENGTH LARGEST ERROR` and `VALUES`: how many outputs there are, the largest of them by magnitude, the largest
difference of what Keras computes in float32 from that, and OUTPUTS values at equal distances, computed in float64.

pixels.txt: for each net a line `NET X Y Z`: what its preprocess_input makes of PIXEL.

Weights and images are made by a formula, `numbers`, which the test has too.

usage: python zoo/tests/golden/keras.py [NET ...]
needs Python 3.11 with: keras==3.15.1 tensorflow-cpu==2.21.0 numpy==2.4.6"""

import os
import pathlib
import sys

os.environ["KERAS_BACKEND"] = "tensorflow"
sys.path.pop(0)  # This file is called as the package.
import keras  # noqa: E402
import numpy as np  # noqa: E402
from keras import layers  # noqa: E402
from keras.src.applications import efficientnet, imagenet_utils  # noqa: E402

OUTPUTS = 32
PIXEL = [200, 100, 50]


def of_chips(body, top):
    """As a function of keras.applications."""

    def build(input_shape, include_top, pooling, classes, **_):
        inputs = layers.Input(input_shape)
        x = body(inputs)
        if include_top:
            x = top(x, input_shape)
            x = layers.Dense(classes, activation="softmax", **names(body))(x)
        elif pooling == "avg":
            x = layers.GlobalAveragePooling2D()(x)
        elif pooling == "max":
            x = layers.GlobalMaxPooling2D()(x)
        return keras.Model(inputs, x)

    return build


def names(body):
    return {"name": "predictions"} if body in (mcunet_in0, mcunet_in1) else {}


def conv_bn(x, filters, kernel, relu=True, **how):
    x = layers.Conv2D(filters, kernel, padding="same", **how)(x)
    x = layers.BatchNormalization()(x)
    return layers.Activation("relu")(x) if relu else x


def depthwise_bn(x, **how):
    x = layers.DepthwiseConv2D(3, padding="same", **how)(x)
    x = layers.BatchNormalization()(x)
    return layers.Activation("relu")(x)


def resnet8(x):
    x = conv_bn(x, 16, 3)
    for filters, strides in [(16, 1), (32, 2), (64, 2)]:
        y = conv_bn(x, filters, 3, strides=strides)
        y = conv_bn(y, filters, 3, relu=False)
        if strides == 2:
            x = layers.Conv2D(filters, 1, strides=2, padding="same")(x)
        x = layers.Activation("relu")(layers.add([x, y]))
    return x


def resnet8_top(x, _):
    return layers.Flatten()(layers.AveragePooling2D(min(x.shape[1:3]))(x))


def ds_cnn(x):
    x = layers.Dropout(0.2)(conv_bn(x, 64, (10, 4), strides=2))
    for _ in range(4):
        x = conv_bn(depthwise_bn(x), 64, 1)
    return layers.Dropout(0.4)(x)


def ds_cnn_top(x, shape):
    return layers.Flatten()(layers.AveragePooling2D((shape[0] // 2, shape[1] // 2))(x))


def visual_wake_words(x):
    x = conv_bn(x, 8, 3, strides=2)
    filters = [16, 32, 32, 64, 64, 128, 128, 128, 128, 128, 128, 256, 256]
    for before, after in zip([8] + filters, filters):
        x = conv_bn(depthwise_bn(x, strides=2 if after > before and before > 8 else 1), after, 1)
    return x


def visual_wake_words_top(x, _):
    return layers.Flatten()(layers.AveragePooling2D(x.shape[1:3])(x))


def mcunet(x, filters, blocks):
    def bn(x, name):
        return layers.BatchNormalization(momentum=0.999, name=name)(x)

    x = layers.ZeroPadding2D(1, name="Conv1_pad")(x)
    x = layers.Conv2D(filters, 3, strides=2, use_bias=False, name="Conv1")(x)
    x = layers.ReLU(6.0, name="Conv1_relu")(bn(x, "bn_Conv1"))
    for i, (expansion, filters, strides, kernel) in enumerate(blocks):
        y, name, padding = x, f"block_{i}_", "same"
        if expansion > 1:
            y = layers.Conv2D(expansion * x.shape[-1], 1, use_bias=False, name=name + "expand")(y)
            y = layers.ReLU(6.0, name=name + "expand_relu")(bn(y, name + "expand_BN"))
        if strides == 2:
            y, padding = layers.ZeroPadding2D(kernel // 2, name=name + "pad")(y), "valid"
        y = layers.DepthwiseConv2D(
            kernel, strides=strides, padding=padding, use_bias=False, name=name + "depthwise"
        )(y)
        y = layers.ReLU(6.0, name=name + "depthwise_relu")(bn(y, name + "depthwise_BN"))
        y = layers.Conv2D(filters, 1, use_bias=False, name=name + "project")(y)
        y = bn(y, name + "project_BN")
        x = layers.Add(name=name + "add")([x, y]) if strides == 1 and x.shape[-1] == filters else y
    return x


def mcunet_in0(x):
    blocks = [(1, 16, 1, 3), (4, 16, 2, 5), (3, 16, 1, 3), (4, 16, 1, 3), (5, 24, 2, 7), (4, 24, 1, 5)]
    blocks += [(5, 24, 1, 5), (5, 48, 2, 7), (4, 48, 1, 5), (5, 56, 1, 3), (4, 56, 1, 5), (5, 56, 1, 3)]
    return mcunet(x, 24, blocks + [(6, 112, 2, 3), (4, 112, 1, 5), (6, 192, 1, 3)])


def mcunet_in1(x):
    blocks = [(1, 8, 1, 3), (4, 16, 2, 3), (3, 16, 1, 3), (3, 24, 2, 7), (5, 24, 1, 3), (5, 40, 2, 3)]
    blocks += [(4, 40, 1, 7), (4, 48, 1, 5), (3, 48, 1, 3), (4, 48, 1, 3), (5, 96, 2, 7), (4, 96, 1, 5)]
    return mcunet(x, 16, blocks + [(4, 96, 1, 5), (6, 160, 1, 3)])


def mean(x, _):
    return layers.GlobalAveragePooling2D()(x)


def efficientnet_lite0(input_shape, include_top, pooling, classes):
    """Keras's blocks without squeeze-and-excitation, and no rescaling."""
    x = inputs = layers.Input(input_shape)
    x = layers.ZeroPadding2D(imagenet_utils.correct_pad(x, 3), name="stem_conv_pad")(x)
    x = layers.Conv2D(32, 3, strides=2, use_bias=False, name="stem_conv")(x)
    x = layers.Activation("relu6", name="stem_activation")(layers.BatchNormalization(name="stem_bn")(x))
    number, count = 0, sum(args["repeats"] for args in efficientnet.DEFAULT_BLOCKS_ARGS)
    for i, args in enumerate(efficientnet.DEFAULT_BLOCKS_ARGS):
        args = args | {"se_ratio": 0}
        for j in range(args.pop("repeats")):
            if j > 0:
                args |= {"strides": 1, "filters_in": args["filters_out"]}
            name = f"block{i + 1}{chr(j + 97)}_"
            x = efficientnet.block(x, "relu6", 0.2 * number / count, name=name, **args)
            number += 1
    x = layers.Conv2D(1280, 1, use_bias=False, name="top_conv")(x)
    x = layers.Activation("relu6", name="top_activation")(layers.BatchNormalization(name="top_bn")(x))
    if include_top:
        x = layers.Dropout(0.2, name="top_dropout")(layers.GlobalAveragePooling2D(name="avg_pool")(x))
        x = layers.Dense(classes, activation="softmax", name="predictions")(x)
    elif pooling == "avg":
        x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
    elif pooling == "max":
        x = layers.GlobalMaxPooling2D(name="max_pool")(x)
    return keras.Model(inputs, x)


apps = keras.applications
# The function, the input that it was made for, the smallest, and how many classes.
NETS = {
    "xception": (apps.Xception, (299, 299, 3), 71, 1000),
    "vgg16": (apps.VGG16, (224, 224, 3), 32, 1000),
    "vgg19": (apps.VGG19, (224, 224, 3), 32, 1000),
    "resnet50": (apps.ResNet50, (224, 224, 3), 32, 1000),
    "resnet101": (apps.ResNet101, (224, 224, 3), 32, 1000),
    "resnet152": (apps.ResNet152, (224, 224, 3), 32, 1000),
    "resnet50_v2": (apps.ResNet50V2, (224, 224, 3), 32, 1000),
    "resnet101_v2": (apps.ResNet101V2, (224, 224, 3), 32, 1000),
    "resnet152_v2": (apps.ResNet152V2, (224, 224, 3), 32, 1000),
    "inception_v3": (apps.InceptionV3, (299, 299, 3), 75, 1000),
    "mobilenet": (apps.MobileNet, (224, 224, 3), 32, 1000),
    "mobilenet_v2": (apps.MobileNetV2, (224, 224, 3), 32, 1000),
    "densenet121": (apps.DenseNet121, (224, 224, 3), 32, 1000),
    "densenet169": (apps.DenseNet169, (224, 224, 3), 32, 1000),
    "densenet201": (apps.DenseNet201, (224, 224, 3), 32, 1000),
    "nasnet_mobile": (apps.NASNetMobile, (224, 224, 3), 32, 1000),
    "nasnet_large": (apps.NASNetLarge, (331, 331, 3), 32, 1000),
    "efficientnet_b0": (apps.EfficientNetB0, (224, 224, 3), 32, 1000),
    "efficientnet_lite0": (efficientnet_lite0, (224, 224, 3), 32, 1000),
    "resnet8": (of_chips(resnet8, resnet8_top), (32, 32, 3), 16, 10),
    "ds_cnn": (of_chips(ds_cnn, ds_cnn_top), (49, 10, 1), 10, 12),
    "visual_wake_words": (of_chips(visual_wake_words, visual_wake_words_top), (96, 96, 3), 32, 2),
    "mcunet_in0": (of_chips(mcunet_in0, mean), (48, 48, 3), 32, 1000),
    "mcunet_in1": (of_chips(mcunet_in1, mean), (96, 96, 3), 32, 1000),
}


# Of which it is measured where the classes end.
LOGITS = ["mobilenet", "mobilenet_v2", "vgg16", "resnet50", "densenet121", "efficientnet_b0"]


def options_of(net):
    """With and without the top, of sides that are odd and even, as `notop:POOLING`, `classes:N`, `alpha:A`,
    `depth:N` and `logits:N`, as many without a softmax behind them."""
    _, (height, width, channels), smallest, _ = NETS[net]
    odd = (smallest + 24 | 1, smallest + 14, channels)
    yield (height, width, channels), {"notop": "none"}
    yield odd, {"notop": "avg"}
    yield (odd[1], odd[0], channels), {"notop": "max"}
    yield odd, {"classes": 10}
    if net.startswith("mobilenet"):
        for alpha in [0.25, 0.35, 0.5, 0.75, 1.3, 1.4]:
            yield odd, {"alpha": alpha}
    if net == "mobilenet":
        for depth in [2, 3]:
            yield odd, {"depth": depth}
    if net in LOGITS:
        yield odd, {"logits": 7}


def build(net, shape, options, dtype="float32"):
    keras.backend.clear_session()
    keras.config.set_floatx(dtype)
    function, _, _, classes = NETS[net]
    how = {"include_top": "notop" not in options, "classes": options.get("classes", options.get("logits", classes))}
    if "logits" in options:
        how["classifier_activation"] = None
    if "depth" in options:
        how["depth_multiplier"] = options["depth"]
    how["pooling"] = None if options.get("notop", "none") == "none" else options["notop"]
    if "alpha" in options:
        how["alpha"] = options["alpha"]
    if function.__module__.startswith("keras"):
        how["weights"] = None
    return function(input_shape=shape, **how)


def counted(layer):
    """Without the number of samples that a normalisation has measured, which inference does not read."""
    return [w for w in layer.weights if not (isinstance(layer, layers.Normalization) and w.name == "count")]


def passes_on(layer):
    """Whether it is an activation that is none, which we leave out."""
    return isinstance(layer, layers.Activation) and layer.activation is keras.activations.linear


def listed(model):
    for layer in model.layers:
        if not isinstance(layer, layers.InputLayer) and not passes_on(layer):
            parameters = sum(int(np.prod(w.shape)) for w in counted(layer))
            sizes = ",".join(str(size) for size in layer.output.shape[1:])
            yield layer.name, sizes, parameters


def fnv(data, digest=0xCBF29CE484222325):
    for byte in data:
        digest = (digest ^ byte) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return digest


def numbers(name, count):
    """From -1 to less than 1, in steps of 2^-23, by SplitMix64 from a digest of the name."""
    z = np.uint64(fnv(name.encode())) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
    z = z ^ z >> np.uint64(31)
    return (z >> np.uint64(40)).astype(np.float32) / np.float32(1 << 23) - np.float32(1)


def weights(layer, array, shape):
    u = numbers(f"{layer}/{array}", int(np.prod(shape))).reshape(shape)
    if "kernel" in array:
        # Depthwise ones have one output for each channel.
        fan_in = np.prod(shape[:2]) if len(shape) == 4 and shape[3] == 1 else np.prod(shape[:-1])
        return u * np.float32(np.sqrt(6.0 / fan_in))
    if array == "gamma":
        return np.float32(1) + np.float32(0.25) * u
    if "variance" in array:
        return np.float32(1) + np.float32(0.5) * u
    return np.float32(0.1) * u


def outputs(net, shape, dtype):
    model = build(net, shape, {"notop": "avg"}, dtype)
    for layer in model.layers:
        for w in counted(layer):
            w.assign(weights(layer.name, w.name, tuple(w.shape)).astype(dtype))
        if isinstance(layer, layers.Normalization):
            layer.finalize_state()
    image = numbers("image", int(np.prod(shape))).reshape((1, *shape))
    if net == "efficientnet_b0":
        image = np.float32(127.5) * (image + np.float32(1))
    return np.asarray(model(image.astype(dtype), training=False), np.float64)[0]


def main():
    here, chosen = pathlib.Path(__file__).parent, sys.argv[1:] or list(NETS)
    with open(here / "pixels.txt", "w") as file:
        for net in chosen:
            module = sys.modules[NETS[net][0].__module__]
            if hasattr(module, "preprocess_input"):
                pixel = module.preprocess_input(np.array([[PIXEL]], np.float32))[0, 0]
                print(net, *(f"{x:.9g}" for x in pixel), file=file)
    with open(here / "layers.txt", "w") as file:
        for net in chosen:
            shape = NETS[net][1]
            print(net, *shape, file=file)
            before = None
            for name, sizes, parameters in listed(build(net, shape, {})):
                print(name, "." if sizes == before else sizes, *([parameters] if parameters else []), file=file)
                before = sizes
            for shape, options in options_of(net):
                lines = list(listed(build(net, shape, options)))
                text = "".join(f"{name} {sizes} {parameters}\n" for name, sizes, parameters in lines)
                said = ",".join(f"{key}:{value}" for key, value in options.items())
                total = sum(parameters for _, _, parameters in lines)
                print(net, *shape, said, len(lines), total, f"{fnv(text.encode()):016x}", file=file)
    with open(here / "outputs.txt", "w") as file:
        for net in chosen:
            _, (height, width, channels), smallest, _ = NETS[net]
            shape = (height, width, channels) if net == "ds_cnn" else (smallest, smallest, channels)
            exact, single = outputs(net, shape, "float64"), outputs(net, shape, "float32")
            largest, error = np.abs(exact).max(), np.abs(exact - single).max()
            print(net, *shape, len(exact), f"{largest:.9g} {error:.3g}", file=file)
            print(*(f"{exact[i * len(exact) // OUTPUTS]:.9g}" for i in range(OUTPUTS)), file=file)
            print(net, f"{largest:.9g} {error / largest:.3g}", flush=True)


if __name__ == "__main__":
    main()
