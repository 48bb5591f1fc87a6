"""Reads a folder of images with Keras's ImageDataGenerator, as our `images` program does: prints its images a second."""

from __future__ import annotations

import json
import os
import sys

os.environ.update(KERAS_BACKEND="tensorflow", TF_CPP_MIN_LOG_LEVEL="3", CUDA_VISIBLE_DEVICES="")

import read_options
from keras.src.legacy.preprocessing.image import ImageDataGenerator


def main() -> int:
    """Prints one line of JSON."""
    asked = read_options.parser(__doc__).parse_args()
    changes = dict(
        rotation_range=40, width_shift_range=0.2, height_shift_range=0.2, shear_range=0.2, zoom_range=0.2,
        horizontal_flip=True,
    )  # fmt: skip
    generator = ImageDataGenerator(rescale=1 / 255, **({} if asked.plain else changes))
    images = generator.flow_from_directory(
        asked.folder, target_size=(asked.size, asked.size), batch_size=20, class_mode="sparse",
        interpolation="bilinear", keep_aspect_ratio=False,
    )  # fmt: skip

    def epoch() -> int:
        return sum(len(images[batch][0]) for batch in range(len(images)))

    print(json.dumps({"images_per_second": read_options.fastest(epoch, asked.epochs)}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
