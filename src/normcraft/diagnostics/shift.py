"""How far distributions move while a model trains, with normalization and without."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
import numpy as np

from normcraft._core.errors import InputError
from normcraft.data import Dataset, take
from normcraft.diagnostics.inputs import first_rows
from normcraft.diagnostics.places import places_of
from normcraft.diagnostics.shift_record import Course, Shift
from normcraft.diagnostics.steps import seen
from normcraft.diagnostics.walk import TRAINING, Passing, Walk
from normcraft.graph import LayerGraph, has_fused_activation, is_normalization
from normcraft.surgery import insert_normalization, place, remove_normalization
from normcraft.trainers import check_labels, ensure_compiled

__all__ = ["Record", "measure_shift", "moved"]

Array = np.ndarray[Any, np.dtype[Any]]
BATCH_SIZE = 32
POSITIONS = 1024  # of each channel, at most
LEVELS = (0.15, 0.5, 0.85)  # as in figure 1 of Ioffe and Szegedy (2015)


def moved(before: Array, after: Array) -> float:
    """How far a distribution moved: a 1-Wasserstein distance, in standard deviations.

    On the line, and for as many values before as after, that distance is the mean of |a − b| over
    both in order (Peyré and Cuturi, 2019, "Computational Optimal Transport", remark 2.28). Here it
    is taken of each channel, divided by the channel's standard deviation before, and averaged.

    Args:
        before: Shape (values, channels).
        after: Likewise.

    Returns:
        A number; channels that did not vary before are left out, 0 where none did.

    Example:
        >>> moved(np.array([[-1.0], [1.0]]), np.array([[2.0], [0.0]]))
        1.0
    """
    std = before.std(axis=0, dtype="float64")
    distance = np.abs(np.sort(before, axis=0) - np.sort(after, axis=0)).mean(
        axis=0, dtype="float64"
    )
    shares = distance[std > 0] / std[std > 0]
    if np.isnan(std).any():
        return float("nan")
    return float(shares.mean()) if shares.size else 0.0


class Record:
    """The course of a distribution, taken down state by state.

    Example:
        >>> record = Record()
        >>> for shift in (0.0, 2.0):
        ...     record.add(np.array([[-1.0], [1.0]]) + shift)
        >>> record.course.mean, record.course.moved
        ((0.0, 2.0), (2.0,))
    """

    def __init__(self) -> None:
        self._numbers: list[tuple[float, ...]] = []
        self._moved: list[float] = []
        self._last: Array | None = None

    def add(self, state: Array) -> None:
        """Takes the next state down.

        Args:
            state: Values, of shape (values, channels); as many each time.
        """
        if self._last is not None:
            self._moved.append(moved(self._last, state))
        quantiles = np.quantile(state, LEVELS).tolist()
        self._numbers.append((float(state.mean()), float(state.std()), *quantiles))
        self._last = state

    @property
    def course(self) -> Course:
        """What has been taken down."""
        mean, std, low, middle, high = zip(*self._numbers, strict=True)
        return Course(mean, std, low, middle, high, tuple(self._moved))


class _Pair(NamedTuple):
    name: str
    site: str
    normalized: tuple[str, bool]
    bare: tuple[str, bool]


def measure_shift(
    model: keras.Model, dataset: Dataset, *, steps: int, layer: str | None = None, rows: int = 32
) -> tuple[Shift, ...]:
    """Trains a model for some steps with normalization and without, and watches what moves.

    Both begin with the model's weights and see the same batches of 32 rows in an order drawn once.
    With normalization is the model as it is, or where it has none with batch normalization before
    its activations; without is the model with all of it taken out. Watched is what normalization
    gives, and what flows in its place without it: on the first rows, in training mode.

    Args:
        model: A built model; it is not changed. Loss and optimizer are those that it is compiled
            with, else derived from its output and the labels.
        dataset: Data in the form that the model takes.
        steps: Training steps.
        layer: Name of one normalization or of the call before it; None for all.
        rows: How many of the first rows the distributions are of.

    Returns:
        One for each place.

    Raises:
        InputError: If the data are a stream, the labels do not fit, or there is nothing to watch.
    """
    if dataset.stream is not None:
        raise InputError(
            "the shift cannot be measured on a stream",
            received="data that can only be passed over and are too large to be held",
            expected="arrays, or data that fit in memory",
        )
    base = place(model, "as_given").model
    ensure_compiled(base, dataset.y_train)
    check_labels(base, dataset.y_train)
    if any(is_normalization(call.layer) for call in LayerGraph.read(base).calls):
        models = base, remove_normalization(base).model
    else:
        models = insert_normalization(base, "before_activation").model, base
    pairs = _pairs(LayerGraph.read(models[0]), LayerGraph.read(models[1]), layer)
    sides = ([pair.normalized for pair in pairs], [pair.bare for pair in pairs])
    courses = [
        _train(one, dataset, places, steps, rows) for one, places in zip(models, sides, strict=True)
    ]
    return tuple(
        Shift(pair.name, pair.site, courses[0][pair.normalized], courses[1][pair.bare])
        for pair in pairs
    )


def _pairs(normalized: LayerGraph, bare: LayerGraph, name: str | None) -> list[_Pair]:
    without = {call.site: call for call in bare.calls}
    found = []
    for call in normalized.calls:
        if not is_normalization(call.layer):
            continue
        source = normalized.producer(call.inputs[0])
        while is_normalization(source.layer):
            source = normalized.producer(source.inputs[0])
        own = without[source.site]
        split = has_fused_activation(own.layer) and not has_fused_activation(source.layer)
        if name in {None, call.site, call.layer.name, source.site}:
            pair = _Pair(call.site, source.site, (call.site, False), (source.site, split))
            found.append(pair)
    if not found:
        places_of(normalized, name)  # says which there are
        raise InputError(
            "there is nothing to train with and without",
            received=repr(name),
            expected="the name of a normalization layer, or of the layer before one",
        )
    return found


def _train(
    model: keras.Model, dataset: Dataset, places: list[tuple[str, bool]], steps: int, rows: int
) -> dict[tuple[str, bool], Course]:
    records = {place: Record() for place in places}
    axes = _axes(model, places)

    def visit(passing: Passing) -> None:
        values = np.asarray(keras.ops.convert_to_numpy(passing.gave[0]), "float64")
        mask = passing.mask_behind
        hidden = None if mask is None else np.asarray(keras.ops.convert_to_numpy(mask), bool)
        found = seen(values, hidden, axes[passing.place])
        records[passing.place].add(found[:: -(-len(found) // POSITIONS)])

    walk, probe = Walk(model, places, modes=(TRAINING,)), first_rows(model, dataset.x_train, rows)
    walk.run(probe, visit)
    for x, y in _batches(dataset, steps):
        model.train_on_batch(x, y)
        walk.run(probe, visit)
    return {place: record.course for place, record in records.items()}


def _axes(model: keras.Model, places: list[tuple[str, bool]]) -> dict[tuple[str, bool], int]:
    graph = LayerGraph.read(model)
    calls = {call.site: call for call in graph.calls}
    return {place: graph.channel_axis(calls[place[0]]) for place in places}


def _batches(dataset: Dataset, steps: int) -> Iterator[tuple[Any, Any]]:
    generator, order = np.random.default_rng(0), np.zeros(0, int)
    size = min(BATCH_SIZE, dataset.num_samples)
    for _ in range(steps):
        if len(order) < size:
            order = generator.permutation(dataset.num_samples)
        rows, order = order[:size], order[size:]
        yield _listed(take(dataset.x_train, rows)), _listed(take(dataset.y_train, rows))


def _listed(arrays: Any) -> Any:
    # Keras takes a tuple in place of inputs or targets for something else.
    return list(arrays) if isinstance(arrays, tuple) else arrays
