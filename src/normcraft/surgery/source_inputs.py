"""The inputs in data that can only be passed over, cut into batches of another size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from normcraft._core.errors import InputError
from normcraft.data import Source, batches_of, join, rebatched
from normcraft.surgery.probe import even_batches

__all__ = ["source_inputs"]


def source_inputs(source: Source, size: int, limit: int | None = None) -> Iterator[Any]:
    """One pass over the inputs; labels and weights are let go.

    Args:
        source: It gives batches (or samples): inputs, `(x, y)` or `(x, y, weights)`.
        size: Samples in a batch. The last two share what is left, as one of a few samples would
            have statistics of its own.
        limit: After how many batches to stop; None for all there is.

    Returns:
        An iterator over batches of inputs.

    Raises:
        InputError: In the pass, if a batch is empty, or one of those of `batches_of`.

    Example:
        >>> from normcraft.data import find_source
        >>> source = find_source([np.zeros((5, 2)), np.zeros((2, 2))].__iter__)
        >>> [len(x) for x in source_inputs(source, 3)]
        [3, 2, 2]
    """  # noqa: DOC502 - raised further down
    unlabelled = replace(source, begin=lambda: map(_without_labels, source.begin()))
    batches = rebatched(_filled(batches_of(unlabelled), source.name), size)
    return (x for x, _ in _evened(islice(batches, limit), size))


def _without_labels(element: Any) -> Any:
    # `(x, rows)`: labels without an axis tell that an element is a single sample.
    parts = element if isinstance(element, tuple | list) and 0 < len(element) < 4 else [element]
    first = _first(parts[0])
    labels = _first(parts[1]) if len(parts) > 1 else None
    single = not np.ndim(first) or (labels is not None and not np.ndim(labels))
    return parts[0], np.zeros(() if single else len(first), "int8")


def _first(part: Any) -> Any:
    if isinstance(part, dict) and part:
        return next(iter(part.values()))
    is_several = isinstance(part, tuple | list) and part and hasattr(part[0], "shape")
    return part[0] if is_several else part


def _filled(batches: Iterator[Any], name: str) -> Iterator[Any]:
    for number, batch in enumerate(batches, 1):
        if not len(batch[1]):
            raise InputError(
                f"batch {number} of {name} is empty",
                received="no rows",
                expected="at least one sample in every batch",
            )
        yield batch


def _evened(batches: Iterator[Any], size: int) -> Iterator[Any]:
    held = None
    for batch in batches:
        if held is not None and len(batch[1]) < size:
            yield from even_batches(join([held, batch]), size)
            return
        if held is not None:
            yield held
        held = batch
    if held is not None:
        yield held
