"""Writes images.safetensors: small images in several formats, and what Pillow and Keras make of them.

With Keras 3.15.1 on TensorFlow 2.21.0, Pillow 13.0.0, safetensors 0.8.0.
"""

from __future__ import annotations

import io
import os
from pathlib import Path

os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")

import keras
import numpy as np
from PIL import Image
from safetensors.numpy import save_file

HERE = Path(__file__).resolve().parent
# Width and height of the image, height and width of the target. Pillow does columns first in the fourth.
SIZES = (((37, 23), (12, 16)), ((16, 31), (24, 40)), ((29, 17), (17, 11)), ((20, 41), (9, 27)), ((64, 48), (15, 15)))
PILLOW = {"nearest": Image.NEAREST, "bilinear": Image.BILINEAR, "bicubic": Image.BICUBIC}


def scene(width: int, height: int, channels: int) -> np.ndarray:
    """Waves with an edge and some noise."""
    draw = np.random.default_rng(width * 100 + height)
    y, x, c = np.mgrid[:height, :width, :channels].astype("float64")
    levels = 128 + 60 * np.sin(x / (3 + c)) + 50 * np.cos(y / (4 - c)) + np.where(x + y > (width + height) / 2, 40, -40)
    return np.clip(levels + draw.normal(0, 12, levels.shape), 0, 255).astype("uint8")


def resized(arrays: dict[str, np.ndarray]) -> None:
    """Pixels before and after."""
    for (width, height), (rows, columns) in SIZES:
        for channels in (1, 3):
            name = f"{width}x{height}x{channels}_{columns}x{rows}"
            pixels = scene(width, height, channels)
            arrays[f"{name}/in"] = pixels
            picture = Image.fromarray(pixels if channels == 3 else pixels[:, :, 0])
            file = io.BytesIO()
            picture.save(file, "PNG")
            for how, filter_ in PILLOW.items():
                plain = np.asarray(picture.resize((columns, rows), filter_))
                arrays[f"{name}/pillow/{how}"] = plain.reshape(rows, columns, channels)
                file.seek(0)
                cropped = keras.utils.load_img(
                    file, "rgb" if channels == 3 else "grayscale", (rows, columns), how, keep_aspect_ratio=True
                )
                arrays[f"{name}/load_img_crop/{how}"] = np.asarray(cropped).reshape(rows, columns, channels)
            for how in ("bilinear", "bicubic"):
                for fit in ("stretch", "crop", "pad"):
                    arrays[f"{name}/keras_{fit}/{how}"] = keras.ops.convert_to_numpy(keras.ops.image.resize(
                        pixels.astype("float32"), (rows, columns), interpolation=how, fill_value=7.0,
                        crop_to_aspect_ratio=fit == "crop", pad_to_aspect_ratio=fit == "pad",
                    ))  # fmt: skip


def main() -> None:
    """Writes the file."""
    arrays: dict[str, np.ndarray] = {}
    resized(arrays)
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, HERE / "images.safetensors")


if __name__ == "__main__":
    main()
