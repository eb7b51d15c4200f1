"""Data that can only be passed over: `tf.data`, PyTorch loaders, `PyDataset`, generators.

They are told by what they offer: neither TensorFlow nor PyTorch is imported here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["Source", "find_source"]

NO_SOURCES = (str, bytes, Mapping, list, tuple, np.ndarray, np.generic)


@dataclass(frozen=True)
class Source:
    """Data that can only be passed over, one batch (or sample) after another.

    Attributes:
        name: What it is, for errors and headings.
        begin: Begins a pass.
        length: Batches (or samples) in a pass; infinity for one that never ends, None where it is
            not known.
        repeatable: Whether another pass can be begun.
        has_samples: Whether it gives single samples, whatever their shapes look like.
    """

    name: str
    begin: Callable[[], Iterable[Any]]
    length: float | None = None
    repeatable: bool = True
    has_samples: bool = False


def find_source(value: Any) -> Source | None:
    """What a user passes in place of arrays, where that can be passed over.

    Args:
        value: A `tf.data.Dataset`, a PyTorch `DataLoader` or `Dataset`, a `keras.utils.PyDataset`,
            any other iterable of batches, a generator, or a function without arguments that makes
            one of these anew for each pass.

    Returns:
        The source; None for arrays, what NumPy reads as arrays, and everything else.

    Example:
        >>> find_source(iter([])).repeatable, find_source(np.zeros(3)) is None
        (False, True)
    """
    if isinstance(value, NO_SOURCES):
        return None
    if isinstance(value, type):  # it makes a source, and offers what that offers
        return _function(value, value.__name__)
    for recognize in (_tf_data, _py_dataset, _torch_dataset, _iterable, _function):
        source = recognize(value, type(value).__name__)
        if source is not None:
            return source
    return None


def _tf_data(value: Any, _: str) -> Source | None:
    if not (hasattr(value, "element_spec") and hasattr(value, "as_numpy_iterator")):
        return None
    # tf.data.INFINITE_CARDINALITY and UNKNOWN_CARDINALITY
    cardinality = int(value.cardinality())
    length = {-1: math.inf, -2: None}.get(cardinality, cardinality)
    return Source("tf.data.Dataset", value.as_numpy_iterator, length)


def _py_dataset(value: Any, name: str) -> Source | None:
    if not (hasattr(value, "num_batches") and hasattr(value, "on_epoch_end")):
        return None
    length = math.inf if value.num_batches is None else value.num_batches
    return Source(name, lambda: map(value.__getitem__, _numbers(length)), length)


def _torch_dataset(value: Any, name: str) -> Source | None:
    if not any(
        base.__name__ == "Dataset" and base.__module__.startswith("torch.utils.data")
        for base in type(value).__mro__
    ):
        return None
    length = _length(value)
    if hasattr(value, "__iter__") or length is None:
        return Source(name, lambda: iter(value), length, has_samples=True)
    return Source(name, lambda: map(value.__getitem__, range(length)), length, has_samples=True)


def _iterable(value: Any, name: str) -> Source | None:
    if _is_array(value) or not isinstance(value, Iterable):
        return None
    if isinstance(value, Iterator):
        return Source(name, lambda: value, repeatable=False)
    return Source(name, lambda: value, _length(value))


def _function(value: Any, name: str) -> Source | None:
    if _is_array(value) or not callable(value):
        return None

    def begin() -> Iterable[Any]:
        made = value()
        source = find_source(made)
        batches: Iterable[Any] = made if source is None else source.begin()
        return batches

    return Source(f"{getattr(value, '__name__', name)}()", begin)


def _is_array(value: Any) -> bool:
    return hasattr(value, "shape") or hasattr(value, "__array__")


def _numbers(length: float) -> Iterator[int]:
    number = 0
    while number < length:
        yield number
        number += 1


def _length(value: Any) -> int | None:
    try:
        return len(value)
    except (TypeError, NotImplementedError):
        return None
