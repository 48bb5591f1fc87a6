"""Models and weights as Keras 3 writes them, and what the models give.

usage: keras_models.py FOLDER        with keras 3.15.1 and tensorflow 2.21.0

Writes FOLDER/*.keras, *.h5 and keras_models.safetensors: for each model NAME its inputs, NAME/input/0 …, and outputs,
NAME/output/0 …. Archives are compressed, which Keras does not do, so that they take less room here.
"""

import os
import sys
import zipfile

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import h5py
import keras
import numpy as np
from safetensors.numpy import save_file

L = keras.layers
folder = sys.argv[1]
random = np.random.default_rng(17)
arrays = {}


def draw(model):
    """Weights of the size of 1, and variances that are positive."""
    for variable in model.weights:
        values = random.normal(size=variable.shape) * 0.5
        if "variance" in variable.path:
            values = values**2 + 0.5
        elif variable.path.endswith("count"):
            values = np.abs(values)
        variable.assign(values)
    for layer in model.layers:
        # What `Normalization` computes with is made of its weights.
        if isinstance(layer, L.Normalization):
            layer.finalize_state()


def record(name, model, samples=1):
    inputs = [random.normal(size=(samples, *i.shape[1:])).astype("float32") for i in model.inputs]
    outputs = model(inputs[0] if len(inputs) == 1 else inputs, training=False)
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    for i, values in enumerate(inputs):
        arrays[f"{name}/input/{i}"] = values
    for i, values in enumerate(outputs):
        arrays[f"{name}/output/{i}"] = np.asarray(keras.ops.convert_to_numpy(values), "float32")


def path(file):
    return os.path.join(folder, file)


def save(name, model, kind="keras", outputs_of=None):
    record(name, outputs_of or model)
    file = path(f"{name}.{kind}")
    model.save(file)
    if kind == "keras":
        with zipfile.ZipFile(file) as archive:
            parts = {part: archive.read(part) for part in archive.namelist()}
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for part, content in parts.items():
                archive.writestr(zipfile.ZipInfo(part), content, zipfile.ZIP_DEFLATED)


# Every layer that works on maps, each by itself.
maps = keras.Input((6, 5, 4), name="maps")
each = [
    L.Conv2D(3, (3, 2), strides=(2, 1), padding="same", activation="relu"),
    L.Conv2D(6, 3, dilation_rate=2, groups=2, use_bias=False, padding="same"),
    L.Conv2D(3, 1, activation=L.ReLU(max_value=1.5, negative_slope=0.25)),
    L.Conv2DTranspose(3, 3, strides=2, padding="same", activation="tanh"),
    L.Conv2DTranspose(3, (2, 3), strides=2, output_padding=1),
    L.DepthwiseConv2D(3, depth_multiplier=2, padding="same", activation="softplus"),
    L.SeparableConv2D(5, 3, depth_multiplier=2, activation="silu"),
    L.Dense(3, activation="sigmoid"),
    L.MaxPooling2D(2),
    L.MaxPooling2D((3, 2), strides=1, padding="same"),
    L.AveragePooling2D(2),
    L.AveragePooling2D(3, strides=2, padding="same"),
    L.GlobalAveragePooling2D(),
    L.GlobalMaxPooling2D(keepdims=True),
    L.BatchNormalization(),
    L.BatchNormalization(scale=False, epsilon=1e-2),
    L.BatchNormalization(center=False),
    L.BatchNormalization(center=False, scale=False),
    L.LayerNormalization(),
    L.LayerNormalization(scale=False, epsilon=1e-2),
    L.GroupNormalization(2),
    L.GroupNormalization(-1, center=False),
    L.Normalization(),
    L.Normalization(mean=[1.0, 2.0, 3.0, 4.0], variance=[4.0, 3.0, 2.0, 1.0]),
    L.Rescaling(0.5, offset=-1.0),
    L.Rescaling([0.5, 2.0, 1.0, 0.25], offset=[1.0, 0.0, -1.0, 2.0]),
    L.ZeroPadding2D(((1, 2), (0, 1))),
    L.Cropping2D(((1, 2), (0, 1))),
    L.CenterCrop(3, 2),
    L.UpSampling2D((2, 3)),
    L.UpSampling2D(2, interpolation="bilinear"),
    L.Flatten(),
    L.Reshape((3, -1)),
    L.Permute((3, 1, 2)),
    L.Softmax(),
    L.Softmax(axis=1),
    L.ReLU(),
    L.ReLU(max_value=6.0),
    L.ReLU(max_value=1.0, threshold=0.5),
    L.LeakyReLU(negative_slope=0.1),
    L.ELU(alpha=0.5),
    L.PReLU(shared_axes=[1, 2]),
    L.Activation("relu6"),
    L.Activation("leaky_relu"),
    L.Activation("hard_sigmoid"),
    L.Activation("hard_swish"),
    L.Activation("elu"),
    L.Activation("selu"),
    L.Activation("gelu"),
    L.Activation("softsign"),
    L.Activation("exponential"),
    L.Activation("mish"),
    L.Activation("linear"),
    L.Dropout(0.5),
    L.SpatialDropout2D(0.5),
    L.GaussianNoise(0.5),
    L.GaussianDropout(0.5),
    L.AlphaDropout(0.5),
    L.ActivityRegularization(0.1),
    L.RandomFlip(),
    L.RandomRotation(0.5),
    L.Identity(),
]
model = keras.Model(maps, [layer(maps) for layer in each], name="layers_of_maps")
draw(model)
save("layers_of_maps", model)

