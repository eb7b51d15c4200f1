"""Batches of a source as checked arrays, and batches of another size made of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from normcraft._core.errors import InputError
from normcraft.data._arrays import as_arrays
from normcraft.data._checks import check_lengths
from normcraft.data._dataset import Arrays, leaves, map_arrays
from normcraft.data._source import Source

__all__ = ["Batch", "batch_leaves", "batches_of", "join", "num_rows", "rebatched"]

Batch = tuple[Arrays, Arrays]


def batches_of(source: Source) -> Iterator[Batch]:
    """One pass over a source, each batch checked against the first.

    Single samples, which have labels without an axis, become batches of one row.

    Args:
        source: The source.

    Yields:
        `(x, y)`. The arrays may be the source's own, which it may fill anew for the next batch.

    Raises:
        InputError: The source raised an error, or a batch is no pair of arrays of one length, or
            not like the first in type, shape and names; the error gives its number.
    """  # noqa: DOC502 - raised further down
    wanted: dict[str, str] = {}
    has_samples = source.has_samples
    for number, element in enumerate(_elements(source), 1):
        x, y = _pair(source, element, number)
        if not wanted:
            has_samples = has_samples or any(array.ndim == 0 for array in leaves(y).values())
        if has_samples:
            x, y = (map_arrays(lambda array: array[None], part) for part in (x, y))
        _check_rows((x, y), number)
        wanted = wanted or _form((x, y))
        _check_form(source, _form((x, y)), wanted, number)
        yield x, y


def _elements(source: Source) -> Iterator[Any]:
    number = 0
    try:
        for element in source.begin():
            number += 1
            yield element
    except Exception as error:  # whatever the user's own code raises
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        raise InputError(
            f"the data source {source.name} raised an error at batch {number + 1}",
            received=f"{type(error).__name__}: {lines[0][:200] if lines else ''}",
            expected="(x, y) in every batch",
        ) from error


def _pair(source: Source, element: Any, number: int) -> Batch:
    parts = list(element) if isinstance(element, tuple | list) else []
    if len(parts) == 3 and parts[2] is None:
        parts = parts[:2]
    if len(parts) == 2:
        x, y = (
            as_arrays(f"{name} of batch {number}", part)
            for name, part in zip("xy", parts, strict=True)
        )
        return tuple(map_arrays(_text_as_objects, part) for part in (x, y))  # type: ignore[return-value]
    weighted = len(parts) == 3
    raise InputError(
        f"batch {number} of {source.name} "
        + ("has sample weights" if weighted else "is no pair of inputs and labels"),
        received=f"{len(parts)} parts" if parts else _described(element),
        expected="(x, y)",
        hint="trials weigh all samples alike: leave the weights out" if weighted else None,
    )


def _described(element: Any) -> str:
    if isinstance(element, dict):
        return f"a dictionary with {', '.join(repr(key) for key in element)[:100]}"
    return type(element).__name__


def _text_as_objects(array: Any) -> Any:
    # NumPy's type of a text is as long as the longest one in the batch.
    return array.astype(object) if array.dtype.kind in "US" else array


def _check_rows(batch: Batch, number: int) -> None:
    named = {f"{key} of batch {number}": array for key, array in batch_leaves(batch).items()}
    for name, array in named.items():
        if array.ndim == 0:
            raise InputError(
                f"{name} is a single number", received="shape ()", expected="shape (samples, ...)"
            )
    check_lengths(named)


def _check_form(source: Source, here: dict[str, str], wanted: dict[str, str], number: int) -> None:
    if here == wanted:
        return
    differing = {key for key in here.keys() | wanted.keys() if here.get(key) != wanted.get(key)}
    received, expected = (
        ", ".join(f"{key} {form[key]}" for key in sorted(differing & form.keys())) or "nothing"
        for form in (here, wanted)
    )
    raise InputError(
        f"batch {number} of {source.name} is not like the first",
        received=received,
        expected=expected,
        hint="every sample has one shape and type: resize, pad or convert them in the source",
    )


def _form(batch: Batch) -> dict[str, str]:
    return {
        key: f"{array.dtype} samples of shape {array.shape[1:]}"
        for key, array in batch_leaves(batch).items()
    }


def batch_leaves(batch: Batch) -> dict[str, Any]:
    """Every array of a batch by what is written to reach it: `"x"`, `"y[0]"`, `"x['name']"`.

    Args:
        batch: `(x, y)`.

    Returns:
        The arrays.

    Example:
        >>> list(batch_leaves(((np.zeros(1), np.zeros(1)), np.zeros(1))))
        ['x[0]', 'x[1]', 'y']
    """
    return {
        f"{name}{key}": array
        for name, part in zip("xy", batch, strict=True)
        for key, array in leaves(part).items()
    }


def num_rows(batch: Batch) -> int:
    """How many samples a batch has.

    Args:
        batch: `(x, y)`.

    Returns:
        Length of its arrays.

    Example:
        >>> num_rows((np.zeros((3, 2)), np.zeros(3)))
        3
    """
    return len(next(iter(leaves(batch[1]).values())))


def join(batches: Sequence[Batch]) -> Batch:
    """Batches one behind the other as one.

    Args:
        batches: At least one.

    Returns:
        A new batch.

    Example:
        >>> join([(np.array([1]), np.array([2])), (np.array([3]), np.array([4]))])
        (array([1, 3]), array([2, 4]))
    """
    x, y = (_joined([batch[part] for batch in batches]) for part in (0, 1))
    return x, y


def _joined(parts: Sequence[Any]) -> Arrays:
    first = parts[0]
    if isinstance(first, tuple):
        return tuple(np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    if isinstance(first, dict):
        return {key: np.concatenate([part[key] for part in parts]) for key in first}
    return np.concatenate(parts)


def rebatched(batches: Iterator[Batch], size: int) -> Iterator[Batch]:
    """The same rows in batches of another size.

    Args:
        batches: Batches of any sizes.
        size: Rows in every new batch but the last.

    Yields:
        Batches with arrays of their own.

    Example:
        >>> three = iter([(np.arange(3), np.arange(3))])
        >>> [y.tolist() for _, y in rebatched(three, 2)]
        [[0, 1], [2]]
    """
    pieces: list[Batch] = []
    missing = size
    for batch in batches:
        start = 0
        while start < num_rows(batch):
            pieces.append(_cut(batch, start, start + missing))
            taken = num_rows(pieces[-1])
            start, missing = start + taken, missing - taken
            if not missing:
                yield join(pieces)
                pieces, missing = [], size
    if pieces:
        yield join(pieces)


def _cut(batch: Batch, start: int, stop: int) -> Batch:
    # Copied: a source may fill the same arrays with its next batch.
    x, y = (map_arrays(lambda array: array[start:stop].copy(), part) for part in batch)
    return x, y
