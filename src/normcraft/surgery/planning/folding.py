"""Folding: which normalization other layers can take into their weights, exactly.

At inference it is an affine map. Backward it goes into what made its input, forward into everything
that reads its result; on the way it passes what it commutes with.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

from normcraft.graph import Call, LayerGraph, Value
from normcraft.surgery.planning.absorbing import (
    absorbs,
    normalization_map,
    takes_before,
    takes_behind,
)
from normcraft.surgery.planning.affine import Affine
from normcraft.surgery.planning.commuting import backward_through, forward_through
from normcraft.surgery.planning.plan import Fold

__all__ = ["Folding", "find_folds"]

SHARED_MODEL = "its model is used several times, and in another use it cannot go"


class ObstacleError(Exception):
    """Why a map cannot go on; caught where the walk began."""


@dataclass(frozen=True, eq=False)
class Intake:
    """One call that takes a map into its layer.

    Attributes:
        call: The call.
        behind: Whether the map acts on its output; else on its input.
        affine: The map on the channels, as vectors.
    """

    call: Call
    behind: bool
    affine: Affine


@dataclass(eq=False)
class Folding:
    """What can be folded.

    Attributes:
        folds: The folds, by `id` of the layer that takes them.
        folded: Calls of normalization that go.
        kept: `(site, reason)` of those that stay.
    """

    folds: dict[int, Fold] = field(default_factory=dict)
    folded: list[Call] = field(default_factory=list)
    kept: list[tuple[str, str]] = field(default_factory=list)


def find_folds(
    graph: LayerGraph,
    calls: Sequence[Call],
    map_of: Callable[[Call], Affine | str] = normalization_map,
) -> Folding:
    """Finds the normalization that goes into other layers' weights without changing the function.

    What folds makes room for more: normalization behind normalization follows in the next round.

    Args:
        graph: The model's graph.
        calls: Calls of normalization.
        map_of: What a call of normalization computes.

    Returns:
        What folds, and why the rest does not.
    """
    folding, remaining = Folding(), Remaining(graph)
    waiting = list(calls)
    while waiting:
        reasons: dict[str, str] = {}
        chosen = set(waiting)
        for call in waiting:
            if call not in remaining.gone:
                reasons |= _fold(folding, remaining, call, chosen, map_of)
        left = [call for call in waiting if call not in remaining.gone]
        if len(left) == len(waiting):
            folding.kept = [(call.site, reasons[call.site]) for call in left]
            break
        waiting = left
    return folding


def _fold(
    folding: Folding,
    remaining: Remaining,
    call: Call,
    chosen: set[Call],
    map_of: Callable[[Call], Affine | str],
) -> dict[str, str]:
    # Alone (in all uses of its model), or with all calls of its layer where others are shared too.
    own = map_of(call)
    if isinstance(own, str):
        return {call.site: own}
    fold = folding.folds.get(id(call.layer))
    reasons: list[str] = []
    for group in _groups(remaining, call, chosen):
        for walk in (_backward, _forward):
            try:
                walks = (walk(remaining, one, _whole(fold, one, map_of)) for one in group)
                changes = _agreed(remaining, group, [*chain.from_iterable(walks)])
            except ObstacleError as obstacle:
                reasons.append(str(obstacle))
                continue
            folding.folds.pop(id(call.layer), None)
            folding.folds |= {key: _added(folding.folds.get(key), one) for key, one in changes}
            folding.folded += group
            for one in group:
                remaining.remove(one)
            return {}
    words = dict.fromkeys(reasons[:2] or [SHARED_MODEL])
    return {call.site: "; ".join(words)}


def _groups(remaining: Remaining, call: Call, chosen: set[Call]) -> Iterator[list[Call]]:
    alike = remaining.same_key(call)
    whole = [one for one in remaining.same_layer(call) if one.key != call.key]
    if chosen.issuperset(alike):
        yield alike
        if whole and chosen.issuperset(whole):
            yield alike + whole


def _whole(fold: Fold | None, call: Call, map_of: Callable[[Call], Affine | str]) -> Affine:
    """What a call computes together with what its layer has taken in.

    Returns:
        A map on its input.
    """
    own = map_of(call)
    assert isinstance(own, Affine)
    rank = len(call.inputs[0].shape)
    return fold.around(own, axis=call.layer.axis, rank=rank) if fold else own


def _backward(remaining: Remaining, call: Call, affine: Affine) -> Iterator[Intake]:
    """Walks from a call of normalization to the layers before it that take the map.

    Yields:
        Those layers' calls.

    Raises:
        ObstacleError: If one of them cannot.
    """  # noqa: DOC502 - raised further down
    yield from _into_producer(remaining, call.inputs[0], call, affine)


def _into_producer(
    remaining: Remaining, value: Value, reader: Call, affine: Affine
) -> Iterator[Intake]:
    before = remaining.producer(value)
    if before.is_input:
        raise ObstacleError("nothing but the model's input stands before it")
    if remaining.is_output(before):
        raise ObstacleError(
            f"the result of {before.site!r} before it is an output of the model too"
        )
    if len(before.outputs) > 1 or remaining.consumers(before) != [reader]:
        raise ObstacleError(f"the result of {before.site!r} before it is used elsewhere too")
    if absorbs(before):
        yield Intake(before, True, _vectors(takes_behind(before, affine)))
        return
    seen = remaining.seen(before)
    parts = backward_through(seen, affine)
    if isinstance(parts, str):
        raise ObstacleError(f"backward, {parts}")
    for own, part in zip(seen.inputs, parts, strict=True):
        yield from _into_producer(remaining, own, before, part)


def _forward(remaining: Remaining, call: Call, affine: Affine) -> Iterator[Intake]:
    """Walks from a call to all that reads its result and takes the map.

    Yields:
        The calls of those layers.

    Raises:
        ObstacleError: If one of them cannot.
    """
    if remaining.is_output(call):
        raise ObstacleError("its result is an output of the model")
    readers = remaining.consumers(call)
    if not readers:
        raise ObstacleError("nothing reads its result")
    for reader in readers:
        yield from _into_reader(remaining, reader, call, affine)


def _into_reader(
    remaining: Remaining, reader: Call, call: Call, affine: Affine
) -> Iterator[Intake]:
    seen = remaining.seen(reader)
    if absorbs(reader) and len(seen.inputs) == 1:
        yield Intake(reader, False, _vectors(takes_before(reader, affine)))
        return
    onward = forward_through(seen, affine, seen.inputs.index(remaining.real(call.outputs[0])))
    if isinstance(onward, str):
        raise ObstacleError(f"forward, {onward}")
    yield from _forward(remaining, reader, onward)


def _vectors(channels: Any) -> Affine:
    if isinstance(channels, str):
        raise ObstacleError(channels)
    return Affine(*channels)


def _agreed(
    remaining: Remaining, group: Sequence[Call], intakes: Sequence[Intake]
) -> list[tuple[int, Fold]]:
    """One change a layer, if all calls of the layer ask for the same.

    Returns:
        `(id of the layer, change)`.

    Raises:
        ObstacleError: If a call of a shared layer has other plans.
    """
    sides: dict[tuple[int, bool], list[Intake]] = defaultdict(list)
    for intake in intakes:
        sides[id(intake.call.layer), intake.behind].append(intake)
    gone = {call.site for call in group}
    found = []
    for (key, behind), own in sides.items():
        first = own[0]
        sites = sorted(intake.call.site for intake in own)
        every = sorted(call.site for call in remaining.same_layer(first.call))
        alike = all(first.affine.equals(intake.affine) for intake in own)
        if sites != every or not alike or gone & set(sites):
            raise ObstacleError(
                f"{first.call.layer.name!r} is shared, and another of its calls differs"
            )
        affine = {"behind": first.affine} if behind else {"before": first.affine}
        found.append((key, Fold(first.call.layer, **affine)))
    return found


def _added(fold: Fold | None, new: Fold) -> Fold:
    if fold is None:
        return new
    if new.behind:
        return replace(fold, behind=fold.behind.then(new.behind) if fold.behind else new.behind)
    assert new.before is not None
    return replace(fold, before=new.before.then(fold.before) if fold.before else new.before)


class Remaining:
    """A graph while normalization is taken out of it, each time in constant time.

    Attributes:
        gone: The calls taken out so far.

    Args:
        graph: The whole graph.
    """

    def __init__(self, graph: LayerGraph) -> None:
        self.gone: set[Call] = set()
        self._graph = graph
        self._alias: dict[Value, Value] = {}
        self._outputs = set(graph.outputs)
        self._readers: dict[Value, list[Call]] = defaultdict(list)
        self._layers: dict[int, list[Call]] = defaultdict(list)
        self._keys: dict[str, list[Call]] = defaultdict(list)
        for call in graph.calls:
            self._layers[id(call.layer)].append(call)
            self._keys[call.key].append(call)
            for value in dict.fromkeys(call.inputs):
                self._readers[value].append(call)

    def real(self, value: Value) -> Value:
        """The value that flows where `value` flowed.

        Returns:
            The value before what was taken out.
        """
        while value in self._alias:
            value = self._alias[value]
        return value

    def seen(self, call: Call) -> Call:
        """A call with the values that it now reads, masks left out.

        Returns:
            A copy of the call.
        """
        values = tuple(self.real(value) for value in call.inputs if value.dtype != "bool")
        return replace(call, inputs=values)

    def producer(self, value: Value) -> Call:
        """The call that a value comes from.

        Returns:
            A call that is still there.
        """
        return self._graph.producer(self.real(value))

    def consumers(self, call: Call) -> list[Call]:
        """Calls that read a result of `call`.

        Returns:
            Distinct calls that are still there.
        """
        found = [one for value in call.outputs for one in self._readers[value]]
        return list(dict.fromkeys(found))

    def is_output(self, call: Call) -> bool:
        """Whether a result of `call` leaves the model.

        Returns:
            True if it is one of the outputs.
        """
        return any(value in self._outputs for value in call.outputs)

    def same_layer(self, call: Call) -> list[Call]:
        """Calls of the same layer that are still there.

        Returns:
            At least the call itself.
        """
        return [one for one in self._layers[id(call.layer)] if one not in self.gone]

    def same_key(self, call: Call) -> list[Call]:
        """Calls at the same place of a model that is used several times.

        Returns:
            At least the call itself.
        """
        return self._keys[call.key]

    def remove(self, call: Call) -> None:
        """Takes a call with one input and one output out."""
        given, made = self.real(call.inputs[0]), call.outputs[0]
        self.gone.add(call)
        self._alias[made] = given
        self._readers[given] = [one for one in self._readers[given] if one is not call]
        self._readers[given] += self._readers.pop(made, [])
        if made in self._outputs:
            self._outputs.add(given)
