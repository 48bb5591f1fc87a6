"""The other engines, one module each. A module has `ways(net, threads)`: the ways to run the net.

Every module is imported in a process of its own (see `rounds.py`), so that no engine's threads,
allocator or crash reaches another.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

import numpy as np

# The packages that each engine needs, in the order of the table.
NEEDS = {
    "torch": ("torch",),
    "onnxruntime": ("onnxruntime", "onnx"),
    "litert": ("ai_edge_litert", "tensorflow"),
    "ncnn": ("ncnn",),
    "openvino": ("openvino",),
}


@dataclass(frozen=True)
class Candidate:
    """A way to run a net: `run` is what the clock sees, `result` is what `run` computed."""

    run: Callable[[], object]
    result: Callable[[], np.ndarray]


# By their labels; each makes the net ready in the engine only when it is called. What it takes to write
# the net in the engine's language is done before.
Ways = dict[str, Callable[[], Candidate]]


def missing(engine: str) -> list[str]:
    """Packages that the engine needs and that are not installed."""
    return [package for package in NEEDS[engine] if importlib.util.find_spec(package) is None]


def load(engine: str) -> ModuleType:
    """The engine's module."""
    return importlib.import_module(f"engines.{engine}")
