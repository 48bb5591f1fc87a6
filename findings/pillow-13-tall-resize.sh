#!/usr/bin/env bash
# Pillow 13.0.0 beside 12.3.0, Python 3.11 to 3.13, Linux x86-64; seen 2026-11-30.
#
# Behaviour: `Image.resize` has two passes, along rows and along columns, each rounded to 8 bits. Up to 12.3.0 rows always came
# first. From 13.0.0 on columns come first where that is less work: where the height shrinks, by more than twice what the width does. So tall
# pictures have other pixels: of noise, 100x400 to 150x150, a fifth of all levels by bilinear filter, a quarter by bicubic, there up to 9
# levels apart (16 for 160x240). Pictures that are wide, or square, or keep their ratio, have the pixels that they had.
#
# The guess that misses: that `resize` gives the pixels of the release before; that a new order could only move the last bit, which is false
# where bicubic overshoots and is clipped between the passes; and that a test on landscape photographs would show it.
#
# Who is hurt: who holds a port of Pillow's arithmetic, in a browser or on a phone, against golden files; who caches resized pictures by
# name and has both releases; who compares a model's accuracy to the last digit, for those pictures that stand upright alone.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/resize.py" <<'PYTHON'
import random
import sys

from PIL import Image

draw = random.Random(1)
with open(sys.argv[1], "wb") as file:
    for width, height in ((400, 300), (300, 400), (160, 240), (100, 400)):
        levels = bytes(draw.getrandbits(8) for _ in range(3 * width * height))
        picture = Image.frombytes("RGB", (width, height), levels)
        for filter in (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC):
            file.write(picture.resize((150, 150), filter).tobytes())
PYTHON
for version in 12.3.0 13.0.0; do
    python3 -m venv "$folder/$version"
    "$folder/$version/bin/pip" install --quiet "pillow==$version"
    "$folder/$version/bin/python" "$folder/resize.py" "$folder/$version.levels"
done
python3 - "$folder/12.3.0.levels" "$folder/13.0.0.levels" <<'PYTHON'
import sys
from pathlib import Path

LEVELS = 3 * 150 * 150
before, after = (Path(path).read_bytes() for path in sys.argv[1:])
changed = []
for part, name in enumerate(
    f"{size} {filter}" for size in ("400x300", "300x400", "160x240", "100x400") for filter in ("bilinear", "bicubic")
):
    place = slice(part * LEVELS, (part + 1) * LEVELS)
    apart = [abs(a - b) for a, b in zip(before[place], after[place])]
    changed.append(sum(level > 0 for level in apart) / LEVELS)
    print(f"{name:18} {100 * changed[-1]:5.1f} % of the levels differ, by up to {max(apart)}")
if any(changed[:4]) or min(changed[4:]) < 0.1:
    sys.exit("this has changed")
PYTHON
