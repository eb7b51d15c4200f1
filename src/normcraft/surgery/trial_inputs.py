"""Inputs that a check of equivalence makes up: those on which folded models go wrong."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from normcraft._core.errors import InputError
from normcraft._core.keras_private import graph_inputs
from normcraft.graph import LayerGraph, functional_graph

__all__ = ["moved_by_one_unit", "trial_inputs"]

Array = np.ndarray[Any, np.dtype[Any]]
ROWS = 8
ELEMENTS = 1_000_000  # of one sort of inputs, at most: a row or two where rows are that large
OPEN = 16  # size of an axis that an input leaves open


def trial_inputs(model: keras.Model) -> dict[str, list[Array]]:
    """Inputs of several sorts, the same ones each time.

    Args:
        model: A built model.

    Returns:
        Flat lists of arrays by sort: ordinary, large (1,000 times), tiny (a thousandth), negative,
        constant, and denormal numbers; for a model that reads whole numbers alone these.

    Raises:
        InputError: If an input is neither of numbers nor of whole numbers.
    """  # noqa: DOC502 - raised further down
    entries = graph_inputs(functional_graph(model))
    shapes = [tuple(OPEN if size is None else size for size in e.shape[1:]) for e in entries]
    largest = max(int(np.prod(shape)) for shape in shapes)
    rows = max(2, min(ROWS, ELEMENTS // max(1, largest)))
    generator, limit = np.random.default_rng(0), _vocabulary(model)
    normal = [generator.normal(size=(rows, *shape)) for shape in shapes]
    whole = [generator.integers(0, limit, (rows, *shape)) for shape in shapes]
    kinds = [_kind(entry) for entry in entries]

    def filled(values: list[Array]) -> list[Array]:
        pairs = zip(kinds, values, whole, entries, strict=True)
        return [
            (value if kind == "float" else number).astype(entry.dtype)
            for kind, value, number, entry in pairs
        ]

    if "float" not in kinds:
        return {"integers": filled(normal)}
    return {
        "normal": filled(normal),
        "large": filled([1000 * value for value in normal]),
        "tiny": filled([value / 1000 for value in normal]),
        "negative": filled([-np.abs(value) for value in normal]),
        "constant": filled([_constant(value) for value in normal]),
        "denormal": filled([1e-39 * value for value in normal]),
    }


def moved_by_one_unit(arrays: list[Array]) -> list[Array]:
    """Inputs whose floating-point numbers are the next larger ones.

    Args:
        arrays: Flat inputs.

    Returns:
        Arrays of the same shapes and dtypes.
    """
    return [
        np.nextafter(array, np.asarray(np.inf, array.dtype)) if array.dtype.kind == "f" else array
        for array in arrays
    ]


def _constant(value: Array) -> Array:
    rows = len(value)
    levels = np.linspace(-1, 1, rows).reshape(rows, *([1] * (value.ndim - 1)))
    return np.broadcast_to(levels, value.shape)


def _kind(entry: Any) -> str:
    for kind in ("float", "int", "bool"):
        if kind in str(entry.dtype):
            return kind
    raise InputError(
        f"no inputs can be made up for {entry.name!r}",
        received=f"an input of {entry.dtype}",
        expected="numbers",
        hint="give data to compare on",
    )


def _vocabulary(model: keras.Model) -> int:
    calls = LayerGraph.read(model).calls
    sizes = [c.layer.input_dim for c in calls if isinstance(c.layer, keras.layers.Embedding)]
    return int(min(sizes, default=2))
