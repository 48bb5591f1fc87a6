"""Writes keras_augmentation.safetensors: images as Keras 3 augments them, with parameters that are given and not drawn.

For each image size HxWxC: `HxWxC/input`. For each of the two conventions, `generator` and `layers`, and each map:
`HxWxC/CONVENTION/MAP`, outputs `[8, H, W, C]` by bilinear and then nearest interpolation, and in each by the fill modes
nearest, constant (of VALUE), reflect and wrap; and `CONVENTION/MAP`, its parameters in the order of `Map`. Values that change
without a map are `HxWxC/CONVENTION/NAME`, in order those of PARAMETERS.

`generator` is ImageDataGenerator.apply_transform and `layers` the layers RandomRotation, RandomTranslation, RandomZoom,
RandomFlip, RandomCrop, RandomBrightness and RandomContrast, but for what is plainly wrong in them and put right here:

- generator: width and height are exchanged in shifts and in the centre of an image that is no square.
- both: the cosine of 90 degrees is 0, and no rounding, which decides where pixels are as near and where an image ends.
- layers: RandomShear is about the corner of an image.
- both: wrap is no tiling. SciPy's grid-wrap is one.

usage: python engine/tests/golden/keras_augmentation.py
needs Python 3.11 with: keras==3.15.1 tensorflow-cpu==2.21.0 numpy==2.4.6 scipy==1.17.1 pillow==13.0.0 safetensors==0.8.0"""

import pathlib
from typing import Any, NamedTuple

import scipy.ndimage
from keras_layers import Tensors, in_order, keras, np, safetensors, tf
from keras.src.legacy.preprocessing import image as legacy

SIZES = [(6, 6, 1), (7, 7, 3), (5, 9, 3), (8, 5, 4)]
FILLS = ["nearest", "constant", "reflect", "wrap"]
VALUE = 7.0


class Map(NamedTuple):
    """Angles in degrees, shifts in shares of the size, down and to the right, zooms as the distance of pixels."""

    rotation: float = 0.0
    height_shift: float = 0.0
    width_shift: float = 0.0
    shear: float = 0.0
    shear_y: float = 0.0
    shear_x: float = 0.0
    zoom_height: float = 1.0
    zoom_width: float = 1.0
    vertical_flip: float = 0.0
    horizontal_flip: float = 0.0


MAPS = {
    "still": Map(),
    "rotated": Map(rotation=33.75),
    "turned": Map(rotation=-90.0),
    "shifted": Map(height_shift=0.25, width_shift=-0.125),
    "half": Map(height_shift=0.5, width_shift=0.5),
    "far": Map(height_shift=-1.75, width_shift=3.125),
    "smaller": Map(zoom_height=2.0, zoom_width=1.25),
    "larger": Map(zoom_height=0.75, zoom_width=0.5),
    "flipped": Map(vertical_flip=1.0, horizontal_flip=1.0),
}
GENERATOR = MAPS | {
    "sheared": Map(shear=20.0),
    "together": Map(-20.0, 0.2, -0.1, 15.0, 0.0, 0.0, 1.2, 0.7, 0.0, 1.0),
}
LAYERS = MAPS | {
    "sheared": Map(shear_y=0.25),
    "sheared_too": Map(shear_x=0.5),
    "together": Map(-22.5, 0.2, -0.1, 0.0, 0.25, 0.0, 1.2, 0.7, 0.0, 1.0),
}
BRIGHTNESS = {"generator": [0.0, 0.4, 1.0, 1.7], "layers": [-1.0, -0.3, 0.0, 0.2]}
CONTRAST = [0.0, 0.5, 1.0, 1.6]
CHANNEL_SHIFTS = [-60.0, 0.5, 100.0]
CROPS = [(0, 0), (1, 2)]
CROPPED = (4, 3)


def right_matrix(matrix: np.ndarray, height: int, width: int) -> np.ndarray:
    """With the centre of an image that is no square where it is."""
    return np.round(centred(matrix, width, height), 12)


centred = legacy.transform_matrix_offset_center
legacy.transform_matrix_offset_center = right_matrix


def by_generator(x: np.ndarray, how: Map, fill: str, order: int) -> np.ndarray:
    height, width, _ = x.shape
    mode = "grid-wrap" if fill == "wrap" else fill
    generator = legacy.ImageDataGenerator(fill_mode=mode, cval=VALUE, interpolation_order=order)
    # `tx` moves columns, and pixels of the output along the image.
    parameters = {
        "theta": how.rotation,
        "tx": -how.width_shift * width,
        "ty": -how.height_shift * height,
        "shear": how.shear,
        "zx": how.zoom_width,
        "zy": how.zoom_height,
        "flip_horizontal": how.horizontal_flip,
        "flip_vertical": how.vertical_flip,
    }
    return generator.apply_transform(x, parameters)


def fixed(number: float) -> tuple[float, float]:
    return (number, number)


