"""Datasets from what can only be passed over: as arrays under a limit of memory, else streamed."""

from __future__ import annotations

import math
import uuid
from dataclasses import replace
from typing import Any

from normcraft._core.errors import InputError
from normcraft._core.memory import physical_memory
from normcraft.data._arrays import from_arrays
from normcraft.data._batches import Batch
from normcraft.data._dataset import Dataset
from normcraft.data._materialize import Order, head, materialize, order_of, sorted_by_content
from normcraft.data._source import Source, find_source
from normcraft.data._stream import Stream, no_second_pass

__all__ = ["default_memory_limit", "from_source", "validation_arrays"]

MAX_BYTES = 8 << 30


def default_memory_limit() -> int:
    """Bytes that the arrays of a source may take: 8 GiB, or a quarter of the machine's memory.

    A quarter, because an epoch's data in their order take as much again, and rescaled ones too.

    Returns:
        The smaller of the two.

    Example:
        >>> 0 < default_memory_limit() <= 8 << 30
        True
    """
    return min(MAX_BYTES, physical_memory() // 4)


def from_source(
    source: Source,
    *,
    validation_data: Any = None,
    memory_limit: int | None = None,
    name: str | None = None,
) -> Dataset:
    """A dataset of data that can only be passed over.

    One pass becomes arrays, and everything that holds for arrays holds from then on. Rows of a
    source that gives another order at each pass are sorted by content, so that the fingerprint, and
    with it the store, does not depend on that order. What would take more memory than the limit
    becomes a stream: `x_train` and `y_train` are then its first rows, for inspection only.

    Args:
        source: The source.
        validation_data: `(x, y)`, or a source of its own; a stream needs them.
        memory_limit: Bytes that the arrays may take, values narrower than float32 counted as such;
            None for `default_memory_limit()`, 0 to stream in any case.
        name: What to call it; for a stream also what stands for its content in the fingerprint.

    Returns:
        The dataset; notes say what was done.

    Raises:
        InputError: A batch cannot be used, or the data are too large and cannot be streamed.

    Example:
        >>> import numpy as np
        >>> batches = [(np.zeros((2, 3)), np.array([0, 1])), (np.ones((1, 3)), np.array([1]))]
        >>> from_source(find_source(lambda: batches)).x_train.shape
        (3, 3)
    """  # noqa: DOC502 - raised further down
    limit = default_memory_limit() if memory_limit is None else memory_limit
    validation, notes = validation_arrays(validation_data, limit)
    name_or_kind = name or source.name.removesuffix("()")
    rows = None if limit == 0 or source.length == math.inf else materialize(source, limit)
    if rows is None:
        beginning, order = _beginning_of_stream(source, limit, validated=validation is not None)
        dataset = from_arrays(*beginning, validation_data=validation, name=name_or_kind)
        stream = Stream(source, identity=name or uuid.uuid4().hex)
        return replace(
            dataset, stream=stream, notes=(*_stream_notes(source, limit, name, order), *notes)
        )
    rows, order_note = _in_lasting_order(source, rows)
    dataset = from_arrays(*rows, validation_data=validation, name=name_or_kind)
    return replace(dataset, notes=(*dataset.notes, *order_note, *notes))


def validation_arrays(
    validation_data: Any, memory_limit: int | None
) -> tuple[Any, tuple[str, ...]]:
    """Validation data as arrays.

    Args:
        validation_data: `(x, y)`, a source, or None.
        memory_limit: Bytes that the arrays of a source may take; None for the default.

    Returns:
        `(x, y)` or what was given, and notes.

    Raises:
        InputError: A source is too large.
    """
    source = find_source(validation_data)
    if source is None:
        return validation_data, ()
    limit = memory_limit or default_memory_limit()
    rows = None if source.length == math.inf else materialize(source, limit)
    if rows is None:
        raise InputError(
            "the validation data are too large",
            received=f"{source.name} without an end" if source.length == math.inf else source.name,
            expected=f"what fits in {limit:,} bytes as arrays",
            hint="validate on a part of them: every epoch passes over all validation data",
        )
    return _in_lasting_order(source, rows)


def _in_lasting_order(source: Source, rows: Batch) -> tuple[Batch, tuple[str, ...]]:
    again = head(source) if source.repeatable else None
    order = "kept" if again is None else order_of(rows, again)
    if order == "shuffled":
        note = (
            f"{source.name} shuffles itself: its rows were sorted by content, so that trials are "
            "paired and a rerun continues; batches are drawn from each seed"
        )
        return sorted_by_content(rows), (note,)
    if order == "varying":
        note = (
            f"{source.name} gives other values at each pass (augmentation?): trials share those of "
            "one pass, and a rerun, with others, starts anew; Options(memory_limit=0) streams it"
        )
        return rows, (note,)
    return rows, ()


def _beginning_of_stream(source: Source, limit: int, *, validated: bool) -> tuple[Batch, Order]:
    if not source.repeatable:
        raise no_second_pass(source)
    if not validated:
        raise _cannot_be_split(source, limit)
    beginning, again = head(source), head(source)
    if beginning is None or again is None:
        raise no_second_pass(source)
    return beginning, order_of(beginning, again)


def _cannot_be_split(source: Source, limit: int) -> InputError:
    endless = source.length == math.inf
    return InputError(
        f"the data source {source.name} "
        + ("never ends" if endless else "is too large to become arrays"),
        received="no validation_data, and no split can be drawn from a stream",
        expected="data that end" if endless else f"at most {limit:,} bytes as arrays",
        hint="drop .repeat(), or pass validation_data and Budget(steps_per_epoch=...)"
        if endless
        else "pass validation_data to train from the stream, or raise Options(memory_limit=...)",
    )


def _stream_notes(source: Source, limit: int, name: str | None, order: Order) -> tuple[str, ...]:
    endless = source.length == math.inf
    why = "they never end" if endless else f"more than {limit:,} bytes as arrays"
    notes = [
        f"the data are streamed ({why}): every seed sees the batches in "
        "the source's order, every epoch goes on with it or begins anew at its end"
    ]
    if order != "kept":
        notes.append(
            "the source gives another order or other values at each pass: trials of one seed do "
            "not share their batches, and are paired in weights, dropout and validation data only"
        )
    if name is None:
        notes.append(
            "a stream without a name is not known again: a rerun starts anew, unless "
            'Options(data_name="...") names it'
        )
    return tuple(notes)
