"""The rows of a source as arrays, under a limit of memory; and in an order that lasts."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from normcraft._core.errors import InputError
from normcraft.data._batches import Batch, batch_leaves, batches_of, join, num_rows
from normcraft.data._dataset import Array, leaves, map_arrays
from normcraft.data._source import Source
from normcraft.data._split import take

__all__ = ["Order", "head", "materialize", "order_of", "sorted_by_content"]

HEAD_ROWS = 256

Order = Literal["kept", "shuffled", "varying"]


def materialize(source: Source, limit: int) -> Batch | None:
    """All rows of one pass.

    Values narrower than float32 count four bytes each, as that is what becomes of them in training.

    Args:
        source: The source.
        limit: Bytes that the arrays may take.

    Returns:
        `(x, y)`, or None where they would take more than the limit.

    Raises:
        InputError: There are no rows, or a batch cannot be used.
    """
    columns: tuple[Any, Any] | None = None
    taken = 0
    for batch in batches_of(source):
        size = _size(batch)
        taken += size
        if columns is None:
            x, y = (map_arrays(_Column, part) for part in batch)  # type: ignore[arg-type]
            columns = x, y
            # The last batch may be a small one.
            if source.length and size * (source.length - 1) > limit:
                return None
        if taken > limit:
            return None
        for column, array in zip(_leaves(columns), _leaves(batch), strict=True):
            column.append(array)
    if columns is None or not taken:
        raise InputError(
            f"the data source {source.name} is empty",
            received="no rows in a whole pass",
            expected="at least one batch of (x, y)",
        )
    x, y = (map_arrays(lambda column: column.array(), part) for part in columns)  # type: ignore[attr-defined]
    return x, y


def head(source: Source) -> Batch | None:
    """The first 256 rows of another pass.

    Args:
        source: A repeatable source.

    Returns:
        At most 256 rows; None where that pass gives none.
    """
    found: list[Batch] = []
    for batch in batches_of(source):
        found.append(_copied(batch))
        if sum(map(num_rows, found)) >= HEAD_ROWS:
            break
    return _first(join(found), HEAD_ROWS) if found else None


def order_of(rows: Batch, again: Batch) -> Order:
    """Whether another pass began with the same rows.

    Args:
        rows: One pass, whole or its beginning.
        again: The beginning of another.

    Returns:
        `"kept"`; `"shuffled"` where the rows are among those of the first pass, elsewhere;
        `"varying"` where there are rows that the first pass did not have.
    """
    before, after = batch_leaves(_first(rows, num_rows(again))), batch_leaves(again)
    if before.keys() == after.keys() and all(np.array_equal(before[k], after[k]) for k in after):
        return "kept"
    known = set(_row_digests(rows))
    return "shuffled" if known.issuperset(_row_digests(again)) else "varying"


def sorted_by_content(rows: Batch) -> Batch:
    """The rows in an order that depends on nothing but the rows themselves.

    Args:
        rows: In any order.

    Returns:
        The same rows, sorted by their digests.

    Example:
        >>> one, other = (np.array([5, 6]), np.array([0, 1])), (np.array([6, 5]), np.array([1, 0]))
        >>> np.array_equal(sorted_by_content(one), sorted_by_content(other))
        True
    """
    digests = list(_row_digests(rows))
    order = np.array(sorted(range(len(digests)), key=digests.__getitem__), np.int64)
    return take(rows[0], order), take(rows[1], order)


class _Column:
    """One array that grows by rows; what is appended is copied.

    Args:
        like: An array whose type and shape of a row it has.
    """

    def __init__(self, like: Array) -> None:
        self._rows = np.empty((0, *like.shape[1:]), like.dtype)
        self._filled = 0

    def append(self, rows: Array) -> None:
        start, self._filled = self._filled, self._filled + len(rows)
        if self._filled > len(self._rows):
            self._resize(self._filled + self._filled // 8)
        self._rows[start : self._filled] = rows

    def array(self) -> Array:
        self._resize(self._filled)
        return self._rows

    def _resize(self, length: int) -> None:
        # In place: large blocks of memory grow without a second copy.
        self._rows.resize((length, *self._rows.shape[1:]), refcheck=False)


def _leaves(batch: tuple[Any, Any]) -> list[Any]:
    return list(batch_leaves(batch).values())


def _size(batch: Batch) -> int:
    return sum(array.size * max(array.itemsize, 4) for array in _leaves(batch))


def _copied(batch: Batch) -> Batch:
    x, y = (map_arrays(np.copy, part) for part in batch)
    return x, y


def _first(batch: Batch, rows: int) -> Batch:
    x, y = (map_arrays(lambda array: array[:rows], part) for part in batch)
    return x, y


def _row_digests(rows: Batch) -> Iterator[bytes]:
    columns = [_as_bytes(array) for part in rows for array in leaves(part).values()]
    for values in zip(*columns, strict=True):
        digest = hashlib.blake2b(digest_size=16)
        for value in values:
            digest.update(value)
        yield digest.digest()


def _as_bytes(array: Array) -> Any:
    if array.dtype == object:  # text labels
        return [repr(row).encode() for row in array.tolist()]
    return np.ascontiguousarray(array).reshape(len(array), -1).view(np.uint8)
