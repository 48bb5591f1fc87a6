"""The list of layers: read, checked, and made into nets of one layer each."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from nets import MaxPool, Net, chain, numbers, output_size, random_conv

CONV = ("n", "cin", "h", "w", "cout", "kh", "kw", "stride", "pad", "groups")
POOL = ("n", "c", "h", "w", "k", "stride", "pad")


class BadList(Exception):
    """A list that is not as described in the README."""


def read(path: Path) -> dict[str, dict[str, int]]:
    """Layers by name, in the order of the file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadList(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise BadList(f"{path}: not JSON: {error}") from error
    if not isinstance(content, dict) or not content.keys() <= {"convs", "pools"}:
        raise BadList(f'{path}: expected an object with "convs" and "pools"')
    layers: dict[str, dict[str, int]] = {}
    for section, fields in (("convs", CONV), ("pools", POOL)):
        entries = content.get(section, {})
        if not isinstance(entries, dict):
            raise BadList(f"{path}: {section}: expected an object")
        for name, values in entries.items():
            if name in layers:
                raise BadList(f"{path}: {name} stands there twice")
            layers[name] = _sizes(f"{path}: {name}", values, fields)
    return layers


def _sizes(place: str, values: object, fields: tuple[str, ...]) -> dict[str, int]:
    if not isinstance(values, list) or [type(value) for value in values] != [int] * len(fields):
        raise BadList(f"{place}: expected {len(fields)} whole numbers [{', '.join(fields)}], found {values}")
    sizes = dict(zip(fields, values))
    for field, size in sizes.items():
        if size < (0 if field == "pad" else 1):
            raise BadList(f"{place}: {field} is {size}")
    window = (sizes["k"], sizes["k"]) if "k" in sizes else (sizes["kh"], sizes["kw"])
    for axis, extent in zip("hw", window):
        if output_size(sizes[axis], extent, sizes["stride"], 2 * sizes["pad"]) < 1:
            raise BadList(f"{place}: a window of {extent} does not fit into {axis} = {sizes[axis]}")
    groups = sizes.get("groups", 1)
    if groups > 1 and (sizes["cin"] % groups or sizes["cout"] % groups):
        raise BadList(f"{place}: {groups} groups do not part {sizes['cin']} and {sizes['cout']} channels")
    return sizes


def net(sizes: dict[str, int]) -> Net:
    """The layer with numbers in it, the same ones every time."""
    random = np.random.default_rng(1)
    if "k" in sizes:
        pictures = numbers(random, sizes["n"], sizes["c"], sizes["h"], sizes["w"])
        return chain(pictures, MaxPool(sizes["k"], sizes["stride"], (sizes["pad"],) * 4))
    pictures = numbers(random, sizes["n"], sizes["cin"], sizes["h"], sizes["w"])
    kernel = (sizes["kh"], sizes["kw"])
    conv = random_conv(
        random, sizes["cin"], sizes["cout"], kernel, sizes["stride"], sizes["pad"], sizes["groups"]
    )
    return chain(pictures, conv)
