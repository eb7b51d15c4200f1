"""Selection: which calls of a graph an edit speaks of, by name, type or depth."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from fnmatch import fnmatchcase
from operator import eq, ge, gt, le, lt
from typing import Any, TypeAlias

from normcraft._core.errors import InputError
from normcraft.graph.families import (
    is_activation,
    is_linear,
    is_normalization,
    is_wrapped_linear,
    keeps_channels,
)
from normcraft.graph.layer_graph import LayerGraph
from normcraft.graph.reader import Call

__all__ = ["Criteria", "Selection", "depths", "layer_of"]

Criterion: TypeAlias = str | Callable[[Call], bool]
Criteria: TypeAlias = Criterion | Sequence[Criterion] | None
FORMS = "a name such as 'block1_*', 'type=Conv2D', or 'depth<4'"
DEPTH = re.compile(r"depth\s*(<=|>=|<|>|=)\s*(\d+)")
COMPARE = {"<": lt, "<=": le, ">": gt, ">=": ge, "=": eq}


@dataclass(frozen=True, eq=False)
class Selection:
    """The calls that `only=` and `skip=` leave.

    A criterion is a pattern for the name of a site or layer (`*`, `?`, `[…]` as in a shell),
    `type=` with the name of a class or base class, `depth` with `<`, `<=`, `=`, `>=`, `>` and a
    number, or a function of a `Call`. The depth of a call is the number of Dense and convolution
    calls on the longest way to it, its own included: the first hidden layer has depth 1. An
    activation, pooling or normalization is selected with the Dense or convolution it belongs to.

    Args:
        graph: The graph to choose from.
        only: One criterion or several of which any is enough; None for all calls.
        skip: What is left out of these, likewise.

    Raises:
        InputError: If a criterion cannot be read, or matches nothing in the graph.

    Example:
        >>> from keras import Input, Sequential, layers
        >>> chain = [Input((4,)), layers.Dense(8, name="a"), layers.ReLU(name="r"), layers.Dense(2)]
        >>> graph = LayerGraph.read(Sequential(chain))
        >>> chosen = Selection(graph, only="depth<2")
        >>> [call.site for call in graph.calls if call in chosen and not call.is_input]
        ['a', 'r']
    """

    graph: LayerGraph
    only: Criteria = None
    skip: Criteria = None
    _chosen: frozenset[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        table = depths(self.graph)
        chosen = {call.site for call in self.graph.calls}
        if self.only is not None:
            chosen = self._matched("only", self.only, table)
        if self.skip is not None:
            chosen -= self._matched("skip", self.skip, table)
        object.__setattr__(self, "_chosen", frozenset(chosen))

    def __contains__(self, call: Call) -> bool:
        return call.site in self._chosen

    def _matched(self, option: str, criteria: Criteria, depths: dict[str, int]) -> set[str]:
        single = isinstance(criteria, str) or callable(criteria)
        given: list[Any] = [criteria] if single else _listed(option, criteria)
        if not given:
            raise InputError(f"{option} names nothing", received="an empty list", expected=FORMS)
        return {site for one in given for site in self._sites(option, one, depths)}

    def _sites(self, option: str, criterion: Criterion, depths: dict[str, int]) -> set[str]:
        matches = _reader(option, criterion, depths)
        found = {call.site for call in self.graph.calls if matches(call)}
        if not found:
            raise self._nothing(option, criterion)
        behind = (call for call in self.graph.calls if _belongs(self.graph, call, found))
        return found | {call.site for call in behind}

    def _nothing(self, option: str, criterion: Criterion) -> InputError:
        names = [call.site for call in self.graph.calls]
        near = get_close_matches(str(criterion), names, n=1)
        shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        return InputError(
            f"{option} matches no layer of the model",
            received=repr(criterion),
            expected=f"{FORMS}; its sites are {shown}",
            hint=f"did you mean {near[0]!r}?" if near else None,
        )


def layer_of(graph: LayerGraph, call: Call) -> Call | None:
    """The Dense or convolution call that an activation, pooling or normalization belongs to.

    Returns:
        The nearest one before it with nothing else in between; None where there is none.

    Example:
        >>> from keras import Input, Sequential, layers
        >>> chain = [Input((4,)), layers.Dense(8, name="a"), layers.ReLU(), layers.Dense(2)]
        >>> graph = LayerGraph.read(Sequential(chain))
        >>> layer_of(graph, graph.calls[2]).site
        'a'
    """
    while not _is_linear(call):
        layer = call.layer
        if not (is_activation(layer) or is_normalization(layer) or keeps_channels(layer)):
            return None
        call = graph.producer(call.inputs[0])
    return call


def _listed(option: str, criteria: Any) -> list[Any]:
    if not isinstance(criteria, Sequence):
        raise InputError(f"{option} cannot be read", received=repr(criteria), expected=FORMS)
    return list(criteria)


def _belongs(graph: LayerGraph, call: Call, found: set[str]) -> bool:
    owner = layer_of(graph, call)
    return owner is not None and owner.site in found


def _is_linear(call: Call) -> bool:
    return is_linear(call.layer) or is_wrapped_linear(call.layer)


def depths(graph: LayerGraph) -> dict[str, int]:
    """The depth of every call: Dense and convolution calls on the longest way to it, its own too.

    Args:
        graph: A graph.

    Returns:
        Depths by site.

    Example:
        >>> from keras import Input, Sequential, layers
        >>> model = Sequential([Input((4,)), layers.Dense(8, name="a"), layers.ReLU(name="r")])
        >>> [depths(LayerGraph.read(model))[site] for site in ("a", "r")]
        [1, 1]
    """
    table: dict[str, int] = {}
    for call in graph.calls:
        before = (table[graph.producer(value).site] for value in call.inputs)
        table[call.site] = max(before, default=0) + _is_linear(call)
    return table


def _reader(option: str, criterion: Criterion, depths: dict[str, int]) -> Callable[[Call], bool]:
    if callable(criterion):
        return criterion
    if not isinstance(criterion, str) or not criterion.strip():
        raise InputError(f"{option} cannot be read", received=repr(criterion), expected=FORMS)
    text = criterion.strip()
    if text.startswith("type="):
        name = text.removeprefix("type=").strip()
        return lambda call: name in {cls.__name__ for cls in type(call.layer).__mro__}
    depth = DEPTH.fullmatch(text)
    if depth:
        compare, bound = COMPARE[depth[1]], int(depth[2])
        return lambda call: not call.is_input and compare(depths[call.site], bound)
    return lambda call: fnmatchcase(call.site, text) or fnmatchcase(call.layer.name, text)
