"""How far the outputs of two runs are apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from normcraft.graph import LayerGraph
from normcraft.surgery.equivalence import Difference

__all__ = ["compare_outputs", "moved_by"]

Array = np.ndarray[Any, np.dtype[Any]]


def compare_outputs(
    model: keras.Model,
    sort: str,
    dtype: str,
    before: list[Array],
    after: list[Array],
    tolerance: float,
) -> Iterator[Difference]:
    """Compares two runs, output by output.

    Args:
        model: The model whose outputs they are.
        sort: Which inputs it ran on.
        dtype: In which it computed.
        before: Its outputs, flat.
        after: Those of what is compared with it.
        tolerance: Largest relative difference.

    Yields:
        One difference an output.
    """
    graph = LayerGraph.read(model)
    for value, a, b in zip(graph.outputs, before, after, strict=True):
        name, (absolute, relative) = graph.producer(value).site, moved_by(a, b)
        labels = a.ndim == 2 and a.shape[1] > 1
        flips = _flips(a, b, tolerance) if labels else (0, 0)
        yield Difference(name, sort, dtype, absolute, relative, tolerance, *flips)


def moved_by(before: Array, after: Array) -> tuple[float, float]:
    """max|a − b| and that over max|a|; values that are not finite count where they differ.

    Args:
        before: The values a.
        after: The values b, of the same shape.

    Returns:
        Two numbers, 0 where nothing moved, infinite where only one of the two is finite.

    Example:
        >>> moved_by(np.array([1.0, -4.0]), np.array([1.0, -3.0]))
        (1.0, 0.25)
    """
    a, b = np.asarray(before, "float64"), np.asarray(after, "float64")
    finite = np.isfinite(a) & np.isfinite(b)
    if not np.array_equal(a[~finite], b[~finite], equal_nan=True):
        return float("inf"), float("inf")
    absolute = float(np.max(np.abs(a - b)[finite], initial=0))
    largest = float(np.max(np.abs(a)[finite], initial=0))
    return absolute, absolute / largest if largest else absolute and float("inf")


def _flips(a: Array, b: Array, tolerance: float) -> tuple[int, int]:
    rows = np.isfinite(a).all(1) & np.isfinite(b).all(1)
    a, b = a[rows], b[rows]
    other = a.argmax(1) != b.argmax(1)
    second, first = np.sort(a, axis=1)[:, -2:].T
    near = first - second <= 2 * tolerance * np.max(np.abs(a), initial=0)
    return int(np.sum(other & ~near)), int(np.sum(other & near))
