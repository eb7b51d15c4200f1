"""Data too large for memory: passed over in every epoch, in the order that the source gives."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from normcraft._core.errors import InputError
from normcraft.data._batches import Batch, batches_of, num_rows, rebatched
from normcraft.data._dataset import Array, map_arrays
from normcraft.data._source import Source

__all__ = ["Stream"]

Change = Callable[[Array], Array]


class Stream:
    """Training data that are passed over instead of held in memory.

    Args:
        source: A source that can be passed over again and again.
        identity: What stands for its content in the fingerprint.
        changes: What is done to every batch: `("x" or "y", a function of one array)`.

    Attributes:
        rows: Rows of the last whole pass; None before there was one.
    """

    def __init__(
        self, source: Source, *, identity: str, changes: tuple[tuple[str, Change], ...] = ()
    ) -> None:
        self.source = source
        self.identity = identity
        self.rows: int | None = None
        self._changes = changes

    def changed(self, part: str, change: Change) -> Stream:
        """The same stream with one more thing done to every batch.

        Args:
            part: `"x"` or `"y"`.
            change: A function of one array.

        Returns:
            A new stream.
        """
        changes = (*self._changes, (part, change))
        return Stream(self.source, identity=self.identity, changes=changes)

    def batches(self, size: int) -> Iterator[Batch]:
        """One pass.

        Args:
            size: Rows in a batch, the last one excepted.

        Returns:
            An iterator over `(x, y)`.
        """
        return rebatched(self._pass(), size)

    def num_batches(self, size: int) -> int:
        """Batches in one pass; where none was made yet, one is, to count the rows.

        Args:
            size: Rows in a batch.

        Returns:
            Their number, the last partial one included.
        """
        if self.rows is None:
            deque(self._pass(), maxlen=0)
        return -(-(self.rows or 0) // size)

    def endless_batches(self, size: int) -> Iterator[Batch]:
        """Pass behind pass, without an end.

        Args:
            size: Rows in a batch.

        Returns:
            An iterator over `(x, y)`.
        """
        return rebatched(self._passes(), size)

    def _passes(self) -> Iterator[Batch]:
        while True:
            yield from self._pass()

    def _pass(self) -> Iterator[Batch]:
        rows = 0
        for batch in batches_of(self.source):
            rows += num_rows(batch)
            yield self._change(batch)
        if not rows:
            raise no_second_pass(self.source)
        self.rows = rows

    def _change(self, batch: Batch) -> Batch:
        parts: dict[str, Any] = dict(zip("xy", batch, strict=True))
        for part, change in self._changes:
            parts[part] = map_arrays(change, parts[part])
        return parts["x"], parts["y"]


def no_second_pass(source: Source) -> InputError:
    """The error for a source that is used up after one pass.

    Args:
        source: The source.

    Returns:
        An error that says what to pass instead.
    """
    return InputError(
        f"the data source {source.name} can be passed over only once, and is too large to be held",
        received="nothing at another pass" if source.repeatable else "a generator",
        expected="data that every epoch can pass over anew",
        hint="pass the function that makes the generator, not the generator",
    )