# Those of series, and those of several values.
series = keras.Input((8, 3), name="series")
beside = keras.Input((8, 3), name="beside")
each = [
    L.Conv1D(4, 3, padding="causal", dilation_rate=2, activation="relu"),
    L.Conv1D(4, 3, strides=2, padding="same", use_bias=False),
    L.Conv1DTranspose(2, 3, strides=2, padding="same"),
    L.DepthwiseConv1D(3, depth_multiplier=2, padding="same"),
    L.SeparableConv1D(4, 3, padding="same", activation="tanh"),
    L.Dense(5, use_bias=False, activation="softmax"),
    L.MaxPooling1D(2),
    L.AveragePooling1D(3, strides=2, padding="same"),
    L.GlobalAveragePooling1D(),
    L.GlobalMaxPooling1D(),
    L.ZeroPadding1D((2, 1)),
    L.Cropping1D((1, 2)),
    L.UpSampling1D(2),
    L.SpatialDropout1D(0.5),
    L.LSTM(4),
    L.LSTM(4, return_sequences=True, go_backwards=True, use_bias=False),
    L.GRU(4),
    L.GRU(4, return_sequences=True),
    L.Bidirectional(L.LSTM(3)),
    L.Bidirectional(L.GRU(3), merge_mode="sum"),
    L.PReLU(),
]
merged = [L.Add(), L.Subtract(), L.Multiply(), L.Average(), L.Maximum(), L.Minimum(), L.Concatenate(), L.Concatenate(axis=1)]
outputs = [layer(series) for layer in each] + [layer([series, beside]) for layer in merged]
outputs += [series + beside, series * 2.0, 1.0 - series, series / 4.0]
model = keras.Model([series, beside], outputs, name="layers_of_series")
draw(model)
save("layers_of_series", model)


# A model in a model that is called twice, with a layer that is used outside of it as well, one that is called twice itself,
# names that are there twice, and frozen parts.
def nested():
    inner_input = keras.Input((6, 6, 3), name="inner_input")
    shared = L.Conv2D(3, 3, padding="same", activation="relu", name="shared")
    x = L.BatchNormalization(scale=False, name="bn")(shared(inner_input))
    x = L.Conv2D(3, 1, name="conv", trainable=False)(x)
    inner = keras.Model(inner_input, x, name="inner")
    image = keras.Input((6, 6, 3), name="image")
    again = L.Conv2D(3, 3, padding="same", name="again", activation="sigmoid")
    a = inner(image)
    b = inner(again(a))
    c = again(b)
    return inner, shared, image, (a, b, c)