def layer_matrices(how: Map, height: int, width: int) -> list[np.ndarray]:
    """Those of the layers, as 3x3 of (x, y)."""
    image = np.zeros((1, height, width, 1), np.float32)
    found = []

    def of(layer: Any) -> None:
        """What a layer gives to the function that moves pixels."""
        function = layer.backend.image.affine_transform
        layer.backend.image.affine_transform = lambda images, transform, **_: found.append(transform) or images
        layer(image, training=True)
        layer.backend.image.affine_transform = function

    if how.rotation:
        of(keras.layers.RandomRotation(fixed(how.rotation / 360.0)))
    if how.height_shift or how.width_shift:
        layer = keras.layers.RandomTranslation(0.0, 0.0)
        # The arguments go from -1 to 1 only.
        layer.height_lower = layer.height_upper = how.height_shift
        layer.width_lower = layer.width_upper = how.width_shift
        of(layer)
    if (how.zoom_height, how.zoom_width) != (1.0, 1.0):
        of(keras.layers.RandomZoom(fixed(how.zoom_height - 1.0), fixed(how.zoom_width - 1.0)))
    matrices = [np.append(np.asarray(transform, np.float64), 1.0).reshape(3, 3) for transform in found]
    if how.shear_x or how.shear_y:
        x, y = (width - 1) / 2, (height - 1) / 2
        shear = np.array([[1, how.shear_x, -how.shear_x * y], [how.shear_y, 1, -how.shear_y * x], [0, 0, 1]])
        # Before the zoom, which is the last.
        matrices.insert(len(matrices) - (how.zoom_width != 1.0), shear)
    if how.horizontal_flip:
        matrices.append(np.array([[-1.0, 0, width - 1], [0, 1, 0], [0, 0, 1]]))
    if how.vertical_flip:
        matrices.append(np.array([[1.0, 0, 0], [0, -1, height - 1], [0, 0, 1]]))
    return matrices


def by_layers(x: np.ndarray, how: Map, fill: str, order: int) -> np.ndarray:
    height, width, channels = x.shape
    matrix = np.eye(3)
    for each in layer_matrices(how, height, width):
        matrix = matrix @ each
    if how.rotation % 90.0 == 0.0:
        matrix = np.round(matrix, 5)
    if fill == "wrap":
        rows, columns = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
        at = np.einsum("ij,jhw->ihw", matrix[:2], np.stack([columns, rows, np.ones_like(rows)]))[::-1]
        planes = [scipy.ndimage.map_coordinates(x[..., c], at, order=order, mode="grid-wrap") for c in range(channels)]
        return np.stack(planes, -1)
    interpolation = ["nearest", "bilinear"][order]
    transform = matrix.reshape(9)[:8].astype(np.float32)
    return np.asarray(keras.ops.image.affine_transform(x, transform, interpolation, fill, VALUE))


def check_layers(x: np.ndarray) -> None:
    """That the layers themselves give what their matrices do."""
    height, width, _ = x.shape
    for fill in FILLS[:3]:
        how = {"fill_mode": fill, "fill_value": VALUE}
        rotated = keras.layers.RandomRotation(fixed(33.75 / 360.0), **how)(x, training=True)
        assert np.allclose(rotated, by_layers(x, MAPS["rotated"], fill, 1), atol=1e-3)
        shifted = keras.layers.RandomTranslation(fixed(0.25), fixed(-0.125), **how)(x, training=True)
        assert np.array_equal(shifted, by_layers(x, MAPS["shifted"], fill, 1))
        zoomed = keras.layers.RandomZoom(fixed(-0.25), fixed(-0.5), **how)(x, training=True)
        assert np.array_equal(zoomed, by_layers(x, MAPS["larger"], fill, 1))
    flip = keras.layers.RandomFlip()
    flipped = flip.transform_images(x[None], {"flips": np.ones((1, 1, 1, 1), bool)})
    assert np.array_equal(flipped[0], by_layers(x, MAPS["flipped"], "nearest", 1))


def main() -> None:
    metadata = {"keras": keras.__version__, "backend": f"{keras.config.backend()} {tf.__version__}"}
    metadata["scipy"] = scipy.__version__
    keras.config.set_floatx("float32")
    tensors: Tensors = {}
    rng = np.random.default_rng(1)
    for size in SIZES:
        name = "x".join(map(str, size))
        x = rng.integers(0, 256, size).astype(np.float32)
        check_layers(x)
        tensors[f"{name}/input"] = x
        for convention, maps, function in (("generator", GENERATOR, by_generator), ("layers", LAYERS, by_layers)):
            for key, how in maps.items():
                tensors[f"{convention}/{key}"] = np.array(how)
                outputs = [function(x, how, fill, order) for order in (1, 0) for fill in FILLS]
                tensors[f"{name}/{convention}/{key}"] = np.stack(outputs)
        generator = legacy.ImageDataGenerator()
        brightness = [generator.apply_transform(x, {"brightness": b}) for b in BRIGHTNESS["generator"]]
        # Pillow's images have one or three channels.
        if size[2] in (1, 3):
            tensors[f"{name}/generator/brightness"] = np.stack(brightness)
        shifted = [generator.apply_transform(x, {"channel_shift_intensity": s}) for s in CHANNEL_SHIFTS]
        tensors[f"{name}/generator/channel_shift"] = np.stack(shifted)
        brightness = [keras.layers.RandomBrightness(fixed(b))(x, training=True) for b in BRIGHTNESS["layers"]]
        tensors[f"{name}/layers/brightness"] = np.stack(brightness)
        contrast = keras.layers.RandomContrast(0.5)
        changed = [contrast.transform_images(x, {"contrast_factor": np.float32(f)}) for f in CONTRAST]
        tensors[f"{name}/layers/contrast"] = np.stack(changed)
        crop = keras.layers.RandomCrop(*CROPPED)
        tensors[f"{name}/layers/crop"] = np.stack([crop.transform_images(x, place) for place in CROPS])
    tensors["generator/brightness"] = np.array(BRIGHTNESS["generator"])
    tensors["generator/channel_shift"] = np.array(CHANNEL_SHIFTS)
    tensors["layers/brightness"] = np.array(BRIGHTNESS["layers"])
    tensors["layers/contrast"] = np.array(CONTRAST)
    tensors["layers/crop"] = np.array(CROPS)
    tensors = {key: np.ascontiguousarray(x, np.float32) for key, x in tensors.items()}
    here = pathlib.Path(__file__)
    here.with_suffix(".safetensors").write_bytes(in_order(safetensors.numpy.save(tensors, metadata)))


if __name__ == "__main__":
    main()
