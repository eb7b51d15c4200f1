"""Inputs that a check of equivalence makes up: those on which folded models go wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from normcraft._core.errors import InputError
from normcraft.graph import Call, LayerGraph, Value

__all__ = ["trial_inputs"]

Array = np.ndarray[Any, np.dtype[Any]]
ROWS = 8
ELEMENTS = 1_000_000  # of one sort of inputs, at most: a row or two where rows are that large
OPEN, OPEN_IMAGE = 16, 64  # sizes of axes that an input leaves open


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
    graph = LayerGraph.read(model)
    shapes = [_closed(value) for value in graph.inputs]
    largest = max(int(np.prod(shape)) for shape in shapes)
    rows = max(2, min(ROWS, ELEMENTS // max(1, largest)))
    limits = [_limit(graph, value) for value in graph.inputs]
    generator = np.random.default_rng(0)
    normal = [generator.normal(size=(rows, *shape)) for shape in shapes]
    whole = [generator.integers(0, n or 2, (rows, *s)) for n, s in zip(limits, shapes, strict=True)]

    def filled(change: Callable[[Array], Array]) -> list[Array]:
        entries = zip(limits, normal, whole, graph.inputs, strict=True)
        return [
            (change(value) if limit is None else number).astype(_held(entry.dtype))
            for limit, value, number, entry in entries
        ]

    sorts = SORTS if None in limits else {"integers": np.copy}
    return {sort: filled(change) for sort, change in sorts.items()}


def _closed(value: Value) -> tuple[int, ...]:
    size = OPEN_IMAGE if len(value.shape) > 3 else OPEN
    return tuple(size if n is None else n for n in value.shape[1:])


def _held(dtype: str) -> str:
    return "float32" if dtype == "bfloat16" else dtype  # which NumPy does not know


def _constant(value: Array) -> Array:
    rows = len(value)
    levels = np.linspace(-1, 1, rows).reshape(rows, *([1] * (value.ndim - 1)))
    return np.broadcast_to(levels, value.shape)


def _limit(graph: LayerGraph, value: Value) -> int | None:
    """How many whole numbers an input may hold, from 0 on.

    Returns:
        None for an input of floating-point numbers that are not looked up in a table.

    Raises:
        InputError: If the input holds no numbers.
    """
    if not any(kind in value.dtype for kind in ("float", "int", "bool")):
        raise InputError(
            f"no inputs can be made up for {graph.producer(value).site!r}",
            received=f"an input of {value.dtype}",
            expected="numbers",
            hint="give data to compare on",
        )
    tables = [call.layer.input_dim for call in _readers(graph, value)]
    return int(min(tables)) if tables else None if "float" in value.dtype else 2


def _readers(graph: LayerGraph, value: Value) -> Iterator[Call]:
    # Embeddings that read an input, perhaps through layers without weights.
    waiting, seen = [graph.producer(value)], set()
    while waiting:
        for call in graph.consumers(waiting.pop()):
            if isinstance(call.layer, keras.layers.Embedding):
                yield call
            elif call.site not in seen and not getattr(call.layer, "weights", ()):
                seen.add(call.site)
                waiting.append(call)


SORTS: dict[str, Callable[[Array], Array]] = {
    "normal": np.copy,
    "large": lambda value: 1000 * value,
    "tiny": lambda value: value / 1000,
    "negative": lambda value: -np.abs(value),
    "constant": _constant,
    "denormal": lambda value: 1e-39 * value,
}