inner, shared, image, (a, b, c) = nested()
d = L.Add(name="sum")([a, shared(c)])
d = keras.Sequential([L.Conv2D(2, 1, name="conv"), L.ReLU(name="re_lu")], name="tail")(d)
model = keras.Model(image, L.Dense(3, activation="softmax", name="head")(L.Flatten(name="flatten")(d)), name="nested")
draw(model)
model.compile("adam", "categorical_crossentropy")
save("nested", model)
# In .h5 each place has the weights.
inner, _, image, (a, b, c) = nested()
x = keras.Sequential([L.Conv2D(2, 1, name="conv"), L.ReLU(name="re_lu")], name="tail")(L.Add(name="sum")([a, c]))
model = keras.Model(image, L.Dense(3, activation="softmax", name="head")(L.Flatten(name="flatten")(x)), name="nested")
draw(model)
save("nested_keras3", model, "h5")

# bfloat16 is two bytes that HDF5 has no type for, float16 is a number of it.
for kind in ("bfloat16", "float16"):
    model = keras.Sequential([keras.Input((5,)), L.Dense(4, activation="relu", name="a"), L.Dense(2, name="b")], name="net")
    draw(model)
    half = keras.Sequential(
        [keras.Input((5,)), L.Dense(4, activation="relu", name="a", dtype=kind), L.Dense(2, name="b", dtype=kind)],
        name="net",
    )
    half.set_weights(model.get_weights())
    model.set_weights([np.asarray(keras.ops.cast(w, "float32")) for w in half.weights])
    save(kind, half, outputs_of=model)

# Weights alone, by names, and the same without.
def base(top):
    layers = [keras.Input((6, 6, 2)), L.Conv2D(3, 3, name="stem"), L.BatchNormalization(name="bn"), L.ReLU()]
    layers += [L.DepthwiseConv2D(2, name="depthwise"), L.Conv2D(2, 1, name="point"), L.Flatten()]
    return keras.Sequential(layers + [L.Dense(top, name=f"top_{top}")], name="base")


model = base(3)
draw(model)
record("base", model)
model.save_weights(path("base.weights.h5"))
weights = {layer.name: layer.get_weights() for layer in model.layers}

# As Keras 1 and keras.applications name them, and with a list of names that is in parts, as one too long for an attribute.
with h5py.File(path("keras1.h5"), "w") as file:
    file.attrs["layer_names"] = [name.encode() for name in weights]
    for name, values in weights.items():
        group = file.create_group(name)
        suffixes = {2: ["W", "b"], 4: ["gamma", "beta", "running_mean", "running_std"]}.get(len(values), [])
        names = [f"{name}_{suffix}_1:0".encode() for suffix in suffixes]
        if len(names) > 2:
            group.attrs["weight_names0"], group.attrs["weight_names1"] = names[:3], names[3:]
        else:
            group.attrs["weight_names"] = names
        for weight, value in zip(names, values):
            group[weight.decode()] = value
# Kernels in Theano's order.
with h5py.File(path("theano.h5"), "w") as file:
    file.attrs["layer_names"] = [b"stem"]
    for name, values in [("stem", weights["stem"])]:
        group = file.create_group(name)
        names = [f"{name}_{i}".encode() for i in range(len(values))]
        group.attrs["weight_names"] = names
        for weight, value in zip(names, values):
            group[weight.decode()] = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value

# Layers within others: sides of a `Bidirectional`, one for each step, and a name that an inner model has too.
def wrapped():
    inner = keras.Sequential([keras.Input((6, 3)), L.Conv1D(3, 1, name="conv")], name="inner")
    middle = keras.Sequential([keras.Input((6, 3)), inner], name="middle")
    series = keras.Input((6, 3), name="series")
    x = L.Conv1D(3, 1, name="conv")(1.0 - middle(series))
    x = L.TimeDistributed(L.Dense(4, activation="tanh", name="step"), name="steps")(x)
    x = L.Bidirectional(L.GRU(3, name="gru"), name="both")(x)
    return keras.Model(series, L.Dense(2, name="head")(x), name="wrapped")


model = wrapped()
draw(model)
save("wrapped", model)

save_file(arrays, path("keras_models.safetensors"))
