"""A feed: data that the device does not hold, in chunks; one is made while one is computed on."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from itertools import chain, islice, takewhile
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any, NamedTuple

import keras
import numpy as np

from normcraft.surgery.probe import even_batch_size, num_rows
from normcraft.trainers.fused.resident import put
from normcraft.trainers.fused.rows import Rows

__all__ = ["Chunk", "feed"]

CHUNK_BYTES = 32 << 20
PATIENCE = 1.0  # seconds that Ctrl-C waits for a source that hangs


class Chunk(NamedTuple):
    """Data on the device, and what is taken of them.

    Attributes:
        data: Arrays in any structure.
        rows: Which samples, batch by batch.
    """

    data: Any
    rows: Rows


Requests = SimpleQueue[Future[Chunk | None] | None]


@contextmanager
def feed(batches: Iterator[Any], batch_size: int, steps: int) -> Iterator[Iterator[Chunk]]:
    """A context with chunks of batches, each put on the device while the one before is used.

    All chunks have one shape, the last one too, so that one compiled program serves them. Two are
    alive at a time, if whoever uses one lets go of it before the next. What the batches raise is
    raised where the chunk is asked for. The batches are made in a thread of their own, which has
    ended when the context is left; after Ctrl-C it ends with the batch that is being made.

    Args:
        batches: Arrays in any structure, `batch_size` rows each, the last one perhaps fewer.
        batch_size: Rows in a batch.
        steps: About how many batches there are; chunks are cut as alike as can be.

    Yields:
        An iterator over the chunks.

    Raises:
        KeyboardInterrupt: After Ctrl-C.

    Example:
        >>> batches = iter([(np.arange(2),), (np.arange(2, 4),), (np.arange(4, 5),)])
        >>> with feed(batches, 2, steps=3) as chunks:
        ...     [[some.tolist() for some in chunk.rows.each()] for chunk in chunks]
        [[[[0, 1]], [[2, 3]], [[4]]]]
    """
    stopped, requests = Event(), Requests()
    going_on = takewhile(lambda _: not stopped.is_set(), batches)
    chunks = _cut(going_on, batch_size, steps)
    thread = Thread(target=_make, args=(chunks, requests), name="feed", daemon=True)
    thread.start()
    patience = None
    try:
        yield _one_ahead(requests)
    except KeyboardInterrupt:
        patience = PATIENCE
        raise
    finally:
        stopped.set()
        requests.put(None)
        thread.join(patience)


def _make(chunks: Iterator[Chunk], requests: Requests) -> None:
    while (request := requests.get()) is not None:
        try:
            request.set_result(next(chunks, None))
        except BaseException as error:
            request.set_exception(error)


def _one_ahead(requests: Requests) -> Iterator[Chunk]:
    following = _request(requests)
    while (chunk := following.result()) is not None:
        following = _request(requests)
        yield chunk


def _request(requests: Requests) -> Future[Chunk | None]:
    request: Future[Chunk | None] = Future()
    requests.put(request)
    return request


def _cut(batches: Iterator[Any], batch_size: int, steps: int) -> Iterator[Chunk]:
    first = next(batches, None)
    if first is None:
        return
    size = sum(array.nbytes for array in keras.tree.flatten(first)) * batch_size / num_rows(first)
    capacity = even_batch_size(steps, max(1, int(CHUNK_BYTES // size)))
    batches = chain([first], batches)
    del first
    while chunk := _chunk(list(islice(batches, capacity)), batch_size, capacity):
        yield chunk


def _chunk(batches: list[Any], batch_size: int, capacity: int) -> Chunk | None:
    if not batches:
        return None

    def joined(*arrays: Any) -> Any:
        array = np.concatenate(arrays)
        # What is missing in the last chunk is filled up, and never looked at.
        full = (capacity * batch_size, *array.shape[1:])
        return put(array if array.shape == full else np.resize(array, full))

    data = keras.tree.map_structure(joined, *batches)
    samples = sum(num_rows(batch) for batch in batches)
    return Chunk(data, Rows.first(samples, batch_size, capacity))
